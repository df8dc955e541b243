"""Means of opinions, and what is known of their error: the raters are a sample as well as the clips.

The value of a clip is the mean of its scores, and the value of several clips the mean of theirs, as of every metric; so
one clip that more people have seen weighs no more. Each score moves such a mean by a known share of its distance from
it. These shares are what is grouped by portrait, speech, seed and rater (`evalkit.stats.means.fit_mean`), so it
does not matter whether every rater has seen every clip, or both sides of a difference.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.factors import shared_factors
from evalkit.formatting import count_levels
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.means import MIN_LEVELS, fit_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs.ratings.opinions import Rater
    from evalkit.stats.means import MeanFit

RATER = "rater"
"""The factor beside portrait, speech and seed."""


def raters_of(metric: str, rows: Sequence[ClipRecord]) -> set[Rater]:
    """Return who has scored any of these clips."""
    return {rater for row in rows for rater in row.scores.get(metric, ())}


def why_few(n_raters: int) -> str | None:
    """Say that so many raters tell nothing of others; None where they do.

    >>> why_few(3), why_few(4)
    ('this cannot be known from 3 raters: 4 or more are needed', None)
    """
    if n_raters >= MIN_LEVELS:
        return None
    return f"this cannot be known from {count_levels(RATER, n_raters)}: {MIN_LEVELS} or more are needed"


def fit_scores(metric: str, rows: Sequence[ClipRecord], given: Collection[str] = ()) -> MeanFit:
    """Return the mean opinion of clips that each have a score, and what is known of its error.

    Parameters
    ----------
    metric : str
    rows : sequence of ClipRecord
        At least one.
    given : collection of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    """
    return _fit([(1.0, [row.scores[metric] for row in rows])], rows, given)


def fit_score_change(
    metric: str, before: Sequence[ClipRecord], after: Sequence[ClipRecord], given: Collection[str] = ()
) -> MeanFit:
    """Return the mean difference of pairs of clips that each have an opinion, after minus before.

    How severe raters are who judged both sides is no part of its error; of those who judged one alone it is. Of
    preferences it is the share of pairs won by the one less that of the other.

    Parameters
    ----------
    metric : str
    before, after : sequence of ClipRecord
        Of equal length, at least one.
    given : collection of str
        As of `fit_scores`.
    """
    if metric == PREFERENCE:
        wins = [shares_of(second, first) for first, second in zip(before, after, strict=True)]
        leads = [{rater: 2.0 * share - 1.0 for rater, share in one.items()} for one in wins]
        return _fit([(1.0, leads)], before, given)
    sides = ((-1.0, before), (1.0, after))
    return _fit([(sign, [row.scores[metric] for row in rows]) for sign, rows in sides], before, given)


def shares_of(one: ClipRecord, other: ClipRecord) -> Mapping[Rater, float]:
    """Return who preferred a clip to the other: 1, or 0; a half for no difference. Empty where nobody was asked."""
    return {} if other.trial is None else one.choices.get(other.trial.id, {})


def _fit(
    sides: Sequence[tuple[float, Sequence[Mapping[Rater, float]]]],
    items: Sequence[ClipRecord],
    given: Collection[str],
) -> MeanFit:
    """Add up, with their signs, the means of the items' means; each item is opinions by rater."""
    value, n_items = 0.0, len(items)
    moves: list[float] = []
    places: list[int] = []
    raters: list[Hashable] = []
    for sign, opinions in sides:
        mean = fmean(fmean(one.values()) for one in opinions)
        value += sign * mean
        for place, one in enumerate(opinions):
            moves += [sign * (opinion - mean) / (len(one) * n_items) for opinion in one.values()]
            places += [place] * len(one)
            raters += one
    shared = shared_factors(items)
    factors = {name: [levels[place] for place in places] for name, levels in shared.items()}
    fit = fit_mean(value + len(moves) * np.array(moves), factors | {RATER: raters}, given=given)
    return replace(fit, mean=value, n=n_items, reason=_why_too_few(sides) or fit.reason)


def _why_too_few(sides: Sequence[tuple[float, Sequence[Mapping[Rater, float]]]]) -> str | None:
    """Say that a side has too few raters to know of others; None where none has.

    A lone rater is no factor at all, and on one side of a difference few hide among the many of the other.
    """
    return why_few(min(len({rater for one in opinions for rater in one}) for _, opinions in sides))
