"""The course of a gate as places in a drawing: dots with intervals, the limit, the last release, and breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isclose, log10

from evalkit.decisions.judge import Grade
from evalkit.formatting import three_digits
from evalkit.views.trend import TrendLine, TrendRun

WIDTH, HEIGHT = 460, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 380, 22, 160
_DATE_WIDTH = 70


@dataclass(frozen=True)
class Dot:
    """One run.

    Parameters
    ----------
    x, y : float
    low, high : float or None
        Of the interval; None without one.
    is_release, is_missed : bool
    words : str
    """

    x: float
    y: float
    low: float | None
    high: float | None
    is_release: bool
    is_missed: bool
    words: str


@dataclass(frozen=True)
class Mark:
    """Words at a place.

    Parameters
    ----------
    x, y : float
    words : str
    anchor : {"start", "middle", "end"}
    """

    x: float
    y: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Drawing:
    """What is drawn of a gate; lengths in units of the drawing.

    Parameters
    ----------
    title : str
    dots : tuple of Dot
    paths : tuple of str
        Points of lines: one for each stretch that one version measured.
    limits, ticks, dates : tuple of Mark
    base_x : float or None
        Where the last release is.
    breaks : tuple of float
        Where the evaluator's version changed.
    gaps : tuple of float
        Runs without a value.
    """

    title: str
    dots: tuple[Dot, ...]
    paths: tuple[str, ...]
    limits: tuple[Mark, ...]
    ticks: tuple[Mark, ...]
    dates: tuple[Mark, ...]
    base_x: float | None
    breaks: tuple[float, ...]
    gaps: tuple[float, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def draw_trend(
    line: TrendLine,
    runs: Sequence[TrendRun],
    baseline: int | None,
    title: str,
    tell: Callable[[int], str],
) -> Drawing:
    """Place a gate's course.

    Parameters
    ----------
    line : TrendLine
    runs : sequence of TrendRun
    baseline : int or None
        Of `TrendView`.
    title : str
    tell : callable
        Says in words what the run at a place has.
    """
    low, high = _range(line)

    def down(value: float) -> float:
        share = 0.5 if isclose(low, high) else (value - low) / (high - low)
        return round(_BOTTOM - min(1.0, max(0.0, share)) * (_BOTTOM - _TOP), 1)

    step = (_RIGHT - _LEFT - 20) / max(1, len(runs) - 1)
    xs = [
        round(_LEFT + 10 + place * step if len(runs) > 1 else (_LEFT + _RIGHT) / 2, 1)
        for place in range(len(runs))
    ]
    dots, paths, breaks, gaps = [], [], [], []
    current: list[str] = []
    version: str | None = None
    for point in line.points:
        figure, x = point.figure, xs[point.place]
        if figure is None or figure.value is None:
            gaps.append(x)
            continue
        if not point.joins:
            paths.append(current)
            current = []
            if version is not None and version != point.version:
                breaks.append(round(x - step / 2, 1))
        version = point.version
        y = down(figure.value)
        current.append(f"{x},{y}")
        ends = (None, None) if figure.interval is None else tuple(map(down, figure.interval))
        run = runs[point.place]
        dots.append(
            Dot(
                x,
                y,
                ends[0],
                ends[1],
                run.is_release,
                point.gate is not None and point.gate.grade is Grade.FAILS,
                tell(point.place),
            )
        )
    paths.append(current)
    return Drawing(
        title=title,
        dots=tuple(dots),
        paths=tuple(" ".join(path) for path in paths if len(path) > 1),
        limits=tuple(
            Mark(_RIGHT, down(limit), f"{sign} {three_digits(limit)}")
            for sign, limit in (("≤", line.latest.at_most), ("≥", line.latest.at_least))
            if limit is not None and low <= limit <= high
        ),
        ticks=tuple(Mark(_LEFT, down(value), three_digits(value)) for value in _ticks(low, high)),
        dates=_dates(runs, xs),
        base_x=None if baseline is None else xs[baseline],
        breaks=tuple(breaks),
        gaps=tuple(gaps),
    )


def _range(line: TrendLine) -> tuple[float, float]:
    """Return the least and the greatest value to show: all of the values, their intervals as far as they are near, limits."""
    figures = [point.figure for point in line.points if point.figure is not None]
    values = [figure.value for figure in figures if figure.value is not None]
    ends = [end for figure in figures if figure.interval is not None for end in figure.interval]
    limits = [limit for limit in (line.latest.at_least, line.latest.at_most) if limit is not None]
    shown = [*values, *ends, *limits]
    if line.better in {"lower", "zero"}:
        shown.append(0.0)
    if not shown:
        return 0.0, 1.0
    low, high = min(shown), max(shown)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    return (low if low == 0 else low - room), high + room


def _ticks(low: float, high: float) -> list[float]:
    """Return two or three round values within a range.

    >>> _ticks(0.0, 0.53), _ticks(-12.0, 30.0)
    ([0.0, 0.2, 0.4], [0.0, 20.0])
    """
    width = high - low
    if width <= 0:
        return [low]
    power = 10.0 ** floor(log10(width))
    step = next(power * part for part in (5.0, 2.0, 1.0, 0.5) if width / (power * part) >= 2)
    return [round(place * step, 12) for place in range(ceil(low / step), floor(high / step) + 1)]


def _dates(runs: Sequence[TrendRun], xs: Sequence[float]) -> tuple[Mark, ...]:
    """Return the dates of the last run, the first, and those between that have room."""
    if not runs:
        return ()
    if len(runs) == 1:
        return (Mark(xs[0], _BOTTOM, runs[0].at[:10]),)
    last = len(runs) - 1
    found = [Mark(xs[last], _BOTTOM, runs[last].at[:10], "end")]
    free_from = xs[0]
    if xs[last] - xs[0] > 2 * _DATE_WIDTH:
        found.append(Mark(xs[0], _BOTTOM, runs[0].at[:10], "start"))
        free_from += _DATE_WIDTH
    for place in range(1, last):
        x = xs[place]
        if x - _DATE_WIDTH / 2 >= free_from and x + _DATE_WIDTH / 2 <= xs[last] - _DATE_WIDTH:
            found.append(Mark(x, _BOTTOM, runs[place].at[:10]))
            free_from = x + _DATE_WIDTH / 2
    return tuple(found)
