"""What is behind a person, where the portrait does not show it: painted over the person, or beside the portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference.matting import Cutout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_BORDER = 0.2  # face heights at a border whose outline and colours tell how a shoulder goes on
_SHOULDER = 0.7  # face heights beyond the border by which the outline has come down to the bottom
_ROUNDED = 0.12  # face heights that hair goes on beyond the border
_SOFT = 0.03  # face heights above the outline within which hair or cloth may stand out
_STEEPEST, _FLATTEST = 2.5, 0.15  # rows that the outline comes down a column, where it begins


def widen(
    picture: Picture, cutout: Cutout, n_left: int, n_right: int, face_height_px: float
) -> tuple[Picture, Float32Array, Picture]:
    """Add columns on both sides: mirrored, blurred background, and shoulders that the portrait cuts off.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    cutout : Cutout
        The person in it.
    n_left, n_right : int
        Columns to add.
    face_height_px : float
        Forehead to chin.

    Returns
    -------
    picture, matte, person
        As in the cutout; wider.
    """
    import cv2

    plate = background_plate(picture, cutout.matte)
    wide = cv2.copyMakeBorder(plate, 0, 0, n_left, n_right, cv2.BORDER_REFLECT_101)
    soft = cv2.GaussianBlur(wide, (0, 0), picture.shape[1] / 50)
    columns = np.arange(wide.shape[1])
    outside = np.maximum(n_left - columns, columns - (n_left + picture.shape[1] - 1)).astype(np.float32)
    blend = np.clip(outside / (0.05 * picture.shape[1]), 0, 1)[None, :, None]
    wide = (wide * (1 - blend) + soft * blend).astype(np.uint8)
    right = _continue_person(cutout, n_right, face_height_px)
    mirrored = _continue_person(Cutout(cutout.matte[:, ::-1], cutout.person[:, ::-1]), n_left, face_height_px)
    matte = np.concatenate([mirrored.matte[:, ::-1], cutout.matte, right.matte], axis=1)
    person = np.concatenate([mirrored.person[:, ::-1], cutout.person, right.person], axis=1)
    wide = cv2.blendLinear(person, wide, matte, 1 - matte)
    wide[:, n_left : n_left + picture.shape[1]] = picture
    return wide, matte, person


def _continue_person(cutout: Cutout, n_columns: int, face_height_px: float) -> Cutout:
    """Return what of the person would be seen beyond the right border.

    What reaches down to the bottom is a shoulder: its outline goes on as it runs into the border, always downwards and
    ever steeper. What is cut off higher up, as hair, is rounded off. The colours are those inside the border, mirrored.
    """
    height = len(cutout.matte)
    there = cutout.matte[:, -1] > 0.5
    if n_columns == 0 or not there.any():
        return Cutout(np.zeros((height, n_columns), np.float32), np.zeros((height, n_columns, 3), np.uint8))
    shoulder = height if there.all() else int((~there[::-1]).argmax())  # rows of it at the border
    parts = [_round_off(cutout, there & (np.arange(height) < height - shoulder), n_columns, face_height_px)]
    if shoulder:
        parts.append(_continue_shoulder(cutout, n_columns, face_height_px))
    lower = np.argmax([part.matte for part in parts], axis=0)
    return Cutout(
        np.max([part.matte for part in parts], axis=0),
        np.choose(lower[..., None], [part.person for part in parts]).astype(np.uint8),
    )


def _round_off(cutout: Cutout, rows: NDArray[np.bool_], n_columns: int, face_height_px: float) -> Cutout:
    height, width = cutout.matte.shape
    ends = np.flatnonzero(~rows)
    to_end = np.abs(np.arange(height)[:, None] - ends).min(1) if len(ends) else np.full(height, height)
    most = _ROUNDED * face_height_px
    reach = most * (1 - (1 - np.clip(to_end / (3 * most), 0, 1)) ** 2)
    beyond = np.arange(1, n_columns + 1)
    matte = np.clip(reach[:, None] - beyond + 0.5, 0, 1).astype(np.float32)
    mirrored = np.maximum(width - beyond, 0)
    return Cutout(matte, cutout.person[:, mirrored])


def _continue_shoulder(cutout: Cutout, n_columns: int, face_height_px: float) -> Cutout:
    import cv2

    height, width = cutout.matte.shape
    depth = min(max(2, round(_BORDER * face_height_px)), width)
    there = cutout.matte[::-1, -depth:] > 0.5  # from the bottom
    occupied = np.flatnonzero(there[0])
    gaps = ~there[:, occupied]
    highest = height - np.where(gaps.any(0), gaps.argmax(0), height)  # of what hangs together with the bottom
    slope, start = (
        np.polyfit(occupied - (depth - 1), highest, 1) if len(occupied) > 1 else (0.0, float(highest[0]))
    )
    fall = np.clip(slope, _FLATTEST, _STEEPEST)
    beyond = np.arange(1, n_columns + 1, dtype=np.float64)
    outline = start + fall * beyond + (height - start) * (beyond / (_SHOULDER * face_height_px)) ** 3
    back = (beyond - 1) % (2 * depth)  # to and fro between the border and `depth` columns inside
    column = np.minimum(back, 2 * depth - 1 - back)
    rows = np.arange(height)[:, None]
    xs = np.broadcast_to(width - 1 - column, (height, n_columns)).astype(np.float32)
    ys = (rows - outline + (start - slope * column)).astype(np.float32)
    matte, person = (
        cv2.remap(layer, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for layer in cutout
    )
    above = np.clip((rows - outline) / (_SOFT * face_height_px) + 1, 0, 1).astype(np.float32)
    return Cutout(matte * above, person)


def background_plate(picture: Picture, matte: Float32Array) -> Picture:
    """Return the picture with the person painted over by what surrounds it; unchanged away from the person."""
    import cv2

    reach = max(3, round(0.012 * min(picture.shape[:2]))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    covered = cv2.dilate((matte > 0.02).astype(np.float32), kernel)
    return fill_from_outside(picture, covered)


def fill_from_outside(picture: Picture, covered: Float32Array) -> Picture:
    """Fill covered pixels with colours of the uncovered ones, the nearer the more; smooth at every scale."""
    import cv2

    weight = 1 - covered
    colours = picture.astype(np.float32) * weight[..., None]
    filled, done = colours, weight
    levels = [(filled, done)]
    while min(filled.shape[:2]) > 3:
        filled, done = cv2.pyrDown(filled), cv2.pyrDown(done)
        levels.append((filled, done))
    filled, done = levels[-1]
    guess = filled / np.maximum(done, 1e-4)[..., None]
    for filled, done in reversed(levels[:-1]):
        guess = cv2.pyrUp(guess, dstsize=(filled.shape[1], filled.shape[0]))
        share = np.clip(done, 0, 1)[..., None]
        guess = np.where(share > 0.999, filled, filled + (1 - share) * guess)
    return np.clip(np.where(weight[..., None] == 1, picture, guess), 0, 255).astype(np.uint8)
