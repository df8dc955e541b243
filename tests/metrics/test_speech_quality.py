"""What DNSMOS and PLCMOS are given and what their answers mean, against the package's own numbers and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics.speech_quality import (
    RATE_HZ,
    WINDOW_SAMPLES,
    count_windows,
    imagine_raters,
    log_power_spectrum,
    mean_opinions,
    repeat_to_window,
)


@pytest.mark.parametrize(
    ("length_s", "repeated_s", "n_windows"),
    # the reference: int(floor(length) - 9.01) + 1, which leaves out a window that ends within the last second
    [(9.01, 9.01, 1), (9.99, 9.99, 1), (10.0, 10.0, 1), (10.99, 10.99, 1), (11.0, 11.0, 2), (13.05, 13.05, 4), (4.2, 16.8, 7), (0.5, 16.0, 7)],
)  # fmt: skip
def test_sound_is_doubled_and_cut_as_the_reference_does(
    length_s: float, repeated_s: float, n_windows: int
) -> None:
    sound = np.arange(round(length_s * RATE_HZ), dtype=np.float32)
    repeated = repeat_to_window(sound)
    assert repeated.size == round(repeated_s * RATE_HZ)
    np.testing.assert_array_equal(repeated, np.tile(sound, repeated.size // sound.size))
    assert count_windows(repeated.size) == n_windows
    assert (n_windows - 1) * RATE_HZ + WINDOW_SAMPLES <= repeated.size


def test_opinions_worked_by_hand() -> None:
    # signal 1: 0.0052439 + 1.22083953 - 0.08397278; background 2: -0.39604546 + 2 * 1.60915514 - 4 * 0.13166888
    found = mean_opinions(np.array([[1.0, 2.0, 0.0]]))
    assert found[0] == pytest.approx([1.14211065, 2.2955893, 0.04602535], abs=1e-9)


def test_the_spectrum_of_a_tone_stands_where_it_must() -> None:
    """1 kHz is bin 32 of 512 at 16 kHz; a Hamming window of 512 sums to 0.54 * 512."""
    sound = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    spectrum = log_power_spectrum(sound)
    assert spectrum.shape == (64, 257)  # ceil((16,000 + 256) / 256)
    assert (spectrum[2:-2].argmax(axis=1) == 32).all()
    assert 20 * spectrum[10, 32] == pytest.approx(2 * np.log(0.54 * 512 / 2), abs=1e-3)


def test_where_there_is_no_power_it_is_120_db_below_the_least() -> None:
    sound = np.zeros(4096, np.float32)
    sound[2000] = 1.0
    spectrum = 20 * log_power_spectrum(sound).astype(np.float64)
    heard = spectrum[spectrum > spectrum.min() + 1]
    assert spectrum.min() == pytest.approx(heard.min() - 12 * np.log(10), abs=1e-3)
    assert np.unique(log_power_spectrum(np.zeros(4096, np.float32))) == pytest.approx([-8 * np.log(10) / 20])


def test_the_raters_are_those_of_the_reference_after_a_seed_of_0() -> None:
    np.random.seed(0)  # noqa: NPY002 - what the reference uses
    drawn = [np.random.normal(size=(1, 64)) for _ in range(15)]  # noqa: NPY002 - as above
    np.testing.assert_array_equal(imagine_raters(), np.array(drawn, np.float32))


@pytest.mark.parametrize("give", [repeat_to_window, log_power_spectrum])
def test_no_sound_is_refused(give) -> None:
    with pytest.raises(ValueError, match="samples is empty"):
        give(np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="samples has shape"):
        give(np.zeros((4, 2), np.float32))


def test_less_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="144159 samples are no window"):
        count_windows(WINDOW_SAMPLES - 1)
