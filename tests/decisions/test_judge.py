"""One judge: what is known of a rule, and that everybody who shows it says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.decisions.compare import compare_tables
from evalkit.decisions.judge import FaultKind, Grade, RuleResult, Status, judge
from evalkit.decisions.policy import Policy, Rule
from evalkit.decisions.recommend import recommend
from evalkit.decisions.signoff import sign_off
from evalkit.stats.means import Estimate
from evalkit.testing.tables import make_table

GOOD = np.linspace(0.1, 0.2, 12)


def rule_of(**fields: Any) -> Rule:
    return Rule.model_validate({"metric": "lip_sync.error", "why": "a gate", **fields})


def judged(values: Any, **fields: Any) -> RuleResult:
    return judge(rule_of(**fields), make_table({"lip_sync.error": list(values)}).pooled(), 0.95)


@pytest.mark.parametrize(
    ("values", "rule", "grade", "kinds"),
    [
        (GOOD, {"at_most": 0.3}, Grade.PASSES, set()),
        (GOOD, {"at_most": 0.14}, Grade.FAILS, {FaultKind.BEYOND}),
        (GOOD, {"at_most": 0.16, "dead_band": 0.02}, Grade.FAILS, {FaultKind.TOO_CLOSE}),
        (GOOD, {"at_most": 0.19, "per": "clip"}, Grade.FAILS, {FaultKind.BEYOND}),
        (GOOD, {"at_most": 0.155}, Grade.TOO_FEW_CLIPS, {FaultKind.INTERVAL_BEYOND}),
        (GOOD[:4], {"at_most": 0.3}, Grade.TOO_FEW_CLIPS, {FaultKind.NO_INTERVAL}),
        (GOOD, {"at_most": 0.3, "min_n": 20}, Grade.TOO_FEW_CLIPS, {FaultKind.TOO_FEW}),
        ([*GOOD[:9], None], {"at_most": 0.3}, Grade.TOO_FEW_CLIPS, {FaultKind.COVERAGE}),
        (
            GOOD,
            {"at_most": 0.3, "reducer": "p90", "judged_by": "interval"},
            Grade.TOO_FEW_CLIPS,
            {FaultKind.NO_INTERVAL},
        ),
        ([None] * 6, {"at_most": 0.3}, Grade.NOT_MEASURED, {FaultKind.NOT_MEASURED}),
        # what is beyond the limit fails, however few the clips
        (GOOD[:4] + 0.5, {"at_most": 0.3, "min_n": 20}, Grade.FAILS, {FaultKind.BEYOND, FaultKind.TOO_FEW}),
    ],
)
def test_four_grades(values: Any, rule: dict[str, Any], grade: Grade, kinds: set[FaultKind]) -> None:
    line = judged(values, **rule)
    assert line.grade is grade
    assert {fault.kind for fault in line.faults} == kinds
    assert (line.status is Status.PASS) is (grade is Grade.PASSES)


def test_a_percentile_is_judged_and_named() -> None:
    values = np.linspace(0.0, 1.0, 11)
    line = judged(values, at_most=0.85, reducer="p90", judged_by="value")
    assert (line.value, line.limit, line.grade) == (pytest.approx(0.9), "at most 0.85 (p90)", Grade.FAILS)
    assert judged(values, at_most=0.95, reducer="p90", judged_by="value").status is Status.PASS


def test_every_clip_and_the_worst_clip_are_the_same_rule() -> None:
    lines = (judged(GOOD, at_most=0.19, per="clip"), judged(GOOD, at_most=0.19, reducer="worst"))
    assert lines[0] == lines[1]
    assert (lines[0].value, lines[0].limit) == (0.2, "at most 0.19 in every clip")


def test_a_failed_attempt_misses_no_limit_of_a_cost() -> None:
    table = make_table({"profile.peak_rss_mib": [1020.0] * 5})
    row = replace(table.rows[0], values={"profile.peak_rss_mib": 9000.0}, failure="generate failed: oom")
    table = replace(table, rows=(*table.rows, replace(row, seed=2)))
    rule = Rule.model_validate({"metric": "profile.peak_rss_mib", "at_most": 2000, "why": "a gate"})
    policy = Policy.model_validate(
        {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.peak_rss_mib"]}
        | {"rules": [rule], "min_coverage": 0.5}
    )
    (signed_off,) = sign_off(table, policy).lines
    (candidate,) = recommend(table, policy).candidates
    compared = compare_tables(table, table)["profile.peak_rss_mib"]
    assert candidate.lines == (signed_off,)
    assert signed_off.status is Status.PASS
    for summary in (signed_off.summary, compared.a, compared.b):
        assert (summary.value, summary.n, summary.n_attempted) == (1020.0, 5, 6)
    every_clip = rule.model_copy(update={"per": "clip"})
    assert judge(every_clip, table.pooled(), 0.5).value == 1020.0


def test_a_value_of_the_whole_run_needs_no_coverage_of_clips() -> None:
    table = make_table({"lip_sync.error": GOOD}, run_values={"rating.mos": Estimate(4.1, None, 3)})
    rule = Rule.model_validate(
        {"metric": "rating.mos", "at_least": 4, "judged_by": "value", "why": "a gate", "per": "clip"}
    )
    assert judge(rule, table.pooled(), 0.95).status is Status.PASS
    assert judge(rule.model_copy(update={"at_least": 4.2}), table.pooled(), 0.95).grade is Grade.FAILS


def test_a_result_is_plain_data() -> None:
    plain = judged(GOOD, at_most=0.3).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["grade"], plain["reducer"], plain["n"]) == ("passes", "mean", 12)
