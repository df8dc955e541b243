"""How large is a difference, what could have been found, and how much more would have to be measured."""

from __future__ import annotations

from math import ceil, exp, inf, lgamma, log2, sqrt
from typing import TYPE_CHECKING

from scipy.optimize import brentq
from scipy.special import nctdtr, ndtri, stdtrit

from evalkit.stats.means import finite

if TYPE_CHECKING:
    from evalkit.types import FloatArray

MAX_N = 1_000_000
"""More is as good as never."""


def effect_size(differences: FloatArray) -> float | None:
    """Return the mean of paired differences in their own standard deviations, corrected for small samples.

    0.2 is called small, 0.5 medium and 0.8 large.

    Parameters
    ----------
    differences : FloatArray, shape (n,)

    Returns
    -------
    float or None
        None with fewer than three differences, or without any spread, where it has no meaning.

    References
    ----------
    L. V. Hedges, Distribution theory for Glass's estimator of effect size, Journal of Educational Statistics 6,
    1981; J. Cohen, Statistical Power Analysis, 1988.
    """
    differences = finite(differences)
    if differences.size < 3:
        return None
    spread = differences.std(ddof=1)
    if spread <= 1e-12 * abs(differences).max():
        return None
    df = differences.size - 1
    correction = sqrt(2 / df) * exp(lgamma(df / 2) - lgamma((df - 1) / 2))
    return float(correction * differences.mean() / spread)


def minimum_detectable_effect(
    spread: float, n: int, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the true mean difference that n pairs find with the given chance.

    Parameters
    ----------
    spread : float
        Standard deviation of the paired differences.
    n : int
        Number of independent pairs.
    power, alpha : float
        Chance to find it; chance of a false alarm, two-sided.

    Returns
    -------
    float or None
        In the unit of `spread`; None with fewer than two pairs, which find nothing.
    """
    if n < 2:
        return None
    highest = 1.0
    while _power(highest, n, alpha) < power:
        highest *= 2
    return spread * float(brentq(lambda ratio: _power(ratio, n, alpha) - power, 0.0, highest, xtol=1e-9))


def n_pairs_needed(spread: float, effect: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Return how many independent pairs find a true mean difference with the given chance.

    Parameters
    ----------
    spread : float
        Standard deviation of the paired differences.
    effect : float
        Difference to find, in the same unit; its sign does not matter.
    power, alpha : float
        As in `minimum_detectable_effect`.

    Returns
    -------
    int or None
        At least what a sign-flip test needs to reach `alpha`; None for an effect of 0 or more than a million.
    """
    least = fewest_pairs(alpha)
    if effect == 0 or not _power(abs(effect) / spread if spread else inf, MAX_N, alpha) >= power:
        return None
    if spread == 0:
        return least
    ratio = abs(effect) / spread
    low, high = 1, MAX_N  # the guess from the normal distribution is always below the truth
    low = max(low, min(MAX_N - 1, ceil(((ndtri(1 - alpha / 2) + ndtri(power)) / ratio) ** 2) - 1))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(ratio, middle, alpha) >= power else (middle, high)
    return max(high, least)


def fewest_pairs(alpha: float) -> int:
    """Return the number of pairs below which no sign-flip test reaches `alpha`.

    >>> fewest_pairs(0.05), fewest_pairs(0.05 / 20)
    (6, 10)
    """
    return ceil(1 - log2(alpha))


def _power(ratio: float, n: int, alpha: float) -> float:
    """Return the chance that Student's two-sided paired test finds an effect of `ratio` spreads in n pairs."""
    if n < 2:
        return 0.0
    if ratio * sqrt(n) > 35:  # certain, and beyond what the noncentral distribution can be computed for
        return 1.0
    return 1 - float(nctdtr(n - 1, ratio * sqrt(n), stdtrit(n - 1, 1 - alpha / 2)))
