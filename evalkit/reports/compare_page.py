"""A comparison as a page: which is better, then every metric with its interval drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.comparison import Family
from evalkit.reports.verdict import verdict_of_conclusion
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page

if TYPE_CHECKING:
    from evalkit.views.comparison import ComparisonView, MetricComparisonView

_WIDTH, _HEIGHT = 180, 22


def render_comparison(view: ComparisonView, *, frame: PageFrame = PLAIN_FRAME) -> str:
    """Return a self-contained HTML page."""
    return render_page(
        __package__,
        "comparison.html.j2",
        frame=frame,
        title="Comparison of A and B",
        view=view,
        asked=view.of(Family.PRIMARY),
        seen=view.of(Family.EXPLORATORY),
        verdict_of_conclusion=verdict_of_conclusion,
        place_interval=place_interval,
        write_p=write_p,
        height=_HEIGHT,
        width=_WIDTH,
    )


def place_interval(compared: MetricComparisonView) -> dict[str, float] | None:
    """Return where interval, value and margin stand about zero, in pixels of a scale of the row's own.

    None where there is nothing to draw.
    """
    interval, value = compared.difference.interval, compared.difference.value
    if interval is None or value is None:
        return None
    reach = 1.15 * max(abs(interval[0]), abs(interval[1]), compared.margin or 0.0)
    if reach == 0:
        return None

    def across(number: float) -> float:
        return _WIDTH / 2 * (1 + number / reach)

    places = {"low": across(interval[0]), "high": across(interval[1]), "value": across(value)}
    if compared.margin is not None:
        places |= {"margin_low": across(-compared.margin), "margin_high": across(compared.margin)}
    return places


def write_p(p: float | None) -> str:
    """Write a probability; nothing where nothing was tested.

    >>> write_p(0.0004), write_p(0.0312), write_p(None)
    ('< 0.001', '0.031', '')
    """
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
