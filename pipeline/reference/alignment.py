"""Rigid alignment of face points, and head angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


class Similarity(NamedTuple):
    """``target ≈ scale * source @ rotation.T + shift``."""

    scale: float
    rotation: FloatArray
    shift: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """Move points, shape (..., 3)."""
        return self.scale * points @ self.rotation.T + self.shift

    def invert(self, points: FloatArray) -> FloatArray:
        """Move points back, shape (..., 3)."""
        return (points - self.shift) @ self.rotation / self.scale


def fit_similarity(source: FloatArray, target: FloatArray) -> Similarity:
    """Fit the similarity that brings one set of points nearest to another, in the least-squares sense.

    Parameters
    ----------
    source, target : FloatArray, shape (n, 3)
        At least three points that are not on one line.

    References
    ----------
    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ flip @ vt
    scale = float((singular * np.diag(flip)).sum() / (a**2).sum())
    return Similarity(scale, rotation, target_mean - scale * source_mean @ rotation.T)


def head_angles(rotation: FloatArray) -> FloatArray:
    """Return yaw, pitch and roll in degrees of a rotation ``Rz(roll) @ Rx(pitch) @ Ry(yaw)``.

    Axes as in pictures: x to the right, y down, z away from the viewer. Positive yaw turns the nose to the right of
    the picture, positive pitch lowers it, positive roll turns the head clockwise as seen.
    """
    pitch = np.arcsin(np.clip(rotation[2, 1], -1, 1))
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    roll = np.arctan2(-rotation[0, 1], rotation[1, 1])
    return np.degrees([-yaw, pitch, roll])


def head_rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> FloatArray:
    """Return the rotation with these angles; the inverse of `head_angles`."""
    (sy, sp, sr), (cy, cp, cr) = (f(np.radians([-yaw_deg, pitch_deg, roll_deg])) for f in (np.sin, np.cos))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: FloatArray = about_z @ about_x @ about_y
    return rotation
