"""A sweep over each driver of a real system, with what stands in for that, from the grid to the report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep

STAND_INS = Path(__file__).parents[1] / "stand_ins"
CHECKOUTS: dict[str, tuple[list[str], dict[str, list[Any]]]] = {
    "wav2lip": (
        ["inference.py", "checkpoints/wav2lip_gan.pth"],
        {"fps": [25.0, 30.0], "options.pads": [[0, 10, 0, 0], [0, 20, 0, 0]]},
    ),
    "sadtalker": (
        [
            "inference.py",
            "checkpoints/SadTalker_V0.0.2_256.safetensors",
            "checkpoints/SadTalker_V0.0.2_512.safetensors",
            "checkpoints/mapping_00229-model.pth.tar",
            "src/config/facerender.yaml",
        ],
        {"options.size_of_image": [256, 512], "options.still": [False, True]},
    ),
    "musetalk": (
        [
            "scripts/inference.py",
            "models/musetalkV15/unet.pth",
            "models/musetalkV15/musetalk.json",
            "models/whisper/config.json",
        ],
        {"options.batch_size": [4, 8], "fps": [25.0, 30.0]},
    ),
}


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """Give a picture of a face."""
    import cv2
    import skimage.data

    path = tmp_path / "face.png"
    cv2.imwrite(str(path), skimage.data.astronaut()[:256, 96:352, ::-1])
    return path


def sweep(folder: Path, data: dict[str, Any]) -> Run:
    run = run_sweep(plan_sweep(build_sweep({"evaluators": [], **data}, "test")), folder)
    write_report(run.folder)
    return run


@pytest.mark.parametrize("name", CHECKOUTS)
def test_a_sweep_over_a_preset_gives_a_report(name: str, tmp_path: Path, face: Path) -> None:
    files, grid = CHECKOUTS[name]
    for file in files:
        place = tmp_path / name / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("weights")
    shutil.copyfile(STAND_INS / f"{name}.py", tmp_path / name / files[0])
    settings = {
        "repository": str(tmp_path / name),
        "python": sys.executable,
        "environment": {
            "STAND_IN": "good",
            "PYTHONPATH": str(STAND_INS),
            "PATH": f"{STAND_INS}:{os.environ['PATH']}",
        },
    }
    asked = {
        "generator": {"name": name, "settings": settings, "device": "cuda"},
        "inputs": {"portraits": [str(face)], "speech": [{"text": "Good morning"}]},
        "grid": grid,
        "execution": {"executor": "in_process"},
    }
    run = sweep(tmp_path / "run", asked)
    assert [trial.status for trial in run.trials()] == ["ok"] * 4
    assert all(trial.metrics["profile.total_s"].value > 0 for trial in run.trials())
    assert (run.folder / "report.html").is_file()


def test_a_sweep_makes_videos_of_one_configuration_by_one_run_of_musetalk(tmp_path: Path, face: Path) -> None:
    for file in CHECKOUTS["musetalk"][0]:
        (tmp_path / "musetalk" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "musetalk" / file).write_text("weights")
    shutil.copyfile(STAND_INS / "musetalk.py", tmp_path / "musetalk" / "scripts" / "inference.py")
    settings = {
        "repository": str(tmp_path / "musetalk"),
        "python": sys.executable,
        "batch": True,
        "environment": {
            "STAND_IN": "good",
            "PYTHONPATH": str(STAND_INS),
            "PATH": f"{STAND_INS}:{os.environ['PATH']}",
        },
    }
    speech = [{"text": "Good morning"}, {"text": "Good evening to you"}]
    asked = {
        "generator": {"name": "musetalk", "settings": settings, "device": "cuda"},
        "inputs": {"portraits": [str(face)], "speech": speech},
        "grid": {"options.extra_margin": [5, 10]},
        "execution": {"executor": "in_process"},
    }
    run = sweep(tmp_path / "run", asked)
    assert [trial.status for trial in run.trials()] == ["ok"] * 4
    loads = {}
    for trial in run.trials():
        events = json.loads((run.folder_of(trial.id) / "generation.json").read_text())["events"]
        load_s = next(event["detail"]["load_s"] for event in events if event["name"] == "loaded")
        loads.setdefault(trial.params["options.extra_margin"], set()).add(load_s)
    assert [len(of_one) for of_one in loads.values()] == [1, 1]


def test_two_workers_over_linly_talker_never_meet_in_it(
    tmp_path: Path, face: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "server").mkdir()
    argv = [sys.executable, "-E", STAND_INS / "linly_talker.py", clip, tmp_path / "server"]
    with subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        asked = {
            "generator": {"name": "linly_talker", "settings": {"talker": address}, "device": "cuda"},
            "inputs": {"portraits": [str(face)], "speech": [{"text": "Good morning"}]},
            "grid": {
                "options.size_of_image": [256, 512],
                "options.pose_style": [0, 1],
                "sample_steps": [4, 3],
            },
            "execution": {"workers": 2, "time_limit_s": 60},
        }
        run = sweep(tmp_path / "run", asked)
        told = httpx2.get(f"{address}/stand_in").json()
        server.kill()
    assert told["n_met"] == 0
    assert sum("fps" in asked for asked in told["asked"]) >= 4
    assert "sample_steps makes no difference to the generator 'linly_talker'" in run.manifest.notes
    for trial in run.trials():
        refused = trial.params["sample_steps"] == 3
        assert (trial.status, trial.failure and trial.failure.code) == (
            ("failed", "refused") if refused else ("ok", None)
        )
    report = (run.folder / "report.md").read_text("utf-8")
    assert report.count("SadTalker of Linly-Talker has no use for it") == 4
