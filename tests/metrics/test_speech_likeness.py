"""What the measures of a sound's movement say of sounds whose movement is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from evalkit.metrics.speech_likeness import FEWEST_ROWS, MEASURES, measure_likeness
from evalkit.models.speech_likeness.model import SpeechLikeness
from evalkit.testing import sounds
from evalkit.testing.speech import speak
from evalkit.tracks.speech import describe


def rows_of(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    described = describe(np.asarray(sound, np.float32)).astype(np.float64)
    return described[:, :13], described[:, 13]


def measured(sound: np.ndarray) -> dict[str, float]:
    found = measure_likeness(*rows_of(sound))
    assert found is not None
    assert np.isfinite(found).all()
    return dict(zip(MEASURES, found, strict=True))


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate_hz = speak("She had your dark suit in greasy wash water all year.")
    return sounds.at_level(signal.resample_poly(samples.astype(np.float64), sounds.RATE_HZ, rate_hz))


def swung(rate_hz: float) -> np.ndarray:
    """Noise whose colour swings between dull and bright."""
    random = np.random.default_rng(0)
    dull, bright = sounds.noise(random, 6, 2.0), sounds.noise(random, 6, -1.0)
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * rate_hz * np.arange(dull.size) / sounds.RATE_HZ)
    return sounds.at_level(dull) * swing + sounds.at_level(bright) * (1 - swing)


def test_a_steady_sound_does_not_move() -> None:
    steady = np.sin(2 * np.pi * 440 * np.arange(6 * sounds.RATE_HZ) / sounds.RATE_HZ)
    assert measured(steady)["movement"] < -2 < -1 < measured(swung(4))["movement"]


def test_movement_is_that_of_syllables() -> None:
    within, beyond = measured(swung(4)), measured(swung(22))
    assert within["movement_share"] > 0.5 > beyond["movement_share"]
    assert within["movement_over_tremble"] > beyond["movement_over_tremble"]
    assert measured(swung(2.5))["movement_slow_over_fast"] > 0.5
    assert measured(swung(8))["movement_slow_over_fast"] < -0.5


def test_what_repeats_itself_has_a_rhythm(speech: np.ndarray) -> None:
    assert measured(np.tile(speech[8000:16000], 8))["rhythm"] > 0.9
    assert measured(speech)["rhythm"] < 0.5


@pytest.mark.parametrize("gain_db", [-10, -6, 12])
def test_gain_changes_nothing(speech: np.ndarray, gain_db: float) -> None:
    plain, louder = measured(speech), measured(10 ** (gain_db / 20) * speech)
    for name in MEASURES:
        assert louder[name] == pytest.approx(plain[name], abs=0.02), name


@pytest.mark.parametrize("family", list(sounds.SILENT_FAMILIES))
@pytest.mark.parametrize("length_s", [1.7, 4])
def test_every_sound_has_finite_measures(family: str, length_s: float) -> None:
    sound = sounds.at_level(sounds.SILENT_FAMILIES[family](np.random.default_rng(5), length_s))
    found = measure_likeness(*rows_of(sound))
    assert found is None or np.isfinite(found).all()


def test_silence_and_little_sound_have_no_measures() -> None:
    silence = np.zeros(3 * sounds.RATE_HZ)
    assert measure_likeness(*rows_of(silence)) is None
    silence[:8000] = np.random.default_rng(0).normal(0, 0.1, 8000)  # half a second: 50 rows of 80
    assert FEWEST_ROWS == 80
    assert measure_likeness(*rows_of(silence)) is None


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="mfcc"):
        measure_likeness(np.zeros((100, 12)), np.zeros(100))
    with pytest.raises(ValueError, match="mfcc has 100 rows and level_db has 99"):
        measure_likeness(np.zeros((100, 13)), np.zeros(99))
    with pytest.raises(ValueError, match="not finite"):
        measure_likeness(np.full((100, 13), np.nan), np.zeros(100))


def test_the_weights_are_those_of_the_measures() -> None:
    model = SpeechLikeness.load()
    n = len(MEASURES)
    assert model.usual.shape == model.spread.shape == model.linear.shape == (n,)
    assert model.quadratic.shape == (n, n)
    assert not np.tril(model.quadratic, -1).any()
    assert model.log_odds(model.usual) == pytest.approx(model.constant)


def test_log_odds_worked_by_hand() -> None:
    model = SpeechLikeness(
        usual=np.array([1.0, 0.0]),
        spread=np.array([2.0, 1.0]),
        constant=0.5,
        linear=np.array([1.0, -1.0]),
        quadratic=np.array([[0.0, 2.0], [0.0, 1.0]]),
        threshold=0.0,
        sha256="",
    )
    # unusual by 1 and 2: 0.5 + 1 - 2 + 2 * 1 * 2 + 1 * 4; beyond three counts as three: 0.5 + 3
    assert model.log_odds(np.array([3.0, 2.0])) == pytest.approx(7.5)
    assert model.log_odds(np.array([99.0, 0.0])) == pytest.approx(3.5)
