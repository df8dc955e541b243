"""An executor whose work is done on another machine, as far as one machine can play another.

Its host is a process of its own, in a folder of its own, with an environment of its own, whose monotonic clock and
wall clock are days apart from ours. Nothing goes between but lines of JSON: jobs, messages, and files in pieces.
What runs there are our own `Processes`: this is how an executor for a cluster is built.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pydantic import Field

from evalkit.execution.executors import LOST, Executor, Limits, NoSettings, Processes
from evalkit.execution.jobs import Finished, JobFailure, Slot, read_plain
from evalkit.execution.transfer import Piece, Unpacker, move_job, move_result, pack, place_inputs
from evalkit.execution.worker import VIDEO_WORK
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.execution.jobs import Job, Message

OTHER_WORLD = """
import os, sys, time

def shifted(read, offset):
    return lambda: read() + offset

time.monotonic = shifted(time.monotonic, {monotonic_s})
time.time = shifted(time.time, {wall_s})

def refuse(event, arguments):
    if event == "open" and {hidden!r} and isinstance(arguments[0], (str, bytes)):
        if os.path.abspath(os.fsdecode(arguments[0])).startswith({hidden!r}):
            raise PermissionError(13, "this is the disk of another machine", arguments[0])

sys.addaudithook(refuse)
"""


class ForeignSettings(PlainData):
    """Settings of `ForeignHost`.

    Attributes
    ----------
    folder : str
        An empty folder that plays the disk of the other machine.
    hidden : str
        A folder of which no process of the other machine can open a file; none unless given.
    """

    folder: str = Field(min_length=1, description="path of an empty folder")
    hidden: str = Field(default="", description="path of a folder of this machine alone")


class ForeignHost(Executor):
    """Sends jobs to a host and listens to it; carries the files of jobs and results itself.

    Its host is all of its places: when it goes away, every job is lost, and another host does what comes next.

    Attributes
    ----------
    host : subprocess.Popen
        The host.
    """

    Settings = ForeignSettings

    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None:
        assert isinstance(settings, ForeignSettings)  # noqa: S101 - for the type checker
        disk = Path(settings.folder)
        for name in ("world", "inputs", "jobs", "tmp"):
            (disk / name).mkdir(parents=True, exist_ok=True)
        world = OTHER_WORLD.format(monotonic_s=-3e6, wall_s=5e7, hidden=settings.hidden)
        (disk / "world" / "sitecustomize.py").write_text(world, "utf-8")
        self._disk = disk
        self._first_line = {
            "slots": [slot.to_dict() for slot in slots],
            "limits": asdict(limits),
            "work": work,
        }
        self._jobs: dict[str, tuple[Job, dict[str, str], Unpacker]] = {}
        self._sent: set[str] = set()
        self._start()

    def _start(self) -> None:
        disk = self._disk
        self._news: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.host = subprocess.Popen(
            [sys.executable, "-m", "evalkit.testing.foreign_host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=disk,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(disk),
                "TMPDIR": str(disk / "tmp"),
                "PYTHONPATH": str(disk / "world"),
            },
        )
        threading.Thread(target=_listen, args=(self.host.stdout, self._news), daemon=True).start()
        self._send(self._first_line)

    def submit(self, job: Job) -> None:
        """Carry the files of a job over, then the job."""
        places = place_inputs(job.files, str(self._disk / "inputs"))
        folder = self._disk / "jobs" / job.id
        for file in job.files:
            there = str(Path(places[file.path]).relative_to(self._disk / "inputs"))
            if there not in self._sent:
                for piece in pack(Path(file.path).parent, [Path(file.path).name]):
                    self._send({"input": asdict(replace(piece, name=there))})
                self._sent.add(there)
        self._jobs[job.id] = job, places, Unpacker(Path(job.folder))
        self._send({"submit": move_job(job, places, str(folder)).to_dict()})

    def wait(self, timeout_s: float) -> list[Message]:
        """Read what the host sent."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            while True:
                line = self._news.get(timeout=0.0 if messages else timeout_s)
                if line is None:
                    return [*messages, *self._lose_everything()]
                job_id = line["job_id"]
                if job_id not in self._jobs:
                    continue
                _, places, unpacker = self._jobs[job_id]
                if "output" in line:
                    unpacker.write(Piece(**line["output"]))
                    continue
                message: Message = read_plain(line["message"])  # type: ignore[assignment]
                if isinstance(message, Finished):
                    del self._jobs[job_id]
                    message = replace(message, result=move_result(message.result, places))
                messages.append(message)
        return messages

    def cancel(self, job_id: str) -> None:
        """Tell the host."""
        self._send({"cancel": job_id})

    def close(self) -> None:
        """End the host, which ends its processes."""
        self._end_host()
        for _, _, unpacker in self._jobs.values():
            unpacker.close()
        self._jobs.clear()

    def _end_host(self) -> None:
        if self.host.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.host.stdin.close()
        self.host.wait()

    def _lose_everything(self) -> list[Message]:
        """End every job, since the host is gone, and find another host."""
        self._end_host()
        jobs, self._jobs = self._jobs, {}
        for _, _, unpacker in jobs.values():
            unpacker.close()
        self._start()
        return [
            Finished(job_id, JobFailure(job.stage, LOST, f"the host of slot {job.slot.name!r} is gone"))
            for job_id, (job, _, _) in jobs.items()
        ]

    def _send(self, line: dict[str, Any]) -> None:
        if self.host.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # that the host is gone is noticed by `wait`
                self.host.stdin.write(json.dumps(line, allow_nan=False) + "\n")
                self.host.stdin.flush()


def _listen(lines: TextIO, news: queue.Queue[dict[str, Any] | None]) -> None:
    """Hand on what the host says, until it is gone."""
    with lines:
        for line in lines:
            if line.endswith("\n"):  # it may go away in the middle of one
                news.put(json.loads(line))
    news.put(None)


def serve(lines: TextIO, out: TextIO) -> None:
    """Be the host: do what the lines say until they end."""
    commands: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        for line in lines:
            commands.put(json.loads(line))
        commands.put(None)

    threading.Thread(target=read, daemon=True).start()
    first = commands.get()
    if first is None:
        return
    slots = [Slot.from_dict(slot) for slot in first["slots"]]
    executor = Processes(slots, Limits(**first["limits"]), NoSettings(), first["work"])
    jobs: dict[str, Job] = {}
    inputs = Unpacker(Path("inputs"))
    try:
        while True:
            for command in _drain(commands):
                if command is None:
                    return
                if "input" in command:
                    inputs.write(Piece(**command["input"]))
                elif "submit" in command:
                    job: Job = read_plain(command["submit"])  # type: ignore[assignment]
                    Path(job.folder).mkdir()
                    jobs[job.id] = job
                    executor.submit(job)
                else:
                    executor.cancel(command["cancel"])
            for message in executor.wait(0.02):
                out.writelines(json.dumps(line, allow_nan=False) + "\n" for line in _report(message, jobs))
                out.flush()
    finally:
        executor.close()


def _drain(commands: queue.Queue[dict[str, Any] | None]) -> Iterator[dict[str, Any] | None]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield commands.get_nowait()


def _report(message: Message, jobs: dict[str, Job]) -> Iterator[dict[str, Any]]:
    """Return what is sent for a message: before the end of a job come its files."""
    if isinstance(message, Finished) and not isinstance(message.result, JobFailure):
        folder = Path(jobs.pop(message.job_id).folder)
        for piece in pack(folder, message.result.files):
            yield {"job_id": message.job_id, "output": asdict(piece)}
    yield {"job_id": message.job_id, "message": message.to_dict()}


if __name__ == "__main__":
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anybody prints goes to the error output
    serve(sys.stdin, protocol)
