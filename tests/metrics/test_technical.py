"""Mathematics of the technical metrics: hand-worked arrays and properties."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics import technical
from evalkit.types import Moment

NAN = float("nan")


def test_the_examples_in_the_documentation_are_true() -> None:
    tried = doctest.testmod(technical)
    assert tried.attempted >= 7
    assert tried.failed == 0


def test_the_last_frame_lasts_as_long_as_most() -> None:
    times_s = np.array([0.0, 0.04, 0.08, 0.20])
    np.testing.assert_allclose(technical.frame_durations_s(times_s), [0.04, 0.04, 0.12, 0.04])


@pytest.mark.parametrize("n_frames", [0, 1])
def test_durations_need_two_frames(n_frames: int) -> None:
    with pytest.raises(ValueError, match=f"{n_frames} frames have no durations"):
        technical.frame_durations_s(np.zeros(n_frames))


def test_the_last_frame_is_shown_until_the_end() -> None:
    times_s = np.array([0.0, 0.2, 0.4])
    np.testing.assert_allclose(technical.frame_durations_s(times_s, 1.0), [0.2, 0.2, 0.6])
    change = np.array([np.nan, 9.0, 9.0])
    assert technical.freeze_ratio(change, times_s) == 0
    assert technical.freeze_ratio(change, times_s, 1.0) == pytest.approx(0.6)
    with pytest.raises(ValueError, match=r"end_s is 0\.4, not after the last frame"):
        technical.frame_durations_s(times_s, 0.4)


@pytest.mark.parametrize("n_frames", [0, 1])
def test_a_rate_needs_two_frames(n_frames: int) -> None:
    with pytest.raises(ValueError, match=f"{n_frames} frames have no rate"):
        technical.mean_frame_rate_hz(np.zeros(n_frames))


def test_dropped_frames_lower_the_rate() -> None:
    times_s = np.delete(np.arange(101) / 25, range(30, 40))
    # 90 intervals in 4 s
    assert technical.mean_frame_rate_hz(times_s) == pytest.approx(22.5)


def test_black_frames_count_for_as_long_as_they_are_shown() -> None:
    # black for 0.1 + 0.7 of 2 s
    durations_s = np.array([0.1, 0.2, 0.7, 1.0])
    assert technical.black_ratio(np.array([1.0, 0.5, 0.99, 0.0]), durations_s) == pytest.approx(0.4)


def test_a_frozen_span_runs_from_the_held_frame_to_the_next_move() -> None:
    times_s = np.arange(100) / 25
    change = np.full(100, 20.0)
    change[0] = NAN
    change[26:51] = 0.0  # frame 25 is held until frame 51 is shown
    np.testing.assert_allclose(technical.frozen_spans_s(change, times_s), [[1.0, 2.04]])
    assert technical.freeze_ratio(change, times_s) == pytest.approx(1.04 / 4)


def test_a_freeze_to_the_end_counts_the_last_frame() -> None:
    times_s = np.arange(50) / 25
    change = np.where(np.arange(50) < 25, 20.0, 0.0)
    # frame 24, shown at 0.96 s, is held to 2 s
    assert technical.freeze_ratio(change, times_s) == pytest.approx(1.04 / 2)


def test_a_still_picture_is_frozen_throughout() -> None:
    change = np.zeros(50)
    change[0] = NAN
    assert technical.freeze_ratio(change, np.arange(50) / 25) == pytest.approx(1.0)


def test_one_frame_shown_for_long_is_a_freeze() -> None:
    times_s = np.array([0.0, 0.04, 0.08, 1.08, 1.12, 1.16])
    # the frame at 0.08 s stays for 1 s of 1.2 s
    assert technical.freeze_ratio(np.full(6, 20.0), times_s) == pytest.approx(1 / 1.2)


@pytest.mark.parametrize(("source_fps", "fps"), [(25, 30), (25, 60), (16, 60), (12, 60)])
def test_repeats_of_rate_conversion_are_no_freeze(source_fps: int, fps: int) -> None:
    source_frame = np.arange(3 * fps) * source_fps // fps
    change = np.where(np.diff(source_frame, prepend=-1) > 0, 20.0, 0.0)
    assert technical.freeze_ratio(change, np.arange(3 * fps) / fps) == 0.0


@given(st.lists(st.floats(0, 20), min_size=2, max_size=60), st.integers(0, 59))
def test_more_motion_is_never_more_freeze(changes: list[float], at: int) -> None:
    change = np.array(changes)
    times_s = np.arange(len(changes)) / 10
    before = technical.freeze_ratio(change, times_s)
    change[at % len(changes)] = 100.0
    assert 0 <= technical.freeze_ratio(change, times_s) <= before + 1e-12
    assert before <= 1 + 1e-12


@pytest.mark.parametrize("fps", [8, 10, 16, 25, 30, 50, 60])
def test_flicker_is_the_swing_between_two_brightnesses(fps: int) -> None:
    times_s = np.arange(4 * fps) / fps
    luma = 120 + 5.1 * (np.arange(4 * fps) % 2)
    assert technical.flicker_percent(luma, times_s) == pytest.approx(2.0)  # 5.1 of 255


def test_flicker_at_half_the_frame_rate_is_seen() -> None:
    times_s = np.arange(200) / 50
    luma = 120 + 5.1 * (np.arange(200) // 2 % 2)
    assert technical.flicker_percent(luma, times_s) == pytest.approx(2.0)


def test_a_single_flash_counts_where_it_comes_and_goes() -> None:
    times_s = np.arange(106) / 25
    luma = np.full(106, 100.0)
    luma[50] += 51.0
    # 20 % inside 5 (as second to sixth frame of seven) of the 99 windows that begin at 0 to 3.92 s
    assert technical.flicker_percent(luma, times_s) == pytest.approx(20 * 5 / 99)


@pytest.mark.parametrize(
    "luma",
    [
        pytest.param(np.where(np.arange(100) < 50, 20.0, 220.0), id="cut"),
        pytest.param(np.linspace(0, 255, 100), id="fade"),
        pytest.param(np.full(100, 90.0), id="still"),
    ],
)
def test_cuts_and_fades_are_no_flicker(luma: np.ndarray) -> None:
    assert technical.flicker_percent(luma, np.arange(100) / 25) == pytest.approx(0.0, abs=1e-9)


def test_slow_changes_of_light_are_hardly_flicker() -> None:
    times_s = np.arange(250) / 25
    luma = 120 + 25.5 * np.sin(2 * np.pi * 0.5 * times_s)  # a swing of 20 % within two seconds
    assert technical.flicker_percent(luma, times_s) < 0.2


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3.0))
def test_flicker_grows_with_the_swing(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    luma = random.uniform(-20, 20, 60)
    times_s = np.cumsum(random.uniform(0.02, 0.06, 60))
    once = technical.flicker_percent(100 + luma, times_s)
    assert technical.flicker_percent(100 + factor * luma, times_s) == pytest.approx(factor * once)


@pytest.mark.parametrize("times_s", [np.arange(4) / 25, np.arange(40) / 4])
def test_flicker_needs_three_frames_in_a_window(times_s: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no window of a quarter second holds three frames"):
        technical.flicker_percent(np.zeros(len(times_s)), times_s)


def test_loudness_of_a_constant_is_its_own() -> None:
    power = np.full(40, 10 ** ((-30 + 0.691) / 10))
    assert technical.integrated_loudness_lufs(power) == pytest.approx(-30.0)


def test_pauses_are_gated_out() -> None:
    loud, quiet = 10 ** ((-20 + 0.691) / 10), 10 ** ((-50 + 0.691) / 10)
    # Three blocks hold both (3/4, 2/4 and 1/4 loud): they lie 1.2, 3 and 6 LU down, inside the gate; the blocks of
    # the pause lie 30 LU down, outside. 97 loud blocks: mean = (97 + 1.5) / 100 of the loud power.
    power = np.concatenate([np.full(100, loud), np.full(100, quiet)])
    expected = -20 + 10 * np.log10((97 + 1.5 * (1 + 1e-3)) / 100)
    assert technical.integrated_loudness_lufs(power) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "power", [np.zeros(50), np.full(50, 10 ** ((-70.1 + 0.691) / 10)), np.ones(3), np.zeros(0)]
)
def test_silence_and_too_little_sound_have_no_loudness(power: np.ndarray) -> None:
    assert technical.integrated_loudness_lufs(power) is None


TIMES_S = np.arange(250) / 25
"""Ten seconds."""


def during(start_s: float, end_s: float) -> np.ndarray:
    return (start_s <= TIMES_S) & (end_s > TIMES_S)


def test_stretches_of_frames_are_named_where_they_are() -> None:
    black = technical.black_moments(np.where(during(2, 4), 1.0, 0.3), TIMES_S)
    assert black == (Moment(2.0, 4.0, 1.0),)
    change = np.where(during(3.04, 5), 0.0, 9.0)
    assert technical.frozen_moments(change, TIMES_S) == (Moment(3.0, 5.0, 1.0),)
    lost = technical.lost_face_moments(~during(6, 8) & ~during(1, 1.2), TIMES_S)
    assert lost == (Moment(6.0, 8.0, 0.0),)  # and not the fifth of a second


def test_a_blur_is_held_against_the_clips_own_sharpness() -> None:
    for usual in (0.3, 0.6):
        noise = np.random.default_rng(1).normal(0, 0.005, TIMES_S.size)
        sharpness = usual * np.where(during(4, 6), 0.7, 1.0) + noise
        (found,) = technical.blur_moments(sharpness, np.ones(250, dtype=bool), TIMES_S)
        assert (found.start_s, found.end_s) == (4.0, 6.0)
        assert found.value == pytest.approx(0.7 * usual, abs=0.02)
    seen = ~during(4, 6)  # black
    assert technical.blur_moments(np.where(seen, 0.5, NAN), seen, TIMES_S) == ()
    assert technical.blur_moments(np.where(during(4, 4.2), 0.2, 0.5), seen | True, TIMES_S) == ()


def test_flicker_is_named_where_it_flickers() -> None:
    luma = 100 + np.where(during(5, 7), 10.0 * (np.arange(250) % 2), 0.0)
    (found,) = technical.flicker_moments(luma, TIMES_S)
    assert (found.start_s, found.end_s) == (pytest.approx(5, abs=0.15), pytest.approx(7, abs=0.15))
    assert found.value == pytest.approx(100 * 10 / 255)
    assert technical.flicker_moments(np.where(TIMES_S < 3, 20.0, 200.0), TIMES_S) == ()  # a cut
    assert technical.flicker_moments(luma[:2], TIMES_S[:2]) == ()


def test_clipped_and_silent_stretches_of_sound() -> None:
    steps_s = np.arange(100) / 10
    n_clipped = np.where((steps_s >= 2) & (steps_s < 4) & (np.arange(100) % 4 < 2), 300.0, 2.0)
    (found,) = technical.clipped_moments(n_clipped, np.full(100, 4800.0), steps_s)
    assert (found.start_s, found.end_s) == (pytest.approx(2.0), pytest.approx(3.8))
    assert found.value == pytest.approx(300 / 4800)
    power = np.where((steps_s >= 5) & (steps_s < 7), 1e-12, 0.01)
    power[:3] = power[-20:] = power[30:37] = 0.0  # before, after, and a pause between sentences
    (gap,) = technical.silent_moments(power, steps_s)
    assert gap == (pytest.approx(5.0), pytest.approx(7.0), pytest.approx(-120.0, abs=1))
    assert technical.silent_moments(np.zeros(100), steps_s) == ()
