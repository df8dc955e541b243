"""What a session has on the disk of a node, and the processor cores that it holds there: both are let go by any death."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import EvalkitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

INPUTS = "inputs"
"""Folder of a session with what its jobs read, by content."""
JOBS = "jobs"
VIDEOS = "videos"
"""Folders of a process with what its jobs make and the videos that they measure: one folder a job in each."""
_LOCK = "lock"
CORE = "\0evalkit-core-{}"
"""An abstract socket: this machine has one of a name, and it ends with the process that holds it."""
_PATIENCE_S = 30.0


class NodeFolder:
    """The folder of one process in that of its session; folders of sessions that are over are removed.

    A session is alive as long as a process of it is: each holds a lock, which ends with it however it dies.

    Parameters
    ----------
    session : str
        Name of the session, unique among all sessions.

    Attributes
    ----------
    session, own : Path
        Of the session, which all its processes on this node share, and of this process.
    """

    def __init__(self, session: str) -> None:
        self._base = Path(tempfile.gettempdir()) / f"evalkit-ray-{os.getuid()}"
        self._base.mkdir(mode=0o700, exist_ok=True)
        if self._base.lstat().st_uid != os.getuid():
            raise EvalkitError(f"{self._base} belongs to another user: remove it, or set TMPDIR on this node")
        self.session = self._base / session
        self.own = self.session / uuid.uuid4().hex[:12]
        with self._alone():
            for folder in self._base.iterdir():
                if folder.is_dir() and folder != self.session:
                    _remove_if_over(folder)
            (self.session / INPUTS).mkdir(parents=True, exist_ok=True)
            self._lock = (self.session / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        self.own.mkdir()

    def list_inputs(self) -> frozenset[str]:
        """Return what other processes of the session have put in already, relative to the session's folder."""
        found = (self.session / INPUTS).rglob("[!.]*")
        return frozenset(path.relative_to(self.session).as_posix() for path in found if path.is_file())

    def remove(self) -> None:
        """Remove the process's folder, and the session's with the last one. A second call does nothing."""
        shutil.rmtree(self.own, ignore_errors=True)
        if not self._lock.closed:
            self._lock.close()
            with self._alone():
                _remove_if_over(self.session)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._base / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _remove_if_over(session: Path) -> None:
    lock: IO[str]
    with contextlib.suppress(BlockingIOError, FileNotFoundError), (session / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(session, ignore_errors=True)


class Cores:
    """Processor cores of this machine that no other process holds in this way.

    Parameters
    ----------
    n_cores : int

    Attributes
    ----------
    numbers : list of int or None
        The cores; None where there are not so many that nobody holds.
    """

    def __init__(self, n_cores: int) -> None:
        self._held: list[socket.socket] = []
        self.numbers: list[int] | None = None
        with _in_turn():  # else two that want all of them could have half each
            numbers: list[int] = []
            for number in sorted(os.sched_getaffinity(0)):
                if len(numbers) < n_cores and (held := _hold(CORE.format(number))) is not None:
                    self._held.append(held)
                    numbers.append(number)
        if len(numbers) == n_cores:
            self.numbers = numbers
        else:
            self.release()

    def release(self) -> None:
        """Let them go."""
        for held in self._held:
            held.close()
        self._held.clear()


@contextlib.contextmanager
def _in_turn() -> Iterator[None]:
    give_up_s = time.monotonic() + _PATIENCE_S
    while (held := _hold(CORE.format("turn"))) is None and time.monotonic() < give_up_s:
        time.sleep(0.01)
    try:
        yield
    finally:
        if held is not None:
            held.close()


def _hold(name: str) -> socket.socket | None:
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(name)
    except OSError:
        held.close()
        return None
    return held
