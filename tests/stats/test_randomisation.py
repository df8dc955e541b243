"""Sign-flip tests and Holm's correction: against scipy, by enumeration and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalkit.stats.randomisation import MAX_EXACT_UNITS, N_PATTERNS, holm, sign_flip_p

EIGHTHS = st.integers(-800, 800).map(lambda k: k / 8)
"""Numbers that can be doubled and halved without rounding."""


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_exact_test_agrees_with_scipy(shift: float) -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=9), rng.normal(shift, 1.0, size=9)
    theirs = scipy.stats.permutation_test(
        (b, a), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(b - a) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_random_patterns_agree_with_scipy() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=30), rng.normal(0.4, 1.0, size=30)
    theirs = scipy.stats.permutation_test(
        (b, a),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=9999,
        rng=np.random.default_rng(1),
    )
    assert sign_flip_p(b - a) == pytest.approx(theirs.pvalue, abs=0.015)


@settings(max_examples=50)
@given(arrays(float, st.integers(1, 9), elements=EIGHTHS))
def test_all_patterns_one_by_one(differences: np.ndarray) -> None:
    observed = abs(differences.sum())
    sums = [
        abs(sum(map(float, differences * signs)))
        for signs in itertools.product([1, -1], repeat=differences.size)
    ]
    assert sign_flip_p(differences) == sum(total >= observed for total in sums) / len(sums)


def test_the_last_exact_size_and_the_first_random_one_say_the_same() -> None:
    """A further difference of almost nothing changes no sum, and so hardly the p."""
    differences = np.random.default_rng(4).normal(0.5, 1.0, MAX_EXACT_UNITS)
    exact, drawn = sign_flip_p(differences), sign_flip_p(np.append(differences, 1e-6))
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / N_PATTERNS))


def test_by_hand() -> None:
    # 1, 2, 3: of 8 patterns only +++ and --- reach a sum of 6
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 2 / 8
    # 1, 2, -3: all patterns are at least as far from zero as 0
    assert sign_flip_p(np.array([1.0, 2.0, -3.0])) == 1.0


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (2, 0.5), (6, 2 / 64)])
def test_few_pairs_cannot_give_a_small_p(n: int, p: float) -> None:
    assert sign_flip_p(np.ones(n)) == p


def test_no_difference_at_all_is_no_evidence() -> None:
    assert sign_flip_p(np.zeros(20)) == 1.0


def test_many_equal_differences_are_never_impossible() -> None:
    assert sign_flip_p(np.ones(100)) == 1 / (N_PATTERNS + 1)


@pytest.mark.parametrize("n", [6, 13, 30])
def test_false_alarms_among_400_null_comparisons(n: int) -> None:
    rng = np.random.default_rng(n)
    n_alarms = sum(sign_flip_p(rng.normal(size=n)) <= 0.05 for _ in range(400))
    assert scipy.stats.binomtest(n_alarms, 400, 0.05, alternative="greater").pvalue > 0.05


def test_a_planted_shift_is_found() -> None:
    rng = np.random.default_rng(5)
    p_values = [sign_flip_p(rng.normal(1.0, 1.0, 13)) for _ in range(100)]
    assert np.mean(np.array(p_values) <= 0.05) >= 0.85  # Student's test: 0.91


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, and never falling: .04 .06 .06 .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(
        p <= q <= min(1.0, p * len(p_values)) + 1e-12 for p, q in zip(p_values, corrected, strict=True)
    )
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@settings(max_examples=50)
@given(arrays(float, st.integers(1, 10), elements=EIGHTHS), st.integers(-8, 8))
def test_p_knows_no_unit_and_no_side(differences: np.ndarray, power: int) -> None:
    p = sign_flip_p(differences)
    assert 0 < p <= 1
    assert sign_flip_p(-differences) == p
    assert sign_flip_p(differences * 2.0**power) == p
