"""The expression evaluator, on faces that do as told, and on real clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from evalkit.evaluators.expression import Expression
from evalkit.testing.stick_figure import face_track
from evalkit.types import ClipFacts, Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evalkit.types import Measurement, Track

NOBODY = ClipFacts("clip.mp4", None, None, None)


def measure(face: Track) -> dict[str, Measurement]:
    found = Expression().measure(NOBODY, {"face": face}).measurements
    return {measurement.metric.name.removeprefix("expression."): measurement for measurement in found}


def seconds(duration_s: float, fps: float = 25.0) -> np.ndarray:
    return np.arange(round(duration_s * fps)) / fps


def blinking(times_s: np.ndarray, every_s: float) -> np.ndarray:
    """Return openness with a blink of 160 ms every so often."""
    to_blink_s = np.abs((times_s - every_s / 2) % every_s - every_s / 2)
    return np.where(to_blink_s < 0.08, 0.08, 0.3)


def test_planted_face():
    times_s = seconds(20.0)
    eyes = np.roll(blinking(times_s, 4.0), 50)
    face = face_track(
        times_s,
        eye_left=eyes,
        eye_right=eyes,
        smile=np.where(times_s < 10.0, -0.05, 0.05),
        pitch_deg=5.0 * np.sin(2 * np.pi * 1.0 * times_s),
        yaw_deg=np.where(times_s < 15.0, 0.0, 25.0),
    )
    found = measure(face)
    assert found["blink_per_min"].value == pytest.approx(15.0)
    assert found["blink_per_min"].interval is not None
    assert found["nod_per_min"].value == pytest.approx(60.0, abs=3.0)
    assert found["smile_mean"].value == pytest.approx(0.0, abs=1e-3)
    assert found["smile_range"].value == pytest.approx(0.1, abs=1e-3)
    # variances: 5^2/2 of pitch, 25^2 * 1/4 * 3/4 of yaw
    assert found["head_motion_deg"].value == pytest.approx(np.sqrt(12.5 + 117.2), rel=0.01)
    assert found["gaze_on_camera"].value == pytest.approx(0.75, abs=0.02)
    assert all(measurement.coverage == 1.0 for measurement in found.values())


def test_rates_count_only_the_time_with_a_face():
    times_s = seconds(20.0)
    eyes = np.roll(blinking(times_s, 4.0), 50)
    found = measure(face_track(times_s, seen=times_s < 8.0, eye_left=eyes, eye_right=eyes))
    assert found["blink_per_min"].value == pytest.approx(2 / 8 * 60)
    assert found["blink_per_min"].coverage == pytest.approx(0.4)


def test_a_still_face_is_measured_as_still():
    found = measure(face_track(seconds(10.0)))
    assert found["blink_per_min"].value == found["nod_per_min"].value == 0.0
    assert found["head_motion_deg"].value == found["smile_range"].value == 0.0
    assert found["gaze_on_camera"].value == 1.0
    # no blink in ten seconds still allows for 22 a minute: -ln(0.025) * 6
    assert found["blink_per_min"].interval == pytest.approx((0.0, 22.13), abs=0.01)


ABSENT = {
    "one frame": (lambda: face_track(seconds(0.04)), Reason.TOO_FEW_FRAMES),
    "a second": (lambda: face_track(seconds(1.0)), Reason.TOO_SHORT),
    "nobody": (lambda: face_track(seconds(5.0), seen=np.zeros(125, dtype=bool)), Reason.NO_FACE),
    "a glimpse": (lambda: face_track(seconds(5.0), seen=np.arange(125) < 25), Reason.NO_FACE),
    "ten frames a second": (lambda: face_track(seconds(5.0, 10.0)), Reason.LOW_FRAME_RATE),
}


@pytest.mark.parametrize(("make", "reason"), ABSENT.values(), ids=ABSENT)
def test_absent_with_a_reason(make: Callable[[], Track], reason: Reason):
    assert {measurement.reason for measurement in measure(make()).values()} == {reason}


def test_no_picture():
    found = list(Expression().measure(NOBODY, {}).measurements)
    assert [measurement.metric for measurement in found] == list(Expression.metrics)
    assert {measurement.reason for measurement in found} == {Reason.NO_VIDEO}


@pytest.mark.media
@pytest.mark.parametrize(
    ("clip", "blinks_s"),
    [
        # looked up frame by frame
        ("talking_real/lipnet_bbaf2n.mpg", [1.72, 2.04]),
        ("talking_real/lipnet_brbk7n.mpg", [0.88]),
        ("talking_real/lipnet_lbbc2a.mpg", []),
        ("talking_real/liveportrait_d18_SILENT_audio.mp4", [3.17, 6.2]),
    ],
)
def test_blinks_of_real_people(media_folder: Path, clip: str, blinks_s: list[float]):
    from evalkit.measuring.runner import make_tracks
    from evalkit.media import probe
    from evalkit.tracks import make_tracker
    from evalkit.tracks.cache import TrackCache

    tracks, _ = make_tracks(probe(str(media_folder / clip)), {"face": make_tracker("face")}, TrackCache())
    found = measure(tracks["face"])
    assert dict(found["blink_per_min"].samples)["moments_s"] == pytest.approx(blinks_s, abs=0.05)
    assert found["gaze_on_camera"].value > 0.9
