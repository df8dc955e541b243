"""Stretches in which planted lips do not follow the sound."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics import lip_moments, lip_sync
from evalkit.metrics.lip_moments import ComparedLips
from evalkit.metrics.lip_sync import GRID_HZ, N_SIGNALS, WindowScores
from evalkit.types import FloatArray, Moment

NO_SCORES = WindowScores(np.zeros(0), np.zeros(0), np.zeros(0))
LENGTH_S = 16.0


def speech_like(seed: int, length_s: float = LENGTH_S) -> FloatArray:
    """Return noise in the band of speech, all signals from three movements."""
    random = np.random.default_rng(seed)
    sources = random.normal(size=(round(length_s * GRID_HZ) + 100, 3))
    return lip_sync.keep_speech_band(sources @ random.normal(size=(3, N_SIGNALS)))[50:-50]


BANK = np.stack([speech_like(100 + piece, 3.0)[::2] for piece in range(20)])


def lips_of(observed: FloatArray, predicted: FloatArray) -> ComparedLips:
    always = np.ones(len(observed), dtype=bool)
    return ComparedLips(predicted, observed, always, always)


def natural(seed: int) -> tuple[FloatArray, FloatArray]:
    """Return predicted lips, and ones that follow them as loosely as those of real speakers: correlation 0.6."""
    predicted = speech_like(seed)
    return predicted, 0.6 * predicted + 0.8 * speech_like(seed + 1000) * predicted.std() / speech_like(
        seed + 1000
    ).std()


@pytest.mark.parametrize("seed", range(8))
def test_lips_that_follow_have_no_moment(seed: int) -> None:
    predicted, observed = natural(seed)
    assert lip_moments.error_moments(lips_of(observed, predicted), NO_SCORES, BANK) == ()


@pytest.mark.parametrize("what", ["held", "another's"])
@pytest.mark.parametrize(("start_s", "end_s"), [(5.0, 8.0), (9.3, 12.9), (0.0, 3.5), (12.5, 16.0)])
def test_lips_that_do_not_follow_are_found_where_they_are(what: str, start_s: float, end_s: float) -> None:
    predicted, observed = natural(5)
    part = slice(round(start_s * GRID_HZ), round(end_s * GRID_HZ))
    other = speech_like(77)
    observed[part] = 0.0 if what == "held" else other[part] * observed.std() / other.std()
    (found,) = lip_moments.error_moments(lips_of(observed, predicted), NO_SCORES, BANK)
    shared = min(end_s, found.end_s) - max(start_s, found.start_s)
    assert shared / (max(end_s, found.end_s) - min(start_s, found.start_s)) > 0.7
    assert lip_sync.PASS <= found.value <= 1


def test_a_stretch_beside_a_long_silence_does_not_reach_over_it() -> None:
    """Nobody speaks in the first 9 s and the last 8 of 40, and the lips are held where somebody begins to."""
    predicted = speech_like(5, 40.0)
    observed = (
        0.6 * predicted + 0.8 * speech_like(1005, 40.0) * predicted.std() / speech_like(1005, 40.0).std()
    )
    speech = np.zeros(len(observed), dtype=bool)
    speech[9 * GRID_HZ : 32 * GRID_HZ] = True
    observed[8 * GRID_HZ : 13 * GRID_HZ] = 0.0
    observed[28 * GRID_HZ : 33 * GRID_HZ] = 0.0
    lips = ComparedLips(predicted, observed, np.ones(len(observed), dtype=bool), speech)
    first, last = sorted(lip_moments.error_moments(lips, NO_SCORES, BANK))
    assert (first.start_s, first.end_s) == pytest.approx((8.5, 13.0), abs=1.0)
    assert (last.start_s, last.end_s) == pytest.approx((28.0, 32.5), abs=1.0)


def test_a_bad_window_is_named_as_well() -> None:
    predicted, observed = natural(2)
    starts_s = np.arange(14.0)
    ranks = np.where((starts_s >= 4) & (starts_s <= 6), 0.8, 0.0)
    scores = WindowScores(starts_s, ranks, ranks)
    assert lip_moments.error_moments(lips_of(observed, predicted), scores, BANK) == (Moment(5.0, 8.0, 0.8),)


def test_silence_and_lips_unseen_name_nothing() -> None:
    predicted, observed = natural(3)
    never = np.zeros(len(observed), dtype=bool)
    for lips in (
        ComparedLips(predicted, observed, never, ~never),
        ComparedLips(predicted, observed, ~never, never),
        ComparedLips(predicted[:80], observed[:80], ~never[:80], ~never[:80]),
    ):
        assert lip_moments.error_moments(lips, NO_SCORES, BANK) == ()


def test_lips_that_never_follow_have_no_usual_gain() -> None:
    """Then the windows' ranks alone say so."""
    predicted = speech_like(4)
    times_s, gains = lip_moments.local_gains(lips_of(-predicted, predicted))
    assert times_s.size == gains.size == 0


def test_a_late_stretch_is_found_with_its_offset() -> None:
    predicted = speech_like(6)
    observed = predicted.copy()
    part = slice(5 * GRID_HZ, 10 * GRID_HZ)
    observed[part] = lip_sync.shift(predicted, 0.3)[part]
    always = np.ones(len(observed), dtype=bool)
    local = lip_sync.local_offsets(predicted, observed, always)
    (found,) = lip_moments.offset_moments(*local, lip_sync.DRIFT_WINDOW_S)
    assert found.value == pytest.approx(300, abs=5)
    assert found.start_s == pytest.approx(5, abs=0.76)
    assert found.end_s == pytest.approx(10, abs=0.76)


def test_an_offset_that_is_accepted_is_no_moment() -> None:
    predicted = speech_like(6)
    always = np.ones(len(predicted), dtype=bool)
    local = lip_sync.local_offsets(predicted, lip_sync.shift(predicted, 0.08), always)
    assert local[1] == pytest.approx(0.08, abs=0.005)
    assert lip_moments.offset_moments(*local, lip_sync.DRIFT_WINDOW_S) == ()


def test_lips_that_go_on_in_a_pause_are_found_there() -> None:
    lips = speech_like(8)
    speech = np.ones(len(lips), dtype=bool)
    speech[4 * GRID_HZ : 7 * GRID_HZ] = speech[10 * GRID_HZ : 13 * GRID_HZ] = False
    lips[10 * GRID_HZ : 13 * GRID_HZ] = 0.0
    always = np.ones(len(lips), dtype=bool)
    (found,) = lip_moments.silent_motion_moments(lips, always, speech)
    assert found.start_s == pytest.approx(4.3, abs=0.3)  # lips may move for 0.3 s after speech
    assert found.end_s == pytest.approx(6.7, abs=0.3)
    assert 0.6 < found.value < 2
