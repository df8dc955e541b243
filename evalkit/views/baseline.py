"""A release beside the last one: what became worse, what became better, and what cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.decisions.comparison import Conclusion
from evalkit.views.figure import FigureView, figure_of_estimate, figure_of_summary
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.decisions.baseline import Baseline, BaselineFinding


@dataclass(frozen=True)
class BaselineFindingView(View):
    """One metric of the release beside the last one.

    Parameters
    ----------
    metric : str
        Full name; with ``.bad`` after it, the share of clips that are bad in it.
    finding : Conclusion
        Of the release against the last one.
    text : str
        In words; A is the last release, B this one.
    before, now : FigureView or None
    difference : FigureView or None
        Over the pairs; None without pairs.
    """

    metric: str
    finding: Conclusion
    text: str
    before: FigureView | None
    now: FigureView | None
    difference: FigureView | None


@dataclass(frozen=True)
class BaselineView(View):
    """A release beside the last one.

    Parameters
    ----------
    title, run_id : str
        Of the last release.
    headline : str
        One sentence.
    findings : tuple of BaselineFindingView
        What became worse first.
    n_pairs : int
        Clips that both were given; 0 where intervals were compared.
    fails : bool
        Whether what became worse fails the release.
    alpha : float
        Chance of any false claim, which all findings share.
    spent : str
        The same in words.
    """

    title: str
    run_id: str
    headline: str
    findings: tuple[BaselineFindingView, ...]
    n_pairs: int
    fails: bool
    alpha: float
    spent: str

    @property
    def worse(self) -> tuple[BaselineFindingView, ...]:
        """What became worse."""
        return tuple(one for one in self.findings if one.finding is Conclusion.WORSE)


def baseline_view(baseline: Baseline) -> BaselineView:
    """Return what is shown of a release beside the last one."""
    return BaselineView(
        title=baseline.title,
        run_id=baseline.run_id,
        headline=baseline.headline,
        findings=tuple(_finding_view(one) for one in baseline.findings),
        n_pairs=baseline.n_pairs,
        fails=baseline.fails,
        alpha=baseline.alpha,
        spent=baseline.spent,
    )


def _finding_view(one: BaselineFinding) -> BaselineFindingView:
    difference = one.difference
    return BaselineFindingView(
        metric=one.metric.name,
        finding=one.finding,
        text=one.text,
        before=None if one.before is None else figure_of_summary(one.metric, one.before),
        now=None if one.now is None else figure_of_summary(one.metric, one.now),
        difference=None
        if difference is None
        else figure_of_estimate(one.metric, difference, difference.n, counted="pairs", reducer="difference"),
    )
