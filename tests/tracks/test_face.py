"""The face track: planted poses and lips, a real face, and a face that is hard to find."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from evalkit.tracks import face
from evalkit.types import FrameChunk

LIP = {name: face.COLUMNS.index(name) for name in face.COLUMNS}


def _turn(yaw_deg: float = 0, pitch_deg: float = 0, roll_deg: float = 0) -> np.ndarray:
    """Turn about y (to the viewer's right), then x (up), then z (clockwise); x right, y down, z away."""
    yaw, pitch, roll = np.deg2rad([yaw_deg, pitch_deg, roll_deg])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def _head(**lips: float) -> np.ndarray:
    """A made-up head in the head frame: the rigid points of the average head, a mouth and eyes of given shape."""
    points = np.random.default_rng(0).normal(0, 0.3, (478, 3))
    points[list(face.RIGID_POINTS)] = list(face._AVERAGE_HEAD.values())
    gap, width = lips.get("gap", 0.1), lips.get("width", 0.6)
    for above, below in face._INNER_LIP_PAIRS:
        points[above] = (0, 0.8 - gap / 2, -0.3)
        points[below] = (0, 0.8 + gap / 2, -0.3)
    for left, right in face._MOUTH_WIDTHS:
        points[left], points[right] = (-width / 2, 0.8, -0.2), (width / 2, 0.8, -0.2)
    for pairs in (face._LIDS_LEFT, face._LIDS_RIGHT):
        for upper, lower in pairs:
            points[upper], points[lower] = (0, -0.04, 0), (0, 0.04, 0)
    for iris, inner, outer in ((face._IRIS_LEFT, 133, 33), (face._IRIS_RIGHT, 362, 263)):
        points[iris] = (points[inner] + points[outer]) / 2 + (lips.get("look", 0.0), 0, 0)
    return points


def _row(points: np.ndarray) -> dict[str, float]:
    return dict(zip(face.COLUMNS, face.measure(points).tolist(), strict=True))


@pytest.mark.parametrize("axis", ["yaw_deg", "pitch_deg", "roll_deg"])
@pytest.mark.parametrize("angle_deg", [-25.0, 10.0])
def test_a_turned_head_is_measured_with_its_sign(axis: str, angle_deg: float) -> None:
    row = _row(200 * _head() @ _turn(**{axis: angle_deg}).T + (320, 240, 0))
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        assert row[name] == pytest.approx(angle_deg if name == axis else 0.0, abs=1e-3)


def test_directions_in_words() -> None:
    """The nose of a head turned to the viewer's right, and up, moves right, and up, in the picture."""
    nose = np.array([0.0, 0.0, -1.0])
    assert (_turn(yaw_deg=20) @ nose)[0] > 0
    assert (_turn(pitch_deg=20) @ nose)[1] < 0
    right_ear = np.array([1.0, 0.0, 0.0])
    assert (_turn(roll_deg=20) @ right_ear)[1] > 0


def test_lips_do_not_know_where_the_head_is_nor_how_it_is_turned() -> None:
    plain = _row(_head(gap=0.13, width=0.55))
    moved = _row(87.0 * _head(gap=0.13, width=0.55) @ _turn(15, -10, 5).T + (500, 10, 3))
    assert plain["lip_gap"] == pytest.approx(0.13, abs=1e-6)
    assert plain["lip_width"] == pytest.approx(0.55, abs=1e-6)
    for name in (*face.LIP_COLUMNS, "smile", "eye_left", "eye_right"):
        assert moved[name] == pytest.approx(plain[name], abs=1e-5)
    assert moved["scale_px"] == pytest.approx(87.0, rel=1e-6)


def test_gaze_is_positive_to_the_viewers_right() -> None:
    assert _row(_head(look=0.05))["gaze_x"] == pytest.approx(0.05 / 0.31, abs=0.01)
    assert _row(_head(look=-0.05))["gaze_x"] == pytest.approx(-0.05 / 0.31, abs=0.01)


def _astronaut(scale: float = 1.0) -> np.ndarray:
    picture = data.astronaut()
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _track(frames: list[np.ndarray], chunk: int = 4):
    tracker = face.FaceTracker()
    for start in range(0, len(frames), chunk):
        part = frames[start : start + chunk]
        tracker.update(FrameChunk(start, (start + np.arange(len(part))) / 25, part))
    return tracker.finish()


def test_a_real_face_is_found_and_its_pose_does_not_depend_on_the_resolution() -> None:
    large, small = (_track([_astronaut(scale)] * 2) for scale in (1.0, 0.5))
    assert large.coverage == small.coverage == 1.0
    assert large["scale_px"][-1] == pytest.approx(2 * small["scale_px"][-1], rel=0.05)
    for angle in ("yaw_deg", "pitch_deg", "roll_deg"):
        assert large[angle][-1] == pytest.approx(small[angle][-1], abs=4)
    assert 0.15 < large["eye_left"][-1] < 0.6


def test_a_mirrored_face_turns_the_other_way() -> None:
    plain, mirrored = (_track([picture] * 2) for picture in (_astronaut(), _astronaut()[:, ::-1].copy()))
    assert mirrored["yaw_deg"][-1] == pytest.approx(-plain["yaw_deg"][-1], abs=5)
    assert mirrored["roll_deg"][-1] == pytest.approx(-plain["roll_deg"][-1], abs=5)


def test_a_tiny_face_is_found_by_looking_closer() -> None:
    wide = np.full((360, 640, 3), 90, dtype=np.uint8)
    person = _astronaut(0.22)
    wide[200 : 200 + person.shape[0], 430 : 430 + person.shape[1]] = person
    track = _track([wide] * 3)
    assert track.coverage > 0.5
    assert track["centre_x_px"][track.valid][0] == pytest.approx(430 + 0.22 * 224, abs=12)


def test_no_face_is_invalid_and_keeps_its_place_in_time() -> None:
    blank = np.full((128, 128, 3), 127, dtype=np.uint8)
    frames = [_astronaut()] * 2 + [blank] * 2
    track = _track(frames)
    assert track.valid.tolist() == [True, True, False, False]
    assert track.times_s == pytest.approx(np.arange(4) / 25)
    assert np.isnan(track.values[2:]).all()


def test_values_do_not_depend_on_chunks() -> None:
    frames = [np.roll(_astronaut(0.5), k, axis=1) for k in range(5)]
    whole, cut = _track(frames, chunk=5), _track(frames, chunk=2)
    assert whole.values == pytest.approx(cut.values, abs=1e-12)
