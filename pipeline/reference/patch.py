"""Small pictures laid over a part of the portrait: the inside of the mouth, a lid."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Float32Array = NDArray[np.float32]


class Patch(NamedTuple):
    """A picture drawn in portrait pixels.

    Attributes
    ----------
    left, top : int
        Where its first pixel is.
    drawn : float32 array, shape (height, width, 4)
        RGB from 0 to 255 and coverage from 0 to 1.
    """

    left: int
    top: int
    drawn: Float32Array

    def lay_over(self, person: Picture, at_x: Float32Array, at_y: Float32Array) -> None:
        """Lay it, in place, over a part of a picture that shows the portrait pixels ``at``."""
        import cv2

        high, wide = self.drawn.shape[:2]
        x, y = at_x - np.float32(self.left), at_y - np.float32(self.top)
        ys, xs = np.nonzero((x > -1) & (x < wide) & (y > -1) & (y < high))
        if not len(ys):
            return
        rows, columns = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
        seen = cv2.remap(self.drawn, x[rows, columns], y[rows, columns], cv2.INTER_LINEAR)
        view, cover = person[rows, columns], seen[..., 3:]
        view[:] = np.clip(view * (1 - cover) + seen[..., :3] * cover, 0, 255).astype(np.uint8)
