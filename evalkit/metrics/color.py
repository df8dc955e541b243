"""Colours as people see them: how far two are apart, and what is left of that without the colour of the light.

Distance
    CIEDE2000 (ΔE00): G. Sharma, W. Wu, E. N. Dalal, The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations, Color Research & Application 30(1), 2005. Below 2 is
    print trade practice, 5 is seen at a glance.
Light
    Estimated from the picture by shades of grey, the Minkowski norm of order 6 of each channel of linear light
    (G. D. Finlayson, E. Trezzi, Shades of gray and colour constancy, CIC 12, 2004), and taken out channel by channel
    of linear light, as the white balance of a camera does it (von Kries' model in the space of the picture).

Colours are sRGB (IEC 61966-2-1), 0 to 255, or CIELAB under D65 and the 2° observer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.metrics.checks import require_shape
from evalkit.types import FloatArray

Labels = NDArray[np.intp]

NORM_ORDER = 6
MOST_CORRECTION = 2.0
"""No channel of the light is taken for more than this times another: beyond it is no lamp but a coloured room."""
_CLIPPED = 250.0
_ROUNDING_DEG = 1e-9
_DARK = 8.0

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


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
    _require_triples("lab", lab)
    _require_triples("other", other)
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


def _require_triples(name: str, colors: ArrayLike) -> None:
    shape = np.shape(colors)
    if not shape or shape[-1] != 3:
        raise ValueError(
            f"{name} has shape {shape}; the last axis must hold three numbers a colour, without alpha"
        )


def lab_of(rgb: ArrayLike) -> FloatArray:
    """Return CIELAB of sRGB colours, 0 to 255, shape (…, 3).

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.

    Examples
    --------
    >>> lab_of([255, 255, 255]).round(2).tolist()
    [100.0, -0.0, 0.0]
    """
    _require_triples("rgb", rgb)
    from skimage.color import rgb2lab

    return np.asarray(rgb2lab(np.asarray(rgb, dtype=np.float64) / 255.0), dtype=np.float64)


def linear_of(rgb: ArrayLike) -> FloatArray:
    """Return linear light, 0 to 1, of sRGB colours, 0 to 255."""
    shares = np.asarray(rgb, dtype=np.float64) / 255.0
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def rgb_of(linear: ArrayLike) -> FloatArray:
    """Return sRGB colours, 0 to 255, of linear light; what lies outside is clipped."""
    light = np.clip(np.asarray(linear, dtype=np.float64), 0.0, 1.0)
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def estimate_light(rgb: ArrayLike) -> FloatArray:
    """Return the colour of the light in a picture as linear red, green and blue with a mean of 1; (1, 1, 1) is white.

    Parameters
    ----------
    rgb : array, shape (n, 3)
        sRGB of the scene, 0 to 255. Clipped and dark pixels tell nothing and are left out.

    Returns
    -------
    FloatArray, shape (3,)
        White where fewer than 16 pixels tell anything, or what they tell is no light: more than
        `MOST_CORRECTION` times as much of one channel as of another.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    _require_triples("rgb", rgb)
    pixels = np.asarray(rgb, dtype=np.float64).reshape(-1, 3)
    lit = pixels[(pixels.max(axis=1) < _CLIPPED) & (pixels.max(axis=1) > _DARK)]
    white = np.ones(3)
    if len(lit) < 16:
        return white
    light = (linear_of(lit) ** NORM_ORDER).mean(axis=0) ** (1 / NORM_ORDER)
    if light.max() > MOST_CORRECTION * light.min():
        return white
    return np.asarray(light / light.mean())


def take_out_light(rgb: ArrayLike, light: FloatArray) -> FloatArray:
    """Return sRGB colours as they would be under white light.

    Parameters
    ----------
    rgb : array, shape (…, 3)
        0 to 255.
    light : FloatArray, shape (3,)
        From `estimate_light`; its luminance does not count.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    _require_triples("rgb", rgb)
    require_shape("light", light, (3,))
    return rgb_of(linear_of(rgb) * (light @ _LUMINANCE / light))


def nearest_color(lab: FloatArray, colors: FloatArray) -> tuple[Labels, FloatArray]:
    """Return, for each colour, which of some others is nearest, and its ΔE00.

    Parameters
    ----------
    lab : FloatArray, shape (n, 3)
    colors : FloatArray, shape (k, 3)
        k ≥ 1.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("lab", lab, (None, 3))
    require_shape("colors", colors, (None, 3))
    if not len(colors):
        raise ValueError("colors is empty; at least one colour is needed")
    distances = delta_e(lab[:, None], colors[None])
    nearest = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(lab)), nearest]
