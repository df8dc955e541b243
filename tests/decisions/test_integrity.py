"""The lines beside the rules: what a run has to be before its values count."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evalkit.analysis.pairs import describe_reach
from evalkit.analysis.table import ClipRecord, ResultTable, rows_of_run
from evalkit.decisions.integrity import check_run
from evalkit.decisions.judge import Grade
from evalkit.decisions.policy import Policy
from evalkit.decisions.signoff import Decision, sign_off
from evalkit.decisions.waivers import RUN_LINES
from evalkit.runs import Run
from evalkit.runs.identity import machine_key
from evalkit.testing.runs import installed_version, make_trial, write_run
from evalkit.testing.tables import ERROR, TOTAL, make_table

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.decisions.judge import RuleResult
    from evalkit.runs import Trial

TODAY = dt.date(2026, 3, 1)
GOOD = [0.1 + 0.005 * index for index in range(20)]


def policy_of(**fields: Any) -> Policy:
    rules = [
        {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"},
        {"metric": "profile.total_s", "at_most": 60, "per": "clip", "why": "a gate"},
    ]
    named = {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.total_s"]}
    return Policy.model_validate({**named, "rules": rules, **fields})


def table_of(**changed: Any) -> ResultTable:
    columns = {"lip_sync.error": GOOD, "profile.total_s": [5.0] * 20}
    return replace(make_table(columns, n_portraits=1), **changed)


def lines_of(table: ResultTable, **policy: Any) -> dict[str, RuleResult]:
    found = check_run(table, table.pooled(), policy_of(**policy), today=TODAY)
    return {line.metric: line for line in found}


def only(table: ResultTable, name: str, **policy: Any) -> RuleResult:
    found = lines_of(table, **policy)
    assert list(found) == [name]
    return found[name]


def change_row(table: ResultTable, **changed: Any) -> ResultTable:
    return replace(table, rows=(replace(table.rows[0], **changed), *table.rows[1:]))


def test_a_run_as_it_should_be_has_no_line() -> None:
    assert lines_of(table_of()) == {}


def test_what_is_missing_is_counted_and_named() -> None:
    line = only(table_of(missing=("trial ab has no result yet", "trial cd is damaged")), "run.complete")
    assert (line.value, line.grade, line.kind) == (2, Grade.NOT_MEASURED, "hard")
    assert "2 without one: trial ab has no result yet; trial cd is damaged; evalkit sweep" in line.evidence


def test_results_of_an_earlier_plan_are_not_passed_over() -> None:
    left_out = (ClipRecord("bo × s1", "bo", "s1", 2), ClipRecord("bo × s2", "bo", "s2", 2))
    line = only(table_of(earlier=left_out), "run.plan")
    assert (line.value, line.grade) == (2, Grade.FAILS)
    assert "2 results of an earlier plan left out: bo × s1; bo × s2; sweep the plan" in line.evidence


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"values": {"lip_sync.error": -5.0}}, "lip_sync.error is -5 in p0 × s0, which it cannot be"),
        ({"values": {"lip_sync.error": 1.5}}, "lip_sync.error is 1.5"),
        ({"units": {"profile.total_s": "min"}}, "profile.total_s is in 'min' in p0 × s0, and not in 's'"),
    ],
)
def test_values_that_cannot_be_are_named(changed: dict[str, Any], words: str) -> None:
    line = only(change_row(table_of(), **changed), "run.values")
    assert (line.value, line.grade) == (1, Grade.FAILS)
    assert words in line.evidence


@pytest.mark.parametrize(
    ("stored", "words"),
    [("1", "version 1, installed is"), ("", "unknown version ''"), ("1 with settings", "version 1")],
)
def test_older_and_unknown_evaluators_are_named(stored: str, words: str) -> None:
    line = only(table_of(evaluators={"lip_sync": stored}), "run.versions")
    assert words in line.evidence


@pytest.mark.parametrize(("newer", "settings"), [(0, ""), (0, " with settings"), (1, "")])
def test_the_installed_version_and_newer_ones_pass(newer: int, settings: str) -> None:
    stored = f"{installed_version('lip_sync') + newer}{settings}"
    assert lines_of(table_of(evaluators={"lip_sync": stored})) == {}


def test_evaluators_that_no_rule_needs_may_be_old() -> None:
    assert (
        lines_of(table_of(evaluators={"lip_sync": str(installed_version("lip_sync")), "motion": "1"})) == {}
    )


def test_reach_is_asked_by_the_policy() -> None:
    assert lines_of(table_of(), reach={"speech": 20}) == {}
    line = only(table_of(), "run.reach", reach={"speech": 24, "portraits": 2})
    assert (line.value, line.grade) == (5, Grade.TOO_FEW_CLIPS)
    assert "1 portrait, asked 2; 20 pieces of speech, asked 24" in line.evidence
    unknown = tuple(replace(row, portrait=None, speech=None) for row in table_of().rows)
    line = only(table_of(rows=unknown), "run.reach", reach={"speech": 20})
    assert (line.grade, line.value) == (Grade.NOT_MEASURED, 19)


def test_a_failed_attempt_reaches_nothing() -> None:
    table = change_row(table_of(), failure="generate failed: oom")
    assert only(table, "run.reach", reach={"speech": 20}).value == 1


def test_a_fragment_of_a_clip_is_no_clip() -> None:
    table = change_row(table_of(), coverages={"lip_sync.error": 0.01})
    line = only(table, "run.coverage")
    assert (line.value, line.grade) == (1, Grade.TOO_FEW_CLIPS)
    assert "1 clip with less: lip_sync.error in p0 × s0 (1 %)" in line.evidence
    assert lines_of(change_row(table_of(), coverages={"lip_sync.error": 0.5})) == {}
    assert lines_of(table, min_clip_coverage=0.0) == {}


def test_the_reach_is_one_sentence() -> None:
    assert describe_reach(table_of().rows)[0].startswith("speaks of 1 portrait, 20 pieces of speech, 1 seed")
    assert describe_reach([ClipRecord("a"), ClipRecord("b")])[0].startswith("which clips share")


def trials_of(n: int = 20) -> list[Trial]:
    return [
        make_trial(
            params={"steps": 4},
            portrait="ann",
            speech=f"text {index}",
            seed=1,
            values={"lip_sync.error": GOOD[index], "profile.total_s": 5.0},
        )
        for index in range(n)
    ]


def read(folder: Path) -> ResultTable:
    return rows_of_run(Run.open(folder))


def test_a_run_folder_as_it_should_be_passes(tmp_path: Path) -> None:
    table = read(write_run(tmp_path / "run", trials_of(), (ERROR, TOTAL)))
    assert sign_off(table, policy_of()).decision is Decision.PASS


def test_the_same_video_counts_once(tmp_path: Path) -> None:
    trials = [replace(trial, content="ab" * 32) for trial in trials_of()]
    table = read(write_run(tmp_path / "run", trials, (ERROR, TOTAL)))
    assert (len(table.rows), len(table.copies)) == (1, 19)
    line = lines_of(table)["run.duplicates"]
    assert (line.value, line.kind) == (19, "soft")
    verdict = sign_off(table, policy_of())
    assert verdict.decision is Decision.FAIL
    assert next(one for one in verdict.lines if one.metric == "lip_sync.error").n == 1


def test_the_same_video_of_other_parameters_is_no_copy(tmp_path: Path) -> None:
    first = [replace(trial, content="ab" * 32) for trial in trials_of(1)]
    other = make_trial(
        params={"steps": 5}, portrait="ann", speech="text 0", seed=1, values={"lip_sync.error": 0.1}
    )
    table = read(write_run(tmp_path / "run", [*first, replace(other, content="ab" * 32)], (ERROR, TOTAL)))
    assert (len(table.rows), table.copies) == (2, ())


def test_one_good_trial_under_other_ids_is_found(tmp_path: Path) -> None:
    good = trials_of(1)[0]
    copies = [replace(good, id=f"{index:016x}", content=f"{index:064x}") for index in range(20)]
    line = lines_of(read(write_run(tmp_path / "run", copies, (ERROR, TOTAL))))["run.plan"]
    assert (line.value, line.grade) == (20, Grade.FAILS)
    assert "is not what its id stands for" in line.evidence


def test_a_plan_that_was_edited_is_found(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", trials_of(), (ERROR, TOTAL))
    path = folder / "run.json"
    plain = json.loads(path.read_text("utf-8"))
    plain["planned"] = plain["planned"][:-1]
    path.write_text(json.dumps(plain), "utf-8")
    line = lines_of(read(folder))["run.plan"]
    assert "the plan in run.json is not the one that was fixed before the first video" in line.evidence
    assert "1 result of an earlier plan left out" in line.evidence


def test_costs_of_several_machines_are_warned_of(tmp_path: Path) -> None:
    machines = [
        {"processor": name, "n_cores": 2, "host": host} for name, host in (("old", 1), ("new", 2), ("new", 3))
    ]
    keys = [machine_key(machine) for machine in machines]
    trials = [replace(trial, machine=keys[index % 3]) for index, trial in enumerate(trials_of())]
    table = read(write_run(tmp_path / "run", trials, (ERROR, TOTAL), machines=machines))
    line = only(table, "run.machine")
    assert (line.kind, line.value) == ("soft", 2)
    assert "2 kinds (new, 2 cores: 13 clips; old, 2 cores: 7 clips)" in line.evidence
    assert "costs are those of the run's main kind alone, new, 2 cores" in line.evidence


def test_machines_of_one_kind_are_no_fault(tmp_path: Path) -> None:
    machines = [{"processor": "new", "n_cores": 2, "host": host, "memory_mib": host} for host in (1, 2)]
    keys = [machine_key(machine) for machine in machines]
    trials = [replace(trial, machine=keys[index % 2]) for index, trial in enumerate(trials_of())]
    assert lines_of(read(write_run(tmp_path / "run", trials, (ERROR, TOTAL), machines=machines))) == {}


def test_old_results_are_refused_where_the_policy_says_so(tmp_path: Path) -> None:
    table = read(write_run(tmp_path / "run", trials_of(), (ERROR, TOTAL)))  # of 2026-01-02
    assert lines_of(table, max_age_days=58) == {}
    line = only(table, "run.age", max_age_days=57)
    assert line.value == 58
    assert "made on 2026-01-02, 58 days ago" in line.evidence


def test_every_hard_line_can_be_waived_by_its_name() -> None:
    assert {"run.complete", "run.plan", "run.values", "run.versions", "run.reach"} <= set(RUN_LINES)
    assert not {"run.duplicates", "run.machine"} & set(RUN_LINES)
