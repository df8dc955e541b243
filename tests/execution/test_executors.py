"""Both executors keep the contract; processes outlive nothing and nobody."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from evalkit.execution.executors import Finished, InProcess, Job, Limits, Processes
from evalkit.isolation import Failure
from evalkit.testing.executor import ExecutorContract
from evalkit.testing.tasks import Counting


class TestProcesses(ExecutorContract):
    """Worker processes."""

    @pytest.fixture
    def make(self) -> Any:
        """Give the entry point."""
        return Processes


class TestInProcess(ExecutorContract):
    """Everything in one process."""

    @pytest.fixture
    def make(self) -> Any:
        """Give the entry point."""
        return InProcess


def run(executor: Processes, *jobs: Job) -> dict[tuple[int, str], Finished]:
    """Do jobs at once and return how each ended, by its place."""
    for job in jobs:
        executor.submit(job)
    found: dict[tuple[int, str], Finished] = {}
    while len(found) < len(jobs):
        found |= {news.job.place: news for news in executor.wait(0.2) if isinstance(news, Finished)}
    return found


def test_a_crash_and_a_hang_cost_one_job_each_and_leave_no_child() -> None:
    executor = Processes(Counting(), Limits(time_s=10.0, stall_s=60.0))
    try:
        ends = run(
            executor,
            Job(0, {"stage": "generate", "do": "kill"}),
            Job(0, {"stage": "measure", "do": "hang"}),
            Job(1, {"stage": "generate"}),
        )
        killed, hung = ends[0, "generate"].outcome, ends[0, "measure"].outcome
        assert isinstance(killed, Failure)
        assert isinstance(hung, Failure)
        assert (killed.code, hung.code) == ("crashed", "timed_out")
        assert ends[1, "generate"].outcome == {"n_before": 0, "stage": "generate"}
        again = run(executor, Job(0, {"stage": "generate"}), Job(0, {"stage": "measure"}))
        assert [again[0, stage].outcome for stage in ("generate", "measure")] == [
            {"n_before": 0, "stage": "generate"},
            {"n_before": 0, "stage": "measure"},
        ]
    finally:
        executor.close()
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "sleep(600)" in " ".join(child.cmdline())
    ]


def test_measuring_that_says_nothing_is_given_up_and_generating_is_not() -> None:
    executor = Processes(Counting(), Limits(time_s=60.0, stall_s=1.0))
    try:
        executor.submit(Job(0, {"stage": "measure", "do": "hang"}))
        executor.submit(Job(0, {"stage": "generate", "do": "hang"}))
        ends: list[Finished] = []
        while not ends:
            ends += [news for news in executor.wait(0.2) if isinstance(news, Finished)]
        (end,) = ends
        assert end.job.task["stage"] == "measure"
        assert isinstance(end.outcome, Failure)
        assert end.outcome.code == "stalled"
    finally:
        executor.close()


def test_closing_ends_work_under_way() -> None:
    executor = Processes(Counting(), Limits(time_s=600.0, stall_s=600.0))
    executor.submit(Job(0, {"stage": "generate", "do": "hang"}))
    told: list[Any] = []
    while len(told) < 2:  # that it has begun, and its child
        told += [news.value for news in executor.wait(0.2) if hasattr(news, "value")]
    executor.close()
    give_up_s = time.monotonic() + 60
    while psutil.pid_exists(told[1]) and psutil.Process(told[1]).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
