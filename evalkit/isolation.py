"""Work in processes of its own: a crash, a hang or a killed worker costs one task, never the batch.

A task goes to a worker as plain data and its result comes back the same way. A worker that says nothing for longer
than the stall limit is ended with everything it started, and its task fails with a reason.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from pipeline.chatter import without_chatter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    Report = Callable[[Any], None]
    """Tells the parent how far a task is; anything that pickles."""


@dataclass(frozen=True)
class Failure:
    """A task that gave no result.

    Parameters
    ----------
    code : {"raised", "crashed", "stalled", "timed_out"}
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
    tasks: Iterable[Any],
    *,
    n_workers: int = 1,
    cores: Sequence[Collection[int]] | None = None,
    stall_limit_s: float,
    on_progress: Callable[[int, Any], None] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Run ``function(task, report)`` for every task and give results as they come.

    Parameters
    ----------
    function : callable
        Importable by name: workers are fresh interpreters. Its result is not None.
    tasks : iterable
        Plain data; each is taken when a process is free for it.
    n_workers : int
        Processes at once.
    cores : sequence of collection of int, optional
        Instead: a process for each, bound to these processor cores.
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
    waiting = enumerate(tasks)
    bound_to = [None] * n_workers if cores is None else list(cores)
    workers: list[Worker] = []
    at_work: dict[int, int] = {}
    try:
        for (index, task), own in zip(islice(waiting, len(bound_to)), bound_to, strict=False):
            workers.append(Worker(function, cores=own))
            at_work[len(workers) - 1] = index
            workers[-1].give(task)
        while at_work:
            wait([workers[place].connection for place in at_work], timeout=0.2)
            for place, index in list(at_work.items()):
                on_report = None if on_progress is None else partial(on_progress, index)
                outcome = workers[place].listen(on_report, stall_limit_s=stall_limit_s)
                if outcome is None:
                    continue
                del at_work[place]
                for next_index, task in islice(waiting, 1):
                    if not workers[place].alive:
                        workers[place].end()
                        workers[place] = Worker(function, cores=bound_to[place])
                    at_work[place] = next_index
                    workers[place].give(task)
                yield index, outcome
    finally:
        for worker in workers:
            worker.end()


_TOKEN_NAME = "EVALKIT_WORKER_TOKEN"  # noqa: S105 - the name of a variable, no secret
_FOLDER_NAME = "EVALKIT_WORKER_FOLDER"
_OUTLIVES_NAME = "EVALKIT_OUTLIVES_WORKER"
_N_LOOKS = 10
_BETWEEN_LOOKS_S = 0.05
_starting = threading.Lock()
"""Held while a process is started: it inherits what stands in this process for a moment."""


def worker_folder() -> Path | None:
    """Return the folder of the worker that this process is; None where it is not a worker.

    It lies outside the run, and is removed when the worker is over and whoever started it has looked into it.
    """
    folder = os.environ.get(_FOLDER_NAME)
    return Path(folder) if folder else None


def environment_to_outlive_worker() -> dict[str, str]:
    """Return the environment for a helper of a worker that notices by itself when the worker is gone.

    It is not killed with the worker, so that it can write down what it saw last.
    """
    variables = {name: value for name, value in os.environ.items() if name != _TOKEN_NAME}
    return {**variables, _OUTLIVES_NAME: "1"}


class _Started:
    """A process that waits for its function, and what belongs to it."""

    def __init__(
        self, environment: Mapping[str, str], cores: Collection[int] | None, get_ready: str | None = None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.folder = Path(tempfile.mkdtemp(prefix="evalkit-worker-"))
        self.log = self.folder / "log.txt"
        self.log.touch()
        self.token = uuid.uuid4().hex
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, get_ready, str(self.log)), daemon=False)
        variables = {**environment, _TOKEN_NAME: self.token, _FOLDER_NAME: str(self.folder)}
        resource_tracker.ensure_running()  # one process for all workers: it must not inherit what is one worker's
        with _inherited(variables, cores), _without_main_module(), _interruption_held_back():
            self.process.start()
        theirs.close()


_ahead: list[_Started] = []
"""The process that `worker_ahead` has started, until a `Worker` takes it."""


@contextlib.contextmanager
def worker_ahead(get_ready: str) -> Iterator[None]:
    """Start a process at once, for the first `Worker` that is made inside: it imports while this process still does.

    A worker with an environment or fewer cores of its own starts anew.

    Parameters
    ----------
    get_ready : str
        What the process calls before it is told what to do, as ``module:function``.
    """
    started = _Started({}, None, get_ready)
    _ahead.append(started)
    try:
        yield
    finally:
        if started in _ahead:
            _ahead.remove(started)
            started.process.kill()
            started.process.join()
            shutil.rmtree(started.folder, ignore_errors=True)


def _take_ahead(environment: Mapping[str, str] | None, cores: Collection[int] | None) -> _Started | None:
    if environment or (cores is not None and set(cores) != os.sched_getaffinity(0)):
        return None
    return _ahead.pop() if _ahead else None


class Worker:
    """One process, the pipe to it, and a folder of its own with a log of what is written there.

    Parameters
    ----------
    function : callable
        As for `run_isolated`. What it keeps between two tasks (a loaded model) stays; it may have a ``close``, called
        when the worker ends in peace.
    environment : mapping of str to str, optional
        Variables that are set in the process before it imports anything.
    cores : collection of int, optional
        Processor cores that the process, and all that it starts, is bound to; all that this process has unless given.

    Raises
    ------
    UsageError
        If the function, or something it holds, cannot be imported by a worker.
    """

    def __init__(
        self,
        function: Callable[[Any, Report], Any],
        *,
        environment: Mapping[str, str] | None = None,
        cores: Collection[int] | None = None,
    ) -> None:
        require_importable(function, "the function")
        started = _take_ahead(environment, cores) or _Started(environment or {}, cores)
        self.folder = started.folder
        self.connection = started.connection
        self._process = started.process
        self._token = started.token
        self._log = started.log
        self._log_start = 0
        self.alive = True
        self._busy = False
        with _without_main_module(), contextlib.suppress(OSError):  # a dead worker is noticed by `listen`
            self.connection.send(function)
        self.restart_clock()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid or 0

    def give(self, task: Any) -> None:
        """Send a task."""
        self._busy = True
        self._log_start = self._log.stat().st_size
        self.restart_clock()
        with contextlib.suppress(OSError):  # a dead worker is noticed by `listen`
            self.connection.send(task)

    def restart_clock(self) -> None:
        """Let the limits run from now."""
        self._heard_s = self._began_s = time.monotonic()

    def listen(
        self,
        on_progress: Callable[[Any], None] | None = None,
        *,
        stall_limit_s: float | None = None,
        time_limit_s: float | None = None,
    ) -> object | None:
        """Return the result of the task, or its `Failure`, or None while it is at work; never waits.

        After a failure the process and everything it started are ended; its folder stays until `end`.

        Parameters
        ----------
        on_progress : callable, optional
            Called with what the task reported.
        stall_limit_s : float, optional
            Longest silence, seconds.
        time_limit_s : float, optional
            Longest work, seconds, since `give` or `restart_clock`.
        """
        gone = False
        try:
            while self.connection.poll():
                kind, value = self.connection.recv()
                self._heard_s = time.monotonic()
                if kind == "result":
                    self._busy = False
                    result: object = value
                    return result
                if on_progress is not None:
                    on_progress(value)
        except (EOFError, OSError):
            gone = True
        failure = self._failure(stall_limit_s, time_limit_s, gone=gone)
        if failure is not None:
            self.kill()
        return failure

    def log(self) -> str:
        """Return what was written to output and error output since the task was given, the last 20,000 bytes.

        Less what libraries write on every use.
        """
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - 20_000))
            return without_chatter(file.read().decode(errors="replace"))
        return ""

    def _failure(
        self, stall_limit_s: float | None, time_limit_s: float | None, *, gone: bool
    ) -> Failure | None:
        if gone:
            self._process.join(timeout=10.0)  # its pipe closes a moment before it has ended
            code = self._process.exitcode or 0
            cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            return Failure("crashed", f"the process at work on it crashed ({cause})", self.log())
        now_s = time.monotonic()
        if stall_limit_s is not None and now_s - self._heard_s > stall_limit_s:
            return Failure("stalled", f"no progress for {now_s - self._heard_s:.0f} s; given up", self.log())
        if time_limit_s is not None and now_s - self._began_s > time_limit_s:
            return Failure("timed_out", f"not done within {time_limit_s:g} s; given up", self.log())
        return None

    def end(self) -> None:
        """End the process and everything it started, and remove its folder. A second call does nothing."""
        if self.alive and not self._busy:  # at rest: let it go in peace
            with contextlib.suppress(OSError):
                self.connection.send(None)
            self._process.join(timeout=2.0)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End the process and everything it started at once; its folder stays until `end`."""
        if not self.alive:
            return
        self.alive = False
        if self._process.is_alive():
            _kill_tree(self.pid)
        self._process.join()
        if self._process.exitcode != 0:  # children of a process that was killed have another parent by now
            _kill_marked(self._token)
        self.connection.close()


@contextlib.contextmanager
def _inherited(variables: Mapping[str, str], cores: Collection[int] | None) -> Iterator[None]:
    """Give this thread an environment and cores for a moment: a process that it starts has them from the beginning."""
    with _starting:
        before = {name: os.environ.get(name) for name in variables}
        all_cores = os.sched_getaffinity(0) if cores is not None else None
        os.environ.update(variables)
        try:
            if cores is not None:
                os.sched_setaffinity(0, cores)
            yield
        finally:
            if all_cores is not None:
                os.sched_setaffinity(0, all_cores)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


_MAIN_LOCK = threading.Lock()


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep `multiprocessing` from running the caller's script again in a worker.

    A spawned process imports the main module first, so that a script without ``if __name__ == "__main__":`` would start
    its own work once more. A worker of ours needs nothing of it: its function is importable by name.
    """
    with _MAIN_LOCK:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def require_importable(thing: object, name: str) -> None:
    """Refuse what a worker process could not import.

    Parameters
    ----------
    thing : object
        A function, or an object with its class.
    name : str
        What to call it in the error.

    Raises
    ------
    UsageError
        If it, or something it holds, does not pickle or is defined in the script or notebook itself.
    """
    cure = "define it in a module that can be imported, or work in this process"
    try:
        with _without_main_module():
            pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"{name} cannot be sent to a worker process ({error}); {cure}") from None


def _kill_tree(pid: int, *, itself: bool = True) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), *([root] if itself else [])]:
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == pid or _OUTLIVES_NAME not in process.environ():
                    process.kill()


def _kill_marked(token: str) -> None:
    """Kill every process that inherited a worker's token, and look again for those they started meanwhile."""
    import psutil

    from pipeline.process_token import find_marked

    n_clean = 0
    for _ in range(_N_LOOKS):
        found = find_marked(_TOKEN_NAME, token)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=1.0)
        n_clean = 0 if found else n_clean + 1
        if n_clean == 2:
            return
        time.sleep(_BETWEEN_LOOKS_S)  # a program that has just been started has no environment for a moment


@contextlib.contextmanager
def _interruption_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while a worker starts: what it is given must be whole, and it has no handler before its first line.

    It inherits what this thread has blocked; here a press is noted, whichever thread gets it, and counts when this ends.
    """
    handler = signal.getsignal(signal.SIGINT)
    is_ours = threading.current_thread() is threading.main_thread() and callable(handler)
    pressed: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if is_ours:
        signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if pressed and callable(handler):
            handler(signal.SIGINT, None)


def _serve(connection: Connection, get_ready: str | None, log_name: str) -> None:
    """Be a worker: take a function, and tasks until there are no more. What is written to output and error output goes to the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    parent_watch = threading.Thread(target=_die_with_parent, daemon=True)
    parent_watch.start()
    with Path(log_name).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    if get_ready is not None:
        module, name = get_ready.split(":")
        getattr(import_module(module), name)()
    function = None
    with contextlib.suppress(EOFError, OSError):
        function = connection.recv()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # what the worker starts is not deaf
        while (task := connection.recv()) is not None:
            try:
                result = function(task, lambda value: connection.send(("progress", value)))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this task's result
                result = Failure("raised", f"{type(error).__name__}: {error}", traceback.format_exc())
            connection.send(("result", result))
    close = getattr(function, "close", None)
    if close is not None:
        close()
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        parent_watch.join()  # it ends this process, when nothing else is left
    logging.shutdown()
    os._exit(0)  # taking all libraries apart takes longer than many tasks


def _die_with_parent() -> None:
    """Leave no work running for a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _kill_tree(os.getpid(), itself=False)
        _kill_marked(os.environ[_TOKEN_NAME])  # children of what was killed have another parent by now
        if (folder := worker_folder()) is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)
