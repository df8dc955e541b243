"""What a bootstrap redraws: single rows, or runs of neighbours in time; and the interval of the redraws.

References
----------
- B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.
- D. N. Politis, J. P. Romano, "A circular block-resampling procedure for stationary data", 1992.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.types import FloatArray, Interval


def redraw_rows(n: int, n_resamples: int, *, length: int = 1, seed: int = 0) -> NDArray[np.intp]:
    """Draw runs of neighbouring rows with replacement until there are as many rows as before.

    Parameters
    ----------
    n : int
        Rows, at least 1. The last is followed by the first.
    n_resamples : int
        Redraws.
    length : int
        Rows in a run; 1 draws single rows.
    seed : int
        Makes the answer repeatable.

    Returns
    -------
    intp array, shape (n_resamples, n)
        Indices of rows.

    Examples
    --------
    >>> (np.diff(redraw_rows(6, 2, length=3)).reshape(2, 5)[:, [0, 1, 3, 4]] % 6).tolist()
    [[1, 1, 1, 1], [1, 1, 1, 1]]
    """
    starts = np.random.default_rng(seed).integers(0, n, size=(n_resamples, -(-n // length), 1))
    return np.asarray(((starts + np.arange(length)) % n).reshape(n_resamples, -1)[:, :n])


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
