"""A number with everything that belongs to it, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from evalkit.analysis.catalogue import reason_text
from evalkit.formatting import moment_text
from evalkit.runs.ratings.opinions import Panel
from evalkit.stats.opinions import mean_opinions
from evalkit.types import Better
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.analysis.values import Summary
    from evalkit.runs import MetricValue
    from evalkit.runs.ratings.opinions import Rater
    from evalkit.stats.means import Estimate
    from evalkit.types import Metric

Counted = Literal["clips", "pairs", "samples", "raters", "sessions"]


@dataclass(frozen=True)
class MetricView(View):
    """What a metric means.

    Parameters
    ----------
    name, unit : str
        The unit is ``"1"`` for a pure number.
    better : {"lower", "higher", "zero", "band"}
    meaning : str
    """

    name: str
    unit: str
    better: Better
    meaning: str


@dataclass(frozen=True)
class MomentView(View):
    """A stretch of a video in which a metric is at its worst.

    Parameters
    ----------
    metric, unit : str
        The unit is ``"1"`` for a pure number.
    start_s, end_s, value : float
        As of `evalkit.types.Moment`.
    """

    metric: str
    unit: str
    start_s: float
    end_s: float
    value: float

    @property
    def text(self) -> str:
        """In words: ``lip_sync.error 0.82, 3.0 s to 6.0 s``."""
        return moment_text(self.metric, self.unit, self.start_s, self.end_s, self.value)


@dataclass(frozen=True)
class FigureView(View):
    """One figure of one metric.

    Parameters
    ----------
    metric, unit : str
        The unit is ``"1"`` for a pure number.
    better : {"lower", "higher", "zero", "band"}
        Which way the metric is better.
    value : float or None
        In `unit`; None where there is none.
    interval : tuple of float or None
        95 %, low and high.
    n : int
        Values behind it.
    n_attempted : int or None
        Values there could have been; None where that is not known.
    counted : {"clips", "pairs", "samples", "raters", "sessions"}
        What `n` counts.
    reducer : str
        How the values became one: ``mean``, ``worst``, ``p90`` …; ``difference`` of pairs; ``clip``, the value of
        a single clip.
    reason : str or None
        Why there is no value, or no interval.
    absences : mapping of str to int
        Why values are missing, in words, and how often.
    coverage : float or None
        Share of a single clip that could be measured, 0 to 1.
    panel : str
        Of a rating: whose it is, in words; else empty.
    """

    metric: str
    unit: str
    better: Better
    value: float | None
    interval: tuple[float, float] | None
    n: int
    n_attempted: int | None
    counted: Counted
    reducer: str = "mean"
    reason: str | None = None
    absences: Mapping[str, int] = field(default_factory=dict)
    coverage: float | None = None
    panel: str = ""

    @property
    def basis(self) -> str:
        """What it rests on: how many values, or whose opinion."""
        if self.counted == "raters":
            return self.panel
        return ", ".join(filter(None, (f"n = {self.n}", self.panel)))

    @property
    def why_absent(self) -> str:
        """Why values are missing, in one line; empty where none is."""
        if self.absences:
            return "; ".join(f"{reason} ({n})" for reason, n in self.absences.items())
        return (self.reason or "not measured") if self.value is None else ""


def metric_view(metric: Metric) -> MetricView:
    """Return what a metric means."""
    return MetricView(metric.name, metric.unit, metric.better, metric.meaning)


def figure_of_summary(metric: Metric, summary: Summary) -> FigureView:
    """Return a metric over the clips of one configuration."""
    counts_clips = summary.counts_clips
    counted: Counted = "sessions" if summary.counted == "session" else "clips"
    figure = figure_of_estimate(
        metric,
        summary.estimate,
        summary.n_attempted if counts_clips else None,
        counted=counted if counts_clips else "raters",
        reducer=summary.reducer,
        absences={reason_text(code): n for code, n in summary.absences.items()},
    )
    return figure if summary.panel is None else replace(figure, panel=summary.panel.text)


def figure_of_estimate(
    metric: Metric,
    estimate: Estimate,
    n_attempted: int | None,
    *,
    counted: Counted,
    reducer: str = "mean",
    absences: Mapping[str, int] | None = None,
) -> FigureView:
    """Return an estimate as a figure of its metric."""
    return FigureView(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        value=estimate.value,
        interval=None if estimate.interval is None else (estimate.interval[0], estimate.interval[1]),
        n=estimate.n,
        n_attempted=n_attempted,
        counted=counted,
        reducer=reducer,
        reason=estimate.reason,
        absences=dict(absences or {}),
    )


def figure_of_clip(metric: Metric, value: MetricValue | None, reason: str | None = None) -> FigureView:
    """Return what was measured on a single clip; without a value, the reason in words."""
    return FigureView(
        metric=metric.name,
        unit=metric.unit,
        better=metric.better,
        value=None if value is None else value.value,
        interval=None if value is None else value.ci95,
        n=0 if value is None else value.n,
        n_attempted=None,
        counted="samples",
        reducer="clip",
        reason=reason,
        coverage=None if value is None else value.coverage,
    )


def figure_of_scores(metric: Metric, value: float, scores: Mapping[Rater, float]) -> FigureView:
    """Return what raters said of a single clip, with the interval of what other raters would say of it."""
    one_clip = np.zeros(len(scores), dtype=np.intp)
    (found,) = mean_opinions(np.arange(len(scores)), one_clip, np.array(list(scores.values())))
    return replace(
        figure_of_estimate(metric, found, None, counted="raters", reducer="clip"),
        value=value,
        panel=Panel.of(scores).text,
    )
