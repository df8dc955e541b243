"""Lip-sync mathematics against planted truth, independent implementations and hand-worked arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.metrics import lip_sync

GRID = lip_sync.GRID_HZ


def _lips(seconds: float, seed: int) -> np.ndarray:
    """Speech-like lips: noise in the speech band, six signals that share most of their motion."""
    random = np.random.default_rng(seed)
    n = int(seconds * GRID)
    shared = random.standard_normal((n, 1))
    return lip_sync.keep_speech_band(0.8 * shared + 0.6 * random.standard_normal((n, 6)))


def _everywhere(lips: np.ndarray) -> np.ndarray:
    return np.ones(len(lips), dtype=bool)


def _bank(n: int = 40) -> np.ndarray:
    step = GRID // lip_sync.DTW_HZ
    return np.stack([_lips(lip_sync.WINDOW_S, 1000 + k)[::step] for k in range(n)])


# --- offset


@pytest.mark.parametrize("shift_ms", [-400, -240, -120, -80, -40, -13, 0, 13, 40, 80, 120, 240, 400])
def test_a_planted_offset_is_found_with_its_sign(shift_ms: int) -> None:
    lips = _lips(8, seed=1)
    noisy = lips + 0.5 * _lips(8, seed=2)
    later = lip_sync.shift(noisy, shift_ms / 1000)  # the mouth moves later than the sound: the audio leads
    found = lip_sync.estimate_offset(lips, later, _everywhere(lips))
    assert found is not None
    assert 1000 * found.offset_s == pytest.approx(shift_ms, abs=4)
    assert found.interval_s.low <= shift_ms / 1000 <= found.interval_s.high
    assert found.confidence > 0.5


def _held(seconds: float, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Say of clips whose lips follow the sound weakly whether the interval holds the planted offset, and how wide it is."""
    random = np.random.default_rng(0)
    held, widths_ms = [], []
    for trial in range(trials):
        lips = _lips(seconds, seed=2 * trial)
        truth_s = random.uniform(-0.2, 0.2)
        coded_s = random.normal(0, lip_sync.RECODING_SPREAD_MS / 1000)
        seen = lip_sync.shift(lips + 1.3 * _lips(seconds, seed=2 * trial + 1), truth_s + coded_s)
        found = lip_sync.estimate_offset(lips, seen, _everywhere(lips), seed=trial)
        assert found is not None
        held.append(found.interval_s.low <= truth_s <= found.interval_s.high)
        widths_ms.append(1000 * (found.interval_s.high - found.interval_s.low))
    return np.array(held), np.array(widths_ms)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Every trial is a recording of its own, with noise and coding of its own: of 120 at 95 %, 107 to 119 hold it."""
    held, widths_ms = _held(6, 120)
    assert 107 <= held.sum() <= 119
    longer_ms = _held(20, 20)[1]
    assert np.median(longer_ms) < 0.8 * np.median(widths_ms)


def test_an_interval_reaches_to_a_second_peak_that_other_half_seconds_would_have_raised() -> None:
    lips = _lips(8, 3)
    half = len(lips) // 2
    seen = lip_sync.shift(lips, 0.3)
    seen[:half] = lip_sync.shift(lips, -0.3)[:half]  # as much speaks for either
    found = lip_sync.estimate_offset(lips, seen, _everywhere(lips))
    assert found is not None
    assert found.interval_s.low < -0.25
    assert found.interval_s.high > 0.25


def test_the_curve_is_the_correlation_numpy_gives_at_a_shift() -> None:
    """At one offset, with one signal, the pooled correlation is numpy's, of signals centred by the band-pass."""
    lips, seen = _lips(10, 3), _lips(10, 4)
    lips[:, 1:] = 0
    seen[:, 1:] = 0
    found = lip_sync.estimate_offset(lips, seen, _everywhere(lips))
    assert found is not None
    lag = 7
    index = int(np.flatnonzero(np.isclose(found.offsets_s, lag / GRID))[0])
    a, b = seen[lag:, 0], lips[:-lag, 0]
    assert found.correlation[index] == pytest.approx((a @ b) / np.sqrt((a @ a) * (b @ b)), abs=1e-9)


def test_unseen_lips_do_not_count() -> None:
    lips = _lips(10, 5)
    seen = lip_sync.shift(lips, 0.1)
    usable = _everywhere(lips)
    usable[100:300] = False
    wrong = seen.copy()
    wrong[100:300] = 50.0  # garbage where no face was found
    found = lip_sync.estimate_offset(lips, wrong, usable)
    assert found is not None
    assert found.offset_s == pytest.approx(0.1, abs=0.004)


def test_nothing_seen_is_no_estimate() -> None:
    lips = _lips(4, 6)
    assert lip_sync.estimate_offset(lips, lips, np.zeros(len(lips), dtype=bool)) is None


@pytest.mark.parametrize("ms_per_min", [-300, 0, 600])
def test_a_planted_drift_is_found(ms_per_min: int) -> None:
    lips = _lips(60, 7)
    rows = np.arange(len(lips), dtype=float)
    stretched = rows - ms_per_min / 60_000 * rows  # the mouth falls behind by this much every minute
    seen = np.stack([np.interp(stretched, rows, column) for column in lips.T], axis=1)
    found = lip_sync.estimate_offset(lips, seen, _everywhere(lips))
    assert found is not None
    assert found.drift_s_per_s is not None
    assert 60_000 * found.drift_s_per_s == pytest.approx(ms_per_min, abs=25)


def test_short_clips_have_no_drift() -> None:
    lips = _lips(10, 8)
    found = lip_sync.estimate_offset(lips, lips, _everywhere(lips))
    assert found is not None
    assert found.drift_s_per_s is None


# --- rank of the DTW distance


def _dtw_by_the_book(a: np.ndarray, b: np.ndarray, band: int) -> float:
    """Dynamic time warping as in Sakoe and Chiba 1978: squared Euclidean cost, symmetric steps of weight 1."""
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0
    for i, j in itertools.product(range(len(a)), range(len(b))):
        if abs(i - j) <= band:
            cost = ((a[i] - b[j]) ** 2).sum()
            total[i + 1, j + 1] = cost + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return float(np.sqrt(total[-1, -1]))


def test_distances_are_banded_dtw_of_one_frame() -> None:
    lips, seen = _lips(3, 9), _lips(3, 10)
    scores = lip_sync.score_windows(lips, seen, _everywhere(lips), _everywhere(lips), _bank(2))
    a, b = (lip_sync._describe_window(x[::2]) for x in (seen, lips))
    book = _dtw_by_the_book(a, b, band=1) / np.sqrt(len(a) * (lip_sync.WEIGHTS**2).sum())
    assert scores.distances.tolist() == pytest.approx([book], rel=1e-9)


def test_own_words_rank_first_and_strangers_rank_by_chance() -> None:
    bank = _bank()
    own, strange = [], []
    for seed in range(8):
        lips = _lips(5, seed)
        seen = lips + 0.7 * _lips(5, 100 + seed)
        stranger = _lips(5, 200 + seed)
        everywhere = _everywhere(lips)
        own.append(lip_sync.score_windows(lips, seen, everywhere, everywhere, bank).ranks.mean())
        strange.append(lip_sync.score_windows(stranger, seen, everywhere, everywhere, bank).ranks.mean())
    assert np.max(own) == 0
    assert 0.3 <= np.mean(strange) <= 0.7


def test_error_grows_with_the_shift() -> None:
    bank = _bank()
    means = []
    for shift_s in (0.0, 0.08, 0.16, 0.24):
        ranks = []
        for seed in range(6):
            lips = _lips(6, seed)
            seen = lip_sync.shift(lips + 0.8 * _lips(6, 50 + seed), shift_s)
            everywhere = _everywhere(lips)
            ranks.append(lip_sync.score_windows(lips, seen, everywhere, everywhere, bank).ranks.mean())
        means.append(np.mean(ranks))
    assert means == sorted(means)
    assert means[0] < 0.05
    assert means[-1] > 0.3


def test_windows_without_a_face_or_speech_are_not_scored() -> None:
    lips = _lips(9, 12)
    usable, speech = _everywhere(lips), _everywhere(lips)
    usable[: 2 * GRID] = False
    speech[-3 * GRID :] = False
    scores = lip_sync.score_windows(lips, lips, usable, speech, _bank(3))
    assert scores.starts_s.min() >= 1.4 - 1e-9  # at most a fifth of a window unseen
    assert scores.starts_s.max() + lip_sync.WINDOW_S - 0.6 * lip_sync.WINDOW_S <= 6 + 1e-9


def test_a_window_with_a_still_mouth_tells_nothing() -> None:
    lips, bank, rng = _lips(9, 16), _bank(), np.random.default_rng(17)
    everywhere = _everywhere(lips)
    seen = 0.05 * lips
    # Still but for a thousandth of the distance between the eyes: what moves so little is noise, even where it moves in time.
    seen[3 * GRID :] = 0.001 * (lips + rng.standard_normal(lips.shape))[3 * GRID :] / lips[:, 0].std()
    scores = lip_sync.score_windows(lips, seen, everywhere, everywhere, bank)
    is_still = scores.starts_s >= 3
    assert scores.ranks[is_still].tolist() == [0.5] * 4
    assert scores.ranks[0] == 0
    # What was not observed does not make it move.
    usable = everywhere.copy()
    usable[6 * GRID : 6 * GRID + 20] = False
    seen[6 * GRID : 6 * GRID + 20] += 1.0
    assert lip_sync.score_windows(lips, seen, usable, everywhere, bank).ranks[-1] == 0.5


def test_clips_shorter_than_a_window_have_one_and_tiny_ones_none() -> None:
    assert lip_sync._windows(2 * GRID) == [(0, 2 * GRID)]
    assert lip_sync._windows(GRID) == []
    assert lip_sync._windows(5 * GRID) == [(0, 150), (50, 200), (100, 250)]


@settings(max_examples=25)
@given(scale=st.floats(0.01, 100), lift=st.floats(-50, 50))
def test_ranks_do_not_depend_on_the_size_or_place_of_the_lips(scale: float, lift: float) -> None:
    lips, seen, bank = _lips(4, 13), _lips(4, 14), _bank(10)
    everywhere = _everywhere(lips)
    plain = lip_sync.score_windows(lips, seen, everywhere, everywhere, bank)
    moved = lip_sync.score_windows(lips, scale * seen + lift, everywhere, everywhere, bank)
    assert moved.ranks == pytest.approx(plain.ranks)


# --- silence and speech


def test_silent_motion_is_zero_for_a_closed_mouth_and_one_for_a_chattering_one() -> None:
    lips = _lips(12, 15)
    speech = _everywhere(lips)
    speech[5 * GRID : 8 * GRID] = False
    everywhere = _everywhere(lips)
    assert lip_sync.silent_motion(lips, everywhere, speech) == pytest.approx(1.0, abs=0.25)
    still = lips.copy()
    still[5 * GRID : 8 * GRID] = still[5 * GRID]
    quiet = lip_sync.silent_motion(still, everywhere, speech)
    assert quiet is not None
    assert quiet < 0.05


def test_silent_motion_needs_silence() -> None:
    lips = _lips(5, 16)
    assert lip_sync.silent_motion(lips, _everywhere(lips), _everywhere(lips)) is None


def test_speech_is_what_is_nearly_as_loud_as_the_loud_passages() -> None:
    level_db = np.array([-20.0] * 50 + [-50.0] * 50 + [-60.0] * 50)
    assert lip_sync.detect_speech(level_db).tolist() == [True] * 100 + [False] * 50
    assert not lip_sync.detect_speech(np.full(10, -120.0)).any()
    assert lip_sync.detect_speech(np.empty(0)).shape == (0,)


# --- cepstra


def test_normalised_cepstra_do_not_know_the_microphone() -> None:
    random = np.random.default_rng(5)
    mfcc = random.normal(size=(300, 13))
    speech = random.random(300) > 0.3
    plain = lip_sync.normalise_cepstrum(mfcc, speech)
    other = lip_sync.normalise_cepstrum(3 * mfcc + np.arange(13), speech)
    assert other == pytest.approx(plain, abs=1e-4)
    assert plain[speech].mean(axis=0) == pytest.approx(np.zeros(13), abs=1e-2)


# --- the grid


def test_on_grid_interpolates_true_timestamps() -> None:
    times_s = np.array([0.0, 0.04, 0.12])
    values = np.array([[0.0], [4.0], [12.0]])
    gridded = lip_sync.on_grid(times_s, values, end_s=0.121)
    assert gridded[:, 0] == pytest.approx([0, 2, 4, 6, 8, 10])


def test_shift_delays() -> None:
    lips = np.arange(10.0)[:, None]
    assert lip_sync.shift(lips, 2 / GRID)[:, 0] == pytest.approx([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
    assert lip_sync.shift(lips, -1 / GRID)[:, 0] == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9, 9])


def test_the_speech_band_keeps_syllables_and_drops_posture_and_noise() -> None:
    t = np.arange(0, 20, 1 / GRID)
    tones = {hz: np.sin(2 * np.pi * hz * t)[:, None] for hz in (0.1, 4.0, 20.0)}
    kept = {hz: lip_sync.keep_speech_band(x)[200:-200].std() / x.std() for hz, x in tones.items()}
    assert kept[4.0] == pytest.approx(1.0, abs=0.1)
    assert kept[0.1] < 0.05
    assert kept[20.0] < 0.1


def test_offsets_of_a_long_clip_are_summed_in_pieces_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    observed = lip_sync.keep_speech_band(rng.normal(size=(1013, 6)))
    predicted = np.roll(observed, 7, axis=0) + 0.1 * rng.normal(size=observed.shape)
    usable = rng.random(1013) > 0.1
    lags = np.arange(-60, 61)
    whole = lip_sync._block_sums(predicted, observed, usable, lags)
    for n_blocks in (1, 2, 3, 40):
        monkeypatch.setattr(lip_sync, "_BLOCKS_AT_ONCE", n_blocks)
        assert np.array_equal(lip_sync._block_sums(predicted, observed, usable, lags), whole)
