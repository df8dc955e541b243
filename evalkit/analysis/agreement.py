"""How far each metric agrees with what people say of the same clips, and where they begin to object.

Agreement is the rank correlation of a metric with the mean opinion of a clip, positive where a better value goes with a
better opinion: of a metric that is best at 0 its size counts. Of a metric that is best in a band neither direction is
better: its correlation only says which way opinions go, and it is not weighed against others.

Clips share portraits, speech, seeds and configurations, and intervals allow for all of them. Where there are fewer than
`evalkit.stats.means.MIN_LEVELS` configurations, the answer speaks of these alone. Of so few raters nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from evalkit.analysis.catalogue import RATING, RATING_METRICS, is_rating
from evalkit.analysis.direction import loss, magnitude
from evalkit.analysis.factors import shared_factors
from evalkit.analysis.scores import why_few
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.runs.ratings.opinions import Panel
from evalkit.runs.ratings.records import PREFERENCE, metric_of
from evalkit.stats.means import MIN_LEVELS, Estimate, independent_factors
from evalkit.stats.randomisation import holm
from evalkit.stats.rank_correlation import (
    Coefficient,
    Correlation,
    CorrelationDifference,
    compare_correlations,
    estimate_correlation,
    pool_correlations,
    split_half_reliability,
    why_no_correlation,
)
from evalkit.stats.threshold import LEVEL, Break, find_break

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.types import FloatArray, Metric

Side = Literal["beyond", "above", "below"]
"""Where raters may object: to a size (where 0 is best), to high values, or to low ones."""
_CONFIGURATION = "configuration"
_COSTS = {metric.name for metric in PROFILE_METRICS}


@dataclass(frozen=True)
class Objection:
    """Where raters may begin to object to a metric, on one side.

    Parameters
    ----------
    side : {"beyond", "above", "below"}
    found : Break
        Of values turned so that more may be worse; see `place` and `interval` for the metric's own.
    p : float
        `Break.p`, corrected for all metrics and sides that were looked at (Holm).
    """

    side: Side
    found: Break
    p: float = 1.0

    @property
    def is_claimed(self) -> bool:
        """Whether opinions fall from a place on: neither a flat line nor a straight one will do."""
        return self.found.reason is None and self.p <= LEVEL

    @property
    def place(self) -> float | None:
        """Where, in the metric's unit; None where nothing could be fitted."""
        return None if self.found.place is None else self._sign * self.found.place

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `place`."""
        if self.found.interval is None:
            return None
        low, high = sorted(self._sign * end for end in self.found.interval)
        return low, high

    @property
    def _sign(self) -> float:
        return -1.0 if self.side == "below" else 1.0


@dataclass(frozen=True)
class MetricAgreement:
    """One metric and one question.

    Parameters
    ----------
    metric : Metric
    values, opinions : FloatArray, shape (n,)
        Of the clips that have both: the size of the metric where 0 is best, and the mean opinion.
    spearman, kendall : Correlation
        Positive: better values go with better opinions. Of a metric that is best in a band: higher ones do.
    p : float
        Of no agreement by Spearman's, corrected for all metrics of the question (Holm).
    objections : tuple of Objection
        One side, or both of a band.
    """

    metric: Metric
    values: FloatArray
    opinions: FloatArray
    spearman: Correlation
    kendall: Correlation
    objections: tuple[Objection, ...]
    p: float = 1.0

    @property
    def has_direction(self) -> bool:
        """Whether one way is better, so that it can agree at all."""
        return self.metric.better != "band"

    @property
    def agrees(self) -> bool:
        """Whether it is sure that better values go with better opinions."""
        value = self.spearman.estimate.value
        return self.has_direction and value is not None and value > 0 and self.p <= LEVEL


@dataclass(frozen=True)
class MetricPair:
    """Two metrics and one question: which agrees more.

    Parameters
    ----------
    a, b : str
        Full names.
    found : CorrelationDifference
        Of the clips that have both.
    p : float
        Corrected for all pairs of the question (Holm).
    """

    a: str
    b: str
    found: CorrelationDifference
    p: float


@dataclass(frozen=True)
class RatingAgreement:
    """All metrics and one question.

    Parameters
    ----------
    rating : Metric
        What people were asked: ``rating.mos`` and so on.
    panel : Panel
        Who scored.
    n_clips : int
        Clips with an opinion.
    reliability : Estimate
        How far the mean opinions would agree with those of as many other raters.
    metrics : tuple of MetricAgreement
        Those that agree most first, those without a number or a direction last.
    pairs : tuple of MetricPair
        Of metrics with a direction.
    """

    rating: Metric
    panel: Panel
    n_clips: int
    reliability: Estimate
    metrics: tuple[MetricAgreement, ...]
    pairs: tuple[MetricPair, ...]

    @property
    def ceiling(self) -> float | None:
        """The most agreement that the raters' own noise leaves a perfect metric; None where that is not known."""
        value = self.reliability.value
        return None if value is None else sqrt(value)


@dataclass(frozen=True)
class RunAgreement:
    """One run.

    Parameters
    ----------
    table : ResultTable
    ratings : tuple of RatingAgreement
        The overall opinion first; then questions with the metrics of their own family. Empty where nobody scored a clip.
    factors : tuple of str
        What the intervals allow to be otherwise: portrait, speech, seed, configuration.
    n_configurations : int
    """

    table: ResultTable
    ratings: tuple[RatingAgreement, ...]
    factors: tuple[str, ...] = ()
    n_configurations: int = 0


@dataclass(frozen=True)
class PooledAgreement:
    """One metric and one question over several runs.

    Parameters
    ----------
    rating, metric : Metric
    spearman : Correlation
        Mean of the runs, each within itself; n counts runs.
    n_runs : int
        Runs that have both.
    """

    rating: Metric
    metric: Metric
    spearman: Correlation
    n_runs: int


@dataclass(frozen=True)
class Agreement:
    """One run, or several.

    Parameters
    ----------
    runs : tuple of RunAgreement
    pooled : tuple of PooledAgreement
        Empty for one run.
    """

    runs: tuple[RunAgreement, ...]
    pooled: tuple[PooledAgreement, ...] = field(default=())


def measure_agreement(tables: Sequence[ResultTable]) -> Agreement:
    """Return how far the metrics of runs agree with what people say of their clips.

    Parameters
    ----------
    tables : sequence of ResultTable
        Each of a run of its own.
    """
    runs = tuple(map(agreement_of_run, tables))
    return Agreement(runs, tuple(_pool(runs)) if len(runs) > 1 else ())


def agreement_of_run(table: ResultTable) -> RunAgreement:
    """Return how far the metrics of one run agree with what people say of its clips."""
    clips = _Clips(table)
    asked = [metric for metric in RATING_METRICS if metric.name != PREFERENCE and clips.rated(metric)]
    ratings = tuple(_measure_rating(clips, rating) for rating in asked)
    return RunAgreement(table, ratings, clips.varied, clips.n_configurations)


class _Clips:
    """The clips of a run with what they share."""

    def __init__(self, table: ResultTable) -> None:
        self.table = table
        settings = [tuple(row.params.get(name) for name in table.swept) for row in table.rows]
        self.configurations: Mapping[int, Hashable] = dict(zip(map(id, table.rows), settings, strict=True))
        self.n_configurations = len(set(settings))

    @property
    def given(self) -> tuple[str, ...]:
        """Factors whose levels are all that the answer speaks of."""
        return (*self.table.given, *((_CONFIGURATION,) if self.n_configurations < MIN_LEVELS else ()))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        return tuple(independent_factors(self.factors(self.table.rows), self.given))

    def rated(self, rating: Metric) -> list[ClipRecord]:
        return [row for row in self.table.rows if row.value(rating.name) is not None]

    def factors(self, rows: Sequence[ClipRecord]) -> dict[str, list[Hashable]]:
        return shared_factors(rows) | {_CONFIGURATION: [self.configurations[id(row)] for row in rows]}


def _measure_rating(clips: _Clips, rating: Metric) -> RatingAgreement:
    rows = clips.rated(rating)
    scored = [
        (score, index, rater)
        for index, row in enumerate(rows)
        for rater, score in row.scores.get(rating.name, {}).items()
    ]
    panel = Panel.of(rater for _, _, rater in scored)
    found = [_measure_metric(clips, rating, metric, rows) for metric in _metrics_beside(clips.table, rating)]
    compared = [one.metric for one in found if one.has_direction]
    if (reason := why_few(panel.n)) is not None:
        found, compared = [_unsure(one, reason) for one in found], []
    return RatingAgreement(
        rating,
        panel,
        len(rows),
        split_half_reliability(
            np.array([score for score, _, _ in scored]),
            [index for _, index, _ in scored],
            [rater for _, _, rater in scored],
        ),
        tuple(sorted(_correct(found), key=_rank_agreement)),
        tuple(_compare_pairs(clips, rating, compared)),
    )


def _unsure(one: MetricAgreement, reason: str) -> MetricAgreement:
    """Leave the figures, and nothing that could be claimed from them."""
    spearman, kendall = (
        Correlation(replace(found.estimate, interval=None, reason=found.estimate.reason or reason))
        for found in (one.spearman, one.kendall)
    )
    objections = tuple(
        Objection(side.side, replace(side.found, interval=None, p=1.0, reason=side.found.reason or reason))
        for side in one.objections
    )
    return replace(one, spearman=spearman, kendall=kendall, objections=objections)


def _metrics_beside(table: ResultTable, rating: Metric) -> list[Metric]:
    """Return the metrics that clips have and people could see: all, or those of the question's own family."""
    found = {name for row in table.rows for name in row.values}
    return [
        metric
        for name, metric in table.metrics.items()
        if name in found
        and name not in _COSTS
        and not is_rating(name)
        and rating.name in {metric_of("overall"), f"{RATING}.{metric.family}"}
    ]


def _measure_metric(
    clips: _Clips, rating: Metric, metric: Metric, rows: Sequence[ClipRecord]
) -> MetricAgreement:
    both = [row for row in rows if row.value(metric.name) is not None]
    opinions = _values(rating, both)
    values = np.array([magnitude(metric, value) for value in _values(metric, both)])
    turned = values if metric.better == "band" else -np.array([loss(metric, value) for value in values])
    factors, given = clips.factors(both), clips.given
    spearman, kendall = (
        estimate_correlation(turned, opinions, factors, given=given, coefficient=coefficient)
        for coefficient in Coefficient
    )
    objections = tuple(
        Objection(side, find_break(-values if side == "below" else values, opinions, factors, given=given))
        for side in _sides(metric)
    )
    return MetricAgreement(metric, values, opinions, spearman, kendall, objections)


def _values(metric: Metric, rows: Sequence[ClipRecord]) -> FloatArray:
    return np.array([row.value(metric.name) for row in rows], dtype=np.float64)


def _sides(metric: Metric) -> tuple[Side, ...]:
    sides: dict[str, tuple[Side, ...]] = {
        "zero": ("beyond",),
        "lower": ("above",),
        "higher": ("below",),
        "band": ("above", "below"),
    }
    return sides[metric.better]


def _correct(found: Sequence[MetricAgreement]) -> Iterator[MetricAgreement]:
    """Correct p for all metrics with a direction, and for all sides that were looked at."""
    of_metrics = iter(holm([one.spearman.p for one in found if one.has_direction]))
    of_sides = iter(holm([side.found.p for one in found for side in one.objections]))
    for one in found:
        objections = tuple(replace(side, p=next(of_sides)) for side in one.objections)
        yield replace(one, objections=objections, p=next(of_metrics) if one.has_direction else 1.0)


def _rank_agreement(one: MetricAgreement) -> tuple[bool, bool, float]:
    value = one.spearman.estimate.value
    return value is None, not one.has_direction, -(value or 0.0)


def _compare_pairs(clips: _Clips, rating: Metric, metrics: Sequence[Metric]) -> Iterator[MetricPair]:
    found = []
    for a, b in combinations(metrics, 2):
        rows = [row for row in clips.rated(rating) if None not in {row.value(a.name), row.value(b.name)}]
        opinions = _values(rating, rows)
        first, second = (
            -np.array([loss(metric, value) for value in _values(metric, rows)]) for metric in (a, b)
        )
        if any(why_no_correlation(side, opinions) for side in (first, second)):
            continue
        factors = clips.factors(rows)
        found.append((a, b, compare_correlations(first, second, opinions, factors, given=clips.given)))
    corrected = holm([one.p for _, _, one in found])
    for (a, b, one), p in zip(found, corrected, strict=True):
        yield MetricPair(a.name, b.name, one, p)


def _pool(runs: Sequence[RunAgreement]) -> Iterator[PooledAgreement]:
    """Pool what several runs have, where the same version measured it."""
    grouped: dict[tuple[str, str], list[tuple[RunAgreement, RatingAgreement, MetricAgreement]]] = {}
    for run in runs:
        for rating in run.ratings:
            for one in rating.metrics:
                if one.has_direction:
                    key = rating.rating.name, one.metric.name
                    grouped.setdefault(key, []).append((run, rating, one))
    for found in grouped.values():
        _, rating, one = found[0]
        versions = sorted({_version(run.table, one.metric) for run, _, _ in found})
        if len(versions) > 1:
            reason = f"versions {' and '.join(versions)} of {one.metric.family} measured it: they are not comparable"
            pooled = Correlation(Estimate(None, None, len(found), reason))
        else:
            pooled = pool_correlations([other.spearman for _, _, other in found])
        yield PooledAgreement(rating.rating, one.metric, pooled, len(found))


def _version(table: ResultTable, metric: Metric) -> str:
    """Return the version of the evaluator that a metric is of; of all evaluators, where none has its family's name."""
    own = table.evaluators.get(metric.family)
    return own or ", ".join(f"{name} {version}" for name, version in sorted(table.evaluators.items()))
