"""What people said, ready to be drawn: a dot with its intervals for each configuration, and how often each score was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.formatting import count, three_digits
from evalkit.visuals.numbers import bracket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.ratings import PreferredView, QuestionView, RatedView

WIDTH_PX = 760
_ROW_PX, _ABOVE_PX, _BELOW_PX = 26, 46, 42
_LETTER_PX, _RIGHT_PX = 6.4, 150
_N_NAME = 40
BAR_PX, BARS_PX, FIELD_PX = 26, 150, 80
"""Of a histogram: a bar, all five with what is between them, the longest."""


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration.

    Parameters
    ----------
    y, x : float
        Pixels.
    name, figure : str
        Left and right of the field.
    thin, thick : tuple of float or None
        Interval of other raters and inputs; of other raters of these clips.
    other_x : float or None
        The maximum likelihood.
    """

    y: float
    x: float
    name: str
    figure: str
    thin: tuple[float, float] | None
    thick: tuple[float, float] | None
    other_x: float | None


@dataclass(frozen=True, slots=True)
class IntervalPlot:
    """Configurations below each other, the best on top.

    Parameters
    ----------
    finding, words : str
        The title; everything for those who do not see it.
    left_px, right_px, top_px, bottom_px, height_px : float
    ticks : tuple of (float, str)
    limit : tuple of (float, str) or None
        A thin line with its name.
    x_label : str
    rows : tuple of Row
    """

    finding: str
    words: str
    left_px: float
    right_px: float
    top_px: float
    bottom_px: float
    height_px: float
    ticks: tuple[tuple[float, str], ...]
    limit: tuple[float, str] | None
    x_label: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a configuration was given each score.

    Parameters
    ----------
    name, words : str
    bars : tuple of (float, float, str)
        Height of each, in pixels; where it begins; how often.
    """

    name: str
    words: str
    bars: tuple[tuple[float, float, str], ...]


def plot_question(question: QuestionView) -> IntervalPlot | None:
    """Place the configurations on the scale of 1 to 5; None where none was rated."""
    rated = [one for one in question.rated if one.figure.value is not None]
    if not rated:
        return None
    limit = None if question.limit is None else (question.limit, f"asked: {three_digits(question.limit)}")
    rows = [
        (
            one.configuration,
            one.figure.value,
            one.figure.interval,
            one.these_clips.interval,
            one.likelihood.value,
        )
        for one in rated
    ]
    finding = f"{question.metric.name}: {_describe(rated, question.limit)}"
    return _plot(finding, rows, (1.0, 5.0), limit, "mean opinion, 1 bad to 5 excellent")


def plot_preferred(preferred: Sequence[PreferredView]) -> IntervalPlot | None:
    """Place the configurations on the scale of shares of pairs won; None where nobody chose."""
    known = [one for one in preferred if one.share.value is not None]
    if not known:
        return None
    rows = [(one.configuration, one.share.value, one.share.interval, None, None) for one in known]
    finding = f"{known[0].configuration} wins most blind pairs"
    return _plot(finding, rows, (0.0, 1.0), (0.5, "average"), "expected share of blind pairs won")


def draw_histograms(question: QuestionView) -> list[Histogram]:
    """Return the scores of each configuration, on one scale of shares."""
    rated = [one for one in question.rated if sum(one.histogram)]
    most = max((max(one.histogram) / sum(one.histogram) for one in rated), default=1.0)
    return [_histogram(one, most) for one in rated]


def _histogram(one: RatedView, most: float) -> Histogram:
    n = sum(one.histogram)
    bars = tuple(
        (round(FIELD_PX * found / n / most, 1), float(4 + (BAR_PX + 3) * place), str(found))
        for place, found in enumerate(one.histogram)
    )
    words = ", ".join(f"{score}: {found}" for score, found in enumerate(one.histogram, 1))
    return Histogram(one.configuration, f"{one.configuration}: {count(n, 'score')} ({words})", bars)


def _describe(rated: Sequence[RatedView], limit: float | None) -> str:
    """Say how many reach the limit, or else what the means are: the best need not be known to be better."""
    if limit is None:
        means = [three_digits(one.figure.value or 0.0) for one in (rated[-1], rated[0])]
        return f"{' to '.join(dict.fromkeys(means))} of 5"
    reached = sum((one.figure.value or 0.0) >= limit for one in rated)
    return f"{reached} of {count(len(rated), 'configuration')} {'reaches' if reached == 1 else 'reach'} {three_digits(limit)}"


_Found = tuple[str, float | None, tuple[float, float] | None, tuple[float, float] | None, float | None]


def _plot(
    finding: str,
    found: Sequence[_Found],
    ends: tuple[float, float],
    limit: tuple[float, str] | None,
    x_label: str,
) -> IntervalPlot:
    names = [name if len(name) <= _N_NAME else f"{name[: _N_NAME - 1]}…" for name, *_ in found]
    left_px = round(16 + _LETTER_PX * max(map(len, names)), 1)
    right_px = WIDTH_PX - _RIGHT_PX
    low, high = ends

    def across(value: float) -> float:
        return round(left_px + (right_px - left_px) * (value - low) / (high - low), 1)

    def reach(interval: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if interval is None else (across(interval[0]), across(interval[1]))

    rows = tuple(
        Row(
            y=_ABOVE_PX + _ROW_PX * (place + 0.5),
            x=across(value or 0.0),
            name=name,
            figure=f"{three_digits(value or 0.0)} {bracket(thin)}".rstrip(),
            thin=reach(thin),
            thick=reach(thick),
            other_x=None if other is None else across(other),
        )
        for place, (name, (_, value, thin, thick, other)) in enumerate(zip(names, found, strict=True))
    )
    steps = [low + (high - low) * step / 4 for step in range(5)]
    bottom_px = _ABOVE_PX + _ROW_PX * len(rows)
    return IntervalPlot(
        finding=finding,
        words="; ".join([finding, *(f"{row.name} {row.figure}" for row in rows)]),
        left_px=left_px,
        right_px=right_px,
        top_px=_ABOVE_PX,
        bottom_px=bottom_px,
        height_px=bottom_px + _BELOW_PX,
        ticks=tuple((across(step), f"{step:g}") for step in steps),
        limit=None if limit is None else (across(limit[0]), limit[1]),
        x_label=x_label,
        rows=rows,
    )
