"""The share of bad clips: exact for independent clips, and honest for clips that resemble each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from evalkit.analysis.reducers import ReductionContext, bad_share
from evalkit.stats.means import fit_mean
from evalkit.stats.shares import effective_number, share_bounds
from evalkit.testing.tables import ERROR, OFFSET

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

BEYOND = (-math.inf, 0.5)
ALPHA = 0.05


def context(
    factors: Mapping[str, Sequence[Hashable]] | None = None, given: tuple[str, ...] = ()
) -> ReductionContext:
    return ReductionContext(ERROR, BEYOND, factors or {}, given, ALPHA)


@pytest.mark.parametrize(("n_bad", "n"), [(0, 29), (3, 40), (12, 12)])
def test_independent_clips_have_the_exact_interval(n_bad: int, n: int) -> None:
    found = bad_share(np.repeat([0.9, 0.1], [n_bad, n - n_bad]), context())
    exact = binomtest(n_bad, n).proportion_ci(1 - 2 * ALPHA, method="exact")
    assert found.value == pytest.approx(n_bad / n)
    assert found.interval == pytest.approx((exact.low, exact.high))
    assert found.n == n


def test_the_limit_itself_is_not_bad_and_zero_has_two_bad_sides() -> None:
    assert bad_share(np.array([0.5, 0.5 + 1e-9, 0.4, 0.3, 0.1]), context()).value == pytest.approx(0.2)
    sides = ReductionContext(OFFSET, (-125, 125))
    assert bad_share(np.array([-130.0, 130.0, 0.0, 100.0]), sides).value == pytest.approx(0.5)


def test_clips_of_a_portrait_that_are_alike_count_once() -> None:
    portraits = {"portrait": np.repeat(np.arange(10), 6).tolist()}
    alike = np.repeat([0.9] * 3 + [0.1] * 7, 6)
    found = bad_share(alike, context(portraits)).interval
    ten = binomtest(3, 10).proportion_ci(1 - 2 * ALPHA, method="exact")
    assert found is not None
    assert found.low < ten.low
    assert found.high > ten.high
    mixed = np.random.default_rng(1).permutation(alike)
    narrower = bad_share(mixed, context(portraits)).interval
    assert narrower is not None
    assert narrower.high < found.high


def test_clips_that_are_all_good_count_as_often_as_there_are_units() -> None:
    crossed = {"portrait": [i % 4 for i in range(60)], "speech": [i // 4 for i in range(60)]}
    assert bad_share(np.full(60, 0.1), context(crossed)).interval == pytest.approx((0, 1 - 0.05**0.25))
    given = bad_share(np.full(60, 0.1), context(crossed, ("portrait",))).interval
    assert given == pytest.approx((0, 1 - 0.05 ** (1 / 15)))


def test_few_portraits_have_no_interval_and_nothing_no_value() -> None:
    crossed = {"portrait": [i % 2 for i in range(40)], "speech": [i // 2 for i in range(40)]}
    found = bad_share(np.full(40, 0.1), context(crossed))
    assert (found.value, found.interval) == (0.0, None)
    assert "this cannot be known from 2 portraits" in str(found.reason)
    assert bad_share(np.empty(0), context()).reason == "nothing was measured"
    assert "needs a limit" in str(bad_share(np.ones(9), ReductionContext(ERROR)).reason)


def test_a_share_at_the_limit_is_claimed_to_be_below_it_no_more_often_than_promised() -> None:
    """Portraits that are nearly all good or nearly all bad, one in ten bad; counted as independent they claim six times as often."""
    draws, portraits = np.random.default_rng(7), np.repeat(np.arange(12), 20)
    n_claims, n_naive, n_runs = 0, 0, 500
    for _ in range(n_runs):
        bad = draws.random((12, 20)) < draws.beta(0.2, 1.8, 12)[:, None]
        found = bad_share(bad.ravel().astype(float), context({"portrait": portraits.tolist()})).interval
        n_claims += found is not None and found.high < 0.1
        n_naive += share_bounds(float(bad.sum()), 240, ALPHA)[1] < 0.1
    assert n_claims / n_runs <= 0.05
    assert n_naive / n_runs > 0.2


def test_the_effective_number_never_exceeds_the_clips() -> None:
    bad = np.array([1.0, 0.0] * 10)  # every pair the same: units resemble each other more than by chance
    fit = fit_mean(bad, {"portrait": np.repeat(np.arange(10), 2).tolist()})
    assert effective_number(fit, ALPHA) <= 20
