"""``evalkit serve`` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

_PATIENCE_S = 600
_LINK = re.compile(r"your link: (https?://\S+)")


class LiveServer:
    """A server of a folder.

    Parameters
    ----------
    folder : Path
    cache : Path
        Where it keeps what it worked out.
    *arguments : str
        Of ``evalkit serve``, beside folder and port.
    """

    def __init__(self, folder: Path, cache: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - evalkit itself
            [sys.executable, "-m", "evalkit", "serve", str(folder), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "EVALKIT_CACHE_DIR": str(cache), "PYTHONUNBUFFERED": "1"},
        )
        said = "" if self._process.stdout is None else self._process.stdout.readline()
        found = _LINK.search(said)
        if found is None:
            raise RuntimeError(f"no server: {said}")
        self.link = found[1]
        self.address = self.link.partition("/?")[0].removesuffix("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGINT)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def end(self, how: signal.Signals) -> int:
        """End it, and return its exit code; a second call does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        code = self._process.wait(_PATIENCE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def get(self, path: str) -> tuple[float, int, bytes]:
        """Return how many seconds a page took, its status and itself; of a server that asks for no token."""
        begin = time.perf_counter()
        with urllib.request.urlopen(f"{self.address}{path}", timeout=60) as response:  # noqa: S310 - our own
            body = response.read()
            return time.perf_counter() - begin, response.status, body

    def wait_for(self, path: str, is_ready: Callable[[int, bytes], bool]) -> float:
        """Return how many seconds it takes until a page is as it shall be.

        Raises
        ------
        RuntimeError
            If that is more than ten minutes.
        """
        begin = time.perf_counter()
        while time.perf_counter() - begin < _PATIENCE_S:
            _, status, body = self.get(path)
            if is_ready(status, body):
                return time.perf_counter() - begin
            time.sleep(0.3)
        raise RuntimeError(f"{path} is not ready")
