"""Where opinions begin to fall: planted breaks are recovered, flat and straight worlds have none; tests against statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.linalg
import statsmodels.api as sm

from evalkit.stats.threshold import LEVEL, MIN_CLIPS, Break, _fit_last, _raise_residuals, find_break
from evalkit.types import FloatArray

N_WORLDS = 40


def world(
    seed: int, fall: str, *, n_settings: int = 8
) -> tuple[FloatArray, FloatArray, dict[str, list[int]]]:
    """Return delays in ms, opinions, and what the clips share: delays and opinions have noise of every kind.

    `fall` is ``flat``, ``straight`` (0.8 points each 100 ms) or ``break`` (1.5 points each 100 ms beyond 90 ms).
    """
    rng = np.random.default_rng(seed)
    portrait, speech, setting = np.array(
        list(itertools.product(range(6), range(5), range(n_settings))), dtype=int
    ).T
    delays = np.abs(
        25.0 * setting + 15.0 * rng.normal(size=6)[portrait] + 25.0 * rng.normal(size=setting.size)
    )
    opinions = 4.2 + 0.2 * rng.normal(size=6)[portrait] + 0.15 * rng.normal(size=5)[speech]
    opinions += 0.1 * rng.normal(size=n_settings)[setting] + 0.3 * rng.normal(size=setting.size)
    if fall == "straight":
        opinions -= 0.008 * delays
    if fall == "break":
        opinions -= 0.015 * np.maximum(0.0, delays - 90.0)
    factors = {"portrait": portrait, "speech": speech, "configuration": setting}
    return delays, opinions, {name: codes.tolist() for name, codes in factors.items()}


def played(fall: str) -> list[Break]:
    return [find_break(*world(seed, fall)) for seed in range(N_WORLDS)]


# planted truth


def test_a_planted_break_is_found_where_it_is() -> None:
    found = [one for one in played("break") if one.p <= LEVEL]
    assert len(found) >= 0.8 * N_WORLDS
    held = [one.interval is not None and one.interval.low <= 90.0 <= one.interval.high for one in found]
    assert sum(held) >= 0.9 * len(found)
    places = [one.place for one in found if one.place is not None]
    assert np.median(places) == pytest.approx(90.0, abs=8.0)


def test_its_cost_is_the_planted_one() -> None:
    held, n_found = 0, 0
    for seed in range(N_WORLDS):
        delays, opinions, factors = world(seed, "break")
        found = find_break(delays, opinions, factors)
        if found.p > LEVEL or found.place is None:
            continue
        n_found += 1
        true_fall = 0.015 * np.maximum(0.0, delays - 90.0)
        true_cost = true_fall[delays > found.place].mean() - true_fall[delays <= found.place].mean()
        assert found.cost.interval is not None
        held += found.cost.interval.low <= true_cost <= found.cost.interval.high
    assert n_found
    assert held >= 0.9 * n_found


@pytest.mark.parametrize("fall", ["flat", "straight"])
def test_where_there_is_none_none_is_found_in_95_of_100_worlds(fall: str) -> None:
    assert sum(one.p <= LEVEL for one in played(fall)) <= 5  # 2 expected


def test_better_opinions_further_out_are_no_objection() -> None:
    delays, opinions, factors = world(0, "break")
    assert find_break(delays, -opinions, factors).p > 0.5


def test_without_noise_the_break_is_exact() -> None:
    x = np.arange(0.0, 200.0, 5.0)
    found = find_break(x, 4.0 - 0.01 * np.maximum(0.0, x - 90.0) + 1e-6 * np.sin(x))
    assert found.place == pytest.approx(90.0, abs=0.5)
    assert found.level == pytest.approx(4.0, abs=1e-3)
    assert found.slope == pytest.approx(-0.01, abs=1e-4)
    # 0 to 90 are 19 values without a fall; 95 to 195 are 21 whose mean is 145: 0.01 * (145 - 90) = 0.55 points.
    assert found.cost.value == pytest.approx(0.55, abs=0.01)
    assert found.n_beyond == 21


# second implementations


def test_the_weight_and_its_error_are_those_of_a_regression_with_hc2() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    bend = np.maximum(0.0, x)
    fit = _fit_last(y, [x, bend], {}, ())
    theirs = sm.OLS(y, sm.add_constant(np.column_stack([x, bend]))).fit(cov_type="HC2")
    assert fit.mean == pytest.approx(theirs.params[2])
    # A mean's variance divides by n - 1 and is about the mean; HC2 does neither.
    assert fit.standard_error == pytest.approx(theirs.bse[2], rel=0.03)


def test_residuals_of_a_level_are_raised_by_the_root_of_what_the_line_leaves_of_them() -> None:
    # CR2 (Bell, McCaffrey 2002): (I - H)^(-1/2) times the residuals, H the level's own block of the projection.
    rng = np.random.default_rng(1)
    code = np.repeat(np.arange(5), 8)
    x, y = rng.normal(size=(2, 40))
    design = sm.add_constant(x)
    fit = sm.OLS(y, design).fit()
    projection = design @ np.linalg.inv(design.T @ design) @ design.T
    found = _raise_residuals(fit.resid, np.linalg.qr(design)[0], code)
    for level in range(5):
        own = np.ix_(code == level, code == level)
        root = scipy.linalg.inv(scipy.linalg.sqrtm(np.eye(8) - projection[own]))
        assert found[code == level] == pytest.approx(root @ fit.resid[code == level])


# refusals


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.arange(19.0), np.arange(19.0), f"19 of the {MIN_CLIPS} clips"),
        (np.repeat([0.0, 1.0], 15), np.arange(30.0), "too few different values"),
        (np.arange(30.0), np.full(30, 4.0), "the opinions are the same"),
    ],
)
def test_what_cannot_be_told_has_a_reason(x: FloatArray, y: FloatArray, reason: str) -> None:
    found = find_break(x, y)
    assert (found.place, found.interval, found.cost.value, found.p) == (None, None, None, 1.0)
    assert reason in str(found.reason)


def test_two_portraits_are_too_few() -> None:
    delays, opinions, factors = world(0, "break")
    assert "2 portraits" in str(
        find_break(delays, opinions, {**factors, "portrait": [k % 2 for k in factors["portrait"]]}).reason
    )
