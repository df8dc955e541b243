"""Which of two: planted differences, none, too little to tell, and what cannot be paired."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats

from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.table import ResultTable
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Conclusion, Family
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.testing.tables import METRICS, make_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.decisions.comparison import MetricComparison
    from evalkit.decisions.policy import Policy

N = 30


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def columns(rng: np.random.Generator, n: int = N) -> dict[str, np.ndarray]:
    return {
        "lip_sync.error": rng.uniform(0.1, 0.5, n),
        "lip_sync.offset_ms": rng.normal(10, 8, n),
        "technical.sharpness": rng.uniform(0.4, 0.9, n),
        "technical.fps": np.full(n, 25.0),
        "profile.total_s": rng.uniform(10, 20, n),
    }


def make_apart(columns: Mapping[str, Sequence[float | None]], **more: Any) -> ResultTable:
    """Make a table in which every clip has a portrait of its own."""
    return make_table(columns, n_portraits=len(next(iter(columns.values()))), **more)


def make_band(values: Sequence[float | None], name: str = "motion.amount_deg_s") -> ResultTable:
    """Make a table of a metric that the installed evaluators know, with its bounds."""
    table = make_apart({"lip_sync.error": values})
    rows = (
        replace(row, values=dict.fromkeys(row.values and [name], row.values.get("lip_sync.error")))
        for row in table.rows
    )
    return replace(table, rows=tuple(rows), metrics={name: known_metrics()[name]})


def compare_errors(a: Sequence[float | None], b: Sequence[float | None], **more: Any) -> MetricComparison:
    return compare_tables(make_apart({"lip_sync.error": a}), make_apart({"lip_sync.error": b}), **more)[
        "lip_sync.error"
    ]


def customer_service() -> Policy:
    return load_policy("customer_service")


def test_a_run_against_itself_shows_no_difference(rng: np.random.Generator) -> None:
    table = make_apart(columns(rng))
    comparison = compare_tables(table, table, policy=customer_service())
    findings = {one.metric.name: one.finding for one in comparison.metrics}
    assert findings.pop("technical.fps") is Conclusion.NOT_JUDGED  # neither end is good, and no band is known
    assert set(findings.values()) == {Conclusion.NO_DIFFERENCE}
    assert comparison.answer == (
        "No difference between A and B in lip_sync.error, over 30 pairs: equal in all 30 pairs."
    )
    # 1 - 0.025^(1/30) = 11.6 % of the clips may differ unseen, by as much as a share can: 1
    assert comparison["lip_sync.error"].difference.interval == pytest.approx((-0.1157, 0.1157), abs=1e-4)


def test_fewer_than_29_equal_pairs_are_a_fact_and_no_claim(rng: np.random.Generator) -> None:
    table = make_apart(columns(rng, 12))
    comparison = compare_tables(table, table, policy=customer_service())
    assert comparison["lip_sync.error"].finding is Conclusion.NOT_ENOUGH
    assert comparison.answer == (
        "Not enough evidence for a difference in lip_sync.error, over 12 pairs: equal in all 12 pairs; "
        "fewer than 29 pairs cannot exclude that 10 % are ruined."
    )
    assert comparison["profile.total_s"].difference.interval is None  # nothing bounds what was not seen
    assert compare_tables(table, table)["profile.error_rate"].finding is Conclusion.NOT_ENOUGH


def test_a_run_moved_by_80_ms_says_which_and_by_how_much(rng: np.random.Generator) -> None:
    values = columns(rng)
    moved = values | {"lip_sync.offset_ms": values["lip_sync.offset_ms"] - 80 + rng.normal(0, 3, N)}
    comparison = compare_tables(make_apart(values), make_apart(moved))
    found = comparison["lip_sync.offset_ms"]
    assert found.finding is Conclusion.WORSE
    assert found.change.moved.value == pytest.approx(-80, abs=2)
    # 10 ms from zero before, 70 ms after: 60 ms further away
    assert found.difference.value == pytest.approx(60, abs=4)
    assert "; the distance from 0 changes by +6" in found.text
    assert comparison.found(Conclusion.WORSE) == [found]
    assert comparison.answer.startswith("B is worse in lip_sync.offset_ms, over 30 pairs. No difference")


def test_better_goes_the_way_of_the_metric(rng: np.random.Generator) -> None:
    values = columns(rng)
    more = {name: column + 0.2 + 0.01 * rng.normal(size=N) for name, column in values.items()}
    comparison = compare_tables(make_apart(values), make_apart(more))
    assert comparison["lip_sync.error"].finding is Conclusion.WORSE
    assert comparison["technical.sharpness"].finding is Conclusion.BETTER
    assert comparison["profile.total_s"].finding is Conclusion.WORSE
    backwards = compare_tables(make_apart(more), make_apart(values))
    assert backwards["lip_sync.error"].finding is Conclusion.BETTER


def test_a_band_of_the_policy_gives_a_metric_a_good_end(rng: np.random.Generator) -> None:
    a, b = make_band(rng.normal(0.5, 0.05, N)), make_band(rng.normal(8.0, 1.0, N))
    found = compare_tables(a, b, policy=customer_service())["motion.amount_deg_s"]
    assert found.finding is Conclusion.BETTER
    # 0.5 lies 1.5 below the band that starts at 2; 8 lies inside
    assert found.difference.value == pytest.approx(-1.5, abs=0.1)
    assert found.change.moved.value == pytest.approx(7.5, abs=0.5)
    assert compare_tables(a, b)["motion.amount_deg_s"].finding is Conclusion.NOT_JUDGED


def test_two_values_inside_the_band_do_not_differ_in_what_is_judged_and_the_move_is_shown(
    rng: np.random.Generator,
) -> None:
    before, move = rng.uniform(6, 20, N), rng.normal(-1.04, 0.5, N)
    few, many = (
        compare_tables(make_band(before[:n]), make_band(before[:n] + move[:n]), policy=customer_service())[
            "motion.amount_deg_s"
        ]
        for n in (12, N)
    )
    assert many.finding is Conclusion.NO_DIFFERENCE
    assert many.text.startswith("-1.")
    assert many.text.endswith(", both within 2 to 30: all within the margin of 1") or many.text.endswith(
        ", both within 2 to 30"
    )
    assert few.finding is Conclusion.NOT_ENOUGH
    assert ", both within 2 to 30; fewer than 29 pairs cannot exclude" in few.text


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        (-100.0, 60.0, Conclusion.WORSE),  # the band is -125 to 45: B leaves it
        (60.0, -100.0, Conclusion.BETTER),
        (-100.0, 30.0, Conclusion.NO_DIFFERENCE),
        (100.0, -100.0, Conclusion.BETTER),
    ],
)
def test_the_policys_band_decides_for_an_offset(
    rng: np.random.Generator, before: float, after: float, finding: Conclusion
) -> None:
    sides = (make_apart({"lip_sync.offset_ms": level + rng.normal(0, 3, N)}) for level in (before, after))
    assert compare_tables(*sides, policy=customer_service())["lip_sync.offset_ms"].finding is finding


def test_a_band_metric_without_a_band_is_not_judged_and_its_move_is_shown() -> None:
    sides = (make_band([level] * N, "expression.blink_per_min") for level in (39.0, 0.0))
    found = compare_tables(*sides, policy=customer_service())["expression.blink_per_min"]
    assert found.finding is Conclusion.NOT_JUDGED
    assert found.text.startswith("moved by -39 1/min")


@pytest.mark.parametrize(
    ("change", "n", "margin", "finding", "words"),
    [
        (0.05, N, None, Conclusion.WORSE, f"+0.05 in each of {N} pairs"),
        (-0.05, N, None, Conclusion.BETTER, f"-0.05 in each of {N} pairs"),
        (0.05, N, 0.1, Conclusion.NO_DIFFERENCE, f"+0.05 in each of {N} pairs: within the margin of 0.1"),
        (0.05, N, 0.01, Conclusion.WORSE, f"+0.05 in each of {N} pairs"),
        (0.05, 10, None, Conclusion.NOT_ENOUGH, "worse in 10 of 10 pairs; fewer than 20 pairs"),
    ],
)
def test_the_same_difference_in_every_pair_is_one(
    rng: np.random.Generator, change: float, n: int, margin: float | None, finding: Conclusion, words: str
) -> None:
    a = rng.uniform(0.1, 0.6, n)
    margins = None if margin is None else {"lip_sync.error": margin}
    found = compare_errors(a.tolist(), (a + change).tolist(), margins=margins)
    assert (found.finding, words in found.text) == (finding, True), found.text


def test_rounding_is_no_difference() -> None:
    found = compare_errors([0.1 + 0.2] * 8, [0.3] * 8)
    assert (found.difference.value, found.finding) == (0.0, Conclusion.NOT_ENOUGH)
    assert compare_errors([0.1 + 0.2] * 40, [0.3] * 40).finding is Conclusion.NO_DIFFERENCE


def test_p_and_interval_agree_with_scipy(rng: np.random.Generator) -> None:
    a = rng.normal(0.3, 0.1, N)
    change = rng.normal(0.06, 0.1, N)
    change = np.concatenate([change, 2 * change.mean() - change])  # symmetric: Hall's correction is none
    a = np.concatenate([a, a])
    found = compare_errors(a, a + change)
    student = scipy.stats.ttest_1samp(change, 0.0)
    assert found.test.p is not None
    assert found.test.p >= student.pvalue - 1e-12  # the largest of Student's and the sign-flip test's
    assert found.test.p == pytest.approx(student.pvalue, abs=0.004)
    theirs = student.confidence_interval(0.95)
    assert found.difference.interval == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_limits_are_compared_exactly_at_any_number_of_clips(rng: np.random.Generator) -> None:
    before, after = rng.uniform(0.0, 0.1, 8), rng.uniform(0.5, 0.9, 8)
    found = compare_errors(before, after, policy=customer_service())
    assert found.finding is Conclusion.WORSE
    assert found.limits is not None
    # 8 of 8 one way: 2 · 0.5^8
    assert (found.limits.p, found.test.p_holm) == (2 * 0.5**8, 2 * 0.5**8)
    assert found.text.startswith("8 of 8 clips leave at most 0.3, none enters; +0.")
    assert compare_errors(after, before, policy=customer_service()).finding is Conclusion.BETTER
    five = compare_errors(before[:5], after[:5], policy=customer_service())
    assert five.finding is Conclusion.NOT_ENOUGH  # 2 · 0.5^5 = 0.0625
    assert "worse in 5 of 5 pairs; fewer than 20 pairs cannot exclude rare ruined clips" in five.text
    assert compare_errors(before, after).finding is Conclusion.NOT_ENOUGH  # no limits without a policy


def test_clips_that_share_a_portrait_count_as_one_for_the_limits() -> None:
    sides = (make_table({"lip_sync.error": [level] * 8}, n_portraits=1) for level in (0.1, 0.9))
    apart = compare_tables(*sides, policy=customer_service())["lip_sync.error"]
    assert apart.finding is Conclusion.WORSE  # one portrait, each text its own: eight units
    again = [
        replace(table, rows=tuple(replace(row, seed=index) for index, row in enumerate(table.rows[:1] * 8)))
        for table in (make_table({"lip_sync.error": [level] * 8}, n_portraits=1) for level in (0.1, 0.9))
    ]
    crossed = (make_table({"lip_sync.error": [level] * 12}, n_portraits=4) for level in (0.1, 0.9))
    assert compare_tables(*again, policy=customer_service())["lip_sync.error"].finding is Conclusion.WORSE
    found = compare_tables(*crossed, policy=customer_service())["lip_sync.error"]
    assert found.limits is not None
    assert (found.limits.n_leaving, found.limits.p, found.finding) == (12, 1.0, Conclusion.NOT_ENOUGH)


def test_a_mean_and_limits_that_speak_against_each_other_are_said() -> None:
    before = np.concatenate([np.full(8, 0.29), np.linspace(0.8, 0.9, 40)])
    after = np.concatenate([np.full(8, 0.31), np.linspace(0.4, 0.6, 40)])
    found = compare_errors(before, after, policy=customer_service())
    assert found.finding is Conclusion.NOT_JUDGED
    assert "8 of 48 clips leave at most 0.3" in found.text
    assert found.text.endswith("the mean and the limits speak against each other")


def test_what_is_asked_first_is_a_family_of_its_own(rng: np.random.Generator) -> None:
    n = 20
    values = {
        name: rng.normal(0.5, 0.01, n) for name in ("lip_sync.error", "technical.sharpness", "profile.ttff_s")
    }
    change = rng.normal(0, 1, n)
    change = (change - change.mean()) / change.std(ddof=1) * 0.1 + 0.055  # t = 2.46: p = .024, less than .04
    other = {name: column + change for name, column in values.items()}
    a, b = make_apart(values), make_apart(other)
    asked = compare_tables(a, b, policy=customer_service())
    assert [one.family for one in asked.metrics][:2] == [Family.PRIMARY, Family.EXPLORATORY]
    error, sharpness = asked["lip_sync.error"], asked["technical.sharpness"]
    assert error.finding is Conclusion.WORSE
    assert sharpness.finding is Conclusion.NOT_ENOUGH
    assert (error.test.p, sharpness.test.p) == (pytest.approx(0.025, abs=0.01), pytest.approx(error.test.p))
    assert asked.answer == "B is worse in lip_sync.error, over 20 pairs."
    alike = compare_tables(a, b)  # nothing was said beforehand: all are asked at once
    assert {one.family for one in alike.metrics} == {Family.PRIMARY}
    assert alike["lip_sync.error"].finding is Conclusion.NOT_ENOUGH


def test_an_exploratory_finding_is_not_in_the_headline(rng: np.random.Generator) -> None:
    values = columns(rng)
    slower = values | {"profile.total_s": values["profile.total_s"] + 5 + rng.normal(0, 0.1, N)}
    comparison = compare_tables(make_apart(values), make_apart(slower), policy=customer_service())
    assert comparison.found(Conclusion.WORSE, Family.EXPLORATORY) == [comparison["profile.total_s"]]
    assert "profile" not in comparison.answer


def test_a_later_look_asks_for_more(rng: np.random.Generator) -> None:
    before = rng.normal(0.5, 0.01, N)
    tables = [make_apart({"lip_sync.error": before + shift}) for shift in (0.0, rng.normal(0.05, 0.11, N))]
    first = compare_tables(*tables)
    later = compare_tables(replace(tables[0], look=2), replace(tables[1], look=3))
    assert (first.alpha, later.alpha) == (
        pytest.approx(0.04),
        pytest.approx(ErrorBudget(look=4).claim_alpha),
    )
    assert later.notes[-1] == "look 4 at these results: a claim needs p 0.00068 or less"
    assert first.notes[-1].startswith("speaks of")
    part = replace(tables[0], look=3)
    assert compare_tables(part, replace(part, rows=tables[1].rows)).alpha == ErrorBudget(look=3).claim_alpha


@pytest.mark.parametrize("n", [12, 40])
def test_false_alarms_over_200_null_comparisons(n: int) -> None:
    """B is A made again with other noise, skewed: five metrics that are asked at once, two with limits."""
    rng = np.random.default_rng(2)
    n_alarms = 0
    names = [
        "lip_sync.error",
        "technical.sharpness",
        "profile.total_s",
        "profile.peak_rss_mib",
        "profile.ttff_s",
    ]
    policy = customer_service().model_copy(update={"primary": tuple(METRICS[name] for name in names)})
    for _ in range(200):
        sides = [
            dict(zip(names, 0.3 + 0.05 * (rng.lognormal(0, 1, (5, n)) - np.exp(0.5)), strict=True))
            for _ in "ab"
        ]
        comparison = compare_tables(*(make_apart(side) for side in sides), policy=policy)
        n_alarms += bool(comparison.found(Conclusion.BETTER) + comparison.found(Conclusion.WORSE))
    assert n_alarms <= 16  # 8 of 200 are allowed; more than 16 come by chance in 0.4 %


def test_ruined_clips_make_no_better_mean() -> None:
    """10 % of B's clips are ruined, the others are better by as much: the means are equal."""
    rng = np.random.default_rng(3)
    n_better = 0
    for _ in range(200):
        change = np.where(rng.random(12) < 0.1, 0.5, -0.0556) + rng.normal(0, 0.02, 12)
        n_better += compare_errors(np.full(12, 0.4), 0.4 + change).finding is Conclusion.BETTER
    assert n_better == 0  # it was 51 % with 6 pairs: fewer than 20 claim nothing of a mean


def test_a_planted_difference_is_found_nearly_always() -> None:
    rng = np.random.default_rng(4)
    n_found = 0
    for _ in range(100):
        before = rng.normal(0.5, 0.05, 20)
        shifted = before + 0.1 * (0.8 + rng.normal(size=20))
        n_found += compare_errors(before, shifted, policy=customer_service()).finding is Conclusion.WORSE
    assert n_found >= 78  # 86.5 are to be expected; fewer than 78 come by chance in 1 %


def test_within_the_margin_is_no_difference_and_at_worst_within_it_is_not_worse(
    rng: np.random.Generator,
) -> None:
    before = rng.uniform(0.1, 0.5, N)
    noise = rng.normal(0, 0.03, N)
    noise -= noise.mean()
    same, better = (
        compare_errors(before, before + noise + shift, margins={"lip_sync.error": 0.02})
        for shift in (0.0, -0.011)
    )
    assert (same.finding, same.margin) == (Conclusion.NO_DIFFERENCE, 0.02)
    assert same.text.endswith("all within the margin of 0.02")
    assert better.finding is Conclusion.NOT_WORSE
    few = compare_errors(before[:28], (before + noise)[:28], margins={"lip_sync.error": 0.05})
    assert few.finding is Conclusion.NOT_ENOUGH


def test_not_worse_is_rarely_said_of_what_is_worse_by_the_margin() -> None:
    """10 % of the clips are ruined by 0.5, so the mean is worse by just the margin."""
    rng = np.random.default_rng(5)
    n_wrong = 0
    for _ in range(200):
        change = 0.5 * (rng.random(40) < 0.1) + rng.normal(0, 0.02, 40)
        found = compare_errors(np.full(40, 0.2), 0.2 + change, margins={"lip_sync.error": 0.05})
        n_wrong += found.finding in {Conclusion.NOT_WORSE, Conclusion.NO_DIFFERENCE, Conclusion.BETTER}
    assert n_wrong <= 12


def test_how_many_more_pairs_is_said_for_a_margin_alone_and_holds() -> None:
    """Draw as many more from the same truth, half the margin: it is settled in 80 %, or nearly."""
    rng = np.random.default_rng(6)
    n_told = n_settled = 0
    margins = {"lip_sync.error": 0.05}
    for _ in range(100):
        before, change = np.full(400, 0.4), 0.025 + rng.normal(0, 0.1, 400)
        found = compare_errors(before[:30], 0.4 + change[:30], margins=margins)
        if found.n_more is None:
            continue
        assert f"about {found.n_more} more pairs settle" in found.text
        n = 30 + found.n_more
        n_told += 1
        n_settled += (
            compare_errors(before[:n], 0.4 + change[:n], margins=margins).finding is not Conclusion.NOT_ENOUGH
        )
    assert n_told > 60
    assert n_settled / n_told >= 0.75
    found = compare_errors(before[:30], 0.4 + change[:30])
    assert (found.finding, found.n_more) == (Conclusion.NOT_ENOUGH, None)
    assert "more pairs" not in found.text


@pytest.mark.parametrize("n", [1, 2, 5, 12, 19])
def test_few_pairs_prove_nothing_about_a_mean(n: int, rng: np.random.Generator) -> None:
    found = compare_errors(
        rng.normal(0.1, 0.01, n), rng.normal(0.9, 0.01, n), margins={"lip_sync.error": 0.05}
    )
    assert (found.finding, found.n_more, found.test.p_holm) == (Conclusion.NOT_ENOUGH, None, None)
    assert f"worse in {n} of {n} pair" in found.text
    assert "fewer than 20 pairs cannot exclude rare ruined clips" in found.text


def test_missing_values_are_an_outcome() -> None:
    """Errors of B are lower where it has any, and it has none on its 12 worst: truly it is worse."""
    rng = np.random.default_rng(8)
    a = rng.normal(0.276, 0.05, 48)
    b = rng.normal(0.2, 0.05, 48)
    b[24:] = rng.normal(0.6, 0.05, 24)
    seen = [value if index < 24 else None for index, value in enumerate(b)]
    comparison = compare_tables(
        make_apart({"lip_sync.error": a}), make_apart({"lip_sync.error": seen}), policy=customer_service()
    )
    found = comparison["lip_sync.error"]
    assert found.finding is Conclusion.NOT_ENOUGH
    assert (found.missing.n_a, found.missing.n_b, found.missing.p) == (0, 24, pytest.approx(2 * 0.5**24))
    assert found.missing.bounds is not None
    low, high = found.missing.bounds
    assert low == pytest.approx((np.sum(b[:24] - a[:24]) - np.sum(a[24:])) / 48)
    assert high == pytest.approx((np.sum(b[:24] - a[:24]) + np.sum(1 - a[24:])) / 48)
    assert low < np.mean(b - a) < high
    assert "lip_sync.error, over 24 of 48 pairs: " in comparison.answer
    assert "lip_sync.error has no value in 24 of 48 clips of B and none of A." in comparison.answer


def test_a_claim_that_holds_whatever_is_missing_is_made(rng: np.random.Generator) -> None:
    a = list(rng.normal(0.8, 0.02, 40))
    b: list[float | None] = [*rng.normal(0.1, 0.02, 39), None]
    comparison = compare_tables(
        make_apart({"lip_sync.error": a}), make_apart({"lip_sync.error": b}), policy=customer_service()
    )
    assert comparison.answer == (
        "B is better in lip_sync.error, over 39 of 40 pairs. "
        "lip_sync.error has no value in 1 of 40 clips of B and none of A."
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_absent_in_an_arm_is_the_headline(rng: np.random.Generator, *, is_there: bool) -> None:
    a, b = make_apart(columns(rng)), make_apart(columns(rng))
    rows = (
        replace(row, values={name: value for name, value in row.values.items() if name != "lip_sync.error"})
        for row in b.rows
    )
    metrics = (
        b.metrics if is_there else {name: m for name, m in b.metrics.items() if name != "lip_sync.error"}
    )
    comparison = compare_tables(a, replace(b, rows=tuple(rows), metrics=metrics), policy=customer_service())
    assert comparison.answer == (
        "lip_sync.error was not compared: B has no value in any of 30 pairs: not in the run (30)."
    )


def test_an_error_rate_that_is_equal_answers_nothing() -> None:
    table = make_band([10.0] * 40, "expression.blink_per_min")
    comparison = compare_tables(table, table, policy=customer_service())
    assert comparison["profile.error_rate"].finding is Conclusion.NO_DIFFERENCE
    assert comparison.answer.startswith(
        "lip_sync.error was not compared: neither side has a value in any of 40 pairs"
    )


def test_an_error_rate_that_is_equal_and_not_zero_is_an_answer() -> None:
    table = make_apart({"lip_sync.error": [0.1] * 40})
    table = replace(
        table,
        rows=tuple(replace(row, failure="generate failed: hang") for row in table.rows[:15])
        + table.rows[15:],
    )
    policy = customer_service().model_copy(update={"primary": (ERROR_RATE,)})
    assert "profile.error_rate" in compare_tables(table, table, policy=policy).answer


def test_failures_are_compared_exactly() -> None:
    a = make_apart({"lip_sync.error": [0.1] * 10})
    failing = tuple(replace(row, failure="generate failed: hang") for row in a.rows[:7])
    comparison = compare_tables(a, replace(a, rows=(*failing, *a.rows[7:])), policy=customer_service())
    rate = comparison["profile.error_rate"]
    assert (rate.finding, rate.test.p_holm) == (Conclusion.WORSE, 2 * 0.5**7)
    assert rate.text.startswith("7 of 10 clips leave the attempts that succeed")
    assert comparison.answer.endswith("Failed: none of A, 7 of B.")


def test_a_copy_of_a_video_counts_once() -> None:
    a, b = (make_apart({"lip_sync.error": [level] * 8}) for level in (0.1, 0.9))
    copied = replace(b, rows=tuple(replace(row, content="the same") for row in b.rows))
    comparison = compare_tables(a, copied, policy=customer_service())
    assert comparison.n_pairs == 1
    assert comparison["lip_sync.error"].finding is Conclusion.NOT_ENOUGH
    assert comparison.notes[1] == "p1 × s0, seed 1 is a copy of a video in another pair and does not count"


def test_draws_of_the_same_seed_at_other_sizes_are_no_more_pairs(rng: np.random.Generator) -> None:
    """Ten inputs at three sizes, one seed: ten draws of the generator, however many sizes show them."""
    draws = rng.normal(0.05, 0.01, 10)
    sides = [
        [
            make_apart({"lip_sync.error": 0.2 + shift * draws}, params={"size": size, "steps": shift})
            for size in ("384*256", "688*368", "704*384")
        ]
        for shift in (0, 1)
    ]
    tables = (
        ResultTable("run", tuple(row for part in side for row in part.rows), side[0].metrics)
        for side in sides
    )
    found = compare_tables(*tables, ignore_params=("steps",))["lip_sync.error"]
    assert (found.difference.n, found.finding) == (30, Conclusion.NOT_ENOUGH)
    assert found.text.endswith("cannot exclude rare ruined clips: there are 10 different inputs and seeds")


def test_few_levels_say_what_cannot_be_known(rng: np.random.Generator) -> None:
    sides = (
        make_table({"lip_sync.error": rng.normal(level, 0.01, N)}, n_portraits=3) for level in (0.2, 0.5)
    )
    a, b = sides
    found = compare_tables(a, b)["lip_sync.error"]
    assert found.finding is Conclusion.NOT_ENOUGH
    assert "this cannot be known from 3 portraits" in found.text
    shipped = customer_service().model_copy(update={"given": ("portrait",)})
    assert compare_tables(a, b, policy=shipped)["lip_sync.error"].finding is Conclusion.WORSE


def test_what_has_no_partner_is_named() -> None:
    a = make_table({"lip_sync.error": [0.1, 0.2, 0.3]}, n_portraits=3)
    b = make_table({"lip_sync.error": [0.1, 0.2]}, n_portraits=2)
    comparison = compare_tables(a, b)
    assert comparison.n_pairs == 2
    assert comparison.unpaired_a == ("p2 × s0, seed 1",)
    assert comparison.unpaired_b == ()


def test_coverage_and_reasons_are_counted() -> None:
    a = make_table({"lip_sync.error": [0.1, None, 0.3, 0.2]})
    b = make_table({"lip_sync.error": [0.1, 0.2, None, 0.2]})
    b = replace(
        b, rows=(*b.rows[:3], replace(b.rows[3], values={}, absent={}, failure="generate failed: hang"))
    )
    comparison = compare_tables(a, b)
    found = comparison["lip_sync.error"]
    assert (found.a.n, found.a.n_attempted, found.b.n, found.b.n_attempted) == (3, 4, 2, 4)
    assert found.difference.n == 1
    assert found.change.absences == {"no_face": 2, "generate failed: hang": 1}
    rate = comparison["profile.error_rate"]
    assert (rate.a.value, rate.b.value, rate.difference.n) == (0.0, 0.25, 4)
    assert comparison.failed_b == ("p3 × s0, seed 1: generate failed: hang",)


def test_what_a_failed_attempt_cost_is_not_compared_with_a_finished_one() -> None:
    a = make_table({"profile.peak_rss_mib": [900.0] * 8})
    broken = replace(
        a.rows[0], values={"profile.peak_rss_mib": 22000.0}, failure="generate failed: out_of_memory"
    )
    found = compare_tables(a, replace(a, rows=(broken, *a.rows[1:])))["profile.peak_rss_mib"]
    assert (found.difference.value, found.difference.n, found.b.n) == (0.0, 7, 7)


def test_a_metric_that_no_pair_has_is_not_compared() -> None:
    a = make_table({"lip_sync.error": [0.1, None]})
    b = make_table({"lip_sync.error": [None, 0.1]})
    found = compare_tables(a, b)["lip_sync.error"]
    assert found.finding is Conclusion.NOT_COMPARED
    assert found.text == "no pair has it on both sides: no face was found in enough frames (2)"
    assert (found.change.mean_a, found.difference.value) == (None, None)


def test_nothing_in_common_is_said() -> None:
    a = make_table({"lip_sync.error": [0.1]})
    b = replace(a, rows=tuple(replace(row, seed=2) for row in a.rows))
    comparison = compare_tables(a, b)
    assert comparison.n_pairs == 0
    assert comparison.answer == "Nothing can be compared: no clip of A has a partner in B."
    assert (len(comparison.unpaired_a), len(comparison.unpaired_b)) == (1, 1)


def test_one_run_split_by_a_parameter_pairs_over_the_others(rng: np.random.Generator) -> None:
    parts = [
        make_table(
            {"lip_sync.error": base + shift + rng.normal(0, 0.005, N)},
            params={"steps": steps, "size": size},
            n_portraits=N,
        )
        for steps, shift in ((4, 0.0), (3, 0.06))
        for size, base in (("384*256", 0.2), ("688*368", 0.4))
    ]
    run = ResultTable("run", tuple(row for part in parts for row in part.rows), parts[0].metrics)
    a, b = (run.where({"steps": steps}) for steps in (4, 3))
    comparison = compare_tables(a, b, ignore_params=("steps",))
    assert comparison.n_pairs == 2 * N
    assert comparison["lip_sync.error"].finding is Conclusion.WORSE
    assert comparison["lip_sync.error"].difference.value == pytest.approx(0.06, abs=0.01)


def test_twins_are_refused() -> None:
    table = make_table({"lip_sync.error": [0.1]})
    twins = replace(table, rows=table.rows * 2)
    with pytest.raises(UsageError, match=r"run: 'p0 × s0' and 'p0 × s0' are the same input"):
        compare_tables(twins, table)


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (({"lip_sync": 1}, {"lip_sync": 2}), "version 1 measured A and version 2 measured B"),
        (({}, {"lip_sync": 2}), "an unknown version measured A and version 2 measured B"),
    ],
)
def test_values_of_different_versions_are_not_compared(
    rng: np.random.Generator, versions: tuple[dict[str, int], dict[str, int]], words: str
) -> None:
    values = columns(rng)
    a, b = (make_apart(values, evaluators=known) for known in versions)
    comparison = compare_tables(a, b, policy=customer_service())
    assert comparison["lip_sync.error"].finding is Conclusion.NOT_COMPARED
    assert comparison["lip_sync.offset_ms"].finding is Conclusion.NOT_COMPARED
    assert comparison["technical.sharpness"].finding is not Conclusion.NOT_COMPARED
    assert comparison.answer == (
        f"lip_sync.error was not compared: lip_sync: {words}; measure one of them again."
    )


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ({"lip_sync.eror": 0.1}, "did you mean 'lip_sync.error'"),
        ({"lip_sync.error": 0.0}, "must be greater than 0"),
    ],
)
def test_wrong_margins_are_refused(margins: dict[str, float], message: str) -> None:
    table = make_table({"lip_sync.error": [0.1]})
    with pytest.raises(UsageError, match=message):
        compare_tables(table, table, margins=margins)


def test_the_reach_of_the_answer_is_said(rng: np.random.Generator) -> None:
    few = make_table(columns(rng), n_portraits=2)
    assert compare_tables(few, few).notes == (
        "speaks of 2 portraits, 15 pieces of speech, 1 seed; of no other seed",
    )
    shipped = customer_service().model_copy(update={"given": ("portrait",)})
    assert compare_tables(few, few, policy=shipped).notes == (
        "speaks of 2 portraits, 15 pieces of speech, 1 seed; of no other seed; by the policy no other portrait matters",
    )


def test_each_side_shows_the_value_over_all_its_clips_and_says_where_the_pairs_are_fewer() -> None:
    a = make_table({"lip_sync.error": [0.1, 0.2, 0.3, 0.4]})
    b = make_table({"lip_sync.error": [0.2, 0.3, None, 0.5]})
    found = compare_tables(a, replace(b, rows=b.rows[1:]))["lip_sync.error"]
    assert (found.a.value, found.b.value) == (pytest.approx(0.25), pytest.approx(0.4))
    # the pairs are the second and the fourth clip
    assert (found.change.mean_a, found.change.mean_b) == (pytest.approx(0.3), pytest.approx(0.4))
    assert found.difference.value == pytest.approx(0.1)
    assert found.coverage == "A over 4 clips, B over 2 clips, the difference over 2 pairs"
    assert compare_tables(a, a)["lip_sync.error"].coverage == ""


def test_the_frame_has_a_row_a_metric(rng: np.random.Generator) -> None:
    values = columns(rng)
    other = values | {"lip_sync.error": values["lip_sync.error"] + rng.normal(0.1, 0.01, N)}
    comparison = compare_tables(make_apart(values, title="<i>"), make_apart(other), policy=customer_service())
    frame = comparison.frame().set_index("metric")
    found = comparison["lip_sync.error"]
    names = ["a", "n_a", "b", "difference", "n_pairs", "missing_b", "family", "finding"]
    assert frame.loc["lip_sync.error", names].tolist() == [
        found.a.value,
        N,
        found.b.value,
        found.difference.value,
        N,
        0,
        "primary",
        "worse",
    ]
    assert (
        repr(comparison)
        == "<Comparison of <i> and run: 6 metrics. B is worse in lip_sync.error, over 30 pairs.>"
    )
    assert comparison._repr_html_().startswith("<p>B is worse in lip_sync.error")
