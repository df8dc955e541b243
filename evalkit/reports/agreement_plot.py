"""How far metrics agree with people as drawings: a dot and its interval for each, and the clips behind the first few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.formatting import count, three_digits
from evalkit.reports.front_plot import Scale, Tick, widen
from evalkit.reports.labels import head_of
from evalkit.visuals.numbers import unit_suffix
from evalkit.words.language import LANGUAGES
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.agreement import (
        MetricAgreementView,
        ObjectionView,
        RatingAgreementView,
        RunAgreementView,
    )

WIDTH_PX, ROW_PX = 760, 24
_NAMES_PX, _FIGURES_PX = 236, 130
_HEAD_PX, _FOOT_PX = 44, 46
_SCATTER_PX = (300, 250)
_FIELD = (42.0, 40.0, 288.0, 206.0)
"""Left, top, right and bottom of the field of a scatter, in pixels."""
_N_SCATTERS = 6


@dataclass(frozen=True, slots=True)
class DotRow:
    """One metric.

    Parameters
    ----------
    y, x : float
    across : tuple of float or None
        Ends of the interval.
    name, figure : str
    is_sure : bool
        Whether it agrees for sure.
    """

    y: float
    x: float
    across: tuple[float, float] | None
    name: str
    figure: str
    is_sure: bool


@dataclass(frozen=True, slots=True)
class DotPlot:
    """Every metric with a number, ready to be drawn.

    Parameters
    ----------
    finding, words : str
        The title; everything for those who do not see it.
    height_px, left_px, right_px, top_px, bottom_px, zero_px : float
    ceiling : Tick or None
        The most that the raters allow.
    x_label : str
    x_ticks : tuple of Tick
    rows : tuple of DotRow
    """

    finding: str
    words: str
    height_px: float
    left_px: float
    right_px: float
    top_px: float
    bottom_px: float
    zero_px: float
    ceiling: Tick | None
    x_label: str
    x_ticks: tuple[Tick, ...]
    rows: tuple[DotRow, ...]


@dataclass(frozen=True, slots=True)
class Scatter:
    """The clips of one metric: value against mean opinion.

    Parameters
    ----------
    finding, words : str
    x_label, y_label : str
    x_ticks, y_ticks : tuple of Tick
    limits : tuple of Tick
        Of the policy.
    dots : tuple of tuple of float
    fit : str
        Opinions that are flat and then fall, as an SVG path; empty where that is not claimed.
    band : tuple of float or None
        Left and right end of the interval of the place where they begin to.
    """

    finding: str
    words: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    limits: tuple[Tick, ...]
    dots: tuple[tuple[float, float], ...]
    fit: str
    band: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class RatingPictures:
    """One question: its figures and drawings.

    Parameters
    ----------
    view : RatingAgreementView
    dots : DotPlot or None
        None where no metric has a number.
    scatters : tuple of Scatter
        Metrics whose limit is told first, then those that agree most.
    """

    view: RatingAgreementView
    dots: DotPlot | None
    scatters: tuple[Scatter, ...]


def draw_agreement(run: RunAgreementView) -> tuple[RatingPictures, ...]:
    """Draw every question of a run."""
    return tuple(
        RatingPictures(rating, _draw_dots(rating), tuple(_draw_scatters(rating))) for rating in run.ratings
    )


def _draw_dots(rating: RatingAgreementView) -> DotPlot | None:
    shown = [one for one in rating.metrics if one.spearman.value is not None and one.has_direction]
    if not shown:
        return None
    lows = [one.spearman.interval[0] for one in shown if one.spearman.interval] + [
        one.spearman.value or 0.0 for one in shown
    ]
    left, right = _NAMES_PX, WIDTH_PX - _FIGURES_PX
    x = Scale(min(-0.1, *lows), 1.0, left, right)
    bottom = _HEAD_PX + ROW_PX * len(shown)
    rows = tuple(
        DotRow(
            _HEAD_PX + ROW_PX * (place + 0.5),
            x.px(one.spearman.value or 0.0),
            x.ends(one.spearman.interval),
            one.metric.name,
            one.spearman.text,
            one.agrees,
        )
        for place, one in enumerate(shown)
    )
    n_sure = sum(one.agrees for one in shown)
    finding = f"{n_sure or 'none'} of {count(len(shown), 'metric')} surely agrees with what raters say"
    if n_sure > 1:
        finding = finding.replace("agrees", "agree")
    ceiling = None if rating.ceiling is None else Tick(x.px(rating.ceiling), f"most: {rating.ceiling:.2f}")
    words = "; ".join(f"{row.name} {row.figure}" for row in rows)
    return DotPlot(
        finding,
        f"{finding}: {words}",
        bottom + _FOOT_PX,
        left,
        right,
        _HEAD_PX,
        bottom,
        x.px(0.0),
        ceiling,
        f"agreement with {rating.rating.name} (Spearman, 95 % interval) →",
        x.ticks(),
        rows,
    )


def _draw_scatters(rating: RatingAgreementView) -> list[Scatter]:
    """Draw the metrics whose limit is told, then those that agree most, on one scale of opinions."""
    known = [one for one in rating.metrics if one.spearman.value is not None]
    chosen = sorted(known, key=lambda one: not any(side.is_claimed for side in one.objections))[:_N_SCATTERS]
    opinions = [opinion for one in chosen for _, opinion in one.points]
    y_span = widen(opinions, 0.08)
    return [_draw_scatter(rating, one, y_span) for one in chosen]


def _draw_scatter(
    rating: RatingAgreementView, one: MetricAgreementView, y_span: tuple[float, float]
) -> Scatter:
    left, top, right, bottom = _FIELD
    values = [value for value, _ in one.points]
    claimed = [side for side in one.objections if side.is_claimed]
    span = max(values) - min(values)
    near = [limit for limit in one.limits if min(values) - span <= limit <= max(values) + span]
    x = Scale(*widen([*values, *near], 0.06), left, right)
    y = Scale(*y_span, bottom, top)
    finding = _title(one, claimed)
    is_size = one.metric.better == "zero"
    return Scatter(
        finding,
        f"{one.metric.name} of {len(one.points)} clips against {rating.rating.name}: {finding}",
        ("size of " if is_size else "") + head_of(one.metric, metric_words(LANGUAGES[0])),
        rating.rating.name,
        x.ticks(4),
        y.ticks(4),
        tuple(Tick(x.px(limit), f"policy: {three_digits(limit)}") for limit in near),
        tuple((x.px(value), y.px(opinion)) for value, opinion in one.points),
        "".join(_fit_path(side, values, x, y) for side in claimed),
        x.ends(claimed[0].place_interval) if claimed else None,
    )


def _title(one: MetricAgreementView, claimed: Sequence[ObjectionView]) -> str:
    if not claimed:
        return f"{one.metric.name}: {one.spearman.value or 0.0:.2f}"
    side = claimed[0]
    where = f"{side.side} {three_digits(side.place or 0.0)}{unit_suffix(one.metric.unit)}"
    return f"{where} costs {side.cost or 0.0:.1f} points"


def _fit_path(side: ObjectionView, values: Sequence[float], x: Scale, y: Scale) -> str:
    """Draw the opinions that were fitted: flat up to the place, then falling to the last value."""
    place, level, slope = side.place or 0.0, side.level or 0.0, side.slope or 0.0
    good, bad = (max(values), min(values)) if side.side == "below" else (min(values), max(values))
    ends = ((good, level), (place, level), (bad, level + slope * (bad - place)))
    return "M" + "L".join(f"{x.px(value)} {y.px(opinion)}" for value, opinion in ends)
