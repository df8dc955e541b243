"""Seams, periods and drifts of signals with planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics import stability
from evalkit.metrics.stability import Drift, find_period, find_seams, jump_scores
from evalkit.types import FloatArray

FPS = 25
RANDOM_SEED = 3


def movement(n: int, random: np.random.Generator, reach_hz: float = 3.0) -> FloatArray:
    """Return steps of a head that moves below a frequency, about 0.5 a frame, and noise of 0.02."""
    spectrum = np.fft.rfft(random.normal(size=(n, 2)), axis=0)
    spectrum[np.fft.rfftfreq(n, 1 / FPS) > reach_hz] = 0
    smooth = np.fft.irfft(spectrum, n, axis=0)
    return 0.5 * smooth / smooth.std() + 0.02 * random.normal(size=(n, 2))


@pytest.mark.parametrize("is_smooth", [False, True])
def test_a_jump_stands_out_of_a_quiet_head(is_smooth: bool) -> None:
    random = np.random.default_rng(RANDOM_SEED)
    changes = 0.005 * random.normal(size=(500, 2))
    changes[[100, 300]] += [0.6, 0.8]
    scores = jump_scores(np.arange(500) / FPS, changes, 0.1, is_smooth=is_smooth)
    assert sorted(np.argsort(scores)[-2:].tolist()) == [100, 300]
    assert scores[[100, 300]] == pytest.approx(10.0, rel=0.1)  # 1.0 over the floor of 0.1
    assert np.sort(scores)[-3] < 1.5


def test_a_moving_head_has_no_seam_and_a_jump_of_twice_its_speed_is_one() -> None:
    random = np.random.default_rng(RANDOM_SEED)
    changes = movement(3000, random)
    times_s = np.arange(3000) / FPS
    assert jump_scores(times_s, changes, 0.1, is_smooth=True).max() < stability.SEAM_SCORE
    changes[1500] += [1.0, 0.0]
    scores = jump_scores(times_s, changes, 0.1, is_smooth=True)
    assert scores.argmax() == 1500
    assert scores[1500] > stability.SEAM_SCORE


def test_a_turn_that_sets_in_and_goes_on_is_no_seam() -> None:
    changes = np.zeros((200, 1))
    changes[100:112, 0] = 3.0
    assert jump_scores(np.arange(200) / FPS, changes, 0.1, is_smooth=True).max() < 2.1
    assert jump_scores(np.arange(200) / FPS, changes, 0.1).max() <= 1.0


def test_what_comes_and_goes_at_once_is_flicker_and_no_seam() -> None:
    changes = np.zeros((200, 1))
    changes[100:102, 0] = 3.0, -3.0
    assert jump_scores(np.arange(200) / FPS, changes, 0.1).max() <= 1.0
    assert jump_scores(np.arange(200) / FPS, changes, 0.1, is_smooth=True).max() < stability.SEAM_SCORE


def test_a_change_counts_less_the_more_time_it_had() -> None:
    changes = np.full((100, 1), 0.01)
    changes[50] = 1.0
    times_s = np.arange(100) / FPS
    times_s[50:] += 3 / FPS  # three pictures that repeat the one before were left out
    for is_smooth in (False, True):
        scores = jump_scores(times_s, changes, 0.1, is_smooth=is_smooth)
        assert scores[50] == pytest.approx(
            2.4, abs=0.1
        )  # a quarter of 1.0 less what is usual, over the floor


def test_what_is_not_known_is_no_seam_and_hides_its_neighbours() -> None:
    changes = np.zeros((60, 1))
    changes[[20, 40]] = 5.0
    changes[21] = np.nan
    scores = jump_scores(np.arange(60) / FPS, changes, 0.1)
    assert np.isfinite(scores).all()
    assert scores[20] == scores[21] == scores[22] == 0.0
    assert scores[40] > 10


def test_few_pictures_have_no_scores() -> None:
    for n in range(7):
        assert jump_scores(np.arange(float(n)), np.ones((n, 1)), 0.1).tolist() == [0.0] * n
        assert jump_scores(np.arange(float(n)), np.ones((n, 1)), 0.1, is_smooth=True).tolist() == [0.0] * n


@pytest.mark.parametrize("period_frames", [16, 48, 81, 100])
def test_the_period_of_seams_is_found_with_some_missed_and_one_too_many(period_frames: int) -> None:
    frames = np.arange(1, 13) * period_frames
    seen = np.delete(frames, [3, 8])
    period = find_period(
        np.sort(np.append(seen, 5.4 * period_frames)) / FPS, 1 / FPS, 13 * period_frames / FPS
    )
    assert period is not None
    assert period.period_s == pytest.approx(period_frames / FPS)


def test_four_seams_are_enough_and_three_are_not() -> None:
    seams_s = np.array([48, 96, 144, 192, 240]) / FPS
    found = find_period(seams_s[:4], 1 / FPS, 9.6)
    assert found is not None
    assert (round(found.period_s, 6), found.n_regular) == (1.92, 3)
    assert find_period(seams_s[:3], 1 / FPS, 9.6) is None


def test_seams_at_random_have_a_period_as_seldom_as_is_said() -> None:
    random = np.random.default_rng(RANDOM_SEED)
    n_found = 0
    for _ in range(500):
        n = int(random.integers(4, 12))
        frames = np.sort(random.choice(np.arange(5, 500), n, replace=False))
        n_found += find_period(frames / FPS, 1 / FPS, 20.0) is not None
    assert n_found <= 10  # one in a hundred, and what chance adds


def test_where_seams_are_regular_a_weak_one_counts_and_elsewhere_it_does_not() -> None:
    scores = np.full(400, 0.3)
    scores[[48, 96, 144, 192, 288]] = 5.0
    scores[[240, 336, 300]] = 2.0
    seams, period = find_seams(np.arange(400) / FPS, scores, 1 / FPS)
    assert seams.tolist() == [48, 96, 144, 192, 240, 288, 336]
    assert period is not None
    assert period.period_s == pytest.approx(1.92)
    scores[[48, 96, 144, 192, 288]] = 0.3
    assert find_seams(np.arange(400) / FPS, scores, 1 / FPS)[0].size == 0


def drifting(
    n_s: int, rate: float, correlation: float, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return times twice a second and a signal whose noise resembles itself from one block of two seconds to the next."""
    times_s = np.arange(0, n_s, 0.5)
    noise = np.empty(times_s.size)
    step = correlation**0.25
    noise[0] = random.normal()
    for i in range(1, times_s.size):
        noise[i] = step * noise[i - 1] + np.sqrt(1 - step**2) * random.normal()
    return times_s, noise + rate * times_s / 60


@pytest.mark.parametrize(("n_s", "correlation", "n_clips"), [(30, 0.3, 400), (60, 0.5, 400), (180, 0.5, 150)])
def test_the_interval_of_a_drift_holds_the_truth(n_s: int, correlation: float, n_clips: int) -> None:
    random = np.random.default_rng(RANDOM_SEED)
    held = []
    for _ in range(n_clips):
        times_s, values = drifting(n_s, 0.7, correlation, random)
        drift = stability.drift_per_min(times_s, values[:, None])
        assert drift is not None
        held.append(drift.lows[0] <= 0.7 <= drift.highs[0])
    assert 0.92 <= np.mean(held) <= 0.995


def test_three_signals_share_the_error() -> None:
    random = np.random.default_rng(RANDOM_SEED)
    held = []
    for _ in range(300):
        signals = [drifting(60, 0.0, 0.4, random) for _ in range(3)]
        drift = stability.drift_per_min(signals[0][0], np.stack([v for _, v in signals], axis=1))
        assert drift is not None
        held.append(((drift.lows <= 0) & (drift.highs >= 0)).all())
    assert 0.93 <= np.mean(held) <= 0.995


def test_a_person_who_leaves_for_a_while_moves_no_slope() -> None:
    times_s = np.arange(0, 120, 0.5)
    values = 50 + 2.0 * times_s / 60
    values[(times_s > 40) & (times_s < 52)] -= 30  # a tenth of the time something else is there
    drift = stability.drift_per_min(times_s, values[:, None])
    assert drift is not None
    assert drift.slopes[0] == pytest.approx(2.0, abs=0.05)


def test_a_long_clip_has_the_slope_of_a_short_one() -> None:
    times_s = np.arange(0, 1800, 0.5)  # 900 blocks: not every pair is looked at
    wave = np.sin(times_s / 7)
    drift = stability.drift_per_min(times_s, (wave + 0.3 * times_s / 60)[:, None])
    assert drift is not None
    assert drift.n_blocks == 900
    assert drift.slopes[0] == pytest.approx(0.3, abs=0.01)


def test_too_few_blocks_have_no_drift() -> None:
    times_s = np.arange(0, 19.9, 0.5)
    assert stability.drift_per_min(times_s[:0], np.zeros((0, 1))) is None
    assert stability.drift_per_min(times_s[times_s < 18], np.zeros((36, 1))) is None
    sparse_s = np.arange(0.0, 60.0, 3.0)  # one moment a block says nothing of its median
    assert stability.drift_per_min(sparse_s, np.zeros((20, 1))) is None


def _drift(slopes: list[float], reach: float, middle: list[float]) -> Drift:
    mean = np.array(slopes)
    return Drift(mean, mean - reach, mean + reach, 10, np.arange(10.0), np.tile(middle, (10, 1)))


def test_a_drift_of_lightness_alone_is_that_of_the_published_formula() -> None:
    # At L* = 50 the weight of lightness is 1, and without chroma nothing else counts: ΔE00 = ΔL.
    value, interval = stability.color_drift_size(_drift([0.8, 0.0, 0.0], 0.0, [50.0, 0.0, 0.0]))
    assert value == pytest.approx(0.8, abs=1e-4)
    assert interval.low == pytest.approx(0.8, abs=1e-4)
    assert interval.high == pytest.approx(0.8, abs=1e-4)


def test_the_interval_of_a_color_drift_holds_0_only_where_each_slope_may_be_0() -> None:
    assert stability.color_drift_size(_drift([0.8, 0.0, 0.0], 1.0, [50.0, 0.0, 0.0]))[1].low == 0.0
    assert stability.color_drift_size(_drift([0.8, 0.0, 0.0], 0.5, [50.0, 0.0, 0.0]))[1].low == pytest.approx(
        0.3, abs=1e-3
    )


def test_what_goes_with_the_turn_of_the_head_is_taken_out_and_the_rest_stays() -> None:
    random = np.random.default_rng(RANDOM_SEED)
    pose_deg = 20 * random.normal(size=(500, 3))
    growth = np.linspace(0, 0.1, 500)
    shape = np.exp(
        0.3 + 0.2 * np.deg2rad(pose_deg[:, :1]) ** 2 - 0.1 * np.deg2rad(pose_deg[:, 1:2]) + growth[:, None]
    )
    rest = stability.without_pose(shape, pose_deg)[:, 0]
    assert np.corrcoef(rest, growth)[0, 1] > 0.99
    assert np.polyfit(growth, rest, 1)[0] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: jump_scores(np.arange(3.0), np.zeros((4, 1)), 1.0), "same time axis"),
        (lambda: jump_scores(np.arange(3.0), np.zeros((3, 1)), 0.0), "above 0"),
        (lambda: jump_scores(np.zeros(3), np.zeros((3, 1)), 1.0), "does not increase"),
        (lambda: find_period(np.array([1.0, 0.5]), 0.04, 9.0), "does not increase"),
        (lambda: find_seams(np.arange(2.0), np.array([1.0, np.nan]), 0.04), "not finite"),
        (lambda: stability.drift_per_min(np.arange(2.0), np.array([[1.0], [np.inf]])), "not finite"),
        (lambda: stability.without_pose(np.zeros((2, 1)), np.zeros((3, 2))), "same time axis"),
    ],
)
def test_what_makes_no_sense_is_refused(call, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
