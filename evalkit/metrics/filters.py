"""scipy's filters, peaks, splines and smoothing without the import of scipy: 0.3 s of every start.

What is computed in a loop comes from scipy's compiled modules, each imported alone; the lines around them do what scipy
does, to the last bit (`tests/metrics/test_filters.py`), for the cases that metrics have.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from evalkit.types import FloatArray
from pipeline.partial_import import import_part

_SECTIONS: dict[tuple[int, object, str, float], tuple[tuple[float, ...], ...]] = {
    (2, (0.5, 9.0), "bandpass", 50.0): (
        (
            0.15998788597519942,
            0.31997577195039884,
            0.15998788597519942,
            1.0,
            -0.5816839868131297,
            0.2564116799928801,
        ),
        (1.0, -2.0, 1.0, 1.0, -1.9117253825679659, 0.9158728026796),
    ),
    (2, (2.0, 10.0), "bandpass", 100.0): (
        (
            0.04613180209331292,
            0.09226360418662584,
            0.04613180209331292,
            1.0,
            -1.3297767184682707,
            0.5693902189294329,
        ),
        (1.0, -2.0, 1.0, 1.0, -1.845000600983779, 0.8637525213328747),
    ),
    (2, (15.0, 49.0), "bandpass", 100.0): (
        (
            0.48083842926409043,
            -0.9616768585281809,
            0.48083842926409043,
            1.0,
            -0.7366061877157074,
            0.27574497811215315,
        ),
        (1.0, 2.0, 1.0, 1.0, 1.9111655583232785, 0.9150651736607093),
    ),
    (2, (1.5, 4.0), "bandpass", 100.0): (
        (
            0.005542717210280682,
            0.011085434420561363,
            0.005542717210280682,
            1.0,
            -1.8137152508313945,
            0.8601835948328689,
        ),
        (1.0, -2.0, 1.0, 1.0, -1.9201604462645283, 0.9309671231538668),
    ),
    (2, (6.0, 14.0), "bandpass", 100.0): (
        (
            0.04613180209331291,
            0.09226360418662582,
            0.04613180209331291,
            1.0,
            -1.142132147654097,
            0.6350770799826875,
        ),
        (1.0, -2.0, 1.0, 1.0, -1.6203046785892672, 0.7744134573963558),
    ),
    (2, (0.5, 3.0), "bandpass", 50.0): (
        (
            0.020083365564211232,
            0.040166731128422464,
            0.020083365564211232,
            1.0,
            -1.597783176997047,
            0.692922413227624,
        ),
        (1.0, -2.0, 1.0, 1.0, -1.9207935712581243, 0.9255748202315399),
    ),
    (4, 6.0, "lowpass", 50.0): (
        (
            0.00891445723946302,
            0.01782891447892604,
            0.00891445723946302,
            1.0,
            -0.8931036327062872,
            0.22516058868743402,
        ),
        (1.0, 2.0, 1.0, 1.0, -1.1552915050582222, 0.5848302129885163),
    ),
}
"""The filters of the metrics by order, cut-off, type and rate, as scipy designs them."""


def butter(order: int, cutoff_hz: object, *, btype: str = "lowpass", fs: float) -> FloatArray:
    """Return the second-order sections of a Butterworth filter, shape (n, 6), as `scipy.signal.butter` does."""
    known = _SECTIONS.get((order, cutoff_hz, btype, float(fs)))
    if known is not None:
        return np.array(known)
    from scipy import signal

    design: Any = signal.butter
    return np.asarray(design(order, cutoff_hz, btype, fs=fs, output="sos"))


def sosfilt(
    sections: FloatArray, values: FloatArray, *, axis: int, zi: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Filter values onward from a state; return them and the new state, as `scipy.signal.sosfilt` does.

    Parameters
    ----------
    sections : FloatArray, shape (n_sections, 6)
    values : FloatArray
        Their shape along `axis` is time.
    axis : int
    zi : FloatArray
        The state: the shape of `values` with 2 along `axis`, after an axis for the sections.
    """
    axis %= values.ndim
    moved = np.moveaxis(values, axis, -1)
    rows = np.array(moved.reshape(-1, values.shape[axis]), dtype=np.float64, order="C")
    state = np.moveaxis(zi, (0, axis + 1), (-2, -1))
    states = np.array(state.reshape(-1, len(sections), 2), dtype=np.float64, order="C")
    _compiled("signal", "_sosfilt")._sosfilt(np.ascontiguousarray(sections, dtype=np.float64), rows, states)  # noqa: SLF001
    return (
        np.moveaxis(rows.reshape(moved.shape), -1, axis),
        np.moveaxis(states.reshape(state.shape), (-2, -1), (0, axis + 1)),
    )


def sosfiltfilt(sections: FloatArray, values: FloatArray, axis: int = -1) -> FloatArray:
    """Filter values forward and backward, as `scipy.signal.sosfiltfilt` does.

    Raises
    ------
    ValueError
        If there are no more values than are added at each end: 3 for each pole or zero, and 3 more.
    """
    axis %= values.ndim
    n_zero = min(int((sections[:, 2] == 0).sum()), int((sections[:, 5] == 0).sum()))
    n_more = 3 * (2 * len(sections) + 1 - n_zero)
    if values.shape[axis] <= n_more:
        raise ValueError(f"{values.shape[axis]} values are too few: more than {n_more} are needed")
    values = np.moveaxis(values, axis, 0)
    before, after = 2 * values[:1] - values[n_more:0:-1], 2 * values[-1:] - values[-2 : -n_more - 2 : -1]
    extended = np.concatenate([before, values, after])
    steady = _steady_state(sections).reshape(len(sections), 2, *[1] * (values.ndim - 1))
    for _ in range(2):
        extended, _ = sosfilt(sections, extended, axis=0, zi=steady * extended[:1])
        extended = extended[::-1]
    return np.asarray(np.moveaxis(extended[n_more:-n_more], 0, axis))


def _steady_state(sections: FloatArray) -> FloatArray:
    """Return the state after a step of 1 that was ever, shape (n_sections, 2)."""
    state = np.empty((len(sections), 2))
    scale = 1.0
    for row, section in zip(state, sections, strict=True):
        b, a = section[:3], section[3:]
        row[:] = scale * np.linalg.solve(np.array([[1 + a[1], -1.0], [a[2], 1.0]]), b[1:] - a[1:] * b[0])
        scale *= b.sum() / a.sum()
    return state


def find_peaks(
    values: FloatArray, *, prominence: float, height: float | None = None
) -> tuple[np.ndarray[Any, np.dtype[np.intp]], FloatArray]:
    """Return the peaks of a signal that are high and prominent enough, as `scipy.signal.find_peaks` does.

    Parameters
    ----------
    values : FloatArray, shape (n,)
    prominence, height : float
        The least, in the values' unit; any height unless given.

    Returns
    -------
    peaks : int array
        Their indices; the middle of a plateau.
    prominences : FloatArray
    """
    compiled = _compiled("signal", "_peak_finding_utils")
    values = np.ascontiguousarray(values, dtype=np.float64)
    peaks, _, _ = compiled._local_maxima_1d(values)  # noqa: SLF001
    if height is not None:
        peaks = peaks[values[peaks] >= height]
    prominences, _, _ = compiled._peak_prominences(values, peaks, -1)  # noqa: SLF001
    kept = prominences >= prominence
    return peaks[kept], prominences[kept]


def smooth(values: FloatArray, sigma: float) -> FloatArray:
    """Smooth by a Gaussian of four sigmas a side, as `scipy.ndimage.gaussian_filter1d` does with ``mode="nearest"``."""
    radius = int(4.0 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    weights /= weights.sum()
    padded, n = np.pad(values, radius, mode="edge"), values.size
    smoothed = padded[radius : radius + n] * weights[radius]
    for step in range(radius, 0, -1):
        pairs = padded[radius - step : radius - step + n] + padded[radius + step : radius + step + n]
        smoothed += pairs * weights[radius - step]
    return np.asarray(smoothed)


def spline(times: FloatArray, values: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return a cubic spline's values, not-a-knot at both ends, as `scipy.interpolate.CubicSpline` does.

    Parameters
    ----------
    times, values : FloatArray, shape (n,)
        Two moments or more, rising.
    wanted : FloatArray
        Moments; before the first and after the last, the polynomials there go on.
    """
    if times.size < 4:
        from scipy.interpolate import CubicSpline

        return np.asarray(CubicSpline(times, values)(wanted))
    dx = np.diff(times)
    slope = np.diff(values) / dx
    lower, upper = np.append(dx[1:], times[-1] - times[-3]), np.insert(dx[:-1], 0, times[2] - times[0])
    diagonal, right = np.empty((2, times.size))
    diagonal[1:-1] = 2 * (dx[:-1] + dx[1:])
    right[1:-1] = 3 * (dx[1:] * slope[:-1] + dx[:-1] * slope[1:])
    d = times[2] - times[0]
    diagonal[0], right[0] = dx[1], ((dx[0] + 2 * d) * dx[1] * slope[0] + dx[0] ** 2 * slope[1]) / d
    d = times[-1] - times[-3]
    diagonal[-1] = dx[-2]
    right[-1] = (dx[-1] ** 2 * slope[-2] + (2 * d + dx[-1]) * dx[-2] * slope[-1]) / d
    *_, rates, problem = _compiled("linalg", "_flapack").dgtsv(lower, diagonal, upper, right)
    if problem:
        raise ValueError(f"times do not rise at {problem}")
    bend = (rates[:-1] + rates[1:] - 2 * slope) / dx
    place = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, times.size - 2)
    s = wanted - times[place]
    square = s * s
    return np.asarray(
        values[place]
        + rates[place] * s
        + ((slope - rates[:-1]) / dx - bend)[place] * square
        + (bend / dx)[place] * (square * s)
    )


@cache
def _compiled(package: str, name: str) -> Any:
    return import_part(f"scipy.{package}.{name}", without=(f"scipy.{package}",))
