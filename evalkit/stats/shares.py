"""Shares of clips before and after a change, compared exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from evalkit.stats.means import independent_factors

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from evalkit.types import BoolArray


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
    >>> import numpy as np
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
    p = float(binomtest(n_up, n_changed).pvalue) if n_changed else 1.0
    return ShareChange(change.size, n_lost, n_gained, p)
