"""Times and memory of different kinds of machine are not pooled; quality is, and so are failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.analysis.pairs import pair_clips
from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.policy import Policy
from evalkit.decisions.signoff import sign_off
from evalkit.profiling.costs import ERROR_RATE, MACHINE_METRICS, METRICS, PEAK_RSS
from evalkit.runs import Run, Trial
from evalkit.runs.identity import machine_key
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, TOTAL

SLOW: dict[str, Any] = {"processor": "slow", "n_cores": 4, "host": "a"}
FAST: dict[str, Any] = {"processor": "fast", "n_cores": 4, "host": "b"}
ALSO_FAST: dict[str, Any] = {**FAST, "host": "c", "memory_mib": 64_001}
MACHINES = (SLOW, FAST, ALSO_FAST)
METRICS_OF_RUN = (ERROR, TOTAL, PEAK_RSS, ERROR_RATE)


def trial(place: int, machine: dict[str, Any], *, failure: str | None = None, **params: Any) -> Trial:
    seconds = 30.0 if machine is SLOW else 10.0
    made = make_trial(
        params=params,
        portrait="p",
        speech=f"s{place}",
        seed=1,
        values={
            ERROR.name: 0.1 + place / 1000,
            TOTAL.name: seconds + place / 10,
            PEAK_RSS.name: 100 * seconds,
            ERROR_RATE.name: float(failure is not None),
        },
        failure=failure,
    )
    return replace(made, machine=machine_key(machine))


def table_of(folder: Path, trials: Sequence[Trial]) -> ResultTable:
    return rows_of_run(Run.open(write_run(folder, trials, METRICS_OF_RUN, machines=MACHINES)))


def alternating(n: int, machines: Sequence[dict[str, Any]] = (FAST, SLOW, ALSO_FAST)) -> list[Trial]:
    return [trial(place, machines[place % len(machines)]) for place in range(n)]


def test_times_are_those_of_the_kind_that_made_most(tmp_path: Path) -> None:
    table = table_of(tmp_path, alternating(30))
    assert table.kinds == {"fast, 4 cores": 20, "slow, 4 cores": 10}
    assert table.main_kind == "fast, 4 cores"
    pooled = table.pooled()
    for metric in (TOTAL, PEAK_RSS):
        summary = pooled.summary(metric)
        assert (summary.n, summary.n_attempted, summary.absences) == (20, 20, {"other_machine": 10})
    fast = [10 + place / 10 for place in range(30) if place % 3 != 1]
    assert pooled.summary(TOTAL).value == pytest.approx(sum(fast) / 20)
    assert pooled.summary(PEAK_RSS).value == 1000
    assert "made on another kind of machine" in pooled.summary(TOTAL).why_absent


def test_quality_and_failures_are_pooled(tmp_path: Path) -> None:
    trials = [*alternating(28), trial(28, SLOW, failure="out_of_memory"), trial(29, FAST, failure="crashed")]
    pooled = table_of(tmp_path, trials).pooled()
    assert pooled.summary(ERROR).n == 28
    assert pooled.summary(ERROR_RATE).value == pytest.approx(2 / 30)
    assert pooled.summary(TOTAL).n_attempted == 20  # the failed one on the main kind could have had a time


def test_everything_of_a_profile_but_the_error_rate_depends_on_the_machine() -> None:
    assert {metric.name for metric in METRICS} - MACHINE_METRICS == {ERROR_RATE.name}


def test_clips_that_did_not_fail_decide_which_kind_is_the_main_one(tmp_path: Path) -> None:
    trials = [trial(place, SLOW, failure="out_of_memory") for place in range(5)]
    trials += [trial(place, FAST) for place in range(5, 8)]
    assert list(table_of(tmp_path, trials).kinds) == ["fast, 4 cores", "slow, 4 cores"]


def test_among_as_many_the_first_by_name_is_the_main_one(tmp_path: Path) -> None:
    assert table_of(tmp_path, alternating(10, (SLOW, FAST))).main_kind == "fast, 4 cores"


def test_a_run_on_one_kind_is_as_it_was(tmp_path: Path) -> None:
    table = table_of(tmp_path, alternating(10, (FAST, ALSO_FAST)))
    assert table.kinds == {"fast, 4 cores": 10}
    assert table.pooled().summary(TOTAL).n == 10
    assert not any(row.is_elsewhere for row in table.rows)


def test_a_part_of_a_run_has_the_main_kind_of_the_whole(tmp_path: Path) -> None:
    trials = [trial(place, FAST, steps=2) for place in range(6)] + [
        trial(place, SLOW, steps=3) for place in range(5)
    ]
    table = table_of(tmp_path, trials)
    part = table.where({"steps": 3})
    for one in (part.pooled(), table.pooled({"steps": 3}), table.configurations[1]):
        assert one.summary(TOTAL).value is None
        assert one.summary(ERROR).n == 5
    assert part.main_kind == "fast, 4 cores"


def test_pairs_across_kinds_are_no_pairs_of_times(tmp_path: Path) -> None:
    made = {2: (FAST, FAST, SLOW, SLOW, FAST), 3: (FAST, SLOW, FAST, SLOW, FAST)}
    trials = [trial(place, one, steps=steps) for steps, of in made.items() for place, one in enumerate(of)]
    two, three = table_of(tmp_path, trials).configurations
    pairing = pair_clips(two.rows, three.rows)
    assert pairing.values(ERROR.name).a.size == 5
    times = pairing.values(TOTAL.name)
    assert times.all_a.tolist() == times.all_b.tolist() == [10.0, 10.4]
    assert times.absences == {}
    assert times.all_factors["speech"] == [two.rows[0].speech, two.rows[4].speech]


def test_what_depends_on_the_machine_is_not_compared_across_kinds(tmp_path: Path) -> None:
    a = table_of(tmp_path / "a", alternating(40, (SLOW,)))
    b = table_of(tmp_path / "b", alternating(40, (FAST, ALSO_FAST)))
    comparison = compare_tables(a, b)
    found = {one.metric.name: one for one in comparison.metrics}
    assert found[ERROR.name].finding is Conclusion.NO_DIFFERENCE
    for name in (TOTAL.name, PEAK_RSS.name):
        assert found[name].finding is Conclusion.NOT_COMPARED
        assert found[name].text == "A and B were made on different kinds of machine"
    assert comparison.notes[-1] == (
        "A was made on slow, 4 cores and B on fast, 4 cores: make both on one kind of machine to compare times and memory"
    )
    assert found[TOTAL.name].a.value == pytest.approx(31.95)


def test_a_comparison_names_the_clips_made_elsewhere(tmp_path: Path) -> None:
    a = table_of(tmp_path / "a", alternating(39))
    b = table_of(tmp_path / "b", alternating(39, (FAST,)))
    comparison = compare_tables(a, b)
    (times,) = (one for one in comparison.metrics if one.metric.name == TOTAL.name)
    assert (times.finding, times.difference.n) == (
        Conclusion.NOT_ENOUGH,
        26,
    )  # 29 are needed for no difference
    assert (times.missing.n_a, times.missing.n_b) == (0, 0)
    assert (
        "A: times and memory are of fast, 4 cores; 13 clips made on other kinds of machine are not in them"
        in comparison.notes
    )


def test_a_gate_on_a_time_judges_the_main_kind_and_covers_it(tmp_path: Path) -> None:
    policy = Policy.model_validate(
        {
            "name": "p",
            "title": "P",
            "quality": ERROR,
            "costs": [TOTAL],
            "rules": [{"metric": TOTAL, "at_most": 20, "judged_by": "value", "min_n": 20, "why": "w"}],
        }
    )
    signoff = sign_off(table_of(tmp_path, alternating(30)), policy)
    (line,) = (line for line in signoff.lines if line.metric == TOTAL.name)
    assert (str(line.grade), line.n, line.n_attempted) == ("passes", 20, 20)
    assert any(line.metric == "run.machine" for line in signoff.lines)
