"""The executor ``ray`` keeps the contract on two nodes that share no folder, and loses nothing with one of them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from evalkit.errors import UsageError
from evalkit.execution.executors import LOST, Executor, ExecutorError
from evalkit.execution.jobs import (
    VIDEO_NAME,
    EventReported,
    GenerateResult,
    InputFile,
    JobFailure,
    MeasureResult,
    Message,
    Slot,
)
from evalkit.testing.executor import (
    LIMITS,
    WORK,
    ExecutorContract,
    do_jobs,
    generate_job,
    measure_job,
    results_of,
)

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from evalkit.execution.ray import executor as module
from evalkit.execution.ray.executor import RayExecutor, RaySettings
from tests.fixtures.processes import is_alive
from tests.fixtures.ray_nodes import TwoNodes, processes_with


class TestRay(ExecutorContract):
    """Two nodes."""

    @pytest.fixture(autouse=True)
    def settings_of_the_cluster(self, two_nodes: TwoNodes) -> None:
        """Name it."""
        self.settings = {"address": two_nodes.address}

    @pytest.fixture
    def kind(self) -> type[Executor]:
        """Give the class."""
        return RayExecutor

    def lose_place(self, executor: Executor, slot: Slot) -> None:  # type: ignore[override]  # a method, as it says
        """Kill the actor."""
        assert isinstance(executor, RayExecutor)
        host_of(executor, slot.name).kill()


def made(two_nodes: TwoNodes, slots: Sequence[Slot], **settings: Any) -> RayExecutor:
    return RayExecutor(slots, LIMITS, RaySettings(address=two_nodes.address, **settings), WORK)


def wait_for(condition: Any, what: str) -> None:
    give_up_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up_s, what
        time.sleep(0.02)


def begin(executor: Executor, *jobs: Any) -> list[int]:
    """Begin jobs that hang; return the processes that they have started, once each has."""
    for job in jobs:
        executor.submit(job)
    children: dict[str, list[Any]] = {job.id: [] for job in jobs}
    give_up_s = time.monotonic() + 120
    while any(len(events) < 2 for events in children.values()):
        assert time.monotonic() < give_up_s
        for message in executor.wait(0.2):
            if isinstance(message, EventReported):
                children[message.job_id].append(message.event["value"])
    return [events[1] for events in children.values()]


def host_of(executor: RayExecutor, home: str) -> psutil.Process:
    """Return the actor of a slot that is at work."""
    greeting = executor._places[home].greeting
    assert greeting is not None
    child = processes_with(greeting.own)[0]
    return next(process for process in child.parents() if process.name().startswith("ray::"))


def end_of(executor: Executor, job_id: str) -> Any:
    messages: list[Message] = []
    give_up_s = time.monotonic() + 120
    while job_id not in results_of(messages):
        assert time.monotonic() < give_up_s
        messages += executor.wait(0.2)
    return results_of(messages)[job_id]


def test_an_input_travels_once_to_a_node_however_many_read_it(two_nodes: TwoNodes, tmp_path: Path) -> None:
    content = os.urandom(5 << 20)
    (tmp_path / "face.png").write_bytes(content)
    file = InputFile(str(tmp_path / "face.png"), hashlib.sha256(content).hexdigest())
    slots = [Slot(name, own_device=True) for name in "abcd"]
    executor = made(two_nodes, slots)
    sent: list[set[int]] = []
    try:
        for turn in range(2):
            jobs = [generate_job(tmp_path, f"{name}{turn}", name, [file]) for name in "abcd"]
            results = results_of(do_jobs(executor, *jobs))
            assert all(isinstance(result, GenerateResult) for result in results.values())
            for name in "abcd":
                assert (tmp_path / f"{name}{turn}" / VIDEO_NAME).read_bytes() == content
            kept = [
                path for folder in two_nodes.folders for path in folder.glob("evalkit-ray-*/*/inputs/*/*")
            ]
            assert [path.name for path in kept] == ["face.png"] * 2
            sent.append({path.stat().st_ino for path in kept})
        assert sent[0] == sent[1]
    finally:
        executor.close()
    wait_for(two_nodes.is_clean, "something is left")


def test_a_video_travels_with_its_job_and_is_removed_with_it(two_nodes: TwoNodes, tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    (tmp_path / VIDEO_NAME).write_bytes(content)
    file = InputFile(str(tmp_path / VIDEO_NAME), hashlib.sha256(content).hexdigest())
    executor = made(two_nodes, [Slot("one", own_device=True)])
    try:
        for name in "ab":
            job = measure_job(tmp_path, name)
            object.__setattr__(job, "files", (file,))
            result = results_of(do_jobs(executor, job))[name]
            assert isinstance(result, MeasureResult)
            assert (tmp_path / name / VIDEO_NAME).read_bytes() == content
            assert not [
                path for folder in two_nodes.folders for path in folder.glob("evalkit-ray-*/**/*.mp4")
            ]
    finally:
        executor.close()


def test_slots_on_gpus_have_one_each_and_videos_are_measured_on_the_processors_that_are_left(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    slots = [Slot(f"cuda-{number}", "cuda", own_device=True) for number in range(2)]
    executor = made(two_nodes, slots, gpus_per_slot=2)
    try:
        pool = executor.measuring_pool()
        assert len(pool) == 2  # one processor of each node is left beside that of its slot
        jobs = [generate_job(tmp_path, slot.name, slot.name) for slot in slots]
        for slot, job in zip(slots, jobs, strict=True):
            object.__setattr__(job, "slot", slot)
        (tmp_path / VIDEO_NAME).touch()
        measuring = [measure_job(tmp_path, place.name, place.name) for place in pool]
        results = results_of(do_jobs(executor, *jobs, *measuring))
        for job in jobs:
            result = results[job.id]
            assert isinstance(result, GenerateResult)
            assert result.alone
            assert result.generation["device"] == "cuda"
            assert result.generation["variables"]["CUDA_VISIBLE_DEVICES"] == "0,1"
        assert all(isinstance(results[place.name], MeasureResult) for place in pool)
    finally:
        executor.close()


def test_places_are_counted_and_a_slot_that_names_its_gpu_is_refused(two_nodes: TwoNodes) -> None:
    settings = RaySettings(address=two_nodes.address)
    assert RayExecutor.count_places(settings, "cuda") == 4
    assert RayExecutor.count_places(settings, "cpu") == 4
    assert RayExecutor.count_places(settings.model_copy(update={"cpus_per_slot": 2}), "cuda") == 2
    with pytest.raises(UsageError, match="slot 'x' is on cuda:1, and the cluster chooses"):
        made(two_nodes, [Slot("x", "cuda:1")])


def test_an_actor_that_is_killed_costs_its_job_a_place_and_leaves_no_child(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    executor = made(two_nodes, [Slot("one", own_device=True), Slot("two", own_device=True)])
    try:
        killed, kept = begin(
            executor,
            generate_job(tmp_path, "killed", do="hang"),
            generate_job(tmp_path, "kept", "two", do="hang"),
        )
        host_of(executor, "one").kill()
        result = end_of(executor, "killed")
        assert isinstance(result, JobFailure)
        assert (result.code, result.stage) == (LOST, "generate")
        assert result.text.startswith("node ")
        wait_for(lambda: not is_alive(killed), "the child of a process that was killed")
        assert is_alive(kept)
        assert list((tmp_path / "killed").iterdir()) == []
        again = results_of(do_jobs(executor, generate_job(tmp_path, "again")))["again"]
        assert isinstance(again, GenerateResult)
    finally:
        executor.close()
    wait_for(lambda: not is_alive(kept), "the child of work that was ended")
    wait_for(two_nodes.is_clean, "something is left")


def test_a_cluster_that_is_full_is_waited_for_then_named(two_nodes: TwoNodes, tmp_path: Path) -> None:
    holder = made(two_nodes, [Slot("all", own_device=True, cores=2), Slot("more", own_device=True, cores=2)])
    late = made(two_nodes, [Slot("one", own_device=True)], patience_s=1.0)
    try:
        begin(
            holder,
            generate_job(tmp_path, "a", "all", do="hang"),
            generate_job(tmp_path, "b", "more", do="hang"),
        )
        late.submit(generate_job(tmp_path, "late"))
        with pytest.raises(ExecutorError, match=r"no place with 1 CPU for 1 s: 4 CPUs \(0 free\)"):
            end_of(late, "late")
    finally:
        late.close()
        holder.close()


def test_a_node_that_is_lost_costs_its_jobs_a_place_and_the_others_do_its_work(
    two_nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one here: the cluster has one node after it."""
    monkeypatch.setattr(module, "_GRACE_S", 0.0)
    slots = [Slot(name, own_device=True, cores=2) for name in ("one", "two")]
    executor = made(two_nodes, slots)
    try:
        jobs = [generate_job(tmp_path, slot.name, slot.name, do="hang") for slot in slots]
        begin(executor, *jobs)
        second = two_nodes.worker_node
        (lost,) = (
            job
            for place in executor._places.values()
            if place.greeting is not None and place.greeting.node == second.node_id
            for job in place.jobs
        )
        (kept,) = {"one", "two"} - {lost}
        second.kill_raylet()
        result = end_of(executor, lost)
        assert isinstance(result, JobFailure)
        assert result.code == LOST
        executor.submit(generate_job(tmp_path, "again", lost))
        executor.cancel(kept)
        assert isinstance(end_of(executor, "again"), GenerateResult)  # in the place of the other slot
    finally:
        executor.close()
    wait_for(lambda: not two_nodes.workers(), "something is left")
