"""Decoded pictures as RGB, whatever colours they are tagged with."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

HD_HEIGHT_PX, HD_WIDTH_PX = 720, 1280
"""From this size on, a picture that says nothing of its colours is BT.709, as players take it; below, BT.601."""


class Matrix(IntEnum):
    """Matrix coefficients of ITU-T H.273, table 4, as FFmpeg numbers them."""

    BT709 = 1
    UNSPECIFIED = 2
    RESERVED = 3
    BT601 = 6
    YCGCO = 8
    BT2020_NCL = 9
    BT2020_CL = 10
    SMPTE2085 = 11
    CHROMA_DERIVED_NCL = 12
    CHROMA_DERIVED_CL = 13
    ICTCP = 14
    IPT_C2 = 15
    YCGCO_RE = 16
    YCGCO_RO = 17


_NEAREST = {
    Matrix.BT2020_CL: Matrix.BT2020_NCL,
    Matrix.SMPTE2085: Matrix.BT2020_NCL,
    Matrix.CHROMA_DERIVED_NCL: Matrix.BT709,
    Matrix.CHROMA_DERIVED_CL: Matrix.BT709,
    Matrix.ICTCP: Matrix.BT2020_NCL,
    Matrix.IPT_C2: Matrix.BT2020_NCL,
    Matrix.YCGCO_RE: Matrix.YCGCO,
    Matrix.YCGCO_RO: Matrix.YCGCO,
}
"""Those that FFmpeg's scaler refuses, and what stands in for them."""
_UNTAGGED = {Matrix.UNSPECIFIED, Matrix.RESERVED}
_FULL_RANGE = 2


def approximation(frame: av.VideoFrame) -> str | None:
    """Return a line for people where the colours of a frame can only be approximated, else None."""
    nearest = _NEAREST.get(frame.colorspace)
    if nearest is None or not _is_yuv(frame):
        return None
    return (
        f"the colours are tagged {Matrix(frame.colorspace).name}, which cannot be decoded exactly; they were taken "
        f"for {nearest.name} and are approximate"
    )


def to_rgb(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """Return a frame in RGB.

    Parameters
    ----------
    frame : av.VideoFrame
        As decoded; what it says of its colours may be set to what it was taken for.
    width, height : int
        Size to scale to, in pixels.

    Returns
    -------
    uint8 array, shape (height, width, 3)

    Raises
    ------
    av.error.FFmpegError, ValueError
        If FFmpeg cannot convert the frame's kind of pixels.
    """
    if _is_yuv(frame):
        matrix = _NEAREST.get(frame.colorspace, frame.colorspace)
        if matrix == Matrix.YCGCO:
            return _from_ycgco(frame, width, height)
        if matrix in _UNTAGGED:
            is_hd = frame.height >= HD_HEIGHT_PX or frame.width >= HD_WIDTH_PX
            matrix = Matrix.BT709 if is_hd else Matrix.BT601
        frame.colorspace = matrix
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=width, height=height)
    return pixels


def _is_yuv(frame: av.VideoFrame) -> bool:
    return len(frame.format.components) >= 3 and not frame.format.is_rgb


def _from_ycgco(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """Undo the YCgCo transform (H.273, equations 47 to 50), of which FFmpeg's scaler knows nothing."""
    frame.colorspace = Matrix.BT601  # from YUV to YUV, where no matrix counts
    planes = frame.reformat(format="yuv444p", width=width, height=height).to_ndarray().astype(np.float32)
    low, luma_range, chroma_range = (0, 255, 255) if frame.color_range == _FULL_RANGE else (16, 219, 224)
    luma = (planes[0] - low) / luma_range
    green, orange = (planes[1:] - 128) / chroma_range
    rgb = np.stack([luma - green + orange, luma + green, luma - green - orange], axis=-1)
    return np.asarray(np.clip(np.rint(255 * rgb), 0, 255), np.uint8)
