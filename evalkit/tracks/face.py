"""The face track: head pose, lips, eyes and gaze from 478 face landmarks.

Conventions
-----------
- *Head frame*: the landmarks after a rigid 3-D alignment (rotation, translation, scale) of points that do not
  move with speech (nose bridge, eye corners, temples, forehead) onto an average head; x to the viewer's right,
  y down, z away from the camera, in units of the distance between the outer eye corners. Values in it do not
  depend on where the face is, how large, or how it is turned.
- Angles: positive yaw = turned to the viewer's right, positive pitch = up, positive roll = clockwise as seen.

Every row depends on its own picture's landmarks only; frames come one after the other, so nothing depends on how
they are cut into chunks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import TrackBuilder
from evalkit.types import FloatArray, FrameChunk, Track
from pipeline.partial_import import load_solution

COLUMNS = (
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "centre_x_px",
    "centre_y_px",
    "scale_px",
    "lip_gap",
    "lip_width",
    "jaw",
    "lip_upper",
    "lip_lower",
    "lip_protrusion",
    "smile",
    "eye_left",
    "eye_right",
    "gaze_x",
    "gaze_y",
    "eye_spacing",
    "nose_length",
    "nose_width",
    "face_width",
    "face_height",
)
"""Pose in degrees; centre and scale in pixels; lips and smile in the head frame; eye openness = lid gap over eye
width (about 0.3 open, below 0.15 closed); gaze = iris centre between the eye corners, 0 centred, positive to the
viewer's right and down, in eye widths. The last five, `SHAPE_COLUMNS`, are distances in the head frame that neither speech nor
blinks nor smiles change much."""

LIP_COLUMNS = COLUMNS[6:12]
"""The lip trajectory: inner-lip gap, mouth width, jaw drop, upper and lower lip height, protrusion."""

SHAPE_COLUMNS = COLUMNS[17:]
"""The shape of the face: between the inner eye corners, from the bridge of the nose to its base, between its wings' bases, between
the ears, from the hair to the base of the nose."""

# Landmark numbers of the 478-point mesh; left and right as seen by the viewer of an unmirrored picture.
_EYE_LEFT = (33, 133)  # outer, inner corner
_EYE_RIGHT = (263, 362)
_LIDS_LEFT = ((159, 145), (158, 153), (160, 144))  # upper, lower
_LIDS_RIGHT = ((386, 374), (385, 380), (387, 373))
_IRIS_LEFT, _IRIS_RIGHT = 468, 473
_INNER_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))
_UPPER_LIP, _LOWER_LIP = (0, 13), (17, 14)
_MOUTH_CORNERS = (61, 291)
_MOUTH_WIDTHS = ((61, 291), (78, 308))
_CHIN = (152, 148, 377)
_SHAPE_PAIRS = ((133, 362), (168, 2), (98, 327), (234, 454), (10, 2))
"""Of `SHAPE_COLUMNS`, in their order."""
_NEUTRAL_WIDTH = 0.55

# The average head, symmetric, over the synthetic speakers that the lip-sync model is trained on. Frozen, because every
# lip trajectory is measured against it; training/lip_sync/template.py makes it again within 0.004.
_AVERAGE_HEAD = {
    168: (0.0, -0.0529, -0.2442),
    6: (0.0, 0.039, -0.2937),
    197: (0.0, 0.1195, -0.3507),
    8: (0.0, -0.1441, -0.2476),
    9: (0.0, -0.2444, -0.2605),
    151: (0.0, -0.4377, -0.229),
    10: (0.0, -0.6208, -0.1857),
    33: (-0.5, 0.0, 0.0),
    133: (-0.1904, 0.0215, -0.061),
    362: (0.1904, 0.0215, -0.061),
    263: (0.5, 0.0, 0.0),
    127: (-0.7839, 0.0534, 0.5533),
    356: (0.7839, 0.0534, 0.5533),
    234: (-0.7768, 0.2205, 0.6016),
    454: (0.7768, 0.2205, 0.6016),
    71: (-0.6873, -0.2205, 0.1492),
    301: (0.6873, -0.2205, 0.1492),
}
RIGID_POINTS = tuple(_AVERAGE_HEAD)


class Alignment(NamedTuple):
    """Faces brought into the head frame.

    Parameters
    ----------
    points : FloatArray, shape (n, 478, 3)
        In the head frame.
    rotation : FloatArray, shape (n, 3, 3)
        Turns the head frame into the picture's axes.
    scale_px : FloatArray, shape (n,)
        Distance between the outer eye corners of the turned head, seen frontally, in pixels.
    """

    points: FloatArray
    rotation: FloatArray
    scale_px: FloatArray


def align(points_px: FloatArray) -> Alignment:
    """Bring landmarks into the head frame (least squares over the rigid points), each face by itself.

    Parameters
    ----------
    points_px : FloatArray, shape (n, 478, 3)
        Landmarks; x and y in pixels, z on the same scale.

    Notes
    -----
    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI
    13(4), 1991.
    """
    template = np.array(list(_AVERAGE_HEAD.values()))
    observed = points_px[:, RIGID_POINTS]
    centre, target = observed.mean(axis=1, keepdims=True), template.mean(axis=0)
    spread = observed - centre
    left, singular, right = np.linalg.svd(spread.transpose(0, 2, 1) @ (template - target))
    sign = np.ones_like(singular)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * sign[:, None]) @ right
    scale = (singular * sign).sum(axis=1) / (spread**2).sum(axis=(1, 2))
    points = scale[:, None, None] * (points_px - centre) @ rotation + target
    return Alignment(points, rotation, 1.0 / scale)


def measure(points_px: FloatArray) -> NDArray[np.float32]:
    """Turn the landmarks of faces into rows of `COLUMNS`, each face by itself.

    Parameters
    ----------
    points_px : FloatArray, shape (n, 478, 3)
        Landmarks; x and y in pixels, z on the same scale.

    Returns
    -------
    float32 array, shape (n, 22)
    """
    points, rotation, scale_px = align(points_px)
    forward, across = -rotation[:, :, 2], rotation[:, :, 0]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    pitch = np.arctan2(-forward[:, 1], np.hypot(forward[:, 0], forward[:, 2]))
    roll = np.arctan2(across[:, 1], across[:, 0])
    centre = points_px[:, (_EYE_LEFT[0], _EYE_RIGHT[0]), :2].mean(axis=1)

    upper = points[:, _UPPER_LIP, 1].mean(axis=1)
    lower = points[:, _LOWER_LIP, 1].mean(axis=1)
    above, below = np.transpose(_INNER_LIP_PAIRS)
    gap = (points[:, below, 1] - points[:, above, 1]).mean(axis=1)
    width = _distances(points, _MOUTH_WIDTHS).mean(axis=1)
    jaw = points[:, _CHIN, 1].mean(axis=1)
    protrusion = points[:, (*_UPPER_LIP, *_LOWER_LIP), 2].mean(axis=1)
    raised = points[:, _UPPER_LIP[1], 1] - points[:, _MOUTH_CORNERS, 1].mean(axis=1)
    smile = raised + 0.5 * (width - _NEUTRAL_WIDTH)

    left_x, left_y = _gaze(points, _EYE_LEFT[0], _EYE_LEFT[1], _IRIS_LEFT)
    right_x, right_y = _gaze(points, _EYE_RIGHT[1], _EYE_RIGHT[0], _IRIS_RIGHT)
    columns = (
        *np.rad2deg([yaw, pitch, roll]),
        *centre.T,
        scale_px,
        *(gap, width, jaw, upper, lower, protrusion, smile),
        _openness(points, _EYE_LEFT, _LIDS_LEFT),
        _openness(points, _EYE_RIGHT, _LIDS_RIGHT),
        (left_x + right_x) / 2,
        (left_y + right_y) / 2,
        *_distances(points, _SHAPE_PAIRS).T,
    )
    return np.asarray(np.stack(columns, axis=1), dtype=np.float32)


def _distances(points: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the distances of pairs of landmarks, shape (n, n_pairs)."""
    first, second = np.transpose(pairs)
    return np.asarray(np.linalg.norm(points[:, first] - points[:, second], axis=2))


def _openness(points: FloatArray, corners: tuple[int, int], lids: Sequence[tuple[int, int]]) -> FloatArray:
    return np.asarray(_distances(points, lids).mean(axis=1) / _distances(points, [corners])[:, 0])


def _gaze(points: FloatArray, left: int, right: int, iris: int) -> tuple[FloatArray, FloatArray]:
    axis = points[:, right, :2] - points[:, left, :2]
    offset = points[:, iris, :2] - (points[:, left, :2] + points[:, right, :2]) / 2
    width_squared = (axis**2).sum(axis=1)
    along = (offset * axis).sum(axis=1) / width_squared
    across = (axis[:, 0] * offset[:, 1] - axis[:, 1] * offset[:, 0]) / width_squared
    return along, across


class FaceTracker:
    """Finds one face a frame and measures it.

    A face too small for the detector is found by looking closer: the picture is searched in overlapping tiles, and
    from then on a square around the face is enlarged.
    """

    name = "face"
    version = 4

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, COLUMNS)
        self._models = _Models()
        self._view: _View | None = None
        self._frames_until_search = 0

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Measure the next frames; return the 478 points of each in pixels, shape (478, 2), or None."""
        found = [self._find(frame) for frame in chunk.frames]
        seen = [points for points in found if points is not None]
        rows = iter(measure(np.stack(seen)) if seen else ())
        for time_s, points in zip(chunk.times_s.tolist(), found, strict=True):
            self._rows.append(time_s, None if points is None else next(rows))
        return [None if points is None else points[:, :2].astype(np.float32) for points in found]

    def finish(self) -> Track:
        """Return the track and release the models."""
        self._models.close()
        return self._rows.track({"model": _MODEL})

    def _find(self, frame: NDArray[np.uint8]) -> FloatArray | None:
        if self._view is None:
            points = self._models.landmarks(frame)
            if points is not None:
                return points
            if self._frames_until_search > 0:
                self._frames_until_search -= 1
                return None
            self._view = self._models.search(frame)
            self._frames_until_search = _SEARCH_EVERY_FRAMES
            if self._view is None:
                return None
        points = self._look_closer(frame, self._view)
        if points is None:
            self._view = None
        return points

    def _look_closer(self, frame: NDArray[np.uint8], view: _View) -> FloatArray | None:
        points = self._models.close_landmarks(view.cut(frame))
        if points is None:
            return None
        points = view.back(points)
        drift = np.abs(points[:, :2].mean(axis=0) - (view.x + view.side / 2, view.y + view.side / 2)).max()
        if drift > 0.15 * view.side:  # follow the face, in steps
            self._view = _View.around(points[:, :2])
            self._models.forget_close()
        return points


_MODEL = "mediapipe face_landmark_with_attention"
_SEARCH_EVERY_FRAMES = 12
_CLOSE_SIDE_PX = 384
_BETWEEN_PICTURES_US = 33_333
"""MediaPipe's Python interface tells its graph this time between pictures, whatever the clip's."""
_STORED_LANDMARK = np.dtype(
    [
        ("head", "V2"),
        ("x_tag", "V1"),
        ("x", "<f4"),
        ("y_tag", "V1"),
        ("y", "<f4"),
        ("z_tag", "V1"),
        ("z", "<f4"),
    ]
)
"""Protocol buffers' form of one landmark: number of the field and length, then number of the field and value of each."""


class _View(NamedTuple):
    """A square of whole pixels that is looked at enlarged; it may reach over the picture's edge."""

    x: int
    y: int
    side: int

    @classmethod
    def around(cls, points_px: FloatArray) -> _View:
        low, high = points_px.min(axis=0), points_px.max(axis=0)
        side = max(1, round(2.5 * float((high - low).max())))
        x, y = np.rint((low + high - side) / 2).astype(int).tolist()
        return cls(x, y, side)

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import cv2

        (top, bottom), (left, right) = (
            (min(max(0, start), length), min(max(0, start + self.side), length))
            for start, length in zip((self.y, self.x), frame.shape[:2], strict=True)
        )
        cut = frame[top:bottom, left:right]
        if cut.shape[:2] != (self.side, self.side):
            cut = np.zeros((self.side, self.side, 3), dtype=np.uint8)
            cut[top - self.y : bottom - self.y, left - self.x : right - self.x] = frame[
                top:bottom, left:right
            ]
        enlarges = self.side < _CLOSE_SIDE_PX
        scaled = cv2.resize(
            cut,
            (_CLOSE_SIDE_PX, _CLOSE_SIDE_PX),
            interpolation=cv2.INTER_CUBIC if enlarges else cv2.INTER_AREA,
        )
        return np.asarray(scaled, dtype=np.uint8)

    def back(self, points: FloatArray) -> FloatArray:
        return points * (self.side / _CLOSE_SIDE_PX) + (self.x, self.y, 0.0)


def find_face(mesh: Any, picture: NDArray[np.uint8]) -> FloatArray | None:
    """Return the landmarks of the face in the next picture, shape (478, 3), as shares of its sides; None without a face.

    As ``FaceMesh.process`` does, which makes a class and 478 objects for each picture: that takes 0.25 ms, and the class
    refers to itself, so that all of them lie in memory for a while.

    Parameters
    ----------
    mesh : FaceMesh
        Of MediaPipe.
    picture : uint8 array, shape (height, width, 3)
    """
    # Private names: the wheel is pinned to one release, and a test holds this to what `process` gives.
    bindings = sys.modules["mediapipe.python._framework_bindings"]  # which the mesh has imported
    mesh._simulated_timestamp += _BETWEEN_PICTURES_US  # noqa: SLF001
    mesh._graph_outputs.clear()  # noqa: SLF001
    packet = mesh._make_packet(mesh._input_stream_type_info["image"], picture)  # noqa: SLF001
    mesh._graph.add_packet_to_input_stream(stream="image", packet=packet.at(mesh._simulated_timestamp))  # noqa: SLF001
    mesh._graph.wait_until_idle()  # noqa: SLF001
    found = mesh._graph_outputs.get("multi_face_landmarks")  # noqa: SLF001
    if found is None or found.is_empty():
        return None
    faces = bindings._packet_getter._get_serialized_proto_list(found)  # noqa: SLF001
    return _read_landmarks(faces[0]) if faces else None


def _read_landmarks(serialised: bytes) -> FloatArray:
    stored = np.frombuffer(serialised, _STORED_LANDMARK)
    return np.asarray(np.stack([stored[axis] for axis in "xyz"], axis=1), dtype=np.float64)


class _Models:
    """mediapipe's face models, each made when first needed."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}

    def landmarks(self, frame: NDArray[np.uint8]) -> FloatArray | None:
        return self._points(self._mesh("whole"), frame)

    def close_landmarks(self, cut: NDArray[np.uint8]) -> FloatArray | None:
        return self._points(self._mesh("close"), cut)

    def forget_close(self) -> None:
        self._mesh("close").reset()

    def search(self, frame: NDArray[np.uint8]) -> _View | None:
        """Look for a face in overlapping square tiles, large ones first; return a view of the likeliest."""
        height, width = frame.shape[:2]
        detector = self._detector()
        side = min(height, width)
        for _ in range(2):
            best: tuple[float, _View] | None = None
            for y in _starts(height, side):
                for x in _starts(width, side):
                    tile = np.ascontiguousarray(frame[y : y + side, x : x + side])
                    for face in detector.process(tile).detections or ():
                        box = face.location_data.relative_bounding_box
                        low = np.array([x + box.xmin * side, y + box.ymin * side])
                        high = low + np.array([box.width, box.height]) * side
                        if best is None or face.score[0] > best[0]:
                            best = float(face.score[0]), _View.around(np.stack([low, high]))
            if best is not None:
                return best[1]
            side = max(1, side // 2)
        return None

    def close(self) -> None:
        for model in self._open.values():
            model.close()
        self._open.clear()

    @staticmethod
    def _points(mesh: Any, picture: NDArray[np.uint8]) -> FloatArray | None:
        points = find_face(mesh, picture)
        if points is None:
            return None
        height, width = picture.shape[:2]
        return points * (width, height, width)

    def _mesh(self, which: str) -> Any:
        if which not in self._open:
            face_mesh = load_solution("face_mesh")
            self._open[which] = face_mesh.FaceMesh(refine_landmarks=True)
        return self._open[which]

    def _detector(self) -> Any:
        if "detector" not in self._open:
            face_detection = load_solution("face_detection")
            self._open["detector"] = face_detection.FaceDetection(model_selection=1)
        return self._open["detector"]


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of `side` begin so that they overlap by at least half and cover `length`."""
    n_steps = int(np.ceil((length - side) / (side / 2))) if length > side else 0
    return [0] if n_steps == 0 else [round(k * (length - side) / n_steps) for k in range(n_steps + 1)]
