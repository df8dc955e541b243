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
from evalkit.errors import EvalkitError, UsageError
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
from evalkit.execution.slots import choose_environment, count_gpus, find_cores, find_gpu, split_cores
from evalkit.execution.watch import read_of_dead_worker
from evalkit.execution.worker import OUT_OF_MEMORY, VIDEO_WORK, Work, load_work
from evalkit.isolation import Failure, Worker
from evalkit.options import read_group
from evalkit.profiling.machine import describe_machine
from evalkit.profiling.out_of_memory import is_out_of_memory
from pipeline.extras import find_obstacle
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pipeline.diagnosis import Diagnosis

CANCELLED = "cancelled"
LOST = "lost"
"""Code of a job whose place went away (a machine, a process that held it) through no fault of the job."""
MOST_LOSSES = 3
"""Places that a job may lose; then it has failed: what ends every place that takes it may be its own doing."""


class ExecutorError(EvalkitError):
    """An executor that cannot go on, whatever job comes: the cluster is gone, or gives it no place."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may take.

    Parameters
    ----------
    time_s : float or None
        For the work; counted again from `WorkBegun`, when loading and warming up are over. None for no limit.
    stall_s : float
        For silence while measuring.
    """

    time_s: float | None
    stall_s: float


class NoSettings(PlainData):
    """Settings of an executor that has none."""


class Executor(ABC):
    """Does jobs; used by one thread.

    Each slot does one `GenerateJob` and one `MeasureJob` at a time; whoever submits decides what may go on at once.
    What the work has loaded for a slot and a kind of job stays loaded for the next one. A job whose place goes away
    ends with a `JobFailure` of code `LOST`, and the slot takes jobs as before, in a place that is found anew.

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
    extra: ClassVar[str] = ""
    """What it needs of evalkit's extras."""
    places_slots: ClassVar[bool] = False
    """Whether it finds each slot a device of its own, on whatever machine: slots then name ``cpu`` or ``cuda``."""

    @abstractmethod
    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None: ...

    @classmethod
    def count_places(cls, settings: PlainData, kind: str) -> int:
        """Return how many videos can be made at once, each on a device of its own, where nobody says how many.

        Parameters
        ----------
        settings : Settings
        kind : {"cpu", "cuda"}
            Of the device.
        """
        del settings
        return count_gpus() if kind == "cuda" else 1

    @classmethod
    def diagnose(
        cls, settings: PlainData, generator: str, generator_settings: Mapping[str, Any]
    ) -> Sequence[Diagnosis]:
        """Look at what it needs on other machines; nothing is changed there.

        Nothing unless it works elsewhere: what would stop work on this machine, `evalkit.execution.diagnosis` says.

        Parameters
        ----------
        settings : Settings
        generator : str
            Name of the one that is to work there; empty for none.
        generator_settings : mapping
        """
        del settings, generator, generator_settings
        return ()

    def measuring_pool(self) -> tuple[Slot, ...]:
        """Return slots on processors where videos are measured at any time, whatever goes on in the others.

        None unless it has such places: then videos are measured in the slots that make them.
        """
        return ()

    def measuring_slots(self, slot: Slot) -> tuple[Slot, ...]:
        """Return where videos are measured at once while a slot on the processor makes none.

        The slot itself, or parts of it that jobs may name as they name a slot.
        """
        return (slot,)

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Take a job; nothing else of its kind is under way in its slot.

        Raises
        ------
        ExecutorError
            If no job can be done any more.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Message]:
        """Return what happened, in order; wait for it a while if nothing has.

        Raises
        ------
        ExecutorError
            If no job can be done any more.
        """

    @abstractmethod
    def cancel(self, job_id: str) -> None:
        """Give a job up; it ends with a `JobFailure` of code ``cancelled``. Does nothing where it is over."""

    @abstractmethod
    def close(self) -> None:
        """End all work, whatever its state, and leave no process behind. A second call does nothing."""


@dataclass(frozen=True, slots=True)
class ExecutorChoice:
    """An executor that was chosen, with its settings read. Called with slots and limits, as `Executor` is, it makes one.

    Parameters
    ----------
    kind : type of Executor
    settings : Settings
    """

    kind: type[Executor]
    settings: PlainData

    def __call__(self, slots: Sequence[Slot], limits: Limits, work: str = VIDEO_WORK) -> Executor:
        """Make it."""
        return self.kind(slots, limits, self.settings, work)

    def count_places(self, device_kind: str) -> int:
        """See `Executor.count_places`."""
        return self.kind.count_places(self.settings, device_kind)


def load_executor(name: str, settings: Mapping[str, Any], where: str) -> ExecutorChoice:
    """Find an executor and check its settings.

    Parameters
    ----------
    name : str
    settings : mapping
    where : str
        What to call the place of the settings in errors.

    Raises
    ------
    UsageError
        If there is no such executor, its libraries are not installed, or a setting is unknown or not allowed.
    """
    kind: type[Executor] = registry.load(registry.EXECUTORS, name)
    if obstacle := find_obstacle(kind):
        raise UsageError(f"the executor {name!r} cannot be used: {obstacle}")
    return ExecutorChoice(kind, read_group(kind.Settings, settings, where))


@dataclass
class _UnderWay:
    """A job that a process is at."""

    job: Job
    worker: Worker
    start_s: float
    has_begun: bool = False


class Processes(Executor):
    """Processes on this machine: in each slot one that makes videos, and one that measures them for each of its parts.

    A crash, a hang or a kill costs one job: its process is ended with all its children and the next job gets a new
    one. What was seen of a process that died is read from what its sampler wrote.
    """

    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None:
        del settings
        self._limits = limits
        self._work = work
        for slot in slots:
            _surroundings(slot)
        self._workers: dict[tuple[Slot, Stage], Worker] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._news: list[Message] = []

    def measuring_slots(self, slot: Slot) -> tuple[Slot, ...]:
        """Split the cores of the slot up."""
        return split_cores(slot)

    def submit(self, job: Job) -> None:
        """Give the job to the process of its slot and kind, which is started if there is none."""
        place = job.slot, job.stage
        worker = self._workers.get(place)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.end()
            environment, cores = _surroundings(job.slot)
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


def _surroundings(slot: Slot) -> tuple[dict[str, str], list[int] | None]:
    """Return the environment of the processes of a slot, and the cores that they are bound to."""
    return choose_environment(slot), find_cores(slot)


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
    environment = {**os.environ, **choose_environment(job.slot)}
    if isinstance(job, GenerateJob):
        stage = stage if under_way.has_begun else Stage.LOAD
        gpu = find_gpu(job.slot, environment)
        profile = read_of_dead_worker(under_way.worker.folder, None if gpu is None else [gpu])
    n_oom_kills = None if profile is None else profile.n_oom_kills
    no_memory = is_out_of_memory(f"{outcome.text}\n{outcome.log}", n_oom_kills)
    return JobFailure(
        stage,
        OUT_OF_MEMORY if no_memory else outcome.code,
        outcome.text,
        None if profile is None else profile.to_dict(),
        time.monotonic() - under_way.start_s,
        describe_machine(environment, find_cores(job.slot)),
    )
