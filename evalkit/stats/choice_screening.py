"""Which raters count, of those who chose between two clips; of scores it is `evalkit.stats.screening`.

- `screen_choices(raters, firsts, seconds, outcomes, checks=…)`: as a `Screening`

How often a rater contradicts their own first answer is no test here: between two clips that are alike an honest rater
does so as often as a coin.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from evalkit.formatting import count
from evalkit.stats.preferences import checked_choices, count_wins, leads_everywhere, strengths_of
from evalkit.stats.screening import Screening
from evalkit.types import FloatArray

if TYPE_CHECKING:
    from evalkit.stats.opinions import Codes

    _Reasons = tuple[str, ...]

MIN_PAIRS = 8
"""Of a rater: with fewer, nothing but checks is looked at."""
_LEAST_DECISIVE = 0.5
"""An honest rater feels at least this share of the differences (in log odds) that the others do on average."""
_ALPHA = 0.03
"""Chance to exclude a rater at that limit."""
_ALPHA_BLIND = 0.005
"""The same where the options are too alike for it to find a rater who tosses a coin."""
_ALPHA_COIN = 0.05
"""Chance that one who tosses a coin counts as choosing like the others."""
_ALPHA_SIDE = 0.001
"""Chance to exclude one who does not care for the side, for always choosing the same."""
_MAX_PASSES = 10


def screen_choices(
    raters: Codes,
    firsts: Codes,
    seconds: Codes,
    outcomes: FloatArray,
    *,
    n_raters: int | None = None,
    checks: tuple[Codes, FloatArray] | None = None,
) -> Screening:
    """Say which raters' choices count.

    Parameters
    ----------
    raters : Codes, shape (n,)
    firsts, seconds, outcomes
        As in `evalkit.stats.preferences.fit_preferences`; without checks and repeats.
    n_raters : int, optional
        Where some only answered checks or nothing at all.
    checks : (Codes, FloatArray), optional
        Raters, and what each said of a pair with an obviously broken clip; shape (n_checks,): 1 where the intact one was
        preferred, 0 where the broken one was, 0.5 for no difference. Only 1 is right; who fails some and not all is
        forgiven where the other choices are clearly like the others'.

    Returns
    -------
    Screening
        Reasons: a failed check; the same side nearly throughout; choices that agree with those the others would make so
        little that no honest rater's do, however little they feel the differences.

    Examples
    --------
    >>> raters, n = np.repeat(np.arange(5), 12), 60
    >>> outcomes = np.where(np.arange(n) % 6 == 0, 0.0, 1.0)
    >>> outcomes[raters == 4] = 1.0 - outcomes[raters == 4]
    >>> screen_choices(raters, np.zeros(n, dtype=int), np.ones(n, dtype=int), outcomes).reasons[4]
    ('chooses as the others would in 17 % of 12 pairs',)
    """
    firsts, seconds, outcomes = checked_choices(firsts, seconds, outcomes)
    raters = np.asarray(raters, dtype=np.intp)
    n_raters = int(raters.max(initial=-1)) + 1 if n_raters is None else n_raters
    n_options = int(max(firsts.max(initial=-1), seconds.max(initial=-1))) + 1
    own = [np.flatnonzero(raters == k) for k in range(n_raters)]
    failed = [_failed_checks(k, checks) for k in range(n_raters)]
    sides = [_one_sided(outcomes[rows]) for rows in own]
    tables = np.zeros((n_raters, n_options, n_options))
    for k, rows in enumerate(own):
        tables[k] = count_wins(firsts[rows], seconds[rows], outcomes[rows], n_options)
    views = [_UNSEEN] * n_raters
    kept = np.array([not (failed[k] or sides[k]) for k in range(n_raters)], dtype=bool)
    for _ in range(_MAX_PASSES):
        everybody = tables[kept].sum(axis=0)
        for k, rows in enumerate(own):
            others = everybody - tables[k] * kept[k]
            views[k] = _beside(others, firsts[rows], seconds[rows], outcomes[rows])
        reasons = [_weigh(failed[k], sides[k], views[k], _all_failed(k, checks)) for k in range(n_raters)]
        before, kept = kept, np.array([not found for found in reasons], dtype=bool)
        if (kept == before).all():
            break
    n_unseen = sum(view.share is None for view in views)
    note = (
        f"{n_unseen} of {n_raters} raters chose too seldom to be compared with the others"
        if n_unseen
        else None
    )
    return Screening(kept, tuple(reasons), tuple(view.share for view in views), note)


@dataclass(frozen=True, slots=True)
class _View:
    """A rater beside the others: the share of choices they would have made too, and whether a coin hardly does as well."""

    share: float | None
    reasons: _Reasons
    is_alike: bool


_UNSEEN = _View(None, (), is_alike=False)


def _weigh(failed: _Reasons, sides: _Reasons, view: _View, all_failed: bool) -> _Reasons:
    """Return why a rater does not count; a failed check among passed ones is none where the choices are like the others'."""
    forgiven = view.is_alike and not all_failed
    return (*(() if forgiven else failed), *sides, *view.reasons)


def _beside(wins: FloatArray, firsts: Codes, seconds: Codes, outcomes: FloatArray) -> _View:
    """Compare a rater's choices with the odds that the others' choices give each pair."""
    from evalkit.stats.special import expit, ndtri

    met = (wins + wins.T) > 0
    if outcomes.size < MIN_PAIRS or not leads_everywhere(met):
        return _UNSEEN
    strengths = strengths_of(wins + 0.5 * met)  # half a win more for each keeps the odds finite
    odds = strengths[firsts] - strengths[seconds]
    share = float(np.where(odds > 0, outcomes, 1.0 - outcomes).mean())
    felt = expit(_LEAST_DECISIVE * odds)
    expected = float(((2.0 * felt - 1.0) * odds).sum())
    spread = sqrt(float((4.0 * felt * (1.0 - felt) * odds**2).sum()))
    found = float(((2.0 * outcomes - 1.0) * odds).sum())
    is_alike = found > -float(ndtri(_ALPHA_COIN)) * sqrt(float((odds**2).sum()))
    alpha = _ALPHA if expected > 2.0 * spread else _ALPHA_BLIND
    if found >= expected + float(ndtri(alpha)) * spread:
        return _View(share, (), is_alike)
    words = f"chooses as the others would in {100 * share:.0f} % of {outcomes.size} pairs"
    return _View(share, (words,), is_alike=False)


def _one_sided(outcomes: FloatArray) -> _Reasons:
    """Ask whether the choices could be of one who sees both sides alike."""
    from evalkit.stats.special import bdtr

    n_first, n_second = int((outcomes > 0.5).sum()), int((outcomes < 0.5).sum())
    n = n_first + n_second
    if n < MIN_PAIRS or 2.0 * float(bdtr(min(n_first, n_second), n, 0.5)) >= _ALPHA_SIDE:
        return ()
    side = "first" if n_first > n_second else "second"
    return (f"chose the one shown {side} in {max(n_first, n_second)} of {n} pairs",)


def _failed_checks(rater: int, checks: tuple[Codes, FloatArray] | None) -> _Reasons:
    if checks is None:
        return ()
    said = checks[1][checks[0] == rater]
    n_failed = int((said < 1.0).sum())
    if not n_failed:
        return ()
    return (f"did not prefer the intact clip to the broken one in {n_failed} of {count(said.size, 'check')}",)


def _all_failed(rater: int, checks: tuple[Codes, FloatArray] | None) -> bool:
    return checks is not None and not (checks[1][checks[0] == rater] == 1.0).any()
