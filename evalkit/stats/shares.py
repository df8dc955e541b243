"""Shares of clips: exact bounds at any strictness, and exact comparison of the same clips before and after.

References
----------
C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
26, 1934; E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998 (an effective number that is not whole).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import independent_factors

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from evalkit.stats.means import MeanFit
    from evalkit.types import BoolArray


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
    from evalkit.stats.special import betaincinv

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
    from evalkit.stats.special import stdtrit

    if fit.n_units == fit.n:
        return float(fit.n)
    share = fit.mean
    if fit.is_constant or not 0.0 < share < 1.0:
        return float(fit.n_units)
    wider = float(stdtrit(fit.n - 1, 1.0 - alpha) / stdtrit(fit.df, 1.0 - alpha))
    return min(share * (1.0 - share) / fit.standard_error**2 * wider**2, float(fit.n))


@dataclass(frozen=True, slots=True)
class ShareChange:
    """How many of the same clips have a property on one side only, and whether that is more than chance.

    Parameters
    ----------
    n : int
        Pairs of clips.
    n_lost, n_gained : int
        Pairs that have it before and not after; after and not before.
    p : float
        Two-sided, exact; 1 where nothing can be known.
    reason : str or None
        Why nothing can be known of other clips.
    """

    n: int
    n_lost: int
    n_gained: int
    p: float
    reason: str | None = None


def compare_shares(
    before: BoolArray,
    after: BoolArray,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    given: Collection[str] = (),
) -> ShareChange:
    """Compare how many of the same clips have a property before and after, exactly and at any number of clips.

    What counts is independent units: pairs of clips that share the coarsest factor are one, which says where most of
    its pairs went. Were both sides alike, each unit that changed would be as likely to change the other way.

    Parameters
    ----------
    before, after : BoolArray, shape (n,)
        Whether a clip has the property.
    factors, given
        As in `evalkit.stats.means.fit_mean`. Where factors cross there are no units to count, and p is 1.

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947.

    Examples
    --------
    >>> compare_shares(np.ones(8, dtype=bool), np.zeros(8, dtype=bool)).p
    0.0078125
    """
    change = after.astype(np.intp) - before.astype(np.intp)
    n_lost, n_gained = int((change < 0).sum()), int((change > 0).sum())
    codes = independent_factors(factors or {}, given)
    if len(codes) > 1:
        names = " and ".join(codes)
        reason = f"the clips share {names} crosswise, which leaves no independent units to count"
        return ShareChange(change.size, n_lost, n_gained, 1.0, reason)
    if factors and not codes:
        totals = change.sum(keepdims=True)
    else:
        totals = np.bincount(next(iter(codes.values()), np.arange(change.size)), weights=change)
    n_up, n_changed = int((totals > 0).sum()), int((totals != 0).sum())
    p = _sign_test_p(n_up, n_changed) if n_changed else 1.0
    return ShareChange(change.size, n_lost, n_gained, p)


def _sign_test_p(n_up: int, n_changed: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(n_up, n_changed).pvalue)
