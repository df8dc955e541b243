"""What works on a node: jobs in, messages and pieces of files out, in answers of a bounded length."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from evalkit.execution.executors import Limits
from evalkit.execution.jobs import (
    EventReported,
    Finished,
    GenerateJob,
    GenerateResult,
    GeneratorSpec,
    InputFile,
    JobFailure,
    Message,
    Progressed,
    Slot,
    Started,
    WorkBegun,
)
from evalkit.execution.ray import disk
from evalkit.execution.ray import host as module
from evalkit.execution.ray.disk import INPUTS, Cores
from evalkit.execution.ray.host import Host, Output
from evalkit.execution.transfer import pack
from evalkit.testing.executor import WORK
from tests.fixtures.processes import is_alive

LIMITS = Limits(60.0, 60.0)


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the node's temporary files here; nothing is left of a host, nor of what it set in its process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(disk, "CORE", f"\0{uuid.uuid4()}-{{}}")  # whoever else is at work on this machine
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    assert not list(tmp_path.glob("evalkit-ray-*/*/"))


@pytest.fixture
def host() -> Iterator[Host]:
    """Give one that wants a core of its own."""
    made = Host("session", LIMITS, WORK, 1)
    yield made
    made.stop()
    made.stop()


def job(
    host: Host, name: str = "1", *files: InputFile, slot: Slot | None = None, **request: object
) -> GenerateJob:
    folder = host._folder.own / "jobs" / name
    return GenerateJob(name, slot or Slot("one"), GeneratorSpec("any", {}), request, str(folder), files)


def hear(host: Host, n_finished: int = 1) -> list[Message | Output]:
    found: list[Message | Output] = []
    give_up_s = time.monotonic() + 120
    while sum(isinstance(item, Finished) for item in found) < n_finished:
        assert time.monotonic() < give_up_s
        found += host.poll(0.2)
    return found


def end_of(items: list[Message | Output]) -> Finished:
    (end,) = (item for item in items if isinstance(item, Finished))
    return end


def test_files_of_a_result_come_before_its_end_in_bounded_answers(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "in.bin").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    asked = job(host, "1", InputFile(str(host._folder.session / INPUTS / digest / "in.bin"), digest))
    assert host.submit(asked) == (asked.files[0].path,)  # it is not there yet
    for piece in pack(tmp_path, ["in.bin"]):
        host.put(module.replace(piece, name=f"{INPUTS}/{digest}/in.bin"))
    assert host.submit(asked) == ()
    monkeypatch.setattr(module, "BATCH_BYTES", 1 << 20)
    answers: list[list[Message | Output]] = []
    while not any(isinstance(item, Finished) for answer in answers for item in answer):
        answers.append(host.poll(1.0))
    assert all(sum(isinstance(item, Output) for item in answer) <= 1 for answer in answers)
    items = [item for answer in answers for item in answer]
    assert [type(item) for item in items[:2]] == [Started, WorkBegun]
    assert [type(item) for item in items[2:]] == [Output] * 3 + [Finished]
    last = items[-2]
    assert isinstance(last, Output)
    assert last.piece.content == digest
    assert not Path(asked.folder).exists()
    assert host.poll(0.0) == []


def test_of_the_progress_of_a_job_only_the_last_is_told(host: Host) -> None:
    for seconds in range(1000):
        host._tell(Progressed("1", float(seconds)))
    host._tell(Progressed("2", 0.5))
    host._tell(Progressed("1", 1000.0))
    assert host.poll(0.0) == [Progressed("1", 999.0), Progressed("2", 0.5), Progressed("1", 1000.0)]


class Contended(deque[Message]):
    """News of which the last piece is replaced just when somebody is about to take it."""

    def __init__(self, host: Host) -> None:
        super().__init__([Progressed("1", 0.0)])
        self.teller = threading.Thread(target=host._tell, args=(Progressed("1", 1.0),))
        self._is_popped, self._is_taken = threading.Event(), threading.Event()

    def __bool__(self) -> bool:
        there = len(self) > 0
        if self.teller.ident is None:
            self.teller.start()
            self._is_popped.wait(0.5)  # in vain where the teller has to wait
        return there

    def pop(self) -> Message:  # type: ignore[override]
        """Leave nothing for a while."""
        last = super().pop()
        self._is_popped.set()
        self._is_taken.wait(5.0)
        return last

    def popleft(self) -> Message:
        """Take the first."""
        try:
            return super().popleft()
        finally:
            self._is_taken.set()


def test_news_that_is_replaced_while_somebody_takes_it_is_no_fault(host: Host) -> None:
    host._news = news = Contended(host)
    first = list(iter(lambda: next(host._stream), None))
    news.teller.join()
    assert [*first, *host.poll(0.0)] == [Progressed("1", 0.0), Progressed("1", 1.0)]


def test_asking_waits_for_news_and_no_longer(host: Host) -> None:
    threading.Timer(0.2, host._tell, [Progressed("1", 1.0)]).start()
    assert host.poll(60.0) == [Progressed("1", 1.0)]


def test_whatever_a_slot_is_called_the_work_that_is_loaded_does_its_jobs(host: Host) -> None:
    n_before = []
    for name in ("one", "two", "three"):
        host.submit(job(host, name, slot=Slot(name)))
        end = end_of(hear(host))
        assert isinstance(end.result, GenerateResult)
        n_before.append(end.result.generation["n_before"])
    assert n_before == [0, 1, 2]


def test_it_is_bound_to_cores_of_its_own(host: Host) -> None:
    host.submit(job(host))
    end = end_of(hear(host))
    assert isinstance(end.result, GenerateResult)
    assert end.result.alone
    assert end.result.generation["cores"] == host._cores.numbers  # type: ignore[union-attr]


def test_without_cores_of_its_own_it_says_so(host: Host) -> None:
    assert host._cores is not None
    held = Cores(len(os.sched_getaffinity(0)) - 1)
    second = Host("session", LIMITS, WORK, 1)
    try:
        second.submit(job(second, slot=Slot("one", "cpu", 1)))
        end = end_of(hear(second))
        assert isinstance(end.result, GenerateResult)
        assert not end.result.alone
        assert end.result.generation["cores"] == sorted(os.sched_getaffinity(0))
    finally:
        second.stop()
        held.release()


@pytest.mark.parametrize(("visible", "device"), [("3", "cuda:0"), ("GPU-0a1b", "cuda:0"), ("3,5", "cuda")])
def test_a_slot_on_a_gpu_has_those_that_are_shown_to_it(
    visible: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    made = Host("session", LIMITS, WORK, None)
    try:
        made.submit(job(made, slot=Slot("one", "cuda")))
        end = end_of(hear(made))
    finally:
        made.stop()
    assert isinstance(end.result, GenerateResult)
    assert end.result.alone
    assert end.result.generation["device"] == device
    assert end.result.generation["variables"]["CUDA_VISIBLE_DEVICES"] == visible


def test_what_the_place_itself_cannot_do_is_the_failure_of_its_job(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(tempfile, "tempdir", str(host._folder.own / "nowhere"))  # as where somebody cleans up
        host.submit(job(host))
        end = end_of(hear(host))
    assert isinstance(end.result, JobFailure)
    assert (end.result.code, end.result.stage) == ("raised", "generate")
    assert "nowhere" in end.result.text
    host.submit(job(host, "2"))
    assert isinstance(end_of(hear(host)).result, GenerateResult)


def test_a_fault_of_the_place_itself_is_the_failure_of_its_job(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(module.Processes, "wait", lambda *_: {}["no such"])
        host.submit(job(host))
        end = end_of(hear(host))
    assert isinstance(end.result, JobFailure)
    assert (end.result.code, end.result.text) == ("raised", "KeyError('no such')")
    host.submit(job(host, "2"))
    assert end_of(hear(host)).job_id == "2"


def test_stopping_ends_what_is_under_way(host: Host) -> None:
    host.submit(job(host, do="hang"))
    children: list[object] = []
    while len(children) < 2:
        children += [item.event["value"] for item in host.poll(1.0) if isinstance(item, EventReported)]
    host.stop()
    give_up_s = time.monotonic() + 60
    while is_alive(int(str(children[1]))):
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def test_the_number_of_threads_that_ray_sets_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # our parent has none
    monkeypatch.setattr(psutil.Process, "environ", lambda _self: {})
    module._forget_number_of_threads()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(psutil.Process, "environ", lambda _self: {"OMP_NUM_THREADS": "3"})
    module._forget_number_of_threads()
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("own", "order"), [(None, "PCI_BUS_ID"), ("FASTEST_FIRST", "FASTEST_FIRST")])
def test_gpus_are_counted_as_ray_counts_them_unless_the_node_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: str | None, order: str
) -> None:
    """Else the GPU that is watched is not the one at work, where a node has several kinds."""
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if own is not None:
        monkeypatch.setenv("CUDA_DEVICE_ORDER", own)
    made = Host("session", LIMITS, WORK, None)
    made.stop()
    assert os.environ["CUDA_DEVICE_ORDER"] == order
