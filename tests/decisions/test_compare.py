"""Which of two: planted differences, none, too little to tell, and what cannot be paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.table import ResultTable
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.testing.tables import make_table

N = 24


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


def test_a_run_against_itself_shows_no_difference(rng: np.random.Generator) -> None:
    table = make_table(columns(rng))
    comparison = compare_tables(table, table)
    findings = {one.metric.name: one.finding for one in comparison.metrics}
    assert findings.pop("technical.fps") is Conclusion.NOT_JUDGED  # neither end is good, and no band is known
    assert set(findings.values()) == {Conclusion.NO_DIFFERENCE}
    assert comparison.answer == f"No difference between A and B, over {N} pairs."
    assert comparison["lip_sync.error"].difference.interval == (0.0, 0.0)


def test_a_run_moved_by_80_ms_says_which_and_by_how_much(rng: np.random.Generator) -> None:
    values = columns(rng)
    moved = values | {"lip_sync.offset_ms": values["lip_sync.offset_ms"] - 80 + rng.normal(0, 3, N)}
    comparison = compare_tables(make_table(values), make_table(moved))
    found = comparison["lip_sync.offset_ms"]
    assert found.finding is Conclusion.WORSE
    assert found.change.moved.value == pytest.approx(-80, abs=2)
    # 10 ms from zero before, 70 ms after: 60 ms further away
    assert found.difference.value == pytest.approx(60, abs=4)
    assert comparison.found(Conclusion.WORSE) == [found]
    assert comparison.answer == f"B is worse in lip_sync.offset_ms, over {N} pairs."


def test_better_goes_the_way_of_the_metric(rng: np.random.Generator) -> None:
    values = columns(rng)
    more = {name: column + 0.2 + 0.01 * rng.normal(size=N) for name, column in values.items()}
    comparison = compare_tables(make_table(values), make_table(more))
    assert comparison["lip_sync.error"].finding is Conclusion.WORSE
    assert comparison["technical.sharpness"].finding is Conclusion.BETTER
    assert comparison["profile.total_s"].finding is Conclusion.WORSE
    backwards = compare_tables(make_table(more), make_table(values))
    assert backwards["lip_sync.error"].finding is Conclusion.BETTER


def test_a_band_of_the_policy_gives_a_metric_a_good_end(rng: np.random.Generator) -> None:
    known = known_metrics()
    policy = load_policy("customer_service")
    n = 12
    still, lively = rng.normal(0.5, 0.05, n), rng.normal(8.0, 1.0, n)
    a, b = (
        replace(
            make_table({"profile.total_s": column}),
            metrics={"motion.amount_deg_s": known["motion.amount_deg_s"]},
        )
        for column in (still, lively)
    )
    a, b = (
        replace(
            one,
            rows=tuple(
                replace(row, values={"motion.amount_deg_s": row.values["profile.total_s"]})
                for row in one.rows
            ),
        )
        for one in (a, b)
    )
    found = compare_tables(a, b, policy=policy)["motion.amount_deg_s"]
    assert found.finding is Conclusion.BETTER
    # 0.5 lies 1.5 below the band that starts at 2; 8 lies inside
    assert found.difference.value == pytest.approx(-1.5, abs=0.1)
    assert compare_tables(a, b)["motion.amount_deg_s"].finding is Conclusion.NOT_JUDGED


def test_p_and_interval_agree_with_scipy(rng: np.random.Generator) -> None:
    a, b = rng.normal(0.3, 0.1, 12), rng.normal(0.36, 0.1, 12)
    tables = (make_table({"lip_sync.error": column}, n_portraits=3) for column in (a, b))
    found = compare_tables(*tables)["lip_sync.error"]
    test = scipy.stats.permutation_test(
        (b, a), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert found.test.p == pytest.approx(test.pvalue, abs=1e-12)
    assert found.test.p_holm == found.test.p  # a single metric
    theirs = scipy.stats.bootstrap(
        (b - a,), np.mean, confidence_level=0.9696, rng=np.random.default_rng(0)
    ).confidence_interval  # 2·Φ(t(11)·sqrt(12/11)) - 1 = 0.9785 is asked for; a plain 95 % one lies inside
    interval = found.difference.interval
    assert interval is not None
    assert interval == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert found.difference.value == pytest.approx(float(np.mean(b - a)))


def test_false_alarms_over_200_null_comparisons() -> None:
    """Five metrics each; B is A made again with other noise, on portraits and speech that differ by far more."""
    rng = np.random.default_rng(2)
    n_alarms = 0
    names = [
        "lip_sync.error",
        "technical.sharpness",
        "profile.total_s",
        "profile.peak_rss_mib",
        "profile.ttff_s",
    ]
    for seed in range(200):
        inputs = rng.normal(0, 5, (5, 12))
        sides = [dict(zip(names, inputs + rng.normal(size=(5, 12)), strict=True)) for _ in "ab"]
        comparison = compare_tables(*(make_table(side) for side in sides), seed=seed)
        n_alarms += bool(comparison.found(Conclusion.BETTER) + comparison.found(Conclusion.WORSE))
    assert n_alarms <= 10


def test_a_planted_difference_is_found_nearly_always() -> None:
    rng = np.random.default_rng(4)
    n_found = 0
    for seed in range(40):
        before = rng.normal(0, 5, 16)
        tables = (
            make_table({"lip_sync.error": column}) for column in (before, before + 1.2 + rng.normal(size=16))
        )
        n_found += compare_tables(*tables, seed=seed)["lip_sync.error"].finding is Conclusion.WORSE
    assert n_found >= 36  # Student's test with 16 pairs and 1.2 standard deviations: 0.99


def test_within_the_margin_is_no_difference_and_at_worst_within_it_is_not_worse(
    rng: np.random.Generator,
) -> None:
    before = rng.uniform(0.1, 0.5, N)
    noise = rng.normal(0, 0.03, N)
    noise -= noise.mean()
    same, better = (
        compare_tables(
            make_table({"lip_sync.error": before}),
            make_table({"lip_sync.error": before + noise + shift}),
            margins={"lip_sync.error": 0.02},
        )["lip_sync.error"]
        for shift in (0.0, -0.011)
    )
    assert (same.finding, same.margin) == (Conclusion.NO_DIFFERENCE, 0.02)
    assert same.text.endswith("all within the margin of 0.02")
    assert better.finding is Conclusion.NOT_WORSE


def test_not_enough_evidence_says_how_much_more(rng: np.random.Generator) -> None:
    before = rng.uniform(0.1, 0.5, 8)
    noise = rng.normal(0, 0.1, 8)
    after = before + (noise - noise.mean()) / noise.std(ddof=1) * 0.1 + 0.05
    comparison = compare_tables(make_table({"lip_sync.error": before}), make_table({"lip_sync.error": after}))
    found = comparison["lip_sync.error"]
    assert found.finding is Conclusion.NOT_ENOUGH
    assert found.n_more is not None
    assert found.n_more == pytest.approx(34 - 8, abs=12)  # 0.05 of 0.1: 34 pairs by the textbook
    assert f"about {found.n_more} more pairs" in found.text
    assert comparison.answer.startswith(
        "Not enough evidence for a difference in lip_sync.error, over 8 pairs"
    )
    assert found.test.detectable == pytest.approx(
        0.1 * 1.16, rel=0.35
    )  # 8 pairs find 1.16 standard deviations


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_pairs_prove_nothing(n: int) -> None:
    tables = (make_table({"lip_sync.error": np.full(n, level)}) for level in (0.1, 0.9))
    found = compare_tables(*tables)["lip_sync.error"]
    assert found.finding is Conclusion.NOT_ENOUGH
    assert found.n_more == 6 - n


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
            {"lip_sync.error": base + shift + rng.normal(0, 0.005, 6)}, params={"steps": steps, "size": size}
        )
        for steps, shift in ((4, 0.0), (3, 0.06))
        for size, base in (("384*256", 0.2), ("688*368", 0.4))
    ]
    run = ResultTable("run", tuple(row for part in parts for row in part.rows), parts[0].metrics)
    a, b = (run.where({"steps": steps}) for steps in (4, 3))
    comparison = compare_tables(a, b, ignore_params=("steps",))
    assert comparison.n_pairs == 12
    assert comparison["lip_sync.error"].finding is Conclusion.WORSE
    assert comparison["lip_sync.error"].difference.value == pytest.approx(0.06, abs=0.01)


def test_twins_are_refused() -> None:
    table = make_table({"lip_sync.error": [0.1]})
    twins = replace(table, rows=table.rows * 2)
    with pytest.raises(UsageError, match=r"run: 'p0 × s0' and 'p0 × s0' are the same input"):
        compare_tables(twins, table)


def test_values_of_different_versions_are_not_compared(rng: np.random.Generator) -> None:
    values = columns(rng)
    a, b = (make_table(values, evaluators={"lip_sync": version, "technical": 1}) for version in (1, 2))
    comparison = compare_tables(a, b)
    assert [one.metric.name for one in comparison.metrics if one.metric.name.startswith("lip_sync")] == []
    assert "lip_sync: version 1 measured A and version 2 measured B" in comparison.notes[0]


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
    many = make_table({"lip_sync.error": rng.random(144)}, n_portraits=12)
    assert compare_tables(few, few).notes == (
        "speaks only of the 2 portraits seen here: with 12 or more, of others too",
    )
    assert compare_tables(many, many).notes == ()


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
    other = values | {"lip_sync.error": values["lip_sync.error"] + 0.1}
    comparison = compare_tables(make_table(values, title="<i>"), make_table(other))
    frame = comparison.frame().set_index("metric")
    found = comparison["lip_sync.error"]
    assert frame.loc["lip_sync.error", ["a", "n_a", "b", "difference", "n_pairs"]].tolist() == [
        found.a.value,
        N,
        found.b.value,
        found.difference.value,
        N,
    ]
    assert frame.loc["lip_sync.error", "finding"] == "worse"
    assert (
        repr(comparison)
        == "<Comparison of <i> and run: 6 metrics. B is worse in lip_sync.error, over 24 pairs.>"
    )
    assert comparison._repr_html_().startswith("<p>B is worse in lip_sync.error")
