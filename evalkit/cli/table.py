"""Results as tables for a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from evalkit.formatting import label, three_digits
from evalkit.visuals.markup import escape
from evalkit.visuals.numbers import ARROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.measuring.results import ClipResult
    from evalkit.types import Measurement, Metric

_FEW = 3


def show(results: Sequence[ClipResult]) -> None:
    """Print what was measured: every metric of a few clips, or one row a clip for many."""
    console = Console(highlight=False)
    measured = [result for result in results if result.error is None]
    if len(measured) <= _FEW:
        for result in measured:
            show_measurements(label(result.clip), result.measurements, result.notes)
    else:
        console.print(_overview(measured))
    for result in results:
        if result.error is not None:
            console.print(f"[red]✗[/] {escape(str(result.error))}", soft_wrap=True)


def show_measurements(
    title: str, measurements: Sequence[Measurement], notes: Sequence[str], *, stderr: bool = False
) -> None:
    """Print every measurement of a clip or of a piece of work, what is absent, and the notes."""
    console = Console(highlight=False, stderr=stderr)
    console.print(_table(title, measurements))
    for absence in _absences(measurements):
        console.print(f"  [dim]not measured,[/] {escape(absence)}")
    for note in notes:
        console.print(f"  [yellow]note:[/] {escape(note)}")


def _table(title: str, measurements: Sequence[Measurement]) -> Table:
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("metric (↓ ↑ →: better)", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("95 %", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("seen", justify="right", no_wrap=True)
    for measurement in measurements:
        if measurement.value is None:
            continue
        metric, interval = measurement.metric, measurement.interval
        table.add_row(
            f"{metric.name} {ARROWS[metric.better]}",
            three_digits(measurement.value),
            "" if metric.unit == "1" else metric.unit,
            f"{three_digits(interval.low)} … {three_digits(interval.high)}" if interval else "",
            str(measurement.n) if measurement.n else "",
            "" if measurement.coverage is None else f"{100 * measurement.coverage:.0f} %",
        )
    return table


def _absences(measurements: Sequence[Measurement]) -> list[str]:
    """Say what could not be measured, one line a reason."""
    by_reason: dict[str, list[str]] = {}
    for measurement in measurements:
        if measurement.reason is not None:
            by_reason.setdefault(measurement.reason.text, []).append(measurement.metric.name)
    return [f"{reason}: {', '.join(names)}" for reason, names in by_reason.items()]


def _overview(results: Sequence[ClipResult]) -> Table:
    """Give one row a clip, with the headline metrics of each family: its first metric where it names none."""
    families: dict[str, list[Metric]] = {}
    for metric in dict.fromkeys(m.metric for result in results for m in result.measurements):
        families.setdefault(metric.family, []).append(metric)
    columns = [
        metric.name
        for metrics in families.values()
        for metric in [metric for metric in metrics if metric.is_headline] or metrics[:1]
    ]
    table = Table(box=None, pad_edge=False)
    table.add_column("clip", overflow="ellipsis", no_wrap=True, max_width=26)
    for name in columns:
        table.add_column(name.replace(".", ".\n"), justify="right")
    for result in results:
        cells = []
        for name in columns:
            found = next((m for m in result.measurements if m.metric.name == name), None)
            cells.append("" if found is None else _cell(found))
        table.add_row(escape(label(Path(result.clip).name)), *cells)
    return table


def _cell(measurement: Measurement) -> str:
    if measurement.value is not None:
        return three_digits(measurement.value)
    return f"[dim]{measurement.reason}[/]"
