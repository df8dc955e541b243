"""Two GPUs of one machine are two slots, whatever makes the videos: each program sees its own, at a port of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from evalkit.runs import Run
from evalkit.runs.store import read_video
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep
from pipeline.errors import RequestError
from pipeline.generator import load_generator
from tests.sweeps.test_live_avatar import config as live_avatar  # noqa: F401 - a fixture

PRESETS = ("wav2lip", "sadtalker", "musetalk")
SAW = """
import os, shutil, sys, time
out, video, steps, saw = sys.argv[1:]
open(f"{saw}/{steps}", "w").write(os.environ["CUDA_VISIBLE_DEVICES"])
while len(os.listdir(saw)) < 2:  # until the other one is at work
    time.sleep(0.05)
shutil.copyfile(video, out)
"""


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")


def slots_of(run: Run) -> list[tuple[str, bool | None]]:
    videos = [read_video(run.folder, trial.id) for trial in run.trials()]
    return sorted((video.record.slot, video.record.alone) for video in videos if video is not None)


@pytest.mark.usefixtures("two_gpus")
def test_a_program_sees_the_gpu_of_its_slot_alone(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "program.py").write_text(SAW)
    (tmp_path / "saw").mkdir()
    words = [str(tmp_path / "program.py"), "{out}", str(clip), "{sample_steps}", str(tmp_path / "saw")]
    data = {
        "generator": {
            "name": "command",
            "device": "cuda",
            "settings": {"argv": [sys.executable, "-S", *words]},
        },
        "grid": {"sample_steps": [2, 3]},
        "evaluators": [],
    }
    run = run_sweep(plan_sweep(build_sweep(data, "test")), tmp_path / "run")
    assert [trial.failure for trial in run.trials()] == [None, None]
    assert sorted(path.read_text() for path in (tmp_path / "saw").iterdir()) == ["4", "6"]
    assert slots_of(run) == [("cuda:0", True), ("cuda:1", True)]


@pytest.mark.usefixtures("two_gpus")
def test_live_avatar_works_on_the_gpu_of_its_slot_at_a_port_of_its_own(
    tmp_path: Path,
    live_avatar: dict[str, Any],  # noqa: F811 - the fixture
) -> None:
    live_avatar["inputs"]["speech"] = live_avatar["inputs"]["speech"][:1]
    live_avatar["generator"]["settings"]["environment"]["STAND_IN_SEES"] = str(tmp_path / "sees")
    (tmp_path / "sees").mkdir()
    data = {**live_avatar, "grid": {"sample_steps": [2, 3]}, "evaluators": []}
    plan = plan_sweep(build_sweep(data, "test"))
    assert "gpus" not in plan.generator["settings"]  # where a video is made is no part of what it is
    run = run_sweep(plan, tmp_path / "run")
    assert [trial.failure for trial in run.trials()] == [None, None]
    first = int(live_avatar["generator"]["settings"]["master_port"])
    seen = sorted(path.read_text() for path in (tmp_path / "sees").iterdir())
    assert seen == [f"4 {first + 4}", f"6 {first + 6}"]
    assert slots_of(run) == [("cuda:0", True), ("cuda:1", True)]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "settings", "n_slots"),
    [
        ("command", {"argv": ["make", "{out}"]}, 2),
        ("command", {"argv": ["make", "{out}"], "environment": {"CUDA_VISIBLE_DEVICES": "4"}}, 1),
        *((name, {"repository": "."}, 2) for name in PRESETS),
        *((name, {"repository": ".", "environment": {"CUDA_VISIBLE_DEVICES": "4"}}, 1) for name in PRESETS),
        ("live_avatar", {"repository": "."}, 2),
        ("live_avatar", {"repository": ".", "gpus": [6]}, 1),
        ("live_avatar", {"repository": ".", "gpus": [0, 1, 2, 3, 4]}, 1),
        ("live_avatar", {"repository": ".", "environment": {"CUDA_VISIBLE_DEVICES": "4"}}, 1),
        ("conversation", {"generator": "live_avatar", "generator_settings": {"repository": "."}}, 2),
        (
            "conversation",
            {"generator": "live_avatar", "generator_settings": {"repository": ".", "gpus": [6]}},
            1,
        ),
        ("reference", {}, 2),
    ],
)
def test_a_generator_has_a_slot_on_each_gpu_unless_it_says_itself_where_it_works(
    name: str, settings: dict[str, Any], n_slots: int
) -> None:
    data = {"generator": {"name": name, "device": "cuda", "settings": settings}, "evaluators": []}
    plan = plan_sweep(build_sweep(data, "test"))
    assert [slot.device for slot in plan.slots] == (["cuda"] if n_slots == 1 else ["cuda:0", "cuda:1"])


def test_gpus_of_settings_and_of_a_slot_contradict_each_other() -> None:
    generator = load_generator("live_avatar", {"repository": ".", "gpus": [3]})
    with pytest.raises(RequestError, match=r"gpus is \[3\].* its slot is on GPU 0: leave gpus"):
        generator.take_gpu(0)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["precomputed", "linly_talker"])
def test_what_uses_no_gpu_of_this_machine_has_no_slots_on_them(name: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("video,sample_steps\na.mp4,1\n")
    settings = (
        {"table": str(tmp_path / "table.csv")} if name == "precomputed" else {"talker": "http://127.0.0.1:1"}
    )
    assert not load_generator(name, settings).follows_gpus
