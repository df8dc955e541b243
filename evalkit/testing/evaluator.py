"""What every evaluator must keep, as a test class to subclass: ours and those of plug-ins pass the same one."""

# ruff: noqa: S101 - these are pytest's asserts

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.evaluators.load import make_evaluator, version_of
from evalkit.measuring.results import ClipResult
from evalkit.measuring.runner import make_tracks, measure, wanted_trackers
from evalkit.media import Reader, probe
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.tracks import reads_sound
from evalkit.tracks.base import FrameTracker, SoundTracker
from evalkit.tracks.cache import TrackCache
from evalkit.types import (
    GENERAL_REASONS,
    AudioChunk,
    Better,
    ClipFacts,
    ClipIntent,
    FrameChunk,
    Measurement,
    Track,
)

_UNKNOWN_SETTING = "no_such_setting"
_SAME = 1e-9
_PIECE = 777  # samples


class EvaluatorContract:
    """Subclass it under a name that begins with ``Test``, with the evaluator's class and two fixtures.

    ::

        class TestBrightness(EvaluatorContract):
            kind = Brightness

            @pytest.fixture
            def clip(self) -> Path: ...       # a clip that it can measure

            @pytest.fixture
            def settings(self) -> dict: ...   # its settings, where it needs any

    Attributes
    ----------
    kind : type of Evaluator
    intent : ClipIntent
        What the clip was meant to be, where the evaluator needs to know.
    """

    kind: type[Evaluator]
    intent = ClipIntent()

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Return the settings to test it with; none unless overridden."""
        return {}

    @pytest.fixture
    def evaluator(self, settings: dict[str, Any]) -> Evaluator:
        """Return the evaluator."""
        return make_evaluator(self.kind, settings)

    @pytest.fixture
    def facts(self, clip: Path) -> ClipFacts:
        """Return the clip as probed."""
        return replace(probe(str(clip)), intent=self.intent)

    def test_it_declares_what_it_is(self) -> None:
        """Name, version, metrics, reasons and settings are there, and their names do not collide."""
        kind = self.kind
        assert kind.name.isidentifier()
        assert isinstance(kind.version, int)
        assert kind.version >= 1
        assert isinstance(kind.metrics, tuple)
        names = [metric.name for metric in kind.metrics]
        assert len(set(names)) == len(names) > 0
        families = sorted({metric.family for metric in kind.metrics})
        assert families == [kind.name], f"metrics of {kind.name} are called {families}"
        for metric in kind.metrics:
            assert metric.unit, metric.name
            assert metric.meaning, metric.name
            assert metric.better in get_args(Better), metric.name
        codes = [reason.code for reason in (*GENERAL_REASONS, *kind.reasons)]
        assert len(set(codes)) == len(codes), "a reason has the code of another one"
        assert all(reason.text for reason in kind.reasons)
        parameters = inspect.signature(kind).parameters
        assert all(parameter.default is not parameter.empty for parameter in parameters.values())
        assert {*kind.file_settings, *kind.file_or_name_settings} <= set(kind.setting_names())

    def test_an_unknown_setting_is_refused_by_name(self, settings: dict[str, Any]) -> None:
        """A misspelt setting is an error that names it."""
        with pytest.raises(UsageError, match=_UNKNOWN_SETTING):
            make_evaluator(self.kind, {**settings, _UNKNOWN_SETTING: 1})

    def test_files_among_settings_start_at_a_folder(self, tmp_path: Path) -> None:
        """A relative path in a file setting is anchored; any other text is left alone."""
        for name in self.kind.setting_names():
            anchored = self.kind.anchor({name: "here.file"}, tmp_path)[name]
            expected = str(tmp_path / "here.file") if name in self.kind.file_settings else "here.file"
            assert anchored == expected, name

    def test_the_identity_is_stable(self, evaluator: Evaluator, settings: dict[str, Any]) -> None:
        """The same settings have the same identity, before and after measuring."""
        before = version_of(evaluator)
        evaluator.measure(ClipFacts("gone.mp4", None, None, None), {})
        assert version_of(evaluator) == before == version_of(make_evaluator(self.kind, settings))

    def test_every_metric_is_measured_or_absent_with_a_declared_reason(
        self, evaluator: Evaluator, facts: ClipFacts
    ) -> None:
        """On the clip, each metric is there once, with sane numbers; at least one has a value."""
        tracks = _make_tracks(evaluator, facts)
        measurements = evaluator.measure(facts, tracks).measurements
        self._check(measurements)
        assert any(measurement.value is not None for measurement in measurements)
        ends_s = [float(track.times_s[-1]) for track in tracks.values() if len(track)]
        for measurement in measurements:
            for moment in measurement.moments:
                words = f"{measurement.metric.name}: {moment} is outside of the clip"
                assert moment.start_s >= 0, words
                assert moment.start_s <= max(ends_s, default=np.inf), words

    def test_the_same_clip_has_the_same_values(
        self, evaluator: Evaluator, facts: ClipFacts, settings: dict[str, Any]
    ) -> None:
        """Measured twice, also by an evaluator made anew, nothing differs, samples included."""
        tracks = _make_tracks(evaluator, facts)
        first = evaluator.measure(facts, tracks).measurements
        assert evaluator.measure(facts, tracks).measurements == first
        assert make_evaluator(self.kind, settings).measure(facts, tracks).measurements == first

    def test_values_do_not_depend_on_how_the_clip_is_cut_into_chunks(
        self, evaluator: Evaluator, facts: ClipFacts
    ) -> None:
        """Frames by threes and sound in short pieces give what long chunks give."""
        whole = evaluator.measure(facts, _make_tracks(evaluator, facts)).measurements
        cut = evaluator.measure(facts, _make_tracks_piecewise(evaluator, facts)).measurements
        for one, other in zip(whole, cut, strict=True):
            assert (one.metric, one.reason, one.n) == (other.metric, other.reason, other.n)
            if one.value is not None and other.value is not None:
                assert _is_close(one.value, other.value), one.metric.name
            assert (one.coverage is None) == (other.coverage is None), one.metric.name
            if one.coverage is not None and other.coverage is not None:
                assert _is_close(one.coverage, other.coverage), f"coverage of {one.metric.name}"
            assert (one.interval is None) == (other.interval is None), one.metric.name
            if one.interval is not None and other.interval is not None:
                assert _is_close(one.interval.low, other.interval.low), f"interval of {one.metric.name}"
                assert _is_close(one.interval.high, other.interval.high), f"interval of {one.metric.name}"
            assert len(one.moments) == len(other.moments), f"moments of {one.metric.name}"
            for moment, same in zip(one.moments, other.moments, strict=True):
                assert all(map(_is_close, moment, same)), f"moments of {one.metric.name}"

    def test_results_travel_between_processes_and_into_json(
        self, evaluator: Evaluator, facts: ClipFacts
    ) -> None:
        """A result comes back from pickle as it was, and its plain data is valid JSON."""
        result = ClipResult(facts.path, evaluator.measure(facts, _make_tracks(evaluator, facts)).measurements)
        assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own bytes
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()

    def test_nothing_at_all_has_reasons(self, evaluator: Evaluator) -> None:
        """Without any track every metric is absent."""
        measured = evaluator.measure(ClipFacts("gone.mp4", None, None, None, self.intent), {})
        self._check(measured.measurements)
        assert all(measurement.value is None for measurement in measured.measurements)

    def test_empty_tracks_have_reasons(self, evaluator: Evaluator, facts: ClipFacts) -> None:
        """Tracks of a clip of which nothing could be decoded give no value and no error."""
        empty = {name: make().finish() for name, make in wanted_trackers(evaluator, facts).items()}
        measured = evaluator.measure(facts, empty)
        self._check(measured.measurements)
        assert all(measurement.value is None for measurement in measured.measurements)

    @pytest.mark.parametrize("what", ["no_video", "no_audio", "one_frame", "silence"])
    def test_poor_clips_cost_values_and_nothing_else(
        self, evaluator: Evaluator, tmp_path: Path, what: str
    ) -> None:
        """Sound alone, a picture alone, one frame and silence go through the whole pass."""
        name, frames, sound = {
            "no_video": ("clip.wav", (), tone(2)),
            "no_audio": ("clip.mp4", moving_pattern(2), None),
            "one_frame": ("clip.mp4", moving_pattern(0.04), tone(2)),
            "silence": ("clip.mp4", moving_pattern(2), np.zeros(2 * 48_000)),
        }[what]
        path = write_clip(tmp_path / name, frames, sound=sound)
        result = measure(str(path), [evaluator], intent=self.intent)
        self._check(result.measurements)
        failed = [m.metric.name for m in result.measurements if str(m.reason) == "evaluator_failed"]
        assert failed == []

    def test_evidence_is_made_from_the_details_that_were_kept(
        self, evaluator: Evaluator, facts: ClipFacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Drawing needs no second measurement; each file has a name of its own, a caption, content and a metric."""
        details = evaluator.measure(facts, _make_tracks(evaluator, facts)).details
        if details is None:
            return

        def refuse(*_: object) -> Measured:
            raise AssertionError("evidence measured the clip again")

        monkeypatch.setattr(type(evaluator), "measure", refuse)
        exhibits = list(evaluator.evidence(details))
        assert exhibits, "details are kept, and nothing is made from them"
        assert len({exhibit.file for exhibit in exhibits}) == len(exhibits)
        for exhibit in exhibits:
            assert exhibit.caption, exhibit.file
            assert exhibit.content, exhibit.file
            assert exhibit.metric in evaluator.metrics, exhibit.file

    def _check(self, measurements: tuple[Measurement, ...]) -> None:
        given = sorted(measurement.metric.name for measurement in measurements)
        wanted = sorted(metric.name for metric in self.kind.metrics)
        assert given == wanted, f"measured are {given}, and declared are {wanted}"
        declared = {*GENERAL_REASONS, *self.kind.reasons}
        for measurement in measurements:
            name = measurement.metric.name
            if measurement.value is None:
                assert measurement.reason in declared, f"{name}: {measurement.reason} is not declared"
            else:
                assert measurement.metric.allows(measurement.value), name
                assert measurement.n >= 0, name
            assert measurement.coverage is None or 0 <= measurement.coverage <= 1 + _SAME, name
            if measurement.interval is not None:
                words = f"{name}: an interval without width promises what no clip can; give none"
                assert measurement.interval.low < measurement.interval.high, words


def _is_close(value: float, other: float) -> bool:
    return abs(value - other) <= _SAME * max(1.0, abs(value))


def _make_tracks(evaluator: Evaluator, facts: ClipFacts) -> Mapping[str, Track]:
    """Make an evaluator's tracks, or take them from the cache of the tests."""
    trackers = {name: make() for name, make in wanted_trackers(evaluator, facts).items()}
    return make_tracks(facts, trackers, TrackCache())[0]


def _make_tracks_piecewise(evaluator: Evaluator, facts: ClipFacts) -> Mapping[str, Track]:
    """Make an evaluator's tracks from short chunks; no cache."""
    frame_trackers: dict[str, FrameTracker] = {}
    sound_trackers: dict[str, SoundTracker] = {}
    for name, make in wanted_trackers(evaluator, facts).items():
        tracker = make()
        if reads_sound(tracker):
            sound_trackers[name] = tracker
        else:
            frame_trackers[name] = tracker
    rates_hz = list(dict.fromkeys(tracker.rate_hz for tracker in sound_trackers.values()))
    for chunk in Reader(facts, frames=bool(frame_trackers), sound_rates_hz=rates_hz, chunk_frames=3):
        if isinstance(chunk, FrameChunk):
            for frame_tracker in frame_trackers.values():
                frame_tracker.update(chunk)
        else:
            for sound_tracker in sound_trackers.values():
                _hear(sound_tracker, chunk)
    tracks: dict[str, Track] = {}
    if facts.video is not None:
        tracks |= {name: frame_tracker.finish() for name, frame_tracker in frame_trackers.items()}
    if facts.audio is not None:
        tracks |= {name: sound_tracker.finish() for name, sound_tracker in sound_trackers.items()}
    return tracks


def _hear(tracker: SoundTracker, chunk: AudioChunk) -> None:
    """Give a tracker sound in short pieces, if it is in the rate that it wants."""
    if tracker.rate_hz != chunk.wanted_rate_hz:
        return
    for start in range(0, len(chunk.samples), _PIECE):
        start_s = chunk.start_s + start / chunk.rate_hz
        tracker.update(AudioChunk(start_s, chunk.rate_hz, chunk.samples[start : start + _PIECE]))
