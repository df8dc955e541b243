"""Log-mel features."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reference.features import FOLD, N_BANDS, N_COLUMNS, RATE_HZ, fold, log_mel


def tone(hz: float, duration_s: float = 1.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(duration_s * RATE_HZ)) / RATE_HZ)).astype(
        np.float32
    )


@pytest.mark.parametrize("n", [160, 1000, 4800, 16001])
def test_pieces_make_no_difference(n: int) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 23456).astype(np.float32)
    whole = log_mel([sound])
    pieces = log_mel([sound[i : i + n] for i in range(0, len(sound), n)])
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    assert whole.shape == (23456 // 160, N_BANDS + 1)


def test_loudness_of_the_recording_makes_no_difference() -> None:
    sound = np.random.default_rng(2).normal(0, 0.1, RATE_HZ).astype(np.float32)
    np.testing.assert_allclose(log_mel([0.1 * sound]), log_mel([sound]), atol=2e-3)


def test_a_higher_tone_is_in_a_higher_band() -> None:
    peaks = [int(log_mel([tone(hz)])[50, :N_BANDS].argmax()) for hz in (300, 1000, 3000)]
    assert peaks[0] < peaks[1] < peaks[2]


def test_a_burst_is_heard_when_it_sounds() -> None:
    sound = np.zeros(RATE_HZ, np.float32)
    sound[8000:8800] = tone(500, 0.05)  # 0.50 to 0.55 s
    loud = log_mel([sound])[:, -1]
    assert 50 <= loud.argmax() <= 54


def test_silence_and_nothing_are_at_the_floor() -> None:
    silent = log_mel([np.zeros(RATE_HZ, np.float32)])
    assert np.all(silent == silent[0, 0])
    assert log_mel([np.zeros(10, np.float32)]).shape == (0, N_BANDS + 1)


def test_folding_keeps_every_row_in_order() -> None:
    mel = np.arange(10 * (N_BANDS + 1), dtype=np.float32).reshape(10, -1)
    folded = fold(mel)
    assert folded.shape == (4, N_COLUMNS)
    np.testing.assert_array_equal(folded.reshape(-1, N_BANDS + 1)[FOLD // 2 :][:10], mel)
