"""Rank correlation of clips that are not independent, two of them compared, several runs as one.

Conventions
-----------
- ``x`` and ``y`` have shape (n,), one value a clip, finite. Ties have the mean of their ranks (Spearman), or count as
  neither in nor out of order (Kendall's tau-b).
- What the clips share (portrait, speech, seed, configuration) is given as ``factors``, as to
  `evalkit.stats.means.fit_mean`. Each clip has a jackknife pseudo-value: what the correlation owes to it. Their mean has
  the error that `fit_mean` knows for crossed and nested factors, on Fisher's scale. Nothing is drawn at random.
- Coverage by simulation: ``python -m tests.agreement_simulation``; the table is in docs/agreement.md.

References
----------
- R. G. Miller, "The jackknife: a review", Biometrika 61, 1974.
- J. H. Steiger, "Tests for comparing elements of a correlation matrix", Psychological Bulletin 87, 1980, equation 14.
- R. DerSimonian, N. Laird, Controlled Clinical Trials 7, 1986; G. Knapp, J. Hartung, Statistics in Medicine 22, 2003;
  C. Röver, G. Knapp, T. Friede, BMC Medical Research Methodology 15, 2015 (never narrower than without it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import atanh, sqrt, tanh
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import Estimate, MeanFit, finite, fit_mean
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.types import BoolArray, FloatArray

    Factors = Mapping[str, Sequence[Hashable]]

MIN_CLIPS = 10
"""With fewer clips no correlation is told: of nine without any, one in twenty shows 0.68."""
MIN_OTHERS = 4
"""Clips that have to differ from all that are alike: where a single one of 20 does, chance shows a sure order in 22 to 41 of 100 draws."""
_ROUNDING = 1e-9
"""Of the largest value: what differs less is rounding."""
MIN_RUNS = 3
"""Runs that an interval over runs needs."""
_PERFECT = 1.0 - 1e-9
_TAIL = 0.025


class Coefficient(StrEnum):
    """How the order of two rows of values is compared."""

    SPEARMAN = "spearman"
    KENDALL = "kendall"


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation with its interval.

    Parameters
    ----------
    estimate : Estimate
        From -1 to 1; n counts clips, of a pooled one runs.
    error : float or None
        Standard error on Fisher's scale, atanh(r); None where it cannot be known.
    p : float
        Two-sided, of no correlation; 1 where it cannot be known.
    """

    estimate: Estimate
    error: float | None = None
    p: float = 1.0


@dataclass(frozen=True, slots=True)
class CorrelationDifference:
    """How much more one of two rows goes with a third than the other does.

    Parameters
    ----------
    difference : Estimate
        The first correlation minus the second, with its clustered interval.
    z : float
        Steiger's, of the ranks, as if all clips were independent.
    p : float
        Two-sided: the larger of Steiger's and that of the clustered difference, so that neither what the clips share nor the
        shape of the test finds a difference alone. 1 where the clustered one cannot be known.
    """

    difference: Estimate
    z: float
    p: float


def rank(values: FloatArray) -> FloatArray:
    """Return ranks from 1; equal values have the mean of theirs.

    >>> rank(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: FloatArray = last - (counts - 1) / 2.0
    return means[inverse]


def correlate(x: FloatArray, y: FloatArray, coefficient: Coefficient = Coefficient.SPEARMAN) -> float:
    """Return Spearman's rho or Kendall's tau-b.

    Raises
    ------
    ValueError
        If either row is constant: it has no order then.

    Examples
    --------
    >>> correlate(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    0.8
    """
    if coefficient is Coefficient.SPEARMAN:
        return pearson(rank(x), rank(y))
    order_x, order_y, agreements = _count_orders(x, y)
    if not order_x.any() or not order_y.any():
        raise ValueError("values that are all equal have no order")
    return float(agreements.sum() / sqrt(order_x.sum() * order_y.sum()))


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Return the linear correlation.

    Raises
    ------
    ValueError
        If either row is constant.
    """
    x, y = x - x.mean(), y - y.mean()
    scale = sqrt(float(x @ x) * float(y @ y))
    if scale == 0.0:
        raise ValueError("values that are all equal have no order")
    return round(min(1.0, max(-1.0, float(x @ y) / scale)), 15)


def estimate_correlation(
    x: FloatArray,
    y: FloatArray,
    factors: Factors | None = None,
    *,
    given: Collection[str] = (),
    coefficient: Coefficient = Coefficient.SPEARMAN,
) -> Correlation:
    """Return a rank correlation with an interval that suits what the clips share.

    Parameters
    ----------
    x, y : FloatArray, shape (n,)
    factors, given
        As in `evalkit.stats.means.fit_mean`.
    coefficient : Coefficient

    Returns
    -------
    Correlation
        Without value below `MIN_CLIPS`, or where fewer than `MIN_OTHERS` differ from clips that are alike; without interval where what the clips share has too few
        levels, or where the order is the same throughout.
    """
    x, y = _paired(x, y)
    reason = why_no_correlation(x, y)
    if reason is not None:
        return Correlation(Estimate(None, None, x.size, reason))
    value = correlate(x, y, coefficient)
    if abs(value) >= _PERFECT:
        reason = "the order is the same throughout, which leaves no spread to judge by"
        return Correlation(Estimate(value, None, x.size, reason))
    fit = _fit_on_fishers_scale(value, pseudo_values(x, y, coefficient), factors, given)
    if fit.reason is not None:
        return Correlation(Estimate(value, None, x.size, fit.reason))
    low, high = fit.bounds(_TAIL)
    return Correlation(
        Estimate(value, Interval(tanh(low), tanh(high)), x.size), fit.standard_error, fit.p_value()
    )


def why_no_correlation(x: FloatArray, y: FloatArray) -> str | None:
    """Say why two rows have no correlation that could be told; None where they have one."""
    if x.size < MIN_CLIPS:
        return f"{x.size} of the {MIN_CLIPS} clips a correlation needs"
    for row, same in ((x, "it is the same in"), (y, "the opinions are the same of")):
        n_alike = int(np.unique(_without_rounding(row), return_counts=True)[1].max())
        if n_alike == row.size:
            return f"{same} every clip"
        if n_alike > row.size - MIN_OTHERS:
            return f"{same} {n_alike} of {row.size} clips"
    return None


def compare_correlations(
    a: FloatArray,
    b: FloatArray,
    y: FloatArray,
    factors: Factors | None = None,
    *,
    given: Collection[str] = (),
) -> CorrelationDifference:
    """Say whether `a` goes with `y` more than `b` does, all of the same clips, by Spearman's rho.

    Parameters
    ----------
    a, b, y : FloatArray, shape (n,)
    factors, given
        As in `evalkit.stats.means.fit_mean`.

    Raises
    ------
    ValueError
        If there are fewer than `MIN_CLIPS` clips, or a row is constant but for fewer than `MIN_OTHERS`.
    """
    a, y = _paired(a, y)
    b, y = _paired(b, y)
    for row in (a, b):
        if (reason := why_no_correlation(row, y)) is not None:
            raise ValueError(f"two correlations cannot be compared: {reason}")
    first, second, between = correlate(a, y), correlate(b, y), correlate(a, b)
    change = first - second
    pseudo = pseudo_values(a, y) - pseudo_values(b, y)
    fit = fit_mean(change + pseudo - pseudo.mean(), factors, given=given)
    z = steiger_z(first, second, between, a.size)
    interval = None
    if fit.reason is None and not fit.is_constant:
        low, high = fit.bounds(_TAIL, (-2.0, 2.0))
        interval = Interval(low, high)
    return CorrelationDifference(
        Estimate(change, interval, a.size, fit.reason), z, max(_two_sided(z), fit.p_value())
    )


def steiger_z(r_ay: float, r_by: float, r_ab: float, n: int) -> float:
    """Return Steiger's Z of two correlations with one variable in common; standard normal where they are equal.

    Parameters
    ----------
    r_ay, r_by : float
        The two that are compared, -1 to 1.
    r_ab : float
        Between what is not in common.
    n : int
        Independent observations, more than 3.

    Returns
    -------
    float
        Positive where the first is larger. 0 where the two cannot differ.

    Examples
    --------
    Case A of Steiger (1980, p. 249), who rounds on the way and gives -0.8913:

    >>> round(steiger_z(0.4, 0.5, 0.1, 103), 4)
    -0.8887
    """
    pooled = ((r_ay + r_by) / 2.0) ** 2
    if pooled >= _PERFECT:
        return 0.0
    covariance = r_ab * (1.0 - 2.0 * pooled) - 0.5 * pooled * (1.0 - 2.0 * pooled - r_ab**2)
    rest = 2.0 - 2.0 * covariance / (1.0 - pooled) ** 2
    if rest <= 1e-12:
        return 0.0
    return (_fisher(r_ay) - _fisher(r_by)) * sqrt((n - 3) / rest)


def pool_correlations(correlations: Sequence[Correlation]) -> Correlation:
    """Return the mean correlation of several runs, which may differ: random effects on Fisher's scale.

    Each is of the clips of one run, so that what differs between runs alone (raters, machines) counts for nothing.

    Parameters
    ----------
    correlations : sequence of Correlation
        Those without a standard error do not count.

    Returns
    -------
    Correlation
        n counts runs. Without value below two; without interval below `MIN_RUNS`.
    """
    from evalkit.stats.special import stdtrit

    known = [(one.estimate.value, one.error) for one in correlations]
    zs = np.array([_fisher(value) for value, error in known if value is not None and error])
    variances = np.array([error**2 for value, error in known if value is not None and error])
    n = zs.size
    if n < 2:
        return Correlation(Estimate(None, None, n, "fewer than two runs have an interval of their own"))
    weights = 1.0 / variances
    fixed = float(weights @ zs / weights.sum())
    excess = float(weights @ (zs - fixed) ** 2) - (n - 1)
    between = max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1.0 / (variances + between)
    mean = float(weights @ zs / weights.sum())
    widening = max(1.0, float(weights @ (zs - mean) ** 2) / (n - 1))
    error = sqrt(widening / float(weights.sum()))
    if n < MIN_RUNS:
        return Correlation(
            Estimate(tanh(mean), None, n, f"{n} of the {MIN_RUNS} runs an interval needs"), error
        )
    reach = float(stdtrit(n - 1, 1.0 - _TAIL)) * error
    return Correlation(Estimate(tanh(mean), Interval(tanh(mean - reach), tanh(mean + reach)), n), error)


def split_half_reliability(
    scores: FloatArray, clips: Sequence[Hashable], raters: Sequence[Hashable], *, n_splits: int = 200
) -> Estimate:
    """Return how far the mean opinions of these raters would agree in order with those of as many others.

    The raters are halved at random, always the same way; the mean opinions of the halves are correlated (Spearman), and
    raised to the full number of raters (Spearman–Brown). The mean over all splits. A rater's own leaning counts as noise as
    far as raters rated different clips, as it does in the mean opinions.

    Parameters
    ----------
    scores : FloatArray, shape (n,)
    clips, raters : sequence of length n
        What each score is of, and by whom.
    n_splits : int

    Returns
    -------
    Estimate
        Without interval. Its square root is the correlation with the true opinions: no metric can show more, but by chance.
        Without value where fewer than four raters scored, too few clips are in both halves, or halves do not agree at all.

    References
    ----------
    W. Brown, C. Spearman, British Journal of Psychology 3, 1910.
    """
    scores = finite(scores)
    clip_codes = np.unique(np.array([str(clip) for clip in clips]), return_inverse=True)[1]
    rater_codes = np.unique(np.array([str(rater) for rater in raters]), return_inverse=True)[1]
    n_raters = int(rater_codes.max(initial=-1)) + 1
    if n_raters < 4:
        return Estimate(None, None, n_raters, f"{n_raters} of the 4 raters that this needs")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n_splits):
        is_first = rng.permutation(n_raters)[rater_codes] < n_raters // 2
        halves = _half_means(scores, clip_codes, is_first)
        if why_no_correlation(*halves) is None:
            found.append(correlate(*halves))
    if len(found) < n_splits // 2:
        return Estimate(
            None, None, n_raters, f"fewer than {MIN_CLIPS} clips were scored by both halves of the raters"
        )
    agreement = float(np.mean(found))
    if agreement <= 0.0:
        return Estimate(None, None, n_raters, "the raters do not agree on the order of the clips at all")
    return Estimate(2.0 * agreement / (1.0 + agreement), None, n_raters)


def pseudo_values(
    x: FloatArray, y: FloatArray, coefficient: Coefficient = Coefficient.SPEARMAN
) -> FloatArray:
    """Return what the correlation owes to each clip: n times it, less n - 1 times that of all others.

    Returns
    -------
    FloatArray, shape (n,)
    """
    n = x.size
    value = correlate(x, y, coefficient)
    without = (
        _spearman_without_each(x, y) if coefficient is Coefficient.SPEARMAN else _kendall_without_each(x, y)
    )
    return n * value - (n - 1) * np.where(np.isfinite(without), without, value)


def _half_means(
    scores: FloatArray, clips: NDArray[np.intp], is_first: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean scores of both halves of the raters, of the clips that both scored."""
    n_clips = int(clips.max()) + 1
    counts = [np.bincount(clips[half], minlength=n_clips) for half in (is_first, ~is_first)]
    sums = [np.bincount(clips[half], scores[half], n_clips) for half in (is_first, ~is_first)]
    in_both = (counts[0] > 0) & (counts[1] > 0)
    return sums[0][in_both] / counts[0][in_both], sums[1][in_both] / counts[1][in_both]


def _spearman_without_each(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return Spearman's rho of all clips but one, for each; NaN where the others are constant."""
    n = x.size
    ranks_x, ranks_y = rank(x), rank(y)
    found = np.full(n, np.nan)
    for place in range(n):
        others_x = ranks_x - (x > x[place]) - 0.5 * (x == x[place])
        others_y = ranks_y - (y > y[place]) - 0.5 * (y == y[place])
        others_x[place] = others_y[place] = n / 2.0  # the mean rank of the others: of no weight
        centred_x, centred_y = others_x - n / 2.0, others_y - n / 2.0
        scale = sqrt(float(centred_x @ centred_x) * float(centred_y @ centred_y))
        if scale > 0.0:
            found[place] = float(centred_x @ centred_y) / scale
    return found


def _kendall_without_each(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return Kendall's tau-b of all clips but one, for each; NaN where the others are constant."""
    order_x, order_y, agreements = _count_orders(x, y)
    rest_x, rest_y = order_x.sum() - 2.0 * order_x, order_y.sum() - 2.0 * order_y
    scale = np.sqrt(rest_x * rest_y)
    found: FloatArray = np.divide(
        agreements.sum() - 2.0 * agreements, scale, out=np.full(x.size, np.nan), where=scale > 0.0
    )
    return found


def _count_orders(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For each clip count the others that differ in x, those that differ in y, and those in order less those out of it."""
    counts = np.empty((3, x.size))
    for place in range(x.size):
        order_x, order_y = np.sign(x - x[place]), np.sign(y - y[place])
        counts[:, place] = np.abs(order_x).sum(), np.abs(order_y).sum(), order_x @ order_y
    return counts[0], counts[1], counts[2]


def _fit_on_fishers_scale(
    value: float, pseudo: FloatArray, factors: Factors | None, given: Collection[str]
) -> MeanFit:
    """Return atanh(value) with the error that follows from pseudo-values of `value`."""
    return fit_mean(atanh(value) + (pseudo - pseudo.mean()) / (1.0 - value**2), factors, given=given)


def _paired(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    x, y = _without_rounding(finite(x)), _without_rounding(finite(y))
    if x.size != y.size:
        raise ValueError(f"{x.size} values and {y.size} do not make pairs")
    return x, y


def _without_rounding(values: FloatArray) -> FloatArray:
    """Make values equal that differ by rounding alone, which is no order."""
    unit = _ROUNDING * float(np.abs(values).max(initial=0.0))
    return np.round(values / unit) * unit if unit else values


def _fisher(r: float) -> float:
    return atanh(min(_PERFECT, max(-_PERFECT, r)))


def _two_sided(z: float) -> float:
    from math import erfc

    return erfc(abs(z) / sqrt(2.0))
