"""How the values of a configuration's clips become one value: the mean, the worst clip, a percentile, a share.

A reducer is a function of the values and of what is known about them, found through the entry-point group
``evalkit.reducers``: its name there is what a policy writes after ``reducer:``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evalkit import registry
from evalkit.analysis.direction import loss
from evalkit.stats.means import Estimate, estimate_mean, fit_mean, independent_factors
from evalkit.stats.shares import bounds_of_share
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from evalkit.types import FloatArray, Metric

MEAN, WORST, BAD_SHARE = "mean", "worst", "bad_share"


@dataclass(frozen=True)
class ReductionContext:
    """What a reducer knows beside the values.

    Parameters
    ----------
    metric : Metric
        Says which way is better.
    limits : tuple of float or None
        Lowest and highest value that pass, infinite where open; None where there are none.
    factors : mapping of str to sequence
        Which level of each factor (portrait, speech, seed) a value belongs to.
    given : tuple of str
        Factors whose levels are all that matter.
    alpha : float
        Chance with which each end of the interval may be wrong.
    """

    metric: Metric
    limits: tuple[float, float] | None = None
    factors: Mapping[str, Sequence[Hashable]] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    alpha: float = 0.025


class Reducer(Protocol):
    """Turns the values of clips into one value.

    Values are finite and in the order of the clips; there may be none. What comes back has the number of values as
    its n, and a reason where the value or the interval is missing.
    """

    def __call__(self, values: FloatArray, context: ReductionContext, /) -> Estimate:
        """Return the value with its 95 % interval, or the reason why either is missing."""


def mean(values: FloatArray, context: ReductionContext) -> Estimate:
    """Return the mean with the interval of `evalkit.stats.means.estimate_mean`."""
    return estimate_mean(values, context.factors, given=context.given, bounds=context.metric.bounds)


def worst(values: FloatArray, context: ReductionContext) -> Estimate:
    """Return the value of the worst clip: the one furthest beyond the limits, or furthest the wrong way without any.

    It has no interval. A metric that is best in a band has no worst value unless limits are given.

    >>> from evalkit.types import Metric
    >>> error = Metric("lip_sync.error", "1", "lower", "")
    >>> worst(np.array([0.1, 0.4]), ReductionContext(error)).value
    0.4
    """
    if not values.size:
        return Estimate(None, None, 0, "nothing was measured")
    if context.limits is not None:
        low, high = context.limits
        badness = np.maximum(low - values, values - high)
    elif context.metric.better == "band":
        words = f"no end of {context.metric.name} is bad: the worst value needs limits"
        return Estimate(None, None, values.size, words)
    else:
        badness = np.array([loss(context.metric, value) for value in values])
    return Estimate(float(values[badness.argmax()]), None, values.size, "a single clip has no interval")


def bad_share(values: FloatArray, context: ReductionContext) -> Estimate:
    """Return the share of clips beyond the limits with its exact interval.

    Clips that share portraits, speech or seeds count for as many independent ones as tell as much; where that cannot
    be known there is no interval.

    >>> from evalkit.types import Metric
    >>> error = Metric("lip_sync.error", "1", "lower", "")
    >>> bad_share(np.array([0.1, 0.4, 0.9, 0.2, 0.1]), ReductionContext(error, (-np.inf, 0.5))).value
    0.2
    """
    if not values.size:
        return Estimate(None, None, 0, "nothing was measured")
    if context.limits is None:
        words = "the share of bad clips needs a limit beyond which a clip is bad"
        return Estimate(None, None, values.size, words)
    low, high = context.limits
    fit = fit_mean(((values < low) | (values > high)).astype(float), context.factors, given=context.given)
    if fit.reason is not None:
        return Estimate(fit.mean, None, fit.n, fit.reason)
    return Estimate(fit.mean, Interval(*bounds_of_share(fit, context.alpha)), fit.n)


@dataclass(frozen=True)
class Percentile:
    """A percentile over clips, interpolated linearly, with its exact distribution-free interval.

    Parameters
    ----------
    percent : float
        From 0 to 100.

    Notes
    -----
    The interval is that of the order statistics (W. J. Conover, Practical Nonparametric Statistics, 1999, sec. 3.2).
    It needs enough clips beyond the percentile on either side (36 for the 90th), and clips that share neither
    portrait nor speech; otherwise there is none.

    Examples
    --------
    >>> from evalkit.types import Metric
    >>> error = Metric("lip_sync.error", "1", "lower", "")
    >>> Percentile(90)(np.arange(11.0), ReductionContext(error)).value
    9.0
    """

    percent: float

    def __call__(self, values: FloatArray, context: ReductionContext) -> Estimate:
        """Return the percentile of the values."""
        from scipy.stats import quantile_test

        if not values.size:
            return Estimate(None, None, 0, "nothing was measured")
        value = float(np.percentile(values, self.percent))
        codes = independent_factors(context.factors, context.given).values()
        if context.factors and not any(int(code.max()) + 1 == values.size for code in codes):
            return Estimate(value, None, values.size, "clips that share inputs give a percentile no interval")
        test: Any = quantile_test(values, q=value, p=self.percent / 100)  # its stubs are wrong
        low, high = test.confidence_interval(1.0 - 2.0 * context.alpha)
        if not (np.isfinite(low) and np.isfinite(high)):
            words = f"{values.size} clips are too few for an interval of the {self.percent:g}th percentile"
            return Estimate(value, None, values.size, words)
        return Estimate(value, Interval(float(low), float(high)), values.size)


p10, p90 = Percentile(10), Percentile(90)


@cache
def load_reducer(name: str) -> Reducer:
    """Return an installed reducer by its name.

    Raises
    ------
    UsageError
        If none has that name; the message names the nearest.
    PluginError
        If it does not load.
    """
    reducer: Reducer = registry.load(registry.REDUCERS, name)
    return reducer
