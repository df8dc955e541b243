"""What a program costs: run it as it would run without us, and watch it from outside."""

from __future__ import annotations

import difflib
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.formatting import count
from evalkit.profiling.cost import Cost
from evalkit.profiling.out_of_memory import is_out_of_memory
from evalkit.profiling.profiler import DEFAULT_INTERVAL_S, Profiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.profiling.profile import Profile


class ProgramNotRunnableError(UsageError):
    """A program that cannot be run."""


class ProgramNotFoundError(ProgramNotRunnableError):
    """A program that is not there."""


class ProgramCost(Cost):
    """What a program cost.

    Parameters
    ----------
    command : tuple of str
    exit_code : int
        Negative where a signal ended it.
    total_s : float
    timeline : Profile
    """

    def __init__(self, command: tuple[str, ...], exit_code: int, total_s: float, timeline: Profile) -> None:
        super().__init__(total_s, timeline)
        self.command = command
        self.exit_code = exit_code

    @property
    def notes(self) -> tuple[str, ...]:
        """How the program ended, where not well, and what a person should know of the figures."""
        code = self.exit_code
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        notes = [f"the program ended with {ended}"] if code else []
        if is_out_of_memory(ended, self.timeline.n_oom_kills):
            notes.append("the system ended it for want of memory; the peak is the highest seen until then")
        n_left = int(self.timeline.n_processes.values[-1]) if len(self.timeline.n_processes) else 0
        if n_left:
            verb = "goes" if n_left == 1 else "go"
            notes.append(f"{count(n_left, 'process', 'processes')} of it {verb} on")
        return (*notes, *super().notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the command, how it ended, and as `Cost.to_dict`."""
        code = self.exit_code
        return {
            "command": list(self.command),
            "exit_code": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            **super().to_dict(),
        }


def profile_program(command: Sequence[str], *, interval_s: float = DEFAULT_INTERVAL_S) -> ProgramCost:
    """Run a program to its end and return what it cost, all its child processes included.

    It runs as without us: no shell, this process's input and output. Signals are handed on to it.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    interval_s : float
        Time between two looks, seconds.

    Raises
    ------
    ProgramNotFoundError
        If there is no such program.
    ProgramNotRunnableError
        If it cannot be run.
    ProfileError
        If the sampler does not start.
    """
    program = _find(command[0])
    with Profiler(interval_s=interval_s) as profiler:
        start_s = time.monotonic()
        try:
            process = subprocess.Popen(command, executable=program)  # noqa: S603 - the user's own command
        except OSError as error:
            raise ProgramNotRunnableError(f"{command[0]} cannot be run: {error.strerror}") from None
        with _passing_on(process):
            profiler.watch(process.pid)
            code = process.wait()
        return ProgramCost(tuple(command), code, time.monotonic() - start_s, profiler.slice(start_s))


def _find(name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    path = Path(name)
    if path.is_dir():
        raise ProgramNotRunnableError(f"{name} is a folder, not a program")
    if path.is_file() and os.sep in name:
        raise ProgramNotRunnableError(f"{name} may not be executed; allow it with chmod +x")
    raise ProgramNotFoundError(f"there is no program {name!r}{_hint(name)}")


def _hint(name: str) -> str:
    if os.sep in name:
        return "; check the path"
    known = {
        path.name
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if Path(folder).is_dir()
        for path in Path(folder).iterdir()
    }
    near = difflib.get_close_matches(name, known, n=1)
    return f" on the search path; did you mean {near[0]!r}?" if near else " on the search path"


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave signals to the program: the keyboard's reach it anyway, others are handed on."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may change handlers
        yield
        return

    def hand_on(number: int, _frame: Any) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    earlier = {
        number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
