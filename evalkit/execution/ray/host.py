"""What works on a node of a cluster: our own `Processes`, for a driver that is elsewhere and asks what came of it.

An actor of Ray holds one of these. It imports nothing of Ray but to say which node it is on, and what it does is what is
done without Ray: isolation, limits, watching and kept models are those of `Processes`.
"""

from __future__ import annotations

import errno
import os
import platform
import queue
import shutil
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from evalkit import __version__
from evalkit.errors import EvalkitError
from evalkit.execution.executors import Limits, NoSettings, Processes
from evalkit.execution.jobs import Finished, GenerateResult, JobFailure, Message, Progressed, Slot
from evalkit.execution.ray.disk import VIDEOS, Cores, NodeFolder
from evalkit.execution.transfer import Piece, Unpacker, pack
from evalkit.execution.worker import DISK_FULL, RAISED
from pipeline.tether import Tether

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalkit.execution.jobs import Job, Stage

BATCH_BYTES = 4 << 20
"""What an answer to `Host.poll` holds at most, but for its last item."""
_LOOK_S = 0.2
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Greeting:
    """Where a host is, and with what.

    Parameters
    ----------
    node : str
        Ray's id of the node.
    address : str
        For people.
    session, own : str
        Folders of the session and of the host, on its disk.
    inputs : frozenset of str
        Files that are there already, relative to the folder of the session.
    version, python : str
        Of evalkit and of Python.
    """

    node: str
    address: str
    session: str
    own: str
    inputs: frozenset[str]
    version: str = __version__
    python: str = platform.python_version()


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of a file that a job made, relative to the folder of the job."""

    job_id: str
    piece: Piece


class Host:
    """Does the jobs of one slot. Its methods are called by several threads: one asks, the others tell.

    Parameters
    ----------
    session : str
        As of `NodeFolder`.
    limits : Limits
    work : str
        As of `evalkit.execution.executors.Executor`.
    n_cores : int or None
        Processor cores that it is to have for itself and is bound to; None for all that there are.
    """

    def __init__(self, session: str, limits: Limits, work: str, n_cores: int | None) -> None:
        _forget_number_of_threads()
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # Ray counts GPUs as the driver does
        self._limits, self._work = limits, work
        self._folder = NodeFolder(session)
        self._tether = Tether(self._folder.own)
        os.environ.update(self._tether.environment)
        temporary = self._folder.own / "tmp"
        temporary.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        self._cores = None if n_cores is None else Cores(n_cores)
        self._inputs = Unpacker(self._folder.session)
        self._places: dict[tuple[Slot, Stage], _Place] = {}
        self._news: deque[Message] = deque()
        self._changed = threading.Condition()
        self._jobs: dict[str, tuple[Job, _Place]] = {}
        self._stream = self._report()
        self._has_more = False

    def greet(self) -> Greeting:
        """Say where it is."""
        import ray

        return Greeting(
            ray.get_runtime_context().get_node_id(),
            ray.util.get_node_ip_address(),
            str(self._folder.session),
            str(self._folder.own),
            self._folder.list_inputs(),
        )

    def put(self, piece: Piece) -> None:
        """Write a piece of a file that jobs read; it is named relative to the folder of the session."""
        self._inputs.write(piece)

    def submit(self, job: Job) -> tuple[str, ...]:
        """Take a job whose files are there; return those that are not, and leave it."""
        missing = tuple(file.path for file in job.files if not Path(file.path).is_file())
        if missing:
            return missing
        Path(job.folder).mkdir(parents=True)
        slot = self._localise(job.slot)
        key = slot, job.stage
        if key not in self._places:
            cores = None if self._cores is None else self._cores.numbers
            self._places[key] = _Place(slot, self._limits, self._work, cores, self._tell)
        self._jobs[job.id] = job, self._places[key]
        self._places[key].jobs.put(replace(job, slot=slot))
        return ()

    def poll(self, timeout_s: float) -> list[Message | Output]:
        """Return what happened, in order, in answers of a bounded length; wait for it a while if nothing has."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_more or self._news, timeout_s)
        batch: list[Message | Output] = []
        n_bytes = 0
        while n_bytes < BATCH_BYTES and (item := next(self._stream)) is not None:
            batch.append(item)
            n_bytes += len(item.piece.data) if isinstance(item, Output) else 0
        self._has_more = n_bytes >= BATCH_BYTES
        return batch

    def cancel(self, job_id: str) -> None:
        """Give a job up, see `Executor.cancel`."""
        if job_id in self._jobs:
            self._jobs[job_id][1].cancelled = job_id

    def stop(self) -> None:
        """End all work and leave nothing. A second call does nothing."""
        for place in self._places.values():
            place.stop()
        for place in self._places.values():
            place.join()
        self._places.clear()
        if self._cores is not None:
            self._cores.release()
        self._inputs.close()
        self._tether.release()
        self._folder.remove()

    def _localise(self, slot: Slot) -> Slot:
        """Return the slot as it is here: whatever it is called, it is this host's."""
        if slot.kind == "cpu":
            has_cores = self._cores is None or self._cores.numbers is not None
            return replace(slot, name="", cores=slot.cores if has_cores else None)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        return replace(slot, name="", device="cuda:0" if len(visible) == 1 else "cuda", cores=None)

    def _tell(self, message: Message) -> None:
        with self._changed:
            if (
                isinstance(message, Progressed)
                and self._news
                and isinstance(last := self._news[-1], Progressed)
                and last.job_id == message.job_id
            ):
                self._news.pop()  # the last one says it all
            self._news.append(message)
            self._changed.notify_all()

    def _report(self) -> Iterator[Message | Output | None]:
        """Give what there is to tell, and None where there is nothing; before the end of a job come its files."""
        while True:
            with self._changed:
                message = self._news.popleft() if self._news else None
            if not isinstance(message, Finished):
                yield message
                continue
            (job, _), result = self._jobs.pop(message.job_id), message.result
            folder = Path(job.folder)
            if not isinstance(result, JobFailure):
                try:
                    for piece in pack(folder, result.files):
                        yield Output(job.id, piece)
                except OSError as error:
                    result = JobFailure(job.stage, "raised", f"what was made cannot be read: {error}")
            if isinstance(result, GenerateResult) and self._cores is not None:
                result = replace(result, alone=result.alone and self._cores.numbers is not None)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self._folder.own / VIDEOS / folder.name, ignore_errors=True)
            yield replace(message, result=result)


class _Place(threading.Thread):
    """Does the jobs of one kind in one slot, one after the other."""

    def __init__(
        self,
        slot: Slot,
        limits: Limits,
        work: str,
        cores: list[int] | None,
        tell: Callable[[Message], None],
    ) -> None:
        super().__init__(daemon=True)
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.cancelled = ""
        self._stopped = False
        self._slot, self._limits, self._work = slot, limits, work
        self._cores, self._tell = cores, tell
        self.start()

    def stop(self) -> None:
        """End what is under way, and this."""
        self._stopped = True
        self.jobs.put(None)

    def run(self) -> None:
        """Work until there is nothing more to do."""
        executor: Processes | None = None
        try:
            while (job := self.jobs.get()) is not None and not self._stopped:
                try:
                    executor = executor or self._start()
                    self._do(job, executor)
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody else tells of it
                    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
                    text = str(error) if isinstance(error, (EvalkitError, OSError)) else repr(error)
                    failure = JobFailure(job.stage, DISK_FULL if is_full else RAISED, text)
                    if executor is not None:
                        executor.close()  # it may be at the job still
                        executor = None
                    self._tell(Finished(job.id, failure))
        finally:
            if executor is not None:
                executor.close()

    def _start(self) -> Processes:
        if self._cores is not None:
            os.sched_setaffinity(0, self._cores)  # of this thread, and of all that it starts
        return Processes([self._slot], self._limits, NoSettings(), self._work)

    def _do(self, job: Job, executor: Processes) -> None:
        executor.submit(job)
        while not self._stopped:
            if self.cancelled == job.id:
                executor.cancel(job.id)
            for message in executor.wait(_LOOK_S):
                self._tell(message)
                if isinstance(message, Finished):
                    return


def _forget_number_of_threads() -> None:
    """Take back the number of threads that Ray gives libraries, unless the node itself has it: cores are what bounds them."""
    if _THREADS in os.environ:
        try:
            own = _THREADS in psutil.Process(os.getppid()).environ()
        except psutil.Error:
            own = True
        if not own:
            del os.environ[_THREADS]
