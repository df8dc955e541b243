"""B against A, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import reason_text
from evalkit.decisions.comparison import Conclusion, Family
from evalkit.types import Better
from evalkit.views.clip import ClipView, clip_view
from evalkit.views.figure import FigureView, figure_of_estimate, figure_of_summary
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.decisions.comparison import (
        ComparedPair,
        Comparison,
        LimitChange,
        MetricComparison,
        MissingValues,
    )
    from evalkit.stats.means import Estimate


N_PAIRS = 12
"""Of which both clips are shown."""
_NOT_SEEN = {"profile"}


@dataclass(frozen=True)
class MissingView(View):
    """In how many pairs a metric has no value.

    Parameters
    ----------
    n_pairs, n_a, n_b : int
        All pairs; those without a value in A, in B.
    p : float
        Two-sided exact test of as many missing on both sides (McNemar).
    bounds : tuple of float or None
        Of the mean difference over all pairs, whatever is missing would have been; None where that was not asked.
    text : str
        In words; empty where nothing is missing.
    """

    n_pairs: int
    n_a: int
    n_b: int
    p: float
    bounds: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class LimitChangeView(View):
    """How many clips keep the policy's limits on one side only.

    Parameters
    ----------
    limits : str
        In words.
    n, n_leaving, n_entering : int
        Pairs; those within the limits in A alone, in B alone.
    p : float
        Two-sided exact test (McNemar), of independent units.
    text : str
        In words.
    """

    limits: str
    n: int
    n_leaving: int
    n_entering: int
    p: float
    text: str


@dataclass(frozen=True)
class MetricComparisonView(View):
    """One metric of B against A, over pairs that share input and seed.

    Parameters
    ----------
    metric, unit : str
    better : {"lower", "higher", "zero", "band"}
    family : Family
        Primary: asked about beforehand; exploratory: only looked at.
    conclusion : Conclusion
    text : str
        The conclusion in words.
    a, b : FigureView
        Each side over all its clips, paired or not: as the report shows the configuration.
    coverage : str
        What the three figures cover, in words; empty where all three cover the same clips.
    difference : FigureView
        B minus A of what is judged: the value; its size where 0 is best; its distance from the policy's band where
        there is one.
    moved : FigureView
        B minus A of the plain value.
    p : float or None
        Two-sided, of the mean difference over the pairs. None where nothing is judged.
    p_holm : float or None
        Of the mean or the limits, whichever decides, in the worst case of missing values, corrected for all tests of the
        family. None where no claim can be made.
    effect_size : float or None
        In standard deviations of the differences.
    margin : float or None
        The smallest difference that matters.
    detectable : float or None
        The true difference that so many pairs find with 80 % chance.
    n_more : int or None
        With about how many more pairs it is settled in 80 % whether it is beyond the margin.
    missing : MissingView
    limits : LimitChangeView or None
        None where the policy has no limits for it.
    absences : mapping of str to int
        Why clips of the pairs have no value, in words, and how often.
    is_equal : bool
        Whether it is the same on both sides of every pair that has it.
    """

    metric: str
    unit: str
    better: Better
    family: Family
    conclusion: Conclusion
    text: str
    a: FigureView
    b: FigureView
    coverage: str
    difference: FigureView
    moved: FigureView
    p: float | None
    p_holm: float | None
    effect_size: float | None
    margin: float | None
    detectable: float | None
    n_more: int | None
    missing: MissingView
    limits: LimitChangeView | None
    absences: Mapping[str, int]
    is_equal: bool


@dataclass(frozen=True)
class PairView(View):
    """Two clips that share input, seed and parameters.

    Parameters
    ----------
    name : str
        Of what they share.
    metric : str
        By which it was chosen.
    gain : float or None
        By how much B is better in it, in the metric's unit: negative where it is worse. None where a side has no value.
    a, b : ClipView
    """

    name: str
    metric: str
    gain: float | None
    a: ClipView
    b: ClipView


@dataclass(frozen=True)
class ComparisonView(View):
    """B against A.

    Parameters
    ----------
    a, b : str
        Titles.
    headline : str
        What is known of the primary metrics, in sentences.
    n_pairs : int
    metrics : tuple of MetricComparisonView
        The primary ones first; within each family by conclusion, what was found first, no difference last.
    unpaired_a, unpaired_b : tuple of str
        Clips without a partner.
    failed_a, failed_b : tuple of str
        Attempts that gave no clip, with the reason.
    absent_a, absent_b : tuple of str
        Planned clips without a result.
    notes : tuple of str
        What limits the answer.
    alpha : float
        Chance of a false claim in each family, two-sided.
    pairs : tuple of PairView
        Those that differ most, `N_PAIRS` at most, in the metric that is shown first of those that differ in any pair.
    """

    a: str
    b: str
    headline: str
    n_pairs: int
    metrics: tuple[MetricComparisonView, ...]
    unpaired_a: tuple[str, ...]
    unpaired_b: tuple[str, ...]
    failed_a: tuple[str, ...]
    failed_b: tuple[str, ...]
    absent_a: tuple[str, ...]
    absent_b: tuple[str, ...]
    notes: tuple[str, ...]
    alpha: float
    pairs: tuple[PairView, ...]

    def of(self, family: Family) -> list[MetricComparisonView]:
        """Return the metrics of a family."""
        return [compared for compared in self.metrics if compared.family is family]


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Return what is shown of a comparison."""
    families, order = list(Family), list(Conclusion)
    ordered = sorted(
        comparison.metrics, key=lambda one: (families.index(one.family), order.index(one.finding))
    )
    return ComparisonView(
        a=comparison.a,
        b=comparison.b,
        headline=comparison.answer,
        n_pairs=comparison.n_pairs,
        metrics=tuple(_metric(compared, comparison.pairs) for compared in ordered),
        unpaired_a=comparison.unpaired_a,
        unpaired_b=comparison.unpaired_b,
        failed_a=comparison.failed_a,
        failed_b=comparison.failed_b,
        absent_a=comparison.absent_a,
        absent_b=comparison.absent_b,
        notes=comparison.notes,
        alpha=comparison.alpha,
        pairs=_pairs_that_differ(comparison, ordered),
    )


def _pairs_that_differ(comparison: Comparison, ordered: Sequence[MetricComparison]) -> tuple[PairView, ...]:
    """Return the pairs that differ most in what was found first; what can be seen goes before what it costs."""
    in_order = sorted(
        ordered, key=lambda one: (one.family is not Family.PRIMARY, one.metric.family in _NOT_SEEN)
    )
    asked = [one.metric for one in in_order if one.family is Family.PRIMARY]
    differing = (
        one.metric for one in in_order if any(pair.gains.get(one.metric.name) for pair in comparison.pairs)
    )
    chosen = next(differing, None) or next(iter(asked), None)
    if chosen is None:
        return ()
    name = chosen.name
    ranked = sorted(comparison.pairs, key=lambda pair: -abs(pair.gains.get(name, 0.0)))
    varying = {
        key
        for pair in comparison.pairs
        for key in {**pair.a.params, **pair.b.params}
        if pair.a.params.get(key) != pair.b.params.get(key)
    }
    metrics = [chosen, *(one for one in asked if one is not chosen)]
    return tuple(
        PairView(
            pair.name,
            name,
            pair.gains.get(name),
            clip_view(pair.a, metrics, sorted(varying)),
            clip_view(pair.b, metrics, sorted(varying)),
        )
        for pair in ranked[:N_PAIRS]
    )


def _metric(compared: MetricComparison, pairs: Sequence[ComparedPair]) -> MetricComparisonView:
    def change(estimate: Estimate) -> FigureView:
        return figure_of_estimate(compared.metric, estimate, None, counted="pairs", reducer="difference")

    return MetricComparisonView(
        metric=compared.metric.name,
        unit=compared.metric.unit,
        better=compared.metric.better,
        family=compared.family,
        conclusion=compared.finding,
        text=compared.text,
        a=figure_of_summary(compared.metric, compared.a),
        b=figure_of_summary(compared.metric, compared.b),
        coverage=compared.coverage,
        difference=change(compared.difference),
        moved=change(compared.change.moved),
        p=compared.test.p,
        p_holm=compared.test.p_holm,
        effect_size=compared.test.effect_size,
        margin=compared.margin,
        detectable=compared.test.detectable,
        n_more=compared.n_more,
        missing=_missing(compared.missing),
        limits=_limits(compared.limits),
        absences={reason_text(code): n for code, n in compared.change.absences.items()},
        is_equal=compared.a.counted == "clip"
        and compared.difference.n > 0
        and not any(pair.differs(compared.metric.name) for pair in pairs),
    )


def _missing(missing: MissingValues) -> MissingView:
    return MissingView(missing.n_pairs, missing.n_a, missing.n_b, missing.p, missing.bounds, missing.text)


def _limits(limits: LimitChange | None) -> LimitChangeView | None:
    if limits is None:
        return None
    return LimitChangeView(
        limits.limits, limits.n, limits.n_leaving, limits.n_entering, limits.p, limits.text
    )
