"""Colours as people see them: how far two are apart, and what is left of that without the colour of the light.

Distance
    CIEDE2000 (ΔE00), see `evalkit.metrics.color_difference`.
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
from evalkit.metrics.color_difference import delta_e, require_triples
from evalkit.types import FloatArray

Labels = NDArray[np.intp]

NORM_ORDER = 6
MOST_CORRECTION = 2.0
"""No channel of the light is taken for more than this times another: beyond it is no lamp but a coloured room."""
_CLIPPED = 250.0
_DARK = 8.0

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


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
    require_triples("rgb", rgb)
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
    require_triples("rgb", rgb)
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
    require_triples("rgb", rgb)
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
