"""Measuring videos wherever an executor does it: `evalkit.measuring.measurer.Measurer` over jobs.

A video goes to a place as a `MeasureJob`, with every file that it needs, and what was measured comes back with its
pictures. A place that goes away costs no video: it is measured elsewhere.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import ClipError
from evalkit.execution.executors import LOST, MOST_LOSSES, Limits
from evalkit.execution.inputs import list_settings_files
from evalkit.execution.jobs import (
    EVIDENCE_NAME,
    Finished,
    GenerateResult,
    InputFile,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Progressed,
)
from evalkit.execution.slots import make_slots
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.cores import require_jobs
from evalkit.measuring.video import MeasuredVideo, error_of, find_missing
from evalkit.media.probe import open_container
from evalkit.runs import MeasurementError, MetricResults
from evalkit.runs.files import remove
from evalkit.tracks.cache import content_hash
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from typing import Any

    from evalkit.execution.executors import Executor, ExecutorChoice
    from evalkit.execution.jobs import Slot
    from evalkit.measuring.measurer import OnPosition
    from evalkit.measuring.video import VideoTask

_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Measures where an executor does it; see `evalkit.measuring.measurer.Measurer`.

    Parameters
    ----------
    choice : ExecutorChoice
    jobs : int or None
        Processor cores that measure; as many as the executor finds unless given.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.

    Raises
    ------
    UsageError
        If `jobs` is below 1.
    """

    choice: ExecutorChoice
    jobs: int | None = None
    stall_limit_s: float = STALL_LIMIT_S

    def __post_init__(self) -> None:
        require_jobs(self.jobs)

    def __call__(
        self, tasks: Iterable[VideoTask], n_tasks: int, on_progress: OnPosition
    ) -> Generator[tuple[int, MeasuredVideo]]:
        """Measure.

        Raises
        ------
        UsageError
            If the executor cannot provide places.
        EvalkitError
            If it is lost as a whole.
        """
        slots = self._plan_slots(n_tasks)
        with (
            tempfile.TemporaryDirectory(prefix="evalkit-measuring-") as folder,
            closing(self.choice(slots, Limits(None, self.stall_limit_s))) as executor,
        ):
            places = executor.measuring_pool() or [
                part for slot in slots for part in executor.measuring_slots(slot)
            ]
            yield from _Batch(executor, places, Path(folder), on_progress).run(tasks)

    def _plan_slots(self, n_tasks: int) -> tuple[Slot, ...]:
        """Return slots on processors: as many as there are cores wanted, or as the executor finds."""
        places_slots = self.choice.kind.places_slots
        if self.jobs is None or places_slots:
            n_slots = min(self.jobs or self.choice.count_places("cpu"), n_tasks)
            return make_slots([("", "cpu", None)] * n_slots, own_device=places_slots)
        n_slots = min(self.jobs, n_tasks)
        n_cores = [self.jobs * (slot + 1) // n_slots - self.jobs * slot // n_slots for slot in range(n_slots)]
        return make_slots(("", "cpu", n) for n in n_cores)


@dataclass(eq=False, slots=True)
class _Video:
    """A video that is to be measured, or is being measured."""

    index: int
    task: VideoTask
    folder: Path
    lost_at: list[Slot] = field(default_factory=list)


class _Batch:
    """One call of `Elsewhere`."""

    def __init__(
        self, executor: Executor, places: Iterable[Slot], folder: Path, on_progress: OnPosition
    ) -> None:
        self._executor = executor
        self._places = tuple(places)
        self._folder = folder
        self._on_progress = on_progress
        self._free = deque(self._places)
        self._again: list[_Video] = []
        self._at_work: dict[str, tuple[_Video, Slot]] = {}
        self._numbers = itertools.count()
        self._settings_files: dict[str, tuple[InputFile, ...]] = {}

    def run(self, tasks: Iterable[VideoTask]) -> Iterator[tuple[int, MeasuredVideo]]:
        coming = (_Video(index, task, self._folder_of(task)) for index, task in enumerate(tasks))
        while True:
            yield from self._begin(coming)
            if not self._at_work:
                return
            for message in self._executor.wait(_WAIT_S):
                if isinstance(message, Progressed):
                    video, _ = self._at_work[message.job_id]
                    self._on_progress(video.index, (message.measured_s, message.length_s))
                elif isinstance(message, Finished):
                    yield from self._finish(message)

    def _folder_of(self, task: VideoTask) -> Path:
        if task.evidence_folder is not None:
            return Path(task.evidence_folder)
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def _begin(self, coming: Iterator[_Video]) -> Iterator[tuple[int, MeasuredVideo]]:
        """Give each free place a video; yield what cannot be read and needs no place."""
        for place in tuple(self._free):
            while (video := self._next(place, coming)) is not None:
                error = self._submit(video, place)
                if error is None:
                    break
                yield video.index, MeasuredVideo({}, error, 0.0, {})

    def _next(self, place: Slot, coming: Iterator[_Video]) -> _Video | None:
        """Return what a place measures next: first what other places lost."""
        for video in self._again:
            if place not in video.lost_at or set(video.lost_at).issuperset(self._places):
                self._again.remove(video)
                return video
        return next(coming, None)

    def _submit(self, video: _Video, place: Slot) -> MeasurementError | None:
        """Send a video to a place; return why it cannot be read, where that is so."""
        task = video.task
        if task.content is not None and (missing := find_missing(task)) is not None:
            return missing
        try:
            files = [InputFile(task.path, task.content or _read_content(task.path))]
            if task.audio_path is not None:
                files.append(InputFile(task.audio_path, _read_content(task.audio_path)))
        except ClipError as error:
            return error_of(error, task.path)
        job = MeasureJob(
            f"measure-{next(self._numbers)}",
            place,
            task.path,
            task.evaluators,
            task.settings,
            task.intent,
            str(video.folder),
            (*files, *self._files_of(task.settings)),
            task.evidence_folder is not None,
            task.audio_path,
        )
        self._free.remove(place)
        self._at_work[job.id] = video, place
        self._executor.submit(job)
        return None

    def _files_of(self, settings: dict[str, dict[str, Any]]) -> tuple[InputFile, ...]:
        key = canonical_json(settings)
        if key not in self._settings_files:
            self._settings_files[key] = list_settings_files(settings)
        return self._settings_files[key]

    def _finish(self, message: Finished) -> Iterator[tuple[int, MeasuredVideo]]:
        video, place = self._at_work.pop(message.job_id)
        self._free.append(place)
        result = message.result
        assert not isinstance(result, GenerateResult)  # noqa: S101 - for the type checker
        if isinstance(result, JobFailure) and result.code == LOST:
            video.lost_at.append(place)
            if len(video.lost_at) < MOST_LOSSES:
                _empty(video.folder)
                self._again.append(video)
                return
        if video.task.evidence_folder is None:
            remove(video.folder)
        else:
            _lift(video.folder / EVIDENCE_NAME)
        yield video.index, to_measured(result)


def to_measured(result: MeasureResult | JobFailure) -> MeasuredVideo:
    """Return what came of a job as it is stored; a job that failed is an error of its video."""
    if isinstance(result, JobFailure):
        error = MeasurementError(result.code, result.text)
        return MeasuredVideo({}, error, result.spent_s, result.machine)
    return MeasuredVideo(
        {
            found.evaluator: (MetricResults.from_dict(found.results), found.samples)
            for found in result.measured
        },
        None if result.error is None else MeasurementError(**result.error),
        result.measure_s,
        result.machine,
    )


def _read_content(path: str) -> str:
    """Return the SHA-256 of a file; what cannot be opened is refused as it is where it is measured here.

    Raises
    ------
    ClipError
    """
    try:
        return content_hash(path)
    except OSError as error:
        with open_container(path):
            raise ClipError("unreadable", path, f"cannot be read: {error.strerror or error}") from error


def _lift(folder: Path) -> None:
    """Put what is in a folder into the one around it."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.rename(folder.parent / path.name)
        folder.rmdir()


def _empty(folder: Path) -> None:
    remove(folder)
    folder.mkdir()
