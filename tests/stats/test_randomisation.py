"""Sign-flip tests: against scipy, by hand, and by how often they raise a false alarm."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalkit.stats.randomisation import N_PATTERNS, holm, sign_flip_test

EIGHTHS = st.integers(-800, 800).map(lambda k: k / 8)
"""Numbers that can be doubled and halved without rounding."""


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_exact_test_agrees_with_scipy(shift: float) -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=9), rng.normal(shift, 1.0, size=9)
    theirs = scipy.stats.permutation_test(
        (b, a), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    ours = sign_flip_test(b - a)
    assert ours.exact
    assert ours.p == pytest.approx(theirs.pvalue, abs=1e-12)


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
    ours = sign_flip_test(b - a)
    assert not ours.exact
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.015)


def test_by_hand() -> None:
    # 1, 2, 3: of 8 patterns only +++ and --- reach a sum of 6
    assert sign_flip_test(np.array([1.0, 2.0, 3.0])).p == 2 / 8
    # 1, 2, -3: all patterns are at least as far from zero as 0
    assert sign_flip_test(np.array([1.0, 2.0, -3.0])).p == 1.0


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (2, 0.5), (6, 2 / 64)])
def test_few_pairs_cannot_give_a_small_p(n: int, p: float) -> None:
    test = sign_flip_test(np.ones(n))
    assert (test.p, test.n_units) == (p, n)


def test_no_pair_is_a_reason() -> None:
    test = sign_flip_test(np.array([]))
    assert test.p is None
    assert test.reason == "no pair was measured on both sides"


def test_no_difference_at_all_is_no_evidence() -> None:
    assert sign_flip_test(np.zeros(20)).p == 1.0


def test_many_equal_differences_are_never_impossible() -> None:
    test = sign_flip_test(np.ones(100))
    assert test.p == 1 / (N_PATTERNS + 1)


def test_differences_of_one_portrait_change_sign_together() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, (12, 4))
    clustered = sign_flip_test(values.ravel(), {"portrait": np.repeat(np.arange(12), 4).tolist()})
    assert clustered.p == sign_flip_test(values.mean(axis=1)).p
    assert clustered.n_units == 12


def test_two_factors_agree_with_a_plain_loop() -> None:
    """The two-way standard error written out, for every pattern of signs of either factor."""
    values = np.random.default_rng(2).normal(0.3, 1.0, (12, 13))

    def studentised(table: np.ndarray) -> float:
        variance = (table.sum(axis=1) ** 2).sum() + (table.sum(axis=0) ** 2).sum() - (table**2).sum()
        if variance <= 0:
            variance = max((table.sum(axis=1) ** 2).sum(), (table.sum(axis=0) ** 2).sum())
        return abs(table.sum()) / np.sqrt(variance)

    expected = []
    for n, axis in ((12, 0), (13, 1)):
        patterns = [np.array(signs) for signs in itertools.product([1, -1], repeat=n)]
        stats = [studentised(values * (signs[:, None] if axis == 0 else signs)) for signs in patterns]
        expected.append(np.mean(np.array(stats) >= studentised(values) * (1 - 1e-9)))
    factors = {
        "portrait": np.repeat(np.arange(12), 13).tolist(),
        "speech": np.tile(np.arange(13), 12).tolist(),
    }
    assert sign_flip_test(values.ravel(), factors).p == pytest.approx(max(expected), abs=1e-12)


def test_three_factors_are_refused() -> None:
    levels = list(range(12))
    with pytest.raises(ValueError, match="at most two factors"):
        sign_flip_test(np.arange(12.0), {"a": levels, "b": levels, "c": levels})


def count_false_alarms(sizes: tuple[int, int], portrait: float, speech: float) -> int:
    """Count, of 200 null comparisons of five metrics each, those with any alarm after Holm."""
    rng = np.random.default_rng(11)
    factors = {
        "portrait": np.repeat(np.arange(sizes[0]), sizes[1]).tolist(),
        "speech": np.tile(np.arange(sizes[1]), sizes[0]).tolist(),
    }
    n_alarms = 0
    for _ in range(200):
        p_values = []
        for _ in range(5):
            differences = rng.normal(size=sizes)
            differences += portrait * rng.normal(size=(sizes[0], 1)) + speech * rng.normal(size=(1, sizes[1]))
            p = sign_flip_test(differences.ravel(), factors).p
            assert p is not None
            p_values.append(p)
        n_alarms += min(holm(p_values)) <= 0.05
    return n_alarms


@pytest.mark.parametrize(
    ("sizes", "portrait", "speech"),
    [((3, 4), 0.0, 0.0), ((12, 1), 0.0, 0.0), ((12, 3), 1.0, 0.0), ((12, 12), 1.0, 1.0)],
)
def test_false_alarms_among_200_null_comparisons(
    sizes: tuple[int, int], portrait: float, speech: float
) -> None:
    n_alarms = count_false_alarms(sizes, portrait, speech)
    assert scipy.stats.binomtest(n_alarms, 200, 0.05, alternative="greater").pvalue > 0.05


def test_a_planted_shift_is_found() -> None:
    rng = np.random.default_rng(5)
    p_values = [sign_flip_test(rng.normal(1.0, 1.0, 13)).p for _ in range(100)]
    assert np.mean([p is not None and p <= 0.05 for p in p_values]) >= 0.85  # Student's test: 0.91


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
    p = sign_flip_test(differences).p
    assert p is not None
    assert 0 < p <= 1
    assert sign_flip_test(-differences).p == p
    assert sign_flip_test(differences * 2.0**power).p == p
