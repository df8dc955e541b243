"""What a bootstrap redraws, and the interval of the redraws.

References
----------
B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.types import FloatArray, Interval


def redraw_counts(n: int, n_resamples: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each of `n` rows is drawn when `n` are drawn with replacement; for statistics made of sums.

    Returns
    -------
    int64 array, shape (n_resamples, n)
        Each row of it adds up to `n`.
    """
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)


def interval_of(draws: FloatArray) -> Interval:
    """Return the 95 % percentile interval of a statistic's redraws, shape (n_resamples,)."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(low), float(high))
