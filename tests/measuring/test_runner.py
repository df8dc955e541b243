"""One pass for all evaluators: sharing, caching, failing alone, and what is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalkit
from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.evaluators.load import load_evaluators
from evalkit.measuring import runner
from evalkit.measuring.observer import Observer
from evalkit.measuring.results import ClipResult, Report
from evalkit.media import Reader, probe
from evalkit.media.reader import CHUNK_FRAMES
from evalkit.testing.media import write_clip
from evalkit.testing.talking_face import TalkingFace
from evalkit.tracks.base import TrackBuilder
from evalkit.tracks.cache import TrackCache
from evalkit.types import (
    ClipFacts,
    ClipIntent,
    FrameChunk,
    Interval,
    Measurement,
    Metric,
    Moment,
    Reason,
    Track,
)

BRIGHTNESS = Metric("fake.brightness", "1", "band", "mean luma")


class Brightness(Evaluator):
    """A whole evaluator."""

    name, version, metrics, tracks = "fake", 3, (BRIGHTNESS,), ("picture",)

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure the mean luma."""
        del facts
        if "picture" not in tracks:
            return self.absent(Reason.NO_VIDEO)
        luma = tracks["picture"]["luma_mean"]
        return Measured((Measurement(BRIGHTNESS, float(luma.mean()), n=len(luma), coverage=1.0),))


class Broken(Brightness):
    """An evaluator with a fault."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Raise."""
        del facts, tracks
        raise RuntimeError("out of order")


class Forgetful(Brightness):
    """An evaluator that does not give what it announces."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Give nothing."""
        del facts, tracks
        return Measured(())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = [np.full((48, 64, 3), 20 * k, dtype=np.uint8) for k in range(10)]
    return write_clip(tmp_path / "clip.mp4", frames)


def test_an_evaluator_that_fails_or_forgets_fails_alone(clip: Path) -> None:
    result = runner.measure(str(clip), [Broken(), Brightness(), Forgetful()])
    assert [m.reason for m in result.measurements] == [Reason.EVALUATOR_FAILED, None, Reason.EVALUATOR_FAILED]
    assert result.measurements[1].n == 10


def test_a_tracker_that_fails_fails_who_needs_it(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.tracks.picture import PictureTracker

    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setenv(
        "EVALKIT_CACHE_DIR", str(clip.with_name("cache"))
    )  # other tests look at the same picture
    monkeypatch.setattr(PictureTracker, "update", fail)
    result = runner.measure(str(clip), [Brightness()])
    assert [m.reason for m in result.measurements] == [Reason.EVALUATOR_FAILED]


def test_known_tracks_are_not_made_again(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = runner.measure(str(clip), [Brightness()])

    def refuse(*_: object) -> None:
        raise AssertionError("the file was decoded again")

    monkeypatch.setattr(Reader, "__iter__", refuse)
    again = runner.measure(str(clip), [Brightness()])
    assert again["fake.brightness"].value == first["fake.brightness"].value


def test_another_content_under_the_same_name_is_measured_anew(clip: Path) -> None:
    dark = runner.measure(str(clip), [Brightness()])["fake.brightness"].value
    write_clip(clip, [np.full((48, 64, 3), 250, dtype=np.uint8)] * 10)
    light = runner.measure(str(clip), [Brightness()])["fake.brightness"].value
    assert dark is not None
    assert light is not None
    assert light > dark + 50


def test_sound_alone_has_a_reason_for_every_picture_metric(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "sound.wav", sound=np.zeros(16_000), rate_hz=16_000)
    result = runner.measure(str(clip), [Brightness()])
    assert [m.reason for m in result.measurements] == [Reason.NO_VIDEO]


def test_json_has_values_with_their_facts_and_absences_with_their_reasons() -> None:
    result = ClipResult(
        "a.mp4",
        (
            Measurement(BRIGHTNESS, 0.5, n=3, coverage=0.25, interval=Interval(0.25, 0.75)),
            Measurement.absent(Metric("fake.other", "s", "lower", "…"), Reason.NO_FACE),
        ),
        evaluators={"fake": "3"},
        versions={"evalkit": "0"},
    )
    plain = json.loads(Report((result,)).to_json())
    assert plain == [
        {
            "clip": "a.mp4",
            "metrics": {
                "fake.brightness": {"value": 0.5, "unit": "1", "ci95": [0.25, 0.75], "n": 3, "coverage": 0.25}
            },
            "absent": {"fake.other": "no_face"},
            "notes": [],
            "evaluators": {"fake": "3"},
            "versions": {"evalkit": "0"},
            "weights": {},
        }
    ]


def test_a_table_has_a_row_a_clip_and_says_why_values_are_missing() -> None:
    seen = ClipResult("a", (Measurement(BRIGHTNESS, 0.5, n=1),))
    blind = ClipResult("b", (Measurement.absent(BRIGHTNESS, Reason.NO_VIDEO),))
    table = Report((seen, blind)).frame()
    assert table["clip"].tolist() == ["a", "b"]
    assert table["fake.brightness"].isna().tolist() == [False, True]
    assert table["fake.brightness.absent"].iloc[1] == "no_video"


def test_evaluate_measures_with_everything_installed(talking_face: TalkingFace) -> None:
    report = evalkit.evaluate(str(talking_face.path))
    (clip,) = report.clips
    families = {m.metric.name.partition(".")[0] for m in clip.measurements}
    assert families == set(registry.names(registry.EVALUATORS))
    assert clip["technical.face_coverage"].value == 1.0
    assert clip["technical.fps"].value == pytest.approx(25)
    assert clip.evaluators["lip_sync"].split()[0] == "6"  # and what finds its phones
    assert set(clip.weights) >= {
        "lip_sync/predictor.npz",
        "speech_likeness/weights.json",
    }  # and of installed extras


def test_a_file_that_cannot_be_opened_is_a_result(tmp_path: Path) -> None:
    (clip,) = evalkit.evaluate(str(tmp_path / "gone.mp4"), evaluators=["technical"]).clips
    assert clip.error is not None
    assert clip.error.code == "missing_file"


def test_a_separate_sound_replaces_the_clips_own(tmp_path: Path, talking_face: TalkingFace) -> None:
    silence = write_clip(tmp_path / "silence.wav", sound=np.zeros(5 * 16_000), rate_hz=16_000)
    report = evalkit.evaluate(str(talking_face.path), audio=str(silence), evaluators=["lip_sync"])
    assert report.clips[0]["lip_sync.error"].reason is Reason.SILENT_AUDIO


def test_one_sound_cannot_belong_to_two_clips() -> None:
    with pytest.raises(UsageError, match="belongs to a single clip, and there are 2"):
        evalkit.evaluate(["a.mp4", "b.mp4"], audio="c.wav")


def test_an_unknown_evaluator_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'lip_sync'"):
        evalkit.evaluate("a.mp4", evaluators=["lipsync"])


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        (None, None, "either a value or a reason"),
        (1.0, Reason.NO_FACE, "either"),
        (float("nan"), None, "not a finite number"),
    ],
)
def test_a_measurement_is_a_value_or_a_reason(
    value: float | None, reason: Reason | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(BRIGHTNESS, value, reason)


class Tuned(Brightness):
    """An evaluator with a setting, a track of its own and an identity."""

    name, version, metrics, tracks = "tuned", 1, (BRIGHTNESS,), ("green",)

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    @property
    def identity(self) -> str:
        """The scale."""
        return f"scale-{self.scale}"

    def trackers(self, facts: ClipFacts) -> dict[str, Any]:
        """Return what makes the green track."""
        del facts
        return {"green": GreenTracker}

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure the mean green."""
        del facts
        value = self.scale * float(tracks["green"]["mean"].mean())
        return Measured((Measurement(BRIGHTNESS, value, n=1, coverage=1.0),))


class GreenTracker:
    """Follows the mean green."""

    name, version = "green", 1

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, ("mean",))

    def update(self, chunk: FrameChunk) -> list[None]:
        """Take frames."""
        for time_s, frame in zip(chunk.times_s, chunk.frames, strict=True):
            self._rows.append(float(time_s), np.array([frame[..., 1].mean()], dtype=np.float32))
        return [None] * len(chunk.frames)

    def finish(self) -> Track:
        """Return the track."""
        return self._rows.track()


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install `Tuned` in the place of everything."""
    monkeypatch.setattr(registry, "load", lambda _group, _name: Tuned)


@pytest.mark.usefixtures("tuned")
def test_an_evaluator_takes_settings_and_brings_a_track(clip: Path) -> None:
    once, twice = (
        runner.measure(str(clip), load_evaluators(["tuned"], {"tuned": {"scale": scale}}))
        for scale in (1.0, 2.0)
    )
    assert once["fake.brightness"].value == pytest.approx(90.0, abs=3.0)  # 0, 20 … 180
    assert twice["fake.brightness"].value == pytest.approx(2.0 * (once["fake.brightness"].value or 0.0))
    assert (once.evaluators["tuned"], twice.evaluators["tuned"]) == (
        "1 scale-1.0",
        "1 scale-2.0",
    )


@pytest.mark.usefixtures("tuned")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"tuned": {"scael": 1}},
            "'tuned' has no setting 'scael'; did you mean 'scale'. .its settings: scale",
        ),
        ({"brand": {"file": "a"}}, "settings for the evaluator 'brand', which is not among tuned"),
    ],
)
def test_settings_that_nobody_has_are_refused(settings: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_evaluators(["tuned"], settings)


class Choosy(Tuned):
    """An evaluator that needs its track only where there is a prompt."""

    tracks = ()

    def trackers(self, facts: ClipFacts) -> dict[str, Any]:
        """Return what makes the green track, where there is a prompt."""
        return {"green": GreenTracker} if facts.intent.prompt else {}

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Count the tracks."""
        del facts
        return Measured((Measurement(BRIGHTNESS, float(len(tracks)), n=1),))


def test_an_evaluator_may_choose_its_tracks_by_what_was_asked(clip: Path) -> None:
    with_prompt, without = (
        runner.measure(str(clip), [Choosy()], intent=ClipIntent(prompt=prompt)) for prompt in ("a cat", None)
    )
    assert with_prompt["fake.brightness"].value == 1
    assert without["fake.brightness"].value == 0


class Breathless(GreenTracker):
    """A tracker that fails when all is over."""

    name = "breathless"

    def finish(self) -> Track:
        """Fail."""
        raise RuntimeError("out of breath")


def test_a_tracker_that_fails_at_the_end_costs_its_evaluator_alone(clip: Path) -> None:
    class Failing(Tuned):
        tracks = ("breathless",)

        def trackers(self, facts: ClipFacts) -> dict[str, Any]:
            del facts
            return {"breathless": Breathless}

    result = runner.measure(str(clip), [Failing(), Brightness()])
    assert result.measurements[0].reason is Reason.EVALUATOR_FAILED
    assert result.measurements[1].value is not None


class _Waiting(GreenTracker):
    """A tracker that works on no chunk before it is allowed to."""

    name = "waiting"

    def __init__(self, allowed: threading.Semaphore, *, fails_at: int | None = None) -> None:
        super().__init__()
        self._rows = TrackBuilder(self.name, ("mean",))
        self._allowed, self._fails_at = allowed, fails_at
        self.seen: list[int] = []

    def update(self, chunk: FrameChunk) -> list[None]:
        """Take frames when allowed."""
        assert self._allowed.acquire(timeout=60)
        self.seen.append(chunk.first_index)
        if self._fails_at == len(self.seen):
            raise RuntimeError("out of breath")
        return super().update(chunk)


class _Fast(GreenTracker):
    """A tracker that lets others work when it is some chunks ahead, or has seen all."""

    name = "fast"

    def __init__(self, allowed: threading.Semaphore, n_ahead: int) -> None:
        super().__init__()
        self._rows = TrackBuilder(self.name, ("mean",))
        self._allowed, self._n_ahead = allowed, n_ahead
        self.n_seen = 0

    def update(self, chunk: FrameChunk) -> list[None]:
        """Take frames, and allow the other to take those of a while ago."""
        self.n_seen += 1
        if self.n_seen > self._n_ahead:
            self._allowed.release()
        return super().update(chunk)


class _Noting(Observer):
    needs_frames = True

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[str]]] = []

    def on_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
        self.seen.append((chunk.first_index, sorted(points)))


@pytest.fixture
def long_clip(tmp_path: Path) -> Path:
    """A clip of eight chunks."""
    frames = [np.full((16, 16, 3), k, dtype=np.uint8) for k in range(8 * CHUNK_FRAMES)]
    return write_clip(tmp_path / "long.mp4", frames)


def _tracks(clip: Path, trackers: list[GreenTracker], observer: Observer | None = None) -> dict[str, Track]:
    tracks, _ = runner.make_tracks(
        probe(str(clip)),
        {t.name: t for t in trackers},
        TrackCache(clip.with_name("cache")),
        observer=observer,
    )
    return tracks


def test_a_fast_tracker_does_not_wait_for_a_slow_one(long_clip: Path) -> None:
    """The slow one works on a chunk only when the fast one has seen the last that may be in work beside it."""
    allowed = threading.Semaphore(0)
    fast = _Fast(allowed, n_ahead=runner.CHUNKS_APART - 1)
    slow = _Waiting(allowed)
    decoded: list[int] = []

    class Observing(_Noting):
        def on_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
            super().on_frames(chunk, points)
            decoded.append(fast.n_seen)
            if fast.n_seen == 8:  # nothing follows that would allow the slow one to go on
                allowed.release(8)

    observer = Observing()
    tracks = _tracks(long_clip, [slow, fast], observer)
    assert tracks["waiting"].values.tolist() == tracks["fast"].values.tolist()
    assert observer.seen == [(CHUNK_FRAMES * k, ["fast", "waiting"]) for k in range(8)]
    assert max(n - k for k, n in enumerate(decoded)) <= runner.CHUNKS_APART + 1


def test_a_tracker_that_fails_in_the_middle_sees_nothing_more(long_clip: Path) -> None:
    allowed = threading.Semaphore(1000)
    broken, whole, observer = _Waiting(allowed, fails_at=2), GreenTracker(), _Noting()
    tracks = _tracks(long_clip, [broken, whole], observer)
    assert list(tracks) == ["green"]
    assert len(tracks["green"]) == 8 * CHUNK_FRAMES
    assert [names for _, names in observer.seen] == [["green", "waiting"]] + [["green"]] * 7
    assert len(broken.seen) <= 1 + runner.CHUNKS_APART


class Momentous(Brightness):
    """An evaluator with worst moments of its choice."""

    def __init__(self, *moments: Moment) -> None:
        self._moments = moments

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Give a value with the moments."""
        del facts, tracks
        return Measured((Measurement(BRIGHTNESS, 0.5, moments=self._moments),))


def test_moments_end_with_the_clip(clip: Path) -> None:
    (found,) = runner.measure(str(clip), [Momentous(Moment(-0.5, 0.2, 1.0), Moment(0.6, 99.0, 2.0))])
    first, second = found.moments
    assert first == Moment(0.0, 0.2, 1.0)
    assert second.start_s == 0.6
    assert 0.6 < second.end_s < 1  # it has nine frames


@pytest.mark.parametrize("moment", [Moment(-2.0, -1.0, 0.5), Moment(98.0, 99.0, 0.5)])
def test_moments_outside_of_the_clip_fail_their_evaluator(
    clip: Path, moment: Moment, caplog: pytest.LogCaptureFixture
) -> None:
    (found,) = runner.measure(str(clip), [Momentous(moment)])
    assert found.reason == Reason.EVALUATOR_FAILED
    assert "is outside of the clip" in caplog.text
