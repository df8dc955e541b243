"""A comparison as a page: which is better, then every metric with its interval drawn."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evalkit.decisions.compare import Finding
from evalkit.reports.page import bullets, page
from evalkit.words import three_digits

if TYPE_CHECKING:
    from evalkit.decisions.compare import Comparison, MetricComparison

_CLASSES = {Finding.BETTER: "pass", Finding.WORSE: "fail", Finding.NOT_ENOUGH: "warn"}
_ARROWS = {"lower": "↓", "higher": "↑", "zero": "→ 0", "band": "~"}
_ORDER = list(Finding)
_WIDTH, _HEIGHT = 180, 22


def compare_page(comparison: Comparison) -> str:
    """Return a self-contained HTML page."""
    ordered = sorted(comparison.metrics, key=lambda one: _ORDER.index(one.finding))
    rows = "".join(_row(one) for one in ordered)
    lists = [
        ("Clips of A without a partner in B", comparison.unpaired_a),
        ("Clips of B without a partner in A", comparison.unpaired_b),
        ("Attempts of A that gave no clip", comparison.failed_a),
        ("Attempts of B that gave no clip", comparison.failed_b),
        ("What limits the answer", comparison.notes),
    ]
    body = f"""
<h1>{escape(comparison.answer)}</h1>
<p class="soft">A: {escape(comparison.a)}<br>B: {escape(comparison.b)}</p>
<h2>Metric by metric</h2>
<p class="soft">B minus A over pairs that share input and seed, with 95 % interval; the thin lines are the margin
within which a difference does not matter. p after Holm's correction.</p>
<div class="scroll"><table>
<thead><tr><th>B is</th><th>Metric, and which way is better</th><th class="number">A</th><th class="number">B</th>
<th>Difference</th><th class="number">p</th><th class="number">effect</th><th class="number">pairs</th>
</tr></thead><tbody>{rows}</tbody></table></div>
{"".join(f"<h2>{title}: {len(items)}</h2>{bullets(items)}" for title, items in lists if items)}"""
    return page("Comparison of A and B", body)


def _row(one: MetricComparison) -> str:
    unit = "" if one.metric.unit == "1" else f" {one.metric.unit}"
    finding = (
        f'<span class="status {_CLASSES.get(one.finding, "soft")}">{one.finding.symbol} {one.finding}</span>'
    )
    numbers = [
        ("A", _number(one.mean_a)),
        ("B", _number(one.mean_b)),
    ]
    cells = "".join(f"<td class='number' data-name='{name}'>{text}</td>" for name, text in numbers)
    tail = [
        ("p", "" if one.p_holm is None else _p(one.p_holm)),
        ("effect", "" if one.effect_size is None else f"{one.effect_size:+.2f}"),
        ("pairs", str(one.difference.n)),
    ]
    tail_cells = "".join(f"<td class='number' data-name='{name}'>{text}</td>" for name, text in tail)
    name = f"{escape(one.metric.name)} {_ARROWS[one.metric.better]}{escape(unit)}"
    coverage = (
        f"scored / attempted: A {one.scored_a} / {one.attempted_a}, B {one.scored_b} / {one.attempted_b}"
        if (one.scored_a, one.scored_b) != (one.attempted_a, one.attempted_b)
        else ""
    )
    return (
        f"<tr><td>{finding}</td><th scope='row'>{name}<br><small>{coverage}</small></th>{cells}"
        f"<td>{_drawing(one)}<small>{escape(one.text)}</small></td>{tail_cells}</tr>\n"
    )


def _drawing(one: MetricComparison) -> str:
    """Draw the interval as a band about zero, on a scale of the row's own."""
    interval, value = one.difference.interval, one.difference.value
    if interval is None or value is None:
        return ""
    reach = 1.15 * max(abs(interval.low), abs(interval.high), one.margin or 0.0)
    if reach == 0:
        return ""

    def across(number: float) -> float:
        return _WIDTH / 2 * (1 + number / reach)

    middle = _HEIGHT / 2
    margins = "".join(
        f'<line x1="{across(edge):.1f}" x2="{across(edge):.1f}" y1="2" y2="{_HEIGHT - 2}" stroke="var(--soft)" '
        f'stroke-dasharray="2 2"/>'
        for edge in ((-one.margin, one.margin) if one.margin is not None else ())
    )
    width = max(1.0, across(interval.high) - across(interval.low))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(one.text)}">'
        f'<line x1="{_WIDTH / 2}" x2="{_WIDTH / 2}" y1="0" y2="{_HEIGHT}" stroke="var(--ink)"/>{margins}'
        f'<rect x="{across(interval.low):.1f}" y="{middle - 4}" width="{width:.1f}" height="8" rx="2" '
        f'fill="var(--accent)" opacity=".45"/>'
        f'<circle cx="{across(value):.1f}" cy="{middle}" r="3.5" fill="var(--accent)"/></svg>'
    )


def _number(value: float | None) -> str:
    return "" if value is None else three_digits(value)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
