"""Quality against cost as a drawing: every configuration, and the line of those that no other beats by its means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import numpy as np

from evalkit.reports.labels import head_of, shorten_level
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.configuration import FrontView
    from evalkit.views.run import RunView
    from evalkit.words.language import Words
    from evalkit.words.metrics import MetricWords

WIDTH_PX, HEIGHT_PX = 520, 385
_ABOVE_PX, _BELOW_PX, _RIGHT_PX = 34, 48, 12
_LETTER_PX = 6.2
"""Width of a letter of a name, to know where there is room."""
_N_LABELS = 8
_N_STEPS = 8
"""Steps of an axis, at most."""
_ROUNDING = 1e-9
"""Of the largest value: what differs less is rounding."""
_MARGINS = (0.18, 0.15)
"""What is left free beside the outermost values, as a share of their span."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: where, in pixels, and what it says."""

    px: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A configuration: its place and intervals in pixels.

    Parameters
    ----------
    x, y : float
    across, along : tuple of float or None
        Ends of the intervals of cost and quality.
    is_best, is_beaten : bool
        As of `evalkit.views.configuration.FrontPointView`.
    """

    x: float
    y: float
    across: tuple[float, float] | None
    along: tuple[float, float] | None
    is_best: bool
    is_beaten: bool


@dataclass(frozen=True, slots=True)
class PointName:
    """What a point is called, and where that stands."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class FrontPlot:
    """Quality against a cost, ready to be drawn.

    Parameters
    ----------
    finding, words : str
        The title; everything for those who do not see it.
    left_px, right_px, top_px, bottom_px : float
        Edges of the field.
    x_label, y_label : str
    x_ticks, y_ticks : tuple of Tick
    limits : tuple of Tick
        Of the policy, on the axis of quality.
    dots : tuple of Dot
    steps : str
        The line of the best, as an SVG path; empty with one.
    names : tuple of PointName
        Of the best.
    """

    finding: str
    words: str
    left_px: float
    right_px: float
    top_px: float
    bottom_px: float
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    limits: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    steps: str
    names: tuple[PointName, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values of an axis, and the pixels where they stand."""

    low: float
    high: float
    start_px: float
    end_px: float

    def px(self, value: float) -> float:
        """Return where a value stands."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start_px + share * (self.end_px - self.start_px), 1)

    def ends(self, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return where the ends of an interval stand."""
        return None if interval is None else (self.px(interval[0]), self.px(interval[1]))

    def ticks(self, most: int = _N_STEPS) -> tuple[Tick, ...]:
        """Return the marks of the axis, no more than `most` steps."""
        return tuple(Tick(self.px(value), text) for value, text in round_values(self.low, self.high, most))


def describe_alike(front: FrontView, tag: str) -> str | None:
    """Say why a front would show nothing: there is one configuration, or all are alike in quality or cost; None of others."""
    say, metrics = read_words(tag, "run"), metric_words(tag)
    names = {"quality": metrics.name(front.quality), "cost": metrics.name(front.cost)}
    if len(front.points) < 2:
        return say("front_single", **names)
    for metric, figures in (
        (front.quality, [point.quality for point in front.points]),
        (front.cost, [point.cost for point in front.points]),
    ):
        values = [figure.value or 0.0 for figure in figures]
        if max(values) - min(values) <= _ROUNDING * max(map(abs, values)):
            told = metrics.value(metric, values[0], figures[0].unit)
            return say("front_alike", **names, alike=metrics.name(metric), value=told)
    return None


def plot_front(run: RunView, front: FrontView, tag: str) -> FrontPlot:
    """Place quality against a cost, and say what is found.

    Parameters
    ----------
    run : RunView
    front : FrontView
        Of this run.
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    say, metrics = read_words(tag, "run"), metric_words(tag)
    limits = _limits(run, front.quality, metrics)
    points = [(point, point.cost.value or 0.0, point.quality.value or 0.0) for point in front.points]
    costs = [value for point, cost, _ in points for value in (cost, *(point.cost.interval or ()))]
    qualities = [value for point, _, own in points for value in (own, *(point.quality.interval or ()))]
    y_span = widen([*qualities, *(edge for edge, _ in limits)], _MARGINS[1])
    y_texts = [text for _, text in round_values(*y_span)]
    left_px = 34 + _LETTER_PX * max(map(len, y_texts), default=0)
    right_px, bottom_px = WIDTH_PX - _RIGHT_PX, HEIGHT_PX - _BELOW_PX
    x = Scale(*widen(costs, _MARGINS[0]), left_px, right_px)
    y = Scale(*y_span, bottom_px, _ABOVE_PX)
    names = {one.label: ", ".join(map(shorten_level, one.params.values())) for one in run.configurations}
    best = sorted((cost, own, names[point.configuration]) for point, cost, own in points if point.is_best)
    finding = _describe_front(front, [name for _, _, name in best], say)
    return FrontPlot(
        finding,
        say(
            "front_words",
            quality=metrics.name(front.quality),
            cost=metrics.name(front.cost),
            finding=finding,
        ),
        left_px,
        right_px,
        _ABOVE_PX,
        bottom_px,
        head_of(run.metrics[front.cost], metrics),
        head_of(run.metrics[front.quality], metrics),
        x.ticks(),
        y.ticks(),
        tuple(Tick(y.px(edge), text) for edge, text in limits),
        tuple(
            Dot(
                x.px(cost),
                y.px(own),
                x.ends(point.cost.interval),
                y.ends(point.quality.interval),
                point.is_best,
                point.is_beaten,
            )
            for point, cost, own in points
        ),
        _steps([(x.px(cost), y.px(own)) for cost, own, _ in best]),
        _name_points([(x.px(cost), y.px(own), name) for cost, own, name in best]),
    )


def round_values(low: float, high: float, most: int = _N_STEPS) -> list[tuple[float, str]]:
    """Return round values between two, no more than `most` steps, and how they are written.

    >>> round_values(1.0, 10.0)
    [(2.0, '2'), (4.0, '4'), (6.0, '6'), (8.0, '8'), (10.0, '10')]
    >>> [text for _, text in round_values(0.03, 0.19)]
    ['0.04', '0.06', '0.08', '0.10', '0.12', '0.14', '0.16', '0.18']
    """
    least = (high - low) / most
    power = floor(log10(least))
    factor = next(
        factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * 10.0**power >= least * (1 - 1e-9)
    )
    step = factor * 10.0**power
    n_digits = max(0, (factor == 2.5) - floor(log10(step) + 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [(place * step, f"{place * step:.{n_digits}f}") for place in range(first, last + 1)]


def widen(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Return the ends of an axis: a little beyond the outermost values; around it where there is but one.

    >>> widen([0.5, 1.5], 0.1)
    (0.4, 1.6)
    >>> widen([1.0, 1.0 + 1e-15], 0.1)
    (0.95, 1.05)
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        high = low
    free = margin * (high - low) or 0.05 * abs(low) or 0.5
    return low - free, high + free


def _steps(best: Sequence[tuple[float, float]]) -> str:
    if len(best) < 2:
        return ""
    (x, y), *others = best
    return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in others)


def _describe_front(front: FrontView, best: Sequence[str], say: Words) -> str:
    """Say how many are beaten for sure, and which stands alone."""
    n, n_beaten = len(front.points), sum(point.is_beaten for point in front.points)
    if n - n_beaten == 1:
        return say("front_one", name=best[0]) if best[0] else say("front_only")
    return say("front_some", k=n - n_beaten, n=n) if n_beaten else say("front_none", n=n)


def _name_points(best: Sequence[tuple[float, float, str]]) -> tuple[PointName, ...]:
    """Name the points of the front, above and below by turns; of a long one those spread over it."""
    chosen = np.unique(np.linspace(0, len(best) - 1, min(_N_LABELS, len(best))).round().astype(int))
    names = []
    for place, index in enumerate(chosen if best else ()):
        x, y, words = best[index]
        has_room = x + 8 + _LETTER_PX * len(words) < WIDTH_PX
        names.append(
            PointName(
                x + 8 if has_room else x - 8,
                y - 8 if place % 2 == 0 else y + 17,
                "start" if has_room else "end",
                words,
            )
        )
    return tuple(names)


def _limits(run: RunView, metric: str, metrics: MetricWords) -> list[tuple[float, str]]:
    """Return the limits of the policy on a metric, the hard ones where there are any."""
    rules = [rule for rule in run.policy.rules if rule.metric == metric] if run.policy else []
    found = []
    for rule in sorted(rules, key=lambda rule: rule.kind)[:1]:
        low, high = rule.at_least, rule.at_most
        text = metrics.limit(  # of no metric: the axis has plain numbers, no shares
            "",
            -math.inf if low is None else low,
            math.inf if high is None else high,
            run.metrics[metric].unit,
        )
        found += [(edge, text) for edge in (low, high) if edge is not None]
    return found
