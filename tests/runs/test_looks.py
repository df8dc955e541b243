"""Looks: how often decisions were shown of a run that grows."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import evalkit
from evalkit.analysis.table import rows_of_run
from evalkit.reports.run_report import write_report
from evalkit.runs import Run, Trial, record_look
from evalkit.runs.looks import LOOKS_FILE
from evalkit.testing.random_runs import ERROR
from evalkit.testing.runs import make_trial, write_run

GOLDEN = Path(__file__).parents[1] / "golden"


def trials(n: int, *, error: float = 0.1, failing: int = 0) -> list[Trial]:
    return [
        make_trial(
            params={},
            portrait="ann",
            speech=f"text {k}",
            seed=1,
            values={} if k < failing else {"lip_sync.error": error + k / 1000},
            failure="out_of_memory" if k < failing else None,
        )
        for k in range(n)
    ]


def grown(folder: Path, n: int, **more: float) -> Run:
    """Write the run again with n trials; what is on record of looks stays."""
    kept = folder / "decisions"
    aside = folder.parent / "aside"
    if kept.is_dir():
        kept.rename(aside)
    shutil.rmtree(folder, ignore_errors=True)
    write_run(folder, trials(n, **more), [ERROR])  # type: ignore[arg-type]
    if aside.is_dir():
        aside.rename(kept)
    return Run.open(folder)


def recorded(folder: Path) -> list[dict[str, object]]:
    text = (folder / "decisions" / LOOKS_FILE).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_same_results_are_one_look_and_more_are_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for look, n in enumerate((5, 8, 12), start=1):
        run = grown(folder, n)
        assert run.look() == look
        for _ in range(3):
            record_look(run)
            assert Run.open(folder).look() == look
    assert [entry["n"] for entry in recorded(folder)] == [5, 8, 12]
    assert grown(folder, 8).look() == 2  # a state that was seen before keeps its number
    assert rows_of_run(grown(folder, 20)).look == 4


def test_a_retry_that_succeeds_is_another_look_and_another_measurement_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    record_look(grown(folder, 6, failing=1))
    assert grown(folder, 6, failing=1, error=0.5).look() == 1
    assert grown(folder, 6).look() == 2


def test_every_command_that_decides_records_one_and_the_same_look(tmp_path: Path) -> None:
    folder = grown(tmp_path / "run", 6).folder
    write_report(folder)
    evalkit.signoff(folder, "customer_service")
    evalkit.recommend(folder, "customer_service")
    evalkit.compare(folder, folder)
    assert [entry["n"] for entry in recorded(folder)] == [6]
    other = grown(tmp_path / "other", 6)
    evalkit.signoff(other, "customer_service")
    assert len(recorded(other.folder)) == 1


def test_nothing_was_seen_of_a_run_without_a_result(tmp_path: Path) -> None:
    run = grown(tmp_path / "run", 0)
    record_look(run)
    assert not (run.folder / "decisions").exists()


def test_many_writers_leave_one_line(tmp_path: Path) -> None:
    run = grown(tmp_path / "run", 6)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: record_look(Run.open(run.folder)), range(40)))
    assert len(recorded(run.folder)) == 1


def test_damaged_lines_count_for_nothing_and_are_said(tmp_path: Path) -> None:
    run = grown(tmp_path / "run", 6)
    record_look(run)
    path = run.folder / "decisions" / LOOKS_FILE
    with path.open("a", encoding="utf-8") as file:
        file.write('[1]\n{"state": 3}\n{"state": "ab')
    table = rows_of_run(Run.open(run.folder))
    assert table.look == 1
    assert table.notes == (
        "3 lines of the record of looks cannot be read: there may have been more looks at this run.",
    )
    record_look(grown(run.folder, 8))  # half a line costs the next none
    assert Run.open(run.folder).look() == 2
    assert rows_of_run(grown(run.folder, 9)).look == 3


def test_a_folder_that_cannot_be_written_has_the_same_numbers(tmp_path: Path) -> None:
    run = grown(tmp_path / "run", 6)
    (run.folder / "decisions").write_text("a file stands in the way", "utf-8")
    record_look(run)
    assert Run.open(run.folder).look() == 1


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_runs_of_every_schema_have_looks(tmp_path: Path, schema: int) -> None:
    folder = tmp_path / "run"
    shutil.copytree(GOLDEN / f"run_schema_{schema}", folder)
    run = Run.open(folder)
    assert rows_of_run(run).look == 1
    record_look(run)
    assert rows_of_run(Run.open(folder)).look == 1
    assert len(recorded(folder)) == 1
