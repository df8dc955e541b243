"""Means with bootstrap intervals: of independent values, and of values that share portraits or speech."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, stdtrit
from scipy.stats import bootstrap

from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.types import FloatArray

    Codes = NDArray[np.intp]

MIN_VALUES = 5
"""With fewer independent values a bootstrap promises more than it can hold, and there is no interval."""
MIN_LEVELS = 12
"""Levels a factor needs before a result is carried over to levels not seen. With fewer, flipping their signs cannot
give a p that survives a correction for forty metrics, and intervals from resampling them are known to be too narrow."""
N_RESAMPLES = 5000
_CELLS_AT_ONCE = 4_000_000
_ROUNDING = 1e-13
"""Means closer than this share of the largest value are equal: they differ by the order of summation alone."""
_CONSTANT = 1e-9
"""Values within this share of the largest are equal: what spreads less is rounding, and cannot be resampled."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, or the reason for what is missing.

    Parameters
    ----------
    value : float or None
        None without any value.
    interval : Interval or None
        None where the values are too few.
    n : int
        Number of values.
    reason : str or None
        Why the value or the interval is missing; None when neither is.
    """

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None


def estimate_mean(
    values: FloatArray,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the mean with a bootstrap interval that suits what the values share.

    Independent values: bias-corrected and accelerated (`bca_interval`). Values that share the levels of factors
    (portraits, pieces of speech): whole levels are redrawn (`clustered_interval`); factors with fewer than
    `MIN_LEVELS` levels are taken as given, and the answer then speaks of those levels alone (`random_factors`).
    In both cases the level asked for is raised for small samples (`expanded_confidence`).

    Parameters
    ----------
    values : FloatArray, shape (n,)
        Finite.
    factors : mapping of str to sequence of length n, optional
        Which level of each factor a value belongs to.
    confidence : float
        Share of repetitions in which the interval holds the true mean.
    n_resamples, seed : int
        Number of redraws, and what makes them repeatable.

    Returns
    -------
    Estimate
        n = 0: no value. n < `MIN_VALUES`: a value without interval. Each with its reason.
    """
    values = finite(values)
    n = values.size
    if n == 0:
        return Estimate(None, None, 0, "nothing was measured")
    mean = float(values.mean())
    if n < MIN_VALUES:
        return Estimate(mean, None, n, f"{n} of the {MIN_VALUES} values an interval needs")
    if np.ptp(values) <= _CONSTANT * np.abs(values).max():
        return Estimate(mean, Interval(mean, mean), n)
    codes = [code_levels(factor) for factor in random_factors(factors or {}).values()]
    n_units = min((int(code.max()) + 1 for code in codes), default=n)
    wide = expanded_confidence(confidence, n_units)
    if codes:
        interval = clustered_interval(values, codes, confidence=wide, n_resamples=n_resamples, seed=seed)
    else:
        interval = bca_interval(values, confidence=wide, n_resamples=n_resamples, seed=seed)
    return Estimate(mean, interval, n)


def random_factors(factors: Mapping[str, Sequence[Hashable]]) -> dict[str, Sequence[Hashable]]:
    """Return the factors with enough levels for an answer about levels not seen.

    >>> list(random_factors({"portrait": "aabbccddeeff", "speech": "mnopqrstuvwx"}))
    ['speech']
    """
    return {name: levels for name, levels in factors.items() if len(set(levels)) >= MIN_LEVELS}


def code_levels(levels: Sequence[Hashable]) -> Codes:
    """Give levels numbers, from 0, in their order of appearance.

    >>> code_levels(["ann", "bo", "ann"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(level, len(numbers)) for level in levels], dtype=np.intp)


def expanded_confidence(confidence: float, n: int) -> float:
    """Return the level to ask of a percentile interval so that, with n values, it holds what it says.

    A percentile interval behaves like mean ± z·s·√((n-1)/n)/√n, which is too narrow. Asked for the level whose
    normal quantile is t(n-1)·√(n/(n-1)), it is as wide as Student's interval and keeps its skewness.

    Parameters
    ----------
    confidence : float
        Wanted.
    n : int
        Independent units, at least 2.

    References
    ----------
    T. Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015, sec. 5.3.
    """
    quantile = stdtrit(n - 1, (1 + confidence) / 2) * sqrt(n / (n - 1))
    return float(2 * ndtr(quantile) - 1)


def bca_interval(
    values: FloatArray, *, confidence: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Return the bias-corrected and accelerated bootstrap interval of the mean of independent values.

    Parameters
    ----------
    values : FloatArray, shape (n,)
        n ≥ 2, not all equal.
    confidence, n_resamples, seed
        As in `estimate_mean`.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 14.3; computed by `scipy.stats.bootstrap`.
    """
    grain = _ROUNDING * np.abs(values).max()

    def mean(sample: FloatArray, axis: int) -> FloatArray:
        """Round, so that redraws of the same values in another order are ties, which the bias correction counts."""
        rounded: FloatArray = np.round(sample.mean(axis=axis) / grain) * grain
        return rounded

    found: Any = bootstrap(
        (values,),
        mean,
        confidence_level=confidence,
        n_resamples=n_resamples,
        batch=max(1, _CELLS_AT_ONCE // values.size),
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    ends = found.confidence_interval
    return Interval(float(ends.low), float(ends.high))


def clustered_interval(
    values: FloatArray,
    factors: Sequence[Codes],
    *,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the percentile interval of the mean when whole levels of one or two crossed factors are redrawn.

    The levels of each factor are redrawn independently, and a value counts as often as all its levels were drawn
    together (the pigeonhole bootstrap). Where the factors do not matter it errs towards too wide.

    Parameters
    ----------
    values : FloatArray, shape (n,)
    factors : sequence of one or two integer arrays, shape (n,)
        Levels from 0, at least two, as `code_levels` gives them.
    confidence, n_resamples, seed
        As in `estimate_mean`. Redraws in which no value is left, possible in sparse tables, are left out.

    References
    ----------
    A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007.
    """
    first, second = factors[0], factors[1] if len(factors) == 2 else np.zeros_like(factors[0])
    shape = (int(first.max()) + 1, int(second.max()) + 1)
    sums, sizes = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (first, second), values)
    np.add.at(sizes, (first, second), 1.0)
    draws_first, draws_second = _draw_levels(shape, n_resamples, seed)
    totals = ((draws_first @ sums) * draws_second).sum(axis=1)
    counts = ((draws_first @ sizes) * draws_second).sum(axis=1)
    used = counts > 0
    return _quantiles(totals[used] / counts[used], np.array([(1 - confidence) / 2, (1 + confidence) / 2]))


def finite(values: FloatArray) -> FloatArray:
    """Return values as a float array, all finite.

    Raises
    ------
    ValueError
        Otherwise: a missing value has to be left out, with its reason, before it comes here.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"finite values in one row are needed, not {values!r}; leave out what is missing")
    return values


@lru_cache(maxsize=2)
def _draw_levels(shape: tuple[int, int], n_resamples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return, for each of two factors, how often each of its n levels is drawn when n are drawn with replacement.

    Each has the shape (n_resamples, n). All metrics of a configuration share them: they depend on no value.
    """
    rng = np.random.default_rng(seed)
    first, second = (_count_draws(rng, n, n_resamples) for n in shape)
    return first, second


def _count_draws(rng: np.random.Generator, n: int, n_resamples: int) -> FloatArray:
    drawn = rng.integers(n, size=(n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * n_resamples).reshape(n_resamples, n).astype(np.float64)


def _quantiles(means: FloatArray, levels: FloatArray) -> Interval:
    low, high = np.quantile(means, levels)
    return Interval(float(low), float(high))
