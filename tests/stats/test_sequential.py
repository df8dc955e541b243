"""The sequential rule: its sign-flip test against all patterns and scipy, its looks, and what it must not claim."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, wilcoxon

from evalkit.stats.sequential import fewest_pairs, least_difference, plan_looks, sign_flip_tail

CONSTANT = np.full(12, 0.1)


@given(
    st.lists(st.integers(-9, 9), min_size=1, max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_the_tail_is_the_share_of_all_sign_patterns(values: list[int]) -> None:
    differences = np.array(values, dtype=float)
    patterns = np.array(list(product((-1, 1), repeat=len(values))))
    expected = np.mean(patterns @ np.abs(differences) >= differences.sum()) if differences.any() else 1.0
    assert sign_flip_tail(differences) == pytest.approx(expected)


def test_the_tail_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(0.3, 1.0, 11)
    found = permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    assert found.pvalue <= sign_flip_tail(differences) <= 1.05 * found.pvalue


def test_of_ranks_it_is_wilcoxon_s_test_also_of_many_pairs() -> None:
    rng = np.random.default_rng(4)
    signs = np.where(rng.random(45) < 0.75, 1.0, -1.0)
    ranks = signs * np.arange(1, 46)
    exact = wilcoxon(ranks, alternative="greater", method="exact").pvalue
    assert exact <= sign_flip_tail(ranks) <= 1.1 * exact


@given(st.integers(1, 400), st.floats(1e-5, 0.2))
@settings(max_examples=200, deadline=None)
def test_looks_grow_to_all_pairs_and_share_the_error(n_pairs: int, alpha: float) -> None:
    looks = plan_looks(n_pairs, alpha)
    numbers = [look.n for look in looks]
    assert numbers == sorted(set(numbers))
    assert not looks or numbers[-1] == n_pairs
    assert sum(look.alpha for look in looks) <= alpha * (1 + 1e-9)
    assert bool(looks) == (n_pairs >= fewest_pairs(alpha))


@given(st.integers(1, 30), st.floats(1e-4, 0.2), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_fewer_than_the_fewest_pairs_show_nothing(n: int, alpha: float, seed: int) -> None:
    differences = np.random.default_rng(seed).uniform(10.0, 11.0, n)
    is_shown = least_difference(differences, alpha) > 0
    assert is_shown == (n >= max(5, np.log2(1 / alpha)))


def test_two_heaps_do_not_look_like_a_certainty() -> None:
    """Six of six around +1 where -1 is as likely: once in 64, whatever Student's t says of so little spread."""
    heaps = np.array([1.0, 1.01, 0.99, 1.0, 1.02, 0.98])
    assert least_difference(heaps, 1 / 100) == -np.inf
    assert least_difference(heaps, 1 / 50) > 0.9


def test_what_one_portrait_alone_shows_is_no_evidence_of_others() -> None:
    """Five portraits; in one of them the first is far worse, in each of eight clips."""
    portraits = [name for name in "abcde" for _ in range(8)]
    rng = np.random.default_rng(0)
    differences = rng.normal(0.0, 0.1, 40) + np.array([3.0 if name == "a" else 0.0 for name in portraits])
    factors = {"portrait": portraits, "speech": [i % 8 for i in range(40)]}
    assert least_difference(differences, 0.01) > 0.0
    assert least_difference(differences, 0.01, factors) <= 0.0
    assert least_difference(differences, 0.01, factors, given=("portrait",)) > 0.0


def test_equal_differences_say_what_the_bounds_leave_open() -> None:
    assert least_difference(CONSTANT, 0.01) == -np.inf
    assert least_difference(CONSTANT, 0.01, bounds=(-1.0, 1.0)) < 0.0
    assert least_difference(CONSTANT, 0.01, bounds=(-0.01, 1.0)) > 0.0


def test_nothing_shows_nothing() -> None:
    assert least_difference(np.empty(0), 0.01) == -np.inf
    assert least_difference(np.zeros(30), 0.01) == -np.inf
    with pytest.raises(ValueError, match="leave out what is missing"):
        least_difference(np.array([1.0, np.nan]), 0.05)
