"""Which raters count: screening by what they did with hidden checks, with repeats, and with clips that others saw too.

- `screen_scores(raters, clips, scores, checks=…, repeats=…)`: who is kept, who not and why; of choices between two
  clips, `evalkit.stats.choice_screening.screen_choices`
- `bt500_outliers(raters, clips, scores)`: the rule of ITU-R BT.500 alone, by the letter

The rule is that an honest rater stays. Honest is who follows the clips, however mild or strict (a constant bias) and up
to a spread of `MOST_INCONSISTENT` points; each test asks whether the answers could come from such a rater at all, and
excludes one only where they hardly could. With few clips little can be excluded, and little is. Raters who were found
out no longer count among the others, and the rest is looked at again; where most raters are cheats alike, nothing helps.
How many cheats are found and how many honest raters lost, by simulation: docs/rating_statistics.md.

References
----------
- ITU-R Recommendation BT.500-14 (10/2019), Annex 1, A1-2.3.1: rejection by the count of scores far from the others.
- ITU-T Recommendation P.913 (06/2021), 12.4: correlation with the others; 8.3 and ITU-T P.808 (06/2021): checks.
- R. A. Fisher, Metron 1, 1921 (the error of a correlation).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from evalkit.formatting import count, three_digits
from evalkit.stats.opinions import SCALE, Codes, additive_fit, checked
from evalkit.types import BoolArray, FloatArray

if TYPE_CHECKING:
    Rows = tuple[Codes, FloatArray]

MOST_INCONSISTENT = 1.0
"""Points: an honest rater's spread around quality and bias is not larger. All 50 raters of two published experiments are below 0.9
(Netflix public dataset, VQEG HD3, by `evalkit.stats.opinions.fit_raters`)."""
MIN_CLIPS = 8
"""Of a rater, scored by others too: with fewer, correlation and spread are not looked at."""
MIN_OTHERS = 2
"""Of a clip, who are kept: one other alone cannot say which of two is at fault."""
_ROUNDING = 1.0 / 12.0
"""Variance that whole scores add."""
_ALPHA = 0.03
"""Chance of a comparison with the others to exclude a rater at the very limit of honest; usual ones are far from it."""
_ALPHA_BLIND = 0.005
"""The same where the clips are too alike for it to find a rater who draws scores."""
_ALPHA_ALONE = 0.01
"""The same of a comparison with the own first answers, and of BT.500's count."""
_MAX_PASSES = 20


@dataclass(frozen=True, slots=True)
class Screening:
    """Who counts, and why the others do not.

    Parameters
    ----------
    kept : BoolArray, shape (n_raters,)
    reasons : tuple of tuple of str, one a rater
        In words, with the figure; empty for raters who are kept.
    agreement : tuple of (float or None), one a rater
        Of scores, the correlation with what the others who are kept said of the same clips; of choices, the share that the
        others would have made too. None where it cannot be said.
    note : str or None
        What could not be looked at.
    """

    kept: BoolArray
    reasons: tuple[tuple[str, ...], ...]
    agreement: tuple[float | None, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Bt500:
    """What the rule of BT.500 counts.

    Parameters
    ----------
    above, below : Codes, shape (n_raters,)
        Scores of the rater that lie far above, and far below, what all gave the same clip.
    n : Codes, shape (n_raters,)
        Scores of the rater.
    rejected : BoolArray, shape (n_raters,)
        More than 5 % far away, and on both sides alike: a ratio of less than 0.3.
    """

    above: Codes
    below: Codes
    n: Codes
    rejected: BoolArray


def bt500_outliers(raters: Codes, clips: Codes, scores: FloatArray) -> Bt500:
    """Apply the rejection of ITU-R BT.500-14, A1-2.3.1.

    Far away is 2 standard deviations where the scores of a clip look normal (kurtosis from 2 to 4), else √20.

    Parameters
    ----------
    raters, clips, scores
        As in `evalkit.stats.opinions.mean_opinions`.

    Notes
    -----
    The shares are of the scores that a rater gave; in a complete design these are those of the Recommendation. A clip that
    all gave the same score counts for nobody. Were all raters to be rejected, none is.

    Examples
    --------
    >>> raters, clips = np.tile(np.arange(6), 20), np.repeat(np.arange(20), 6)
    >>> int(bt500_outliers(raters, clips, 3.0 + (raters + clips) % 2).rejected.sum())
    0
    """
    raters, clips, scores = checked(raters, clips, scores)
    n_raters = int(raters.max(initial=-1)) + 1
    n_each = np.bincount(clips)
    centred = scores - (np.bincount(clips, weights=scores) / n_each)[clips]
    second = np.bincount(clips, weights=centred**2) / n_each
    fourth = np.bincount(clips, weights=centred**4) / n_each
    spreads = second > 1e-12
    kurtosis = np.divide(fourth, second**2, out=np.zeros_like(second), where=spreads)
    reach = np.where((kurtosis >= 2.0) & (kurtosis <= 4.0), 2.0, sqrt(20.0)) * np.sqrt(second)
    reach -= 1e-9  # at the limit is beyond it, whatever the rounding
    above = np.bincount(raters[spreads[clips] & (centred >= reach[clips])], minlength=n_raters)
    below = np.bincount(raters[spreads[clips] & (centred <= -reach[clips])], minlength=n_raters)
    n = np.bincount(raters, minlength=n_raters)
    far = above + below
    rejected = (far > 0.05 * n) & (np.abs(above - below) < 0.3 * far)
    if rejected.all():
        rejected = np.zeros(n_raters, dtype=bool)
    return Bt500(above, below, n, rejected)


def screen_scores(
    raters: Codes,
    clips: Codes,
    scores: FloatArray,
    *,
    n_raters: int | None = None,
    checks: Rows | None = None,
    repeats: tuple[Codes, FloatArray, FloatArray] | None = None,
) -> Screening:
    """Say which raters' scores count.

    Parameters
    ----------
    raters, clips, scores
        As in `evalkit.stats.opinions.mean_opinions`, of one question; without checks and repeats. Where several were
        asked, each is screened by itself: answers of one rater to several questions about a clip resemble each other.
    n_raters : int, optional
        Where some only answered checks or nothing at all.
    checks : (Codes, FloatArray), optional
        Raters, and the score each gave an obviously broken clip; shape (n_checks,). It is failed by a score of 3 or more
        that is not below the rater's own mean.
    repeats : (Codes, FloatArray, FloatArray), optional
        Raters, their first and their second score of the same clip; shape (n_repeats,).

    Returns
    -------
    Screening
        Reasons: a failed check; the same score throughout, where an honest rater would not have given it; a correlation
        with the others, a spread around them, or a difference from the own first answer that no honest rater has; the rule
        of BT.500, where its count beyond 5 % is more than chance.

    Examples
    --------
    >>> raters, clips = np.tile(np.arange(6), 20), np.repeat(np.arange(20), 6)
    >>> scores = np.where(raters == 5, 5 - clips % 5, 1 + clips % 5).astype(float)
    >>> screen_scores(raters, clips, scores).reasons[5][0]
    'correlates -1.00 with the others over 20 clips'
    """
    raters, clips, scores = checked(raters, clips, scores)
    n_raters = int(raters.max(initial=-1)) + 1 if n_raters is None else n_raters
    by_themselves = [
        (*_failed_checks(k, scores[raters == k], checks), *_unlike_themselves(k, repeats))
        for k in range(n_raters)
    ]
    far = _beyond_chance(raters, clips, scores, n_raters)
    reasons = [(*alone, *far[k]) for k, alone in enumerate(by_themselves)]
    views = [_UNSEEN] * n_raters
    kept = np.array([not found for found in reasons], dtype=bool)
    for _ in range(_MAX_PASSES):
        others = _Others.of(raters, clips, scores, kept)
        views = [others.view(k, clips[raters == k], scores[raters == k]) for k in range(n_raters)]
        reasons = [(*by_themselves[k], *views[k].reasons, *far[k]) for k in range(n_raters)]
        before, kept = kept, np.array([not found for found in reasons], dtype=bool)
        if (kept == before).all():
            break
    n_unseen = sum(view is _UNSEEN for view in views)
    note = (
        f"{n_unseen} of {n_raters} raters scored too few clips with others to be compared"
        if n_unseen
        else None
    )
    return Screening(kept, tuple(reasons), tuple(view.correlation for view in views), note)


@dataclass(frozen=True, slots=True)
class _View:
    """A rater beside the others."""

    correlation: float | None
    reasons: tuple[str, ...]


_UNSEEN = _View(None, ())


@dataclass(frozen=True, slots=True)
class _Others:
    """What the raters who are kept say of each clip, their biases removed."""

    totals: FloatArray
    counts: FloatArray
    """Of shape (n_clips,): sum and number of scores."""
    own_totals: FloatArray
    own_counts: FloatArray
    """Of shape (n_raters, n_clips): those of one rater; 0 for who is not kept."""
    variance: float
    """Of a single score of a usual rater."""

    @classmethod
    def of(cls, raters: Codes, clips: Codes, scores: FloatArray, kept: BoolArray) -> _Others:
        shape = (kept.size, int(clips.max(initial=-1)) + 1)
        own_totals, own_counts = np.zeros(shape), np.zeros(shape)
        among = kept[raters]
        if not among.any():
            return cls(own_totals.sum(axis=0), own_counts.sum(axis=0), own_totals, own_counts, 0.0)
        _, who = np.unique(raters[among], return_inverse=True)
        _, what = np.unique(clips[among], return_inverse=True)
        quality, bias = additive_fit(who, what, scores[among])
        levels = scores[among] - bias[who]
        np.add.at(own_totals, (raters[among], clips[among]), levels)
        np.add.at(own_counts, (raters[among], clips[among]), 1.0)
        squares = np.bincount(who, weights=(levels - quality[what]) ** 2) / np.bincount(who)
        df = max(levels.size - quality.size - bias.size + 1, 1)
        variance = max(float(np.median(squares)) * levels.size / df, _ROUNDING)
        return cls(own_totals.sum(axis=0), own_counts.sum(axis=0), own_totals, own_counts, variance)

    def view(self, rater: int, clips: Codes, scores: FloatArray) -> _View:
        n_others = self.counts[clips] - self.own_counts[rater, clips]
        seen = n_others > MIN_OTHERS - 0.5
        n = int(seen.sum())
        if n < MIN_CLIPS:
            return _UNSEEN
        clips, scores, n_others = clips[seen], scores[seen], n_others[seen]
        level = (self.totals[clips] - self.own_totals[rater, clips]) / n_others
        noise = self.variance / n_others
        if np.ptp(scores) == 0.0:
            return _View(None, _straight(float(scores[0]), level, noise))
        if np.ptp(level) < 1e-9:
            return _View(None, _scattered(scores - level, noise))
        correlation = float(np.corrcoef(scores, level)[0, 1])
        reasons = (*_unrelated(correlation, level, noise), *_scattered(scores - level, noise))
        return _View(correlation, reasons)


def _unrelated(correlation: float, level: FloatArray, noise: FloatArray) -> tuple[str, ...]:
    """Compare with the correlation that a rater at the limit of honest would have, given how much the clips differ."""
    from evalkit.stats.special import ndtri

    n, seen, lost = level.size, float(level.var(ddof=1)), float(noise.mean())
    differ = max(seen - lost, 0.0)
    usual = sqrt(differ / seen) * sqrt(differ / (differ + MOST_INCONSISTENT**2 + _ROUNDING))
    error = 1.0 / sqrt(n - 3)
    alpha = _ALPHA if np.arctanh(usual) > 2.0 * error else _ALPHA_BLIND
    limit = np.arctanh(usual) + float(ndtri(alpha)) * error
    if np.arctanh(np.clip(correlation, -0.9999, 0.9999)) >= limit:
        return ()
    return (f"correlates {correlation:.2f} with the others over {n} clips",)


def _scattered(errors: FloatArray, noise: FloatArray) -> tuple[str, ...]:
    """Compare the spread around the others with the largest that is honest."""
    from evalkit.stats.special import chdtri

    n = errors.size
    centred = errors - errors.mean()
    honest = MOST_INCONSISTENT**2 + _ROUNDING + noise
    if float((centred**2 / honest).sum()) <= float(chdtri(n - 1, _ALPHA)):
        return ()
    spread = sqrt(max(float(centred @ centred) / (n - 1) - float(noise.mean()), 0.0))
    return (f"scatters {three_digits(spread)} points around the others over {n} clips",)


def _straight(score: float, level: FloatArray, noise: FloatArray) -> tuple[str, ...]:
    """Ask how likely the most fitting honest rater gives one score throughout, as they may where clips are alike or all excellent."""
    from evalkit.stats.special import ndtr

    bias, spread = np.meshgrid(np.arange(-1.5, 1.51, 0.1), np.arange(0.3, MOST_INCONSISTENT + 0.01, 0.1))
    mean = level + bias[..., None]
    error = np.sqrt(spread[..., None] ** 2 + noise)
    upper = ndtr((score + 0.5 - mean) / error) if score < SCALE[1] else 1.0
    lower = ndtr((score - 0.5 - mean) / error) if score > SCALE[0] else 0.0
    likeliest = float(np.log(np.maximum(upper - lower, 1e-300)).sum(axis=-1).max())
    if likeliest >= log(_ALPHA_ALONE):
        return ()
    return (f"gave {three_digits(score)} of 5 to all {level.size} clips, whatever the others said",)


def _failed_checks(rater: int, own: FloatArray, checks: Rows | None) -> tuple[str, ...]:
    if checks is None:
        return ()
    mean = float(own.mean()) if own.size else SCALE[0]
    given = checks[1][checks[0] == rater]
    failed = given[(given >= 3.0) & (given >= mean)]
    if not failed.size:
        return ()
    said = " and ".join(three_digits(float(score)) for score in failed)
    return (f"gave the broken clip {said} of 5, and clips in general {mean:.1f}",)


def _unlike_themselves(rater: int, repeats: tuple[Codes, FloatArray, FloatArray] | None) -> tuple[str, ...]:
    from evalkit.stats.special import chdtri

    if repeats is None:
        return ()
    mine = repeats[0] == rater
    changes = repeats[1][mine] - repeats[2][mine]
    squares = float((changes**2).sum()) / (2.0 * (MOST_INCONSISTENT**2 + _ROUNDING))
    if not changes.size or squares <= float(chdtri(changes.size, _ALPHA_ALONE)):
        return ()
    change = sqrt(float((changes**2).mean()))
    return (
        f"differs {three_digits(change)} points from their own first answer over {count(changes.size, 'repeat')}",
    )


def _beyond_chance(raters: Codes, clips: Codes, scores: FloatArray, n_raters: int) -> list[tuple[str, ...]]:
    """Take over what BT.500 rejects where more scores are far away than 5 % and chance explain."""
    from evalkit.stats.special import bdtr

    if not raters.size:
        return [()] * n_raters
    found = bt500_outliers(raters, clips, scores)
    reasons: list[tuple[str, ...]] = [()] * n_raters
    for k in np.flatnonzero(found.rejected).tolist():
        far, n = int(found.above[k] + found.below[k]), int(found.n[k])
        if 1.0 - float(bdtr(far - 1, n, 0.05)) < _ALPHA_ALONE:
            reasons[k] = (f"is far from the others in {far} of {n} scores, to both sides (BT.500)",)
    return reasons
