"""Articulation against planted openings and hand-worked arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics import articulation as subject
from evalkit.metrics import lip_sync

GRID = lip_sync.GRID_HZ


def _speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Six signals in the speech band, each of standard deviation about 1."""
    noise = np.random.default_rng(seed).standard_normal((int(seconds * GRID), 6))
    band = lip_sync.keep_speech_band(noise)
    return np.asarray(band / band.std(axis=0))


def _everywhere(lips: np.ndarray) -> np.ndarray:
    return np.ones(len(lips), dtype=bool)


def _mouth(gap: np.ndarray) -> np.ndarray:
    """Lips whose gap and whose lower lip follow `gap`, in eye distances, about a posture."""
    lips = np.tile([0.05, 0.5, 0.9, 0.55, 0.7, 0.0], (len(gap), 1))
    lips[:, 0] += gap
    lips[:, 4] += gap
    return lips


def test_the_value_is_a_range_over_a_mean_deviation() -> None:
    """By hand: the gap climbs evenly from 0 to 0.4, so 90 % of it is 0.36; an even climb of 2 deviates by 0.5 on average."""
    n = 100_001
    lips = _mouth(np.linspace(0, 0.4, n))
    expected = np.tile(np.linspace(-1, 1, n)[:, None], (1, 6))
    value = subject.articulation(lips, expected, _everywhere(lips))
    assert value == pytest.approx(0.36 / (subject.USUAL_OPENING * 0.5), rel=1e-4)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.25, 1.5])
def test_a_mouth_that_opens_by_a_factor_articulates_by_it(factor: float) -> None:
    """Though half of its movement has nothing to do with the sound; a regression's slope would say the same of the explained half only."""
    expected = _speech(10)
    gap = 0.06 * (expected[:, 0] + _speech(10, 1)[:, 0])
    plain, scaled = (
        subject.articulation(_mouth(size * gap), expected, _everywhere(expected)) for size in (1.0, factor)
    )
    assert plain is not None
    assert scaled == pytest.approx(factor * plain)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_a_poor_fit_does_not_pass_for_mumbling(noise: float) -> None:
    expected, other = _speech(20), _speech(20, 1)[:, 0]
    moved = expected[:, 0] + noise * other
    moved /= moved.std()
    good, poor = (
        subject.articulation(_mouth(0.06 * gap), expected, _everywhere(expected))
        for gap in (expected[:, 0], moved)
    )
    assert poor == pytest.approx(good, rel=0.1)


@given(share=st.floats(0.05, 3.0))
def test_what_the_sound_explains_is_the_share_of_its_variance(share: float) -> None:
    """Own movement of variance 1 and another's of variance `share`, made uncorrelated: 1 / (1 + share) is explained."""
    own, other = _speech(6), _speech(6, 1)
    own, other = own - own.mean(axis=0), other - other.mean(axis=0)
    other -= own * (own * other).sum(axis=0) / (own * own).sum(axis=0)
    other *= np.sqrt((own * own).sum(axis=0) / (other * other).sum(axis=0))
    value = subject.explained_variance(own, own + np.sqrt(share) * other, _everywhere(own))
    assert value == pytest.approx(1 / (1 + share))


def test_the_size_of_the_lips_explains_nothing() -> None:
    own, other = _speech(6), _speech(6, 1)
    everywhere = _everywhere(own)
    plain = subject.explained_variance(own, own + other, everywhere)
    assert subject.explained_variance(7 * own, 0.01 * (own + other) + 3, everywhere) == pytest.approx(plain)


def test_only_speech_with_lips_counts() -> None:
    expected = _speech(10)
    lips, spoken = _mouth(0.06 * expected[:, 0]), _everywhere(expected)
    spoken[200:300] = False
    holed, seen = lips.copy(), expected.copy()
    holed[200:300] = 9.0
    seen[200:300] = -50.0
    assert subject.articulation(holed, expected, spoken) == subject.articulation(lips, expected, spoken)
    assert subject.explained_variance(expected, seen, spoken) == pytest.approx(1.0)


def test_a_still_mouth_opens_by_nothing_and_silence_has_no_value() -> None:
    expected = _speech(4)
    still = _mouth(np.zeros(len(expected)))
    everywhere = _everywhere(expected)
    assert subject.articulation(still, expected, everywhere) == 0
    assert subject.explained_variance(expected, np.zeros_like(expected), everywhere) == 0
    assert subject.articulation(still, expected, ~everywhere) is None
    assert subject.explained_variance(expected, expected, ~everywhere) is None
    assert subject.articulation(still, np.zeros_like(expected), everywhere) is None
    nothing = np.zeros((0, 6))
    whole = subject.measure_articulation(nothing, nothing, nothing, np.zeros(0, dtype=bool))
    assert whole.articulation is None
    assert whole.starts_s.size == 0


def test_windows_tell_where_the_mouth_mumbles_and_where_the_sound_explains_nothing() -> None:
    expected = _speech(20)
    observed = expected.copy()
    observed[500:] = _speech(10, 5)  # from 10 s on, somebody else's
    gap = 0.08 * expected[:, 0]
    gap[:400] *= 0.3  # up to 8 s, hardly any
    found = subject.measure_articulation(_mouth(gap), expected, observed, _everywhere(expected))
    mumbles = found.articulations < subject.MUMBLES
    assert mumbles[found.starts_s <= 5].all()
    assert not mumbles[found.starts_s >= 8].any()
    assert (found.explained_variances[found.starts_s <= 7] > 0.99).all()
    assert np.median(found.explained_variances[found.starts_s >= 10]) < subject.UNEXPLAINED
    assert found.window_s == lip_sync.WINDOW_S


def test_pauses_have_no_window() -> None:
    expected = _speech(12)
    spoken = _everywhere(expected)
    spoken[: 5 * GRID] = False
    found = subject.measure_articulation(_mouth(0.06 * expected[:, 0]), expected, expected, spoken)
    assert found.starts_s.min() == 4  # two of three seconds spoken; a second earlier it were one, below 40 %


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lips": np.zeros((6, 200))}, "is it transposed"),
        ({"lips": np.full((200, 6), np.nan)}, "lips"),
        ({"expected": np.zeros((199, 6))}, "expected"),
        ({"spoken": np.ones(200)}, "instead of booleans"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong: dict[str, np.ndarray], message: str) -> None:
    arrays = {"lips": np.zeros((200, 6)), "expected": np.zeros((200, 6)), "spoken": np.ones(200, dtype=bool)}
    with pytest.raises(ValueError, match=message):
        subject.articulation(**(arrays | wrong))


@pytest.mark.parametrize("seed", range(20))
def test_rounding_explains_no_more_than_everything(seed: int) -> None:
    lips = np.random.default_rng(seed).normal(size=(200, 6))
    share = subject.explained_variance(lips, 3.3 * lips, _everywhere(lips))
    assert share == pytest.approx(1.0)
    assert share <= 1.0
