"""A run as a growing record: what is put is read back, whole, once, and by nobody else's version."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import UsageError
from evalkit.runs import CodeVersion, MetricResults, MetricValue, Run, RunWriter, SkippedTrial, VideoRecord
from evalkit.runs.code import read_code_version
from evalkit.runs.files import put_folder
from evalkit.testing.runs import write_grid

GOLDEN = Path(__file__).parents[1] / "golden" / "run_schema_3"
A1, A2, A3, A4, A5 = (f"00000000000000a{k}" for k in range(1, 6))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the run of schema 3 that may be damaged."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "run"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def a_record(run_id: str = A1, **changes: Any) -> VideoRecord:
    """Return the record of a video that failed."""
    failed = Run.open(GOLDEN).trials()[2]
    record = VideoRecord(
        id=run_id,
        params={},
        portrait=None,
        speech=None,
        seed=None,
        status="failed",
        failure=failed.failure,
        attempts=[],
        generation=None,
        events=[],
        started_at="2026-11-22T01:00:10+00:00",
        generate_s=None,
        content=None,
        machine="m",
        slot="cpu",
        alone=True,
    )
    return replace(record, **changes)


def test_a_run_of_schema_3_still_loads() -> None:
    run = Run.open(GOLDEN)
    first, second, failed = run.trials()
    assert (first.id, first.params["sample_steps"], first.seed) == (A1, 2, 420)
    assert {name: value.value for name, value in first.metrics.items()} == {
        "lip_sync.error": 0.25,
        "technical.fps": 25.0,
        "profile.ttff_s": 1.5,
    }
    assert first.absent == {"lip_sync.offset_ms": "no_speech", "profile.peak_vram_mib": "no_gpu"}
    assert (first.notes, first.measure_s) == (["the file is cut off"], 3.0)
    assert second.absent["technical.fps"] == "not_measured"
    assert (failed.status, failed.quality, [attempt.code for attempt in failed.attempts]) == (
        "failed",
        None,
        ["stalled"],
    )
    assert (run.unfinished(), run.damage(), run.orphaned()) == ([], [], [A5])
    assert run.skipped() == {A4: SkippedTrial({"size": "688*368"}, "25.65 GB against 22.15 GB a GPU")}
    assert run.samples_of(A1) == {
        "profile.ttff_s": {"each": [1.25, 1.75]},
        "lip_sync.error": {"rank": [0.25, None, 0.25]},
    }
    assert run.samples_of(A3) == run.samples_of("unknown") == {}
    assert run.timeline_of(A1) is None
    assert run.video_of(A1) is None
    ((evaluator, path, caption),) = run.evidence_of(A1)
    assert (evaluator, path.name, caption) == ("lip_sync", "lip_sync.svg", "lips seen and expected")
    assert run.evidence_of(A2) == run.evidence_of(A3) == []
    assert run.manifest.code == CodeVersion("0123456789abcdef0123456789abcdef01234567", dirty=True)
    assert (run.manifest.measuring, len(run.manifest.machines)) == ({"technical": {"strict": True}}, 1)
    assert run.frame()["lip_sync.error"].tolist()[0] == 0.25


def test_measurements_of_another_version_are_kept_and_never_mixed(folder: Path) -> None:
    run = Run.open(folder)
    edit(folder / "run.json", evaluators={"lip_sync": "1"})
    older = Run.open(folder).trials()[0]
    assert (older.metrics["lip_sync.error"].value, "technical.fps" in older.absent) == (0.5, False)
    assert run.trials()[0].metrics["lip_sync.error"].value == 0.25
    edit(folder / "run.json", evaluators={"lip_sync": "3"})
    assert Run.open(folder).trials()[0].absent["lip_sync.error"] == "not_measured"


def test_a_video_of_another_content_has_none_of_the_former_measurements(folder: Path) -> None:
    edit(folder / "videos" / A1 / "generation.json", content="c" * 64)
    trial = Run.open(folder).trials()[0]
    assert set(trial.absent) >= {"lip_sync.error", "lip_sync.offset_ms", "technical.fps"}
    assert trial.quality is not None
    assert trial.quality.metrics == {}


def test_each_file_is_read_once_however_much_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_grid(tmp_path / "run")
    opened: list[str] = []
    read_bytes, os_open = Path.read_bytes, os.open

    def counting_read(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    def counting_open(name: Any, *options: Any, **more: Any) -> int:
        opened.append(str(name))
        return os_open(name, *options, **more)

    monkeypatch.setattr(Path, "read_bytes", counting_read)
    monkeypatch.setattr(os, "open", counting_open)
    run = Run.open(tmp_path / "run")
    opened.clear()
    for _ in range(3):
        run.trials()
        run.damage()
        run.unfinished()
        run.skipped()
        run.frame()
    records = [name for name in opened if name.endswith(".json")]
    # 36 videos: generation.json and profile.json, and a record of each of 4 evaluators
    assert len(records) == 36 * (2 + 4)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("generation.json", lambda path: path.write_text("{", "utf-8"), "generation.json cannot be read"),
        ("generation.json", lambda path: edit(path, id=A2), f"result of video '{A2}' and lies in"),
        ("generation.json", lambda path: edit(path, sead=1), "sead: .*[Uu]nexpected"),
        (
            "generation.json",
            lambda path: edit(path, status="failed"),
            "status is 'failed' and failure is None",
        ),
        ("generation.json", lambda path: edit(path, content=None), "status is 'ok' and content is None"),
        ("profile.json", Path.unlink, "profile.json cannot be read: No such file"),
        ("profile.json", lambda path: edit(path, results=1), "results: "),
    ],
)
def test_a_damaged_video_is_reported_and_the_others_are_read(
    folder: Path, name: str, damage: Any, message: str
) -> None:
    damage(folder / "videos" / A1 / name)
    run = Run.open(folder)
    assert [trial.id for trial in run.trials()] == [A2, A3]
    (found,) = run.damage()
    assert found.trial_id == A1
    assert re.search(message, found.text), found.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("[]", "utf-8"), "it states no schema"),
        (lambda path: edit(path, video_id=A2), "of video '00000000000000a2'"),
        (lambda path: edit(path, error={"code": "x", "text": "y"}), "either results or an error"),
    ],
)
def test_a_damaged_measurement_is_damage_of_its_trial(folder: Path, damage: Any, message: str) -> None:
    damage(next((folder / "measurements" / A1).glob("technical@*.json")))
    (found,) = Run.open(folder).damage()
    assert found.trial_id == A1
    assert message in found.text


def test_what_is_put_is_read_back_and_a_newer_result_replaces_it(tmp_path: Path) -> None:
    manifest = replace(Run.open(GOLDEN).manifest, planned=[A1])
    cost = MetricResults({"profile.total_s": MetricValue(2.0, "s", 1)})
    with RunWriter(tmp_path / "run") as writer:
        writer.write_manifest(manifest)
        part = writer.new_video_folder(A1)
        assert Run.open(tmp_path / "run").unfinished() == [A1]
        writer.put_video(a_record(), part, profile=cost, timeline={"at_s": [0.0]}, log="hello")
        first = Run.open(tmp_path / "run").load()
        again = writer.new_video_folder(A1)
        (again / "video.mp4").write_bytes(b"video")
        failed = a_record().failure
        assert failed is not None
        record = a_record(status="ok", failure=None, content="d" * 64, attempts=[failed])
        writer.put_video(record, again, profile=MetricResults())
    assert (first.trials()[0].failure, first.trials()[0].profile) == (failed, cost)
    run = Run.open(tmp_path / "run")
    assert run.manifest == manifest
    (trial,) = run.trials()
    assert (trial.status, trial.attempts, run.timeline_of(A1)) == ("ok", [failed], None)
    assert [path.name for path in (tmp_path / "run" / "videos").iterdir()] == [A1]


@pytest.mark.parametrize("has_video", [True, False])
def test_a_record_that_contradicts_its_video_is_refused(tmp_path: Path, has_video: bool) -> None:
    with RunWriter(tmp_path / "run") as writer:
        part = writer.new_video_folder(A1)
        record = a_record() if has_video else a_record(status="ok", failure=None, content="d" * 64)
        if has_video:
            (part / "video.mp4").touch()
        with pytest.raises(
            ValueError, match=r"the record says '(failed|ok)', and video.mp4 is (there|missing)"
        ):
            writer.put_video(record, part, profile=MetricResults())


def test_leftovers_are_cleared_and_what_was_being_replaced_comes_back(folder: Path) -> None:
    before = Run.open(folder).trials()
    (folder / "videos" / A1).rename(
        folder / "videos" / f".{A1}.0123abcd.replaced"
    )  # killed between two renames
    (folder / "videos" / f".{A2}.0123abcd.replaced").mkdir()  # killed after them
    (folder / "videos" / ".x.part").mkdir()
    (folder / "measurements" / A1 / ".evidence.1.part").mkdir()
    (folder / "measurements" / A1 / ".x.json.1.part").touch()
    (folder / ".run.json.1.part").touch()
    with RunWriter(folder) as writer:
        writer.clear_leftovers()
    assert Run.open(folder).trials() == before
    assert [path.name for path in folder.rglob(".*")] == [".lock"]


def test_putting_a_folder_in_place_can_be_killed_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step is the last, clearing leaves the old folder or the new one, whole."""
    real = Path.rename
    for n_steps in range(3):
        folder = tmp_path / str(n_steps)
        for name, content in ((A1, "old"), (".new.part", "new")):
            (folder / "videos" / name).mkdir(parents=True)
            (folder / "videos" / name / "x").write_text(content, "utf-8")
        left = n_steps

        def killed(path: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return real(path, target)

        monkeypatch.setattr(Path, "rename", killed)
        if n_steps < 2:
            with pytest.raises(KeyboardInterrupt):
                put_folder(folder / "videos" / ".new.part", folder / "videos" / A1)
        else:
            put_folder(folder / "videos" / ".new.part", folder / "videos" / A1)
        monkeypatch.undo()
        with RunWriter(folder) as writer:
            writer.clear_leftovers()
        assert [path.name for path in (folder / "videos").iterdir()] == [A1]
        assert (folder / "videos" / A1 / "x").read_text("utf-8") == ("old" if n_steps < 2 else "new")


WRITES = """
import sys
from dataclasses import replace
from pathlib import Path
from evalkit.runs import *
folder, failed = Path(sys.argv[1]), TrialFailure("generate", "stalled", "x" * 2000)
with RunWriter(folder) as writer:
    for n in range(1, 10**6):
        for video_id in Run.open(folder).manifest.planned:
            record = VideoRecord(
                video_id, {"n": n}, None, None, None, "failed", failed, [failed] * (n % 20), None, [],
                "2026-11-22T01:00:10+00:00", None, None, "m", "cpu", True)
            part = writer.new_video_folder(video_id)
            writer.put_video(record, part, profile=MetricResults({"profile.n": MetricValue(n, "1")}))
        print(n, flush=True)
"""


def test_reading_while_another_process_writes_gives_whole_trials_only(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run") as writer:
        writer.write_manifest(replace(Run.open(GOLDEN).manifest, planned=[A1, A2], skipped={}))
    command = [sys.executable, "-c", WRITES, str(tmp_path / "run")]
    n_trials = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"1\n"
            for _ in range(300):
                run = Run.open(tmp_path / "run")
                assert run.damage() == []
                for trial in run.trials():
                    n_trials += 1
                    assert trial.params["n"] == trial.metrics["profile.n"].value
                    assert len(trial.attempts) == trial.params["n"] % 20
            assert process.poll() is None
        finally:
            process.kill()
    assert n_trials > 300


def test_a_run_of_an_older_schema_cannot_be_written(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN.parent / "run_schema_2", tmp_path / "old"))
    with pytest.raises(UsageError, match="schema 2, which can be read but not added to"), RunWriter(folder):
        pass
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "trials"]


def test_a_run_is_shown_short_and_escaped() -> None:
    run = Run.open(GOLDEN)
    assert repr(run).endswith("run_schema_3': 4 planned trials of reference)")
    page = run._repr_html_()
    assert "anna &lt;script&gt;" in page
    assert "<script>" not in page


# --- the user's own repository


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_of_the_users_repository_is_read_and_nothing_of_it_is_run(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1", "utf-8")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path / 'was_run'}\n", "utf-8")
    trap.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(trap))
    commit = (tmp_path / ".git" / "refs" / "heads").iterdir().__next__().read_text("ascii").strip()
    (tmp_path / "inside").mkdir()
    assert read_code_version(tmp_path / "inside") == CodeVersion(commit, dirty=False)
    (tmp_path / "a").write_text("2", "utf-8")
    os.utime(tmp_path / "a", (1, 1))
    assert read_code_version(tmp_path) == CodeVersion(commit, dirty=True)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("without", ["repository", "commit", "git"])
def test_without_a_commit_there_is_no_code_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    if without != "repository":
        git(tmp_path, "init", "-q")
    if without == "git":
        monkeypatch.setenv("PATH", "")
    assert read_code_version(tmp_path) is None
