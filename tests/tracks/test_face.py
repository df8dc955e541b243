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
    return dict(zip(face.COLUMNS, face.measure(points[None])[0].tolist(), strict=True))


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


def _measure_one(points_px: np.ndarray) -> list[float]:
    """Measure one face in plain steps."""
    template, observed = np.array(list(face._AVERAGE_HEAD.values())), points_px[list(face.RIGID_POINTS)]
    spread = observed - observed.mean(axis=0)
    left, singular, right = np.linalg.svd(spread.T @ (template - template.mean(axis=0)))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = (singular * sign).sum() / (spread**2).sum()
    points = scale * (points_px - observed.mean(axis=0)) @ rotation + template.mean(axis=0)

    def distance(pair: tuple[int, int]) -> float:
        return float(np.linalg.norm(points[pair[0]] - points[pair[1]]))

    def gaze(left: int, right: int, iris: int) -> np.ndarray:
        axis = points[right, :2] - points[left, :2]
        offset = points[iris, :2] - (points[left, :2] + points[right, :2]) / 2
        return np.array([offset @ axis, axis[0] * offset[1] - axis[1] * offset[0]]) / (axis @ axis)

    forward, across = rotation @ (0, 0, -1), rotation @ (1, 0, 0)
    width = np.mean([distance(pair) for pair in ((61, 291), (78, 308))])
    pairs = ((13, 14), (82, 87), (312, 317))
    return [
        np.rad2deg(np.arctan2(forward[0], -forward[2])),
        np.rad2deg(np.arctan2(-forward[1], np.hypot(forward[0], forward[2]))),
        np.rad2deg(np.arctan2(across[1], across[0])),
        *(points_px[33, :2] + points_px[263, :2]) / 2,
        1 / scale,
        np.mean([points[below, 1] - points[above, 1] for above, below in pairs]),
        width,
        points[[152, 148, 377], 1].mean(),
        points[[0, 13], 1].mean(),
        points[[17, 14], 1].mean(),
        points[[0, 13, 17, 14], 2].mean(),
        points[13, 1] - points[[61, 291], 1].mean() + 0.5 * (width - 0.55),
        np.mean([distance(lids) for lids in ((159, 145), (158, 153), (160, 144))]) / distance((33, 133)),
        np.mean([distance(lids) for lids in ((386, 374), (385, 380), (387, 373))]) / distance((263, 362)),
        *(gaze(33, 133, 468) + gaze(362, 263, 473)) / 2,
        *(distance(pair) for pair in ((133, 362), (168, 2), (98, 327), (234, 454), (10, 2))),
    ]


def test_faces_measured_together_are_measured_as_each_alone() -> None:
    heads = [
        200 * _head(gap=gap, look=look) @ _turn(yaw, yaw / 2, -yaw).T + (320, 240, yaw)
        for gap, look, yaw in ((0.1, 0.0, 0.0), (0.2, 0.05, 20.0), (0.0, -0.05, -35.0))
    ]
    rows = face.measure(np.stack(heads))
    assert rows == pytest.approx(np.array([_measure_one(head) for head in heads]), rel=1e-6, abs=1e-6)
    alone = np.concatenate([face.measure(head[None]) for head in heads])
    # OpenBLAS rounds by where its memory lies: only a gaze straight ahead, 1e-16, shows that
    assert alone == pytest.approx(rows, rel=1e-6, abs=1e-12)


def test_faces_are_those_that_mediapipe_gives() -> None:
    """From picture to picture, without a face in between, and after the graph began anew."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    blank = np.full((512, 512, 3), 90, dtype=np.uint8)
    pictures = [np.roll(_astronaut(), 3 * k, axis=1) for k in range(4)]
    n_found = 0
    with FaceMesh(refine_landmarks=True) as whole, FaceMesh(refine_landmarks=True) as ours:
        for picture in (*pictures, blank, blank, *pictures):
            if picture is pictures[2]:
                whole.reset()
                ours.reset()
            faces = whole.process(picture).multi_face_landmarks
            found = face.find_face(ours, picture)
            if not faces:
                assert found is None
                continue
            assert found is not None
            assert found.tolist() == [[point.x, point.y, point.z] for point in faces[0].landmark]
            n_found += 1
    assert n_found == 8


def test_a_view_shows_what_is_in_its_square_and_says_where_it_was() -> None:
    frame = np.zeros((60, 80, 3), dtype=np.uint8)
    frame[20:40, 30:50] = 255
    view = face._View.around(np.array([[36.0, 26.0], [44.0, 34.0]]))
    assert view == (30, 20, 20)
    assert view.cut(frame).min() == 255
    assert view.back(np.array([[0.0, 384.0, 192.0]])).tolist() == [[30.0, 40.0, 10.0]]


@pytest.mark.parametrize("place", [(-25, 0), (-5, -5), (70, 50), (200, 200), (0, 0)])
def test_beyond_the_edge_a_view_is_black(place: tuple[int, int]) -> None:
    side = face._CLOSE_SIDE_PX // 16
    frame = np.random.default_rng(0).integers(1, 256, (60, 80, 3), dtype=np.uint8)
    cut = face._View(*place, side).cut(frame)
    whole = np.pad(frame, ((300, 300), (300, 300), (0, 0)))
    x, y = place[0] + 300, place[1] + 300
    wanted = cv2.resize(whole[y : y + side, x : x + side], cut.shape[:2], interpolation=cv2.INTER_CUBIC)
    assert cut.tolist() == wanted.tolist()


def test_a_small_face_is_measured_like_the_same_one_at_full_size() -> None:
    """The astronaut at 110 pixels in a wide picture, and as it is; from frame to frame its head is turned in the picture."""
    turned = []
    for angle_deg in np.linspace(-12, 12, 7):
        matrix = cv2.getRotationMatrix2D((224, 120), angle_deg, 1.0)
        turned.append(cv2.warpAffine(_astronaut(), matrix, (512, 512), borderValue=(90, 90, 90)))
    small = []
    for picture in turned:
        wide = np.full((368, 688, 3), 90, dtype=np.uint8)
        wide[150:260, 400:510] = cv2.resize(picture, (110, 110), interpolation=cv2.INTER_AREA)
        small.append(wide)
    near, far = _track(turned), _track(small)
    assert near.coverage == far.coverage == 1.0
    assert far["roll_deg"] == pytest.approx(near["roll_deg"], abs=3)
    assert far["centre_x_px"] == pytest.approx(400 + near["centre_x_px"] * 110 / 512, abs=1.5)
