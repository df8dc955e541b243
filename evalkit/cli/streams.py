"""Standard output and error: no letter, no reader that goes away and no full disk costs more than itself."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from pipeline.chatter import is_chatter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from _typeshed import ReadableBuffer

INTERRUPTED = 130
"""The exit code that shells give what Ctrl-C ended."""
_LONGEST_IMPORT_S = 20.0
_LOOK_AGAIN_S = 0.05


class _File(io.FileIO):
    """A stream's file. What nobody reads any more is dropped: a closed pipe changes neither outcome nor exit code."""

    problem: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.problem = error
        return memoryview(data).nbytes


@contextlib.contextmanager
def safe_streams() -> Iterator[list[str]]:
    """Let standard output and error take every letter and outlive their readers, for as long as this lasts.

    A letter that the encoding of the terminal has not is written as an escape.

    Yields
    ------
    list of str
        Gets, at the end, why something could not be written: a full disk.
    """
    problems: list[str] = []
    files = []
    before = sys.stdout, sys.stderr
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        buffer = getattr(stream, "buffer", None)
        if not isinstance(getattr(buffer, "raw", buffer), io.FileIO):
            continue  # none, or not of the system: nothing can go away
        stream.flush()
        file = _File(stream.fileno(), "wb", closefd=False)
        files.append((name, file))
        setattr(sys, name, _open(file, stream))
    try:
        yield problems
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
        problems += [
            f"{name} cannot be written: {file.problem.strerror}" for name, file in files if file.problem
        ]


@contextlib.contextmanager
def without_library_words() -> Iterator[None]:
    """Keep what libraries write to the error output on every use off the terminal, for as long as this lasts."""
    stream = sys.stderr
    buffer = getattr(stream, "buffer", None)
    if not isinstance(getattr(buffer, "raw", buffer), _File):
        yield
        return
    stream.flush()
    number = stream.fileno()
    terminal = os.dup(number)
    read, write = os.pipe()
    os.dup2(write, number)
    os.close(write)
    sys.stderr = _open(_File(terminal, "wb"), stream)
    passes_on = threading.Thread(target=_pass_on, args=(read, terminal), daemon=True)
    passes_on.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, number)  # ends the pipe, unless a process that was started still has it
        passes_on.join(timeout=1.0)
        sys.stderr = stream


def _pass_on(read: int, terminal: int) -> None:
    with open(read, "rb") as lines, contextlib.suppress(OSError):
        for line in lines:
            if not is_chatter(line.decode(errors="replace")):
                os.write(terminal, line)


def _open(file: _File, like: TextIO) -> TextIO:
    """Open a stream as another one is."""
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=like.encoding,
        errors="backslashreplace",
        line_buffering=getattr(like, "line_buffering", False),
        write_through=getattr(like, "write_through", False),
    )


@contextlib.contextmanager
def one_interruption() -> Iterator[None]:
    """Let the first Ctrl-C interrupt, and those after it nothing, until the process ends.

    So what was started is ended and put away whole, however often and how late the key is pressed. An import is not
    interrupted in its middle: libraries in C print a traceback then, and say that they are broken. Where something else
    handles Ctrl-C, or ignores it, that is left alone.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed_s: list[float] = []

    def interrupt(_number: int, frame: FrameType | None) -> None:
        pressed_s.append(time.monotonic())
        if _is_importing(frame) and pressed_s[-1] - pressed_s[0] < _LONGEST_IMPORT_S:
            signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN_S)
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGALRM, interrupt)
    yield


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
