"""Lids that come down over the eyes: skin of the person's own colour, with a line of lashes at the edge.

An open eye hides most of its lid, so a portrait does not show what a closed eye needs: to pull the little that is seen
over the eye would smear the lashes over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology
from pipeline.reference.patch import Patch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.portrait import Framed

    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_APPEARS = 0.3  # of a whole blink, by which the lid is drawn in full
_LASHES = (0.45, 0.85)  # of a whole blink, between which the line of lashes gets its strength
_LASH_STRENGTH = 0.75
_LASH_PX = 0.011  # eye distances
_CORNERS = 9  # one over the share of the eye at either corner over which the lid fades out
_ABOVE_FOLD = 0.65  # share of the way from the fold towards the brow over which the lid fades out
_FROM_BELOW = 0.6  # share of the colour that comes from under the eye
_SAMPLED = (0.3, 0.5, 0.7, 0.9)  # of that way: where the colour of the skin is taken


class Lids:
    """Draws the lids of one portrait.

    Parameters
    ----------
    portrait : Framed
        The portrait at the picture size.
    """

    def __init__(self, portrait: Framed) -> None:
        import cv2

        self._unit = portrait.pose.scale  # pixels per eye distance
        soft = cv2.GaussianBlur(portrait.picture, (0, 0), max(0.5, 0.012 * self._unit)).astype(np.float64)
        points = portrait.points[:, :2]
        self._skin = [
            _skin_along(soft, points, *rows)
            for rows in zip(topology.LID_FOLDS, topology.ABOVE_FOLDS, topology.BELOW_EYES, strict=True)
        ]
        lashes = _colours(
            portrait.picture, points[np.concatenate([lid[2:-2] for lid in topology.UPPER_LIDS])]
        )
        self._lash: FloatArray = np.quantile(lashes, 0.25, axis=0)

    def draw(self, points: FloatArray, blink: float) -> list[Patch]:
        """Draw both lids.

        Parameters
        ----------
        points : FloatArray, shape (478, 3)
            The face with its lids where they are at this moment, pixels.
        blink : float
            0 open, 1 shut.

        Returns
        -------
        list of Patch
            None while the eyes are open.
        """
        if blink <= 0:
            return []
        return [self._draw_one(side, points[:, :2], min(blink, 1.0)) for side in range(2)]

    def _draw_one(self, side: int, points: FloatArray, blink: float) -> Patch:
        edge = points[topology.UPPER_LIDS[side]]
        fold, above = points[topology.LID_FOLDS[side]], points[topology.ABOVE_FOLDS[side]]
        top = np.concatenate([edge[:1], fold + _ABOVE_FOLD * (above - fold), edge[-1:]])
        across = edge[-1] - edge[0]
        right = across / np.linalg.norm(across) * np.sign(across[0])
        down = np.array([-right[1], right[0]])
        outline = np.concatenate([edge, top])
        low = np.floor(outline.min(0)).astype(int) - 3
        wide, high = (np.ceil(outline.max(0)).astype(int) + 4 - low).tolist()
        ys, xs = np.mgrid[:high, :wide].astype(np.float32)
        along = (xs + low[0]) * right[0] + (ys + low[1]) * right[1]
        depth = (xs + low[0]) * down[0] + (ys + low[1]) * down[1]
        bottom, upper, crease = (
            _line(along, places @ right, places @ down)
            for places in (edge, top, np.concatenate([edge[:1], fold, edge[-1:]]))
        )
        order = np.argsort(edge @ right)
        ends = (edge @ right)[order[[0, -1]]]
        share = (along - ends[0]) / (ends[1] - ends[0])
        skin = self._skin[side]
        columns = np.linspace(0, 1, len(skin))
        colour = np.dstack([np.interp(share, columns, skin[:, c]) for c in range(3)])
        rolled = np.clip((depth - crease) / np.maximum(bottom - crease, 1), 0, 1)
        light = (
            1
            - 0.07 * np.clip(1 - 5 * np.abs(rolled - 0.1), 0, 1)
            - 0.12 * np.clip((rolled - 0.5) / 0.5, 0, 1)
        )
        light *= 1.03 - 0.08 * (2 * share - 1) ** 2
        cover = np.clip((depth - upper) / np.maximum(crease - upper, 0.5), 0, 1)
        cover *= np.clip(bottom - depth + 0.5, 0, 1) * min(1.0, blink / _APPEARS)
        cover *= np.clip(_CORNERS * share, 0, 1) * np.clip(_CORNERS * (1 - share), 0, 1)
        start, whole = _LASHES
        strength = _LASH_STRENGTH * float(np.clip((blink - start) / (whole - start), 0, 1))
        thick = max(0.8, _LASH_PX * self._unit) * (0.5 + 2 * np.clip(share * (1 - share), 0, 0.25))
        lash = strength * np.clip(1.5 - np.abs(depth - bottom) / thick, 0, 1)
        lash *= (share > 0) & (share < 1)
        total = lash + cover * (1 - lash)
        mixed = colour * light[..., None] * (cover * (1 - lash))[..., None] + self._lash * lash[..., None]
        drawn = np.dstack([mixed / np.maximum(total, 1e-6)[..., None], total]).astype(np.float32)
        return Patch(int(low[0]), int(low[1]), drawn)


def _skin_along(
    picture: FloatArray,
    points: FloatArray,
    fold: NDArray[np.int64],
    above: NDArray[np.int64],
    below: NDArray[np.int64],
) -> FloatArray:
    """Return the colour of skin along one lid, shape (n, 3).

    It is mixed of what is bright between fold and brow, where lashes, paint, hair and shadow lie too, and of the skin
    under the eye.
    """
    samples = np.stack(
        [_colours(picture, points[fold] + t * (points[above] - points[fold])) for t in _SAMPLED]
    )
    brightness = samples.sum(-1)
    best = np.argsort(brightness, axis=0)[-2:]
    skin = np.take_along_axis(samples, best[..., None], axis=0).mean(0)
    under = _colours(picture, points[below])
    skin = _FROM_BELOW * under + (1 - _FROM_BELOW) * skin
    smooth: FloatArray = 0.5 * skin + 0.5 * skin.mean(0)
    return smooth


def _colours(picture: NDArray[np.uint8] | FloatArray, places: FloatArray) -> FloatArray:
    height, width = picture.shape[:2]
    xs, ys = np.clip(np.round(places).astype(int), 0, [width - 1, height - 1]).T
    colours: FloatArray = picture[ys, xs].astype(np.float64)
    return colours


def _line(along: Float32Array, places: FloatArray, depths: FloatArray) -> FloatArray:
    """Return how deep a line through points is at every pixel."""
    order = np.argsort(places)
    line: FloatArray = np.interp(along, places[order], depths[order])
    return line
