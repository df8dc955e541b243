"""What scores of raters are worth: mean opinions of clips, and the raters' own bias and inconsistency told apart from quality.

Scores are in long form: one row says who (a code from 0), which clip (a code from 0) and what. Nobody has to have seen
every clip, and one rater may have scored a clip twice. `evalkit.stats.means.code_levels` makes codes of names.

- `mean_opinions(raters, clips, scores)`: mean opinion score of each clip, with an interval
- `fit_raters(raters, clips, scores)`: maximum likelihood of ITU-T P.910, as a `RaterModel`
- `mean_quality(model, clips, factors)`: its quality of one configuration, with an interval

Which raters count is decided before, by `evalkit.stats.screening`; how far raters agree is in
`evalkit.stats.reliability`. The mean opinion score of a configuration is `evalkit.stats.means.estimate_mean` of its
scores, with the rater as one more factor beside portrait, speech and seed.

References
----------
- ITU-T Recommendation P.910 (10/2023), Annex E; the same as P.913 (06/2021), 12.6.
- Z. Li, C. G. Bampis, L. Janowski, I. Katsavounidis, "A simple model for subject behavior in subjective experiments",
  Human Vision and Electronic Imaging, 2020.
- G. K. Smyth, "Linear models and empirical Bayes methods", Statistical Applications in Genetics and Molecular Biology 3,
  2004 (variances of few values).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalkit.formatting import count
from evalkit.stats.means import Estimate, estimate_mean, finite, fit_mean
from evalkit.types import FloatArray, Interval

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

Codes = NDArray[np.intp]

SCALE = (1.0, 5.0)
"""Lowest and highest score."""
MOST_EXACT = 1.0 / sqrt(12.0)
"""No rater counts as less inconsistent than the rounding to whole scores: one who seems to be would outweigh all others."""
_MAX_STEPS = 1000
_LEAST_LEFT = 1.0
"""Degrees of freedom that a rater's variance has at least."""


@dataclass(frozen=True, slots=True)
class RaterModel:
    """Quality of clips, and bias and inconsistency of raters, of greatest likelihood.

    A score is taken as quality of the clip + bias of the rater + an error whose spread is the rater's inconsistency. The
    biases of the raters add up to 0.

    Parameters
    ----------
    quality : FloatArray, shape (n_clips,)
        In points; empty where nothing could be estimated.
    quality_low, quality_high : FloatArray, shape (n_clips,)
        95 % interval of the quality as other raters of the kind would see it: their biases differ too.
    quality_error : FloatArray, shape (n_clips,)
        Standard error as these raters see it.
    bias, bias_low, bias_high : FloatArray, shape (n_raters,)
        Above 0 for one who scores higher than the others; with 95 % interval.
    inconsistency, inconsistency_low, inconsistency_high : FloatArray, shape (n_raters,)
        Standard deviation of the rater's error, at least `MOST_EXACT`; with 95 % interval.
    n : int
        Scores.
    reason : str or None
        Why nothing could be estimated.
    """

    quality: FloatArray
    quality_low: FloatArray
    quality_high: FloatArray
    quality_error: FloatArray
    bias: FloatArray
    bias_low: FloatArray
    bias_high: FloatArray
    inconsistency: FloatArray
    inconsistency_low: FloatArray
    inconsistency_high: FloatArray
    n: int
    reason: str | None = None


def mean_opinions(raters: Codes, clips: Codes, scores: FloatArray) -> tuple[Estimate, ...]:
    """Return the mean opinion score of each clip with its 95 % interval over raters.

    A rater counts once for a clip, with the mean of what they said of it.

    Parameters
    ----------
    raters, clips : Codes, shape (n,)
        From 0, each code used.
    scores : FloatArray, shape (n,)
        Within `SCALE`.

    Returns
    -------
    tuple of Estimate
        For each clip. The interval is Student's, widened for skew scores; its `n` counts raters. Without interval, and
        with the reason, below five raters.

    Examples
    --------
    >>> found, = mean_opinions(np.arange(5), np.zeros(5, dtype=np.intp), np.array([3.0, 4, 4, 4, 5]))
    >>> found.value, found.interval.low > 3.0
    (4.0, True)
    """
    raters, clips, scores = checked(raters, clips, scores)
    shape = (int(clips.max(initial=-1)) + 1, int(raters.max(initial=-1)) + 1)
    counts, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, (clips, raters), 1.0)
    np.add.at(sums, (clips, raters), scores)
    found = []
    for seen_by, total in zip(counts, sums, strict=True):
        seen = seen_by > 0
        estimate = estimate_mean(total[seen] / seen_by[seen], bounds=SCALE)
        few = estimate.interval is None
        reason = f"scores of {int(seen.sum())} raters: an interval needs 5" if few else None
        found.append(Estimate(estimate.value, estimate.interval, estimate.n, reason))
    return tuple(found)


def fit_raters(raters: Codes, clips: Codes, scores: FloatArray) -> RaterModel:
    """Tell quality of clips, bias and inconsistency of raters apart, by maximum likelihood (ITU-T P.910, Annex E).

    Parameters
    ----------
    raters, clips, scores
        As in `mean_opinions`; a repeated score of a rater for a clip is one more observation.

    Returns
    -------
    RaterModel
        Without estimates, and with the reason, where there are fewer than two raters, or where raters fall into groups
        that have no clip in common: then nothing tells a mild group from good clips.

    Notes
    -----
    The likelihood has no upper end where one rater is met exactly; `MOST_EXACT` is why this does not happen here. The
    standard errors count what estimating so many unknowns costs, which P.910 leaves out. With whole scores between 1 and
    5 the intervals cover what docs/rating_statistics.md says.
    """
    raters, clips, scores = checked(raters, clips, scores)
    reason = _why_not(raters, clips)
    if reason is not None:
        return RaterModel(*(np.empty(0),) * 10, n=scores.size, reason=reason)
    table = _Table.of(raters, clips, scores)
    spread = np.full(table.n_raters, 1.0)
    quality, bias, _ = table.solve(spread)
    for _ in range(_MAX_STEPS):
        before = quality
        spread = table.spread(quality, bias)
        quality, bias, _ = table.solve(spread)
        if np.abs(quality - before).max() < 1e-10:
            break
    spread = table.spread(quality, bias)
    return _with_intervals(table, quality, bias, spread)


def mean_quality(
    model: RaterModel,
    clips: Sequence[int],
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    given: Collection[str] = (),
) -> Estimate:
    """Return the mean quality of some clips, those of a configuration, with its 95 % interval.

    The interval speaks of other clips and of other raters of the kind: to the error over the clips that of the raters'
    mean bias is added.

    Parameters
    ----------
    model : RaterModel
    clips : sequence of int
        Codes of the clips.
    factors, given : optional
        Levels (portrait, speech, seed) of these clips, as in `evalkit.stats.means.fit_mean`.

    Returns
    -------
    Estimate
        `n` counts clips.
    """
    from evalkit.stats.special import stdtrit

    if model.reason is not None or not len(clips):
        return Estimate(None, None, 0, model.reason or "nothing was rated")
    fit = fit_mean(model.quality[np.asarray(clips, dtype=np.intp)], factors, given=given)
    if fit.reason is not None:
        return Estimate(fit.mean, None, fit.n, fit.reason)
    of_raters = float(model.bias.var(ddof=1)) / model.bias.size
    variance = fit.standard_error**2 + of_raters
    parts = fit.standard_error**4 / fit.df + of_raters**2 / (model.bias.size - 1)
    reach = float(stdtrit(variance**2 / parts, 0.975)) * sqrt(variance) if parts > 0.0 else 0.0
    reach = max(reach, float(model.quality_error[np.asarray(clips, dtype=np.intp)].mean()) / sqrt(fit.n))
    return Estimate(
        fit.mean, Interval(max(fit.mean - reach, SCALE[0]), min(fit.mean + reach, SCALE[1])), fit.n
    )


def checked(raters: Codes, clips: Codes, scores: FloatArray) -> tuple[Codes, Codes, FloatArray]:
    """Return scores in long form as arrays of one length, with finite scores.

    Raises
    ------
    ValueError
        Otherwise.
    """
    raters, clips, scores = (
        np.asarray(raters, dtype=np.intp),
        np.asarray(clips, dtype=np.intp),
        finite(scores),
    )
    if not raters.shape == clips.shape == scores.shape:
        raise ValueError(
            f"a rater and a clip belong to each score, but there are {raters.size}, {clips.size}, {scores.size}"
        )
    return raters, clips, scores


def additive_fit(raters: Codes, clips: Codes, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return quality of clips and bias of raters by least squares: every rater weighs alike.

    Where groups of raters have no clip in common, each group's biases add up to 0 by themselves.

    Parameters
    ----------
    raters, clips, scores
        As in `mean_opinions`.

    Returns
    -------
    quality : FloatArray, shape (n_clips,)
    bias : FloatArray, shape (n_raters,)
    """
    table = _Table.of(raters, clips, scores)
    quality, bias, _ = table.solve(np.ones(table.n_raters))
    return quality, bias


def n_groups(raters: Codes, clips: Codes) -> int:
    """Return into how many groups raters and clips fall that have nothing in common.

    >>> n_groups(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]))
    2
    """
    of_rater = np.arange(int(raters.max()) + 1)
    of_clip = np.full(int(clips.max()) + 1, of_rater.size)
    while True:
        np.minimum.at(of_clip, clips, of_rater[raters])
        lower = of_rater.copy()
        np.minimum.at(lower, raters, of_clip[clips])
        if (lower == of_rater).all():
            return int(np.unique(of_rater).size)
        of_rater = lower


@dataclass(frozen=True, slots=True)
class _Table:
    """Scores with what solving for quality and bias needs of them."""

    raters: Codes
    clips: Codes
    scores: FloatArray
    counts: FloatArray
    """Shape (n_clips, n_raters): how often."""
    sums: FloatArray
    """Shape (n_clips, n_raters): of scores."""

    @classmethod
    def of(cls, raters: Codes, clips: Codes, scores: FloatArray) -> _Table:
        shape = (int(clips.max()) + 1, int(raters.max()) + 1)
        counts, sums = np.zeros(shape), np.zeros(shape)
        np.add.at(counts, (clips, raters), 1.0)
        np.add.at(sums, (clips, raters), scores)
        return cls(raters, clips, scores, counts, sums)

    @property
    def n_raters(self) -> int:
        return self.counts.shape[1]

    @property
    def df(self) -> int:
        """Scores left after the unknowns of quality and bias."""
        n_clips, n_raters = self.counts.shape
        return max(self.scores.size - n_clips - n_raters + 1, 1)

    def solve(self, spread: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return quality, bias, and the covariance of the biases, shape (n_raters, n_raters), for given spreads of errors.

        The equations of the clips are solved by hand, which leaves those of the raters; of these one is too many, and
        biases that add up to 0 take its place.
        """
        weights = spread**-2.0
        crossed = self.counts * weights
        of_clips = crossed.sum(axis=1)
        weighted = self.sums @ weights
        matrix = np.diag(crossed.sum(axis=0)) - crossed.T @ (crossed / of_clips[:, None])
        known = self.sums.sum(axis=0) * weights - crossed.T @ (weighted / of_clips)
        covariance = np.linalg.pinv(matrix, hermitian=True, rcond=1e-12)
        bias = covariance @ known
        return (weighted - crossed @ bias) / of_clips, bias, covariance

    def spread(self, quality: FloatArray, bias: FloatArray) -> FloatArray:
        """Return the spread of each rater's errors, at least `MOST_EXACT`."""
        errors = self.scores - quality[self.clips] - bias[self.raters]
        squares = np.bincount(self.raters, weights=errors**2) / np.bincount(self.raters)
        return np.maximum(np.sqrt(squares), MOST_EXACT)


def _why_not(raters: Codes, clips: Codes) -> str | None:
    if not raters.size or raters.max() < 1:
        return f"scores of {count(np.unique(raters).size, 'rater')}: 2 are needed to tell bias from quality"
    groups = n_groups(raters, clips)
    if groups > 1:
        return f"the raters fall into {groups} groups without a clip in common: nothing tells their biases from quality"
    return None


def _with_intervals(table: _Table, quality: FloatArray, bias: FloatArray, spread: FloatArray) -> RaterModel:
    """Add intervals to an estimate.

    Quality and bias are weighted sums of scores. Their variance is that of the sums, with each rater's own variance, which
    is larger than the likelihood's: scores of who weighs much drew the fit to them. How much tells the rows' leverage.
    """
    from evalkit.stats.special import chdtri, stdtrit

    n_raters = table.n_raters
    _, _, inverse = table.solve(spread)
    weights = spread**-2.0
    crossed = table.counts * weights
    of_clips = crossed.sum(axis=1)
    shares = crossed / of_clips[:, None]
    drawn = shares @ inverse  # of each clip by each rater's bias
    mutual = drawn @ shares.T
    leverage = weights * ((1.0 / of_clips + np.diag(mutual))[:, None] + np.diag(inverse) - 2.0 * drawn)
    n_each = table.counts.sum(axis=0)
    left = np.maximum((table.counts * (1.0 - leverage)).sum(axis=0), _LEAST_LEFT)
    squares = n_each * spread**2
    calmed, known = _calmed(squares / left, left)
    noise = table.counts * weights**2 * calmed
    own = noise / of_clips[:, None] ** 2
    variance = (
        own.sum(axis=1)
        + 2.0 / of_clips * (noise * (np.diag(mutual)[:, None] - drawn)).sum(axis=1)
        + mutual**2 @ noise.sum(axis=1)
        + drawn**2 @ noise.sum(axis=0)
        - 2.0 * ((mutual @ noise) * drawn).sum(axis=1)
    )
    bias_variance = (
        inverse**2 @ noise.sum(axis=0)
        + (drawn**2).T @ noise.sum(axis=1)
        - 2.0 * (inverse * (drawn.T @ noise)).sum(axis=1)
    )
    df = own.sum(axis=1) ** 2 / (own**2 / known).sum(axis=1)
    of_raters = float(bias.var(ddof=1)) / n_raters
    total = variance + of_raters
    df = total**2 / (variance**2 / df + of_raters**2 / (n_raters - 1))
    reach = stdtrit(df, 0.975) * np.sqrt(total)
    bias_reach = stdtrit(known, 0.975) * np.sqrt(bias_variance)
    return RaterModel(
        quality=quality,
        quality_low=quality - reach,
        quality_high=quality + reach,
        quality_error=np.sqrt(variance),
        bias=bias,
        bias_low=bias - bias_reach,
        bias_high=bias + bias_reach,
        inconsistency=spread,
        inconsistency_low=np.sqrt(squares / chdtri(left, 0.025)),
        inconsistency_high=np.sqrt(squares / chdtri(left, 0.975)),
        n=table.scores.size,
    )


def _calmed(variances: FloatArray, df: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw the raters' variances towards their mean, as far as they differ by chance (Smyth 2004), and count what is known.

    Who seems to be the most exact weighs most, and is in part the luckiest: taken as they are, these variances promise too
    narrow an interval.
    """
    seen = np.log(np.maximum(variances, 1e-12))
    by_chance = 2.0 / df + 2.0 / df**2  # trigamma(df / 2)
    truly = max(float(seen.var(ddof=1) - by_chance.mean()), 1e-3)
    prior = (1.0 + sqrt(1.0 + 2.0 * truly)) / truly  # trigamma(prior / 2) = truly
    pooled = float((variances * df).sum() / df.sum())
    return (variances * df + pooled * prior) / (df + prior), df + prior
