"""Means with intervals and p values: against scipy, against formulas written out as loops, and by their properties."""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalkit.stats.means import (
    MIN_LEVELS,
    MIN_UNITS,
    MeanFit,
    code_levels,
    estimate_mean,
    fit_mean,
    independent_factors,
)
from evalkit.types import FloatArray

SKEWED = np.random.default_rng(3).lognormal(0.0, 1.0, 25)
ALPHAS = [0.1, 0.025, 0.005]


def mirrored(n: int) -> FloatArray:
    """Return values without any skewness: each has its mirror image around 2."""
    half = np.random.default_rng(n).normal(0.0, 1.0, n // 2)
    return np.concatenate([2.0 + half, 2.0 - half, [2.0] * (n % 2)])


def crossed(n_portraits: int, n_speeches: int, n_draws: int = 1) -> dict[str, list[int]]:
    """Return the factors of a full grid, portraits slowest and draws fastest."""
    cells = list(itertools.product(range(n_portraits), range(n_speeches), range(n_draws)))
    return {"portrait": [cell[0] for cell in cells], "speech": [cell[1] for cell in cells]}


# second implementations


@pytest.mark.parametrize("n", [5, 8, 19, 60])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_without_skewness_it_is_students_t(n: int, alpha: float) -> None:
    values = mirrored(n)
    theirs = scipy.stats.t.interval(1 - 2 * alpha, n - 1, values.mean(), scipy.stats.sem(values))
    assert fit_mean(values).bounds(alpha) == pytest.approx(theirs, rel=1e-9)
    p = scipy.stats.ttest_1samp(values - 1.5, 0.0).pvalue
    assert fit_mean(values - 1.5).p_value() >= p - 1e-12


@pytest.mark.parametrize("shift", [-1.5, -0.9, -0.2, 0.4, 1.5])
@pytest.mark.parametrize("n", [5, 9, 13])
def test_p_is_the_largest_of_students_halls_and_that_of_sign_flips(n: int, shift: float) -> None:
    values = SKEWED[:n] - SKEWED[:n].mean() + shift
    student = float(scipy.stats.ttest_1samp(values, 0.0).pvalue)
    patterns = np.array(list(itertools.product([1, -1], repeat=n)))
    flips = float(np.mean(abs(patterns @ values) >= abs(values.sum()) - 1e-9))
    skewness = 1.2 * scipy.stats.skew(values, bias=False)
    w = shift / values.std(ddof=1)
    moved = w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * n)
    hall = 2.0 * float(scipy.stats.t.sf(abs(moved) * sqrt(n), n - 1)) if moved * w > 0 else 1.0
    assert fit_mean(values).p_value() == pytest.approx(max(student, flips, hall), rel=1e-9)


@pytest.mark.parametrize("n", [5, 9, 25])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_with_skewness_the_ends_are_those_of_halls_transform_inverted_by_search(n: int, alpha: float) -> None:
    """g(w) = w + s w²/3 + s² w³/27 + s/6n of the studentised mean lies between the quantiles of t / sqrt(n)."""
    values = SKEWED[:n]
    skewness = 1.2 * scipy.stats.skew(values, bias=False)
    spread, quantile = values.std(ddof=1), scipy.stats.t.ppf(1 - alpha, n - 1)

    def transform(w: float) -> float:
        return float(w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * n))

    def invert(u: float) -> float:
        return float(scipy.optimize.brentq(lambda w: transform(w) - u, -100.0, 100.0, xtol=1e-14))

    hall = [values.mean() - spread * invert(side * quantile / sqrt(n)) for side in (1, -1)]
    student = [values.mean() - side * quantile * spread / sqrt(n) for side in (1, -1)]
    assert fit_mean(values).bounds(alpha) == pytest.approx(
        (min(hall[0], student[0]), max(hall[1], student[1])), rel=1e-9
    )


@pytest.mark.parametrize(("values", "shift"), [(SKEWED, -0.9), (-SKEWED, 0.9)])
def test_the_interval_at_p_just_reaches_zero_where_hall_decides(values: FloatArray, shift: float) -> None:
    """The interval and its p value are inverse to each other."""
    fit = fit_mean(values - values.mean() + shift)
    low, high = fit.bounds(fit.p_value() / 2)
    assert min(abs(low), abs(high)) < 1e-9
    assert low <= 0.0 <= high or max(abs(low), abs(high)) > 0.1


def two_way_variance(table: FloatArray) -> tuple[float, float]:
    """Estimate the variance of the grand mean of a full grid, and its degrees of freedom, from mean squares.

    Searle, Casella & McCulloch, Variance Components, 1992: (MS rows + MS columns - MS rest) / cells; the degrees of
    freedom by Satterthwaite's rule.
    """
    n_rows, n_columns = table.shape
    grand = sum(float(value) for value in table.ravel()) / table.size
    rows = [sum(map(float, row)) / n_columns for row in table]
    columns = [sum(map(float, column)) / n_rows for column in table.T]
    ms_rows = n_columns * sum((row - grand) ** 2 for row in rows) / (n_rows - 1)
    ms_columns = n_rows * sum((column - grand) ** 2 for column in columns) / (n_columns - 1)
    df_rest = (n_rows - 1) * (n_columns - 1)
    ms_rest = 0.0
    for i, j in itertools.product(range(n_rows), range(n_columns)):
        ms_rest += (float(table[i, j]) - rows[i] - columns[j] + grand) ** 2 / df_rest
    total = ms_rows + ms_columns - ms_rest
    parts = ms_rows**2 / (n_rows - 1) + ms_columns**2 / (n_columns - 1) + ms_rest**2 / df_rest
    return total / table.size, max(total**2 / parts, min(n_rows, n_columns) - 1)


@pytest.mark.parametrize("shape", [(4, 5), (12, 12), (6, 20)])
def test_crossed_factors_add_up_as_in_the_analysis_of_variance(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[1])
    table = rng.normal(0, 1, (shape[0], 1)) + rng.normal(0, 1, (1, shape[1])) + rng.normal(0, 0.5, shape)
    fit = fit_mean(table.ravel(), crossed(*shape))
    variance, df = two_way_variance(table)
    assert (fit.standard_error**2, fit.df) == pytest.approx((variance, df), rel=1e-9)
    reach = scipy.stats.t.ppf(0.975, df) * sqrt(variance)
    assert fit.bounds(0.025) == pytest.approx((table.mean() - reach, table.mean() + reach), rel=1e-9)
    assert fit.p_value() == pytest.approx(
        2 * scipy.stats.t.sf(abs(table.mean()) / sqrt(variance), df), rel=1e-9
    )
    assert fit.n_units == min(shape)


def test_satterthwaite_by_hand() -> None:
    """Rows 1 2 3 4, columns 0 0 0 6 added, no rest: MS rows 4 x 5/3, MS columns 4 x 9, total 128/3, n = 16."""
    table = np.add.outer([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 6.0])
    fit = fit_mean(table.ravel(), crossed(4, 4))
    assert fit.standard_error**2 == pytest.approx(128 / 3 / 16)
    # (20/3 + 36)² / ((20/3)² / 3 + 36² / 3) = 1820.4 / 446.8
    assert fit.df == pytest.approx(3 * (20 / 3 + 36) ** 2 / ((20 / 3) ** 2 + 36**2))


def test_where_the_factors_do_nothing_the_largest_part_counts() -> None:
    """A rest that alternates in a checkerboard leaves rows and columns equal: no negative variance comes of it."""
    table = np.add.outer(np.arange(4), np.arange(4)) % 2 + 0.001 * np.arange(4)[:, None]
    fit = fit_mean(table.ravel(), crossed(4, 4))
    rows = table.mean(axis=1)
    assert fit.standard_error**2 == pytest.approx(rows.var(ddof=1) / 4)
    assert fit.df == 3


@pytest.mark.parametrize("sizes", [[3] * 8, [1, 2, 3, 4, 5, 6, 2, 3, 1, 4]])
def test_one_factor_is_a_cluster_robust_error(sizes: list[int]) -> None:
    """A check by statsmodels, which multiplies by units / (units - 1) x (n - 1) / (n - 1) for a mean; ours by the same."""
    linear_model = pytest.importorskip("statsmodels.api")
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(len(sizes))
    values = rng.normal(0, 1, len(sizes))[groups] + rng.normal(1, 1, groups.size)
    theirs = linear_model.OLS(values, np.ones(values.size)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    fit = fit_mean(values, {"portrait": groups.tolist()})
    assert fit.mean == pytest.approx(theirs.params[0])
    assert fit.standard_error == pytest.approx(theirs.bse[0], rel=1e-9)


def test_one_factor_with_as_many_values_in_every_level_is_a_t_test_of_level_means() -> None:
    values = mirrored(10)[:, None] + np.tile([-0.5, 0.0, 0.5], (10, 1))
    fit = fit_mean(values.ravel(), {"portrait": np.repeat(np.arange(10), 3).tolist()})
    theirs = scipy.stats.ttest_1samp(values.mean(axis=1), 0.0).confidence_interval(0.95)
    assert fit.bounds(0.025) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert (fit.n, fit.n_units, fit.df) == (30, 10, 9)


# which factors count


@pytest.mark.parametrize(
    ("factors", "counted"),
    [
        ({"portrait": "aaaaaa", "speech": "uvwxyz"}, ["speech"]),
        ({"portrait": "abcdef", "speech": "uvwxyz"}, ["portrait"]),
        ({"portrait": "aabbcc", "speech": "uvwxyz"}, ["portrait"]),
        ({"portrait": "uvwxyz", "speech": "aabbcc"}, ["speech"]),
        ({"portrait": "aabb", "speech": "uvuv"}, ["portrait", "speech"]),
        ({"portrait": "aabb", "speech": "uvuv", "seed": "1212"}, ["portrait", "speech"]),
        ({"portrait": "aaaaaaaa", "speech": "ssttuuvv", "seed": "12121212"}, ["speech"]),
        ({"portrait": "aaaaa", "speech": "sssss", "seed": "12345"}, ["seed"]),
        ({"portrait": "aaaaa", "speech": "sssss"}, []),
    ],
)
def test_what_is_the_same_or_nested_counts_once(factors: dict[str, str], counted: list[str]) -> None:
    assert list(independent_factors(factors)) == counted


def test_a_given_factor_is_what_the_answer_speaks_of() -> None:
    factors = {"portrait": "ab" * 6, "speech": [index // 2 for index in range(12)]}
    values = np.random.default_rng(0).normal(size=12)
    assert (
        estimate_mean(values, factors).reason == "this cannot be known from 2 portraits: 4 or more are needed"
    )
    given_portraits = estimate_mean(values, factors, given=("portrait",))
    assert given_portraits == estimate_mean(values, {"speech": factors["speech"]})
    assert given_portraits.interval is not None


@pytest.mark.parametrize(
    ("n_portraits", "n_speeches", "words"),
    [
        (3, 20, "this cannot be known from 3 portraits: 4 or more are needed"),
        (12, 2, "this cannot be known from 2 pieces of speech: 4 or more are needed"),
        (2, 3, "this cannot be known from 2 portraits and 3 pieces of speech: 4 or more are needed"),
        (1, 4, "this cannot be known from 4 pieces of speech: an interval needs 5"),
    ],
)
def test_few_levels_are_a_reason(n_portraits: int, n_speeches: int, words: str) -> None:
    factors = crossed(n_portraits, n_speeches, 3)
    estimate = estimate_mean(np.random.default_rng(0).normal(size=len(factors["portrait"])), factors)
    assert (estimate.interval, estimate.reason) == (None, words)
    assert fit_mean(np.arange(float(len(factors["portrait"]))), factors).p_value() == 1.0


def test_one_input_and_seed_again_and_again_is_one_draw() -> None:
    factors = {name: [1] * 40 for name in ("portrait", "speech", "seed")}
    estimate = estimate_mean(np.random.default_rng(0).normal(size=40), factors)
    assert (estimate.interval, estimate.reason) == (
        None,
        "this cannot be known from 1 input: an interval needs 5",
    )


@given(
    arrays(int, 12, elements=st.integers(-50, 50)),
    st.lists(st.integers(0, 6), min_size=12, max_size=12),
    st.lists(st.integers(0, 2), min_size=12, max_size=12),
)
def test_refining_a_nested_factor_changes_nothing(
    values: FloatArray, coarse: list[int], parts: list[int]
) -> None:
    alone = fit_mean(values, {"portrait": coarse})
    assume(independent_factors({"portrait": coarse}))
    nested = fit_mean(values, {"portrait": coarse, "speech": list(zip(coarse, parts, strict=True))})
    assert nested.bounds(0.025) == pytest.approx(alone.bounds(0.025), rel=1e-9)
    assert (nested.n_units, nested.reason) == (alone.n_units, alone.reason)


# properties

TABLES = arrays(float, st.integers(MIN_UNITS, 30), elements=st.integers(-800, 800).map(lambda k: k / 8))
LEVELS = st.lists(st.integers(0, 5), min_size=30, max_size=30)


@st.composite
def designs(draw: st.DrawFn) -> tuple[FloatArray, dict[str, list[int]]]:
    """Draw values with a portrait, a speech and a seed each: nested, crossed, unbalanced or all of it."""
    values = draw(TABLES)
    return values, {name: draw(LEVELS)[: values.size] for name in ("portrait", "speech", "seed")}


def ends(fit: MeanFit) -> tuple[float, float]:
    return fit.bounds(0.025, (-200.0, 200.0))


@given(designs(), st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(design: tuple, random: object) -> None:
    values, factors = design
    order = list(range(values.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    here = fit_mean(values, factors)
    there = fit_mean(values[order], {name: [levels[i] for i in order] for name, levels in factors.items()})
    assert there.bounds(0.025) == pytest.approx(here.bounds(0.025), rel=1e-6, abs=1e-6)
    assert there.n_units == here.n_units


@given(designs(), st.integers(-6, 6))
def test_the_unit_does_not_matter(design: tuple, power: int) -> None:
    values, factors = design
    here, there = fit_mean(values, factors), fit_mean(values * 2.0**power, factors)
    assert there.bounds(0.025) == pytest.approx([end * 2.0**power for end in here.bounds(0.025)], rel=1e-6)
    assert there.p_value() == pytest.approx(here.p_value(), abs=1e-9)


@given(designs(), st.integers(-800, 800).map(lambda k: k / 8))
def test_moving_all_values_moves_the_interval(design: tuple, shift: float) -> None:
    values, factors = design
    assume(np.ptp(values) > 0)
    here, there = fit_mean(values, factors), fit_mean(values + shift, factors)
    assume(not here.is_constant)
    assert there.bounds(0.025) == pytest.approx(
        [end + shift for end in here.bounds(0.025)], rel=1e-6, abs=1e-6
    )


@given(designs())
def test_neither_side_is_preferred(design: tuple) -> None:
    values, factors = design
    here, there = fit_mean(values, factors), fit_mean(-values, factors)
    low, high = here.bounds(0.025)
    assert there.bounds(0.025) == pytest.approx((-high, -low), rel=1e-6, abs=1e-6)
    assert there.p_value() == pytest.approx(here.p_value(), abs=1e-9)


@given(designs(), st.integers(2, 4))
def test_whole_copies_do_not_narrow_the_interval(design: tuple, times: int) -> None:
    """The same portraits, speech and seeds again (other sizes of the same draws) are no further evidence."""
    values, factors = design
    assume(independent_factors(factors))
    here = fit_mean(values, factors)
    there = fit_mean(np.tile(values, times), {name: levels * times for name, levels in factors.items()})
    assert there.n_units == here.n_units
    assert there.reason == here.reason
    assert there.bounds(0.025) == pytest.approx(here.bounds(0.025), rel=1e-6, abs=1e-6)


@given(TABLES)
def test_the_mean_lies_within_and_a_smaller_alpha_is_wider(values: FloatArray) -> None:
    fit = fit_mean(values)
    (low, high), (lower, higher) = (fit.bounds(alpha, (-200.0, 200.0)) for alpha in (0.05, 0.005))
    assert -200.0 <= lower <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= higher <= 200.0
    assert 0.0 < fit.p_value() <= 1.0


@pytest.mark.parametrize("n", range(13, 40, 3))
def test_one_clip_more_changes_the_width_by_less_than_a_tenth(n: int) -> None:
    """On average over 600 samples, of which each holds the one before. Below 10 it is more: docs/statistics.md."""
    samples = np.random.default_rng(n).normal(0.0, 1.0, (600, n + 1))
    before, after = (np.mean([width(row[:size]) for row in samples]) for size in (n, n + 1))
    assert 0.9 <= after / before <= 1.0


def width(values: FloatArray) -> float:
    low, high = fit_mean(values).bounds(0.025)
    return high - low


# few values, equal values, missing values


@pytest.mark.parametrize(
    ("n", "value", "reason"),
    [
        (0, None, "nothing was measured"),
        (1, 3.0, "1 of the 5 values an interval needs"),
        (4, 4.5, "4 of the 5 values an interval needs"),
    ],
)
def test_too_few_values_are_a_reason(n: int, value: float | None, reason: str) -> None:
    estimate = estimate_mean(np.arange(3.0, 3.0 + n))
    assert (estimate.value, estimate.interval, estimate.n, estimate.reason) == (value, None, n, reason)


def test_equal_values_have_no_interval_where_nothing_bounds_the_unseen() -> None:
    estimate = estimate_mean(np.full(7, 0.25))
    assert (estimate.value, estimate.interval) == (0.25, None)
    assert estimate.reason == "all 7 are equal, which leaves no spread to judge by"


def test_equal_values_have_a_sign_that_the_sign_test_judges() -> None:
    fit = fit_mean(np.full(7, -0.25))
    assert fit.p_value() == pytest.approx(scipy.stats.binomtest(0, 7).pvalue)
    assert [fit.sign(alpha) for alpha in (0.5**7, 0.4**7)] == [-1, 0]
    assert fit_mean(np.full(7, 0.25)).sign(0.025) == 1
    zero = fit_mean(np.zeros(50))
    assert (zero.p_value(), zero.sign(0.4)) == (1.0, 0)
    assert fit_mean(np.full(4, 0.25)).sign(0.4) == 0


@given(
    values=st.lists(st.floats(-1, 1), min_size=5, max_size=30),
    alpha=st.sampled_from([0.001, 0.025, 0.2]),
)
def test_a_sign_is_what_the_bounds_leave(values: list[float], alpha: float) -> None:
    fit = fit_mean(np.array(values))
    assume(not fit.is_constant)
    low, high = fit.bounds(alpha)
    assert fit.sign(alpha) == (1 if low > 0 else -1 if high < 0 else 0)


def test_equal_values_leave_room_for_a_share_of_others() -> None:
    """None of 7 is another: up to 1 - 0.025^(1/7) = 40.96 % may be (Clopper-Pearson), at 0 or at 1."""
    unseen = scipy.stats.binomtest(0, 7).proportion_ci(0.95).high
    interval = estimate_mean(np.full(7, 0.25), bounds=(0.0, 1.0)).interval
    assert interval == pytest.approx((0.25 - unseen * 0.25, 0.25 + unseen * 0.75))
    assert interval[1] == pytest.approx(0.25 + 0.4096 * 0.75, abs=1e-4)


def test_the_interval_stays_within_the_bounds_of_the_metric() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.4])
    interval = estimate_mean(values, bounds=(0.0, 1.0)).interval
    unbounded = estimate_mean(values).interval
    assert interval is not None
    assert unbounded is not None
    assert unbounded.low < 0.0
    assert (interval.low, interval.high) == (0.0, unbounded.high)


def test_rounding_is_no_spread() -> None:
    """0.3 and 0.1 + 0.2 differ in the last digit; the mean of so many of them is not known to that digit."""
    values = np.array([0.3, 0.1 + 0.2] * 10)
    assert np.ptp(values) > 0
    assert fit_mean(values).is_constant
    assert fit_mean(values).p_value() == pytest.approx(0.5**19)


@pytest.mark.parametrize("spread", [1e-6, 1e-4])
def test_hardly_any_spread_still_gives_an_interval_of_numbers(spread: float) -> None:
    values = 0.3 + spread * np.random.default_rng(0).random(200)
    interval = estimate_mean(values).interval
    assert interval is not None
    assert values.min() <= interval.low < interval.high <= values.max()


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="leave out what is missing"):
        estimate_mean(np.array([1.0, np.nan]))


def test_levels_are_numbered_as_they_come() -> None:
    assert code_levels(["x", "y", "x", "z"]).tolist() == [0, 1, 0, 2]
    assert MIN_LEVELS < MIN_UNITS


# how often the truth is held; the whole table: docs/statistics.md


@pytest.mark.parametrize("n", [6, 12, 30])
def test_interval_of_independent_values_holds_the_truth_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    held = [
        low <= 2.0 <= high for low, high in (fit_mean(rng.normal(2, 1, n)).bounds(0.025) for _ in range(1000))
    ]
    assert 0.935 <= np.mean(held) <= 0.98


def test_interval_over_portraits_and_speech_holds_the_truth_where_an_independent_one_does_not() -> None:
    rng = np.random.default_rng(0)
    factors = crossed(12, 12)
    held = {"clustered": 0, "independent": 0}
    for _ in range(400):
        values = rng.normal(size=(12, 1)) + rng.normal(size=(1, 12)) + 0.5 * rng.normal(size=(12, 12))
        for name, shared in (("clustered", factors), ("independent", None)):
            low, high = fit_mean(values.ravel(), shared).bounds(0.025)
            held[name] += low <= 0.0 <= high
    assert held["clustered"] / 400 >= 0.93
    assert held["independent"] / 400 <= 0.6
