"""``evalkit rate serve`` in a process of its own, which can be killed and started again at the same address."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Self

from evalkit.testing.raters import find_links

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_PATIENCE_S = 120
_ADMIN_LINK = re.compile(r"https?://\S+/a/[\w-]+")


def hold_port(port: int = 0) -> socket.socket:
    """Keep a port of this computer, a free one for 0, from whoever asks for any; a server that is told it can listen there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held


class RatingServer:
    """A server of a run.

    Parameters
    ----------
    run_folder : Path
    arguments : sequence of str
        Of ``evalkit rate serve``, beside run and port.
    port : int, optional
        A free one unless given.
    """

    def __init__(self, run_folder: Path, arguments: Sequence[str] = (), *, port: int | None = None) -> None:
        self.run_folder = run_folder
        self._held = hold_port(port or 0)  # before the server listens, and while it is killed
        self.port = int(self._held.getsockname()[1])
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[str] | None = None
        self._printed: list[str] = []
        self._reader = threading.Thread()

    def __enter__(self) -> Self:
        try:
            self.start()
        except RuntimeError:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._held.close()

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it has printed, errors included."""
        return "".join(self._printed)

    @property
    def links(self) -> list[str]:
        """The invitations that it printed."""
        return find_links(self.output)

    @property
    def admin_link(self) -> str:
        """The link to the results that it printed last."""
        return str(_ADMIN_LINK.findall(self.output)[-1])

    def start(self, *arguments: str) -> None:
        """Start it, again too, and wait until it has printed its links; it listens before.

        Parameters
        ----------
        *arguments : str
            Instead of those given before.

        Raises
        ------
        RuntimeError
            With what it printed, if it ends or does not come so far within two minutes.
        """
        command = [sys.executable, "-m", "evalkit", "rate", "serve", str(self.run_folder)]
        command += [*(arguments or self._arguments), "--port", str(self.port)]
        process = subprocess.Popen(  # noqa: S603 - evalkit itself
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._process = process
        n_admin_links = len(_ADMIN_LINK.findall(self.output))
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()
        end_s = time.monotonic() + _PATIENCE_S
        while len(_ADMIN_LINK.findall(self.output)) == n_admin_links:
            if process.poll() is not None or time.monotonic() > end_s:
                self.kill()
                raise RuntimeError(f"no server: {self.output}")
            time.sleep(0.05)

    def _read(self, lines: IO[str]) -> None:
        with lines:
            self._printed.extend(lines)

    def limit_files(self, n_bytes: int | None) -> None:
        """Let no file of the server grow beyond a size, as if the disk were full; None ends it."""
        if self._process is None:
            raise RuntimeError("it was never started")
        soft = resource.RLIM_INFINITY if n_bytes is None else n_bytes
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._end(self._process)

    def stop(self) -> int:
        """End it as Ctrl-C does, and return its exit code."""
        if self._process is None:
            raise RuntimeError("it was never started")
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._end(self._process)

    def _end(self, process: subprocess.Popen[str]) -> int:
        code = process.wait(_PATIENCE_S)
        self._reader.join(_PATIENCE_S)
        return code
