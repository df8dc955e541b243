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

    def lay_over(self, person: Picture, places: Float32Array) -> None:
        """Lay it, in place, over a part of a picture that shows the portrait pixels at ``places``."""
        import cv2

        high, wide = self.drawn.shape[:2]
        part = find_inside(places, self.left - 1, self.top - 1, self.left + wide, self.top + high)
        seen = cv2.remap(
            self.drawn, places[part] - np.array([self.left, self.top], np.float32), None, cv2.INTER_LINEAR
        )
        view, cover = person[part], seen[..., 3:]
        view[:] = np.clip(view * (1 - cover) + seen[..., :3] * cover, 0, 255).astype(np.uint8)


def find_inside(
    places: Float32Array, left: float, top: float, right: float, bottom: float
) -> tuple[slice, slice]:
    """Return the rows and columns that hold all places inside a rectangle, its border left out; empty for none.

    Parameters
    ----------
    places : float32 array, shape (height, width, 2)
        x and y.
    left, top, right, bottom : float
        The rectangle.
    """
    import cv2

    low = np.nextafter(np.array([left, top], np.float32), np.float32(np.inf))
    high = np.nextafter(np.array([right, bottom], np.float32), np.float32(-np.inf))
    x, y, wide, high_px = cv2.boundingRect(cv2.inRange(places, low.astype(float), high.astype(float)))
    return slice(y, y + high_px), slice(x, x + wide)
