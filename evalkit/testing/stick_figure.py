"""Tracks of a figure whose joints move as given, for tests of what is made from tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evalkit.tracks import face, pose
from evalkit.types import Track

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.types import BoolArray, FloatArray

_STANDING = {
    "nose": (0.0, -0.8),
    "left_ear": (0.2, -0.85),
    "right_ear": (-0.2, -0.85),
    "left_shoulder": (0.5, 0.0),
    "right_shoulder": (-0.5, 0.0),
    "left_hip": (0.3, 1.5),
    "right_hip": (-0.3, 1.5),
    "left_knee": (0.3, 2.5),
    "right_knee": (-0.3, 2.5),
    "left_ankle": (0.3, 3.5),
    "right_ankle": (-0.3, 3.5),
}
"""In shoulder widths, x to the right of the picture, y down, the middle between the shoulders at 0."""


def pose_track(
    times_s: FloatArray,
    *,
    upper_arm_deg: FloatArray | float = 0.0,
    size_px: float = 100.0,
    place_px: tuple[float, float] = (300.0, 200.0),
    seen: BoolArray | None = None,
    change: FloatArray | float = 20.0,
    visible: tuple[str, ...] = tuple(pose.JOINTS),
) -> Track:
    """Return the ``pose`` track of a figure that moves both arms, straight, about the shoulders.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
    upper_arm_deg : FloatArray, shape (n,), or float
        Turn of the arms away from hanging down.
    size_px, place_px
        Width of the shoulders, and the middle between them.
    seen : BoolArray, shape (n,), optional
        Frames with a body; all unless given.
    change : FloatArray, shape (n,), or float
        As in `evalkit.tracks.pose.picture_change`.
    visible : tuple of str
        Joints that are seen.
    """
    n = times_s.size
    turn = np.radians(np.broadcast_to(upper_arm_deg, n))
    points = {joint: np.broadcast_to(place, (n, 2)) for joint, place in _STANDING.items()}
    for side in ("left", "right"):
        arm = np.stack([np.sin(turn), np.cos(turn)], axis=1)
        points[f"{side}_elbow"] = points[f"{side}_shoulder"] + 0.8 * arm
        points[f"{side}_wrist"] = points[f"{side}_shoulder"] + 1.6 * arm
    columns = {"change": np.broadcast_to(change, n)}
    for joint in pose.JOINTS:
        place = size_px * points[joint] + place_px
        columns |= {f"{joint}_x_px": place[:, 0], f"{joint}_y_px": place[:, 1]}
        columns[f"{joint}_visibility"] = np.full(n, float(joint in visible))
    return _track("pose", pose.COLUMNS, times_s, columns, seen)


def face_track(times_s: FloatArray, *, seen: BoolArray | None = None, **signals: FloatArray | float) -> Track:
    """Return a ``face`` track of a still, frontal face with open eyes, save for the signals given by column."""
    resting = {"scale_px": 100.0, "eye_left": 0.3, "eye_right": 0.3, "gaze_y": -0.055}
    columns = {column: np.broadcast_to(resting.get(column, 0.0), times_s.size) for column in face.COLUMNS}
    columns |= {column: np.broadcast_to(signal, times_s.size) for column, signal in signals.items()}
    return _track("face", face.COLUMNS, times_s, columns, seen)


def _track(
    name: str,
    order: tuple[str, ...],
    times_s: FloatArray,
    columns: Mapping[str, FloatArray],
    seen: BoolArray | None,
) -> Track:
    valid = np.ones(times_s.size, dtype=bool) if seen is None else seen
    values = np.stack([columns[column] for column in order], axis=1).astype(np.float32)
    values[~valid] = np.nan
    return Track(name, order, times_s, values, valid)
