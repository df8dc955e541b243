"""Shares of the same clips, before and after."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.shares import compare_shares


@pytest.mark.parametrize(("n_lost", "n_gained"), [(0, 0), (5, 0), (8, 0), (10, 2), (1, 9), (25, 12)])
def test_p_is_the_binomial_tail_of_the_pairs_that_changed(n_lost: int, n_gained: int) -> None:
    statsmodels = pytest.importorskip("statsmodels.stats.contingency_tables")
    table = [[7, n_lost], [n_gained, 11]]
    before = np.array([True] * (7 + n_lost) + [False] * (n_gained + 11))
    after = np.array([True] * 7 + [False] * n_lost + [True] * n_gained + [False] * 11)
    found = compare_shares(before, after)
    assert (found.n, found.n_lost, found.n_gained) == (18 + n_lost + n_gained, n_lost, n_gained)
    assert found.p == pytest.approx(statsmodels.mcnemar(table, exact=True).pvalue)


def test_by_hand() -> None:
    before = np.array([True] * 6 + [False] * 3)
    after = np.array([False] * 5 + [True] * 4)
    # 5 lost, 3 gained, 1 kept: of 8, P(at most 3) = (1 + 8 + 28 + 56) / 256 = 93 / 256, twice
    assert compare_shares(before, after).p == pytest.approx(2 * 93 / 256)


def test_pairs_of_one_unit_count_once() -> None:
    before, after = np.ones(12, dtype=bool), np.zeros(12, dtype=bool)
    six = {"portrait": [f"p{index // 2}" for index in range(12)], "speech": list(range(12))}
    assert compare_shares(before, after, six).p == 2 * 0.5**6
    one = {"portrait": ["ann"] * 12, "speech": ["hello"] * 12, "seed": [1] * 12}
    assert compare_shares(before, after, one).p == 1.0  # one draw twelve times


def test_units_that_cannot_be_counted_show_nothing() -> None:
    before, after = np.ones(36, dtype=bool), np.zeros(36, dtype=bool)
    crossed = {"portrait": [index % 6 for index in range(36)], "speech": [index // 6 for index in range(36)]}
    found = compare_shares(before, after, crossed)
    assert (found.n_lost, found.p) == (36, 1.0)
    assert found.reason is not None
    assert "share portrait and speech crosswise" in found.reason
    assert compare_shares(before, after, crossed, given=["portrait"]).p == 2 * 0.5**6


def test_no_pair_shows_nothing() -> None:
    nothing = np.zeros(0, dtype=bool)
    assert compare_shares(nothing, nothing).p == 1.0


def test_the_level_is_held_with_portraits_that_differ_for_all_their_clips() -> None:
    rng = np.random.default_rng(0)
    n_false = 0
    factors = {"portrait": np.repeat(np.arange(10), 5).tolist()}
    for _ in range(400):
        chance = rng.uniform(0, 1, (2, 10))  # of a portrait's clips being within the limits, on each side
        before, after = (rng.random(50) < np.repeat(side, 5) for side in chance)
        n_false += compare_shares(before, after, factors).p <= 0.05
    assert n_false <= 30  # 20 of 400 are allowed
