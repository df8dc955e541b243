"""The stability evaluator: planted seams and drifts through the whole pass, and input it must not trip over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from evalkit.evaluators import stability
from evalkit.evaluators.pictures.stability import draw_stability
from evalkit.evaluators.stability import Stability
from evalkit.measuring.runner import measure as measure_clip
from evalkit.metrics import stability as metrics
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.talking_face import talking_frames
from evalkit.tracks import face as face_track
from evalkit.tracks import stability as changes_track
from evalkit.tracks.base import TrackBuilder
from evalkit.types import ClipFacts, Measurement, Reason, Track, VideoFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FPS = 12.5
"""Of the written clips: half the usual, for half the time."""
PERIOD_FRAMES = 24


def portrait(n: int, width: int = 192, height: int = 192) -> list[np.ndarray]:
    """Return a portrait that speaks and sways."""
    times_s = np.arange(n) / FPS
    opening = 0.5 + 0.5 * np.sin(2 * np.pi * 1.9 * times_s) * np.sin(2 * np.pi * 0.7 * times_s)
    sway = 1.5 * np.sin(2 * np.pi * 0.23 * times_s)
    return list(talking_frames(opening, width=width, height=height, sway_px=sway))


def measure(path: Path) -> dict[str, Measurement]:
    result = measure_clip(str(path), [Stability()])
    assert result.error is None
    return {m.metric.name.removeprefix("stability."): m for m in result.measurements}


def write(path: Path, frames: Iterable[np.ndarray]) -> Path:
    return write_clip(path, frames, fps=FPS)


def reasons(measured: dict[str, Measurement]) -> dict[str, str]:
    return {name: str(m.reason) for name, m in measured.items() if m.value is None}


@pytest.fixture(scope="module")
def seamed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measurement]:
    """Measure 22 s in pieces: every other is moved by three pixels; and colours drift by 3 L* a minute."""
    frames = []
    for index, frame in enumerate(portrait(275)):
        lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        lab[..., 0] += 3.0 * index / FPS / 60
        if index // PERIOD_FRAMES % 2:
            lab = np.roll(lab, 3, axis=1)
        frames.append(np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255 + 0.5, 0, 255).astype(np.uint8))
    return measure(write(tmp_path_factory.mktemp("seamed") / "clip.mp4", frames))


def test_planted_seams_are_found_where_they_are_and_their_period_is_named(
    seamed: dict[str, Measurement],
) -> None:
    seams_s = dict(seamed["seams_per_min"].samples)["seam_s"]
    assert seams_s == pytest.approx(np.arange(PERIOD_FRAMES, 275, PERIOD_FRAMES) / FPS)
    assert seamed["seams_per_min"].value == pytest.approx(60 * 11 / (275 / FPS))
    assert seamed["seam_period_s"].value == pytest.approx(PERIOD_FRAMES / FPS)
    assert seamed["seam_period_s"].n == 10


def test_the_moments_of_seams_are_around_them(seamed: dict[str, Measurement]) -> None:
    moments = seamed["seams_per_min"].moments
    assert len(moments) == 5
    for moment in moments:
        nearest = round(moment.start_s * FPS / PERIOD_FRAMES) * PERIOD_FRAMES / FPS
        assert moment.start_s < nearest < moment.end_s
        assert moment.value == pytest.approx(60 * FPS / PERIOD_FRAMES)


@pytest.mark.parametrize("name", ["color_drift_per_min", "background_color_drift_per_min"])
def test_a_planted_drift_of_lightness_is_found(seamed: dict[str, Measurement], name: str) -> None:
    slope = dict(seamed[name].samples)["l_per_min"]
    assert slope == pytest.approx(3.0, abs=0.6)
    found = seamed[name]
    assert found.interval is not None
    assert found.interval.low <= found.value <= found.interval.high
    assert 1.5 < found.value < 3.5  # ΔE00 weighs lightness less where it is far from 50


def test_what_nothing_was_done_to_does_not_drift(seamed: dict[str, Measurement]) -> None:
    for name in ("sharpness_drift_per_min", "face_drift_per_min"):
        interval = seamed[name].interval
        assert interval is not None
        assert interval.low <= 0 <= interval.high, name


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Measurement]]:
    folder = tmp_path_factory.mktemp("poor")
    wide = portrait(50, width=320)
    clips: dict[str, Callable[[], Iterable[np.ndarray]]] = {
        "one second": lambda: wide[:12],
        "nobody": lambda: moving_pattern(5, fps=FPS),
        "black": lambda: [np.zeros((120, 160, 3), np.uint8)] * 60,
        "still": lambda: [wide[0]] * 60,
        "two faces": lambda: [np.hstack([frame, frame[:, ::-1]]) for frame in wide],
    }
    return lambda what: measure(write(folder / f"{what}.mp4", clips[what]()))


def test_a_second_is_too_short_for_anything(poor: Callable[[str], dict[str, Measurement]]) -> None:
    assert set(reasons(poor("one second")).values()) == {"too_short"}
    assert len(reasons(poor("one second"))) == 7


def test_without_a_person_the_background_is_measured(poor: Callable[[str], dict[str, Measurement]]) -> None:
    measured = poor("nobody")
    assert measured["seams_per_min"].value is not None
    assert measured["background_flicker"].value is not None
    assert reasons(measured)["face_drift_per_min"] == "too_short"


@pytest.mark.parametrize("what", ["black", "still"])
def test_a_picture_that_stands_still_is_not_stable(
    poor: Callable[[str], dict[str, Measurement]], what: str
) -> None:
    absent = reasons(poor(what))
    for name in ("seams_per_min", "seam_period_s", "background_flicker"):
        assert absent[name] == "still_picture"


def test_two_faces_have_no_seam(poor: Callable[[str], dict[str, Measurement]]) -> None:
    assert poor("two faces")["seams_per_min"].value == 0


def test_a_variable_frame_rate_has_no_seam(tmp_path: Path) -> None:
    steps_s = np.where(np.arange(60) % 3 == 0, 0.04, 0.10)
    times_s = np.cumsum(steps_s)
    sway = 3 * np.sin(2 * np.pi * 0.23 * times_s)
    frames = talking_frames(np.full(60, 0.3), width=192, height=192, sway_px=sway)
    measured = measure(write_clip(tmp_path / "vfr.mp4", frames, times_s=times_s - times_s[0]))
    assert measured["seams_per_min"].value == 0


def _tracks(n_s: float, *, person: bool = True, face: bool = True, fps: float = FPS) -> dict[str, Track]:
    """Return tracks of a clip in which everything moves a little, without frames behind them."""
    random = np.random.default_rng(1)
    rows = TrackBuilder("stability", changes_track.COLUMNS)
    faces = TrackBuilder("face", face_track.COLUMNS)
    pictures = TrackBuilder("picture", ("sharpness",))
    for index in range(int(n_s * fps)):
        row = dict(
            zip(changes_track.COLUMNS, random.normal(0, 0.01, len(changes_track.COLUMNS)), strict=True)
        )
        row |= {"change": 5.0, "flicker_percent": 0.1, "person_share": 0.3, "background_share": 0.6}
        row |= {
            f"{region}_{name}": 50 + random.normal() for region in ("person", "background") for name in "lab"
        }
        if not person:
            row |= {name: np.nan for name in row if name.startswith("person")}
        rows.append(index / fps, np.array(list(row.values()), np.float32))
        seen = np.abs(random.normal(1, 0.01, len(face_track.COLUMNS))).astype(np.float32)
        faces.append(index / fps, seen if face else None)
        pictures.append(index / fps, np.array([0.5 + random.normal(0, 0.01)], np.float32))
    return {track.name: track for track in (rows.track(), faces.track(), pictures.track())}


FACTS = ClipFacts("clip", None, VideoFacts(192, 192, FPS, None, 0.0, "h264", 0, None), None)


def _measure_tracks(tracks: dict[str, Track]) -> dict[str, Measurement]:
    found = Stability().measure(FACTS, tracks).measurements
    return {m.metric.name.removeprefix("stability."): m for m in found}


def test_who_is_not_there_costs_what_is_about_him_alone() -> None:
    assert reasons(_measure_tracks(_tracks(30))) == {"seam_period_s": "no_period"}
    assert reasons(_measure_tracks(_tracks(30, person=False, face=False))) == {
        "seam_period_s": "no_period",
        "color_drift_per_min": "no_person",
        "face_drift_per_min": "no_face",
    }


def test_a_person_seen_for_a_while_only_has_no_drift() -> None:
    tracks = _tracks(60)
    absent = tracks["stability"].times_s > 24
    tracks["stability"].values[
        np.ix_(absent, [changes_track.COLUMNS.index(f"person_{name}") for name in "lab"])
    ] = np.nan
    measured = _measure_tracks(tracks)
    assert measured["color_drift_per_min"].reason == stability.NO_PERSON
    assert measured["color_drift_per_min"].coverage == pytest.approx(0.4, abs=0.05)
    assert measured["background_color_drift_per_min"].value is not None


def test_a_still_picture_of_a_person_is_not_said_to_lack_the_person() -> None:
    tracks = _tracks(60)
    changes = tracks["stability"].values
    changes[1:] = np.nan  # as the tracker has it where a picture repeats the last
    changes[1:, changes_track.COLUMNS.index("change")] = 0.0
    measured = _measure_tracks(tracks)
    absent = dict.fromkeys(reasons(measured).values())
    assert list(absent) == ["still_picture"]
    assert measured["face_drift_per_min"].value is not None


@pytest.mark.parametrize(("fps", "n_measured"), [(0.4, 0), (1.0, 4)])
def test_few_frames_a_second_are_told_from_a_still_picture(fps: float, n_measured: int) -> None:
    measured = _measure_tracks(_tracks(120, fps=fps))
    assert set(reasons(measured).values()) == {"low_frame_rate"}
    assert len(measured) - len(reasons(measured)) == n_measured
    alone = reasons(_measure_tracks(_tracks(120, fps=fps, person=False)))
    assert alone["color_drift_per_min"] == ("no_person" if n_measured else "low_frame_rate")


@pytest.mark.parametrize(
    ("piece_s", "said"),
    [(None, ", one every 2.00 s"), (1.99, "as the generator was asked for"), (3.0, "was asked for 3.00 s")],
)
def test_the_period_is_held_to_what_the_generator_was_asked_for(piece_s: float | None, said: str) -> None:
    times_s = np.arange(250) / 25
    seams = np.arange(50, 250, 50)
    course = stability.Course(
        times_s,
        {"head": np.where(np.isin(np.arange(250), seams), 9.0, 0.2)},
        seams,
        metrics.Period(2.0, 0.001, 3),
        1 / 25,
        (np.zeros(0), np.zeros(0)),
        stability.Drifts(None, None, None, None),
        piece_s,
    )
    assert draw_stability(course).axes[0].get_title(loc="left").endswith(said)


def test_stretches_that_flicker_are_named() -> None:
    tracks = _tracks(30)
    bad = (tracks["stability"].times_s >= 10) & (tracks["stability"].times_s < 12)
    tracks["stability"].values[bad, changes_track.COLUMNS.index("flicker_percent")] = 2.0
    (moment,) = _measure_tracks(tracks)["background_flicker"].moments
    assert (moment.start_s, moment.end_s) == pytest.approx((10.0, 12.0))
    assert moment.value == pytest.approx(2.0)


@pytest.mark.parametrize("has_seams", [False, True])
def test_its_picture_is_drawn(has_seams: bool) -> None:
    tracks = _tracks(30)
    if has_seams:
        tracks["stability"].values[24::24, changes_track.COLUMNS.index("person_x_px")] = 9.0
    measured = Stability().measure(FACTS, tracks)
    (exhibit,) = Stability().evidence(measured.details)
    picture = cv2.imdecode(np.frombuffer(exhibit.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 1100
    has_vermilion = (np.abs(picture.astype(int) - (0x00, 0x5E, 0xD5)).max(axis=2) < 8).any()
    assert has_vermilion == has_seams


def test_nothing_has_reasons() -> None:
    found = Stability().measure(ClipFacts("gone", None, None, None), {}).measurements
    assert {m.reason for m in found} == {Reason.NO_VIDEO}


@pytest.mark.media
def test_a_real_speaker_has_no_seam(media_folder: Path) -> None:
    measured = measure(media_folder / "talking_real" / "video-retalking_face_2.mp4")
    assert measured["seams_per_min"].value == 0
    assert measured["background_flicker"].value < metrics.VISIBLE_FLICKER_PERCENT
