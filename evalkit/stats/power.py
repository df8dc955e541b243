"""How large is a difference, what can be found with n, and how much has to be measured: known before, not after.

Means are planned by the noncentral t distribution, shares by the binomial. Both are exact for what they name: normal
values, independent clips.

References
----------
- J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., 1988.
- C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.
"""

from __future__ import annotations

from math import ceil, exp, inf, isinf, lgamma, log, log1p, log2, sqrt
from typing import TYPE_CHECKING

from evalkit.stats.means import finite

if TYPE_CHECKING:
    from collections.abc import Callable

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
    from scipy.optimize import brentq

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
    if effect == 0:
        return None
    return _least_n(lambda n: power_to_find(spread, effect, n, alpha=alpha) >= power, least)


def power_to_find(spread: float, effect: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the chance that n pairs find a true mean difference by Student's two-sided paired test.

    Parameters
    ----------
    spread : float
        Standard deviation of the paired differences.
    effect : float
        True mean difference, in the same unit; its sign does not matter.
    n : int
        Number of independent pairs.
    alpha : float
        Chance of a false alarm, two-sided.

    Returns
    -------
    float
        0 with fewer than two pairs. A difference found with the wrong sign does not count.

    Examples
    --------
    >>> round(power_to_find(1.0, 0.8, 20, alpha=0.04), 3)
    0.907
    """
    return _power(_ratio(abs(effect), spread), n, alpha)


def fewest_pairs(alpha: float) -> int:
    """Return the number of pairs below which no sign-flip test reaches `alpha`.

    >>> fewest_pairs(0.05), fewest_pairs(0.05 / 20)
    (6, 10)
    """
    return ceil(1 - log2(alpha))


def power_to_pass(
    limits: tuple[float, float], mean: float, spread: float, n: int, *, alpha: float = 0.025
) -> float:
    """Return the chance that n clips show a mean to lie within limits.

    They do where the end of the one-sided interval by Student's t that is nearer a limit lies within it.

    Parameters
    ----------
    limits : tuple of float
        Lowest and highest mean that pass, infinite where open.
    mean, spread : float
        The true mean, and the standard deviation between clips.
    n : int
        Number of independent clips.
    alpha : float
        Chance that a mean right at a limit passes.

    Returns
    -------
    float
        0 with fewer than two clips. For a band the least that it can be: a miss of either end counts by itself.

    Examples
    --------
    >>> round(power_to_pass((-inf, 0.30), 0.25, 0.07, 20), 3)
    0.858
    """
    low, high = limits
    room = (mean - low, high - mean)
    missed = sum(1 - _power(_ratio(side, spread), n, 2 * alpha) for side in room)
    return max(0.0, 1 - missed)


def clips_to_pass(
    limits: tuple[float, float],
    mean: float,
    spread: float,
    *,
    power: float = 0.9,
    alpha: float = 0.025,
    fewest: int = 2,
) -> int | None:
    """Return how many independent clips show a mean to lie within limits with the given chance.

    Parameters
    ----------
    limits, mean, spread, alpha
        As in `power_to_pass`.
    power : float
        Chance to pass.
    fewest : int
        Clips that are asked for in any case.

    Returns
    -------
    int or None
        None where the mean is not within the limits, or more than a million are needed.

    Examples
    --------
    >>> clips_to_pass((-inf, 0.30), 0.25, 0.07)
    23
    """
    low, high = limits
    if not low < mean < high:
        return None
    return _least_n(lambda n: power_to_pass(limits, mean, spread, n, alpha=alpha) >= power, fewest)


def attempts_to_show(share: float, *, alpha: float = 0.05) -> int:
    """Return how many attempts without one failure show that fewer than this share fail.

    Parameters
    ----------
    share : float
        Above 0 and below 1.
    alpha : float
        Chance to see none where exactly this share fails.

    Raises
    ------
    ValueError
        For a share that is not between 0 and 1: no number of attempts shows that none ever fails.

    Examples
    --------
    >>> [attempts_to_show(share) for share in (0.005, 0.1, 0.15)]
    [598, 29, 19]
    """
    if not 0 < share < 1:
        raise ValueError(f"no number of attempts shows a share of {share:g}; it must lie between 0 and 1")
    return ceil(log(alpha) / log1p(-share) - 1e-9)


def power_to_stay_below(limit: float, share: float, n: int, *, alpha: float = 0.05) -> float:
    """Return the chance that the exact upper bound of a share lies at or below a limit after n attempts.

    Parameters
    ----------
    limit : float
        Highest share that passes, between 0 and 1.
    share : float
        The true share.
    n : int
        Number of independent attempts.
    alpha : float
        One-sided error of the bound by Clopper and Pearson: the chance that a share right at the limit passes.

    Examples
    --------
    >>> round(power_to_stay_below(0.05, 0.01, 59), 3)  # not one of 59 may fail: .99 ** 59
    0.553
    """
    from evalkit.stats.special import bdtr

    allowed = 0
    if n < attempts_to_show(limit, alpha=alpha):
        return 0.0
    while bdtr(allowed, n, limit) <= alpha:
        allowed += 1
    return float(bdtr(allowed - 1, n, share))


def attempts_to_stay_below(
    limit: float, share: float, *, power: float = 0.9, alpha: float = 0.05
) -> int | None:
    """Return the least number of attempts after which a share is shown to lie at or below a limit.

    Parameters
    ----------
    limit, share, alpha
        As in `power_to_stay_below`.
    power : float
        Chance to show it.

    Returns
    -------
    int or None
        One attempt more can have a smaller chance, as failures are whole; None where the share is not below the limit,
        or more than a million attempts are needed.

    Examples
    --------
    >>> attempts_to_stay_below(0.005, 0.0), attempts_to_stay_below(0.1, 0.02)
    (598, 76)
    """
    if not share < limit:
        return None

    def attempts_with(allowed: int) -> int | None:
        from evalkit.stats.special import bdtr

        return _least_n(lambda n: bool(bdtr(allowed, n, limit) <= alpha), allowed + 1)

    def is_enough(allowed: int) -> bool:
        from evalkit.stats.special import bdtr

        n = attempts_with(allowed)
        return n is None or bool(bdtr(allowed, n, share) >= power)

    return attempts_with(_least(is_enough, 0, MAX_N))


def _ratio(room: float, spread: float) -> float:
    """Divide, where a spread of 0 and a room without end leave no doubt."""
    if isinf(room) or (spread == 0 and room != 0):
        return inf if room > 0 else -inf
    return room / spread if spread else 0.0


def _least_n(is_enough: Callable[[int], bool], fewest: int) -> int | None:
    """Return the least n from `fewest` to `MAX_N` that is enough; None where none is."""
    return _least(is_enough, fewest, MAX_N) if is_enough(MAX_N) else None


def _least(is_enough: Callable[[int], bool], low: int, high: int) -> int:
    """Return the least whole number from low to high that is enough, where high is and all above an enough one are."""
    step = 1
    while low + step < high and not is_enough(low + step - 1):
        low, step = low + step, 2 * step
    high = min(high, low + step - 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def _power(ratio: float, n: int, alpha: float) -> float:
    """Return the chance that Student's two-sided test finds a mean of `ratio` spreads above 0 in n values."""
    from evalkit.stats.special import nctdtr, stdtrit

    if n < 2:
        return 0.0
    if abs(ratio) * sqrt(n) > 35:  # certain, and beyond what the noncentral distribution can be computed for
        return float(ratio > 0)
    return 1 - float(nctdtr(n - 1, ratio * sqrt(n), stdtrit(n - 1, 1 - alpha / 2)))
