"""Work in processes of its own: a crash, a hang or a killed worker costs one task, never the batch.

A task goes to a worker as plain data and its result comes back the same way. A worker that says nothing for longer
than the stall limit is ended with everything it started, and its task fails with a reason.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    Report = Callable[[Any], None]
    """Tells the parent how far a task is; anything that pickles."""


@dataclass(frozen=True)
class Failure:
    """A task that gave no result.

    Parameters
    ----------
    code : {"raised", "crashed", "stalled"}
    text : str
        One line for people.
    log : str
        Traceback, or the end of what the worker wrote to its error output.
    """

    code: str
    text: str
    log: str = ""


def run_isolated(
    function: Callable[[Any, Report], Any],
    tasks: Sequence[Any],
    *,
    n_workers: int,
    stall_limit_s: float,
    on_progress: Callable[[int, Any], None] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run ``function(task, report)`` for every task and give results as they come.

    Parameters
    ----------
    function : callable
        Importable by name: workers are fresh interpreters. Its result is not None.
    tasks : sequence
        Plain data.
    n_workers : int
        Processes at once.
    stall_limit_s : float
        Longest silence of a worker, in seconds, between two reports.
    on_progress : callable, optional
        Called with a task's index and what it reported.

    Yields
    ------
    index : int
        Of the task.
    result : object or Failure
    """
    waiting = list(reversed(range(len(tasks))))
    workers = [_Worker(function) for _ in range(min(n_workers, len(tasks)))]
    try:
        for worker in workers:
            worker.give(waiting.pop(), tasks)
        while any(worker.task is not None for worker in workers):
            wait([worker.connection for worker in workers if worker.task is not None], timeout=0.2)
            for place, worker in enumerate(workers):
                index = worker.task
                if index is None:
                    continue
                outcome = worker.listen(stall_limit_s, on_progress)
                if outcome is None:
                    continue
                if waiting:
                    if isinstance(outcome, Failure) and not worker.alive:
                        workers[place] = _Worker(function)
                    workers[place].give(waiting.pop(), tasks)
                yield index, outcome
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, function: Callable[[Any, Report], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        handle, name = tempfile.mkstemp(prefix="evalkit-worker-", suffix=".log")
        os.close(handle)
        self._log = Path(name)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, function, name), daemon=False)
        self._process.start()
        theirs.close()
        self.task: int | None = None
        self.alive = True
        self._last_heard_s = time.monotonic()

    def give(self, index: int, tasks: Sequence[Any]) -> None:
        self.task = index
        self._last_heard_s = time.monotonic()
        with contextlib.suppress(OSError):  # a dead worker is noticed by `failure`
            self.connection.send(tasks[index])

    def listen(self, stall_limit_s: float, on_progress: Callable[[int, Any], None] | None) -> object | None:
        """Return the result of the task, or its failure, or None while it is at work."""
        index, gone = self.task, False
        try:
            while self.connection.poll():
                kind, value = self.connection.recv()
                self._last_heard_s = time.monotonic()
                if kind == "result":
                    self.task = None
                    result: object = value
                    return result
                if on_progress is not None and index is not None:
                    on_progress(index, value)
        except (EOFError, OSError):
            gone = True
        failure = self._failure(stall_limit_s, gone=gone)
        if failure is not None:
            self.end()
        return failure

    def _failure(self, stall_limit_s: float, *, gone: bool) -> Failure | None:
        if gone:
            self._process.join(timeout=1.0)
            code = self._process.exitcode or 0
            cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            return Failure("crashed", f"the process measuring it crashed ({cause})", self._log_tail())
        silence_s = time.monotonic() - self._last_heard_s
        if silence_s > stall_limit_s:
            return Failure("stalled", f"no progress for {silence_s:.0f} s; given up", self._log_tail())
        return None

    def end(self) -> None:
        """End the process and all its children; once."""
        import psutil  # noqa: PLC0415 - only needed here

        if not self.alive:
            return
        self.alive = False
        if self.task is None:  # at rest: let it go in peace
            with contextlib.suppress(OSError):
                self.connection.send(None)
            self._process.join(timeout=2.0)
        self.task = None
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            for process in [*root.children(recursive=True), root]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.join()
        self.connection.close()
        self._log.unlink(missing_ok=True)

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def _serve(connection: Connection, function: Callable[[Any, Report], Any], log_name: str) -> None:
    """Be a worker: take tasks until told to stop. What libraries write to the error output goes to the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    with Path(log_name).open("w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    with contextlib.suppress(EOFError, OSError):
        while (task := connection.recv()) is not None:
            try:
                result = function(task, lambda value: connection.send(("progress", value)))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this task's result
                result = Failure("raised", f"{type(error).__name__}: {error}", traceback.format_exc())
            connection.send(("result", result))
