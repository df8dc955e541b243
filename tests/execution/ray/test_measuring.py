"""Clips and runs are measured on two nodes that share no folder, with the values of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import evalkit
from evalkit.runs import Run
from evalkit.testing.media import moving_pattern, tone, write_clip
from tests.execution.ray.kills import wait_for
from tests.fixtures.processes import is_alive
from tests.fixtures.ray_nodes import TwoNodes

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

    from evalkit.measuring.pool import BatchProgress

pytest.importorskip("ray", reason="the extra `ray` is not installed")


def on(nodes: TwoNodes) -> dict[str, Any]:
    return {"executor": "ray", "executor_settings": {"address": nodes.address}}


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Return clips of which two have one content, and one is no video."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(4):
        frames = moving_pattern(0.5 + number / 10, seed=number)
        write_clip(folder / f"{number}.mp4", frames, fps=25, sound=tone(0.5), rate_hz=48_000)
    shutil.copy(folder / "0.mp4", folder / "again 灰色.mp4")
    (folder / "text.mp4").write_text("these are words", "utf-8")
    return sorted(folder.iterdir())


def test_clips_have_the_values_and_the_evidence_of_this_machine(
    two_nodes: TwoNodes, tmp_path: Path, clips: list[Path]
) -> None:
    here = evalkit.evaluate(clips, evaluators="technical", evidence=tmp_path / "here")
    there = evalkit.evaluate(clips, evaluators="technical", evidence=tmp_path / "there", **on(two_nodes))
    assert there.to_dict() == here.to_dict()
    assert [clip.error is None for clip in there] == [path.name != "text.mp4" for path in clips]
    written = [
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("here", "there")
    ]
    assert written[0] == written[1]
    wait_for(two_nodes.is_clean, "something is left")


def test_an_actor_that_is_killed_costs_no_clip(two_nodes: TwoNodes, clips: list[Path]) -> None:
    here = evalkit.evaluate(clips, evaluators="technical")
    killed: list[psutil.Process] = []

    def kill_one(progress: BatchProgress) -> None:
        if progress.n_over == 2 and not killed:
            killed.append(two_nodes.actors()[0])
            killed[0].kill()

    there = evalkit.evaluate(clips, evaluators="technical", on_progress=kill_one, **on(two_nodes))
    assert killed
    assert there.to_dict() == here.to_dict()
    wait_for(lambda: not is_alive(killed[0].pid), "what was killed is alive")


def test_a_run_has_the_measurements_of_this_machine(
    two_nodes: TwoNodes, write_videos: Callable[[int], Run], tmp_path: Path
) -> None:
    run = write_videos(4)
    shutil.copytree(run.folder, tmp_path / "other")
    here = evalkit.measure(run, evaluators=["technical"])
    there = evalkit.measure(tmp_path / "other", evaluators=["technical"], **on(two_nodes))
    assert [(trial.id, trial.metrics, trial.absent) for trial in there.trials()] == [
        (trial.id, trial.metrics, trial.absent) for trial in here.trials()
    ]
    assert not [path for path in there.folder.rglob(".*") if path.name != ".lock"]
    wait_for(two_nodes.is_clean, "something is left")
