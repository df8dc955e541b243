"""The pictures of a run: heat maps over two parameters, and quality against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.formatting import three_digits
from evalkit.plot_style import BLUE, GREY, INK, dress, new_figure
from evalkit.reports.numbers import ARROWS, bracket, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evalkit.analysis.fronts import Front
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.values import Summary
    from evalkit.decisions.policy import Rule
    from evalkit.types import Metric

_CELL_IN = (1.25, 0.62)
_MARGIN_IN = (1.1, 0.25, 0.55, 0.62)  # left, right, bottom, top
_MOST_WITH_INTERVALS = 8
_PALE = "#E8F1F8"
_N_LABELS = 8


def draw_heat_map(tables: RunAnalysis, metric: str, across: str, down: str | None) -> tuple[Figure, str]:
    """Draw the mean of a metric over the levels of two parameters, or one; the others are pooled.

    The better a cell, the stronger its colour; where no direction is better, the higher. The best has a frame.

    Parameters
    ----------
    tables : RunAnalysis
    metric : str
    across, down : str
        Swept parameters; `down` is None where only one was swept.

    Returns
    -------
    tuple
        The figure, and its finding in words.
    """
    from matplotlib.colors import LinearSegmentedColormap

    facts = tables.metrics[metric]
    columns = tables.levels[across]
    rows: list[Hashable] = tables.levels[down] if down is not None else [None]
    cells = [[_cell(tables, metric, {across: x, down: y}) for x in columns] for y in rows]
    means = np.array(
        [[np.nan if one.estimate.value is None else one.estimate.value for one in line] for line in cells]
    )
    left, right, bottom, top = _MARGIN_IN
    width, height = len(columns) * _CELL_IN[0], len(rows) * _CELL_IN[1]
    figure = new_figure(left + width + right, bottom + height + top)
    figure.set_layout_engine("none")
    total = left + width + right, bottom + height + top
    axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
    shades = _shades(facts, means)
    axes.pcolormesh(
        shades,
        cmap=LinearSegmentedColormap.from_list("better", [_PALE, BLUE]),
        vmin=0, vmax=1, edgecolors=GREY, linewidth=0.4,
    )  # fmt: skip
    with_interval = len(columns) <= _MOST_WITH_INTERVALS
    for row, line in enumerate(cells):
        for column, summary in enumerate(line):
            _write_cell(axes, (column, row), summary, shades[row, column], with_interval=with_interval)
    best = _best(facts, means)
    for place in best:
        axes.add_patch(_frame(place))
    finding = _finding(facts, means, best, columns, rows if down else None)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_short(level) for level in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_short(level) if down else "" for level in rows])
    axes.tick_params(length=0)
    dress(axes, x=across, y=down or "")
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    unit = "" if facts.unit == "1" else f" ({facts.unit})"
    figure.text(
        0.012,
        1 - 0.2 / total[1],
        f"{metric}{unit} {ARROWS[facts.better]}",
        fontsize=10.5,
        weight="bold",
        color=INK,
        va="center",
    )
    figure.text(0.012, 1 - 0.42 / total[1], finding, fontsize=9, color=INK, va="center")
    return figure, finding


def draw_front(tables: RunAnalysis, front: Front, rule: Rule | None = None) -> tuple[Figure, str]:
    """Draw quality against a cost: every configuration, and the line of those that no other beats.

    Parameters
    ----------
    tables : RunAnalysis
    front : Front
    rule : Rule, optional
        The limits of quality, drawn as thin lines.

    Returns
    -------
    tuple
        The figure, and its finding in words.
    """
    figure = new_figure(5.4, 4.0)
    axes = figure.subplots()
    points = []
    for place, is_best in zip(front.places, front.is_best, strict=True):
        one = tables.configurations[place]
        quality, cost = one.summaries[front.quality].estimate, one.summaries[front.cost].estimate
        colour = BLUE if is_best else GREY
        _draw_errors(axes, cost, quality, colour)
        if cost.value is None or quality.value is None:  # for the type checker: places have both
            continue
        filled = colour if is_best else "none"
        size = 7 if is_best else 4.5
        axes.plot(
            [cost.value],
            [quality.value],
            "o",
            color=colour,
            markersize=size,
            markerfacecolor=filled,
            zorder=3,
        )
        if is_best:
            points.append((cost.value, quality.value, _levels(one.params)))
    points.sort()
    if len(points) > 1:
        axes.step(
            [x for x, _, _ in points],
            [y for _, y, _ in points],
            where="post",
            color=BLUE,
            linewidth=1,
            alpha=0.6,
        )
    _name_points(axes, points)
    _draw_limit(axes, rule)
    axes.margins(x=0.18, y=0.15)
    n_best = sum(front.is_best)
    finding = f"{n_best} of {len(front.places)} configurations are beaten by no other"
    if n_best == 1:
        finding = f"{points[0][2] or 'The only configuration'} is beaten by no other"
    dress(axes, title=finding, x=_axis(tables.metrics[front.cost]), y=_axis(tables.metrics[front.quality]))
    return figure, finding


def _cell(tables: RunAnalysis, metric: str, params: dict[str | None, Hashable]) -> Summary:
    wanted = {name: level for name, level in params.items() if name is not None}
    return tables.table.pooled(wanted).summaries[metric]


def _shades(facts: Metric, means: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return 0 for the worst and 1 for the best (or highest); a half where all are the same."""
    goodness = {"higher": means, "band": means, "lower": -means, "zero": -np.abs(means)}[facts.better]
    known = goodness[np.isfinite(goodness)]
    if not known.size or np.ptp(known) == 0:
        return np.where(np.isfinite(goodness), 0.5, np.nan)
    shades: np.ndarray[Any, Any] = (goodness - known.min()) / np.ptp(known)
    return shades


def _best(facts: Metric, means: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """Return column and row of the best cells; none where no direction is better, or all are the same."""
    shades = _shades(facts, means)
    if facts.better == "band" or not np.nanmax(shades, initial=0.0) > 0.5:
        return []
    return [(int(column), int(row)) for row, column in np.argwhere(shades > 1 - 1e-9)]


def _frame(place: tuple[int, int]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (place[0] + 0.03, place[1] + 0.05), 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.8, zorder=3
    )


def _write_cell(
    axes: Axes, place: tuple[int, int], summary: Summary, shade: float, *, with_interval: bool
) -> None:
    x, y = place[0] + 0.5, place[1] + 0.5
    estimate = summary.estimate
    if estimate.value is None:
        axes.text(x, y, "no value", ha="center", va="center", fontsize=8, color=GREY)
        return
    # These two stand on the cell, which is the same on a light page and a dark one.
    colour = "#ffffff" if shade > 0.8 else "#0b1f2e"
    more = f"{bracket(estimate.interval)} n = {estimate.n}".strip() if with_interval else ""
    axes.text(
        x,
        y + (0.17 if more else 0),
        three_digits(estimate.value),
        ha="center",
        va="center",
        fontsize=10,
        color=colour,
    )
    if more:
        axes.text(x, y - 0.22, more, ha="center", va="center", fontsize=7.2, color=colour)


def _finding(
    facts: Metric,
    means: np.ndarray[Any, Any],
    best: Sequence[tuple[int, int]],
    columns: Sequence[Hashable],
    rows: Sequence[Hashable] | None,
) -> str:
    known = means[np.isfinite(means)]
    if not known.size:
        return "no value anywhere"
    suffix = unit_suffix(facts.unit)
    if best:
        column, row = best[0]
        place = _short(columns[column]) + (f", {_short(rows[row])}" if rows else "")
        others = f" and {len(best) - 1} more" if len(best) > 1 else ""
        return f"best {three_digits(float(means[row, column]))}{suffix} at {place}{others}"
    if np.ptp(known) == 0:
        return f"{three_digits(float(known[0]))}{suffix} everywhere"
    return f"from {three_digits(float(known.min()))} to {three_digits(float(known.max()))}{suffix}"


def _draw_errors(axes: Axes, cost: Any, quality: Any, colour: str) -> None:
    if cost.interval is not None:
        axes.plot(cost.interval, [quality.value] * 2, color=colour, linewidth=1, alpha=0.5)
    if quality.interval is not None:
        axes.plot([cost.value] * 2, quality.interval, color=colour, linewidth=1, alpha=0.5)


def _name_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Name the points of the front; of a long one those spread over it."""
    chosen = np.unique(np.linspace(0, len(points) - 1, min(_N_LABELS, len(points))).round().astype(int))
    for place, index in enumerate(chosen if points else ()):
        x, y, words = points[index]
        beside = (6, 6) if place % 2 == 0 else (6, -13)
        axes.annotate(words, (x, y), xytext=beside, textcoords="offset points", fontsize=8, color=INK)


def _draw_limit(axes: Axes, rule: Rule | None) -> None:
    if rule is None:
        return
    for edge in rule.limits:
        if np.isfinite(edge):
            axes.axhline(edge, color=GREY, linewidth=0.8, linestyle="--")
            axes.text(0.995, edge, rule.text(), fontsize=8, color=GREY, va="bottom", ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip


def _axis(metric: Metric) -> str:
    unit = "" if metric.unit == "1" else f" ({metric.unit})"
    return f"{metric.name}{unit} {ARROWS[metric.better]}"


def _levels(params: dict[str, Hashable]) -> str:
    return ", ".join(_short(level) for level in params.values())


def _short(level: Hashable) -> str:
    text = "not set" if level is None else str(level)
    return text if len(text) <= 18 else f"{text[:17]}…"
