"""Measures of what a person sees at once in a rendered picture; none of them knows how it was rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.reference import topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]


def n_repeated_rows(picture: Picture, framed: Framed, *, at_bottom: bool = False) -> int:
    """Count the rows next to the border, over the width of the face, that are equal to their neighbour."""
    oval = framed.points[topology.FACE_OVAL, :2]
    left, right = oval[:, 0].min().astype(int), oval[:, 0].max().astype(int)
    rows = picture[::-1] if at_bottom else picture
    strip = rows[:, max(0, left) : right].astype(int)
    differs = (np.abs(np.diff(strip[:60], axis=0)).max(2) > 1).mean(1) > 0.1
    return int(differs.argmax()) if differs.any() else len(differs)


def lid_distance(picture: Picture, points: FloatArray, framed: Framed) -> float:
    """Return how far the closed lids are from the skin around the eyes, ΔE76; the worse of both eyes."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    found = []
    for edge, fold, below in zip(topology.UPPER_LIDS, topology.LID_FOLDS, topology.BELOW_EYES, strict=True):
        middle = slice(2, 5)
        lids = np.concatenate(
            [
                points[fold, :2][middle] + t * (points[edge[1:-1], :2] - points[fold, :2])[middle]
                for t in (0.2, 0.4, 0.6)
            ]
        )
        skin = np.concatenate([framed.points[below, :2][1:6], framed.points[[9, 151, 8], :2]])
        found.append(np.linalg.norm(_colours(lab, lids).mean(0) - np.median(_colours(lab, skin), axis=0)))
    return float(max(found))


def mouth_shares(picture: Picture, points: FloatArray) -> tuple[float, float]:
    """Return the shares of an open mouth that are black, and that are of its most frequent colour."""
    lips = points[topology.INNER_LIPS, :2]
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(lips).astype(np.int32)], 1)
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8))
    colours = picture[inside > 0]
    black = (colours.max(1) < 40).mean()
    _, counts = np.unique(colours // 8, axis=0, return_counts=True)
    return float(black), float(counts.max() / counts.sum())


def tooth_edge_row(picture: Picture, points: FloatArray, unit: float) -> int:
    """Return the row in which the upper teeth end: where it gets dark below something bright.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        With the mouth open.
    points : FloatArray, shape (478, 3)
        Face points in it.
    unit : float
        Pixels per eye distance.
    """
    lip, floor = points[13, :2], points[14, :2]
    wide = round(0.05 * unit)
    x, top, bottom = round(lip[0]), round(lip[1]) + 1, round(lip[1] + 0.75 * (floor[1] - lip[1]))
    bright = picture[top:bottom, x - wide : x + wide].astype(float).mean((1, 2))
    return top + int(np.diff(cv2.GaussianBlur(bright[:, None], (1, 3), 0)[:, 0]).argmin())


def border_step(picture: Picture, column: int, rows: slice) -> float:
    """Return how much harder the step between two columns is than the steps around it."""
    steps = np.abs(np.diff(picture[rows].astype(float), axis=1)).mean((0, 2))
    near = np.r_[steps[column - 12 : column - 2], steps[column + 2 : column + 12]]
    return float(steps[column - 1 : column + 1].max() / max(1.0, np.quantile(near, 0.8)))


def _colours(picture: NDArray[np.float32], places: FloatArray) -> NDArray[np.float32]:
    xs, ys = np.clip(np.round(places).astype(int), 0, [picture.shape[1] - 1, picture.shape[0] - 1]).T
    return picture[ys, xs]
