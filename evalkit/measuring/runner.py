"""One pass over one clip for all evaluators.

The evaluators say which tracks they need; each track is made once, or taken from the cache; if nothing has to be
made, the file is not decoded. An evaluator that raises fails its own metrics, and the pass goes on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Self

import evalkit
from evalkit.errors import ClipError
from evalkit.evaluators.base import Evaluator, MakeTracker, Measured
from evalkit.evaluators.load import version_of
from evalkit.measuring.observer import Observer
from evalkit.measuring.results import ClipResult, Progress
from evalkit.media import Reader, probe
from evalkit.tracks import make_tracker, reads_sound
from evalkit.tracks.base import FrameTracker, SoundTracker
from evalkit.tracks.cache import TrackCache, content_hash
from evalkit.types import AudioChunk, ClipFacts, ClipIntent, FrameChunk, Measurement, Moment, Reason, Track

log = logging.getLogger(__name__)

CHUNKS_APART = 3
"""Chunks that are decoded and not yet seen by every tracker; memory grows with it."""
_LAST_ROW_S = 0.5
"""The last observation of a clip stands for no longer, where its length is not announced."""


def try_measure(path: str, evaluators: Sequence[Evaluator], **options: Any) -> ClipResult:
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
    intent: ClipIntent | None = None,
    cache: TrackCache | None = None,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> ClipResult:
    """Measure one clip in one pass.

    Parameters
    ----------
    path : str
    evaluators : sequence of Evaluator
    audio_path : str, optional
        A separate sound file that replaces the clip's own.
    intent : ClipIntent, optional
        What the clip was meant to say and to show.
    cache : TrackCache, optional
        The user's cache unless given.
    progress : callable, optional
        Called with the seconds of the clip done, and of the whole clip where known.
    observer : Observer, optional
        Sees frames and what each evaluator found: `evalkit.measuring.evidence.EvidenceWriter`, say.

    Raises
    ------
    ClipError
        If the file cannot be opened as media.
    """
    facts = replace(probe(path, audio_path), intent=intent or ClipIntent())
    observer = observer or Observer()
    wanted = [wanted_trackers(evaluator, facts) for evaluator in evaluators]
    trackers = {name: make() for makers in wanted for name, make in makers.items()}
    tracks, found = make_tracks(facts, trackers, cache or TrackCache(), progress, observer)
    failed = frozenset(
        name
        for name, tracker in trackers.items()
        if name not in tracks and (facts.audio if reads_sound(tracker) else facts.video) is not None
    )
    measurements: list[Measurement] = []
    weights: dict[str, str] = {}
    for evaluator, makers in zip(evaluators, wanted, strict=True):
        if failed.intersection(makers):
            measured = evaluator.absent(Reason.EVALUATOR_FAILED)
        else:
            own = {name: tracks[name] for name in makers if name in tracks}
            measured = _measure_alone(evaluator, facts, own)
        observer.on_measured(evaluator, measured)
        measurements += measured.measurements
        weights |= measured.weights
    return ClipResult(
        path,
        tuple(measurements),
        notes=(*facts.notes, *found),
        evaluators={evaluator.name: str(version_of(evaluator)) for evaluator in evaluators},
        versions=_versions(),
        weights=weights,
    )


def wanted_trackers(evaluator: Evaluator, facts: ClipFacts) -> dict[str, MakeTracker]:
    """Return what makes each track an evaluator needs of a clip: its own trackers, and those all may ask for.

    Raises
    ------
    UsageError
        When a maker is called for a track that no tracker makes.
    """
    own = evaluator.trackers(facts)
    return {
        name: own.get(name) or partial(make_tracker, name)
        for name in dict.fromkeys((*evaluator.tracks, *own))
    }


def _measure_alone(evaluator: Evaluator, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
    """Run one evaluator; whatever it raises becomes the reason of its metrics."""
    try:
        measured = evaluator.measure(facts, tracks)
        found = {measurement.metric.name: measurement for measurement in measured.measurements}
        end_s = _end_s(facts, tracks)
        return replace(
            measured,
            measurements=tuple(_within_clip(found[metric.name], end_s) for metric in evaluator.metrics),
        )
    except Exception:
        log.exception("%s: evaluator %r failed", facts.path, evaluator.name)
        return evaluator.absent(Reason.EVALUATOR_FAILED)


def _end_s(facts: ClipFacts, tracks: Mapping[str, Track]) -> float | None:
    """Return when the clip ends, as announced or as seen, whichever is later; None where nobody knows."""
    announced = [
        stream.start_s + stream.announced_duration_s
        for stream in (facts.video, facts.audio)
        if stream is not None and stream.announced_duration_s is not None
    ]
    seen = [float(track.times_s[-1]) + _LAST_ROW_S for track in tracks.values() if len(track)]
    return max((*announced, *seen), default=None)


def _within_clip(measurement: Measurement, end_s: float | None) -> Measurement:
    """Cut the worst moments at the ends of the clip.

    Raises
    ------
    ValueError
        For one that lies outside of it altogether.
    """
    if not measurement.moments or end_s is None:
        return measurement
    for moment in measurement.moments:
        if moment.end_s <= 0 or moment.start_s >= end_s:
            raise ValueError(
                f"{measurement.metric.name}: {moment} is outside of the clip, which lasts until {end_s:.2f} s; moments are in "
                "seconds on the clip's own clock"
            )
    return replace(
        measurement,
        moments=tuple(
            Moment(max(0.0, moment.start_s), min(moment.end_s, end_s), moment.value)
            for moment in measurement.moments
        ),
    )


def make_tracks(
    facts: ClipFacts,
    trackers: Mapping[str, FrameTracker | SoundTracker],
    cache: TrackCache,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> tuple[dict[str, Track], list[str]]:
    """Make or load the tracks of a clip, less those it has no stream for or whose tracker raised.

    Returns
    -------
    tracks : dict of str to Track
    notes : list of str
        What reading the file brought up.
    """
    observer = observer or Observer()
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
        if known is not None and not (observer.needs_frames and name in frame_trackers):
            tracks[name] = known
            notes += [note for note in known.facts.get("notes", ()) if note not in notes]
    frame_trackers = {name: tracker for name, tracker in frame_trackers.items() if name not in tracks}
    sound_trackers = {name: tracker for name, tracker in sound_trackers.items() if name not in tracks}
    if frame_trackers or sound_trackers:
        made, found = _pass(facts, frame_trackers, sound_trackers, progress, observer)
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
    observer: Observer,
) -> tuple[dict[str, Track], list[str]]:
    """Decode once; the frame trackers work beside each other while the next chunk is decoded."""
    reader = Reader(
        facts,
        frames=bool(frame_trackers),
        sound_rates_hz=list(dict.fromkeys(tracker.rate_hz for tracker in sound_trackers.values())),
    )
    streams = [stream for stream in (facts.video, facts.audio) if stream is not None]
    length_s = max((stream.announced_duration_s or 0.0 for stream in streams), default=0.0) or None
    listening = dict(sound_trackers)
    with _TrackerPool(facts.path, frame_trackers, observer) as pool:
        for chunk in reader:
            if isinstance(chunk, FrameChunk):
                pool.submit(chunk)
            else:
                _hear(chunk, listening, facts.path)
            if progress is not None:
                progress(
                    float(chunk.times_s[0] if isinstance(chunk, FrameChunk) else chunk.start_s), length_s
                )
        made = pool.finish()
    made |= _finish(listening, facts.path)
    notes = tuple(reader.decoded.notes)
    made = {name: replace(track, facts={**track.facts, "notes": notes}) for name, track in made.items()}
    return made, list(notes)


def _hear(chunk: AudioChunk, trackers: dict[str, SoundTracker], path: str) -> None:
    """Give sound to the trackers that asked for it so; one that raises leaves, the others go on."""
    for name, tracker in list(trackers.items()):
        if tracker.rate_hz == chunk.wanted_rate_hz:
            try:
                tracker.update(chunk)
            except Exception:
                log.exception("%s: track %r failed", path, name)
                del trackers[name]


def _finish(trackers: Mapping[str, FrameTracker | SoundTracker], path: str) -> dict[str, Track]:
    """Return the tracks of trackers that have seen everything, less those that raise."""
    tracks = {}
    for name, tracker in trackers.items():
        try:
            tracks[name] = tracker.finish()
        except Exception:
            log.exception("%s: track %r failed", path, name)
    return tracks


class _TrackerPool:
    """The frame trackers at work, one thread each; a tracker that raises leaves, the others go on.

    A fast tracker runs at most `CHUNKS_APART` chunks ahead of the slowest, and so does the decoder: no more are held.
    """

    def __init__(self, path: str, trackers: Mapping[str, FrameTracker], observer: Observer) -> None:
        self._path = path
        self._trackers = dict(trackers)
        self._observer = observer
        self._threads = {name: ThreadPoolExecutor(max_workers=1) for name in trackers}
        self._at_work: deque[tuple[FrameChunk, dict[str, Future[Any]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads.values():
            thread.shutdown(cancel_futures=True)

    def submit(self, chunk: FrameChunk) -> None:
        while len(self._at_work) >= CHUNKS_APART:
            self._settle()
        futures = {
            name: self._threads[name].submit(tracker.update, chunk)
            for name, tracker in self._trackers.items()
        }
        self._at_work.append((chunk, futures))

    def finish(self) -> dict[str, Track]:
        while self._at_work:
            self._settle()
        return _finish(self._trackers, self._path)

    def _settle(self) -> None:
        """Wait until every tracker has seen the oldest chunk, and show it to the observer."""
        chunk, futures = self._at_work.popleft()
        points = {}
        for name, future in futures.items():
            if name not in self._trackers:
                continue  # it has raised on an earlier chunk
            try:
                points[name] = future.result()
            except Exception:
                log.exception("%s: track %r failed", self._path, name)
                del self._trackers[name]
                self._threads[name].shutdown(wait=False, cancel_futures=True)
        if self._observer.needs_frames:
            self._observer.on_frames(chunk, points)


@lru_cache
def _installed_version(package: str) -> str:
    return version(package)


def _versions() -> dict[str, str]:
    used = ("av", "mediapipe", "numpy", "openvino")
    packages = {package: _installed_version(package) for package in used if find_spec(package) is not None}
    return {"evalkit": evalkit.__version__, **packages}
