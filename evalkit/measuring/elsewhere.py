"""Clips that are measured as videos of a run are: by a `Measurer`, which may be on other machines."""

from __future__ import annotations

import shutil
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import ClipError, EvalkitError
from evalkit.evaluators.load import version_of
from evalkit.evaluators.session import Incomplete
from evalkit.measuring.evidence import clip_folder, write_result
from evalkit.measuring.pool import Tally, not_reached, note_unwritten
from evalkit.measuring.results import ClipResult
from evalkit.measuring.video import VideoTask
from evalkit.runs.files import put_folder
from evalkit.runs.measured import restore_measurements
from evalkit.types import ClipIntent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.measurer import Measurer
    from evalkit.measuring.pool import BatchProgress, ClipTask
    from evalkit.measuring.video import MeasuredVideo
    from evalkit.types import Measurement


def measure_clips_elsewhere(
    tasks: Sequence[ClipTask],
    evaluators: Sequence[Evaluator],
    settings: Mapping[str, Mapping[str, Any]],
    measurer: Measurer,
    on_progress: Callable[[BatchProgress], None] | None = None,
) -> list[ClipResult]:
    """Measure clips; results are in the order of the tasks, with the values of `evalkit.measuring.pool.measure_clips`.

    Parameters
    ----------
    tasks : sequence of ClipTask
    evaluators : sequence of Evaluator
        Installed ones, as they are here: other machines must have the same versions.
    settings : mapping of str to mapping
        What they were made with, by name; paths are absolute.
    measurer : Measurer
    on_progress : callable, optional
        Called now and then with a `BatchProgress`.

    Returns
    -------
    list of ClipResult
        Where the measurer is lost as a whole, those that it did not come to have that for an error.

    Raises
    ------
    EvalkitError
        If the measurer is lost, or cannot begin, before anything was measured.
    """
    results: dict[int, ClipResult] = {}
    tally = Tally(len(tasks), on_progress)
    report = _Reading(evaluators)
    under_way: dict[int, VideoTask] = {}
    coming = _video_tasks(tasks, report.versions, settings, under_way)
    try:
        with closing(measurer(coming, len(tasks), tally.update)) as outcomes:
            for index, measured in outcomes:
                results[index] = report.read(tasks[index], measured)
                folder = under_way[index].evidence_folder
                if folder is not None:
                    results[index] = _put_evidence(Path(folder), tasks[index], results[index])
                del under_way[index]
                tally.finish(index, results[index])
    except OSError as error:
        place = error.filename or next((task.evidence_folder for task in tasks), None)
        words = f"measuring cannot go on: {error.strerror or error}"
        if place is not None:
            words = (
                f"{place} cannot be written: {error.strerror or error}; make room, or leave the evidence out"
            )
        if not results:
            raise EvalkitError(words) from error
        return _fill_up(tasks, results, words)
    except EvalkitError as error:
        if not results:
            raise
        return _fill_up(tasks, results, str(error))
    finally:
        for task in under_way.values():
            if task.evidence_folder is not None:
                shutil.rmtree(task.evidence_folder, ignore_errors=True)
    return [results[index] for index in range(len(tasks))]


def _fill_up(tasks: Sequence[ClipTask], results: Mapping[int, ClipResult], why: str) -> list[ClipResult]:
    """Return the results, with a reason for each clip that has none."""
    return [results.get(index) or not_reached(task.path, why) for index, task in enumerate(tasks)]


def _video_tasks(
    tasks: Sequence[ClipTask],
    versions: Mapping[str, str],
    settings: Mapping[str, Mapping[str, Any]],
    under_way: dict[int, VideoTask],
) -> Iterator[VideoTask]:
    """Make the tasks one by one, and keep each where it is found when it is over."""
    for index, task in enumerate(tasks):
        under_way[index] = VideoTask(
            str(Path(task.path).absolute()),
            None,
            dict(versions),
            {name: dict(own) for name, own in settings.items() if name in versions},
            task.intent or ClipIntent(),
            None if task.evidence_folder is None else str(_new_folder(Path(task.evidence_folder)).absolute()),
            None if task.audio_path is None else str(Path(task.audio_path).absolute()),
        )
        yield under_way[index]


def _new_folder(parent: Path) -> Path:
    folder = parent / f".{uuid.uuid4().hex}.part"
    folder.mkdir(parents=True)
    return folder


def _put_evidence(part: Path, task: ClipTask, result: ClipResult) -> ClipResult:
    """Write the result beside the pictures, and give their folder its name; note it where that cannot be."""
    try:
        write_result(part, result)
        put_folder(part, clip_folder(Path(str(task.evidence_folder)), task.path))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        return note_unwritten(result, error)
    return result


class _Reading:
    """Reads what was measured of a video as the result of a clip. What is alike in all results is kept once."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators
        self._all_versions = {evaluator.name: version_of(evaluator) for evaluator in evaluators}
        self._known: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        self.versions = {
            evaluator.name: self._all_versions[evaluator.name]
            for evaluator in evaluators
            if not isinstance(evaluator, Incomplete)
        }
        """Of the evaluators that measure; the others have a reason for each metric."""

    def read(self, task: ClipTask, video: MeasuredVideo) -> ClipResult:
        if video.error is not None:
            return ClipResult(task.path, error=ClipError(video.error.code, task.path, video.error.text))
        measurements: list[Measurement] = []
        notes: list[str] = []
        versions: dict[str, str] = {}
        weights: dict[str, str] = {}
        for evaluator in self._evaluators:
            if isinstance(evaluator, Incomplete):
                measurements += evaluator.measure_nothing().measurements
                continue
            results, samples = video.measured[evaluator.name]
            measurements += restore_measurements(results, samples, evaluator.metrics, evaluator.reasons)
            notes, versions, weights = results.notes, results.versions, results.weights
        return ClipResult(
            task.path,
            tuple(measurements),
            notes=tuple(notes),
            evaluators=self._all_versions,
            versions=self._once(versions),
            weights=self._once(weights),
        )

    def _once(self, words: Mapping[str, str]) -> Mapping[str, str]:
        return self._known.setdefault(tuple(words.items()), words)
