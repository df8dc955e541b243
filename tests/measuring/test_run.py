"""Measuring a run: exactly what is missing is measured, and no video is made again."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import evalkit
from evalkit.errors import UsageError
from evalkit.measuring.run import measure_run
from evalkit.runs import Run, RunWriter
from evalkit.runs.layout import measurement_name
from evalkit.runs.store import read_video
from evalkit.tracks.cache import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "golden"
NORRVIK = Path(__file__).parents[2] / "notebooks" / "norrvik"
WIDTH_PX = 160.0

pytestmark = pytest.mark.usefixtures("probe")


def videos_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of change of everything in the videos' folders."""
    files = sorted(path for path in (folder / "videos").rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def records_of(folder: Path) -> list[str]:
    files = (folder / "measurements").glob("*/*.json")
    return sorted(
        f"{path.parent.name}/{path.name}" for path in files if not path.name.endswith(".samples.json")
    )


def test_an_evaluator_is_added_without_a_video_made_again(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(3)
    before = videos_of(run.folder)
    outcome = measure_run(run, only=["probe"])
    assert (outcome.n_videos, outcome.n_measurements, outcome.problems) == (3, 3, {})
    assert videos_of(run.folder) == before
    assert outcome.run.manifest.evaluators == {"probe": "1"}
    assert outcome.run.manifest.metrics["probe.width_px"].evaluator == "probe"
    assert [trial.metrics["probe.width_px"].value for trial in outcome.run.trials()] == [WIDTH_PX] * 3
    assert "probe.width_px" in (run.folder / "results.csv").read_text("utf-8")
    assert len(records_of(run.folder)) == 3


def test_pictures_are_kept_beside_the_measurement_they_show(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(2), only=["probe"]).run
    for trial in run.trials():
        ((evaluator, path, caption),) = run.evidence_of(trial.id)
        assert (evaluator, path.name, caption) == ("probe", "width.svg", "160 pixels wide")
        assert path.parent.parent == run.folder / "measurements" / trial.id
    assert [path.name for path in run.folder.rglob(".*")] == [".lock"]


def test_without_evidence_no_picture_is_kept(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(1), only=["probe"], evidence=False).run
    assert run.evidence_of(run.manifest.planned[0]) == []
    assert run.trials()[0].metrics["probe.width_px"].value == WIDTH_PX


def test_nothing_is_measured_twice(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(2)
    measure_run(run, only=["probe"])
    written = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.json")}
    again = measure_run(run)
    assert (again.n_videos, again.n_measurements, again.n_complete, again.has_changed) == (0, 0, 2, False)
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.json")} == written


def test_exactly_the_gap_is_filled(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(3), only=["probe"]).run
    records = records_of(run.folder)
    (run.folder / "measurements" / records[1]).unlink()
    left = Run.open(run.folder)
    gap = records[1].partition("/")[0]
    assert [trial.id for trial in left.trials() if trial.absent == {"probe.width_px": "not_measured"}] == [
        gap
    ]
    outcome = measure_run(run)
    assert (outcome.n_videos, outcome.n_complete) == (1, 2)
    assert records_of(run.folder) == records


def test_a_raised_version_measures_again_and_keeps_the_old_apart(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = measure_run(write_videos(2), only=["probe"]).run
    before, old = videos_of(run.folder), records_of(run.folder)
    monkeypatch.setenv("PROBE_VERSION", "2")
    monkeypatch.delitem(sys.modules, "probe_plug_in")
    outcome = measure_run(run)
    assert (outcome.n_videos, outcome.run.manifest.evaluators) == (2, {"probe": "2"})
    assert videos_of(run.folder) == before
    assert len(records_of(run.folder)) == 4
    assert set(old) < set(records_of(run.folder))
    assert measure_run(run).n_videos == 0


def test_settings_are_recorded_and_used_again(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(2)
    first = measure_run(run, settings={"probe": {"factor": 2.0}}, only=["probe"])
    assert first.run.manifest.measuring == {"probe": {"factor": 2.0}}
    assert first.run.manifest.evaluators == {"probe": "1 x2"}
    assert measure_run(run).n_videos == 0
    assert [trial.metrics["probe.width_px"].value for trial in first.run.trials()] == [2 * WIDTH_PX] * 2
    other = measure_run(run, settings={"probe": {"factor": 3.0}})
    assert other.n_videos == 2
    assert other.run.manifest.evaluators == {"probe": "1 x3"}
    back = measure_run(run, settings={"probe": {"factor": 2.0}})
    assert (back.n_videos, back.has_changed) == (0, True)
    assert [trial.metrics["probe.width_px"].value for trial in back.run.trials()] == [2 * WIDTH_PX] * 2


def test_files_of_settings_are_recorded_as_absolute_paths(
    write_videos: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = Path(shutil.copytree(NORRVIK, tmp_path / "norrvik")) / "brand.yaml"
    run = write_videos(0)
    monkeypatch.chdir(brand.parent)
    measured = measure_run(run, settings={"brand": {"file": "brand.yaml"}}, only=["brand"])
    assert measured.run.manifest.measuring == {"brand": {"file": str(brand)}}


def test_a_clip_that_crashes_a_worker_costs_that_clip(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_videos(3)
    bad = run.manifest.planned[1]
    monkeypatch.setenv("PROBE_CRASHES_ON", bad)
    outcome = measure_run(run, only=["probe"])
    assert list(outcome.problems) == [bad]
    assert outcome.run.evidence_of(bad) == []
    assert "signal SIGSEGV" in outcome.problems[bad]
    statuses = [trial.status for trial in outcome.run.trials()]
    assert statuses == ["ok", "failed", "ok"]
    failure = outcome.run.trials()[1].failure
    assert failure is not None
    assert (failure.stage, failure.code) == ("measure", "crashed")
    monkeypatch.delenv("PROBE_CRASHES_ON")
    assert measure_run(run).n_videos == 0  # it is known to fail
    assert measure_run(run, retry_failed=True).n_videos == 1
    assert [trial.status for trial in Run.open(run.folder).trials()] == ["ok", "ok", "ok"]


def test_a_video_that_cannot_be_opened_has_an_error_and_no_values(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(2)
    broken = run.manifest.planned[0]
    stored = read_video(run.folder, broken)
    assert stored is not None
    with RunWriter(run.folder) as writer:
        part = writer.new_video_folder(broken)
        (part / "video.mp4").write_bytes(b"no video")
        record = replace(stored.record, content=content_hash(str(part / "video.mp4")))
        writer.put_video(record, part, profile=stored.profile.results)
    outcome = measure_run(run, only=["probe"])
    assert list(outcome.problems) == [broken]
    first, second = outcome.run.trials()
    assert (first.status, first.quality, second.status) == ("failed", None, "ok")


def test_a_video_that_was_altered_or_removed_is_not_measured(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(3)
    altered, removed, _ = run.manifest.planned
    (run.folder_of(altered) / "video.mp4").write_bytes(b"something else")
    (run.folder_of(removed) / "video.mp4").unlink()
    outcome = measure_run(run, only=["probe"])
    assert set(outcome.problems) == {altered, removed}
    assert "its content was altered" in outcome.problems[altered]
    assert "is not there" in outcome.problems[removed]
    assert len(records_of(run.folder)) == 1


def test_a_damaged_measurement_is_measured_again(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(2), only=["probe"]).run
    spoilt = run.folder / "measurements" / records_of(run.folder)[0]
    spoilt.write_text("{", "utf-8")
    assert len(Run.open(run.folder).damage()) == 1
    assert measure_run(run).n_videos == 1
    assert Run.open(run.folder).damage() == []


def test_an_interrupted_measuring_shows_the_measurements_of_one_version(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = measure_run(write_videos(3), only=["probe"]).run
    table = (run.folder / "results.csv").read_text("utf-8")
    put = RunWriter.put_measurement
    n_put = 0

    def interrupted(*arguments: Any, **options: Any) -> None:
        nonlocal n_put
        n_put += 1
        if n_put == 2:
            raise KeyboardInterrupt
        put(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "put_measurement", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measure_run(run, settings={"probe": {"factor": 2.0}}, jobs=1)
    left = Run.open(run.folder)
    assert left.manifest.evaluators == {"probe": "1"}
    assert [trial.metrics["probe.width_px"].value for trial in left.trials()] == [WIDTH_PX] * 3
    assert (run.folder / "results.csv").read_text("utf-8") == table
    assert [path.name for path in run.folder.rglob(".*")] == [".lock"]
    outcome = measure_run(run, settings={"probe": {"factor": 2.0}})
    assert (outcome.n_videos, outcome.n_complete) == (2, 1)
    assert [trial.metrics["probe.width_px"].value for trial in outcome.run.trials()] == [2 * WIDTH_PX] * 3


@pytest.mark.parametrize(
    "step", ["evalkit.measuring.run._Measuring._conclude", "evalkit.runs.Run.write_tables"]
)
def test_tables_that_a_killed_call_left_behind_are_rebuilt(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run = measure_run(write_videos(2), only=["probe"]).run
    (run.folder / "measurements" / records_of(run.folder)[0]).unlink()
    run.write_tables()
    assert "not_measured" in (run.folder / "results.csv").read_text("utf-8")

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, end)
        with pytest.raises(KeyboardInterrupt):
            measure_run(run)
    assert len(records_of(run.folder)) == 2
    outcome = measure_run(run)
    assert (outcome.n_videos, outcome.has_changed) == (0, True)
    assert "not_measured" not in (run.folder / "results.csv").read_text("utf-8")
    assert not measure_run(run).has_changed


def test_the_report_that_a_killed_call_left_behind_is_rebuilt(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(1), only=["probe"]).run
    evalkit.measure(run)  # nothing is missing but the report
    report = run.folder / "report.html"
    written = report.stat().st_mtime_ns
    evalkit.measure(run)
    assert report.stat().st_mtime_ns == written


def test_an_evaluator_that_is_gone_keeps_its_measurements(write_videos: Callable[[int], Run]) -> None:
    run = measure_run(write_videos(1), only=["probe"]).run
    with RunWriter(run.folder) as writer:
        writer.write_manifest(replace(run.manifest, evaluators={"gone": "7", **run.manifest.evaluators}))
    outcome = measure_run(run)
    assert outcome.notes == ["the evaluator 'gone' is not installed here: its measurements stay as they are"]
    assert outcome.run.manifest.evaluators == {"gone": "7", "probe": "1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["prob"]}, "did you mean 'probe'"),
        ({"jobs": 0}, "jobs is 0; at least 1"),
        ({"jobs": -1}, "jobs is -1; at least 1"),
        ({"settings": {"probe": {"colour": 1}}}, "has no setting 'colour'"),
    ],
)
def test_wrong_use_is_refused(
    write_videos: Callable[[int], Run], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        measure_run(write_videos(1), **options)


@pytest.mark.parametrize("schema", [1, 2])
def test_a_run_of_an_older_schema_is_refused_with_the_cure(tmp_path: Path, schema: int) -> None:
    folder = Path(shutil.copytree(GOLDEN / f"run_schema_{schema}", tmp_path / "old"))
    with pytest.raises(UsageError, match=r"schema \d, .* measure its videos with .evalkit evaluate."):
        measure_run(folder)
    assert not (folder / "measurements").exists()


def test_a_run_that_is_being_written_is_refused(write_videos: Callable[[int], Run]) -> None:
    run = write_videos(1)
    with RunWriter(run.folder), pytest.raises(UsageError, match="another process"):
        measure_run(run)


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "evalkit", "measure", str(folder), "--only", "probe", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("n_videos", "n_kills", "seed"),
    [(6, 2, 1), pytest.param(24, 20, 2, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_killed_measuring_loses_nothing_and_doubles_nothing(
    write_videos: Callable[[int], Run],
    monkeypatch: pytest.MonkeyPatch,
    n_videos: int,
    n_kills: int,
    seed: int,
) -> None:
    run = write_videos(n_videos)
    before = videos_of(run.folder)
    monkeypatch.setenv("PROBE_SLEEP_S", "0.15")
    chance = np.random.default_rng(seed)
    finished: dict[str, int] = {}
    n_killed = 0
    for _ in range(n_kills):
        wanted = len(finished) + int(chance.integers(2))
        process = start(run.folder, "--jobs", "1")
        deadline_s = time.monotonic() + 60
        while (
            process.poll() is None and len(records_of(run.folder)) < wanted and time.monotonic() < deadline_s
        ):
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        for name, changed in finished.items():  # what was finished was not measured again
            assert (run.folder / "measurements" / name).stat().st_mtime_ns == changed
        finished = {
            name: (run.folder / "measurements" / name).stat().st_mtime_ns for name in records_of(run.folder)
        }
    assert n_killed > 0
    assert start(run.folder).wait() == 0
    run = Run.open(run.folder)
    expected = []
    for trial_id in run.manifest.planned:
        content = (run.folder_of(trial_id) / "video.mp4").read_bytes()
        name = measurement_name("probe", hashlib.sha256(content).hexdigest(), "1")
        expected.append(f"{trial_id}/{name}.json")
    assert records_of(run.folder) == sorted(expected)
    assert run.damage() == []
    assert [trial.metrics["probe.width_px"].value for trial in run.trials()] == [WIDTH_PX] * n_videos
    assert videos_of(run.folder) == before
    hidden = [path.name for path in run.folder.rglob(".*") if path.name != ".lock"]
    assert hidden == []


def test_what_failed_is_said_again_until_it_is_measured(
    write_videos: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_videos(2)
    monkeypatch.setenv("PROBE_CRASHES_ON", run.manifest.planned[0])
    first = measure_run(run, only=["probe"])
    again = measure_run(run)
    assert first.problems.keys() == again.problems.keys() == {run.manifest.planned[0]}
    assert (again.n_videos, again.n_complete) == (0, 1)
    monkeypatch.delenv("PROBE_CRASHES_ON")
    assert measure_run(run, retry_failed=True).problems == {}
