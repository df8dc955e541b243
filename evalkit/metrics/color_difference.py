"""How far two colours are apart, as people see them.

CIEDE2000 (ΔE00): G. Sharma, W. Wu, E. N. Dalal, The CIEDE2000 color-difference formula: implementation notes, supplementary
test data, and mathematical observations, Color Research & Application 30(1), 2005. Below 2 is print trade practice, 5 is seen
at a glance. Colours are CIELAB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from evalkit.types import FloatArray

_ROUNDING_DEG = 1e-9


def delta_e(lab: ArrayLike, other: ArrayLike) -> FloatArray:
    """Return ΔE00 between colours, which are broadcast against each other; the last axis is L*, a*, b*.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.

    Examples
    --------
    >>> float(delta_e([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]).round(4))
    2.0425
    """
    require_triples("lab", lab)
    require_triples("other", other)
    first, second = (np.moveaxis(np.asarray(given, dtype=np.float64), -1, 0) for given in (lab, other))
    mean_chroma = (np.hypot(first[1], first[2]) + np.hypot(second[1], second[2])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7))
    chroma, hue = _chroma_and_hue(first, stretch)
    other_chroma, other_hue = _chroma_and_hue(second, stretch)
    is_grey = chroma * other_chroma == 0
    turn = other_hue - hue
    # Opposite hues are 180° apart but for rounding, and then either half of the circle could be meant.
    crosses = np.abs(turn) > 180 + _ROUNDING_DEG
    turn = np.where(is_grey, 0.0, np.where(crosses, turn - 360 * np.sign(turn), turn))
    total = hue + other_hue
    halfway = np.where(crosses, total / 2 + np.where(total < 360, 180.0, -180.0), total / 2)
    mean_hue: FloatArray = np.where(is_grey, total, halfway)
    lightness, chroma_mean = (first[0] + second[0]) / 2, (chroma + other_chroma) / 2
    shape = (
        1
        - 0.17 * _cos_deg(mean_hue - 30)
        + 0.24 * _cos_deg(2 * mean_hue)
        + 0.32 * _cos_deg(3 * mean_hue + 6)
        - 0.20 * _cos_deg(4 * mean_hue - 63)
    )
    off = (lightness - 50) ** 2
    by_lightness = (second[0] - first[0]) / (1 + 0.015 * off / np.sqrt(20 + off))
    by_chroma = (other_chroma - chroma) / (1 + 0.045 * chroma_mean)
    by_hue = (
        2 * np.sqrt(chroma * other_chroma) * np.sin(np.deg2rad(turn / 2)) / (1 + 0.015 * chroma_mean * shape)
    )
    blue = 60 * np.exp(-(((mean_hue - 275) / 25) ** 2))
    twist = -2 * np.sqrt(chroma_mean**7 / (chroma_mean**7 + 25.0**7)) * np.sin(np.deg2rad(blue))
    squared = by_lightness**2 + by_chroma**2 + by_hue**2 + twist * by_chroma * by_hue
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _chroma_and_hue(lab: FloatArray, stretch: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.hypot(lab[1] * stretch, lab[2]), np.rad2deg(np.arctan2(lab[2], lab[1] * stretch)) % 360


def _cos_deg(angle_deg: FloatArray) -> FloatArray:
    return np.asarray(np.cos(np.deg2rad(angle_deg)))


def require_triples(name: str, colors: ArrayLike) -> None:
    """Refuse anything but three numbers a colour along the last axis.

    Raises
    ------
    ValueError
    """
    shape = np.shape(colors)
    if not shape or shape[-1] != 3:
        raise ValueError(
            f"{name} has shape {shape}; the last axis must hold three numbers a colour, without alpha"
        )
