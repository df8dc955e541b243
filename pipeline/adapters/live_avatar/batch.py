"""Several videos in one run of Live Avatar's batch script: the model is loaded once, each video keeps its own times."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.adapters.live_avatar.clock import LineClock, begin_video
from pipeline.adapters.live_avatar.command import (
    ALL_CLIPS,
    Program,
    build_environment,
    find_python,
    launch,
    model_arguments,
)
from pipeline.adapters.live_avatar.output import silent_failure
from pipeline.adapters.live_avatar.settings import BATCH_ENTRY
from pipeline.errors import GenerationError, RequestError
from pipeline.events import WARNING, OnEvent, Timeline
from pipeline.process import quote, run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.adapters.live_avatar.log import LogReader
    from pipeline.adapters.live_avatar.sample import Sample
    from pipeline.request import GenerationRequest

_COMPILE_NOTE = "the first video of a batch compiles the model, and its times include that"


def build_batch(samples: Sequence[Sample], folder: Path) -> Program:
    """Build the command line of a batch; its list of samples is ``samples.yaml`` in the folder.

    Its parser fills in a portrait of its own examples where none is given and opens it: the first sample's is given.
    """
    first = samples[0]
    settings = first.settings
    words = [
        *launch(settings, find_python(settings), folder / "torchrun", BATCH_ENTRY),
        *model_arguments(settings, first.request),
        f"--image={Path(first.request.image or '').absolute()}",
        f"--audio={first.sound.path}",
        f"--prompt={first.request.prompt}",
        f"--sample_list={folder / 'samples.yaml'}",
        f"--save_dir={folder / 'videos'}/",
    ]
    return Program(tuple(words), build_environment(settings))


def list_samples(samples: Sequence[Sample]) -> str:
    """Return the list of samples that its batch script reads."""
    listed = {
        f"video_{number:04d}": {
            "prompt": sample.request.prompt,
            "image": str(Path(sample.request.image or "").absolute()),
            "audio": str(sample.sound.path),
            "num_clip": sample.request.num_clip or ALL_CLIPS,
        }
        for number, sample in enumerate(samples, start=1)
    }
    return yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)


def can_share_batch(one: GenerationRequest, other: GenerationRequest) -> bool:
    """Return whether two requests differ in nothing but what a sample may differ in."""
    inputs = {"prompt", "image", "audio", "text", "language", "voice", "num_clip"}
    return one.model_dump(exclude=inputs) == other.model_dump(exclude=inputs)


class Batch:
    """A run of its batch script. It goes on by itself; `take` waits for one video after the other.

    Parameters
    ----------
    samples : sequence of Sample
        In order, at least one.
    folder : Path
        For what is in the making, absolute; removed by `close`.
    """

    def __init__(self, samples: Sequence[Sample], folder: Path) -> None:
        self._settings = samples[0].settings
        self._samples = list(samples)
        self._folder = folder
        self._program = build_batch(samples, folder)
        self._lines: queue.Queue[tuple[float, str | None]] = queue.Queue()
        self._stop = threading.Event()
        self._error: GenerationError | RequestError | None = None
        self._status: int | None = None
        self._clock = LineClock()
        self._n_taken = 0
        self._load_s: float | None = None
        self._is_over = False
        (folder / "samples.yaml").write_text(list_samples(samples), "utf-8")
        self._start_s = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def expected(self) -> list[GenerationRequest]:
        """Requests whose videos are still to be taken; none once it is over."""
        return [] if self._is_over else [sample.request for sample in self._samples[self._n_taken :]]

    def take(self, part: Path, on_event: OnEvent | None) -> tuple[Sample, Timeline, LogReader]:
        """Wait for the next video and move it to its place.

        Its events count from when its own work began, even if it was already waited for.

        Raises
        ------
        GenerationError
            If it was not made; the batch is over then.
        """
        sample, number = self._samples[self._n_taken], self._n_taken + 1
        self._n_taken = number
        # what is said before its work begins is read for failures alone
        log = sample.reader(Timeline(), is_loaded=True)
        timeline = Timeline()
        while True:
            line = self._next_line()
            if line is None:
                self._is_over = True
                raise self._failure(log)
            log.hear(line)
            if f"Processing sample {number}/" in line:
                timeline = self._begin(sample, on_event)
                log = sample.reader(timeline, is_loaded=True)
            elif f"Successfully completed sample {number}:" in line:
                break
        made = sorted((self._folder / "videos").glob(f"sample_{number:04d}_*.mp4"))
        if not made:
            raise silent_failure(
                GenerationError(f"it wrote no video {number} of its batch", "no_output"), log
            )
        shutil.move(made[0], part)
        if number == len(self._samples):
            self._end(timeline, log)
        return sample, timeline, log

    def close(self) -> None:
        """End it and remove what is in the making. A second call does nothing."""
        self._stop.set()
        self._thread.join()
        self._is_over = True
        shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self) -> None:
        """Run the script; in a thread of its own, so that each line is heard when it comes."""
        try:
            finished = run_program(
                self._program.argv,
                on_line=lambda line: self._lines.put((time.monotonic(), line)),
                time_limit_s=self._settings.time_limit_s * len(self._samples),
                stall_limit_s=self._settings.stall_limit_s,
                stop=self._stop,
                folder=self._settings.repository,
                environment=self._program.environment,
            )
            self._status = finished.returncode
        except (GenerationError, RequestError) as error:
            self._error = error
        finally:
            self._lines.put((time.monotonic(), None))

    def _next_line(self) -> str | None:
        self._clock.now_s, line = self._lines.get()
        return line

    def _begin(self, sample: Sample, on_event: OnEvent | None) -> Timeline:
        """Start the clock of a video."""
        note = None
        if self._load_s is None:
            self._load_s = self._clock.now_s - self._start_s
            note = _COMPILE_NOTE if self._settings.compiles else None
        return begin_video(sample, self._clock, on_event, load_s=self._load_s, note=note)

    def _failure(self, log: LogReader) -> GenerationError:
        """Say why it ended before a video was done."""
        if isinstance(self._error, GenerationError):
            text, kind = str(self._error), self._error.kind
        elif self._error is not None:
            text, kind = str(self._error), "crashed"
        else:
            cause = f": {log.exception}" if log.exception is not None else ""
            text, kind = (
                f"its batch script ended with status {self._status}{cause}; {quote(log.tail)}",
                "crashed",
            )
        return log.explain(GenerationError(text, kind))

    def _end(self, timeline: Timeline, log: LogReader) -> None:
        """Wait until the script itself is over, after its last video, whose clock stands still."""
        while (line := self._lines.get()[1]) is not None:
            log.hear(line)
        self._is_over = True
        if self._error is not None or self._status:
            timeline.mark(
                WARNING,
                text=f"its batch script did not end well after the last video: {self._error or self._status}",
            )
