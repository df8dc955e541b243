"""One judge: what is known of a rule, and that everybody who shows it says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.analysis.values import NOBODY_RATED
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.gates import describe_budget, describe_grades
from evalkit.decisions.judge import FaultKind, Grade, RuleResult, Status, judge
from evalkit.decisions.policy import Policy, Rule
from evalkit.decisions.recommend import recommend
from evalkit.decisions.signoff import sign_off
from evalkit.runs.ratings.records import Origin
from evalkit.testing.ratings import with_scores
from evalkit.testing.tables import make_table

GOOD = np.linspace(0.1, 0.2, 20)
SPREAD = 0.1 / 19 * np.sqrt(20 * 21 / 12)  # of 20 equal steps: the step times sqrt(n (n + 1) / 12)
T_19 = 2.0930  # Student's t with 19 degrees of freedom, 0.975
UPPER = 0.15 + T_19 * SPREAD / np.sqrt(20)


def rule_of(**fields: Any) -> Rule:
    return Rule.model_validate({"metric": "lip_sync.error", "why": "a gate", **fields})


def policy_of(*rules: Rule, min_coverage: float = 0.95) -> Policy:
    return Policy.model_validate(
        {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.peak_rss_mib"]}
        | {"rules": rules, "min_coverage": min_coverage}
    )


def judged(values: Any, *, budget: ErrorBudget | None = None, **fields: Any) -> RuleResult:
    rule = rule_of(**fields)
    table = make_table({"lip_sync.error": list(values)}, n_portraits=1)
    return judge(rule, table.pooled(), policy_of(rule), budget or ErrorBudget())


@pytest.mark.parametrize(
    ("values", "rule", "grade", "kinds"),
    [
        (GOOD, {"at_most": 0.3}, Grade.PASSES, set()),
        (GOOD, {"at_most": UPPER + 1e-4}, Grade.PASSES, set()),
        (GOOD, {"at_most": UPPER - 1e-4}, Grade.TOO_FEW_CLIPS, {FaultKind.INTERVAL_BEYOND}),
        (GOOD, {"at_least": 0.3 - UPPER - 1e-4, "at_most": 0.9}, Grade.PASSES, set()),
        (
            GOOD,
            {"at_least": 0.3 - UPPER + 1e-4, "at_most": 0.9},
            Grade.TOO_FEW_CLIPS,
            {FaultKind.INTERVAL_BEYOND},
        ),
        (GOOD, {"at_most": 0.14}, Grade.FAILS, {FaultKind.BEYOND}),
        (GOOD, {"at_most": 0.16, "dead_band": 0.02}, Grade.FAILS, {FaultKind.TOO_CLOSE}),
        (GOOD, {"at_most": 0.19, "per": "clip"}, Grade.FAILS, {FaultKind.BEYOND}),
        (GOOD[:18], {"at_most": 0.3}, Grade.TOO_FEW_CLIPS, {FaultKind.TOO_FEW}),
        (GOOD[:19], {"at_most": 0.3}, Grade.PASSES, set()),
        (GOOD[:18], {"at_most": 0.3, "per": "clip"}, Grade.TOO_FEW_CLIPS, {FaultKind.TOO_FEW}),
        (GOOD[:18], {"at_most": 0.3, "judged_by": "value"}, Grade.TOO_FEW_CLIPS, {FaultKind.TOO_FEW}),
        (
            GOOD[:4],
            {"at_most": 0.3},
            Grade.TOO_FEW_CLIPS,
            {FaultKind.NO_INTERVAL, FaultKind.TOO_FEW},
        ),
        (GOOD, {"at_most": 0.3, "min_n": 21}, Grade.TOO_FEW_CLIPS, {FaultKind.TOO_FEW}),
        ([*GOOD, None, None], {"at_most": 0.3}, Grade.TOO_FEW_CLIPS, {FaultKind.COVERAGE}),
        (
            GOOD,
            {"at_most": 0.3, "reducer": "p90", "judged_by": "interval"},
            Grade.TOO_FEW_CLIPS,
            {FaultKind.NO_INTERVAL},
        ),
        ([None] * 6, {"at_most": 0.3}, Grade.NOT_MEASURED, {FaultKind.NOT_MEASURED}),
        # what is beyond the limit fails, however few the clips
        (GOOD[:4] + 0.5, {"at_most": 0.3}, Grade.FAILS, {FaultKind.BEYOND, FaultKind.TOO_FEW}),
        # equal values leave no spread, but 20 of them bound the share of others, which can be 1 at worst
        (np.full(20, 0.1), {"at_most": 0.1 + 0.1685 * 0.9}, Grade.PASSES, set()),
        (np.full(20, 0.1), {"at_most": 0.1 + 0.1684 * 0.9}, Grade.TOO_FEW_CLIPS, {FaultKind.INTERVAL_BEYOND}),
    ],
)
def test_four_grades(values: Any, rule: dict[str, Any], grade: Grade, kinds: set[FaultKind]) -> None:
    line = judged(values, **rule)
    assert line.grade is grade
    assert {fault.kind for fault in line.faults} == kinds
    assert (line.status is Status.PASS) is (grade is Grade.PASSES)


@pytest.mark.parametrize(
    ("values", "rule", "words"),
    [
        (
            GOOD[:12],
            {"at_most": 0.3},
            "12 of the 19 clips needed: 12 cannot exclude that 22 % are ruined",  # 1 - .05 ** (1 / 12) = .2209
        ),
        (GOOD, {"at_most": 0.16}, "20 clips cannot exclude that it is as high as 0.165 (95 % interval)"),
        (
            GOOD,
            {"at_least": 0.14, "at_most": 0.9},
            "20 clips cannot exclude that it is as low as 0.135 (95 % interval)",
        ),
        (
            GOOD[:3],
            {"at_most": 0.3, "judged_by": "interval"},
            "the interval must pass, and there is none: 3 of the 5 values",
        ),
    ],
)
def test_what_was_not_excluded_is_said(values: Any, rule: dict[str, Any], words: str) -> None:
    assert words in judged(values, **rule).evidence


def test_draws_of_one_input_are_one_clip() -> None:
    table = make_table({"lip_sync.error": list(GOOD)}, n_portraits=1)
    rows = tuple(replace(row, speech=f"s{k // 2}", seed=k % 2) for k, row in enumerate(table.rows))
    rule = rule_of(at_most=0.3)
    line = judge(rule, replace(table, rows=rows).pooled(), policy_of(rule), ErrorBudget())
    assert line.grade is Grade.TOO_FEW_CLIPS
    assert "10 of the 19 clips needed, as 20 clips are draws of 10 inputs" in line.evidence
    copies = tuple(replace(row, speech="s0", seed=1) for row in table.rows)
    line = judge(rule, replace(table, rows=copies).pooled(), policy_of(rule), ErrorBudget())
    assert line.grade is Grade.TOO_FEW_CLIPS
    assert "1 of the 19 clips needed, as 20 clips are draws of 1 input" in line.evidence


@pytest.mark.parametrize(
    ("budget", "t"),
    [  # Student's t with 19 degrees of freedom at 1 - alpha, by tables and by scipy.stats.t.ppf
        (ErrorBudget(), 2.0930),  # .025
        (ErrorBudget(n_configurations=5), 2.8609),  # .005
        (ErrorBudget(look=2), 2.3393),  # .025 * 6 / pi**2 = .0152
    ],
)
def test_a_budget_says_how_strictly_is_judged(budget: ErrorBudget, t: float) -> None:
    edge = 0.15 + t * SPREAD / np.sqrt(20)
    assert judged(GOOD, budget=budget, at_most=edge + 1e-4).grade is Grade.PASSES
    assert judged(GOOD, budget=budget, at_most=edge - 1e-4).grade is Grade.TOO_FEW_CLIPS


def test_a_percentile_is_bound_as_strictly() -> None:
    values = np.linspace(0.0, 1.0, 60)
    loose = judged(values, at_most=0.99, reducer="p90", judged_by="interval")
    strict = judged(
        values, budget=ErrorBudget(n_configurations=50), at_most=0.99, reducer="p90", judged_by="interval"
    )
    assert loose.grade is Grade.PASSES
    assert strict.grade is Grade.TOO_FEW_CLIPS
    assert loose.interval == strict.interval  # what is shown is the interval of 95 %


def attempts(n: int, n_failed: int) -> ResultTable:
    table = make_table({"lip_sync.error": np.full(n, 0.1)}, n_portraits=1)
    broken = tuple(replace(row, values={}, failure="generate failed: hang") for row in table.rows[:n_failed])
    return replace(table, rows=(*broken, *table.rows[n_failed:]))


@pytest.mark.parametrize(
    ("n", "n_failed", "grade", "words"),
    [  # no failure in n attempts: 1 - .05 ** (1 / n) is below .005 from n = 598 on
        (598, 0, Grade.PASSES, "met"),
        (597, 0, Grade.TOO_FEW_CLIPS, "597 of the 598 attempts that can show 0.5 %"),
        (200, 0, Grade.TOO_FEW_CLIPS, "200 of the 598 attempts that can show 0.5 %"),
        (200, 1, Grade.TOO_FEW_CLIPS, "1 of 200 attempts failed: 2.3 % cannot be excluded"),
        (200, 2, Grade.FAILS, "the value is beyond the limit"),
    ],
)
def test_the_error_rate_is_judged_by_its_exact_bound(n: int, n_failed: int, grade: Grade, words: str) -> None:
    rule = rule_of(metric="profile.error_rate", at_most=0.005, judged_by="interval")
    line = judge(rule, attempts(n, n_failed).pooled(), policy_of(rule), ErrorBudget())
    assert (line.grade, line.evidence) == (grade, words)


def test_the_grades_of_gates_in_words() -> None:
    assert describe_grades([Grade.PASSES] * 9, 9) == "9 of 9 gates pass"
    many = [Grade.PASSES] * 3 + [Grade.FAILS] + [Grade.TOO_FEW_CLIPS] * 2 + [Grade.NOT_MEASURED] * 3
    assert describe_grades(many, 9) == "3 of 9 gates pass, 1 fails, 2 have too few clips, 3 are not measured"


def test_a_stricter_budget_is_explained() -> None:
    assert describe_budget(ErrorBudget()) == ()
    look, one_of = describe_budget(ErrorBudget(look=3, n_configurations=9))
    assert look.startswith("Look 3 at this run: judged more strictly")
    assert one_of.startswith("One of 9 configurations: ")
    assert one_of.endswith("a run of its own needs fewer clips.")


def test_a_percentile_is_judged_and_named() -> None:
    values = np.linspace(0.0, 1.0, 21)
    line = judged(values, at_most=0.85, reducer="p90", judged_by="value")
    assert (line.value, line.limit, line.grade) == (pytest.approx(0.9), "at most 0.85 (p90)", Grade.FAILS)
    assert judged(values, at_most=0.95, reducer="p90", judged_by="value").status is Status.PASS


def test_every_clip_and_the_worst_clip_are_the_same_rule() -> None:
    lines = (judged(GOOD, at_most=0.19, per="clip"), judged(GOOD, at_most=0.19, reducer="worst"))
    assert lines[0] == lines[1]
    assert (lines[0].value, lines[0].limit) == (0.2, "at most 0.19 in every clip")


def test_a_failed_attempt_misses_no_limit_of_a_cost() -> None:
    table = make_table({"profile.peak_rss_mib": [1020.0] * 20}, n_portraits=1)
    row = replace(table.rows[0], values={"profile.peak_rss_mib": 9000.0}, failure="generate failed: oom")
    table = replace(table, rows=(*table.rows, replace(row, seed=2)))
    rule = Rule.model_validate(
        {"metric": "profile.peak_rss_mib", "at_most": 2000, "judged_by": "value", "why": "a gate"}
    )
    policy = policy_of(rule)
    (signed_off,) = sign_off(table, policy).lines
    (candidate,) = recommend(table, policy).candidates
    compared = compare_tables(table, table)["profile.peak_rss_mib"]
    assert candidate.lines == (signed_off,)
    assert signed_off.status is Status.PASS
    for summary in (signed_off.summary, compared.a, compared.b):
        assert (summary.value, summary.n, summary.n_attempted) == (1020.0, 20, 21)
    every_clip = rule.model_copy(update={"per": "clip"})
    assert judge(every_clip, table.pooled(), policy, ErrorBudget()).value == 1020.0


def rated(n_raters: int, n_rated: int = 20, *, n_simulated: int = 0, n_clips: int = 20) -> ResultTable:
    """Score clips 4.1 in the mean: nine raters of ten give 4, one gives 5; the first clips alone are shown."""
    scores = np.full((n_clips, n_raters), np.nan)
    scores[:n_rated] = np.where(np.arange(n_raters) % 10 == 9, 5.0, 4.0)
    table = make_table({"lip_sync.error": np.linspace(0.1, 0.2, n_clips)}, n_portraits=1)
    return with_scores(table, scores, origins=[Origin.SIMULATED] * n_simulated)


def judged_rating(table: ResultTable, **more: Any) -> RuleResult:
    rule = Rule.model_validate({"metric": "rating.mos", "why": "a gate", **more})
    return judge(rule, table.pooled(), policy_of(rule), ErrorBudget())


@pytest.mark.parametrize(
    ("table", "grade", "evidence"),
    [
        (rated(20), Grade.PASSES, "met, by 20 raters"),
        (rated(20, n_simulated=20), Grade.PASSES, "met, by 20 simulated raters"),
        (rated(20, n_simulated=8), Grade.PASSES, "met, by 20 raters (8 simulated)"),
        (rated(19), Grade.TOO_FEW_CLIPS, "19 of the 20 raters needed, by 19 raters"),
        (rated(20, 19), Grade.PASSES, "met, by 20 raters"),
        (rated(20, 18), Grade.TOO_FEW_CLIPS, "18 of 20 clips rated: at least 19 have to be, by 20 raters"),
        (rated(20, 8, n_clips=8), Grade.PASSES, "met, by 20 raters"),
        (
            rated(20, 7, n_clips=8),
            Grade.TOO_FEW_CLIPS,
            "7 of 8 clips rated: at least 8 have to be, by 20 raters",
        ),
        (rated(0, 0), Grade.NOT_MEASURED, f"not measured: {NOBODY_RATED}"),
    ],
)
def test_a_gate_on_an_opinion_counts_raters_and_asks_for_a_sample_of_the_clips(
    table: ResultTable, grade: Grade, evidence: str
) -> None:
    line = judged_rating(table, at_least=4, judged_by="value", min_n=20)
    assert (line.grade, line.evidence) == (grade, evidence)


def test_a_preference_that_nobody_was_asked_for_says_how_to_ask_for_it() -> None:
    """Scores there are, and more of them would give no preference."""
    line = judged_rating(rated(20), metric="rating.preference", at_least=0.5)
    assert line.grade is Grade.NOT_MEASURED
    assert line.evidence.endswith("evalkit rate serve RUN --pairs one asks people")


def test_a_gate_on_an_opinion_can_ask_for_the_bound_of_other_raters_and_clips() -> None:
    rng = np.random.default_rng(3)
    mild = rng.normal(0.0, 0.4, 20)  # raters differ: the bound follows from them, not from 400 scores
    scores = np.clip(4.1 + mild - mild.mean() + rng.normal(0.0, 0.2, (20, 20)), 1, 5)
    table = with_scores(make_table({"lip_sync.error": GOOD}, n_portraits=1), scores)
    value = judged_rating(table, at_least=4, judged_by="value")
    bound = judged_rating(table, at_least=4, judged_by="interval")
    assert (value.grade, bound.grade) == (Grade.PASSES, Grade.TOO_FEW_CLIPS)
    assert bound.evidence.startswith("20 raters of 20 clips cannot exclude that it is as low as 3.8")
    assert judged_rating(table, at_least=3.8, judged_by="interval").grade is Grade.PASSES


def test_a_limit_of_every_clip_is_one_of_its_mean_opinion() -> None:
    scores = np.full((20, 20), 4.0)
    scores[3, :15] = 3.0
    table = with_scores(make_table({"lip_sync.error": GOOD}), scores)
    line = judged_rating(table, at_least=3.5, per="clip", judged_by="value", min_n=20)
    assert (line.grade, line.value, line.n) == (Grade.FAILS, 3.25, 20)
    assert "missed by 1 of 20 clips: p3 × s0" in line.evidence


def test_a_result_is_plain_data() -> None:
    plain = judged(GOOD, at_most=0.3).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["grade"], plain["reducer"], plain["n"]) == ("passes", "mean", 20)
