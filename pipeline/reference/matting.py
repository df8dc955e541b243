"""A person cut out of a picture: how much of each pixel is person, and in which colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.partial_import import load_solution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Float32Array = NDArray[np.float32]

_CUT_SIDE_PX = 360  # the shape of the person and the colours around it are sought at this size
_BAND = 0.03  # face heights to either side of the outline within which a pixel may be of both
_DECIDED = 0.2  # share of the band at the outline within which only colour decides
_TELLING = 35.0  # colours of person and background as far apart as this are told apart as surely as not
_REACHES = ((0.8, 1.0), (2.0, 0.05), (6.0, 0.001))  # bands over which colours are averaged, and their weights
_NOISE = 0.08  # coverage that is taken for none, and for all


class Cutout(NamedTuple):
    """A person without what is behind it.

    Attributes
    ----------
    matte : float32 array, shape (height, width)
        1 where the person is, 0 where it is not.
    person : uint8 array, shape (height, width, 3)
        Colour of the person alone, RGB; also along the outline and a little beyond it.
    """

    matte: Float32Array
    person: Picture


def cut_out(picture: Picture, face_height_px: float) -> Cutout:
    """Cut a person out.

    A segmentation says where about the person is, and the colours inside and outside where its outline runs (Rother et
    al., "GrabCut", SIGGRAPH 2004). In a band along the outline a pixel is a mixture of the colour of the person and that
    of the background nearby; where the two differ its own colour says how much of each (Smith and Blinn, "Blue screen
    matting", SIGGRAPH 1996, with both colours known), elsewhere how far it is from the outline does.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    face_height_px : float
        Forehead to chin.
    """
    import cv2

    height, width = picture.shape[:2]
    factor = min(1.0, _CUT_SIDE_PX / max(height, width))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    band = max(2, round(_BAND * factor * face_height_px))
    inside = _find_shape(picture, small, band)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    sure = cv2.erode(inside, kernel, borderValue=1).astype(np.float32)
    nobody = 1 - cv2.dilate(inside, kernel).astype(np.float32)
    bands_inside = (
        cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    ) / band
    bands_inside = cv2.GaussianBlur(bands_inside, (0, 0), 1.0)
    here, behind, away = (
        cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR)
        for layer in (_average(small, sure, band), _average(small, nobody, band), bands_inside)
    )

    apart = here - behind
    squared = (apart * apart).sum(2)
    colours = picture.astype(np.float32)
    by_colour = np.clip(((colours - behind) * apart).sum(2) / np.maximum(squared, 1), 0, 1)
    by_place = np.clip(0.5 + 1.4 * away, 0, 1)
    telling = squared / (squared + _TELLING**2)
    share = telling * by_colour + (1 - telling) * by_place
    ramp = 1 - _DECIDED
    share = np.clip(
        share, np.clip((away - _DECIDED) / ramp, 0, 1), np.clip(1 + (away + _DECIDED) / ramp, 0, 1)
    )
    matte = np.clip((share - _NOISE) / (1 - 2 * _NOISE), 0, 1).astype(np.float32)

    cover = matte[..., None]
    unmixed = np.clip((colours - (1 - cover) * behind) / np.maximum(cover, 0.05), 0, 255)
    trust = np.clip((cover - 0.1) / 0.5, 0, 1)
    person = (trust * unmixed + (1 - trust) * here).astype(np.uint8)
    return Cutout(matte, np.where(cover == 1, picture, person))


def _find_shape(picture: Picture, small: Picture, band: int) -> NDArray[np.uint8]:
    """Return, at the size of the small picture, 1 where the person is and 0 elsewhere."""
    import cv2

    with load_solution("selfie_segmentation").SelfieSegmentation(model_selection=0) as segmentation:
        rough = segmentation.process(picture).segmentation_mask
    guess = cv2.resize(rough, small.shape[1::-1])
    marks = np.where(guess > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    marks[cv2.erode((guess > 0.92).astype(np.uint8), kernel, borderValue=1) == 1] = cv2.GC_FGD
    marks[cv2.dilate((guess > 0.1).astype(np.uint8), kernel) == 0] = cv2.GC_BGD
    if {cv2.GC_FGD, cv2.GC_BGD} <= set(np.unique(marks).tolist()):
        cv2.setRNGSeed(0)  # the colour clusters begin at random
        cv2.grabCut(small, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    inside: NDArray[np.uint8] = cv2.medianBlur(
        np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8), 5
    )
    return inside


def _average(picture: Picture, chosen: Float32Array, band: int) -> Float32Array:
    """Return the mean colour of the chosen pixels around each pixel, the nearer the more."""
    import cv2

    colours = picture.astype(np.float32) * chosen[..., None]
    total, weight = np.zeros_like(colours), np.full(chosen.shape, 1e-6, np.float32)
    total += 1e-6 * picture.reshape(-1, 3).mean(0)
    for reach, share in _REACHES:
        sigma = reach * band
        total += share * cv2.GaussianBlur(colours, (0, 0), sigma)
        weight += share * cv2.GaussianBlur(chosen, (0, 0), sigma)
    mean: Float32Array = total / weight[..., None]
    return mean
