"""The pictures of a run: heat maps over two parameters, and quality against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.formatting import three_digits
from evalkit.plot_style import BLUE, GREY, TEXT_COLOUR, new_figure, style_axes
from evalkit.reports.labels import head_of, shorten_level
from evalkit.visuals.numbers import bracket, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evalkit.views.configuration import FrontView, MapView
    from evalkit.views.figure import FigureView, MetricView
    from evalkit.views.run import RunView
    from evalkit.views.view import Plain

_CELL_IN = (1.25, 0.62)
_MARGIN_IN = (1.1, 0.25, 0.55, 0.62)  # left, right, bottom, top
_MOST_WITH_INTERVALS = 8
_PALE = "#E8F1F8"
_N_LABELS = 8


def draw_heat_map(heat_map: MapView, metric: MetricView) -> tuple[Figure, str]:
    """Draw the mean of a metric over the levels of two parameters, or one; the others are pooled.

    The better a cell, the stronger its colour; where no direction is better, the higher. The best has a frame.

    Parameters
    ----------
    heat_map : MapView
    metric : MetricView
        The metric of the map.

    Returns
    -------
    tuple
        The figure, and its finding in words.
    """
    from matplotlib.colors import LinearSegmentedColormap

    columns, rows = heat_map.columns, heat_map.rows
    means = np.array(
        [[np.nan if cell.value is None else cell.value for cell in line] for line in heat_map.cells]
    )
    left, right, bottom, top = _MARGIN_IN
    width, height = len(columns) * _CELL_IN[0], len(rows) * _CELL_IN[1]
    figure = new_figure(left + width + right, bottom + height + top)
    figure.set_layout_engine("none")
    total = left + width + right, bottom + height + top
    axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
    shades = _shades(metric, means)
    axes.pcolormesh(
        shades,
        cmap=LinearSegmentedColormap.from_list("better", [_PALE, BLUE]),
        vmin=0, vmax=1, edgecolors=GREY, linewidth=0.4,
    )  # fmt: skip
    with_interval = len(columns) <= _MOST_WITH_INTERVALS
    for row, line in enumerate(heat_map.cells):
        for column, cell in enumerate(line):
            _write_cell(axes, (column, row), cell, shades[row, column], with_interval=with_interval)
    best = _best(metric, means)
    for place in best:
        axes.add_patch(_frame(place))
    finding = _finding(metric, means, best, columns, rows if heat_map.down else None)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [shorten_level(level) for level in columns])
    axes.set_yticks(
        np.arange(len(rows)) + 0.5, [shorten_level(level) if heat_map.down else "" for level in rows]
    )
    axes.tick_params(length=0)
    style_axes(axes, x=heat_map.across, y=heat_map.down or "")
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    figure.text(
        0.012,
        1 - 0.2 / total[1],
        head_of(metric),
        fontsize=10.5,
        weight="bold",
        color=TEXT_COLOUR,
        va="center",
    )
    figure.text(0.012, 1 - 0.42 / total[1], finding, fontsize=9, color=TEXT_COLOUR, va="center")
    return figure, finding


def draw_front(run: RunView, front: FrontView) -> tuple[Figure, str]:
    """Draw quality against a cost: every configuration, and the line of those that no other beats by its means.

    Grey are those that another beats for sure.

    Returns
    -------
    tuple
        The figure, and its finding in words.
    """
    figure = new_figure(5.4, 4.0)
    axes = figure.subplots()
    points = []
    levels = {
        configuration.label: ", ".join(shorten_level(level) for level in configuration.params.values())
        for configuration in run.configurations
    }
    for point in front.points:
        quality, cost, is_best = point.quality, point.cost, point.is_best
        colour = GREY if point.is_beaten else BLUE
        if cost.value is None or quality.value is None:  # for the type checker: a point has both
            continue
        _draw_errors(axes, cost, quality, colour)
        filled = colour if is_best else "none"
        size = 4.5 if point.is_beaten else 7
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
            points.append((cost.value, quality.value, levels[point.configuration]))
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
    _draw_limit(run, axes, front.quality)
    axes.margins(x=0.18, y=0.15)
    finding = _describe_front(front, [name for _, _, name in points])
    style_axes(axes, title=finding, x=head_of(run.metrics[front.cost]), y=head_of(run.metrics[front.quality]))
    return figure, finding


def _describe_front(front: FrontView, best: Sequence[str]) -> str:
    """Say how many are beaten for sure, and which stands alone."""
    n, n_beaten = len(front.points), sum(point.is_beaten for point in front.points)
    if n - n_beaten == 1:
        return f"{best[0] or 'The only configuration'} is beaten by no other"
    if not n_beaten:
        return f"none of {n} configurations is clearly beaten by another"
    return f"{n - n_beaten} of {n} configurations are not clearly beaten by another"


def _shades(metric: MetricView, means: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return 0 for the worst and 1 for the best (or highest); a half where all are the same."""
    goodness = {"higher": means, "band": means, "lower": -means, "zero": -np.abs(means)}[metric.better]
    known = goodness[np.isfinite(goodness)]
    if not known.size or np.ptp(known) == 0:
        return np.where(np.isfinite(goodness), 0.5, np.nan)
    shades: np.ndarray[Any, Any] = (goodness - known.min()) / np.ptp(known)
    return shades


def _best(metric: MetricView, means: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """Return column and row of the best cells; none where no direction is better, or all are the same."""
    shades = _shades(metric, means)
    if metric.better == "band" or not np.nanmax(shades, initial=0.0) > 0.5:
        return []
    return [(int(column), int(row)) for row, column in np.argwhere(shades > 1 - 1e-9)]


def _frame(place: tuple[int, int]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (place[0] + 0.03, place[1] + 0.05),
        0.94,
        0.9,
        fill=False,
        edgecolor=TEXT_COLOUR,
        linewidth=1.8,
        zorder=3,
    )


def _write_cell(
    axes: Axes, place: tuple[int, int], cell: FigureView, shade: float, *, with_interval: bool
) -> None:
    x, y = place[0] + 0.5, place[1] + 0.5
    if cell.value is None:
        axes.text(x, y, "no value", ha="center", va="center", fontsize=8, color=GREY)
        return
    # These two stand on the cell, which is the same on a light page and a dark one.
    colour = "#ffffff" if shade > 0.8 else "#0b1f2e"
    more = f"{bracket(cell.interval)} n = {cell.n}".strip() if with_interval else ""
    axes.text(
        x,
        y + (0.17 if more else 0),
        three_digits(cell.value),
        ha="center",
        va="center",
        fontsize=10,
        color=colour,
    )
    if more:
        axes.text(x, y - 0.22, more, ha="center", va="center", fontsize=7.2, color=colour)


def _finding(
    metric: MetricView,
    means: np.ndarray[Any, Any],
    best: Sequence[tuple[int, int]],
    columns: Sequence[Plain],
    rows: Sequence[Plain] | None,
) -> str:
    known = means[np.isfinite(means)]
    if not known.size:
        return "no value anywhere"
    suffix = unit_suffix(metric.unit)
    if best:
        column, row = best[0]
        place = shorten_level(columns[column]) + (f", {shorten_level(rows[row])}" if rows else "")
        others = f" and {len(best) - 1} more" if len(best) > 1 else ""
        return f"best mean {three_digits(float(means[row, column]))}{suffix} at {place}{others}"
    if np.ptp(known) == 0:
        return f"{three_digits(float(known[0]))}{suffix} everywhere"
    return f"from {three_digits(float(known.min()))} to {three_digits(float(known.max()))}{suffix}"


def _draw_errors(axes: Axes, cost: FigureView, quality: FigureView, colour: str) -> None:
    if cost.value is None or quality.value is None:
        return
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
        axes.annotate(words, (x, y), xytext=beside, textcoords="offset points", fontsize=8, color=TEXT_COLOUR)


def _draw_limit(run: RunView, axes: Axes, metric: str) -> None:
    rules = [rule for rule in run.policy.rules if rule.metric == metric] if run.policy else []
    for rule in sorted(rules, key=lambda rule: rule.kind)[:1]:
        for edge in (rule.at_least, rule.at_most):
            if edge is not None:
                axes.axhline(edge, color=GREY, linewidth=0.8, linestyle="--")
                axes.text(0.995, edge, rule.limit, fontsize=8, color=GREY, va="bottom", ha="right",
                          transform=axes.get_yaxis_transform())  # fmt: skip
