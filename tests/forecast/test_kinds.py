"""A forecast learns from one kind of machine: this one where it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.forecast.history import describe_unused, read_past
from evalkit.profiling.machine import describe_machine
from evalkit.runs import Run
from evalkit.runs.identity import machine_key
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR

GENERATOR = {"name": "made up", "settings": {}}
HERE = {**describe_machine(), "host": "this kind, another name"}
SLOW = {"processor": "slow", "n_cores": 4}
FAST = {"processor": "fast", "n_cores": 4}


def run_of(folder: Path, machines: Sequence[dict[str, Any]]) -> Run:
    """Write a run with a trial on each of these machines; each takes ten times as long as its place says."""
    trials = [
        replace(
            make_trial(params={}, portrait="p", speech=f"s{place}", seed=1, values={}),
            machine=machine_key(machine),
            generation={"n_frames": 25},
            generate_s=10.0 * place,
        )
        for place, machine in enumerate(machines)
    ]
    return Run.open(write_run(folder, trials, (ERROR,), machines=machines))


def seconds_of(*runs: Run) -> list[float | None]:
    return [one.seconds for one in read_past(runs, GENERATOR)]


def test_this_kind_of_machine_comes_first(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [SLOW, SLOW, SLOW, HERE])
    assert seconds_of(run) == [30.0]
    (note,) = describe_unused([run], GENERATOR)
    assert note.startswith("nothing is learned from 3 trials on slow, 4 cores: the others were made on ")


@pytest.mark.parametrize(
    ("machines", "expected"), [([SLOW, FAST, FAST], [10.0, 20.0]), ([SLOW, FAST], [10.0]), ([], [])]
)
def test_else_the_kind_that_made_most(
    tmp_path: Path, machines: list[dict[str, Any]], expected: list[float]
) -> None:
    runs = [run_of(tmp_path / "run", machines)] if machines else []
    assert seconds_of(*runs) == expected


def test_kinds_are_counted_over_all_runs(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / "a", [SLOW, SLOW]), run_of(tmp_path / "b", [FAST, FAST, FAST])]
    assert seconds_of(*runs) == [0.0, 10.0, 20.0]
    assert describe_unused(runs, GENERATOR) == [
        "nothing is learned from 2 trials on slow, 4 cores: the others were made on fast, 4 cores"
    ]


def test_what_measuring_usually_takes_is_that_of_the_same_kind(tmp_path: Path) -> None:
    """The first trial waited for evaluators to load: it is taken to measure as long as others on its kind, which is 1 s."""
    measured_s = [40.0, 1.0, 1.0, 90.0, 90.0, 90.0]
    trials = [
        replace(
            make_trial(params={}, portrait="p", speech=f"s{place}", seed=1, values={ERROR.name: 0.1}),
            machine=machine_key(FAST if place < 3 else SLOW),
            generation={"n_frames": 25},
            started_at=f"2026-01-02T03:04:0{place}Z",
            generate_s=10.0,
            measure_s=spent_s,
        )
        for place, spent_s in enumerate(measured_s)
    ]
    run = Run.open(write_run(tmp_path / "run", trials, (ERROR,), machines=(FAST, SLOW)))
    assert sorted(seconds_of(run), key=str) == [11.0, 11.0, 11.0]


def test_where_nothing_is_known_of_the_machine_all_count(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run",
        [
            replace(
                make_trial(params={}, portrait="p", speech="s", seed=1, values={}),
                generation={"n_frames": 25},
                generate_s=5.0,
            )
        ],
        (ERROR,),
        machines=(),
    )
    run = Run.open(folder)
    assert seconds_of(run) == [5.0]
    assert describe_unused([run], GENERATOR) == []
