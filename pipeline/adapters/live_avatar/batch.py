"""Several videos in one run of Live Avatar's batch script: the model is loaded once, each video keeps its own times."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.adapters.live_avatar.clock import begin_video
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
from pipeline.adapters.series import HeardProgram
from pipeline.errors import GenerationError
from pipeline.events import WARNING, OnEvent, Timeline
from pipeline.process import quote

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
        self._n_taken = 0
        self._load_s: float | None = None
        self._is_over = False
        (folder / "samples.yaml").write_text(list_samples(samples), "utf-8")
        program = build_batch(samples, folder)
        self._program = HeardProgram(
            program.argv,
            folder=self._settings.repository,
            environment=program.environment,
            time_limit_s=self._settings.time_limit_s * len(samples),
            stall_limit_s=self._settings.stall_limit_s,
        )

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
            line = self._program.next_line()
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
        self._program.close()
        self._is_over = True
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, sample: Sample, on_event: OnEvent | None) -> Timeline:
        """Start the clock of a video."""
        note = None
        if self._load_s is None:
            self._load_s = self._program.clock.now_s - self._program.start_s
            note = _COMPILE_NOTE if self._settings.compiles else None
        return begin_video(sample, self._program.clock, on_event, load_s=self._load_s, note=note)

    def _failure(self, log: LogReader) -> GenerationError:
        """Say why it ended before a video was done."""
        fault = self._program.fault
        if isinstance(fault, GenerationError):
            return log.explain(fault)
        cause = f": {log.exception}" if log.exception is not None else ""
        said = f"its batch script ended with status {fault or 0}{cause}; {quote(log.tail)}"
        return log.explain(GenerationError(said if not isinstance(fault, Exception) else str(fault)))

    def _end(self, timeline: Timeline, log: LogReader) -> None:
        """Wait until the script itself is over, after its last video, whose clock stands still."""
        for line in self._program.rest():
            log.hear(line)
        self._is_over = True
        if self._program.fault is not None:
            timeline.mark(
                WARNING,
                text=f"its batch script did not end well after the last video: {self._program.fault}",
            )
