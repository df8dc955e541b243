"""Watch a process tree from outside: start the sampler, say what to watch, read what was seen."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from evalkit.isolation import environment_to_outlive_worker
from evalkit.profiling.profile import Profile, ProfileError
from evalkit.profiling.record import read_profile

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_INTERVAL_S = 0.01
_ANSWER_LIMIT_S = 5.0
_START_LIMIT_S = 60.0


class Profiler:
    """Watches a process with all its descendants, from a process of its own.

    One profiler serves many pieces of work one after the other: it is started once (about 0.1 s), and `slice` gives the
    profile of each. GPU memory counts from its start, so start it before a model is loaded.

    Parameters
    ----------
    root_pid : int or None
        The process to watch; ``None`` to say it later with `watch`.
    interval_s : float
        Time between two looks, seconds. It grows up to 50 ms where less would cost more than 1.5 % of one core.
    path : Path or None
        Where the record is kept; `read_profile` reads it even if this process is killed. ``None`` for a file that
        goes away at the end.

    Attributes
    ----------
    path : Path
        The record.

    Examples
    --------
    >>> with Profiler(os.getpid()) as profiler:
    ...     block = b"x" * 50_000_000
    >>> profiler.profile.rss_mib.peak > 47
    True
    """

    def __init__(
        self,
        root_pid: int | None = None,
        *,
        interval_s: float = DEFAULT_INTERVAL_S,
        path: Path | None = None,
    ) -> None:
        if not interval_s > 0:
            raise ProfileError(f"interval_s is {interval_s!r}; looks need some time between them")
        self._root_pid = root_pid
        self._interval_s = interval_s
        self._keeps = path is not None
        self.path = path if path is not None else Path(tempfile.gettempdir())
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._profile: Profile | None = None
        self._error = ""
        self._start_s: float | None = None

    def start(self) -> None:
        """Start the sampler and wait until it is at work.

        Raises
        ------
        ProfileError
            If it does not come up; with its own words.
        """
        if not self._keeps:
            handle, name = tempfile.mkstemp(prefix="evalkit-profile-", suffix=".jsonl")
            os.close(handle)
            self.path = Path(name)
        then = "keep" if self._keeps else "remove"
        words = [str(self.path), str(self._interval_s), then]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the sampler
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "evalkit.profiling.sampler", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment_to_outlive_worker(),
            bufsize=0,
            start_new_session=True,  # an interrupt from the keyboard is not meant for it
        )
        if not self._command("look", _START_LIMIT_S):
            error = self._error
            self._end()
            raise ProfileError(f"the profiler did not start: {error}")
        if self._root_pid is not None:
            self.watch(self._root_pid)

    def watch(self, pid: int) -> None:
        """Watch another process, with its descendants, from now on."""
        self._start_s = time.monotonic() if self._start_s is None else self._start_s
        self._command(f"watch {pid}")

    def mark(self) -> float:
        """Note in the record that a piece of work begins, and return that moment on ``time.monotonic()``.

        `evalkit.profiling.record.read_last_piece` finds it when this process is gone.
        """
        now_s = time.monotonic()
        self._command("mark")
        return now_s

    def pause(self) -> None:
        """Look at nothing until `watch` is called again: for a stretch that nothing must disturb."""
        self._command("pause")

    def slice(self, start_s: float, end_s: float | None = None) -> Profile:
        """Return what was seen in a stretch of time; watching goes on.

        Parameters
        ----------
        start_s, end_s : float or None
            On the clock of ``time.monotonic()``, which all processes of a machine share; ``None`` for now.
        """
        self._command("look")
        return read_profile(
            self.path, start_s, time.monotonic() if end_s is None else end_s, sampler_error=self._error
        )

    def stop(self) -> Profile:
        """End the sampler and return all that was seen. A second call returns the same."""
        if self._profile is None:
            start_s = time.monotonic() if self._start_s is None else self._start_s
            try:
                self._profile = self.slice(start_s)
            finally:
                self._end()
        return self._profile

    @property
    def profile(self) -> Profile:
        """All that was seen, from the start to the end of the ``with`` block."""
        if self._profile is None:
            raise ProfileError("the profiler is still at work: stop it, or leave its block, or read a slice")
        return self._profile

    def _command(self, line: str, limit_s: float = _ANSWER_LIMIT_S) -> bool:
        """Give the sampler a command and wait until it has done it; note why if it does not."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ProfileError("the profiler has not been started, or has ended")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line.encode() + b"\n")
            ready, _, _ = select.select([process.stdout], [], [], limit_s)
            if ready and os.read(process.stdout.fileno(), 64):
                self._error = ""
                return True
            if not ready:
                self._error = f"the sampler did not answer within {limit_s:.0f} s"
                return False
        self._error = f"the sampler died ({_cause(process.wait())}){self._last_words()}"
        return False

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            try:
                process.wait(_ANSWER_LIMIT_S)
            except subprocess.TimeoutExpired:  # a copy of the pipe lives on in a forked process
                process.kill()
                process.wait()
            process.stdout.close()
        if self._errors is not None:
            self._errors.close()
        if not self._keeps:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
