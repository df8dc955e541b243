"""Filters and peaks against scipy.signal's public functions, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from evalkit.metrics import filters


def _signal(n: int, seed: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).standard_normal((n, 3)), axis=0)


@pytest.mark.parametrize(("order", "cutoff_hz", "btype"), [(4, 6.0, "lowpass"), (2, (1.0, 8.0), "bandpass")])
def test_sections_and_filtered_values_are_scipy_own(order: int, cutoff_hz: object, btype: str) -> None:
    sections = filters.butter(order, cutoff_hz, btype=btype, fs=25.0)
    theirs = signal.butter(order, cutoff_hz, btype, fs=25.0, output="sos")
    assert np.array_equal(sections, theirs)
    values = _signal(200, 1)
    assert np.array_equal(
        filters.sosfiltfilt(sections, values, axis=0), signal.sosfiltfilt(theirs, values, axis=0)
    )
    state = np.zeros((sections.shape[0], 2, 3))
    for ours, other in zip(
        filters.sosfilt(sections, values, axis=0, zi=state),
        signal.sosfilt(theirs, values, axis=0, zi=state),
        strict=True,
    ):
        assert np.array_equal(ours, other)


@given(
    values=st.lists(st.integers(-5, 5), max_size=60),
    height=st.none() | st.integers(-3, 4),
    prominence=st.integers(0, 6),
)
def test_peaks_are_scipy_own(values: list[int], height: int | None, prominence: int) -> None:
    """Small whole numbers, so that there are plateaus and ties."""
    array = np.array(values, dtype=np.float64)
    peaks, prominences = filters.find_peaks(array, height=height, prominence=prominence)
    theirs, found = signal.find_peaks(array, height=height, prominence=prominence)
    assert np.array_equal(peaks, theirs)
    assert np.array_equal(prominences, found["prominences"])


@pytest.mark.parametrize("known", filters._SECTIONS, ids=str)
def test_a_filter_that_is_written_down_is_as_scipy_designs_it(known: tuple) -> None:
    order, cutoff_hz, btype, rate_hz = known
    theirs = signal.butter(order, cutoff_hz, btype, fs=rate_hz, output="sos")
    assert np.array_equal(filters.butter(order, cutoff_hz, btype=btype, fs=rate_hz), theirs)
    for values in (_signal(300, 2), _signal(40, 3)):
        ours = filters.sosfiltfilt(theirs, values, axis=0)
        assert np.array_equal(ours, signal.sosfiltfilt(theirs, values, axis=0))
        assert np.array_equal(filters.sosfiltfilt(theirs, values[:, 0]), ours[:, 0])
    with pytest.raises(ValueError, match="15 values are too few"):
        filters.sosfiltfilt(theirs, _signal(15, 1), axis=0)


@pytest.mark.parametrize("n", [1, 2, 30, 500])
@pytest.mark.parametrize("sigma", [0.6, 5.0, 12.5])
def test_smoothing_is_scipy_own(n: int, sigma: float) -> None:
    values = _signal(n, n)[:, 0]
    assert np.array_equal(filters.smooth(values, sigma), gaussian_filter1d(values, sigma, mode="nearest"))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 60, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_splines_are_scipy_own(n: int, seed: int) -> None:
    """Also where steps differ thousandfold, and a little beyond both ends."""
    random = np.random.default_rng(seed)
    steps = np.full(n, 0.04) if seed == 0 else 10 ** random.uniform(-2, 1, n)
    times, values = np.cumsum(steps), random.standard_normal(n)
    wanted = np.sort(np.concatenate([times, random.uniform(times[0] - 1e-3, times[-1] + 1e-3, 300)]))
    assert np.array_equal(filters.spline(times, values, wanted), CubicSpline(times, values)(wanted))
