"""One pass over one clip for all evaluators.

The evaluators say which tracks they need; each track is made once, or taken from the cache; if nothing has to be
made, the file is not decoded. An evaluator that raises fails its own metrics, and the pass goes on.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version as installed_version
from inspect import signature
from typing import TYPE_CHECKING, Any, Self

import evalkit
from evalkit import registry
from evalkit.errors import ClipError, UsageError
from evalkit.media import Reader, probe
from evalkit.tracks import make_tracker, reads_sound
from evalkit.tracks.cache import TrackCache, content_hash
from evalkit.types import Asked, FrameChunk, Measurement, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from evalkit.evaluators.base import Evaluator
    from evalkit.tracks.base import FrameTracker, SoundTracker
    from evalkit.types import AudioChunk, ClipFacts, Track

    Progress = Callable[[float, float | None], None]
    """Called now and then with the seconds of the clip done, and of the whole clip where known."""
    FrameWatcher = Callable[[FrameChunk, Mapping[str, Sequence[Any]]], None]
    """Called with each chunk of frames and the points each tracker found in them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipResult:
    """Everything measured on one clip.

    Parameters
    ----------
    clip : str
        Path, as named by the user.
    measurements : tuple of Measurement
        One a metric, in a fixed order; empty where the clip could not be opened.
    error : ClipError or None
        Why the whole clip could not be measured.
    notes : tuple of str
        What a person should know of the file: cut off, damaged.
    versions, weights : mapping
        Versions of what took part, and hashes of the weights.
    """

    clip: str
    measurements: tuple[Measurement, ...] = ()
    error: ClipError | None = None
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> Measurement:
        """Return the measurement of a metric by its full name."""
        for measurement in self.measurements:
            if measurement.metric.name == metric:
                return measurement
        raise KeyError(metric)

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        measured, absent = {}, {}
        for measurement in self.measurements:
            name = measurement.metric.name
            if measurement.value is None:
                absent[name] = str(measurement.reason)
                continue
            entry: dict[str, Any] = {"value": measurement.value, "unit": measurement.metric.unit}
            if measurement.interval is not None:
                entry["ci95"] = list(measurement.interval)
            entry["n"] = measurement.n
            if measurement.coverage is not None:
                entry["coverage"] = measurement.coverage
            measured[name] = entry
        plain: dict[str, Any] = {"clip": self.clip, "metrics": measured, "absent": absent}
        if self.error is not None:
            plain["error"] = {"code": self.error.code, "text": self.error.text}
        plain |= {"notes": list(self.notes), "versions": dict(self.versions), "weights": dict(self.weights)}
        return plain


@dataclass(frozen=True)
class Report:
    """The results of one or more clips."""

    clips: tuple[ClipResult, ...]

    def frame(self) -> pd.DataFrame:
        """Return a table: one row a clip; a column a metric, missing where absent; ``X.absent`` says why."""
        import pandas as pd  # noqa: PLC0415 - heavy, and only needed here

        rows = []
        for clip in self.clips:
            row: dict[str, Any] = {"clip": clip.clip, "error": clip.error.code if clip.error else None}
            for measurement in clip.measurements:
                name = measurement.metric.name
                row[name] = measurement.value
                row[f"{name}.absent"] = str(measurement.reason) if measurement.reason else None
            rows.append(row)
        table = pd.DataFrame(rows)
        reasons = [name for name in table.columns if name.endswith(".absent")]
        return table.drop(columns=[name for name in reasons if table[name].isna().all()])

    def json(self) -> str:
        """Return the JSON array that ``evalkit evaluate --json`` writes."""
        return json.dumps(
            [clip.as_json() for clip in self.clips], indent=2, ensure_ascii=False, allow_nan=False
        )


def evaluate(
    clips: str | Sequence[str],
    *,
    audio: str | None = None,
    only: Iterable[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    asked: Asked | None = None,
) -> Report:
    """Measure clips, one after the other, in this process.

    Parameters
    ----------
    clips : str or sequence of str
        Paths of video files.
    audio : str, optional
        A separate sound file for a single clip.
    only : iterable of str, optional
        Names of the evaluators to run; all that are installed unless given.
    settings : mapping of str to mapping, optional
        Settings of evaluators, by the evaluator's name.
    asked : Asked, optional
        What the clips were asked to say and to show.

    Returns
    -------
    Report
        A clip that cannot be measured has its `ClipResult.error` set; nothing is raised for it.

    Raises
    ------
    UsageError
        For an unknown evaluator, settings that make no sense, or one sound for several clips.
    """
    paths = [clips] if isinstance(clips, str) else [str(clip) for clip in clips]
    if audio is not None and len(paths) != 1:
        raise UsageError(f"one separate sound cannot belong to {len(paths)} clips")
    evaluators = load_evaluators(only, settings)
    return Report(
        tuple(measure_or_explain(path, evaluators, audio_path=audio, asked=asked) for path in paths)
    )


def load_evaluators(
    only: Iterable[str] | None = None, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Evaluator]:
    """Load evaluators.

    Parameters
    ----------
    only : iterable of str, optional
        Their names; all that are installed unless given.
    settings : mapping of str to mapping, optional
        Settings by the evaluator's name.

    Raises
    ------
    UsageError
        For an unknown evaluator, settings that it does not have or refuses, or that belong to none of those loaded.
    """
    wanted = registry.names(registry.EVALUATORS) if only is None else list(dict.fromkeys(only))
    settings = settings or {}
    for name in settings.keys() - set(wanted):
        raise UsageError(
            f"there are settings for the evaluator {name!r}, which is not among {', '.join(wanted)}"
        )
    return [_make_evaluator(name, settings.get(name, {})) for name in wanted]


def _make_evaluator(name: str, settings: Mapping[str, Any]) -> Evaluator:
    kind = registry.load(registry.EVALUATORS, name)
    known = signature(kind).parameters
    for given in settings.keys() - known.keys():
        there = ", ".join(known) or "none"
        raise UsageError(f"the evaluator {name!r} has no setting {given!r} (its settings: {there})")
    evaluator: Evaluator = kind(**settings)
    return evaluator


def measure_or_explain(path: str, evaluators: Sequence[Evaluator], **options: Any) -> ClipResult:
    """Do what `measure` does, with a `ClipError` as a result instead of an exception."""
    try:
        return measure(path, evaluators, **options)
    except ClipError as error:
        return ClipResult(path, error=error)


def measure(
    path: str,
    evaluators: Sequence[Evaluator],
    *,
    audio_path: str | None = None,
    asked: Asked | None = None,
    cache: TrackCache | None = None,
    progress: Progress | None = None,
    watch_frames: FrameWatcher | None = None,
    watch_tracks: Callable[[ClipFacts, Mapping[str, Track]], None] | None = None,
) -> ClipResult:
    """Measure one clip in one pass.

    Parameters
    ----------
    path : str
    evaluators : sequence of Evaluator
    audio_path : str, optional
        A separate sound file that replaces the clip's own.
    asked : Asked, optional
        What the clip was asked to say and to show.
    cache : TrackCache, optional
        The user's cache unless given.
    progress : callable, optional
    watch_frames : callable, optional
        Sees every chunk of frames; the picture is then decoded even if all tracks are known.
    watch_tracks : callable, optional
        Sees the finished tracks.

    Raises
    ------
    ClipError
        If the file cannot be opened as media.
    """
    facts = replace(probe(path, audio_path), asked=asked or Asked())
    trackers = {
        name: own() if (own := getattr(evaluator, "trackers", {}).get(name)) else make_tracker(name)
        for evaluator in evaluators
        for name in evaluator.tracks
    }
    tracks, notes = make_tracks(facts, trackers, cache or TrackCache(), progress, watch_frames)
    failed = frozenset(
        name
        for name, tracker in trackers.items()
        if name not in tracks and (facts.audio if reads_sound(tracker) else facts.video) is not None
    )
    if watch_tracks is not None:
        watch_tracks(facts, tracks)
    measurements: list[Measurement] = []
    weights: dict[str, str] = {}
    for evaluator in evaluators:
        measurements += _evaluate(evaluator, facts, tracks, failed)
        weights |= getattr(evaluator, "weights", {})
    return ClipResult(path, tuple(measurements), None, tuple(notes), _versions(evaluators), weights)


def _evaluate(
    evaluator: Evaluator, facts: ClipFacts, tracks: Mapping[str, Track], failed: frozenset[str]
) -> list[Measurement]:
    """Run one evaluator; whatever it raises, or a track that failed, becomes the reason of its metrics."""
    if failed.intersection(evaluator.tracks):
        return [Measurement.absent(metric, Reason.EVALUATOR_FAILED) for metric in evaluator.metrics]
    own = {name: tracks[name] for name in evaluator.tracks if name in tracks}
    try:
        found = {measurement.metric.name: measurement for measurement in evaluator.evaluate(facts, own)}
        return [found[metric.name] for metric in evaluator.metrics]
    except Exception:
        log.exception("%s: evaluator %r failed", facts.path, evaluator.name)
        return [Measurement.absent(metric, Reason.EVALUATOR_FAILED) for metric in evaluator.metrics]


def make_tracks(
    facts: ClipFacts,
    trackers: Mapping[str, FrameTracker | SoundTracker],
    cache: TrackCache,
    progress: Progress | None = None,
    watch_frames: FrameWatcher | None = None,
) -> tuple[dict[str, Track], list[str]]:
    """Make or load the tracks of a clip, less those it has no stream for or whose tracker raised.

    Returns
    -------
    tracks : dict of str to Track
    notes : list of str
        What reading the file brought up.
    """
    sound_trackers = {
        name: tracker for name, tracker in trackers.items() if reads_sound(tracker) and facts.audio
    }
    frame_trackers = {
        name: tracker for name, tracker in trackers.items() if not reads_sound(tracker) and facts.video
    }
    sources = dict.fromkeys(frame_trackers, facts.path) | dict.fromkeys(
        sound_trackers, facts.audio_path or facts.path
    )
    hashes = {path: content_hash(path) for path in set(sources.values())}
    versions = {name: trackers[name].version for name in sources}
    tracks: dict[str, Track] = {}
    notes: list[str] = []
    for name, path in sources.items():
        known = cache.load(hashes[path], name, versions[name])
        if known is not None and not (watch_frames is not None and name in frame_trackers):
            tracks[name] = known
            notes += [note for note in known.facts.get("notes", ()) if note not in notes]
    frame_trackers = {name: tracker for name, tracker in frame_trackers.items() if name not in tracks}
    sound_trackers = {name: tracker for name, tracker in sound_trackers.items() if name not in tracks}
    if frame_trackers or sound_trackers:
        made, found = _pass(facts, frame_trackers, sound_trackers, progress, watch_frames)
        for name, track in made.items():
            tracks[name] = track
            cache.store(hashes[sources[name]], versions[name], track)
        notes += [note for note in found if note not in notes]
    return tracks, notes


def _pass(
    facts: ClipFacts,
    frame_trackers: Mapping[str, FrameTracker],
    sound_trackers: Mapping[str, SoundTracker],
    progress: Progress | None,
    watch_frames: FrameWatcher | None,
) -> tuple[dict[str, Track], list[str]]:
    """Decode once; the frame trackers work beside each other while the next chunk is decoded."""
    reader = Reader(
        facts,
        frames=bool(frame_trackers),
        sound_rates_hz=sorted({tracker.rate_hz for tracker in sound_trackers.values()}),
    )
    streams = [stream for stream in (facts.video, facts.audio) if stream is not None]
    length_s = max((stream.announced_duration_s or 0.0 for stream in streams), default=0.0) or None
    listening = dict(sound_trackers)
    with _Crew(facts.path, frame_trackers, watch_frames) as crew:
        for chunk in reader:
            if isinstance(chunk, FrameChunk):
                crew.take(chunk)
            else:
                _hear(chunk, listening, facts.path)
            if progress is not None:
                progress(
                    float(chunk.times_s[0] if isinstance(chunk, FrameChunk) else chunk.start_s), length_s
                )
        made = crew.finish()
    made |= {name: tracker.finish() for name, tracker in listening.items()}
    notes = tuple(reader.decoded.notes)
    made = {name: replace(track, facts={**track.facts, "notes": notes}) for name, track in made.items()}
    return made, list(notes)


def _hear(chunk: AudioChunk, trackers: dict[str, SoundTracker], path: str) -> None:
    """Give sound to the trackers that asked for it so; one that raises leaves, the others go on."""
    for name, tracker in list(trackers.items()):
        if tracker.rate_hz == chunk.asked_rate_hz:
            try:
                tracker.update(chunk)
            except Exception:
                log.exception("%s: track %r failed", path, name)
                del trackers[name]


class _Crew:
    """The frame trackers at work, one thread each; a tracker that raises leaves, the others go on."""

    def __init__(
        self, path: str, trackers: Mapping[str, FrameTracker], watch_frames: FrameWatcher | None
    ) -> None:
        self._path = path
        self._trackers = dict(trackers)
        self._watch_frames = watch_frames
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(trackers)))
        self._chunk: FrameChunk | None = None
        self._futures: dict[str, Future[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def take(self, chunk: FrameChunk) -> None:
        self._settle()
        self._chunk = chunk
        self._futures = {
            name: self._threads.submit(tracker.update, chunk) for name, tracker in self._trackers.items()
        }

    def finish(self) -> dict[str, Track]:
        self._settle()
        return {name: tracker.finish() for name, tracker in self._trackers.items()}

    def _settle(self) -> None:
        """Wait for the chunk in work; at most one chunk is in work while another is decoded."""
        points = {}
        for name, future in self._futures.items():
            try:
                points[name] = future.result()
            except Exception:
                log.exception("%s: track %r failed", self._path, name)
                del self._trackers[name]
        if self._chunk is not None and self._watch_frames is not None:
            self._watch_frames(self._chunk, points)
        self._chunk, self._futures = None, {}


def version_of(evaluator: Evaluator) -> int | str:
    """Return an evaluator's version, and after it the identity of settings that decide its values, where any do."""
    identity = getattr(evaluator, "identity", "")
    return f"{evaluator.version} {identity}" if identity else evaluator.version


def _versions(evaluators: Sequence[Evaluator]) -> dict[str, str]:
    versions = {"evalkit": evalkit.__version__}
    versions |= {f"evaluator {evaluator.name}": str(version_of(evaluator)) for evaluator in evaluators}
    return versions | {package: installed_version(package) for package in ("av", "mediapipe", "numpy")}
