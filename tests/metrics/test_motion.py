"""The mathematics of motion, on signals whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.metrics import motion
from evalkit.types import Moment

GRID_S = np.arange(500) / 50.0


def bell() -> np.ndarray:
    return np.exp(-5.0 * np.arange(-1.0, 1.0, 0.01) ** 2)


def test_published_values():
    """The values that siva82kb/smoothness prints for this movement."""
    assert motion.spectral_arc_length(bell(), 100.0) == pytest.approx(-1.41403, abs=5e-6)
    assert motion.log_dimensionless_jerk(bell(), 100.0) == pytest.approx(-5.81636, abs=5e-6)
    assert motion.dimensionless_jerk(bell(), 100.0) == pytest.approx(-335.74684, abs=5e-6)


@given(scale=st.floats(1e-3, 1e3))
def test_scale_of_speed_does_not_matter(scale: float):
    assert motion.spectral_arc_length(scale * bell(), 100.0) == pytest.approx(
        motion.spectral_arc_length(bell(), 100.0), rel=1e-9
    )
    assert motion.dimensionless_jerk(scale * bell(), 100.0) == pytest.approx(
        motion.dimensionless_jerk(bell(), 100.0), rel=1e-9
    )


def test_dimensionless_jerk_by_hand():
    # speed 0 1 0 at 1 Hz: second difference -2, so sum of squares 4; duration 3 s, cubed 27; peak 1
    assert motion.dimensionless_jerk(np.array([0.0, 1.0, 0.0]), 1.0) == pytest.approx(-108.0)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_added_tremor_is_less_smooth(seed: int):
    tremor = np.random.default_rng(seed).normal(size=200)
    jerks = [motion.log_dimensionless_jerk(bell() + a * tremor, 100.0) for a in (0.0, 0.01, 0.05, 0.2)]
    assert jerks == sorted(jerks, reverse=True)


@pytest.mark.parametrize(
    ("speed", "match"),
    [(np.zeros(50), "not all zero"), (np.ones(1), "at least two")],
)
def test_spectral_arc_length_refuses(speed: np.ndarray, match: str):
    with pytest.raises(ValueError, match=match):
        motion.spectral_arc_length(speed, 100.0)


def test_spectral_arc_length_refuses_a_cutoff_beyond_nyquist():
    with pytest.raises(ValueError, match="above half the rate of 15"):
        motion.spectral_arc_length(bell(), 15.0)


def test_a_straight_line_has_no_logarithm_of_jerk():
    with pytest.raises(ValueError, match="straight line"):
        motion.log_dimensionless_jerk(np.ones(10), 10.0)


def test_dimensionless_jerk_refuses_two_samples():
    with pytest.raises(ValueError, match="at least three"):
        motion.dimensionless_jerk(np.ones(2), 10.0)


def test_by_hand():
    right, down, up = [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]
    angles, usable = motion.angles_between_deg(np.array([right, right, down]), np.array([down, up, up]))
    assert np.abs(angles) == pytest.approx([90.0, 90.0, 180.0])
    assert np.sign(angles[:2]).tolist() == [1.0, -1.0]
    assert usable.all()


@given(
    turn=st.floats(-3.0, 3.0),
    scale=st.floats(0.1, 100.0),
    seed=st.integers(0, 1000),
)
def test_turning_and_scaling_the_picture_does_not_matter(turn: float, scale: float, seed: int):
    first, second = np.random.default_rng(seed).uniform(1.0, 2.0, size=(2, 5, 2))
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    before, _ = motion.angles_between_deg(first, second)
    after, _ = motion.angles_between_deg(first @ rotation.T, second @ rotation.T)
    assert after == pytest.approx(before, abs=1e-6)


def test_a_limb_that_points_at_the_camera_has_no_angle():
    first = np.tile([10.0, 0.0], (5, 1))
    second = np.array([[0.0, 10.0], [0.0, 10.0], [0.0, 1.0], [np.nan, np.nan], [0.0, 10.0]])
    _, usable = motion.angles_between_deg(first, second)
    assert usable.tolist() == [True, True, False, False, True]


def test_holes_do_not_count():
    times_s = np.delete(np.arange(100) / 30.0, [10, 11, 50])
    assert motion.frame_rate_hz(times_s) == pytest.approx(30.0)


def test_refuses_one_frame():
    with pytest.raises(ValueError, match="two frames"):
        motion.frame_rate_hz(np.zeros(1))


def test_missing_frames_never_close_up_time():
    times_s = np.arange(251) / 25.0
    angles = 10.0 * np.sin(2 * np.pi * 0.7 * times_s)
    usable = np.random.default_rng(0).random(251) > 0.3
    usable[[0, -1]] = True
    on_grid = motion.on_grid(times_s, angles, usable, GRID_S)
    truth = 10.0 * np.sin(2 * np.pi * 0.7 * GRID_S)
    followed = np.isfinite(on_grid)
    assert followed.mean() > 0.9
    assert np.abs(on_grid - truth)[followed].max() < 0.5


def test_a_long_gap_stays_open():
    times_s = np.arange(251) / 25.0
    usable = (times_s < 3.0) | (times_s > 5.0)
    on_grid = motion.on_grid(times_s, times_s, usable, GRID_S)
    assert np.isnan(on_grid[(GRID_S > 3.0) & (GRID_S < 5.0)]).all()
    assert on_grid[GRID_S > 5.05] == pytest.approx(GRID_S[GRID_S > 5.05])


def test_a_turn_through_half_a_circle_makes_no_jump():
    times_s = np.arange(251) / 25.0
    wrapped = (170.0 + 5.0 * times_s + 180.0) % 360.0 - 180.0
    on_grid = motion.on_grid(times_s, wrapped, np.ones(251, dtype=bool), GRID_S)
    assert np.diff(on_grid) == pytest.approx(np.full(499, 0.1))


@pytest.mark.parametrize("n_usable", [0, 1, 3])
def test_too_little_is_not_followed(n_usable: int):
    times_s = np.arange(50) / 25.0
    assert np.isnan(motion.on_grid(times_s, times_s, np.arange(50) < n_usable, GRID_S)).all()


def test_a_frame_shown_for_an_instant_does_not_make_the_curve_swing():
    times_s = np.sort(np.append(np.arange(251) / 25.0, 4.0005))
    angles = np.where(times_s == 4.0005, 1.0, 0.0)
    on_grid = motion.on_grid(times_s, angles, np.ones(252, dtype=bool), GRID_S)
    assert np.abs(on_grid).max() <= 1.0


@pytest.mark.parametrize("rate_hz", [15.0, 25.0, 30.0, 50.0, 60.0])
def test_mean_speed_of_a_sine_is_known_at_every_frame_rate(rate_hz: float):
    # the mean of |d/dt A sin(2 pi f t)| is 4 A f
    times_s = np.arange(int(10 * rate_hz) + 1) / rate_hz
    angles = 10.0 * np.sin(2 * np.pi * 1.0 * times_s)
    on_grid = motion.on_grid(times_s, angles, np.ones(times_s.size, dtype=bool), GRID_S)
    speeds = motion.angular_speeds_deg_s(on_grid, 50.0, cutoff_hz=6.0)
    assert np.nanmean(speeds) == pytest.approx(40.0, rel=0.02)


def test_is_unknown_where_the_angle_is():
    angles = np.sin(GRID_S)
    angles[100:120] = np.nan
    angles[:5] = np.nan
    angles[7] = np.nan  # leaves a stretch too short to be filtered
    speeds = motion.angular_speeds_deg_s(angles, 50.0, cutoff_hz=6.0)
    assert np.isnan(speeds[:8]).all()
    assert np.isnan(speeds[100:120]).all()
    assert np.isfinite(speeds[8:100]).all()


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 50.0, 60.0])
def test_tremor_of_known_power_at_every_frame_rate(rate_hz: float):
    # speed of A sin(2 pi f t): amplitude 2 pi f A, power half its square
    times_s = np.arange(int(2 * rate_hz) + 1) / rate_hz
    angles = 20.0 * np.sin(2 * np.pi * 1.0 * times_s) + 0.5 * np.sin(2 * np.pi * 8.0 * times_s)
    assert motion.speed_power(angles, rate_hz, 6.0, 10.0) == pytest.approx(
        (2 * np.pi * 8.0 * 0.5) ** 2 / 2, rel=0.01
    )
    assert motion.speed_power(angles, rate_hz, 0.0, 6.0) == pytest.approx(
        (2 * np.pi * 1.0 * 20.0) ** 2 / 2, rel=0.01
    )


def test_a_steady_turn_is_no_tremor():
    assert motion.speed_power(30.0 * np.arange(50) / 25.0, 25.0, 6.0, 10.0) == pytest.approx(0.0, abs=1e-9)


def test_repeats_are_still_pictures_and_dips():
    changes = np.array([255.0, 20.0, 22.0, 2.0, 25.0, 0.4, 0.3, 0.5, 0.2, 30.0, 21.0, 12.0, 90.0, 80.0])
    repeats = motion.find_repeats(changes, still_change=1.0)
    # 2.0 is a dip between 20 and 25; 0.2 to 0.5 is still; 12 beside 90 is a slow picture, not a repeat
    assert np.flatnonzero(repeats).tolist() == [3, 5, 6, 7, 8]


def test_a_slow_scene_is_no_repeat():
    assert not motion.find_repeats(np.full(50, 1.5), still_change=1.0).any()


def test_leaving_out_and_repeating_frames_is_the_same_freeze():
    times_s = np.arange(100) / 25.0
    frozen = (np.arange(100) >= 40) & (np.arange(100) < 60)
    repeated = motion.still_time_s(times_s, frozen, np.ones(100, dtype=bool))
    left_out = motion.still_time_s(times_s[~frozen], np.zeros(80, dtype=bool), np.ones(80, dtype=bool))
    assert repeated == pytest.approx((20 / 25.0, 99 / 25.0))
    assert left_out == pytest.approx(repeated)


@given(shares=st.lists(st.floats(0.0, 0.9), min_size=2, max_size=2).map(sorted), seed=st.integers(0, 100))
def test_more_dropped_frames_freeze_more(shares: list[float], seed: int):
    times_s = np.arange(100) / 25.0
    luck = np.random.default_rng(seed).random(100)
    less, more = (motion.still_time_s(times_s, luck < share, luck >= 0)[0] for share in shares)
    assert less <= more


def test_unobserved_time_neither_stands_still_nor_moves():
    times_s = np.arange(100) / 25.0
    repeats, observed = np.arange(100) >= 50, np.arange(100) < 75
    assert motion.still_time_s(times_s, repeats, observed) == pytest.approx((25 / 25.0, 74 / 25.0))
    assert motion.still_time_s(times_s, repeats, np.zeros(100, dtype=bool)) == (0.0, 0.0)


@given(
    n_samples=st.integers(0, 3000),
    rate_hz=st.sampled_from([25.0, 50.0]),
    length_s=st.sampled_from([2.0, 10.0]),
)
def test_cover_everything_with_one_length(n_samples: int, rate_hz: float, length_s: float):
    parts = motion.windows(n_samples, rate_hz, length_s)
    covered = np.zeros(n_samples, dtype=bool)
    for part in parts:
        covered[part] = True
    assert covered.all()
    assert {part.stop - part.start for part in parts} <= {min(n_samples, round(rate_hz * length_s))}
    assert len(parts) == -(-n_samples // round(rate_hz * length_s))


def test_sums_without_anything_measured_have_no_value():
    nothing = motion.WindowSums(np.zeros(3), np.zeros(3))
    assert nothing.value is None
    assert nothing.n == 0


def test_sums():
    sums = motion.WindowSums(np.array([1.0, 0.0, 5.0]), np.array([2.0, 0.0, 1.0]))
    assert sums.value == pytest.approx(2.0)
    assert sums.n == 2


def test_a_freeze_is_named_and_a_lower_frame_rate_is_none():
    times_s = np.arange(300) / 30
    everywhere = np.ones(300, dtype=bool)
    changes = np.full(300, 20.0)
    changes[91:151] = 0.0
    (found,) = motion.freeze_moments(times_s, changes, everywhere, still_change=1.0)
    assert (found.start_s, found.end_s) == (pytest.approx(3, abs=0.15), pytest.approx(5, abs=0.15))
    assert found.value == pytest.approx(1)
    for every in (2, 5):  # 15 frames a second, 24 frames a second
        repeated = np.where(np.arange(300) % every == 0, 0.0, 20.0)
        assert motion.freeze_moments(times_s, repeated, everywhere, still_change=1.0) == ()
    assert motion.freeze_moments(times_s, changes, ~everywhere, still_change=1.0) == ()


@pytest.mark.parametrize("start_s", [0.0, 4.3, 7.5])
def test_a_tremble_is_named_where_it_trembles(start_s: float):
    times_s = np.arange(250) / 25
    noise = np.random.default_rng(2).normal(0, 0.05, 250)
    head = 6 * np.sin(2 * np.pi * 0.4 * times_s) + noise
    trembling = (times_s >= start_s) & (times_s < start_s + 2.5)
    angles = {
        "head": head + np.where(trembling, 1.5 * np.sin(2 * np.pi * 8 * times_s), 0.0),
        "neck": 0.3 * head,
    }
    (found,) = motion.tremor_moments(angles, 25.0, 0.0)
    shared = min(found.end_s, start_s + 2.5) - max(found.start_s, start_s)
    assert shared / (max(found.end_s, start_s + 2.5) - min(found.start_s, start_s)) > 0.7
    assert found.value > 0.5
    assert motion.tremor_moments({"head": head}, 25.0, 0.0) == ()


def test_landmarks_that_tremble_all_the_time_name_no_moment():
    noise = np.random.default_rng(3).normal(0, 1.5, 500)
    assert motion.tremor_moments({"head": noise}, 25.0, 0.0) == ()


def test_the_course_of_tremor_is_that_of_the_ratio():
    """In a window of one length both are the power in the band over all."""
    times_s = np.arange(51) / 25
    angle = np.sin(2 * np.pi * times_s) + 0.5 * np.sin(2 * np.pi * 8 * times_s)
    _, tremor, whole = motion.tremor_course({"head": angle}, 25.0)
    whole_clip = motion.jitter_ratio({"head": angle[:50]}, 25.0).value
    assert tremor / whole == pytest.approx(whole_clip, rel=0.1)


def test_rough_windows_are_named():
    sums = motion.WindowSums(np.array([-8.0, -14.0, 0.0, -3.0]), np.array([2.0, 2.0, 0.0, 1.0]))
    found = motion.rough_moments(sums, np.array([0.0, 2.0, 4.0, 6.0]), 2.0, -6.0)
    assert found == (Moment(2.0, 4.0, -7.0),)
