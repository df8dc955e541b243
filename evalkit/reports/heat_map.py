"""Heat maps as tables: the mean of a metric over the levels of two parameters, the stronger the colour the better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.formatting import three_digits
from evalkit.reports.labels import shorten_level
from evalkit.visuals.numbers import bracket, unit_suffix
from evalkit.words.language import read_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.configuration import MapView
    from evalkit.views.figure import FigureView, MetricView
    from evalkit.words.language import Words

_MOST_WITH_INTERVALS = 8
"""Columns; with more there is no room for intervals."""
_STRONG = 0.925
"""From here on text on a cell is white: black and white alike then stand out from their ground by 4.5 at least."""


@dataclass(frozen=True, slots=True)
class HeatMapCell:
    """One cell.

    Parameters
    ----------
    text : str
        The mean; that there is none.
    more : str
        Its interval and n, where there is room.
    strength : int or None
        0 for the worst to 100 for the best, or the highest; None without a value.
    is_strong : bool
        Whether the ground is dark.
    is_best : bool
    """

    text: str
    more: str
    strength: int | None
    is_strong: bool
    is_best: bool


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A metric over the levels of two parameters, or one; the others are pooled.

    Parameters
    ----------
    metric : MetricView
    finding : str
        In words.
    across, down : str
        Parameters; `down` is empty where there is one.
    columns : tuple of str
        Levels.
    rows : tuple of (str, tuple of HeatMapCell)
        Level, and a cell a column.
    """

    metric: MetricView
    finding: str
    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatMapCell, ...]], ...]


def heat_map(shown: MapView, metric: MetricView, tag: str) -> HeatMap:
    """Colour the means of a metric: the better the stronger; where no direction is better, the higher.

    Parameters
    ----------
    shown : MapView
    metric : MetricView
        The metric of the map.
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    say = read_words(tag, "run")
    means = np.array(
        [[np.nan if cell.value is None else cell.value for cell in line] for line in shown.cells]
    )
    shades = _shades(metric, means)
    best = _best(metric, shades)
    columns = tuple(shorten_level(level) for level in shown.columns)
    levels = tuple(shorten_level(level) for level in shown.rows) if shown.down else ("",)
    with_interval = len(columns) <= _MOST_WITH_INTERVALS
    return HeatMap(
        metric,
        _finding(metric, means, best, columns, levels, say=say),
        shown.across,
        shown.down or "",
        columns,
        tuple(
            (
                level,
                tuple(
                    _cell(
                        cell,
                        shades[row, column],
                        with_interval=with_interval,
                        is_best=(row, column) in best,
                        say=say,
                    )
                    for column, cell in enumerate(shown.cells[row])
                ),
            )
            for row, level in enumerate(levels)
        ),
    )


def find_alike(shown: MapView) -> FigureView | None:
    """Return the figure of a map that shows nothing, as all its values are the same, or there is but one; None of others."""
    known = [cell for line in shown.cells for cell in line if cell.value is not None]
    return known[0] if known and len({cell.value for cell in known}) == 1 else None


def has_values(shown: MapView) -> bool:
    """Say whether a map has any value."""
    return any(cell.value is not None for line in shown.cells for cell in line)


def _cell(figure: FigureView, shade: float, *, with_interval: bool, is_best: bool, say: Words) -> HeatMapCell:
    if figure.value is None:
        return HeatMapCell(say("no_value"), "", None, is_strong=False, is_best=False)
    more = f"{bracket(figure.interval)} {figure.basis}".strip() if with_interval else ""
    return HeatMapCell(three_digits(figure.value), more, round(100 * shade), shade > _STRONG, is_best)


def _shades(metric: MetricView, means: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return 0 for the worst and 1 for the best (or highest); a half where all are the same."""
    goodness = {"higher": means, "band": means, "lower": -means, "zero": -np.abs(means)}[metric.better]
    known = goodness[np.isfinite(goodness)]
    if not known.size or np.ptp(known) == 0:
        return np.where(np.isfinite(goodness), 0.5, np.nan)
    shades: np.ndarray[Any, Any] = (goodness - known.min()) / np.ptp(known)
    return shades


def _best(metric: MetricView, shades: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """Return row and column of the best cells; none where no direction is better, or all are the same."""
    if metric.better == "band" or not np.nanmax(shades, initial=0.0) > 0.5:
        return []
    return [(int(row), int(column)) for row, column in np.argwhere(shades > 1 - 1e-9)]


def _finding(
    metric: MetricView,
    means: np.ndarray[Any, Any],
    best: Sequence[tuple[int, int]],
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    say: Words,
) -> str:
    known = means[np.isfinite(means)]
    if not known.size:
        return say("map_no_value")

    def told(value: float) -> str:
        return f"{three_digits(float(value))}{unit_suffix(metric.unit)}"

    if best:
        row, column = best[0]
        filled = {
            "place": ", ".join(filter(None, (columns[column], rows[row]))),
            "value": told(means[row, column]),
        }
        n_more = len(best) - 1
        return say("map_best_more", n=n_more, **filled) if n_more else say("map_best", **filled)
    if np.ptp(known) == 0:
        return say("map_alike_text", value=told(known[0]))
    return say("map_range", low=three_digits(float(known.min())), high=told(known.max()))
