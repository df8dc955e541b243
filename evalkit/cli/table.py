"""Results as tables for a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from evalkit.decisions.clip_verdicts import ClipDecision
from evalkit.formatting import label, three_digits
from evalkit.views.clips import Standout, name_clips
from evalkit.visuals.markup import escape
from evalkit.visuals.numbers import ARROWS
from evalkit.words.language import read_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.measuring.results import ClipResult
    from evalkit.measuring.webvtt import NamedMoment
    from evalkit.types import Measurement, Metric
    from evalkit.views.clips import ClipsView, Outcome

_FEW = 3
_LONGEST_NAME = 26
_GAP = 2
_AS_WISHED: tuple[Outcome, ...] = (ClipDecision.PASSES, Standout.AS_USUAL)
_COLOURS: dict[Outcome, str] = {
    ClipDecision.FAILS: "red",
    ClipDecision.PASSES: "green",
    Standout.AS_USUAL: "default",
}
_LONGEST_WORST = 67
"""Of 80 columns, less the indent and what says how many more there are."""


def show(results: Sequence[ClipResult], view: ClipsView) -> None:
    """Print what was measured: every metric of a few clips, or one row a clip for many; then a sentence a clip, the worst first.

    Parameters
    ----------
    results : sequence of ClipResult
    view : ClipsView
        Of the same clips.
    """
    console = Console(highlight=False)
    measured = [result for result in results if result.error is None]
    if len(measured) <= _FEW:
        for result in measured:
            show_measurements(label(result.clip), result.measurements, result.notes)
            if result.moments:
                console.print(f"  {escape(worst_line(result.moments))}", soft_wrap=True)
    else:
        for table in _overview(measured, console.width):
            console.print(table)
        _show_absent(console, measured)
    for result in results:
        if result.error is not None:
            console.print(f"[red]✗[/] {escape(str(result.error))}", soft_wrap=True)
    if measured:
        _show_sentences(console, view)


def worst_line(moments: Sequence[NamedMoment]) -> str:
    """Name the worst moment of the first metrics that have one, in a line of a terminal.

    >>> from evalkit.measuring.webvtt import NamedMoment
    >>> worst_line([NamedMoment("a.b", "1", 3.0, 6.0, 0.82), NamedMoment("a.b", "1", 8.0, 9.0, 0.4)])
    'worst: a.b 0.82, 3.0 s to 6.0 s (1 more)'
    """
    line = "worst: "
    named = 0
    firsts = list({one.metric: one for one in reversed(moments)}.values())
    for moment in reversed(firsts):
        longer = f"{line}{'; ' if named else ''}{moment.text}"
        if named and len(longer) > _LONGEST_WORST:
            break
        line, named = longer, named + 1
    more = len(moments) - named
    return f"{line} ({more} more)" if more else line


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
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),  # 80 columns hold the longest name beside the widest interval
    )
    table.add_column("metric (↓ ↑ →: better)", overflow="fold")  # a value is never cut
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


def _overview(results: Sequence[ClipResult], width: int) -> Iterator[Table]:
    """Give one row a clip, and as many tables as it takes for every head and cell to be read whole."""
    metrics = [metric for metric in _headlines(results) if _why_nowhere(results, metric.name) is None]
    names = [_shorten(name) for name in _names(results)]
    name_width = max(map(len, names))
    block: list[tuple[str, list[str]]] = []
    used = name_width
    for metric in metrics:
        head = metric.name.replace(".", ".\n") + f" {ARROWS[metric.better]}"
        cells = [_cell(result, metric.name) for result in results]
        needed = _GAP + max(len(line) for text in (head, *cells) for line in text.split("\n"))
        if block and used + needed > width:
            yield _table_of(names, name_width, block)
            block, used = [], name_width
        block.append((head, cells))
        used += needed
    yield _table_of(names, name_width, block)


def _names(results: Sequence[ClipResult]) -> list[str]:
    return name_clips([result.clip for result in results])


def _headlines(results: Sequence[ClipResult]) -> list[Metric]:
    """List the headline metrics of each family: its first metric where it names none."""
    families: dict[str, list[Metric]] = {}
    for metric in dict.fromkeys(m.metric for result in results for m in result.measurements):
        families.setdefault(metric.family, []).append(metric)
    return [
        metric
        for family in families.values()
        for metric in [metric for metric in family if metric.is_headline] or family[:1]
    ]


def _table_of(names: Sequence[str], name_width: int, columns: Sequence[tuple[str, list[str]]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column("clip", no_wrap=True, width=name_width)
    for head, _ in columns:
        table.add_column(head, justify="right", no_wrap=True)
    for name, *cells in zip(names, *(cells for _, cells in columns), strict=True):
        table.add_row(escape(name), *(escape(cell) for cell in cells))
    return table


def _cell(result: ClipResult, name: str) -> str:
    found = next((m for m in result.measurements if m.metric.name == name), None)
    if found is None:
        return ""
    return str(found.reason) if found.value is None else three_digits(found.value)


def _shorten(name: str) -> str:
    """Leave out the middle of a long name: clips of one batch often begin, or end, alike."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _why_nowhere(results: Sequence[ClipResult], name: str) -> str | None:
    """Return why no clip has a value of a metric; None where one has it, or the reasons differ."""
    found = [m for result in results for m in result.measurements if m.metric.name == name]
    reasons = {measurement.reason.text if measurement.reason is not None else None for measurement in found}
    return reasons.pop() if len(reasons) == 1 else None


def _show_absent(console: Console, results: Sequence[ClipResult]) -> None:
    """Say which headline metrics have no value of any clip, one line a reason."""
    by_reason: dict[str, list[str]] = {}
    for metric in _headlines(results):
        if (why := _why_nowhere(results, metric.name)) is not None:
            by_reason.setdefault(why, []).append(metric.name)
    for reason, names in by_reason.items():
        console.print(f"[dim]not measured of any clip,[/] {escape(reason)}: {escape(', '.join(names))}")


def _show_sentences(console: Console, view: ClipsView) -> None:
    """Say one sentence a clip, the worst first; of clips with nothing to look at, only how many they are."""
    say = read_words(view.language, "clips")
    spoken = [clip for clip in view.clips if clip.has_video]
    shown = [clip for clip in spoken if clip.outcome not in _AS_WISHED] if len(spoken) > _FEW else spoken
    for clip in shown:
        name = f"{escape(clip.name)}: " if len(view.clips) > 1 else ""
        console.print(
            f"[{_COLOURS.get(clip.outcome, 'yellow')}]{name}[/]{escape(clip.sentence)}", soft_wrap=True
        )
        others = [value for value in clip.values if value.stands_out]
        for value in others if len(others) > 1 or view.policy is not None else ():
            if value.usual is not None:
                told = say("clip_outlier", name=value.name, value=value.told, usual=value.usual.text)
                console.print(f"  {escape(told)}", soft_wrap=True)
        for remark in clip.remarks:
            console.print(f"  {escape(remark)}", soft_wrap=True)
    if len(view.clips) > 1:
        console.print(escape(view.headline), soft_wrap=True)
