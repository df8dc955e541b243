"""The run folder as others find it: old, damaged, newer, none at all."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalkit.errors import UsageError
from evalkit.reports.run_report import write_report
from evalkit.runs import Run, SkippedTrial
from evalkit.runs.legacy import read_legacy_trial
from evalkit.runs.records import DamagedFileError
from evalkit.testing.runs import write_grid

GOLDEN = Path(__file__).parents[1] / "golden"
A1, A2, A3, A4 = (f"00000000000000a{k}" for k in range(1, 5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the run of schema 1 that may be damaged."""
    return Path(shutil.copytree(GOLDEN / "run_schema_1", tmp_path / "run"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_a_run_of_schema_1_still_loads() -> None:
    run = Run.open(GOLDEN / "run_schema_1")
    assert run.manifest.swept == ["size", "sample_steps"]
    assert run.manifest.metrics["lip_sync.error"].better == "lower"
    first, second, failed = run.trials()
    assert (first.id, first.params, first.seed) == (
        A1,
        {"size": "384*256", "sample_steps": 2, "fps": 25.0},
        420,
    )
    assert first.portrait is not None
    assert first.portrait.name == "anna <script>"
    assert first.metrics["lip_sync.error"].value == 0.25
    assert first.absent == {"lip_sync.offset_ms": "no_speech", "profile.peak_vram_mib": "no_gpu"}
    assert first.notes == ["the file is cut off"]
    assert second.metrics["lip_sync.error"].value == 0.125
    assert failed.failure is not None
    assert (failed.status, failed.failure.code, failed.quality) == ("failed", "out_of_memory", None)
    assert [attempt.code for attempt in failed.attempts] == ["stalled"]
    assert run.unfinished() == [A4]
    assert run.damage() == []
    assert run.orphaned() == []
    assert run.samples_of(A1) == {"lip_sync.error": {"rank": [0.25, None, 0.25]}}
    assert run.samples_of(A3) == {}
    assert run.video_of(A1) is None


def test_a_run_of_schema_2_still_loads_and_says_what_was_skipped() -> None:
    run = Run.open(GOLDEN / "run_schema_2")
    assert [trial.id for trial in run.trials()] == [A1]
    assert run.skipped() == {A4: SkippedTrial({"size": "688*368"}, "25.65 GB against 22.15 GB a GPU")}
    assert run.unfinished() == []


def test_a_skipped_trial_that_has_a_result_by_now_is_skipped_no_more(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "run_schema_2", tmp_path / "run"))
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    edit(folder / "run.json", skipped={**facts["skipped"], A1: {"params": {}, "reason": "it was too large"}})
    assert list(Run.open(folder).skipped()) == [A4]


def test_a_table_has_a_row_a_trial_and_says_why_a_number_is_missing() -> None:
    table = Run.open(GOLDEN / "run_schema_1").frame()
    assert table.columns.tolist() == [
        "trial",
        "param.size",
        "param.sample_steps",
        "param.fps",
        "portrait",
        "speech",
        "seed",
        "status",
        "failure",
        "failure_text",
        "attempts",
        "failed_attempts",
        "machine",
        "lip_sync.error",
        "lip_sync.offset_ms",
        "lip_sync.offset_ms.absent",
        "profile.ttff_s",
        "profile.ttff_s.absent",
        "profile.peak_vram_mib",
        "profile.peak_vram_mib.absent",
    ]
    assert table["lip_sync.error"].tolist()[:2] == [0.25, 0.125]
    assert math.isnan(table["lip_sync.error"].iloc[2])
    assert table["status"].tolist() == ["ok", "ok", "failed"]
    assert table["profile.ttff_s.absent"].iloc[2] == "generation_failed"


def test_tables_can_be_rebuilt(folder: Path) -> None:
    run = Run.open(folder)
    csv, parquet = run.write_tables()
    for table in (pd.read_csv(csv), pd.read_parquet(parquet)):
        assert table["trial"].tolist() == [A1, A2, A3]
        assert table["profile.ttff_s"].tolist()[:2] == [1.5, 1.5]
        assert table["portrait"].tolist() == ["anna <script>"] * 3
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("{", "utf-8"), "trial.json cannot be read"),
        (lambda path: path.write_text("[]", "utf-8"), "it states no schema"),
        (lambda path: edit(path, schema="1"), "it states no schema"),
        (lambda path: edit(path, seed="many"), "seed: Input should be a valid integer"),
        (lambda path: edit(path, sead=1), "sead: .*[Uu]nexpected"),
        (lambda path: edit(path, id=A2), f"result of trial '{A2}' and lies in folder '{A1}'"),
        (lambda path: edit(path, status="failed"), "status is 'failed' and failure is None"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read"),
    ],
)
def test_a_damaged_trial_is_reported_and_the_others_are_read(folder: Path, damage: Any, message: str) -> None:
    damage(folder / "trials" / A1 / "trial.json")
    run = Run.open(folder)
    assert [trial.id for trial in run.trials()] == [A2, A3]
    (found,) = run.damage()
    assert found.trial_id == A1
    with pytest.raises(DamagedFileError, match=message):
        read_legacy_trial(folder, A1)
    assert run.frame()["trial"].tolist() == [A2, A3]


def test_trials_of_an_earlier_grid_are_kept_out_of_the_tables(folder: Path) -> None:
    edit(folder / "run.json", planned=[A2, A4])
    run = Run.open(folder)
    assert [trial.id for trial in run.trials()] == [A2]
    assert run.orphaned() == [A1, A3]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "there is no such folder"),
        (lambda run: (run / "run.json").unlink(), r"is not a run folder: it has no run\.json"),
        (lambda run: edit(run / "run.json", schema=4), "schema 4, and this evalkit reads up to 3"),
        (lambda run: edit(run / "run.json", planned=3), "planned: Input should be a valid (list|array)"),
        (lambda run: (run / "run.json").write_text("", "utf-8"), "cannot be read"),
    ],
)
def test_what_is_no_readable_run_is_refused(folder: Path, spoil: Any, message: str) -> None:
    spoil(folder)
    with pytest.raises(UsageError, match=message):
        Run.open(folder)


def test_a_trial_of_a_newer_schema_is_no_damage_but_refused(folder: Path) -> None:
    edit(folder / "trials" / A1 / "trial.json", schema=4)
    with pytest.raises(UsageError, match="written by a newer one"):
        Run.open(folder).trials()


@pytest.mark.parametrize("harm", ["remove", "alter"])
def test_a_video_that_is_gone_or_altered_is_damage(tmp_path: Path, harm: str) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    video_id = Run.open(folder).manifest.planned[0]
    video = folder / "videos" / video_id / "video.mp4"
    video.write_bytes(b"as it was made")
    record = folder / "videos" / video_id / "generation.json"
    edit(record, n_bytes=len(b"as it was made"), digest=None)
    assert Run.open(folder).damage() == []
    if harm == "remove":
        video.unlink()
    else:
        video.write_bytes(b"another")
    run = Run.open(folder)
    (damage,) = run.damage()
    assert damage.trial_id == video_id
    assert re.search("it was removed" if harm == "remove" else "7 bytes instead of 14", damage.text)
    assert video_id not in [trial.id for trial in run.trials()]


def test_a_report_of_a_folder_with_a_name_in_another_encoding_is_written(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / os.fsdecode(b"caf\xe9"), sizes=("384*256",), steps=(2,))
    write_report(folder)
    assert r"caf\udce9" in (folder / "report.html").read_text("utf-8")


def test_an_evaluator_that_failed_costs_its_own_metrics(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    video_id = Run.open(folder).manifest.planned[0]
    (record,) = (folder / "measurements" / video_id).glob("motion@*[0-9a-f].json")
    edit(record, results=None, error={"code": "crashed", "text": "signal 11"}, digest=None)
    trial = next(trial for trial in Run.open(folder).trials() if trial.id == video_id)
    assert trial.status == "ok"
    assert trial.absent["motion.sparc"] == "evaluator_failed"
    assert "lip_sync.error" in trial.metrics
    assert "motion: signal 11" in trial.notes
