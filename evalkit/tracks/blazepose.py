"""BlazePose as MediaPipe runs it, with the two networks of the MediaPipe wheel run by OpenVINO.

A detector finds the person's hips and size in a whole picture. From there on the landmark network looks at a square
around the person, turned upright; the next picture's square comes from two auxiliary landmarks, steadied by a one-euro
filter. Where the landmark network sees nobody, the detector begins again with the next picture.

Source: release 0.10.21 of MediaPipe, ``modules/pose_landmark/pose_landmark_cpu.pbtxt`` and its calculators, with
``model_complexity=1`` and ``smooth_landmarks=False``; Bazarevsky et al., "BlazePose", 2020, arXiv:2006.10204.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.network import Network, NetworkFile

N_LANDMARKS: Final = 33

DETECTOR: Final = NetworkFile("pose_detection/pose_detection.tflite", (0, 1), 127.5, 127.5)
"""Gives boxes and scores."""
DETECTOR_SIDE_PX: Final = 224

LANDMARKER: Final = NetworkFile("pose_landmark/pose_landmark_full.tflite", (0, 1, 3), 0.0, 255.0)
"""Gives landmarks, the presence of a person and maps of heat; the mask and the landmarks in metres are cut off."""
LANDMARKER_SIDE_PX: Final = 256

_PRESENT = 0.5
"""The score from which a detection or a person counts, and the heat from which it refines a landmark."""
_SAME_PERSON_OVERLAP = 0.3
_DETECTOR_GRIDS = ((28, 2), (14, 2), (7, 6))
"""Cells along a side, and anchors in each."""
_REFINING_CELLS = np.arange(-4, 5)
"""MediaPipe's graph says 7 cells, but its Python interface does not know that option and drops it: 9 is its default."""
_REGION_SCALE = 1.25
_FRAME_S = 0.033333
"""MediaPipe's Python interface tells the filter this time between pictures, whatever the clip's."""
_SLOWEST_HZ, _SPEED_FACTOR, _SPEED_HZ = 0.01, 10.0, 1.0


class Region(NamedTuple):
    """A square of a picture, which may reach over its edge.

    Parameters
    ----------
    x_px, y_px : float
        Its middle.
    side_px : float
    angle_rad : float
        How far it is turned, clockwise.
    """

    x_px: float
    y_px: float
    side_px: float
    angle_rad: float = 0.0

    @classmethod
    def around(cls, hips_px: NDArray[np.floating[Any]], extent_px: NDArray[np.floating[Any]]) -> Region:
        """Return the square around a person.

        Parameters
        ----------
        hips_px, extent_px : float arrays, shape (2,)
            The middle of the hips, and the point above it, as the person stands, that is at the person's size.
        """
        right, down = (float(d) for d in extent_px - hips_px)
        angle = math.pi / 2 - math.atan2(-down, right)
        return cls(
            float(hips_px[0]),
            float(hips_px[1]),
            2.0 * _REGION_SCALE * math.hypot(right, down),
            math.remainder(angle, 2 * math.pi),
        )

    def cut(self, picture: NDArray[np.uint8], side_px: int, border: int) -> NDArray[np.uint8]:
        """Return the square upright, shape (side_px, side_px, 3), with a border mode of OpenCV beyond the edge."""
        (xx, xy), (yx, yy) = self._axes / side_px
        corner = self.back(np.zeros((1, 2)))[0]
        to_picture = np.array([[xx, xy, corner[0]], [yx, yy, corner[1]], [0.0, 0.0, 1.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpPerspective(picture, to_picture, (side_px, side_px), flags=flags, borderMode=border)
        return np.asarray(cut, np.uint8)

    def back(self, points: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return points of the square in pixels of the picture.

        Parameters
        ----------
        points : float array, shape (n, 2)
            In the square's sides, from its upper left corner.
        """
        placed: NDArray[np.floating[Any]] = (points - 0.5) @ self._axes.T + (self.x_px, self.y_px)
        return placed

    @property
    def _axes(self) -> NDArray[np.float64]:
        across, up = self.side_px * math.cos(self.angle_rad), self.side_px * math.sin(self.angle_rad)
        return np.array([[across, -up], [up, across]])


class Steadier:
    """A one-euro filter of points: still ones hardly tremble, and fast ones hardly lag.

    Notes
    -----
    G. Casiez, N. Roussel, D. Vogel, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
    Systems", CHI 2012.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._steady = self._speed = np.zeros(())

    def steady(self, points_px: NDArray[np.floating[Any]], scale_px: float) -> NDArray[np.float64]:
        """Return the next points steadied.

        Parameters
        ----------
        points_px : float array
            Of the same shape each time.
        scale_px : float
            The size of what they belong to: speeds count in it.
        """
        points = np.asarray(points_px, np.float64)
        if self._last is None:
            self._steady, self._speed = points, np.zeros_like(points)
        else:
            speed = (points - self._last) / (scale_px * _FRAME_S)
            self._speed = _mix(self._speed, speed, _SPEED_HZ)
            self._steady = _mix(self._steady, points, _SLOWEST_HZ + _SPEED_FACTOR * np.abs(self._speed))
        self._last = points
        return self._steady


def _mix(old: NDArray[np.float64], new: NDArray[np.float64], cutoff_hz: Any) -> NDArray[np.float64]:
    share = 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff_hz * _FRAME_S))
    return np.asarray(share * new + (1.0 - share) * old)


def first_person(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the two points of the person that the detector is surest of, or None.

    Parameters
    ----------
    boxes : float array, shape (2254, 12)
        What the network says of each anchor: middle and size of a face's box, then four points, in pixels.
    scores : float array, shape (2254,)
        Before the logistic function.

    Returns
    -------
    float array, shape (2, 2)
        Middle of the hips and the point at the person's size, in sides of the detector's square: the mean of all
        boxes that overlap the surest one, weighted by their scores.
    """
    kept = np.flatnonzero(_logistic(scores) >= _PRESENT)
    places = boxes[kept] / np.float32(DETECTOR_SIDE_PX)
    places[:, :2] += _anchors()[kept]
    places[:, 4:] += np.tile(_anchors()[kept], 4)
    sized = (places[:, 2:4] >= 0).all(axis=1)
    places, weights = places[sized], _logistic(scores[kept[sized]])
    if not weights.size:
        return None
    low, high = places[:, :2] - places[:, 2:4] / 2, places[:, :2] + places[:, 2:4] / 2
    best = int(weights.argmax())
    common = np.maximum(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0).prod(axis=1)
    areas = places[:, 2:4].prod(axis=1)
    same = common > _SAME_PERSON_OVERLAP * (areas + areas[best] - common)
    same[best] = True
    mean: NDArray[np.float32] = np.average(places[same, 4:8], axis=0, weights=weights[same]).reshape(2, 2)
    return mean


def refine(points: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points moved to the centre of the heat around them, where it is hot enough.

    Parameters
    ----------
    points : float array, shape (n, 2)
        In sides of the square.
    heat : float array, shape (side, side, at least n)
        A map a point, before the logistic function.
    """
    side = heat.shape[0]
    middle = (points * side).astype(int)  # towards zero, as in the source
    cells = middle[:, :, None] + _REFINING_CELLS
    inside = (cells >= 0) & (cells < side)
    x, y = np.clip(cells, 0, side - 1).transpose(1, 0, 2)
    weights = _logistic(heat[y[:, :, None], x[:, None, :], np.arange(len(points))[:, None, None]])
    weights *= inside[:, 1, :, None] & inside[:, 0, None, :]
    total = weights.sum(axis=(1, 2))
    hot = (weights.max(axis=(1, 2)) >= _PRESENT) & ((middle >= 0) & (middle < side)).all(axis=1)
    centre = np.stack([(weights.sum(axis=1) * x).sum(axis=1), (weights.sum(axis=2) * y).sum(axis=1)], axis=1)
    return np.where(hot[:, None], centre / np.where(hot, total, 1.0)[:, None] / side, points).astype(
        np.float32
    )


class BlazePose:
    """Follows one person through the pictures of a clip.

    Parameters
    ----------
    n_threads : int, optional
        How many work on one picture: the cores that this process may use, unless given. No value depends on it.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._detector = Network(DETECTOR, n_threads)
        self._landmarker = Network(LANDMARKER, n_threads)
        self._region: Region | None = None
        self._steadier = Steadier()

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Find the person in the next picture.

        Parameters
        ----------
        picture : uint8 array, shape (height, width, 3)
            RGB; each of the same size.

        Returns
        -------
        float32 array, shape (33, 3), or None
            Of each landmark x and y, as shares of the picture's width and height, and the visibility, from 0 to 1.
        """
        region = self._region or self._detect(picture)
        found = None if region is None else self._look(picture, region)
        if found is None:
            self._region, self._steadier = None, Steadier()
            return None
        height, width = picture.shape[:2]
        return found / np.array([width, height, 1.0], np.float32)

    def close(self) -> None:
        """Release the working memory; the networks stay loaded for the next clip."""
        del self._detector, self._landmarker

    def _detect(self, picture: NDArray[np.uint8]) -> Region | None:
        height, width = picture.shape[:2]
        whole = Region(width / 2, height / 2, max(width, height))
        boxes, scores = self._detector(whole.cut(picture, DETECTOR_SIDE_PX, cv2.BORDER_CONSTANT))
        person = first_person(boxes[0], scores[0, :, 0])
        return None if person is None else Region.around(*whole.back(person))

    def _look(self, picture: NDArray[np.uint8], region: Region) -> NDArray[np.float32] | None:
        """Return x, y in pixels and visibility of the landmarks in a region, shape (33, 3); set the next region."""
        cut = region.cut(picture, LANDMARKER_SIDE_PX, cv2.BORDER_REPLICATE)
        marks, presence, heat = self._landmarker(cut)
        if presence[0, 0] < _PRESENT:
            return None
        marks = marks.reshape(-1, 5)[: N_LANDMARKS + 2]
        points_px = region.back(refine(marks[:, :2] / LANDMARKER_SIDE_PX, heat[0]))
        hips_px, extent_px = points_px[N_LANDMARKS:]
        size_px = 2 * math.dist(hips_px, extent_px)
        self._region = Region.around(*self._steadier.steady(points_px[N_LANDMARKS:], size_px))
        return np.asarray(np.column_stack([points_px, _logistic(marks[:, 3])])[:N_LANDMARKS], np.float32)


def _logistic(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -80.0, 80.0))), np.float32)


@cache
def _anchors() -> NDArray[np.float32]:
    """Return the middles of the detector's anchors, row by row, shape (2254, 2), in sides of its square."""
    grids = []
    for n_cells, n_anchors in _DETECTOR_GRIDS:
        y, x = np.mgrid[:n_cells, :n_cells].reshape(2, -1)
        grids.append(np.repeat((np.stack([x, y], axis=1) + 0.5) / n_cells, n_anchors, axis=0))
    return np.asarray(np.concatenate(grids), np.float32)
