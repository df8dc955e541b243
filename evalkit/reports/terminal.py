"""Decisions in a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table

from evalkit.decisions.comparison import Conclusion, Family
from evalkit.formatting import three_digits
from evalkit.reports.compare_page import write_p
from evalkit.reports.verdict import verdict_of_conclusion, verdict_of_gate
from evalkit.visuals.markup import escape
from evalkit.visuals.numbers import bracket, signed, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evalkit.views.comparison import ComparisonView, MetricComparisonView
    from evalkit.views.figure import FigureView
    from evalkit.views.gate import GateView
    from evalkit.views.signoff import SignoffView

_MOST_NAMED = 3
_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red", "neutral": "default"}


def print_comparison(console: Console, view: ComparisonView) -> None:
    """Print the answer and what it rests on, then the metrics that were only looked at, by what was found."""
    console.print(f"[bold]{escape(view.headline)}[/]")
    console.print(f"[dim]A: {escape(view.a)}\nB: {escape(view.b)}[/]", soft_wrap=True)
    if not view.n_pairs:
        _print_sides(console, view)
        return
    console.print("\n[bold]Asked beforehand[/]")
    for compared in view.of(Family.PRIMARY):
        verdict = verdict_of_conclusion(compared.conclusion)
        console.print(f"  {verdict.symbol} {compared.metric}: {verdict.word}")
        console.print(Padding(escape(_describe_comparison(compared)), (0, 0, 0, 4)))
    seen = view.of(Family.EXPLORATORY)
    if seen:
        console.print("\n[bold]Seen, not asked beforehand[/]")
    for conclusion in Conclusion:
        found = [compared for compared in seen if compared.conclusion is conclusion]
        if found:
            verdict = verdict_of_conclusion(conclusion)
            console.print(f"\n  {verdict.symbol} {verdict.word}")
            _print_seen(console, found)
    for title, items in (
        ("without a partner, A", view.unpaired_a),
        ("without a partner, B", view.unpaired_b),
        ("no clip, A", view.failed_a),
        ("no clip, B", view.failed_b),
        ("no result, A", view.absent_a),
        ("no result, B", view.absent_b),
        ("note", view.notes),
    ):
        for item in items:
            console.print(f"[yellow]{title}:[/] {escape(item)}", soft_wrap=True)


def _print_sides(console: Console, view: ComparisonView) -> None:
    """Say why nothing pairs: what each side has."""
    console.print("Clips are paired by input, seed and the parameters that vary; videos by their names.")
    for side, alone, failed in (
        ("A", view.unpaired_a, view.failed_a),
        ("B", view.unpaired_b, view.failed_b),
    ):
        names = list(dict.fromkeys((*alone, *failed)))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        console.print(
            f"{side} has: {escape('; '.join(names[:_MOST_NAMED])) or 'no clip'}{more}", soft_wrap=True
        )
    for note in view.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)


def _print_seen(console: Console, found: Sequence[MetricComparisonView]) -> None:
    if all(compared.conclusion is Conclusion.NOT_COMPARED for compared in found):
        for compared in found:
            console.print(f"  {compared.metric}: {escape(compared.text)}", soft_wrap=True)
        return
    grid = Table("metric", "B - A [95 %]", box=None, padding=(0, 1, 0, 2), pad_edge=False, header_style="dim")
    grid.add_column("p", justify="right", no_wrap=True)
    grid.add_column("pairs", justify="right", no_wrap=True)
    for compared in found:
        grid.add_row(*_comparison_cells(compared))
    console.print(Padding(grid, (0, 0, 0, 2)))


def print_signoff(console: Console, view: SignoffView) -> None:
    """Print the answer, then each rule on two lines."""
    console.print(f"[bold]{view.decision}: {escape(view.headline)}[/]")
    console.print(f"[dim]{escape(view.title)}, by the policy {escape(view.policy.name)}[/]", soft_wrap=True)
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for gate in view.gates:
        verdict = verdict_of_gate(gate)
        grid.add_row(f"[{_COLOURS[verdict.tone]}]{verdict}[/]", _describe_gate(gate))
    console.print(grid)
    for note in view.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    for waiver in view.unused_waivers:
        console.print(f"[yellow]waiver not needed:[/] {escape(waiver.metric)} ({escape(waiver.name)})")


def _describe_comparison(compared: MetricComparisonView) -> str:
    parts = [compared.text, compared.coverage]
    if compared.p_holm is not None:
        parts.append(f"p {write_p(compared.p_holm)}")
    return "\n".join(filter(None, parts))


def _comparison_cells(compared: MetricComparisonView) -> tuple[str, str, str, str]:
    more = "" if compared.n_more is None else f" (+{compared.n_more})"
    lines = [_write_change(compared.moved)]
    limits = compared.limits
    if compared.difference != compared.moved:
        is_inside = compared.difference.value == 0
        judged = "equal" if is_inside else _write_change(compared.difference)
        lines.append(f"{'from 0' if limits is None else f'from {limits.limits}'}: {judged}")
    if limits is not None and (limits.n_leaving or limits.n_entering):
        lines.append(limits.text)
    lines += filter(None, [compared.missing.text or compared.coverage])
    return compared.metric, "\n".join(lines), write_p(compared.p_holm), f"{compared.difference.n}{more}"


def _write_change(figure: FigureView) -> str:
    if figure.value is None:
        return "unknown"
    return f"{signed(figure.value)}{unit_suffix(figure.unit)} {bracket(figure.interval)}".rstrip()


def _describe_gate(gate: GateView) -> str:
    soft = " (soft)" if gate.kind == "soft" else ""
    figure, value = gate.figure, "not measured"
    if figure is not None and figure.value is not None:
        number = three_digits(figure.value) + unit_suffix(figure.unit)
        value = f"{number} {bracket(figure.interval)}".rstrip()
    basis = f"n {gate.n} of {gate.n_attempted}"
    if figure is not None and figure.counted == "raters" and figure.n:
        basis = figure.panel
    numbers = f"{value}, asked: {gate.limit}, {basis}"
    if figure is None:  # about the run
        numbers = f"asked: {gate.limit}"
    detail = "" if gate.status == "pass" else f"\n[dim]{escape(gate.evidence)}[/]"
    return f"{gate.metric}{soft}: {escape(numbers)}{detail}"
