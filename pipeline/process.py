"""Running a program that is not ours: its output line by line, a time limit, and an end of its whole process tree.

A program is started in a session of its own and with a token in its environment that all its descendants inherit.
Whatever still has the token or the session belongs to it, also after it was handed to another parent, so nothing
is left running whichever way the call ends.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import re
import selectors
import signal
import subprocess
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from pipeline.errors import GenerationError, RequestError
from pipeline.process_token import find_marked

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_TOKEN_NAME = "PIPELINE_PROCESS_TOKEN"  # noqa: S105 - the name of a variable, no secret
_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE)
_LINE_END = re.compile(r"[\r\n]+")
_MAX_LINE_LENGTH = 8192
_N_TAIL_LINES = 40
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended by itself and left no process behind.

    Parameters
    ----------
    returncode : int
        Its exit status; ``-n`` if signal n ended it.
    tail : tuple of str
        The last 40 lines it printed.
    """

    returncode: int
    tail: tuple[str, ...]


def run_program(
    argv: Sequence[str],
    *,
    on_line: Callable[[str], None] | None = None,
    time_limit_s: float | None = None,
    stall_limit_s: float | None = None,
    stop: threading.Event | None = None,
    folder: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    grace_s: float = 5.0,
) -> Finished:
    """Run a program to its end; however this returns, no process of it is left.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments; no shell sees them.
    on_line : callable, optional
        Called with each line of output and error output as it comes, without the line end. A carriage return ends a
        line too (progress bars); empty lines are left out; bytes that are not UTF-8 come as U+FFFD; a longer line
        comes in pieces of 8192 characters.
    time_limit_s : float, optional
        Seconds after which it is ended.
    stall_limit_s : float, optional
        Seconds without any output after which it is ended.
    stop : threading.Event, optional
        When set, from another thread, it is ended.
    folder : path, optional
        Working folder.
    environment : mapping, optional
        Variables set beside the inherited ones.
    grace_s : float
        Seconds between asking to end and ending by force, and seconds for its children to end after it.

    Raises
    ------
    RequestError
        If it cannot be started.
    GenerationError
        ``timed_out``, ``stalled``, ``stopped``, or ``left_processes`` if it ended and its children did not within ``grace_s``.
    """
    token = uuid.uuid4().hex
    output, program_end = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - running what the user names is what this is for; no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=program_end,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {}), _TOKEN_NAME: token},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.close(output)
        raise RequestError(f"{argv[0]!r} cannot be started: {error}") from error
    finally:
        os.close(program_end)
    lines = _Lines(on_line)
    try:
        limit = _follow(
            process, output, lines, time_limit_s=time_limit_s, stall_limit_s=stall_limit_s, stop=stop
        )
        if limit is not None:
            did = {
                "timed_out": f"did not end within {time_limit_s or 0:g} s",
                "stalled": f"printed nothing for {stall_limit_s or 0:g} s",
                "stopped": "was cancelled",
            }[limit]
            raise GenerationError(f"{argv[0]!r} {did} and was ended; {quote(lines.tail)}", limit)
        left = _wait_for(process.pid, token, grace_s)
    finally:
        end_processes(lambda: _members(process.pid, token), grace_s)
        process.wait()
        os.close(output)
    if left:
        raise GenerationError(
            f"{argv[0]!r} ended (exit status {process.returncode}) and left processes running, which have been ended: "
            + ", ".join(left),
            "left_processes",
        )
    return Finished(process.returncode, lines.tail)


def refuse_secrets(environment: Mapping[str, str]) -> None:
    """Refuse variables that are named like secrets: settings stand in results, plans and reports.

    Raises
    ------
    RequestError
        With the names, without the values.
    """
    secret = ", ".join(name for name in environment if _SECRET.search(name))
    if secret:
        raise RequestError(
            f"environment may not hold {secret}: settings stand in results and reports; "
            "set it where evalkit is started, programs inherit it"
        )


def end_processes(find: Callable[[], Sequence[psutil.Process]], grace_s: float = 5.0) -> None:
    """End processes: ask, wait, force, and look again for those they started meanwhile.

    Parameters
    ----------
    find : callable
        Returns the processes still there.
    grace_s : float
        Seconds between asking and forcing.

    Raises
    ------
    GenerationError
        ``left_processes`` if some cannot be ended.
    """
    for sign, wait_s in ((signal.SIGTERM, grace_s), *((signal.SIGKILL, 2.0),) * 5):
        found = find()
        if not found:
            return
        for member in found:
            with contextlib.suppress(psutil.Error):
                member.send_signal(sign)
        psutil.wait_procs(found, timeout=wait_s)
    left = find()
    if left:
        raise GenerationError(f"processes that cannot be ended: {', '.join(_names(left))}", "left_processes")


def quote(tail: Sequence[str]) -> str:
    """Return the last ten lines for the end of an error message."""
    return (
        "it said at last:\n" + "\n".join(f"  {line}" for line in tail[-10:]) if tail else "it printed nothing"
    )


class _Lines:
    """Cuts output into lines and keeps the last ones."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._tail: deque[str] = deque(maxlen=_N_TAIL_LINES)

    def feed(self, data: bytes) -> None:
        """Take some bytes; none of them means the end."""
        *whole, self._rest = _LINE_END.split(self._rest + self._decoder.decode(data, final=not data))
        while len(self._rest) >= _MAX_LINE_LENGTH or (self._rest and not data):
            whole.append(self._rest[:_MAX_LINE_LENGTH])
            self._rest = self._rest[_MAX_LINE_LENGTH:]
        for line in whole:
            if line:
                self._tail.append(line)
                if self._on_line is not None:
                    self._on_line(line)

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)


def _follow(
    process: subprocess.Popen[bytes],
    output: int,
    lines: _Lines,
    *,
    time_limit_s: float | None,
    stall_limit_s: float | None,
    stop: threading.Event | None,
) -> str | None:
    """Pass on output until the program itself ends, even if another process holds its output open.

    Return why it must be ended, ``timed_out``, ``stalled`` or ``stopped``; None if it ended before.
    """
    os.set_blocking(output, False)
    heard_s = time.monotonic()
    end_s = math.inf if time_limit_s is None else heard_s + time_limit_s
    patience_s = math.inf if stall_limit_s is None else stall_limit_s
    limit = None
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        ended = False
        while not ended and limit is None:
            ended = process.poll() is not None
            if selector.get_map():
                if selector.select(0 if ended else _POLL_S):
                    heard_s = time.monotonic()
                    if not _pass_on(output, lines):
                        selector.unregister(output)
            elif not ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
            now_s = time.monotonic()
            if not ended and now_s >= end_s:
                limit = "timed_out"
            elif not ended and now_s - heard_s >= patience_s:
                limit = "stalled"
            elif not ended and stop is not None and stop.is_set():
                limit = "stopped"
    lines.feed(b"")
    return limit


def _pass_on(output: int, lines: _Lines) -> bool:
    """Pass on what is there now; return whether more can come."""
    for _ in range(64):
        try:
            data = os.read(output, 65536)
        except BlockingIOError:
            return True
        if not data:
            return False
        lines.feed(data)
    return True


def _wait_for(leader: int, token: str, grace_s: float) -> list[str]:
    """Give children that are on their way out the time to end; name those that stay."""
    found = _members(leader, token)
    if found:
        psutil.wait_procs(found, timeout=grace_s)
        found = _members(leader, token)
    return list(_names(found))


def _members(leader: int, token: str) -> list[psutil.Process]:
    return find_marked(_TOKEN_NAME, token, session=leader)


def _names(processes: Sequence[psutil.Process]) -> Iterator[str]:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            yield f"{process.name()} ({process.pid})"
