"""Exact bounds of a share, at any strictness.

References
----------
C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
26, 1934; E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998 (an effective number that is not whole).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.special import betaincinv, stdtrit

if TYPE_CHECKING:
    from evalkit.stats.means import MeanFit


def share_bounds(hits: float, n: float, alpha: float) -> tuple[float, float]:
    """Return a lower and an upper bound of a true share, each wrong with a chance of at most `alpha`.

    Parameters
    ----------
    hits, n : float
        Counts, `n` above 0; not whole where draws that resemble each other count for fewer.
    alpha : float
        Of one side.

    Examples
    --------
    >>> share_bounds(0, 598, 0.05)[1] < 0.005 < share_bounds(0, 597, 0.05)[1]
    True
    """
    low = float(betaincinv(hits, n - hits + 1, alpha)) if hits > 0 else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0


def bounds_of_share(fit: MeanFit, alpha: float) -> tuple[float, float]:
    """Return a lower and an upper bound of a true share from draws that may resemble each other.

    Independent draws have the exact bounds. Others have the outer ones of two: exact bounds of the effective number,
    which alone claim too much where few units differ (8 % instead of 5 % for 20 portraits, nearly all good or all bad),
    and those of the mean of the units.

    Parameters
    ----------
    fit : MeanFit
        Of indicators, 0 or 1, with an error that is known.
    alpha : float
        Of one side.
    """
    n = effective_number(fit, alpha)
    low, high = share_bounds(fit.mean * n, n, alpha)
    if fit.n_units == fit.n:
        return low, high
    other_low, other_high = fit.bounds(alpha, (0.0, 1.0))
    return min(low, other_low), max(high, other_high)


def effective_number(fit: MeanFit, alpha: float) -> float:
    """Return how many independent draws tell as much of a share as those that were seen; at most as many as there are.

    Parameters
    ----------
    fit : MeanFit
        Of indicators, 0 or 1, with an error that is known. Where all are alike their resemblance cannot be seen, and
        what counts is the number of independent units.
    alpha : float
        Of one side of the interval that is to be made: the error itself is known less well with few units.
    """
    if fit.n_units == fit.n:
        return float(fit.n)
    share = fit.mean
    if fit.is_constant or not 0.0 < share < 1.0:
        return float(fit.n_units)
    wider = float(stdtrit(fit.n - 1, 1.0 - alpha) / stdtrit(fit.df, 1.0 - alpha))
    return min(share * (1.0 - share) / fit.standard_error**2 * wider**2, float(fit.n))
