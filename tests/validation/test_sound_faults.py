"""Faults of the sound: what is planted is what the dose says, measured sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import find_peaks

from evalkit.validation import sound_faults
from evalkit.validation.material import Unplantable

RATE_HZ = 8000


def clicks(*places_s: float, length_s: float = 10.0) -> np.ndarray:
    """Return silence with smooth clicks: 2 ms wide, so that they may lie between samples."""
    times_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return sum(np.exp(-(((times_s - at) / 0.002) ** 2)) for at in places_s)[:, None]


def heard(block, n: int, step: int = 16_000) -> np.ndarray:
    return np.concatenate([block(first, min(n, first + step)) for first in range(0, n, step)])


def places_s(samples: np.ndarray) -> list[float]:
    return [float(k / RATE_HZ) for k in find_peaks(samples[:, 0], height=0.5)[0]]


@pytest.mark.parametrize(("plant", "by_s"), [(sound_faults.early, -0.08), (sound_faults.late, 0.08)])
def test_a_shift_moves_every_sound_and_keeps_the_length(make_material, plant, by_s: float) -> None:
    material = make_material(clicks(2.0, 7.5))
    moved = heard(plant(material, 80.0), 80_000)
    assert len(moved) == 80_000
    assert places_s(moved) == pytest.approx([2.0 + by_s, 7.5 + by_s], abs=2e-4)


def test_a_drift_brings_sounds_earlier_and_earlier(make_material) -> None:
    material = make_material(clicks(1.0, 5.0, 9.0))
    found = places_s(heard(sound_faults.drifting(material, 1200.0), 80_000))
    # 1200 ms a minute are 20 ms a second: a sound at t comes at t / 1.02.
    assert found == pytest.approx([1.0 / 1.02, 5.0 / 1.02, 9.0 / 1.02], abs=2e-4)


def test_a_drift_keeps_a_tone_a_tone(make_material) -> None:
    times_s = np.arange(80_000) / RATE_HZ
    material = make_material(np.sin(2 * np.pi * 440 * times_s)[:, None])
    drifted = heard(sound_faults.drifting(material, 600.0), 80_000)[:70_000, 0]
    expected = np.sin(2 * np.pi * 440 * 1.01 * times_s[:70_000])
    assert np.abs(drifted - expected).max() < 0.01


def test_other_words_are_those_of_half_the_clip_away_in_the_middle_alone(make_material) -> None:
    samples = np.arange(80_000, dtype=float)[:, None] / 80_000
    material = make_material(samples)
    changed = heard(sound_faults.other_words(material, 40.0), 80_000)
    assert np.array_equal(changed[:23_900], samples[:23_900].astype(np.float32))
    assert np.array_equal(changed[56_100:], samples[56_100:].astype(np.float32))
    middle = changed[24_200:55_800, 0]
    assert middle == pytest.approx(((np.arange(24_200, 55_800) + 40_000) % 80_000) / 80_000, abs=1e-6)
    whole = heard(sound_faults.other_words(material, 100.0), 80_000)
    assert whole[200:-200, 0] == pytest.approx(np.roll(samples, -40_000)[200:-200, 0], abs=1e-6)


@pytest.mark.parametrize("snr_db", [30.0, 10.0, 0.0])
def test_noise_lies_so_far_below_the_speech(make_material, snr_db: float) -> None:
    times_s = np.arange(80_000) / RATE_HZ
    speech = np.where(times_s < 5.0, 0.2 * np.sin(2 * np.pi * 200 * times_s), 0.0)[:, None]
    noise = heard(sound_faults.noisy(make_material(speech), snr_db), 80_000) - speech
    # The pause does not count as speech: the level is that of the tone, 0.2 / √2.
    assert 20 * np.log10(0.2 / np.sqrt(2) / noise.std()) == pytest.approx(snr_db, abs=0.2)


def test_clipping_cuts_the_share_of_samples(make_material) -> None:
    rng = np.random.default_rng(0)
    material = make_material(0.1 * rng.standard_normal((80_000, 1)))
    clipped = heard(sound_faults.clipped(material, 3.0), 80_000)
    assert (np.abs(clipped) >= 1.0).mean() == pytest.approx(0.03, abs=0.001)
    assert np.abs(clipped).max() == 1.0


def test_gaps_silence_a_share_and_larger_doses_hold_smaller_ones(make_material) -> None:
    material = make_material(np.ones((80_000, 2)))
    few, many = (heard(sound_faults.with_gaps(material, dose), 80_000)[:, 0] == 0 for dose in (5.0, 20.0))
    assert few.mean() == pytest.approx(0.05, abs=0.007)
    assert many.mean() == pytest.approx(0.20, abs=0.007)
    assert not (few & ~many).any()


@pytest.mark.parametrize(
    ("plant", "dose"),
    [
        (sound_faults.early, 80.0),
        (sound_faults.drifting, 900.0),
        (sound_faults.other_words, 40.0),
        (sound_faults.clipped, 1.0),
        (sound_faults.with_gaps, 10.0),
    ],
)
def test_what_is_planted_does_not_depend_on_how_it_is_cut(make_material, plant, dose: float) -> None:
    material = make_material(np.random.default_rng(1).standard_normal((40_000, 2)))
    block = plant(material, dose)
    assert heard(block, 40_000, 16_000) == pytest.approx(heard(block, 40_000, 7_001), abs=1e-6)


def test_silence_and_no_sound_are_reasons(make_material) -> None:
    with pytest.raises(Unplantable, match="digital silence"):
        sound_faults.noisy(make_material(np.zeros((8000, 1))), 10.0)
    with pytest.raises(Unplantable, match="digital silence"):
        sound_faults.clipped(make_material(np.zeros((8000, 1))), 10.0)
    with pytest.raises(Unplantable, match="no sound"):
        sound_faults.early(make_material(n_frames=3), 10.0)(0, 10)
