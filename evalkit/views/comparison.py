"""B against A, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import reason_text
from evalkit.decisions.comparison import Conclusion
from evalkit.types import Better
from evalkit.views.figure import FigureView, figure_of_estimate, figure_of_summary
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.decisions.comparison import Comparison, MetricComparison
    from evalkit.stats.means import Estimate


@dataclass(frozen=True)
class MetricComparisonView(View):
    """One metric of B against A, over pairs that share input and seed.

    Parameters
    ----------
    metric, unit : str
    better : {"lower", "higher", "zero", "band"}
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
    p, p_holm : float or None
        Of the sign-flip test; corrected for all metrics tested. None where nothing was tested.
    effect_size : float or None
        In standard deviations of the differences.
    margin : float or None
        The smallest difference that matters.
    detectable : float or None
        The true difference that so many pairs find with 80 % chance.
    n_more : int or None
        About how many more pairs would settle it.
    absences : mapping of str to int
        Why clips of the pairs have no value, in words, and how often.
    """

    metric: str
    unit: str
    better: Better
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
    absences: Mapping[str, int]


@dataclass(frozen=True)
class ComparisonView(View):
    """B against A.

    Parameters
    ----------
    a, b : str
        Titles.
    headline : str
        One sentence.
    n_pairs : int
    metrics : tuple of MetricComparisonView
        By conclusion, what was found first.
    unpaired_a, unpaired_b : tuple of str
        Clips without a partner.
    failed_a, failed_b : tuple of str
        Attempts that gave no clip, with the reason.
    notes : tuple of str
        What limits the answer.
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
    notes: tuple[str, ...]

    def found(self, conclusion: Conclusion) -> list[MetricComparisonView]:
        """Return the metrics with this conclusion."""
        return [compared for compared in self.metrics if compared.conclusion is conclusion]


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Return what is shown of a comparison."""
    order = list(Conclusion)
    ordered = sorted(comparison.metrics, key=lambda compared: order.index(compared.finding))
    return ComparisonView(
        a=comparison.a,
        b=comparison.b,
        headline=comparison.answer,
        n_pairs=comparison.n_pairs,
        metrics=tuple(_metric(compared) for compared in ordered),
        unpaired_a=comparison.unpaired_a,
        unpaired_b=comparison.unpaired_b,
        failed_a=comparison.failed_a,
        failed_b=comparison.failed_b,
        notes=comparison.notes,
    )


def _metric(compared: MetricComparison) -> MetricComparisonView:
    def change(estimate: Estimate) -> FigureView:
        return figure_of_estimate(compared.metric, estimate, None, counted="pairs", reducer="difference")

    return MetricComparisonView(
        metric=compared.metric.name,
        unit=compared.metric.unit,
        better=compared.metric.better,
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
        absences={reason_text(code): n for code, n in compared.change.absences.items()},
    )
