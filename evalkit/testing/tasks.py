"""Tasks for tests of isolated work. They live in the package because a fresh worker must import them by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def obey(task: dict[str, Any], report: Callable[[Any], None]) -> Any:
    """Do what the task says: ``return``, ``raise``, ``exit``, ``kill`` or ``hang``, after reporting ``begun``."""
    report("begun")
    match task["do"]:
        case "return":
            return task["value"]
        case "raise":
            raise ValueError(task["value"])
        case "exit":
            os._exit(task["value"])
        case "kill":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            report(child.pid)
            time.sleep(600)
    return None


class Counting:
    """Work for executors: answers with how many jobs it has done before, or obeys ``do`` as `obey` does."""

    def __init__(self) -> None:
        self._n_done = 0

    def __call__(self, task: dict[str, Any], report: Callable[[Any], None]) -> dict[str, Any]:
        """Do a job."""
        if task.get("do", "count") != "count":
            obey(task, report)
        report({"at": self._n_done})
        self._n_done += 1
        return {"n_before": self._n_done - 1, "stage": task["stage"]}
