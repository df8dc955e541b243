"""Intervals of one clip's values, from the windows the values are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from evalkit.types import Interval

if TYPE_CHECKING:
    from evalkit.types import FloatArray

MIN_WINDOWS = 5
"""With fewer windows a percentile bootstrap promises more than it can hold, and there is no interval."""


def ratio_interval(
    numerators: FloatArray, denominators: FloatArray, *, n_resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of ``sum(numerators) / sum(denominators)`` over windows.

    A mean is the case of denominators that are all 1.

    Parameters
    ----------
    numerators, denominators : FloatArray, shape (n_windows,)
        Drawn together, with replacement. Denominators are positive or zero.
    n_resamples : int
        Number of redraws.
    seed : int
        Makes the answer repeatable.

    Returns
    -------
    Interval or None
        None with fewer than `MIN_WINDOWS` windows of positive denominator.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.
    """
    used = denominators > 0.0
    numerators, denominators = numerators[used], denominators[used]
    if numerators.size < MIN_WINDOWS:
        return None
    drawn = np.random.default_rng(seed).integers(numerators.size, size=(n_resamples, numerators.size))
    ratios = numerators[drawn].sum(axis=1) / denominators[drawn].sum(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Interval(float(low), float(high))


def rate_interval(n_events: int, exposure: float) -> Interval:
    """Return the exact 95 % interval of the rate of a Poisson process.

    Parameters
    ----------
    n_events : int
        Events seen; with none, the interval still says how high the rate may be.
    exposure : float
        For how long was looked, positive; the rate is in its unit.

    Raises
    ------
    ValueError
        When the exposure is not positive.

    References
    ----------
    Garwood, Fiducial limits for the Poisson distribution, Biometrika 28, 1936.
    """
    if exposure <= 0.0:
        raise ValueError(f"a rate needs a positive exposure, not {exposure}")
    low = float(chi2.ppf(0.025, 2 * n_events)) / 2 if n_events else 0.0
    return Interval(low / exposure, float(chi2.ppf(0.975, 2 * n_events + 2)) / 2 / exposure)
