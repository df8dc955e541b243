"""``evalkit runs`` and ``evalkit measure`` from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.testing.runs import write_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.runs import Run

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Give a folder with runs of every schema, a damaged one, a newer one, and something else."""
    folder = tmp_path / "runs"
    for schema in (1, 2, 3):
        shutil.copytree(GOLDEN / f"run_schema_{schema}", folder / f"schema_{schema}")
    write_grid(folder / "grid", unfinished=[0])
    for name, text in (("damaged", "{"), ("newer", '{"schema": 99}')):
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(text, "utf-8")
    (folder / "notes").mkdir()
    (folder / "file.txt").touch()
    return folder


def test_runs_are_listed_and_what_cannot_be_read_is_named(runs: Path) -> None:
    done = CliRunner().invoke(main, ["runs", str(runs)])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    (grid,) = [line for line in lines if line.startswith("grid")]
    assert grid.split()[:6] == ["grid", "2026-11-22", "made", "up", "9", "35/36"]
    assert grid.endswith("not measured")
    assert [line for line in lines if line.startswith("notes")] == []
    assert f"skipped {runs / 'damaged'}: " in done.stderr
    assert f"skipped {runs / 'newer'}: " in done.stderr
    assert "written by a newer one" in done.stderr


def test_runs_as_json(runs: Path) -> None:
    done = CliRunner().invoke(main, ["runs", str(runs), "--json"])
    found = json.loads(done.stdout)
    by_name = {Path(run["folder"]).name: run for run in found["runs"]}
    assert {name: run["schema"] for name, run in by_name.items()} == {
        "grid": 3,
        "schema_1": 1,
        "schema_2": 2,
        "schema_3": 3,
    }
    assert by_name["grid"]["outcome"] == "not measured"
    assert by_name["schema_3"]["evaluators"] == {"lip_sync": "2", "technical": "1 abc123"}
    assert set(map(Path, found["unreadable"])) == {runs / "damaged", runs / "newer"}


def test_one_run_can_be_named(runs: Path) -> None:
    done = CliRunner().invoke(main, ["runs", str(runs / "grid"), "--json"])
    assert [Path(run["folder"]).name for run in json.loads(done.stdout)["runs"]] == ["grid"]


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["runs", str(tmp_path)])
    assert (done.exit_code, "holds no run" in done.stdout) == (0, True)
    done = CliRunner().invoke(main, ["runs", str(tmp_path / "nowhere")])
    assert (done.exit_code, "there is no such folder" in done.stderr) == (2, True)


@pytest.mark.usefixtures("probe")
def test_measure_fills_the_gap_says_so_and_writes_the_report(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(2)
    done = CliRunner().invoke(main, ["measure", str(run.folder), "--only", "probe"])
    assert done.exit_code == 0, done.stderr
    assert "2 measurements of 2 videos; 0 lacked nothing (probe 1)" in done.stdout
    assert "probe.width_px" in (run.folder / "report.html").read_text("utf-8").replace("<wbr>", "")
    again = CliRunner().invoke(main, ["measure", str(run.folder)])
    assert (again.exit_code, again.stdout) == (0, "nothing is missing: 2 videos measured (probe 1)\n")


@pytest.mark.usefixtures("probe")
def test_measure_is_1_where_a_video_could_not_be_measured(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_videos(2)
    monkeypatch.setenv("PROBE_CRASHES_ON", run.manifest.planned[0])
    done = CliRunner().invoke(main, ["measure", str(run.folder), "--only", "probe"])
    assert done.exit_code == 1
    assert run.manifest.planned[0] in done.stderr


@pytest.mark.usefixtures("probe")
def test_measure_does_not_call_a_video_that_is_gone_measured(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(1)
    (run.folder_of(run.manifest.planned[0]) / "video.mp4").unlink()
    done = CliRunner().invoke(main, ["measure", str(run.folder), "--only", "probe"])
    assert done.exit_code == 1
    assert "nothing could be measured of 1 video; 0 lacked nothing (probe 1)" in done.stdout
    assert "is not there: it was removed" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--all", "--only", "probe"], "exclude each other"),
        (["--only", "lipsync"], "did you mean 'lip_sync'"),
    ],
)
def test_measure_refuses_wrong_use(tmp_path: Path, words: list[str], message: str) -> None:
    write_grid(tmp_path / "run", sizes=["384*256"], steps=[2])
    done = CliRunner().invoke(main, ["measure", str(tmp_path / "run"), *words])
    assert (done.exit_code, message in done.stderr) == (2, True)


def test_measure_refuses_what_is_no_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["measure", str(tmp_path)])
    assert (done.exit_code, "is not a run folder" in done.stderr) == (2, True)
