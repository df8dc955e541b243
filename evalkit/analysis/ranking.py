"""Which configurations come first in one metric, as far as the clips that all of them have can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.catalogue import is_rating
from evalkit.analysis.direction import loss
from evalkit.analysis.factors import shared_factors
from evalkit.analysis.pairs import key_clips
from evalkit.analysis.scores import fit_score_change
from evalkit.stats.means import fit_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord
    from evalkit.types import Metric


@dataclass(frozen=True)
class Ranking:
    """The first of several configurations in one metric, and those that cannot be told apart from it.

    Parameters
    ----------
    metric : Metric
    first : tuple of int
        Places of the best and of all that cannot be told apart from it, in order; a single one is the winner.
    n_common : int
        Inputs, with their seeds, that every configuration has a value of.
    are_equal : bool
        Whether all of `first` have the same value on every common input.
    reason : str or None
        Why nothing can be known of the differences.
    """

    metric: Metric
    first: tuple[int, ...]
    n_common: int
    are_equal: bool
    reason: str | None = None


def rank_first(
    configurations: Sequence[Configuration],
    metric: Metric,
    alpha: float,
    *,
    margin: float = 0.0,
    given: Collection[str] = (),
) -> Ranking:
    """Find the best in one metric by paired differences over the inputs that all configurations have.

    One that is really best is left out of `first` with a chance of at most `alpha`, however many there are: each is
    compared with the best by mean, and there are as many that may be it (union bound).

    Parameters
    ----------
    configurations : sequence of Configuration
        At least one.
    metric : Metric
        Lower loss is better, see `evalkit.analysis.direction.loss`; of ratings more is.
    alpha : float
        One-sided, of all comparisons together.
    margin : float
        A smaller mean difference is none.
    given : collection of str
        As in `evalkit.stats.means.fit_mean`.

    Raises
    ------
    UsageError
        If two clips of a configuration are the same input and seed.
    """
    places = range(len(configurations))
    rows = _common_rows(configurations, metric)
    n_common = len(rows[0])
    if not n_common:
        return Ranking(
            metric, tuple(places), 0, are_equal=False, reason="no input has a value in all of them"
        )
    losses = np.array([[loss(metric, row.value(metric.name) or 0.0) for row in own] for own in rows])
    best = int(losses.mean(axis=1).argmin())
    factors = shared_factors(rows[0])
    first, reason = [], None
    for place in places:
        fit = (
            fit_score_change(metric.name, rows[place], rows[best], given)
            if is_rating(metric.name)
            else fit_mean(losses[place] - losses[best], factors, given=given)
        )
        if place != best:
            reason = reason or fit.reason
        is_worse = fit.sign(alpha / len(configurations)) > 0 and fit.mean >= margin
        if place == best or not is_worse:
            first.append(place)
    are_equal = len(first) > 1 and bool((losses[first] == losses[best]).all())
    return Ranking(metric, tuple(first), n_common, are_equal=are_equal, reason=None if are_equal else reason)


def _common_rows(configurations: Sequence[Configuration], metric: Metric) -> list[list[ClipRecord]]:
    """Return the rows of each configuration whose input and seed has a value in all of them, in one order."""
    scored = [
        key_clips(
            [row for row in configuration.rows if row.value(metric.name) is not None], (), configuration.label
        )
        for configuration in configurations
    ]
    common = [key for key in scored[0] if all(key in other for other in scored)]
    return [[own[key] for key in common] for own in scored]
