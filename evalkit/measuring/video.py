"""Measuring one video of a run, and putting what was measured on record: the same for a run and for a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.errors import ClipError
from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.load import load_evaluators, version_of
from evalkit.measuring.evidence import EvidenceWriter
from evalkit.measuring.gaps import Gap
from evalkit.measuring.results import ClipResult
from evalkit.measuring.runner import try_measure
from evalkit.profiling.machine import describe_machine
from evalkit.runs import (
    MeasurementError,
    MeasurementRecord,
    MetricInfo,
    MetricResults,
    RunWriter,
    Samples,
    VideoRecord,
)
from evalkit.runs.identity import measurement_identity
from evalkit.runs.measured import store_measurements
from evalkit.tracks.cache import content_hash
from evalkit.types import ClipIntent
from pipeline.options import canonical_json

ALTERED = "altered"
"""Code of the error of a file that is not the video that was made, or is not there."""
OTHER_VERSION = "other_version"
"""Code of the error of an evaluator that has another version, or other settings, where it is to measure."""


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One video to measure, as plain data for a worker.

    Parameters
    ----------
    path : str
    content : str or None
        SHA-256 that the file should have; None for any.
    evaluators : dict of str to str
        Name to the version that is to measure, see `evalkit.evaluators.load.version_of`.
    settings : dict of str to dict
        Settings of these evaluators, by name.
    intent : ClipIntent
    evidence_folder : str or None
        Gets a folder for each evaluator that shows anything, by its name; None for no pictures.
    audio_path : str or None
        A separate sound file that replaces the video's own.
    """

    path: str
    content: str | None
    evaluators: dict[str, str]
    settings: dict[str, dict[str, Any]]
    intent: ClipIntent
    evidence_folder: str | None
    audio_path: str | None = None


@dataclass(frozen=True, slots=True)
class MeasuredVideo:
    """What evaluators measured on a video.

    Parameters
    ----------
    measured : dict of str to tuple
        `MetricResults` and raw samples by the evaluator's name; empty where there is an error.
    error : MeasurementError or None
        Why the video could not be measured at all.
    measure_s : float
        How long it took, on the clock of the process that measured.
    machine : dict
        Facts of the machine that measured, see `evalkit.profiling.machine.describe_machine`; empty where none did.
    """

    measured: dict[str, tuple[MetricResults, Samples]]
    error: MeasurementError | None
    measure_s: float
    machine: dict[str, Any]

    @property
    def is_of_video(self) -> bool:
        """Whether it says anything of the video that was made, with the evaluators that were to measure."""
        return self.error is None or self.error.code not in {ALTERED, OTHER_VERSION}


class MeasureVideo:
    """Measures one video a call. A worker keeps it, with what the evaluators have loaded, from video to video."""

    def __init__(self) -> None:
        self._evaluators: dict[str, Evaluator] = {}

    def __call__(
        self, task: VideoTask, report: Callable[[tuple[float, float | None]], None]
    ) -> MeasuredVideo:
        """Measure; report the seconds done, and of the whole video where they are known."""
        start_s = time.monotonic()
        error = _check_content(task)
        measured: dict[str, tuple[MetricResults, Samples]] = {}
        if error is None:
            evaluators = [
                self._load(name, task.settings.get(name, {}), lambda: report((0.0, None)))
                for name in task.evaluators
            ]
            error = _check_versions(task, {evaluator.name: version_of(evaluator) for evaluator in evaluators})
        if error is None:
            result = try_measure(
                task.path,
                evaluators,
                audio_path=task.audio_path,
                intent=task.intent,
                observer=None if task.evidence_folder is None else EvidenceWriter(Path(task.evidence_folder)),
                progress=lambda *position: report(position),
            )
            if result.error is not None:
                error = error_of(result.error, task.path)
            else:
                measured = _split_by_evaluator(result, evaluators)
        return MeasuredVideo(measured, error, time.monotonic() - start_s, describe_machine())

    def _load(self, name: str, settings: dict[str, Any], show_life: Callable[[], None]) -> Evaluator:
        """Load an evaluator and prepare it: where that was done on this machine before, that takes no time."""
        key = canonical_json([name, settings])
        if key not in self._evaluators:
            (evaluator,) = load_evaluators([name], {name: settings})
            evaluator.prepare(lambda _: show_life())
            self._evaluators[key] = evaluator
        return self._evaluators[key]


def error_of(error: ClipError, path: str) -> MeasurementError:
    """Return the error of a video as it is stored; one of another file, its separate sound, names that file."""
    return MeasurementError(error.code, error.text if error.path == path else str(error))


def put_measurements(
    writer: RunWriter,
    video: VideoRecord | Gap,
    versions: Mapping[str, str],
    measured: MeasuredVideo,
    *,
    machine: str,
    evidence: Path | None,
) -> int:
    """Put on disk what evaluators measured on a video, or why they could not; return how many records that made.

    None where it says nothing of the video, see `MeasuredVideo.is_of_video`.

    Parameters
    ----------
    writer : RunWriter
    video : VideoRecord or Gap
    versions : mapping of str to str
        Of the evaluators that were to measure.
    measured : MeasuredVideo
    machine : str
        Key into `RunManifest.machines`.
    evidence : Path or None
        Where the folders of pictures are, as of `VideoTask.evidence_folder`; they are moved.
    """
    if not measured.is_of_video or video.content is None:
        return 0
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    for name, version in versions.items():
        results, samples = measured.measured.get(name, (None, {}))
        record = MeasurementRecord(
            video_id=video.id,
            content=video.content,
            evaluator=name,
            version=version,
            identity=measurement_identity(video.content, name, version),
            results=results,
            error=measured.error,
            measured_at=measured_at,
            measure_s=measured.measure_s / len(versions),
            machine=machine,
        )
        pictures = evidence / name if evidence is not None and measured.error is None else None
        has_pictures = pictures is not None and pictures.is_dir()
        writer.put_measurement(record, samples, pictures if has_pictures else None)
    return len(versions)


def describe_metrics(evaluators: list[Evaluator]) -> dict[str, MetricInfo]:
    """Return what a manifest says of the metrics of evaluators, by full name, in order."""
    return {
        metric.name: MetricInfo(metric.unit, metric.better, metric.meaning, evaluator.name)
        for evaluator in evaluators
        for metric in evaluator.metrics
    }


def find_missing(task: VideoTask) -> MeasurementError | None:
    """Return the error of a video that is not there."""
    if Path(task.path).is_file():
        return None
    return MeasurementError(ALTERED, f"{task.path} is not there: it was removed after it had been made")


def _check_content(task: VideoTask) -> MeasurementError | None:
    if (missing := find_missing(task)) is not None:
        return missing
    if task.content is not None and content_hash(task.path) != task.content:
        return MeasurementError(
            ALTERED, f"{task.path} is not the video that was made: its content was altered"
        )
    return None


def _check_versions(task: VideoTask, versions: Mapping[str, str]) -> MeasurementError | None:
    for name, version in task.evaluators.items():
        if versions[name] != version:
            return MeasurementError(
                OTHER_VERSION,
                f"the evaluator {name!r} is {versions[name]!r} where it was to measure, and {version!r} was planned: "
                f"install the same version on both, with the same files for its settings",
            )
    return None


def _split_by_evaluator(
    result: ClipResult, evaluators: list[Evaluator]
) -> dict[str, tuple[MetricResults, Samples]]:
    """Return what each evaluator measured, with its raw samples, as it is stored."""
    by_metric = {measurement.metric.name: measurement for measurement in result.measurements}
    return {
        evaluator.name: store_measurements(
            [by_metric[metric.name] for metric in evaluator.metrics],
            notes=result.notes,
            versions=result.versions,
            weights=result.weights,
        )
        for evaluator in evaluators
    }
