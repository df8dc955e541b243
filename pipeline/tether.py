"""A program that is kept running must not outlive the process that keeps it, whatever that one dies of.

A second process waits for the keeper at a pipe that only the keeper holds open. When the pipe closes, it ends every
process that inherited a token in its environment and removes a folder. It is nobody's child and holds no token itself, so
that whoever ends the keeper with all that belongs to it does not end it too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

from pipeline.process import end_processes
from pipeline.process_token import find_marked

if TYPE_CHECKING:
    from pathlib import Path

_TOKEN_NAME = "PIPELINE_TETHER_TOKEN"  # noqa: S105 - the name of a variable, no secret
_RELEASED = "released"


class Tether:
    """Ties programs to this process: those that are started with `environment`, and all their descendants.

    Parameters
    ----------
    folder : Path
        Removed when this process dies.
    """

    def __init__(self, folder: Path) -> None:
        token = uuid.uuid4().hex
        self.environment = {_TOKEN_NAME: token}
        self._watch = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-m", "pipeline.tether", token, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.endswith("_TOKEN")},
        )
        self._watch.wait()  # it goes on as nobody's child

    def release(self) -> None:
        """Let go, once the programs are ended. A second call does nothing."""
        if self._watch.stdin is not None and not self._watch.stdin.closed:
            self._watch.communicate(_RELEASED)  # until it is over: it holds the other end


def main(token: str, folder: str) -> None:
    """Wait for the keeper, and clean up after it unless it let go."""
    if os.fork():
        os._exit(0)
    if sys.stdin.read() == _RELEASED:
        return
    end_processes(lambda: find_marked(_TOKEN_NAME, token))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
