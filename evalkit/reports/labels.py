"""What stands at the heads of columns and the ends of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.analysis.table import level_text
from evalkit.visuals.numbers import ARROWS

if TYPE_CHECKING:
    from evalkit.views.figure import MetricView
    from evalkit.views.view import Plain
    from evalkit.words.metrics import MetricWords

_N_CHARACTERS = 18


def head_of(metric: MetricView, metrics: MetricWords) -> str:
    """Name a metric as people do, with its unit, and which way is better."""
    unit = "" if metric.unit == "1" else f" ({metric.unit})"
    return f"{metrics.name(metric.name)}{unit} {ARROWS[metric.better]}"


def shorten_level(level: Plain) -> str:
    """Write the value of a parameter where there is little room.

    >>> shorten_level("a prompt of many words")
    'a prompt of many …'
    """
    text = level_text(level)
    return text if len(text) <= _N_CHARACTERS else f"{text[: _N_CHARACTERS - 1]}…"
