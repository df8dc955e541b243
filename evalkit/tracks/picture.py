"""The picture track: what every frame looks like as a whole, in a few numbers and little time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.technical import STILL_CHANGE
from evalkit.tracks.base import TrackBuilder
from evalkit.types import FrameChunk, Track

Plane = NDArray[np.uint8] | NDArray[np.float32]

BLACK_LEVEL = 25
"""A pixel is black up to this luma of 255: a tenth of the range, as in ffmpeg's ``blackdetect`` (``pix_th``)."""
BLOCKS_LONG_SIDE = 64
VIEWED_LONG_SIDE_PX = 512
_BLUR_TAPS = 11


class PictureTracker:
    """Follows brightness, blackness, stillness and sharpness, frame by frame.

    Luma is that of ITU-R BT.601 in full range, 0 (black) to 255 (white), gamma-encoded as it is shown.

    Columns
    -------
    luma_mean
        Mean luma, 0 to 255.
    black_share
        Share of pixels with luma ≤ `BLACK_LEVEL`, 0 to 1.
    difference
        Mean absolute luma difference to the previous frame, in levels, after the picture has been averaged down
        to blocks, `BLOCKS_LONG_SIDE` along its longer side: 0 for an exact repeat. NaN for the first frame.
    change
        Largest luma difference of any one block to the picture's last *move*, in levels. Comparing with the last
        move instead of the previous frame lets slow motion add up, at any frame rate; taking the largest block
        instead of the mean keeps a small moving mouth in sight before a still background; averaging over blocks
        takes the noise of codecs away. A move is a frame with more than `STILL_CHANGE`. NaN for the first frame.
    sharpness
        One minus the perceptual blur of Crete et al., 0 (blurred) to 1 (sharp), seen with the longer side at
        `VIEWED_LONG_SIDE_PX`, so that pictures of all sizes are judged as when shown equally large. NaN for a
        picture without any structure.

    The facts carry ``end_s``, until when the last frame is shown, where the file says so.

    References
    ----------
    F. Crete, T. Dolmiere, P. Ladret, M. Nicolas: The blur effect: perception and estimation with a new
    no-reference perceptual blur metric, SPIE 6492 (2007).
    """

    name = "picture"
    version = 2
    columns = ("luma_mean", "black_share", "difference", "change", "sharpness")

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, self.columns)
        self._previous: Plane | None = None
        self._moved: Plane | None = None
        self._end_s: float | None = None

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Measure the next frames; nothing is located in them."""
        for time_s, frame in zip(chunk.times_s, chunk.frames, strict=True):
            self._rows.append(float(time_s), self._measure(frame))
        self._end_s = chunk.end_s
        return [None] * len(chunk.frames)

    def finish(self) -> Track:
        """Return the whole track."""
        return self._rows.track({} if self._end_s is None else {"end_s": self._end_s})

    def _measure(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        import cv2

        luma: Plane = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        seen = _scale(luma, VIEWED_LONG_SIDE_PX).astype(np.float32)
        blocks = _scale(seen, BLOCKS_LONG_SIDE)
        difference = change = np.nan
        if self._previous is None or self._moved is None:
            self._moved = blocks
        else:
            difference = float(cv2.absdiff(blocks, self._previous).mean(dtype=np.float64))
            change = float(cv2.absdiff(blocks, self._moved).max())
            if change > STILL_CHANGE:
                self._moved = blocks
        self._previous = blocks
        row = (
            cv2.sumElems(luma)[0] / luma.size,
            np.count_nonzero(luma <= BLACK_LEVEL) / luma.size,
            difference,
            change,
            _sharpness(seen),
        )
        return np.array(row, dtype=np.float32)


def _sharpness(luma: Plane) -> float:
    """Return one minus the perceptual blur (Crete et al. 2007); NaN for a picture without any structure.

    Blurring what is sharp changes it much, blurring what is blurred changes it little: blur is the share of the
    variation between neighbours that survives a box of 11 pixels, along the rows or down the columns, whichever
    is worse.
    """
    import cv2

    inside = slice(2, -1)
    blurs = []
    for taps, order in (((_BLUR_TAPS, 1), (1, 0)), ((1, _BLUR_TAPS), (0, 1))):
        blurred = cv2.blur(luma, taps, borderType=cv2.BORDER_REFLECT)
        edges = np.abs(cv2.Sobel(luma, cv2.CV_32F, *order)[inside, inside])
        blurred_edges = np.abs(cv2.Sobel(blurred, cv2.CV_32F, *order)[inside, inside])
        variation = cv2.sumElems(edges)[0]
        if variation <= 0:
            return float("nan")
        blurs.append(cv2.sumElems(cv2.min(edges, blurred_edges))[0] / variation)
    return float(1.0 - max(blurs))


def _scale(plane: Plane, long_side_px: int) -> Plane:
    import cv2

    while max(plane.shape) >= 2 * long_side_px:
        height, width = plane.shape
        half = max(1, width // 2), max(1, height // 2)
        plane = cv2.resize(plane, half, interpolation=cv2.INTER_AREA)
    height, width = plane.shape
    scale = long_side_px / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return scaled
