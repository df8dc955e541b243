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

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import TrackBuilder, load_library
from evalkit.types import FloatArray, FrameChunk, Track

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
)
"""Pose in degrees; centre and scale in pixels; lips and smile in the head frame; eye openness = lid gap over eye
width (about 0.3 open, below 0.15 closed); gaze = iris centre between the eye corners, 0 centred, positive to the
viewer's right and down, in eye widths."""

LIP_COLUMNS = COLUMNS[6:12]
"""The lip trajectory: inner-lip gap, mouth width, jaw drop, upper and lower lip height, protrusion."""

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
    """A face brought into the head frame.

    Parameters
    ----------
    points : FloatArray, shape (478, 3)
        In the head frame.
    rotation : FloatArray, shape (3, 3)
        Turns the head frame into the picture's axes.
    scale_px : float
        Distance between the outer eye corners of the turned head, seen frontally, in pixels.
    """

    points: FloatArray
    rotation: FloatArray
    scale_px: float


def align(points_px: FloatArray) -> Alignment:
    """Bring landmarks into the head frame (least squares over the rigid points).

    Parameters
    ----------
    points_px : FloatArray, shape (478, 3)
        Landmarks; x and y in pixels, z on the same scale.

    Notes
    -----
    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI
    13(4), 1991.
    """
    template = np.array(list(_AVERAGE_HEAD.values()))
    observed = points_px[list(RIGID_POINTS)]
    centre, target = observed.mean(axis=0), template.mean(axis=0)
    spread = observed - centre
    left, singular, right = np.linalg.svd(spread.T @ (template - target))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = float((singular * sign).sum() / (spread**2).sum())
    return Alignment(scale * (points_px - centre) @ rotation + target, rotation, 1.0 / scale)


def measure(points_px: FloatArray) -> NDArray[np.float32]:
    """Turn the landmarks of one face into one row of `COLUMNS`.

    Parameters
    ----------
    points_px : FloatArray, shape (478, 3)
        Landmarks; x and y in pixels, z on the same scale.
    """
    points, rotation, scale_px = align(points_px)
    forward = rotation @ (0.0, 0.0, -1.0)
    across = rotation @ (1.0, 0.0, 0.0)
    yaw = np.arctan2(forward[0], -forward[2])
    pitch = np.arctan2(-forward[1], np.hypot(forward[0], forward[2]))
    roll = np.arctan2(across[1], across[0])
    centre = points_px[[_EYE_LEFT[0], _EYE_RIGHT[0]], :2].mean(axis=0)

    upper = points[list(_UPPER_LIP), 1].mean()
    lower = points[list(_LOWER_LIP), 1].mean()
    gap = np.mean([points[below, 1] - points[above, 1] for above, below in _INNER_LIP_PAIRS])
    width = np.mean([np.linalg.norm(points[a] - points[b]) for a, b in _MOUTH_WIDTHS])
    jaw = points[list(_CHIN), 1].mean()
    protrusion = points[[*_UPPER_LIP, *_LOWER_LIP], 2].mean()
    raised = points[_UPPER_LIP[1], 1] - points[list(_MOUTH_CORNERS), 1].mean()
    smile = raised + 0.5 * (width - _NEUTRAL_WIDTH)

    left_x, left_y = _gaze(points, _EYE_LEFT[0], _EYE_LEFT[1], _IRIS_LEFT)
    right_x, right_y = _gaze(points, _EYE_RIGHT[1], _EYE_RIGHT[0], _IRIS_RIGHT)
    return np.array(
        [
            *np.rad2deg([yaw, pitch, roll]),
            *centre,
            scale_px,
            *(gap, width, jaw, upper, lower, protrusion, smile),
            _openness(points, _EYE_LEFT, _LIDS_LEFT),
            _openness(points, _EYE_RIGHT, _LIDS_RIGHT),
            (left_x + right_x) / 2,
            (left_y + right_y) / 2,
        ],
        dtype=np.float32,
    )


def _openness(points: FloatArray, corners: tuple[int, int], lids: tuple[tuple[int, int], ...]) -> float:
    width = np.linalg.norm(points[corners[0]] - points[corners[1]])
    return float(np.mean([np.linalg.norm(points[a] - points[b]) for a, b in lids]) / width)


def _gaze(points: FloatArray, left: int, right: int, iris: int) -> tuple[float, float]:
    axis = points[right, :2] - points[left, :2]
    width = float(np.linalg.norm(axis))
    offset = points[iris, :2] - (points[left, :2] + points[right, :2]) / 2
    along = float(offset @ axis) / width**2
    across = float(axis[0] * offset[1] - axis[1] * offset[0]) / width**2
    return along, across


class FaceTracker:
    """Finds one face a frame and measures it.

    A face too small for the detector is found by looking closer: the picture is searched in overlapping tiles, and
    from then on a square around the face is enlarged.
    """

    name = "face"
    version = 2

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, COLUMNS)
        self._models = _Models()
        self._view: _View | None = None
        self._frames_until_search = 0

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Measure the next frames; return the 478 points of each in pixels, shape (478, 2), or None."""
        found = []
        for time_s, frame in zip(chunk.times_s, chunk.frames, strict=True):
            points = self._find(frame)
            self._rows.append(float(time_s), None if points is None else measure(points))
            found.append(None if points is None else points[:, :2].astype(np.float32))
        return found

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


class _View(NamedTuple):
    """A square of the picture that is looked at enlarged; it may reach over the edge."""

    x: float
    y: float
    side: float

    @classmethod
    def around(cls, points_px: FloatArray) -> _View:
        low, high = points_px.min(axis=0), points_px.max(axis=0)
        side = 2.5 * float((high - low).max())
        x, y = (low + high) / 2 - side / 2
        return cls(float(x), float(y), side)

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import cv2

        zoom = _CLOSE_SIDE_PX / self.side
        matrix = np.array([[zoom, 0.0, -zoom * self.x], [0.0, zoom, -zoom * self.y]])
        cut = cv2.warpAffine(frame, matrix, (_CLOSE_SIDE_PX, _CLOSE_SIDE_PX), flags=cv2.INTER_CUBIC)
        return np.asarray(cut, dtype=np.uint8)

    def back(self, points: FloatArray) -> FloatArray:
        return points * (self.side / _CLOSE_SIDE_PX) + (self.x, self.y, 0.0)


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
        faces = mesh.process(picture).multi_face_landmarks
        if not faces:
            return None
        height, width = picture.shape[:2]
        points = np.array([(point.x, point.y, point.z) for point in faces[0].landmark], dtype=np.float64)
        return points * (width, height, width)

    def _mesh(self, which: str) -> Any:
        if which not in self._open:
            face_mesh = load_library("mediapipe.python.solutions.face_mesh")
            self._open[which] = face_mesh.FaceMesh(refine_landmarks=True)
        return self._open[which]

    def _detector(self) -> Any:
        if "detector" not in self._open:
            face_detection = load_library("mediapipe.python.solutions.face_detection")
            self._open["detector"] = face_detection.FaceDetection(model_selection=1)
        return self._open["detector"]


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of `side` begin so that they overlap by at least half and cover `length`."""
    n_steps = int(np.ceil((length - side) / (side / 2))) if length > side else 0
    return [0] if n_steps == 0 else [round(k * (length - side) / n_steps) for k in range(n_steps + 1)]
