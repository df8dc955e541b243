"""Where the work of a sweep is done. Found through the entry-point group ``evalkit.executors``.

An executor takes jobs and gives messages, all of them plain data (`evalkit.execution.jobs`), so that one on another
machine can carry them. Files: a job names the files that it reads, by path and content, and a folder for what it
makes; a result names the files in that folder. An executor that shares the folder works in place; one that does not
carries files itself, see `evalkit.execution.transfer`.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, ClassVar

from evalkit import registry
from evalkit.execution.jobs import (
    Finished,
    GenerateJob,
    Job,
    JobFailure,
    MeasureJob,
    Message,
    Result,
    Slot,
    Stage,
    Started,
    WorkBegun,
)
from evalkit.execution.slots import choose_environment, find_cores, find_gpu
from evalkit.execution.watch import read_of_dead_worker
from evalkit.execution.worker import OUT_OF_MEMORY, VIDEO_WORK, Work, load_work
from evalkit.isolation import Failure, Worker
from evalkit.options import read_group
from evalkit.profiling.machine import describe_machine
from evalkit.profiling.out_of_memory import is_out_of_memory
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may take.

    Parameters
    ----------
    time_s : float
        For the work; counted again from `WorkBegun`, when loading and warming up are over.
    stall_s : float
        For silence while measuring.
    """

    time_s: float
    stall_s: float


class NoSettings(PlainData):
    """Settings of an executor that has none."""


class Executor(ABC):
    """Does jobs; used by one thread.

    Each slot does one `GenerateJob` and one `MeasureJob` at a time; whoever submits decides what may go on at once.
    What the work has loaded for a slot and a kind of job stays loaded for the next one.

    Parameters
    ----------
    slots : sequence of Slot
        All that jobs will name.
    limits : Limits
    settings : Settings
    work : str
        What does the jobs, see `evalkit.execution.worker.load_work`.

    Raises
    ------
    UsageError
        If it cannot provide the slots.
    """

    Settings: ClassVar[type[PlainData]] = NoSettings
    """What may stand under ``execution.executor.settings``."""

    @abstractmethod
    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None: ...

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Take a job; nothing else of its kind is under way in its slot."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Message]:
        """Return what happened, in order; wait for it a while if nothing has."""

    @abstractmethod
    def cancel(self, job_id: str) -> None:
        """Give a job up; it ends with a `JobFailure` of code ``cancelled``. Does nothing where it is over."""

    @abstractmethod
    def close(self) -> None:
        """End all work, whatever its state, and leave no process behind. A second call does nothing."""


def load_executor(name: str, settings: Mapping[str, Any], where: str) -> Callable[..., Executor]:
    """Find an executor and check its settings.

    Parameters
    ----------
    name : str
    settings : mapping
    where : str
        What to call the place of the settings in errors.

    Returns
    -------
    callable
        Takes slots, limits and, by name, ``work``, as `Executor` does.

    Raises
    ------
    UsageError
        If there is no such executor, or a setting is unknown or not allowed.
    """
    kind: type[Executor] = registry.load(registry.EXECUTORS, name)
    read = read_group(kind.Settings, settings, where)
    return lambda slots, limits, **options: kind(slots, limits, read, **options)


@dataclass
class _UnderWay:
    """A job that a process is at."""

    job: Job
    worker: Worker
    start_s: float
    has_begun: bool = False


class Processes(Executor):
    """Two processes a slot on this machine, one that makes videos and one that measures them.

    A crash, a hang or a kill costs one job: its process is ended with all its children and the next job gets a new
    one. What was seen of a process that died is read from what its sampler wrote.
    """

    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None:
        del settings
        self._limits = limits
        self._work = work
        self._surroundings = {slot.name: (choose_environment(slot), find_cores(slot)) for slot in slots}
        self._workers: dict[tuple[str, Stage], Worker] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._news: list[Message] = []

    def submit(self, job: Job) -> None:
        """Give the job to the process of its slot and kind, which is started if there is none."""
        place = job.slot.name, job.stage
        worker = self._workers.get(place)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.end()
            environment, cores = self._surroundings[job.slot.name]
            worker = self._workers[place] = Worker(_ByName(self._work), environment=environment, cores=cores)
        self._under_way[job.id] = _UnderWay(job, worker, time.monotonic())
        self._news.append(Started(job.id))
        worker.give(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Listen to the processes."""
        if not self._news:
            wait([under_way.worker.connection for under_way in self._under_way.values()], timeout_s)
        for under_way in list(self._under_way.values()):
            self._listen(under_way)
        news, self._news = self._news, []
        return news

    def cancel(self, job_id: str) -> None:
        """End the process that is at the job."""
        under_way = self._under_way.pop(job_id, None)
        if under_way is not None:
            under_way.worker.kill()
            self._finish(under_way, Failure(CANCELLED, "it was cancelled", under_way.worker.log()))

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()
        self._under_way.clear()

    def _listen(self, under_way: _UnderWay) -> None:
        outcome = under_way.worker.listen(
            lambda message: self._hear(under_way, message),
            time_limit_s=self._limits.time_s,
            stall_limit_s=self._limits.stall_s if isinstance(under_way.job, MeasureJob) else None,
        )
        if outcome is not None:
            del self._under_way[under_way.job.id]
            self._finish(under_way, outcome)

    def _hear(self, under_way: _UnderWay, message: Message) -> None:
        if isinstance(message, WorkBegun):
            under_way.has_begun = True
            under_way.worker.restart_clock()
        self._news.append(message)

    def _finish(self, under_way: _UnderWay, outcome: object) -> None:
        result: Result
        if isinstance(outcome, Failure):
            result, log = _failure_of(under_way, outcome), outcome.log
        else:
            result = outcome  # type: ignore[assignment]  # what `Work` returns
            log = under_way.worker.log() + (result.trace if isinstance(result, JobFailure) else "")
        self._news.append(Finished(under_way.job.id, result, log))


@dataclass
class _ByName:
    """Work that is made in the process that does it."""

    name: str
    _made: Work | None = None

    def __call__(self, job: Job, report: Callable[[Message], None]) -> Result:
        self._made = self._made or load_work(self.name)
        return self._made(job, report)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


class InProcess(Executor):
    """Everything in this process, one job after the other: for debuggers. A crash is the sweep's own; no limits hold."""

    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None:
        del slots, limits, settings
        self._work = load_work(work)
        self._waiting: list[Job] = []
        self._news: list[Message] = []
        self._announced: Job | None = None

    def submit(self, job: Job) -> None:
        """Put the job in line."""
        self._waiting.append(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Announce the next job in line, then do it."""
        if self._news:
            news, self._news = self._news, []
            return news
        if not self._waiting:
            time.sleep(timeout_s)
            return []
        job = self._waiting[0]
        if job is not self._announced:
            self._announced = job
            return [Started(job.id)]
        del self._waiting[0]
        news = []
        try:
            result = self._work(job, news.append)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's result
            result = JobFailure(job.stage, "raised", f"{type(error).__name__}: {error}")
        trace = result.trace if isinstance(result, JobFailure) else ""
        return [*news, Finished(job.id, result, trace)]

    def cancel(self, job_id: str) -> None:
        """Take the job out of the line; one that has begun is done by the time this is called."""
        for job in [job for job in self._waiting if job.id == job_id]:
            self._waiting.remove(job)
            self._news.append(Finished(job_id, JobFailure(job.stage, CANCELLED, "it was cancelled")))

    def close(self) -> None:
        """Release what the work has loaded."""
        self._waiting.clear()
        self._work.close()


def _failure_of(under_way: _UnderWay, outcome: Failure) -> JobFailure:
    """Say how a job failed whose process died or was ended, with what its sampler saw last."""
    job = under_way.job
    stage, profile = job.stage, None
    if isinstance(job, GenerateJob):
        stage = stage if under_way.has_begun else Stage.LOAD
        gpu = find_gpu(job.slot, {**os.environ, **choose_environment(job.slot)})
        profile = read_of_dead_worker(under_way.worker.folder, None if gpu is None else [gpu])
    n_oom_kills = None if profile is None else profile.n_oom_kills
    no_memory = is_out_of_memory(f"{outcome.text}\n{outcome.log}", n_oom_kills)
    return JobFailure(
        stage,
        OUT_OF_MEMORY if no_memory else outcome.code,
        outcome.text,
        None if profile is None else profile.to_dict(),
        time.monotonic() - under_way.start_s,
        describe_machine(),
    )
