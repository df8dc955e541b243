"""How the points of one face move: lips, jaw, lids, brows, smile, the head held still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.reference.portrait import Framed

    FloatArray = NDArray[np.float64]

_MAX_GAP = 0.30  # lip gap over face height beyond which no mouth opens


@dataclass(frozen=True)
class Expression:
    """How a face looks at one moment.

    Attributes
    ----------
    mouth : FloatArray, shape (n_mouth,)
        Coordinates along the mouth directions of the face model, standard deviations from lips closed.
    blink : float
        0 open, 1 shut.
    brow : float
        Travel of the brows in eye distances, positive downwards.
    angles_deg : sequence of 3 float
        Yaw, pitch and roll, from how the portrait holds its head.
    travel : sequence of 2 float
        Of the head to the right and down, in eye distances.
    zoom : float
        Logarithm of the growth of the head as it comes nearer.
    smile : float
        1 for a smile, negative for the corners of the mouth drawn down.
    breath : float
        Lift of the shoulders in eye distances.
    """

    mouth: FloatArray
    blink: float = 0.0
    brow: float = 0.0
    angles_deg: Sequence[float] = (0.0, 0.0, 0.0)
    travel: Sequence[float] = (0.0, 0.0)
    zoom: float = 0.0
    smile: float = 0.0
    breath: float = 0.0


@dataclass(frozen=True)
class FaceModel:
    """Mean face and the directions in which mouth and brows move.

    Attributes
    ----------
    mean : FloatArray, shape (478, 3)
        Outer eye corners one unit apart.
    mouth : FloatArray, shape (n_mouth, 478, 3)
        Travel of every point for one standard deviation.
    brow : FloatArray, shape (478, 3)
        Travel of every point when the brows travel by one unit.
    """

    mean: FloatArray
    mouth: FloatArray
    brow: FloatArray


class FacePoints:
    """The points of one portrait's face.

    Parameters
    ----------
    portrait : Framed
        The portrait at the picture size.
    face : FaceModel
        Mean face and directions.

    Attributes
    ----------
    closed : FloatArray, shape (478, 3)
        The points with the lips brought together, pixels.
    mouth_down : FloatArray, shape (2,)
        Direction from the upper to the lower lip, of length 1.
    """

    def __init__(self, portrait: Framed, face: FaceModel) -> None:
        self._portrait = portrait
        self._face = face
        self._unit = portrait.pose.scale  # pixels per eye distance
        self.closed = _close_lips(portrait.points)
        across = self.closed[topology.RIGHT_CORNER, :2] - self.closed[topology.LEFT_CORNER, :2]
        right = across / np.linalg.norm(across)
        self.mouth_down: FloatArray = np.array([-right[1], right[0]])
        below = (self.closed[:, :2] - self.closed[topology.UPPER_INNER_LIP[5], :2]) @ self.mouth_down
        self._lower_face = np.clip(below / (0.1 * self._unit) + 1.0, 0, 1)
        self._lip_scale = self._fit_mouth_width()
        self._smile = _smile_direction(face.mean)

    def move(self, expression: Expression) -> FloatArray:
        """Return the face points with this expression, head as in the portrait, shape (478, 3), pixels."""
        travel = np.einsum("k,kij->ij", expression.mouth, self._face.mouth)
        travel[:, :2] *= self._lip_scale
        travel += expression.brow * self._face.brow
        travel += expression.smile * self._smile
        points: FloatArray = self.closed + self._unit * travel @ self._portrait.pose.rotation.T
        self._limit_mouth(points)
        self._close_lids(points, expression.blink)
        return points

    def _fit_mouth_width(self) -> float:
        own = (
            np.linalg.norm(self.closed[topology.LEFT_CORNER] - self.closed[topology.RIGHT_CORNER])
            / self._unit
        )
        usual = np.linalg.norm(self._face.mean[topology.LEFT_CORNER] - self._face.mean[topology.RIGHT_CORNER])
        return float(np.clip(own / usual, 0.75, 1.2))

    def _limit_mouth(self, points: FloatArray) -> None:
        """Keep lower lip points from crossing upper ones, and the mouth from opening beyond the face."""
        down = self.mouth_down
        upper, lower = topology.UPPER_INNER_LIP[1:-1], topology.LOWER_INNER_LIP[1:-1]
        gap = (points[lower, :2] - points[upper, :2]) @ down
        crossed = np.clip(-gap, 0, None)[:, None] * down
        points[lower, :2] += 0.5 * crossed
        points[upper, :2] -= 0.5 * crossed
        most = _MAX_GAP * self._portrait.face_height_px
        if gap.max() > most:
            shrink = most / gap.max()
            lowered = (points[:, :2] - self.closed[:, :2]) * self._lower_face[:, None]
            points[:, :2] -= (1 - shrink) * lowered

    def _close_lids(self, points: FloatArray, blink: float) -> None:
        if blink <= 0:
            return
        blink = min(blink, 1.0)
        for upper, lower, fold in zip(
            topology.UPPER_LIDS, topology.LOWER_LIDS, topology.LID_FOLDS, strict=True
        ):
            meet = 0.85 * points[lower, :2] + 0.15 * points[upper, :2]
            fall = (meet - points[upper, :2]) * blink
            points[upper, :2] += fall
            points[lower, :2] += blink * (meet - points[lower, :2])
            points[fold, :2] += 0.2 * fall[1:-1]


def _smile_direction(mean: FloatArray) -> FloatArray:
    """Return how every point of the mean face travels in a smile, shape (478, 3), eye distances.

    Corners of the mouth go out, up and back, cheeks up; both lips alike, so that lips that meet still meet.
    """
    travel = np.zeros_like(mean)
    middle = mean[topology.UPPER_INNER_LIP[5], 0]
    for corner in (topology.LEFT_CORNER, topology.RIGHT_CORNER):
        away = mean[:, :2] - mean[corner, :2]
        near = np.exp(-((away[:, 0] / 0.16) ** 2) - ((away[:, 1] - 0.02) / 0.15) ** 2)
        side = np.sign(mean[corner, 0] - middle)
        travel += near[:, None] * np.array([0.040 * side, -0.055, 0.02])
        cheek = mean[corner, :2] + np.array([0.13 * side, -0.26])
        far = np.linalg.norm(mean[:, :2] - cheek, axis=1)
        travel[:, 1] -= 0.018 * np.exp(-((far / 0.14) ** 2))
    eyes = np.concatenate([*topology.UPPER_LIDS, *topology.LOWER_LIDS])
    travel[eyes] *= 0.4
    return travel


def _close_lips(points: FloatArray) -> FloatArray:
    """Return the face points with the lips brought together, the jaw a little with them."""
    left, right = points[topology.LEFT_CORNER, :2], points[topology.RIGHT_CORNER, :2]
    width = float(np.linalg.norm(right - left))
    across = (right - left) / width
    down = np.array([-across[1], across[0]])
    upper, lower = topology.UPPER_INNER_LIP, topology.LOWER_INNER_LIP
    gaps = np.clip((points[lower, :2] - points[upper, :2]) @ down, 0, None)
    places = points[upper, :2] @ across
    order = np.argsort(places)
    meet = points[upper, :2] @ down + 0.4 * gaps
    x, y = points[:, :2] @ across, points[:, :2] @ down
    gap = np.interp(x, places[order], gaps[order], left=0, right=0)
    line = np.interp(x, places[order], meet[order])
    above = np.clip(1 - np.clip(line - y - 0.4 * gap, 0, None) / (0.45 * width), 0, 1)
    below = np.clip(1 - np.clip(y - line - 0.6 * gap, 0, None) / (0.9 * width), 0, 1)
    closed = points.copy()
    is_upper = y < line
    shift = np.where(is_upper, 0.4 * gap * above**1.5, -0.6 * gap * below**1.2)
    shift[upper] = 0.4 * gaps
    shift[lower] = -0.6 * gaps
    shift[points[:, 1] < points[topology.NOSE_TIP, 1]] = 0
    closed[:, :2] += shift[:, None] * down
    return closed
