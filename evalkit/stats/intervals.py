"""Intervals of one clip's values, from the windows the values are made of."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv
from scipy.stats import chi2, norm, t

from evalkit.stats.blocks import interval_of, redraw_rows
from evalkit.types import FloatArray, Interval

MIN_WINDOWS = 5
"""With fewer windows a percentile bootstrap promises more than it can hold, and there is no interval."""


def share_interval(n_hits: int, n: int) -> Interval:
    """Return the exact 95 % interval of a share.

    Parameters
    ----------
    n_hits, n : int
        Counts; `n` above 0.

    References
    ----------
    C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.

    Examples
    --------
    >>> share_interval(0, 200).high < 0.0183
    True
    """
    low = float(betaincinv(n_hits, n - n_hits + 1, 0.025)) if n_hits else 0.0
    high = float(betaincinv(n_hits + 1, n - n_hits, 0.975)) if n_hits < n else 1.0
    return Interval(low, high)


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
    drawn = redraw_rows(numerators.size, n_resamples, seed=seed)
    return interval_of(numerators[drawn].sum(axis=1) / denominators[drawn].sum(axis=1))


def block_interval(
    values: FloatArray, *, n_neighbours: int, n_resamples: int = 400, seed: int = 0
) -> Interval | None:
    """Return the 95 % bootstrap interval of the mean of a series whose neighbours resemble each other.

    Runs of neighbours are redrawn together (circular block bootstrap). The interval is widened by Student's t for the
    number of runs, and never leaves the range of the values.

    Parameters
    ----------
    values : FloatArray, shape (n,)
        In their order in time.
    n_neighbours : int
        Length of a run; at most a third of the values is used.
    n_resamples, seed : int
        As in `ratio_interval`.

    Returns
    -------
    Interval or None
        None with fewer than three values.

    References
    ----------
    D. N. Politis, J. P. Romano, A circular block-resampling procedure for stationary data, 1992.
    """
    n = values.size
    if n < 3:
        return None
    length = min(n_neighbours, max(1, n // 3))
    drawn = redraw_rows(n, n_resamples, length=length, seed=seed)
    n_runs = n / length
    wider = t.ppf(0.975, n_runs - 1) / norm.ppf(0.975) * np.sqrt(n_runs / (n_runs - 1))
    mean = values.mean()
    ends = mean + wider * (np.array(interval_of(values[drawn].mean(axis=1))) - mean)
    low, high = np.clip(ends, values.min(), values.max())
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
