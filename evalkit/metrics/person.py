"""Where the person is in a picture, roughly: a head, a torso and limbs, to keep the person out of what is looked for.

Everything is in pixels, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from evalkit.metrics.checks import require_shape
from evalkit.types import BoolArray, FloatArray

Point = tuple[float, float]

# In distances between the outer corners of the eyes, from the middle between the eyes: with hair and ears.
_HEAD_DOWN = 0.25
_HEAD_HALF_WIDTH = 1.15
_HEAD_BEHIND = 0.5
_HEAD_HALF_HEIGHT = 1.7
_CHIN_DOWN = 1.3
_BODY_HALF_WIDTH = 2.6
# In distances between the shoulders.
_WIDER = 0.12
_ARM_RADIUS = 0.18
_LIMBS = (
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
    ("left_hip", "left_knee", "left_ankle"),
    ("right_hip", "right_knee", "right_ankle"),
)
_GRID = 16
_HEAD_KEYS = {"centre_x_px", "centre_y_px", "scale_px", "yaw_deg", "roll_deg"}


@dataclass(frozen=True, slots=True)
class Outline:
    """A head, and a body of convex pieces and limbs.

    Parameters
    ----------
    heads : list of (x, y, half width, half height, roll in degrees)
        Ellipses; positive roll is clockwise as seen.
    pieces : list of FloatArray, shape (n, 2)
        Corners of convex polygons, in order.
    limbs : list of (FloatArray, FloatArray, radius)
        Two ends, and how far the limb reaches around the line between them.
    """

    heads: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    pieces: list[FloatArray] = field(default_factory=list)
    limbs: list[tuple[FloatArray, FloatArray, float]] = field(default_factory=list)


def outline_person(
    head: Mapping[str, float] | None, joints: Mapping[str, Point], height_px: float, *, body: bool = True
) -> Outline:
    """Put an outline together from what is known of a person at one moment.

    Parameters
    ----------
    head : mapping of str to float, optional
        ``centre_x_px``, ``centre_y_px``, ``scale_px``, ``yaw_deg`` and ``roll_deg``, as in the face track.
    joints : mapping of str to (x, y)
        Those that are seen, named as in the pose track.
    height_px : float
        Of the picture: a body whose hips are not seen goes on to its lower edge, as does one of which only the head
        is known.
    body : bool
        Whether the body belongs to it, or the head alone.

    Raises
    ------
    ValueError
        If the head lacks one of the five.
    """
    missing = sorted(_HEAD_KEYS - head.keys()) if head is not None else []
    if missing:
        raise ValueError(f"head lacks {', '.join(missing)}")
    outline = Outline()
    if head is not None:
        x, y, scale = head["centre_x_px"], head["centre_y_px"], head["scale_px"]
        middle_x = x - _HEAD_BEHIND * scale * np.sin(
            np.deg2rad(head["yaw_deg"])
        )  # where the head turns about
        outline.heads.append(
            (
                float(middle_x),
                y + _HEAD_DOWN * scale,
                _HEAD_HALF_WIDTH * scale,
                _HEAD_HALF_HEIGHT * scale,
                head["roll_deg"],
            )
        )
    if not body:
        return outline
    left, right = joints.get("left_shoulder"), joints.get("right_shoulder")
    if left is not None and right is not None:
        _add_body(outline, joints, np.array(left), np.array(right), height_px)
    elif head is not None:
        half, chin = _BODY_HALF_WIDTH * scale, y + _CHIN_DOWN * scale
        corners = [(x - 0.3 * half, chin), (x + 0.3 * half, chin), (x + half, chin + 0.4 * half)]
        corners += [(x + half, height_px), (x - half, height_px), (x - half, chin + 0.4 * half)]
        outline.pieces.append(np.array(corners))
    return outline


def share_inside(box: FloatArray, outline: Outline) -> float:
    """Return the share of a box, 0 to 1, that an outline covers; counted on a grid of 16 × 16 points.

    Parameters
    ----------
    box : FloatArray, shape (4,)
        Left, top, right, bottom.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("box", box, (4,))
    places = (np.arange(_GRID) + 0.5) / _GRID
    xs, ys = np.meshgrid(box[0] + places * (box[2] - box[0]), box[1] + places * (box[3] - box[1]))
    points = np.stack([xs.ravel(), ys.ravel()], axis=1)
    inside = np.zeros(len(points), dtype=bool)
    for x, y, half_width, half_height, roll_deg in outline.heads:
        roll = np.deg2rad(roll_deg)
        across = (points - (x, y)) @ (np.cos(roll), np.sin(roll)) / half_width
        along = (points - (x, y)) @ (-np.sin(roll), np.cos(roll)) / half_height
        inside |= across**2 + along**2 <= 1.0
    for corners in outline.pieces:
        inside |= _in_polygon(points, corners)
    for start, end, radius in outline.limbs:
        inside |= _distance_to_line(points, start, end) <= radius
    return float(inside.mean())


def _add_body(
    outline: Outline, joints: Mapping[str, Point], left: FloatArray, right: FloatArray, height_px: float
) -> None:
    width = float(np.linalg.norm(left - right))
    wider = _WIDER * (left - right)
    hips = [joints.get("right_hip"), joints.get("left_hip")]
    if hips[0] is not None and hips[1] is not None:
        lower = [np.array(hips[0]) - wider, np.array(hips[1]) + wider]
    else:
        bottom = max(height_px, float(left[1]), float(right[1]))
        lower = [np.array([(right - wider)[0], bottom]), np.array([(left + wider)[0], bottom])]
    outline.pieces.append(np.array([left + wider, right - wider, *lower]))
    middle = (left + right) / 2
    neck = np.array([middle[0], middle[1] - 0.35 * width])
    outline.limbs.append((neck, middle, 0.25 * width))
    for limb in _LIMBS:
        for one, other in pairwise(limb):
            if one in joints and other in joints:
                outline.limbs.append((np.array(joints[one]), np.array(joints[other]), _ARM_RADIUS * width))


def _in_polygon(points: FloatArray, corners: FloatArray) -> BoolArray:
    """Say which points lie in a convex polygon, whichever way round its corners go."""
    sides = np.roll(corners, -1, axis=0) - corners
    offsets = points[:, None] - corners[None]
    turns = sides[None, :, 0] * offsets[..., 1] - sides[None, :, 1] * offsets[..., 0]
    return np.asarray((turns >= 0).all(axis=1) | (turns <= 0).all(axis=1))


def _distance_to_line(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    way = end - start
    length2 = float(way @ way)
    share = np.clip((points - start) @ way / length2, 0.0, 1.0) if length2 > 0 else np.zeros(len(points))
    return np.asarray(np.linalg.norm(points - (start + share[:, None] * way), axis=1))
