"""Measuring one video of a run, and putting what was measured on record: the same for a run and for a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.load import load_evaluators, version_of
from evalkit.measuring.evidence import EvidenceWriter
from evalkit.measuring.results import ClipResult
from evalkit.measuring.runner import try_measure
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
    content : str
        SHA-256 that the file should have.
    evaluators : dict of str to str
        Name to the version that is to measure, see `evalkit.evaluators.load.version_of`.
    settings : dict of str to dict
        Settings of these evaluators, by name.
    intent : ClipIntent
    evidence_folder : str or None
        Gets a folder for each evaluator that shows anything, by its name; None for no pictures.
    """

    path: str
    content: str
    evaluators: dict[str, str]
    settings: dict[str, dict[str, Any]]
    intent: ClipIntent
    evidence_folder: str | None


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
    """

    measured: dict[str, tuple[MetricResults, Samples]]
    error: MeasurementError | None
    measure_s: float

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
        if error is not None:
            return MeasuredVideo({}, error, time.monotonic() - start_s)
        evaluators = [self._load(name, task.settings.get(name, {})) for name in task.evaluators]
        error = _check_versions(task, {evaluator.name: version_of(evaluator) for evaluator in evaluators})
        if error is not None:
            return MeasuredVideo({}, error, time.monotonic() - start_s)
        result = try_measure(
            task.path,
            evaluators,
            intent=task.intent,
            observer=None if task.evidence_folder is None else EvidenceWriter(Path(task.evidence_folder)),
            progress=lambda *position: report(position),
        )
        spent_s = time.monotonic() - start_s
        if result.error is not None:
            return MeasuredVideo({}, MeasurementError(result.error.code, result.error.text), spent_s)
        return MeasuredVideo(_split_by_evaluator(result, evaluators), None, spent_s)

    def _load(self, name: str, settings: dict[str, Any]) -> Evaluator:
        key = canonical_json([name, settings])
        if key not in self._evaluators:
            (self._evaluators[key],) = load_evaluators([name], {name: settings})
        return self._evaluators[key]


def put_measurements(
    writer: RunWriter,
    video: VideoRecord,
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
    video : VideoRecord
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


def _check_content(task: VideoTask) -> MeasurementError | None:
    if not Path(task.path).is_file():
        return MeasurementError(ALTERED, f"{task.path} is not there: it was removed after it had been made")
    if content_hash(task.path) != task.content:
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
