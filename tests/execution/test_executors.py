"""Every executor keeps the contract; processes outlive nothing and nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.execution.executors import Executor, InProcess, Limits, NoSettings, Processes, load_executor
from evalkit.execution.jobs import EventReported, Finished, GenerateResult, JobFailure, Message, Slot
from evalkit.testing.executor import (
    WORK,
    ExecutorContract,
    do_jobs,
    generate_job,
    measure_job,
    results_of,
)
from evalkit.testing.foreign_host import ForeignHost
from pipeline.extras import MODULES
from tests.fixtures.processes import command_line, is_alive


class TestProcesses(ExecutorContract):
    """Worker processes."""

    @pytest.fixture
    def kind(self) -> type[Executor]:
        """Give the class."""
        return Processes


class TestInProcess(ExecutorContract):
    """Everything in one process."""

    @pytest.fixture
    def kind(self) -> type[Executor]:
        """Give the class."""
        return InProcess


class TestForeignHost(ExecutorContract):
    """Another machine: other paths, other clocks, no shared folder."""

    @pytest.fixture(autouse=True)
    def disk(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Give the other machine a disk."""
        folder = tmp_path_factory.mktemp("foreign")
        self.settings = {"folder": str(folder)}
        return folder

    @pytest.fixture
    def kind(self) -> type[Executor]:
        """Give the class."""
        return ForeignHost

    def lose_place(self, executor: Executor, slot: Slot) -> None:  # type: ignore[override]  # a method, as it says
        """Kill the host."""
        del slot
        assert isinstance(executor, ForeignHost)
        executor.host.kill()

    def test_its_world_is_another(self, executor: Executor, tmp_path: Path, disk: Path) -> None:
        """Files are read and written on its own disk."""
        (tmp_path / "a.png").write_bytes(b"a")
        job = generate_job(tmp_path)
        (result,) = results_of(do_jobs(executor, job)).values()
        assert isinstance(result, GenerateResult)
        assert (disk / "jobs" / "1" / "video.mp4").is_file()
        assert (tmp_path / "1" / "video.mp4").is_file()


def processes(time_s: float = 60.0, stall_s: float = 60.0, *slots: Slot) -> Processes:
    return Processes(slots or [Slot("one"), Slot("two")], Limits(time_s, stall_s), NoSettings(), WORK)


def events_of(messages: list[Message], name: str) -> list[Any]:
    """Return what a job reported; one that hangs reports that it has begun, and the child that it has started."""
    return [
        news.event["value"] for news in messages if isinstance(news, EventReported) and news.job_id == name
    ]


def test_a_crash_and_a_hang_cost_one_job_each_and_leave_no_child(tmp_path: Path) -> None:
    executor = processes(600.0, 600.0)
    (tmp_path / "video.mp4").touch()
    try:
        jobs = [generate_job(tmp_path, "killed", do="kill"), measure_job(tmp_path, "hung", do="hang")]
        for job in (*jobs, generate_job(tmp_path, "fine", "two")):
            executor.submit(job)
        messages: list[Message] = []
        while len(results_of(messages)) < 2 or len(events_of(messages, "hung")) < 2:
            messages += executor.wait(0.2)
        executor._limits = Limits(0.0, 600.0)  # when all that is to be in time is over
        while len(results_of(messages)) < 3:
            messages += executor.wait(0.2)
        executor._limits = Limits(600.0, 600.0)
        found = results_of(messages)
        codes = {name: result.code for name, result in found.items() if isinstance(result, JobFailure)}
        assert codes == {"killed": "crashed", "hung": "timed_out"}
        again = results_of(do_jobs(executor, generate_job(tmp_path, "g"), measure_job(tmp_path, "m")))
        assert not any(isinstance(result, JobFailure) for result in again.values())
        folders = [worker.folder for worker in executor._workers.values()]
        assert all(folder.is_dir() for folder in folders)
    finally:
        executor.close()
    assert not any(folder.exists() for folder in folders)
    assert not [
        child for child in psutil.Process().children(recursive=True) if "sleep(600)" in command_line(child)
    ]


def test_measuring_that_says_nothing_is_given_up_and_generating_is_not(tmp_path: Path) -> None:
    executor = processes(60.0, 1.0)
    try:
        executor.submit(measure_job(tmp_path, "measured", do="hang"))
        executor.submit(generate_job(tmp_path, "made", do="hang"))
        ends: list[Finished] = []
        while not ends:
            ends += [news for news in executor.wait(0.2) if isinstance(news, Finished)]
        (end,) = ends
        assert end.job_id == "measured"
        assert isinstance(end.result, JobFailure)
        assert end.result.code == "stalled"
    finally:
        executor.close()


def test_closing_ends_work_under_way(tmp_path: Path) -> None:
    executor = processes(600.0)
    executor.submit(generate_job(tmp_path, do="hang"))
    messages: list[Message] = []
    while len(children := events_of(messages, "1")) < 2:  # that it has begun, and its child
        messages += executor.wait(0.2)
    executor.close()
    give_up_s = time.monotonic() + 60
    while is_alive(children[1]):
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def made_by(messages: list[Message], name: str) -> dict[str, Any]:
    result = results_of(messages)[name]
    assert isinstance(result, GenerateResult)
    return result.generation


def test_a_slot_has_its_own_gpu_and_its_own_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    there = sorted(os.sched_getaffinity(0))
    slots = [Slot("one", "cuda:0"), Slot("two", "cuda:3"), Slot("three", "cpu", 1, 0)]
    if len(there) > 1:
        slots.append(Slot("four", "cpu", 1, 1))
    executor = processes(60.0, 60.0, *slots)
    jobs = [generate_job(tmp_path, slot.name, slot.name) for slot in slots]
    try:
        for slot, job in zip(slots, jobs, strict=True):
            object.__setattr__(job, "slot", slot)
        messages = do_jobs(executor, *jobs)
    finally:
        executor.close()
    for name, visible in (("one", "0"), ("two", "3")):
        made = made_by(messages, name)
        assert made["variables"] == {"CUDA_VISIBLE_DEVICES": visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        assert made["device"] == "cuda:0"
        assert made["cores"] == there
    bound = [made_by(messages, slot.name)["cores"] for slot in slots[2:]]
    assert bound == [[core] for core in there[: len(bound)]]
    assert made_by(messages, "three")["variables"] == {}
    assert sorted(os.sched_getaffinity(0)) == there
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_machine_with_too_few_cores_is_refused() -> None:
    with pytest.raises(UsageError, match=r"slot 'one' takes cores 1 to 4096 and this machine gives \d+"):
        processes(1.0, 1.0, Slot("one", "cpu", 4096))


def test_a_gpu_that_is_hidden_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(UsageError, match="'one' is on cuda:2, and CUDA_VISIBLE_DEVICES='4,5' shows 2 GPUs"):
        processes(1.0, 1.0, Slot("one", "cuda:2"))


@pytest.mark.parametrize("name", ["processes", "in_process"])
def test_an_executor_is_found_with_its_settings(name: str) -> None:
    with pytest.raises(UsageError, match="where: there is no option 'nodes'"):
        load_executor(name, {"nodes": 3}, "where")
    executor = load_executor(name, {}, "where")([Slot("one")], Limits(1.0, 1.0))
    executor.close()


def test_an_executor_that_lacks_its_libraries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Far(InProcess):
        extra = "brand"

    monkeypatch.setattr(registry, "load", lambda *_: Far)
    monkeypatch.setitem(MODULES, "brand", ("not_installed_anywhere",))
    with pytest.raises(
        UsageError,
        match=r"the executor 'far' cannot be used: not_installed_anywhere is not .*evalkit\[brand\]",
    ):
        load_executor("far", {}, "where")


def test_there_is_a_place_for_each_gpu_and_one_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    chosen = load_executor("processes", {}, "where")
    assert (chosen.count_places("cuda"), chosen.count_places("cpu")) == (3, 1)
