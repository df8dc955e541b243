"""Who may work while who works: nothing beside a timed video on its own device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit import registry
from evalkit.execution.executors import Finished, Job, Message, Started
from evalkit.runs import Run
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import SweepPlan, plan_sweep
from evalkit.sweeps.run import run_sweep

QUALITY = {"metrics": {}, "absent": {}, "notes": [], "versions": {}, "weights": {}}
GENERATION = {"n_frames": 25, "duration_s": 1.0}


class Slow:
    """An executor that ends one job at each `wait`: by turns of `order`, else the oldest; and notes who was at work."""

    def __init__(self, order: Callable[[list[Job]], Job]) -> None:
        self.at_work: list[Job] = []
        self.seen: list[tuple[tuple[int, str], ...]] = []
        self._order = order

    def submit(self, job: Job) -> None:
        """Take a job."""
        assert job.place not in [other.place for other in self.at_work]
        self.at_work.append(job)
        self.seen.append(tuple(other.place for other in self.at_work))

    def wait(self, timeout_s: float) -> list[Message]:
        """End one."""
        del timeout_s
        job = self._order(self.at_work)
        self.at_work.remove(job)
        outcome: dict[str, Any] = {"generation": GENERATION, "torch": None}
        if job.task["stage"] == "measure":
            outcome = {"quality": QUALITY, "samples": {}}
        return [Started(job, None), Finished(job, outcome, "")]

    def close(self) -> None:
        """End all."""
        self.at_work = []


def slow_sweep(
    monkeypatch: pytest.MonkeyPatch,
    preparation: SweepPlan,
    folder: Path,
    order: Callable[[list[Job]], Job] = lambda jobs: jobs[0],
) -> tuple[Run, Slow]:
    executor = Slow(order)
    load = registry.load

    def load_slow(group: str, name: str) -> Any:
        return (lambda _work, _limits: executor) if group == registry.EXECUTORS else load(group, name)

    monkeypatch.setattr(registry, "load", load_slow)
    return run_sweep(preparation, folder), executor


@pytest.fixture
def prepare(stand_in: dict[str, Any]) -> Callable[..., SweepPlan]:
    """Give a function that prepares a sweep of six trials with an evaluator."""

    def make(device: str = "cpu", workers: int = 1) -> SweepPlan:
        generator = {**stand_in["generator"], "device": device}
        data = {
            **stand_in,
            "generator": generator,
            "grid": {"sample_steps": [1, 2, 3, 4, 5, 6]},
            "evaluators": ["technical"],
            "execution": {"workers": workers},
        }
        return plan_sweep(build_sweep(data, "test"))

    return make


def test_on_one_device_making_and_measuring_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., SweepPlan]
) -> None:
    run, executor = slow_sweep(monkeypatch, prepare(), tmp_path / "run")
    assert {len(places) for places in executor.seen} == {1}
    assert [stage for ((_, stage),) in executor.seen] == ["generate", "measure"] * 6
    assert len(run.trials()) == 6


def test_on_another_device_a_video_is_measured_while_the_next_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., SweepPlan]
) -> None:
    run, executor = slow_sweep(monkeypatch, prepare(device="cuda"), tmp_path / "run")
    assert ((0, "measure"), (0, "generate")) in executor.seen
    assert max(len(places) for places in executor.seen) == 2
    assert len(run.trials()) == 6


def test_videos_do_not_pile_up_before_slow_evaluators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., SweepPlan]
) -> None:
    def makers_first(jobs: list[Job]) -> Job:
        return next((job for job in jobs if job.task["stage"] == "generate"), jobs[0])

    _, executor = slow_sweep(monkeypatch, prepare(device="cuda"), tmp_path / "run", makers_first)
    n_ahead, most = 0, 0  # videos made or in the making that are not being measured yet
    for places in executor.seen:
        n_ahead += 1 if places[-1][1] == "generate" else -1
        most = max(most, n_ahead)
    assert most == 2


def test_lanes_work_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., SweepPlan]
) -> None:
    run, executor = slow_sweep(monkeypatch, prepare(workers=2), tmp_path / "run")
    assert ((0, "generate"), (1, "generate")) in executor.seen
    assert [trial.absent["profile.total_s"] for trial in run.trials()] == ["shared_device"] * 6
    assert [trial.id for trial in run.trials()] == run.manifest.planned
