"""A comparison as a page: which is better, then every metric with its interval drawn."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evalkit.decisions.comparison import Conclusion
from evalkit.formatting import three_digits
from evalkit.reports.page import answer, bullets, page, table, verdict_mark
from evalkit.reports.run_answer import Verdict

if TYPE_CHECKING:
    from evalkit.decisions.comparison import Comparison, MetricComparison

_TONES = {Conclusion.BETTER: "pass", Conclusion.WORSE: "fail", Conclusion.NOT_ENOUGH: "warn"}
_ARROWS = {"lower": "↓", "higher": "↑", "zero": "→ 0", "band": "~"}
_ORDER = list(Conclusion)
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
    heads = (
        "<th>B is</th><th>metric, and which way is better</th><th class='n'>A</th><th class='n'>B</th>"
        "<th>difference</th><th class='n'>p</th><th class='n'>effect</th><th class='n'>pairs</th>"
    )
    body = f"""
{answer(Verdict("", "", "neutral"), comparison.answer)}
<h2>Metric by metric</h2>
<p class="small">A and B over all their clips; B minus A over pairs that share input and seed, with 95 % interval; the thin lines are the margin
within which a difference does not matter. p after Holm's correction.</p>
{table("Metric by metric", heads, rows)}
{"".join(f"<h2>{title}: {len(items)}</h2>{bullets(items)}" for title, items in lists if items)}"""
    return page("Comparison of A and B", f"A: {escape(comparison.a)}<br>B: {escape(comparison.b)}", body)


def _row(one: MetricComparison) -> str:
    unit = "" if one.metric.unit == "1" else f" {one.metric.unit}"
    finding = Verdict(one.finding.symbol, str(one.finding), _TONES.get(one.finding, "neutral"))
    numbers = "".join(f"<td class='n'>{_number(value)}</td>" for value in (one.a.value, one.b.value))
    tail = "".join(
        f"<td class='n'>{text}</td>"
        for text in (
            "" if one.test.p_holm is None else escape(_p(one.test.p_holm)),
            "" if one.test.effect_size is None else f"{one.test.effect_size:+.2f}",
            str(one.difference.n),
        )
    )
    name = f"{escape(one.metric.name)} {_ARROWS[one.metric.better]}{escape(unit)}"
    coverage = (
        f"scored / attempted: A {one.a.n} / {one.a.n_attempted}, B {one.b.n} / {one.b.n_attempted}"
        if (one.a.n, one.b.n) != (one.a.n_attempted, one.b.n_attempted)
        else ""
    )
    words = f"{one.text}; {one.coverage}" if one.coverage else one.text
    return (
        f"<tr><td>{verdict_mark(finding)}</td><th scope='row' class='words'>{name}<br><small>{coverage}</small></th>"
        f"{numbers}<td class='words'>{_drawing(one)}<small>{escape(words)}</small></td>{tail}</tr>\n"
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
        f'<line x1="{across(edge):.1f}" x2="{across(edge):.1f}" y1="2" y2="{_HEIGHT - 2}" stroke="var(--muted)" '
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
