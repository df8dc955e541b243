"""Tasks for tests of isolated work. They live in the package because a fresh worker must import them by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.execution.jobs import (
    VIDEO_NAME,
    EvaluatorResult,
    EventReported,
    GenerateJob,
    GenerateResult,
    MeasureResult,
    WorkBegun,
)
from evalkit.execution.slots import find_device
from evalkit.execution.worker import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.execution.jobs import Job, Message, Result


def obey(task: dict[str, Any], report: Callable[[Any], None]) -> Any:
    """Do what the task says: ``return``, ``raise``, ``exit``, ``kill``, ``hang``, ``breed`` or ``count_cores``.

    It first reports ``begun``.
    """
    report("begun")
    match task["do"]:
        case "return":
            return task["value"]
        case "count_cores":
            import cv2

            return sorted(os.sched_getaffinity(0)), cv2.getNumThreads()
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
        case "breed":
            subprocess.run([sys.executable, "-c", _BREEDS, *task["value"]], check=False)  # noqa: S603 - a test says what
            time.sleep(600)
    return None


_BREEDS = """
import subprocess, sys
for _ in range(2000):
    subprocess.Popen(sys.argv[1:], start_new_session=True)
"""
"""Starts a program again and again and waits for none."""


class Counting(Work):
    """Work for executors: answers with how many jobs it has done before, or obeys ``do`` as `obey` does.

    What to do stands in the request of a job, or in the settings of an evaluator ``do``. The video that it makes is
    the content of the job's files.
    """

    def __init__(self) -> None:
        self._n_done = 0

    def __call__(self, job: Job, report: Callable[[Message], None]) -> Result:
        """Do a job."""
        task = job.request if isinstance(job, GenerateJob) else job.settings.get("do", {})
        report(WorkBegun(job.id))
        if "do" in task:
            obey(task, lambda value: report(EventReported(job.id, {"name": "obeys", "value": value})))
        n_before, self._n_done = self._n_done, self._n_done + 1
        contents = b"".join(Path(file.path).read_bytes() for file in job.files)
        (Path(job.folder) / VIDEO_NAME).write_bytes(contents)
        answer = {
            "n_before": n_before,
            "request": dict(task),
            "device": find_device(job.slot),
            "cores": sorted(os.sched_getaffinity(0)),
            "variables": {name: value for name, value in os.environ.items() if name.startswith("CUDA")},
        }
        if isinstance(job, GenerateJob):
            return GenerateResult(answer, [], None, 0.0, {})
        return MeasureResult((EvaluatorResult("counting", answer, {}),), None, 0.0, {}, (VIDEO_NAME,))
