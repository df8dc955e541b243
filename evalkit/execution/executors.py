"""Where the work of a sweep is done. Found through the entry-point group ``evalkit.executors``.

An entry point is called with the work (a callable that pickles), the number of lanes and the limits. A lane does one
job of each stage at a time; the sweep decides what may go on at once. Jobs and results are plain data, so that they
can be carried to another machine.
"""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Protocol

from evalkit.isolation import Failure, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[dict[str, Any], Callable[[Any], None]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may take.

    Parameters
    ----------
    time_s : float
        For the work; counted again from ``begun``, when loading and warming up are over.
    stall_s : float
        For silence while measuring.
    """

    time_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """One stage of one trial.

    Parameters
    ----------
    lane : int
        From 0.
    task : dict
        Plain data with its ``stage``.
    """

    lane: int
    task: dict[str, Any]

    @property
    def place(self) -> tuple[int, str]:
        """Lane and stage: what is loaded there stays loaded for the next job of the same place."""
        return self.lane, self.task["stage"]


@dataclass(frozen=True, slots=True)
class Started:
    """A job has begun.

    Parameters
    ----------
    job : Job
    pid : int or None
        Process of this machine that does it; None if it is on another.
    """

    job: Job
    pid: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """Something a job reported."""

    job: Job
    value: Any


@dataclass(frozen=True, slots=True)
class Finished:
    """A job is over.

    Parameters
    ----------
    job : Job
    outcome : dict or Failure
        What the work returned, or why it did not.
    log : str
        What was written to output and error output meanwhile.
    """

    job: Job
    outcome: dict[str, Any] | Failure
    log: str


Message = Started | Told | Finished


class Executor(Protocol):
    """Does jobs. Used by one thread."""

    def submit(self, job: Job) -> None:
        """Take a job; its place is free."""
        ...

    def wait(self, timeout_s: float) -> list[Message]:
        """Return what happened, in order; wait for it a while if nothing has."""
        ...

    def close(self) -> None:
        """End all work, whatever its state, and leave no process behind."""
        ...


class Processes:
    """Two processes a lane on this machine, one that makes videos and one that measures them.

    A crash, a hang or a kill costs one job: its process is ended with all its children and the next job gets a new one.

    Parameters
    ----------
    work : callable
        Pickled once for each process.
    limits : Limits
    """

    def __init__(self, work: Work, limits: Limits) -> None:
        self._work = work
        self._limits = limits
        self._workers: dict[tuple[int, str], Worker] = {}
        self._jobs: dict[tuple[int, str], Job] = {}
        self._news: list[Message] = []

    def submit(self, job: Job) -> None:
        """Give the job to the process of its place, which is started if there is none."""
        worker = self._workers.get(job.place)
        if worker is None or not worker.alive:
            worker = self._workers[job.place] = Worker(self._work)
        self._jobs[job.place] = job
        self._news.append(Started(job, worker.pid))
        worker.give(job.task)

    def wait(self, timeout_s: float) -> list[Message]:
        """Listen to the processes."""
        if not self._news:
            wait([self._workers[place].connection for place in self._jobs], timeout_s)
        for place, job in list(self._jobs.items()):
            worker = self._workers[place]
            outcome = worker.listen(
                partial(self._hear, job, worker),
                time_limit_s=self._limits.time_s,
                stall_limit_s=self._limits.stall_s if job.task["stage"] == "measure" else None,
            )
            if outcome is not None:
                del self._jobs[place]
                text = outcome.log if isinstance(outcome, Failure) else worker.log()
                self._news.append(Finished(job, outcome, text))  # type: ignore[arg-type]  # what `work` returns
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.end()

    def _hear(self, job: Job, worker: Worker, value: Any) -> None:
        if isinstance(value, dict) and "begun" in value:
            worker.restart_clock()
        self._news.append(Told(job, value))


class InProcess:
    """Everything in this process, one job after the other: for debuggers. A crash is the sweep's own; no limits hold.

    Parameters
    ----------
    work : callable
    limits : Limits
        Not heeded.
    """

    def __init__(self, work: Work, limits: Limits) -> None:
        del limits
        self._work = work
        self._waiting: list[Job] = []
        self._announced: Job | None = None

    def submit(self, job: Job) -> None:
        """Put the job in line."""
        self._waiting.append(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Announce the next job in line, then do it."""
        if not self._waiting:
            time.sleep(timeout_s)
            return []
        job = self._waiting[0]
        if job is not self._announced:
            self._announced = job
            return [Started(job, os.getpid())]
        del self._waiting[0]
        news: list[Message] = []
        try:
            outcome: dict[str, Any] | Failure = self._work(
                job.task, lambda value: news.append(Told(job, value))
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's result
            outcome = Failure("raised", f"{type(error).__name__}: {error}", traceback.format_exc())
        return [*news, Finished(job, outcome, outcome.log if isinstance(outcome, Failure) else "")]

    def close(self) -> None:
        """Let go what the work has loaded."""
        close = getattr(self._work, "close", None)
        if close is not None:
            close()
