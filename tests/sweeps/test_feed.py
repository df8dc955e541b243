"""A sweep that is told, while it goes on, what to make."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalkit.runs import Run, Trial
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.feed import Feed
from evalkit.sweeps.prepare import SweepPlan, plan_sweep
from evalkit.sweeps.run import Progress, run_sweep


class Chain(Feed):
    """Asks for one video after the other, as long as a number of steps is allowed, and notes what it hears."""

    def __init__(self, plan: SweepPlan, wanted: Sequence[int], *, at_first: int = 1) -> None:
        self._ids = {trial.params["sample_steps"]: trial.id for trial in plan.trials}
        self._wanted = list(wanted)
        self._at_first = at_first
        self.known: dict[int, str] = {}
        self.skipped: Mapping[str, str] = {}
        self.heard: list[tuple[int, str]] = []
        self.n_asked = 0

    def begin(self, known: Mapping[str, Trial], skipped: Mapping[str, str]) -> Sequence[str]:
        """Note what it is told."""
        self.known = {trial.params["sample_steps"]: trial.status for trial in known.values()}
        self.skipped = skipped
        return self._next(self._at_first)

    def hear(self, trial: Trial) -> Sequence[str]:
        """Ask for the next one."""
        self.heard.append((trial.params["sample_steps"], trial.status))
        return self._next(1)

    def left_out(self) -> Mapping[str, str]:
        """Name all, also those that were made."""
        self.n_asked += 1
        return {name: f"{steps} steps: not wanted" for steps, name in self._ids.items()}

    def _next(self, n: int) -> list[str]:
        taken, self._wanted = self._wanted[:n], self._wanted[n:]
        return [self._ids[steps] for steps in taken]


@pytest.fixture
def plan(stand_in: dict[str, Any]) -> SweepPlan:
    return plan_sweep(build_sweep({**stand_in, "grid": {"sample_steps": [2, 3, 4, 5, 11]}}, "test"))


def steps_of(run: Run) -> list[int]:
    return [trial.params["sample_steps"] for trial in run.trials()]


def test_what_is_asked_for_is_made_in_order_and_the_rest_is_on_record_with_its_reason(
    plan: SweepPlan, tmp_path: Path, made: Callable[[], list[int]]
) -> None:
    feed = Chain(plan, [4, 11, 2])
    run = run_sweep(plan, tmp_path / "run", feed=feed)
    assert (feed.known, feed.skipped) == ({}, {})
    assert feed.heard == [(4, "ok"), (11, "failed"), (2, "ok")]
    assert made() == [4, 2]
    assert steps_of(run) == [2, 4, 11]
    skipped = Run.open(tmp_path / "run").skipped()
    assert {trial.reason for trial in skipped.values()} == {"3 steps: not wanted", "5 steps: not wanted"}
    assert all(trial.params in ({"sample_steps": 3}, {"sample_steps": 5}) for trial in skipped.values())
    assert run.unfinished() == []
    assert feed.n_asked == 1


def test_what_has_a_result_is_known_and_never_made_again(
    plan: SweepPlan, tmp_path: Path, made: Callable[[], list[int]]
) -> None:
    run_sweep(plan, tmp_path / "run", feed=Chain(plan, [4, 11]))
    feed = Chain(plan, [4, 11, 5, 5, 3], at_first=5)
    run = run_sweep(plan, tmp_path / "run", feed=feed)
    assert feed.known == {4: "ok", 11: "failed"}
    assert feed.heard == [(5, "ok"), (3, "ok")]
    assert made() == [4, 5, 3]
    assert {trial.params["sample_steps"] for trial in run.skipped().values()} == {2}
    whole = run_sweep(plan, tmp_path / "run")  # without a feed it is completed
    assert made() == [4, 5, 3, 2]
    assert whole.manifest.skipped == {}
    feed = Chain(plan, [2, 3])
    run_sweep(plan, tmp_path / "run", feed=feed)  # and a finished sweep leaves a feed nothing to do
    assert (len(feed.known), feed.heard, len(made())) == (5, [], 4)


def test_a_video_that_is_there_and_not_measured_is_heard_of_when_it_is(
    stand_in: dict[str, Any], tmp_path: Path, made: Callable[[], list[int]]
) -> None:
    run_sweep(plan_sweep(build_sweep(stand_in, "test")), tmp_path / "run")
    plan = plan_sweep(build_sweep({**stand_in, "evaluators": ["technical"]}, "test"))
    feed = Chain(plan, [])
    run_sweep(plan, tmp_path / "run", feed=feed)
    assert feed.known == {}
    assert sorted(feed.heard) == [(2, "ok"), (3, "ok"), (4, "ok")]
    assert len(made()) == 3


def test_progress_counts_what_was_chosen_so_far(plan: SweepPlan, tmp_path: Path) -> None:
    seen: list[Progress] = []
    run_sweep(plan, tmp_path / "run", feed=Chain(plan, [4, 2]), on_progress=seen.append)
    counts = [(progress.n_over, progress.n_trials) for progress in seen if progress.trial is not None]
    assert counts == [(1, 2), (2, 2)]


def test_a_trial_that_is_not_planned_cannot_be_asked_for(plan: SweepPlan, tmp_path: Path) -> None:
    feed = Chain(plan, [4])
    feed._ids[4] = "nothing"
    with pytest.raises(ValueError, match="asks for 'nothing', which is no trial of the plan"):
        run_sweep(plan, tmp_path / "run", feed=feed)


INTERRUPTED = """
import json, os, signal, sys
from pathlib import Path
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep
from tests.sweeps.test_feed import Chain

plan = plan_sweep(build_sweep(json.loads(sys.argv[1]), "test"))
feed = Chain(plan, [2, 12])
run_sweep(plan, Path(sys.argv[2]), feed=feed, on_progress=lambda progress: print(*progress.at_work, flush=True))
"""


def test_an_interrupt_puts_on_record_what_was_left_out(stand_in: dict[str, Any], tmp_path: Path) -> None:
    data = {**stand_in, "grid": {"sample_steps": [2, 3, 12]}, "execution": {}}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, json.dumps(data), str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert any("sample_steps=12" in line for line in process.stdout)  # which hangs
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=120)
    assert "KeyboardInterrupt" in words
    run = Run.open(tmp_path / "run")
    assert steps_of(run) == [2]
    assert [trial.reason for trial in run.skipped().values()] == ["3 steps: not wanted"]
    assert len(run.unfinished()) == 1  # it was begun: the next call goes on with it
