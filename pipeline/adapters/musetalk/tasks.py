"""Several videos by one run of MuseTalk: a task each in its configuration. The models are loaded once."""

from __future__ import annotations

import json
import re
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.command.listener import Listener, Output
from pipeline.adapters.series import HeardProgram
from pipeline.errors import GenerationError
from pipeline.events import BEGAN, LOADED, SPEECH, WARNING, OnEvent, Timeline
from pipeline.process import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.adapters.command.generator import Program
    from pipeline.adapters.command.settings import CommandSettings
    from pipeline.request import GenerationRequest

CONFIGURATION = "inference.yaml"
"""Name of the list of tasks."""
_LOADED = re.compile(r"^Loaded inference config:")
_TASK_ENDED = re.compile(r"^(?:Results saved to|Error occurred during processing:)")
"""Each task ends with one of both, that of a picture with the second also where its video is there."""
_N_TAIL_LINES = 40


def can_share_run(one: GenerationRequest, other: GenerationRequest) -> bool:
    """Return whether two requests differ in nothing but what a task may differ in."""
    inputs = {"image", "audio", "text", "language", "voice"}
    return one.model_dump(exclude=inputs) == other.model_dump(exclude=inputs)


@dataclass(slots=True)
class Task:
    """One video to be made.

    Parameters
    ----------
    program : Program
        As it would be run for this task alone; its inputs are in place.
    output : Output or None
        Where the video will be; known when it is among others.
    """

    program: Program
    output: Output | None = None

    @property
    def listed(self) -> dict[str, Any]:
        """What stands of it in the list of tasks."""
        tasks: Any = self.program.files[CONFIGURATION]
        task: dict[str, Any] = tasks["task_0"]
        return task


class Batch:
    """A run of its script over several tasks. It goes on by itself; `take` and `follow` wait for one after the other.

    Parameters
    ----------
    tasks : sequence of Task
        In order, at least one; the first says how the program is run and in which folder.
    settings : CommandSettings
        How its output is read.
    folder : Path
        Of all that is in the making; removed by `close`.
    time_limit_s : float
        Seconds for all of them.
    """

    def __init__(
        self, tasks: Sequence[Task], settings: CommandSettings, folder: Path, time_limit_s: float
    ) -> None:
        self._tasks = list(tasks)
        self._settings = settings
        self._folder = folder
        self._n_taken = 0
        self._load_s: float | None = None
        self._is_over = False
        self._tail: deque[str] = deque(maxlen=_N_TAIL_LINES)
        first = tasks[0].program
        alone = Path(str(first.output))
        listed = {}
        for number, task in enumerate(tasks):
            name = f"{number + 1:04d}.mp4"
            task.output = Output(alone.with_name(name))
            listed[f"task_{number}"] = {**task.listed, "result_name": name}
        (first.work / CONFIGURATION).write_text(json.dumps(listed, ensure_ascii=False), "utf-8")
        self._program = HeardProgram(
            first.argv, folder=first.folder, environment=first.environment, time_limit_s=time_limit_s
        )

    @property
    def expected(self) -> list[GenerationRequest]:
        """Requests whose videos are still to be taken; none once it is over."""
        return [] if self._is_over else [task.program.request for task in self._tasks[self._n_taken :]]

    @property
    def tail(self) -> tuple[str, ...]:
        """What was said last of the task at hand."""
        return tuple(self._tail)

    def take(self, on_event: OnEvent | None) -> tuple[Task, Timeline]:
        """Wait until the next task begins, as far back as that was; its times count from there.

        Raises
        ------
        GenerationError
            If it never began; the run is over then.
        """
        task = self._tasks[self._n_taken]
        self._n_taken += 1
        self._tail.clear()
        if self._load_s is None:
            self._hear_until(_LOADED, Listener(self._settings, Timeline(), None))
            self._load_s = self._program.clock.now_s - self._program.start_s
        timeline = Timeline(on_event, self._program.clock)
        timeline.mark(BEGAN, monotonic_s=self._program.clock.now_s)
        timeline.mark(LOADED, load_s=self._load_s)
        if task.program.sound is not None:
            timeline.mark(SPEECH, duration_s=task.program.sound.duration_s)
        return task, timeline

    def follow(self, task: Task, timeline: Timeline) -> Listener:
        """Wait until the task has ended, well or not.

        Raises
        ------
        GenerationError
            If the program ended before; the run is over then.
        """
        listener = Listener(self._settings, timeline, task.output)
        self._hear_until(_TASK_ENDED, listener)
        return listener

    def finish(self, timeline: Timeline) -> None:
        """After the last task, wait until the program itself is over; the clock stands still."""
        if self._n_taken < len(self._tasks):
            return
        for _ in self._program.rest():
            pass
        self._is_over = True
        if self._program.fault is not None:
            timeline.mark(WARNING, text=f"it did not end well after the last video: {self._program.fault}")

    def close(self) -> None:
        """End it and remove what is in the making. A second call does nothing."""
        self._program.close()
        self._is_over = True
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hear_until(self, end: re.Pattern[str], listener: Listener) -> None:
        while True:
            line = self._program.next_line()
            if line is None:
                self._is_over = True
                raise self._failure(listener)
            self._tail.append(line)
            listener.hear(line)
            if end.search(line):
                return

    def _failure(self, listener: Listener) -> GenerationError:
        """Say why it ended before the task did."""
        fault = self._program.fault
        if isinstance(fault, GenerationError):
            return GenerationError(str(fault), listener.failure or fault.kind)
        how = str(fault) if isinstance(fault, Exception) else f"it ended with status {fault or 0}"
        return GenerationError(
            f"{how} before this video was made; {quote(self.tail)}", listener.failure or "crashed"
        )
