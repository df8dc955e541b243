"""Reading the records of a run folder of schema 3, and putting them together as trials."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.runs.layout import (
    GENERATION_FILE,
    MEASUREMENTS_FOLDER,
    PROFILE_FILE,
    VIDEO_FILE,
    VIDEOS_FOLDER,
    evidence_folder,
    measurement_name,
    record_file,
    samples_file,
)
from evalkit.runs.records import (
    DamagedFileError,
    find_record,
    read_files_of,
    read_json,
    to_record,
)
from evalkit.runs.schema import (
    MeasurementRecord,
    MetricResults,
    Samples,
    Trial,
    TrialFailure,
    VideoProfile,
    VideoRecord,
)
from evalkit.types import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from evalkit.runs.schema import MetricInfo


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video of a run: what was made, and what that cost."""

    record: VideoRecord
    profile: VideoProfile


def read_video(folder: Path, video_id: str) -> StoredVideo | None:
    """Read what is known of a video; None where there is no result.

    Parameters
    ----------
    folder : Path
        The run folder.
    video_id : str

    Raises
    ------
    DamagedFileError
        As `read_video_records`, and if the video is gone or altered.
    UsageError
        If a newer evalkit wrote it.
    """
    video = read_video_records(folder, video_id)
    if video is not None:
        _check_video_file(folder / VIDEOS_FOLDER / video_id / VIDEO_FILE, video.record)
    return video


def read_video_records(folder: Path, video_id: str) -> StoredVideo | None:
    """Read what is known of a video whether its file is still there or not: how often it was tried, and what came of it.

    Raises
    ------
    DamagedFileError
        If a file is damaged, or belongs to another video than the folder's name says.
    UsageError
        If a newer evalkit wrote it.
    """
    place = folder / VIDEOS_FOLDER / video_id
    contents = read_files_of(place, GENERATION_FILE, PROFILE_FILE)
    if contents is None:
        return None
    paths = place / GENERATION_FILE, place / PROFILE_FILE
    record = to_record(paths[0], contents[0], VideoRecord)
    if record.id != video_id:
        raise DamagedFileError(
            f"{paths[0]}: it is the result of video {record.id!r} and lies in folder {video_id!r}"
        )
    return StoredVideo(record, to_record(paths[1], contents[1], VideoProfile))


def _check_video_file(path: Path, record: VideoRecord) -> None:
    """Refuse a record whose video was removed or altered after it had been made: its figures can be shown by nothing."""
    if record.n_bytes is None:
        return
    if not path.is_file():
        raise DamagedFileError(f"{path} is not there: it was removed after it had been made")
    n_bytes = path.stat().st_size
    if n_bytes != record.n_bytes:
        raise DamagedFileError(
            f"{path} is not the video that was made: it has {n_bytes} bytes instead of {record.n_bytes}"
        )


def read_measurement(
    folder: Path, video_id: str, content: str, evaluator: str, version: str
) -> MeasurementRecord | None:
    """Read what a version of an evaluator measured on a video of this content; None where it did not.

    Raises
    ------
    DamagedFileError
        If the file is damaged, or belongs to another measurement than its name says.
    UsageError
        If a newer evalkit wrote it.
    """
    name = measurement_name(evaluator, content, version)
    path = record_file(folder / MEASUREMENTS_FOLDER / video_id, name)
    record = find_record(path, MeasurementRecord)
    if record is None:
        return None
    if (record.video_id, f"{record.evaluator}@{record.identity}") != (video_id, name):
        raise DamagedFileError(
            f"{path}: it is measurement {record.evaluator}@{record.identity} of video {record.video_id!r}"
        )
    return record


def read_measurements(
    folder: Path, video: VideoRecord, evaluators: Mapping[str, str]
) -> list[MeasurementRecord]:
    """Read the measurements of a video by these evaluators, in their order, as far as there are any.

    Parameters
    ----------
    folder : Path
        The run folder.
    video : VideoRecord
    evaluators : mapping of str to str
        Name to version.

    Raises
    ------
    DamagedFileError, UsageError
        As `read_measurement`.
    """
    if video.content is None:
        return []
    found = (
        read_measurement(folder, video.id, video.content, name, version)
        for name, version in evaluators.items()
    )
    return [record for record in found if record is not None]


def read_samples(folder: Path, video: StoredVideo, evaluators: Mapping[str, str]) -> Samples:
    """Read the raw samples of a video: of its costs, and of its measurements by these evaluators."""
    samples = dict(video.profile.samples)
    for name in _names(video.record, evaluators):
        path = samples_file(folder / MEASUREMENTS_FOLDER / video.record.id, name)
        if path.is_file():
            samples |= read_json(path)["samples"]
    return samples


def list_evidence(folder: Path, video: VideoRecord, evaluators: Mapping[str, str]) -> list[tuple[str, Path]]:
    """List the folders with pictures of a video, each with the evaluator's name."""
    measurements = folder / MEASUREMENTS_FOLDER / video.id
    try:
        with os.scandir(measurements) as entries:
            there = {entry.name for entry in entries if entry.is_dir()}
    except FileNotFoundError:
        return []
    if not there:
        return []
    names = zip(evaluators, _names(video, evaluators), strict=False)
    found = [(evaluator, evidence_folder(measurements, name)) for evaluator, name in names]
    return [(evaluator, place) for evaluator, place in found if place.name in there]


def list_videos(folder: Path) -> list[str]:
    """List the ids of the videos that have a result."""
    names = (path.parent.name for path in (folder / VIDEOS_FOLDER).glob(f"*/{GENERATION_FILE}"))
    return [name for name in names if not name.startswith(".")]


def make_trial(
    video: StoredVideo,
    measurements: Sequence[MeasurementRecord],
    evaluators: Mapping[str, str],
    metrics: Mapping[str, MetricInfo],
) -> Trial:
    """Put a video and its measurements together.

    A trial failed where there is no video, or where no evaluator could measure it; where some could, the metrics of the
    others are absent as ``evaluator_failed``.

    Parameters
    ----------
    video : StoredVideo
    measurements : sequence of MeasurementRecord
        By any of `evaluators`, see `read_measurements`.
    evaluators : mapping of str to str
        Those that the run's tables show.
    metrics : mapping of str to MetricInfo
        Those that a trial may carry; what no measurement and no cost has is absent as ``not_measured``.
    """
    record, profile = video.record, video.profile.results
    failure = record.failure
    errors = {made.evaluator: made.error for made in measurements if made.error is not None}
    if failure is None and errors and len(errors) == len(measurements):
        error = next(iter(errors.values()))
        failure = TrialFailure("measure", error.code, error.text)
    quality = None
    if failure is None and evaluators:
        quality = _merged([made.results for made in measurements if made.results is not None])
        quality.notes.extend(f"{name}: {error.text}" for name, error in errors.items())
        known = {*quality.metrics, *quality.absent, *profile.metrics, *profile.absent}
        for name, info in metrics.items():
            if name not in known and (info.evaluator is None or info.evaluator in evaluators):
                reason = Reason.EVALUATOR_FAILED if info.evaluator in errors else Reason.NOT_MEASURED
                quality.absent[name] = str(reason)
    spent_s = [made.measure_s for made in measurements if made.measure_s is not None]
    return Trial(
        id=record.id,
        params=record.params,
        portrait=record.portrait,
        speech=record.speech,
        seed=record.seed,
        status="ok" if failure is None else "failed",
        failure=failure,
        quality=quality,
        profile=profile,
        generation=record.generation,
        events=record.events,
        attempts=record.attempts,
        started_at=record.started_at,
        generate_s=record.generate_s,
        measure_s=sum(spent_s) if spent_s else None,
        content=record.content,
        machine=record.machine,
        alone=record.alone,
        spill=video.profile.spill,
        load_s=record.load_s,
    )


def _merged(results: Iterable[MetricResults]) -> MetricResults:
    merged = MetricResults()
    for part in results:
        merged.metrics.update(part.metrics)
        merged.absent.update(part.absent)
        merged.notes.extend(note for note in part.notes if note not in merged.notes)
        merged.versions.update(part.versions)
        merged.weights.update(part.weights)
    return merged


def _names(video: VideoRecord, evaluators: Mapping[str, str]) -> list[str]:
    if video.content is None:
        return []
    return [measurement_name(name, video.content, version) for name, version in evaluators.items()]
