"""Where each pixel of a face is found in the portrait when the face moves: the triangles of the face mesh, bent."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_RINGS = ((1.16, 0.55), (1.42, 0.0))  # rings around the face: distance from its middle, share of its motion
_STEEP = 0.5  # pixels that the offset changes by from one pixel to the next
_SHIFT = 4  # binary digits of a pixel with which corners are drawn


class FaceMesh:
    """The face mesh of a portrait, and rings around it that take its motion up.

    Parameters
    ----------
    points : FloatArray, shape (478, 3)
        The face as the portrait shows it, pixels.
    size : (int, int)
        Width and height of the picture.

    Attributes
    ----------
    region : (int, int, int, int)
        Left, top, width and height of the part of the picture that can change.
    """

    def __init__(self, points: FloatArray, size: tuple[int, int]) -> None:
        source = points[: topology.N_SKIN_POINTS, :2]
        oval = source[topology.FACE_OVAL]
        middle = oval.mean(0)
        self._source = np.concatenate([source, *(middle + share * (oval - middle) for share, _ in _RINGS)])
        triangles = np.concatenate([_ring_triangles(), topology.skin_triangles()])
        a, b, c = (self._source[triangles[:, i]] for i in range(3))
        self._triangles = triangles[np.abs(np.cross(b - a, c - a)) > 0.05]  # not those seen edge-on
        low = np.maximum(np.floor(self._source.min(0)).astype(int) - 2, 0)
        high = np.minimum(np.ceil(self._source.max(0)).astype(int) + 3, size)
        self.region = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))

    def find_offsets(self, points: FloatArray) -> Float32Array:
        """Return, for each pixel of the region, how far away its colour is in the portrait.

        Parameters
        ----------
        points : FloatArray, shape (478, 3)
            The face as it is to look, pixels.

        Returns
        -------
        float32 array, shape (height, width, 2)
            To the right and down, pixels. The openings of the eyes stay where they are: lids move over them.
        """
        left, top, wide, high = self.region
        target = self._move_rings(points[: topology.N_SKIN_POINTS, :2])
        moved = target - [left, top]
        changed = np.flatnonzero(np.abs(target - self._source).max(1)[self._triangles].max(1) > 0.02)
        triangles = self._triangles[changed]
        planes = np.zeros((len(changed) + 1, 3, 2), np.float32)
        travel = (self._source - target)[triangles]
        planes[1:] = _planes(moved[triangles], travel)
        least, most = np.zeros((2, len(changed) + 1, 2), np.float32)
        least[1:], most[1:] = travel.min(1), travel.max(1)
        which = self._draw(moved, triangles, (high, wide))
        # A pixel on the outline lies a little outside, where the plane of a thin triangle runs far away.
        steep = np.flatnonzero((np.abs(planes[:, :2]).max((1, 2)) > _STEEP).take(which))
        steep_in = which.ravel().take(steep)
        ys, xs = np.arange(high, dtype=np.float64)[:, None], np.arange(wide, dtype=np.float64)
        offsets = np.empty((high, wide, 2), np.float32)
        for axis in range(2):
            slope_x, slope_y, at_zero = planes[..., axis].T.astype(np.float64)
            found = slope_x.take(which)
            found *= xs
            along_y = slope_y.take(which)
            along_y *= ys
            found += along_y
            found += at_zero.take(which)
            if len(steep):
                flat = found.ravel()
                flat[steep] = np.clip(flat[steep], least[steep_in, axis], most[steep_in, axis])
            offsets[..., axis] = found
        return offsets

    def _move_rings(self, moved: FloatArray) -> FloatArray:
        n, m = topology.N_SKIN_POINTS, len(topology.FACE_OVAL)
        travel = moved[topology.FACE_OVAL] - self._source[topology.FACE_OVAL]
        rings = [
            self._source[n + i * m : n + (i + 1) * m] + share * travel for i, (_, share) in enumerate(_RINGS)
        ]
        return np.concatenate([moved, *rings])

    @staticmethod
    def _draw(moved: FloatArray, triangles: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int32]:
        """Return the triangle, counted from 1, that covers each pixel; 0 where none does."""
        import cv2

        which = np.zeros(shape, np.int32)
        fine = 1 << _SHIFT
        for number, corners in enumerate(np.round(moved[triangles] * fine).astype(np.int32), start=1):
            cv2.fillConvexPoly(which, corners, number, cv2.LINE_8, _SHIFT)
        for upper, lower in zip(topology.UPPER_LIDS, topology.LOWER_LIDS, strict=True):
            high_lid, low_lid = moved[upper], moved[lower]
            opening = np.linalg.norm(low_lid - high_lid, axis=1, keepdims=True)
            if opening.max() < 1.5:
                continue
            # Polygons are filled up to and with their outline: step in by half a pixel.
            step = np.minimum(0.5, opening / 2) * (low_lid - high_lid) / np.maximum(opening, 1e-6)
            eye = np.concatenate([high_lid + step, (low_lid - step)[-2:0:-1]])
            cv2.fillPoly(which, [np.round(eye * fine).astype(np.int32)], 0, cv2.LINE_8, _SHIFT)
        return which


def _ring_triangles() -> NDArray[np.int64]:
    n, m = topology.N_SKIN_POINTS, len(topology.FACE_OVAL)
    loops = [topology.FACE_OVAL, *(np.arange(n + i * m, n + (i + 1) * m) for i in range(len(_RINGS)))]
    triangles = []
    for inner, outer in pairwise(loops):
        inner_next, outer_next = np.roll(inner, -1), np.roll(outer, -1)
        triangles += [np.stack([inner, inner_next, outer], 1), np.stack([inner_next, outer_next, outer], 1)]
    return np.concatenate(triangles)


def _planes(corners: FloatArray, values: FloatArray) -> FloatArray:
    """Return the planes through values at the corners of triangles: slope along x, along y, and height at 0.

    Parameters
    ----------
    corners, values : FloatArray, shape (n, 3, 2)

    Returns
    -------
    FloatArray, shape (n, 3, 2)
        Level, at the mean value, for a triangle without area.
    """
    x, y = corners[..., 0].T.copy(), corners[..., 1].T.copy()
    x1, y1, x2, y2 = x[1] - x[0], y[1] - y[0], x[2] - x[0], y[2] - y[0]
    area = x1 * y2 - x2 * y1
    inverse = np.divide(1, area, out=np.zeros_like(area), where=np.abs(area) > 0.02)
    planes = np.empty_like(values)
    for axis in range(2):
        v = values[..., axis].T.copy()
        v1, v2 = v[1] - v[0], v[2] - v[0]
        along_x = inverse * (v1 * y2 - v2 * y1)
        along_y = inverse * (v2 * x1 - v1 * x2)
        at_zero = np.where(inverse == 0, (v[0] + v[1] + v[2]) / 3, v[0] - along_x * x[0] - along_y * y[0])
        planes[:, 0, axis], planes[:, 1, axis], planes[:, 2, axis] = along_x, along_y, at_zero
    return planes
