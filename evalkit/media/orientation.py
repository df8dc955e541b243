"""How a picture is to be turned and mirrored before it is shown: the display matrix that a file carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from av.sidedata.sidedata import Type

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

CROOKED_DEG = 1.0
"""A picture that is asked to be turned to within this of a quarter turn is turned by quarter turns without a word."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways in which a stored picture is shown.

    Parameters
    ----------
    swaps_sides : bool
        Whether rows become columns; done first.
    flips_rows, flips_columns : bool
        Whether the picture is then put upside down, and left to right.
    crooked_deg : float
        How far the file asks to turn it beyond that; such angles are not followed.
    """

    swaps_sides: bool = False
    flips_rows: bool = False
    flips_columns: bool = False
    crooked_deg: float = 0.0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """Return what the display matrix of a frame asks for; upright where it has none.

        FFmpeg's decoders give the matrix of the container (``tkhd`` of MP4 and MOV, ``ProjectionPoseRoll`` of Matroska)
        and that of the coded picture (display orientation of H.264 and H.265) alike to every frame.
        """
        data = frame.side_data.get(Type.DISPLAYMATRIX)
        return cls() if data is None else cls.from_matrix(np.frombuffer(bytes(data), "<i4"))

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.int32]) -> Orientation:
        """Return the nearest orientation to a display matrix.

        Parameters
        ----------
        matrix : int array, shape (9,)
            Rows ``a b u``, ``c d v``, ``x y w``; a point (p, q), q downwards, is shown at (a p + c q + x, b p + d q + y).

        Examples
        --------
        >>> Orientation.from_matrix(np.array([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30])).is_mirrored
        True
        >>> Orientation.from_matrix(np.array([0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30])).rotation_deg
        90
        """
        a, b, _, c, d = (float(value) for value in matrix[:5])
        if not a * d - b * c:
            return cls()  # shows nothing: players take it for a missing one
        swaps = abs(b) + abs(c) > abs(a) + abs(d)
        across, down = (c, b) if swaps else (a, d)
        angle_deg = abs(np.degrees(np.arctan2(b, a)))
        from_quarter_deg = abs((angle_deg + 45) % 90 - 45)
        return cls(
            swaps, down < 0, across < 0, float(from_quarter_deg) if from_quarter_deg > CROOKED_DEG else 0.0
        )

    @property
    def is_mirrored(self) -> bool:
        """Whether the stored picture is the mirror image of the one shown."""
        return self.swaps_sides ^ self.flips_rows ^ self.flips_columns

    @property
    def rotation_deg(self) -> int:
        """Turn counterclockwise, after the picture has been mirrored left to right where it `is_mirrored`."""
        if self.swaps_sides:
            return 270 if self.flips_columns else 90
        return 180 if self.flips_rows else 0

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture as it is shown.

        Parameters
        ----------
        pixels : uint8 array, shape (height, width, 3)
            As stored.
        """
        shown = pixels.swapaxes(0, 1) if self.swaps_sides else pixels
        if self.flips_rows:
            shown = shown[::-1]
        if self.flips_columns:
            shown = shown[:, ::-1]
        return np.ascontiguousarray(shown)
