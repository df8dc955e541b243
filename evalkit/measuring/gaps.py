"""Which measurements a run lacks. Reads the run folder; measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.runs import MeasurementRecord, VideoRecord
from evalkit.runs.layout import VIDEO_FILE, VIDEOS_FOLDER
from evalkit.runs.records import DamagedFileError
from evalkit.runs.store import read_measurement, read_video
from evalkit.types import ClipIntent, Reason
from pipeline.phonemes import Phoneme

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


@dataclass(frozen=True, slots=True)
class Gap:
    """A video of a run, and the evaluators that have not measured it.

    Parameters
    ----------
    id : str
        Of the video.
    content : str
        SHA-256 of the video that was made.
    intent : ClipIntent
    path : Path
        The video file.
    evaluators : tuple of str
        Names.
    """

    id: str
    content: str
    intent: ClipIntent
    path: Path
    evaluators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gaps:
    """What a run lacks.

    Parameters
    ----------
    to_measure : list of Gap
    unusable : dict of str to str
        Why a video that lacks measurements cannot be measured, by its id.
    failed : dict of str to str
        Why measurements of a video failed earlier, by its id; none of those that are measured again.
    n_complete : int
        Videos that lack nothing.
    n_without_video : int
        Trials that failed before there was a video.
    """

    to_measure: list[Gap]
    unusable: dict[str, str]
    failed: dict[str, str]
    n_complete: int
    n_without_video: int


def find_gaps(
    folder: Path, video_ids: Iterable[str], evaluators: Mapping[str, str], *, retry_failed: bool = False
) -> Gaps:
    """Find the measurements that a run lacks.

    Parameters
    ----------
    folder : Path
        The run folder, of schema 3.
    video_ids : iterable of str
        Those that have no result yet are passed over.
    evaluators : mapping of str to str
        Name to version, see `evalkit.evaluators.load.version_of`.
    retry_failed : bool
        A measurement that failed counts as lacking; else it is done, until the evaluator has another version.

    Raises
    ------
    UsageError
        If a newer evalkit wrote a file.
    """
    gaps = Gaps([], {}, {}, 0, 0)
    n_complete = n_without_video = 0
    for video_id in video_ids:
        try:
            stored = read_video(folder, video_id)
        except DamagedFileError as error:
            gaps.unusable[video_id] = str(error)
            continue
        if stored is None:
            continue
        video = stored.record
        if video.content is None:
            n_without_video += 1
            continue
        there = read_measured(folder, video, evaluators)
        missing = tuple(
            name for name, record in there.items() if is_missing(record, retry_failed=retry_failed)
        )
        failures = [
            f"{name}: {why}"
            for name, record in there.items()
            if name not in missing and (why := _failure_of(record))
        ]
        if failures:
            gaps.failed[video_id] = "; ".join(failures)
        path = folder / VIDEOS_FOLDER / video_id / VIDEO_FILE
        if not missing:
            n_complete += not failures
        elif path.is_file():
            gaps.to_measure.append(Gap(video_id, video.content, intent_of(video.generation), path, missing))
        else:
            gaps.unusable[video_id] = f"{path} is not there: it was removed after it had been made"
    return Gaps(gaps.to_measure, gaps.unusable, gaps.failed, n_complete, n_without_video)


def intent_of(generation: Mapping[str, Any] | None) -> ClipIntent:
    """Return what a video was meant to say and to show.

    That is its request, and what a conversation made of it before it was spoken.

    Parameters
    ----------
    generation : mapping or None
        Of a `VideoRecord`.
    """
    generation = generation or {}
    wanted = {**generation.get("request", {}), **(generation.get("spoken") or {})}
    text = wanted.get("text")
    told = wanted.get("phonemes") or generation.get("phonemes") or () if text else ()
    phonemes = tuple(Phoneme(*one) for one in told)
    frames, fps = wanted.get("infer_frames"), wanted.get("fps")
    return ClipIntent(
        text,
        wanted.get("language") if text else None,
        wanted.get("prompt") or None,
        phonemes,
        frames / fps if frames and fps else None,
    )


def _failure_of(record: MeasurementRecord | None) -> str:
    """Return why a measurement failed for a cause outside the video; empty where it did not."""
    if record is None:
        return ""
    if record.error is not None:
        return record.error.text
    failed = record.results is not None and str(Reason.EVALUATOR_FAILED) in record.results.absent.values()
    return Reason.EVALUATOR_FAILED.text if failed else ""


def is_missing(record: MeasurementRecord | None, *, retry_failed: bool) -> bool:
    """Return whether a measurement is to be made: it is not there, or it failed and is tried again.

    One fails for a cause outside the video: a crash, or a fault in the evaluator.
    """
    if record is None:
        return True
    return retry_failed and bool(_failure_of(record))


def read_measured(
    folder: Path, video: VideoRecord, evaluators: Mapping[str, str]
) -> dict[str, MeasurementRecord | None]:
    """Read the measurements of a video by evaluator; None for one that is not there or cannot be read.

    Empty for a video that could not be made.

    Raises
    ------
    UsageError
        If a newer evalkit wrote a file.
    """
    found: dict[str, MeasurementRecord | None] = {}
    for name, version in evaluators.items() if video.content is not None else ():
        try:
            found[name] = read_measurement(folder, video.id, str(video.content), name, version)
        except DamagedFileError:
            found[name] = None
    return found
