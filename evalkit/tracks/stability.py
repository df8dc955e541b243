"""The stability track: how person and background move, change colour and flicker from one picture to the next.

Pictures are averaged down to `LONG_SIDE_PX` and taken to CIELAB. Twice a second the person is told from the background. Between
neighbouring pictures the movement of each of the two (shift, growth, turn) and its change of brightness are one least-squares
problem over its pixels [1]_, with pixels that move otherwise, as lips do, weighted down; so a colour that changes is told from
an edge that moves. What is left of the background's difference after its movement, and comes back with the next picture, is
flicker.

A picture that repeats the last one is left out: the next one is compared with the last that differed.

References
----------
.. [1] B. Lucas, T. Kanade, "An iterative image registration technique with an application to stereo vision", IJCAI 1981.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import TrackBuilder
from evalkit.tracks.person_mask import PersonSegmenter
from evalkit.types import FrameChunk, Track

LONG_SIDE_PX = 96
STILL_CHANGE = 0.4
"""A picture whose `change` is below this repeats the last one: one level of 255, as in the pose track."""
LEAST_SHARE = 0.03
"""A region with a smaller share of the picture is not there."""
MASK_EVERY_S = 0.5

REGIONS = ("person", "background")
MOTION = ("x_px", "y_px", "growth", "turn_rad")
STEPS = ("l_step", "a_step", "b_step")
COLORS = ("l", "a", "b")
COLUMNS = (
    "change",
    "residual",
    "flicker_percent",
    *(f"{region}_{what}" for region in REGIONS for what in ("share", *MOTION, *STEPS, *COLORS)),
)
"""``change``: largest difference in lightness of a block of 4x4 pixels to the last picture that differed, in L*. ``residual``: mean
absolute difference in L* that no movement explains. ``flicker_percent``: how far the background's lightness went with the picture
before and comes back with this one, in percent of full scale. Then for each region: its share of the picture; how it moved
from the last picture, in pixels of the clip, as a logarithm and in radians; how its colour changed, in L*, a* and b*; its mean
colour, where the mask is new. NaN where there is none, and all but ``change`` where the picture repeats the last."""

_BLUR_PX = 1.0
_BLOCK_PX = 4
_PERSON, _BACKGROUND = 0.7, 0.1
_N_PARAMETERS = 5
_EXPLAINED = 0.5
"""Differences in L* well above this, and above most, count little: they are of what moves otherwise."""


class _Picture(NamedTuple):
    lab: NDArray[np.float32]
    smooth: NDArray[np.float32]
    """Its lightness, blurred so that its slopes are those over a movement of a pixel."""


class StabilityTracker:
    """Follows person and background. A row depends on earlier pictures only, never on how they are cut into chunks."""

    name = "stability"
    version = 1

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, COLUMNS)
        self._segmenter = PersonSegmenter()
        self._last: _Picture | None = None
        self._came_back: NDArray[np.float32] | None = None
        """How the picture before the last differs from the last, at the last one's places."""
        self._weights: NDArray[np.float32] | None = None
        self._mask_from_s = -math.inf
        self._places: NDArray[np.float32] | None = None
        self._first: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        """The first picture with a background: its colours, and where its background is."""

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Compare the next frames; nothing is located in them."""
        for time_s, frame in zip(chunk.times_s.tolist(), chunk.frames, strict=True):
            self._rows.append(time_s, self._look(time_s, frame))
        return [None] * len(chunk.frames)

    def finish(self) -> Track:
        """Return the whole track and release the model."""
        self._segmenter.close()
        self._last = self._came_back = self._weights = self._first = None
        return self._rows.track()

    def _look(self, time_s: float, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        row = dict.fromkeys(COLUMNS, math.nan)
        small, scale = _shrink(frame)
        picture = _picture(small)
        last = self._last
        if last is not None and last.smooth.shape == picture.smooth.shape:
            row["change"] = _largest_change(picture, last)
            if row["change"] < STILL_CHANGE:
                return np.array(list(row.values()), np.float32)
        else:
            last = self._came_back = self._weights = self._places = self._first = None
        if self._weights is None or time_s >= self._mask_from_s:
            self._weights = _region_weights(self._segmenter.find(small), picture.smooth.shape)
            self._mask_from_s = (math.floor(time_s / MASK_EVERY_S) + 1) * MASK_EVERY_S
            self._mean_colors(picture, row)
        for region, weights in zip(REGIONS, self._weights, strict=True):
            row[f"{region}_share"] = float(weights.mean())
        if last is not None:
            self._compare(picture, last, scale, row)
        self._last = picture
        return np.array(list(row.values()), np.float32)

    def _mean_colors(self, picture: _Picture, row: dict[str, float]) -> None:
        """Put the mean colours of both regions into a row, that of the background as if all of it were seen at all times.

        What the person covers and lays free changes the mean of what is left, and is no drift: places of the background count
        with how they differ from the first picture.
        """
        assert self._weights is not None  # noqa: S101 - narrows the type: it was made just before
        lab = picture.lab.reshape(-1, 3)
        person, background = self._weights
        means = {}
        if _is_there(person):
            means["person"] = person @ lab / person.sum()
        if self._first is None and _is_there(background):
            self._first = lab, background
        if self._first is not None:
            first_lab, first_background = self._first
            both = background * first_background
            if _is_there(both):
                first_mean = first_background @ first_lab / first_background.sum()
                means["background"] = first_mean + both @ (lab - first_lab) / both.sum()
        for region, colors in means.items():
            row |= {f"{region}_{name}": float(c) for name, c in zip(COLORS, colors, strict=True)}

    def _compare(self, picture: _Picture, last: _Picture, scale: float, row: dict[str, float]) -> None:
        assert self._weights is not None  # noqa: S101 - narrows the type: it was made with the first picture
        if self._places is None:
            self._places = _places(picture.smooth.shape)
        differences = (picture.lab - last.lab).reshape(-1, 3)
        slopes = _slopes(picture, last, self._places)
        lightness = (picture.smooth - last.smooth).ravel()
        unexplained = n_pixels = 0.0
        moved: NDArray[np.float32] | None = None
        for region, weights in zip(REGIONS, self._weights, strict=True):
            if not _is_there(weights):
                continue
            movement, kept = _register(slopes, lightness, weights)
            unexplained += weights @ np.abs(lightness - movement @ slopes)
            n_pixels += weights.sum()
            color = kept @ differences / kept.sum()
            color[0] = movement[4]
            shift = movement[:2] / scale
            values = (*shift, *movement[2:4], *color)
            row |= {f"{region}_{name}": float(v) for name, v in zip((*MOTION, *STEPS), values, strict=True)}
            if region == "background":
                moved = movement
        if n_pixels:
            row["residual"] = unexplained / n_pixels
        self._flicker(picture, last, moved, row)

    def _flicker(
        self, picture: _Picture, last: _Picture, moved: NDArray[np.float32] | None, row: dict[str, float]
    ) -> None:
        assert self._weights is not None  # noqa: S101 - narrows the type
        if moved is None:
            self._came_back = None
            return
        new, old = picture.lab[..., 0], last.lab[..., 0]
        ahead = _in_blocks(_warped(new, moved) - old)
        if self._came_back is not None:
            is_background = _in_blocks(self._weights[1].reshape(new.shape)) > 0.99
            if is_background.any():
                back = np.where(
                    ahead * self._came_back > 0, np.minimum(np.abs(ahead), np.abs(self._came_back)), 0.0
                )
                row["flicker_percent"] = float(back[is_background].mean())
        self._came_back = _in_blocks(_warped(old, -moved) - new)


def _shrink(frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Average a picture down; return it and its size over the frame's."""
    import cv2

    height, width = frame.shape[:2]
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = frame
    while max(small.shape) >= 2 * LONG_SIDE_PX:  # halving is many times faster than any other scale
        half = max(1, small.shape[1] // 2), max(1, small.shape[0] // 2)
        small = np.asarray(cv2.resize(small, half, interpolation=cv2.INTER_AREA), np.uint8)
    if scale < 1.0:
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, scale


def _picture(small: NDArray[np.uint8]) -> _Picture:
    import cv2

    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2Lab)
    return _Picture(lab, cv2.GaussianBlur(np.ascontiguousarray(lab[..., 0]), (0, 0), _BLUR_PX))


def _in_blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    height, width = (max(1, side // _BLOCK_PX) for side in plane.shape)
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _largest_change(picture: _Picture, last: _Picture) -> float:
    return float(_in_blocks(np.abs(picture.lab[..., 0] - last.lab[..., 0])).max())


def _region_weights(probabilities: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return 1 where a pixel is surely of the person, and of the background, else 0; shape (2, height * width)."""
    import cv2

    seen = cv2.resize(probabilities, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    near = cv2.dilate(seen, np.ones((5, 5), np.uint8))
    inside = cv2.erode(seen, np.ones((3, 3), np.uint8))
    weights: NDArray[np.float32] = np.stack([inside > _PERSON, near < _BACKGROUND]).astype(np.float32)
    return weights.reshape(2, -1)


def _places(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return x and y of each pixel from the picture's middle, shape (2, height, width)."""
    y, x = np.indices(shape, np.float32)
    return np.asarray([x - (shape[1] - 1) / 2, y - (shape[0] - 1) / 2], np.float32)


def _is_there(weights: NDArray[np.float32]) -> bool:
    return bool(weights.sum() >= LEAST_SHARE * weights.size)


def _slopes(picture: _Picture, last: _Picture, places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a unit of each parameter changes in the lightness of each pixel, shape (5, n)."""
    import cv2

    middle = (picture.smooth + last.smooth) / 2
    along = -cv2.Scharr(middle, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = -cv2.Scharr(middle, cv2.CV_32F, 0, 1, scale=1 / 32)
    x, y = places
    slopes = np.empty((_N_PARAMETERS, middle.size), np.float32)
    for row, change in enumerate((along, down, x * along + y * down, x * down - y * along)):
        slopes[row] = change.ravel()
    slopes[4] = 1.0
    return slopes


def _register(
    slopes: NDArray[np.float32], lightness: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the movement of a region, and what each of its pixels counted."""
    movement = np.zeros(_N_PARAMETERS, np.float32)
    kept = _trusted(lightness, weights)
    for _ in range(3):
        weighted = slopes * kept
        normal = (weighted @ slopes.T).astype(np.float64)
        normal[np.diag_indices(_N_PARAMETERS)] += 1e-3 * (1.0 + normal.diagonal())
        movement = np.linalg.solve(normal, (weighted @ lightness).astype(np.float64)).astype(np.float32)
        kept = _trusted(lightness - movement @ slopes, weights)
    return movement, kept


def _trusted(off: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights less of what is off: some pixels move otherwise, or are not of the region any more.

    By the function of Geman and McClure: what is far off counts nearly nothing, however sharp its edges.
    """
    usual = max(_EXPLAINED, float(weights @ np.sqrt(np.abs(off)) / weights.sum()) ** 2)
    return np.asarray(weights / np.square(1 + np.square(off / np.float32(usual))), np.float32)


def _warped(plane: NDArray[np.float32], movement: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture as it was before a movement."""
    import cv2

    x_px, y_px, growth, turn = (float(v) for v in movement[:4])
    height, width = plane.shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    to_new = np.array(
        [
            [1 + growth, -turn, x_px - growth * middle_x + turn * middle_y],
            [turn, 1 + growth, y_px - turn * middle_x - growth * middle_y],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(plane, to_new, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(back, np.float32)
