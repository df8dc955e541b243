"""The mathematics of expression, on planted blinks, nods, smiles and gazes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.metrics import expression


def eye(times_s: np.ndarray, blinks: list[tuple[float, float]], *, depth: float = 0.8) -> np.ndarray:
    """Return openness 0.3 with raised-cosine closures of (middle, full width at half depth) seconds."""
    openness = np.full(times_s.size, 0.3)
    for middle_s, width_s in blinks:
        phase = np.clip((times_s - middle_s) / width_s, -1.0, 1.0)
        openness *= 1.0 - depth * (1.0 + np.cos(np.pi * phase)) / 2
    return openness


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 60.0])
def test_planted_blinks_are_found_at_every_frame_rate(fps: float):
    times_s = np.arange(int(20 * fps)) / fps
    planted = [(2.0, 0.15), (5.3, 0.12), (5.9, 0.2), (11.11, 0.3), (18.0, 0.1)]
    noise = np.random.default_rng(0).normal(0.0, 0.005, times_s.size)
    found = expression.find_blinks(times_s, eye(times_s, planted) + noise)
    assert found == pytest.approx([middle for middle, _ in planted], abs=1.5 / fps)


@settings(max_examples=25)
@given(size=st.floats(0.3, 3.0), seed=st.integers(0, 1000))
def test_scale_of_openness_does_not_matter(size: float, seed: int):
    times_s = np.arange(500) / 25.0
    openness = eye(times_s, [(4.0, 0.15), (12.0, 0.2)])
    openness = openness + np.random.default_rng(seed).normal(0.0, 0.004, 500)
    assert expression.find_blinks(times_s, size * openness).tolist() == (
        expression.find_blinks(times_s, openness).tolist()
    )


def test_half_blinks_count():
    times_s = np.arange(250) / 25.0
    assert expression.find_blinks(times_s, eye(times_s, [(5.0, 0.15)], depth=0.32)).size == 1


def test_a_closure_of_one_frame_counts():
    times_s = np.arange(250) / 25.0
    openness = np.full(250, 0.3)
    openness[100] = 0.1
    assert expression.find_blinks(times_s, openness) == pytest.approx([4.0])


def test_squint_drift_and_long_closure_are_no_blinks():
    times_s = np.arange(500) / 25.0
    squint = eye(times_s, [(10.0, 0.2)], depth=0.15)
    drift = 0.3 - 0.1 * times_s / 20.0
    closed_for_a_second = np.where((times_s > 8.0) & (times_s < 9.0), 0.05, 0.3)
    for openness in (squint, drift, closed_for_a_second):
        assert expression.find_blinks(times_s, openness).size == 0


def test_blinks_on_a_drift_are_found():
    times_s = np.arange(500) / 25.0
    drift = 1.0 - 0.4 * times_s / 20.0
    assert expression.find_blinks(times_s, drift * eye(times_s, [(3.0, 0.15), (17.0, 0.15)])).size == 2


def test_noise_of_a_tiny_face_is_no_blink():
    times_s = np.arange(1500) / 25.0
    noisy = np.random.default_rng(3).normal(0.3, 0.035, 1500)
    assert expression.find_blinks(times_s, noisy).size <= 1


def test_missing_frames_never_make_a_blink():
    times_s = np.arange(500) / 25.0
    seen = (times_s < 5.0) | (times_s > 7.0)
    openness = np.where(times_s < 6.0, 0.3, 0.15)  # somebody else after the cut
    assert expression.find_blinks(times_s[seen], openness[seen]).size == 0


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_observations_hold_no_blink(n: int):
    assert expression.find_blinks(np.arange(n) / 25.0, np.full(n, 0.3)).size == 0


@pytest.mark.parametrize("fps", [15.0, 25.0, 60.0])
def test_planted_nods_are_counted(fps: float):
    times_s = np.arange(int(20 * fps)) / fps
    pitch = 5.0 * np.sin(2 * np.pi * 0.1 * times_s)  # a slow posture drift on top
    for middle_s in (3.0, 8.0, 14.0):
        pitch -= 6.0 * np.exp(-(((times_s - middle_s) / 0.2) ** 2))
    pitch += np.random.default_rng(0).normal(0.0, 0.2, times_s.size)
    assert expression.find_nods(times_s, pitch) == pytest.approx([3.0, 8.0, 14.0], abs=0.1)


def test_small_and_slow_movements_are_no_nods():
    times_s = np.arange(500) / 25.0
    small = 1.0 * np.sin(2 * np.pi * 1.0 * times_s)
    slow = 8.0 * np.sin(2 * np.pi * 0.15 * times_s)
    assert expression.find_nods(times_s, small + slow).size == 0


def test_nothing_observed():
    assert expression.find_nods(np.zeros(0), np.zeros(0)).size == 0


def test_speaking_does_not_widen_the_range():
    times_s = np.arange(500) / 25.0
    smile = np.where(times_s < 10.0, 0.0, 0.2)
    speaking = 0.1 * np.sin(2 * np.pi * 4.0 * times_s)
    levels = expression.smile_levels(times_s, smile + speaking)
    assert np.percentile(levels, 95) - np.percentile(levels, 5) == pytest.approx(0.2, abs=0.01)


def test_nothing_observed_for_smile():
    assert expression.smile_levels(np.zeros(0), np.zeros(0)).size == 0


def test_spread_of_a_sine_is_known():
    phase = 2 * np.pi * np.arange(1000) / 100.0
    rotations = np.stack([10 + 3 * np.sin(phase), 4 * np.sin(phase), 0 * phase], axis=1)
    # variances 3^2/2 and 4^2/2
    assert expression.rotation_spread_deg(rotations) == pytest.approx(np.sqrt((9 + 16) / 2))


def test_a_still_head_does_not_turn():
    assert expression.rotation_spread_deg(np.ones((1, 3))) == 0.0


def test_eyes_that_make_up_for_the_head_look_into_the_camera():
    # head 30 degrees to the right, eyes 30 degrees to the left: iris at -0.4 sin 30 = -0.2
    straight = np.array([0.0, 30.0, 30.0]), np.zeros(3)
    gaze_x = np.array([0.0, -0.2, 0.0])
    angles = expression.gaze_angles_deg(*straight, gaze_x, np.full(3, expression.LEVEL_GAZE_Y))
    assert angles == pytest.approx([0.0, 0.0, 30.0], abs=1e-9)
    assert expression.is_on_camera(angles).tolist() == [True, True, False]


def test_looking_down_with_a_raised_head_is_on_camera():
    # 10 degrees up; iris lower by 0.4 sin 10 = 0.0695
    low = np.array([expression.LEVEL_GAZE_Y + 0.4 * np.sin(np.radians(10.0))])
    assert expression.gaze_angles_deg(np.zeros(1), np.array([10.0]), np.zeros(1), low) == pytest.approx(
        [0.0], abs=1e-9
    )


def test_eyes_are_not_open_in_a_blink():
    times_s = np.arange(250) / 25.0
    is_open = expression.eyes_open(times_s, eye(times_s, [(5.0, 0.2)]))
    assert not is_open[times_s == 5.0].any()
    assert is_open[np.abs(times_s - 5.0) > 0.2].all()


def test_gaps_do_not_count():
    times_s = np.concatenate([np.arange(50) / 25.0, 10.0 + np.arange(25) / 25.0])
    assert expression.observed_time_s(times_s, 0.04) == pytest.approx(3.0)


def test_nothing_observed_for_observedtime():
    assert expression.observed_time_s(np.zeros(0), 0.04) == 0.0


@pytest.mark.parametrize("jitter_s", [0.0, 0.03])
def test_the_open_level_is_the_quartile_of_each_window(jitter_s: float):
    generator = np.random.default_rng(3)
    times_s = np.cumsum(0.04 + jitter_s * generator.random(3000))
    openness = generator.random(3000)
    half_s = expression.OPEN_LEVEL_S / 2
    windows = [openness[(times_s >= now_s - half_s) & (times_s <= now_s + half_s)] for now_s in times_s]
    expected = [np.quantile(window, 0.75) for window in windows]
    assert expression.open_level(times_s, openness).tolist() == expected
    assert expression.open_level(times_s[:0], openness[:0]).size == 0


def test_a_look_aside_is_named_and_a_glance_is_not():
    times_s = np.arange(250) / 25
    away = ((times_s >= 3) & (times_s < 5)) | ((times_s >= 7) & (times_s < 7.6))
    kept = (times_s < 3.8) | (times_s >= 4.1)  # a blink within
    (found,) = expression.look_away_moments(times_s[kept], np.where(away, 25.0, 4.0)[kept], 0.04)
    assert found == (pytest.approx(3.0), pytest.approx(5.0), 0.0)
    assert expression.look_away_moments(times_s[:0], times_s[:0], 0.04) == ()


def test_a_long_time_without_a_blink_is_named_and_one_without_a_face_is_not():
    times_s = np.arange(100 * 25) / 25
    found = expression.unblinking_moments(times_s, np.array([5.0, 10.0, 50.0, 70.0]))
    assert found == ((10.0, 50.0, 0.0),)
    gap = times_s[(times_s < 25) | (times_s > 30)]
    assert expression.unblinking_moments(gap, np.array([5.0, 10.0, 50.0, 70.0])) == ()
    assert expression.unblinking_moments(times_s[:0], np.zeros(0)) == ()
