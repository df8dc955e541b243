"""Faults of a brand's mark: it is put into the picture, as its drawing has it, and then damaged."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from evalkit import registry
from evalkit.validation.material import Unplantable
from evalkit.validation.picture_faults import Transform, each_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evalkit.validation.material import Material
    from evalkit.validation.picture_faults import Picture

    Rgba = NDArray[np.float32]

MARK_WIDTH = 0.16
"""Of the picture's width; a tall mark is as high."""
_MARGIN = 0.08
"""Of the width, so that a cropped picture still shows all of it."""
_FACE_REACH = 0.9
"""How far a face reaches beyond its eyes, nose and chin, in distances between the eyes."""
_CARD, _CARD_MARGIN = 235.0, 0.12
"""The mark stands on a light card that is a little larger, so that it is seen before any scene."""


def as_drawn(clip: Material, _dose: float) -> Transform:
    """Put the mark into a corner, as its drawing has it."""
    return _with_mark(clip, lambda mark: mark)


def turned_in_hue(clip: Material, dose_deg: float) -> Transform:
    """Turn the hues of the mark, so many degrees."""

    def change(mark: Rgba) -> Rgba:
        import cv2

        hsv = cv2.cvtColor(mark[..., :3] / np.float32(255.0), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + dose_deg) % 360.0
        return np.dstack([cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * np.float32(255.0), mark[..., 3]])

    return _with_mark(clip, change)


def occluded(clip: Material, dose_percent: float) -> Transform:
    """Cover a share of the mark's width, from its right on, with the card that it stands on."""

    def change(mark: Rgba) -> Rgba:
        covered = mark.copy()
        covered[:, round(mark.shape[1] * (1.0 - dose_percent / 100.0)) :, 3] = 0.0
        return covered

    return _with_mark(clip, change)


def faded(clip: Material, dose_percent: float) -> Transform:
    """Take away a share of the mark's opacity."""

    def change(mark: Rgba) -> Rgba:
        paler = mark.copy()
        paler[..., 3] *= 1.0 - dose_percent / 100.0
        return paler

    return _with_mark(clip, change)


def _with_mark(clip: Material, damage: Callable[[Rgba], Rgba]) -> Transform:
    if not clip.survey.n_frames:
        raise Unplantable("the file has no picture")
    if clip.survey.brand_file is None:
        raise Unplantable("no brand was given")
    mark = damage(_read_mark(clip.survey.brand_file).copy())
    faces = _face_boxes(clip)

    def change(_time_s: float, _index: int, frame: Picture) -> Picture:
        import cv2

        height, width = frame.shape[:2]
        scale = MARK_WIDTH * width / max(mark.shape[:2])
        size = max(1, round(mark.shape[1] * scale)), max(1, round(mark.shape[0] * scale))
        alpha = mark[..., 3:] / np.float32(255.0)
        small = cv2.resize(np.dstack([mark[..., :3] * alpha, alpha]), size, interpolation=cv2.INTER_AREA)
        left, top = _corner(faces, (width, height), size)
        edge = round(_CARD_MARGIN * max(size))
        out = frame.copy()
        out[max(0, top - edge) : top + size[1] + edge, max(0, left - edge) : left + size[0] + edge] = _CARD
        place = out[top : top + size[1], left : left + size[0]]
        share = small[: place.shape[0], : place.shape[1], 3:]
        place[:] = np.clip(
            place * (1.0 - share) + small[: place.shape[0], : place.shape[1], :3] + 0.5, 0, 255
        )
        return out

    return each_frame(change)


@lru_cache(maxsize=1)
def _read_mark(file: str) -> Rgba:
    # By way of the plug-in: a brand can be read only where its extra is installed, and that is told where it is not.
    brand = registry.load(registry.EVALUATORS, "brand")(file=file)
    return np.asarray(brand.guidelines.logos[0], np.float32)


def _face_boxes(clip: Material) -> NDArray[np.float64]:
    """Return left, top, right and bottom of the face in every frame that shows one, in pixels; none where nobody is seen."""
    try:
        _, points, found = clip.face
    except Unplantable:
        return np.zeros((0, 4))
    low, high = points[found].min(axis=1), points[found].max(axis=1)
    reach = _FACE_REACH * (high - low).max(axis=1, keepdims=True) / 2
    return np.hstack([low - reach, high + reach]).astype(np.float64)


def _corner(faces: NDArray[np.float64], frame: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the corner, as left and top of the mark, that faces cover least."""
    margin = round(_MARGIN * frame[0])
    corners = [
        (left, top)
        for top in (margin, frame[1] - size[1] - margin)
        for left in (frame[0] - size[0] - margin, margin)
    ]

    def covered(corner: tuple[int, int]) -> float:
        left, top = corner
        across = np.minimum(faces[:, 2], left + size[0]) - np.maximum(faces[:, 0], left)
        down = np.minimum(faces[:, 3], top + size[1]) - np.maximum(faces[:, 1], top)
        return float((across.clip(0) * down.clip(0)).sum())

    left, top = min(corners, key=covered)
    return max(0, left), max(0, top)
