"""What planted faults show of metrics, as a page and in a terminal: what is seen, from which dose on, and what moves by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from evalkit.formatting import count, describe_duration, label, three_digits
from evalkit.reports.front_plot import Scale, Tick, widen
from evalkit.validation.card import LEAST_TAU, MEANT, STEADY
from evalkit.visuals.markup import escape
from evalkit.visuals.numbers import unit_suffix
from evalkit.visuals.page import render_page

if TYPE_CHECKING:
    from rich.console import Console

    from evalkit.validation.card import ClipResponse, FaultCard, Response, Steadiness, Validation

FIELD = (46.0, 40.0, 288.0, 196.0)
"""Left, top, right and bottom of the field of a drawing of 300 by 240 pixels."""
_LONGEST_NAME = 24
_WAYS = {"up": "↑", "down": "↓"}


@dataclass(frozen=True, slots=True)
class DoseLine:
    """One clip in a drawing: its path, and its dots with whether the dose is surely seen."""

    path: str
    dots: tuple[tuple[float, float, bool], ...]


@dataclass(frozen=True, slots=True)
class DosePlot:
    """How a metric answers to a fault, ready to be drawn.

    Parameters
    ----------
    finding, words : str
        The title; everything for those who do not see it.
    y_label : str
    x_ticks, y_ticks : tuple of Tick
    zero_px : float
    band : tuple of float
        Upper and lower end of what harmless changes do.
    lines : tuple of DoseLine
    mean : str
        The mean over several clips, as an SVG path; empty for one.
    interval : str
        Its 95 % interval, as an SVG path; empty where there is none.
    """

    finding: str
    words: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    zero_px: float
    band: tuple[float, float] | None
    lines: tuple[DoseLine, ...]
    mean: str
    interval: str


@dataclass(frozen=True, slots=True)
class FaultPictures:
    """A fault with its drawings: of the metric that is meant to see it, and of those that are shown beside it."""

    fault: FaultCard
    meant: DosePlot | None
    others: tuple[DosePlot, ...]


def render_validation(validation: Validation) -> str:
    """Return a self-contained HTML page."""
    harmful = [fault for fault in validation.faults if not fault.is_harmless]
    return render_page(
        __package__,
        "validation.html.j2",
        title="What the metrics see",
        view=validation,
        pictures=[_draw_fault(fault) for fault in harmful],
        harmless=[fault for fault in validation.faults if fault.is_harmless],
        describe=describe_seen,
        moved=describe_moved,
        work=describe_work(validation),
        name_clip=_name_clip,
        worst=lambda one: describe_worst(one, names_clip=len(validation.clips) > 1),
        crosstalk=describe_crosstalk(validation),
        least_tau=LEAST_TAU,
        ways=_WAYS,
    )


def describe_seen(fault: FaultCard, response: Response) -> str:
    """Say from which dose on a fault is surely seen.

    A dose that is seen in some clips alone is named with their number.
    """
    if response.tau is None:
        return "not measured"
    if response.smallest_seen is not None:
        return fault.write(response.smallest_seen)
    best = max(response.n_seen, default=0)
    if not best or response.n_clips == 1:
        return "not for sure"
    dose = fault.doses[response.n_seen.index(best)]
    return f"{fault.write(dose)} in {best} of {response.n_clips}"


def describe_moved(response: Response) -> str:
    """Say what share of the smallest effect that is seen harmless changes make."""
    return "" if response.moved_share is None else f"{100 * response.moved_share:.0f} %"


def describe_crosstalk(validation: Validation) -> list[str]:
    """Name what a fault moves though it must not, a line each."""
    return [
        f"{fault.title} moves {one.metric} too, from {describe_seen(fault, one)} on"
        for fault, one in validation.moved
    ]


def describe_worst(one: Steadiness, *, names_clip: bool) -> str:
    """Say which harmless change moved a metric most, and in which clip."""
    if not one.dead_band:
        return "nothing"
    return f"{one.worst_change} ({_shorten(_name_clip(one.worst_clip))})" if names_clip else one.worst_change


def absences(validation: Validation) -> dict[str, list[str]]:
    """Gather why metrics that are meant to see faults have no value, with the faults."""
    found: dict[str, list[str]] = {}
    for fault in validation.faults:
        if fault.meant is not None and fault.meant.tau is None:
            found.setdefault(fault.meant.reason, []).append(fault.title)
    return found


def print_validation(console: Console, validation: Validation) -> None:
    """Print the answer, what each fault is seen by, and what moves by itself."""
    console.print(f"[bold]{escape(validation.headline)}[/]")
    console.print(describe_work(validation), style="dim")
    known = [fault for fault in validation.faults if fault.meant is not None and fault.meant.tau is not None]
    if known:
        console.print(_fault_table(known))
        console.print(
            "tau: how well it follows the doses (Kendall); surely seen: moved by more than twice what a harmless change does; "
            "moved: what that is, of the smallest effect seen",
            style="dim",
        )
    for reason, titles in absences(validation).items():
        console.print(f"[dim]not measured:[/] {escape(', '.join(titles))}: {escape(reason)}", soft_wrap=True)
    for line in describe_crosstalk(validation):
        console.print(f"[yellow]moved:[/] {escape(line)}", soft_wrap=True)
    for clip, reason in validation.unmeasured.items():
        console.print(f"[yellow]not measured:[/] {escape(label(clip))}: {escape(reason)}", soft_wrap=True)
    if validation.steadiness:
        console.print(_steady_table(validation.steadiness, names_clip=len(validation.clips) > 1))


def describe_work(validation: Validation) -> str:
    """Say how much was measured, and for how long."""
    of = "" if validation.is_complete else f"{validation.n_measured} of "
    done = f"{of}{count(validation.n_planned, 'measurement')} in {describe_duration(validation.seconds)}"
    return f"{count(len(validation.clips), 'clip')}, {done}{'' if validation.is_complete else ', then interrupted'}"


def _fault_table(faults: list[FaultCard]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("fault", no_wrap=True)
    table.add_column("meant to see it", overflow="fold")
    table.add_column("tau", justify="right", no_wrap=True)
    table.add_column("surely seen from", overflow="fold")
    table.add_column("moved", justify="right", no_wrap=True)
    for fault in faults:
        meant = fault.meant
        if meant is None or meant.tau is None:
            continue
        tau = f"{meant.tau:.2f}"
        table.add_row(
            escape(fault.title),
            f"{meant.metric} {_WAYS[meant.way]}",
            tau if meant.follows else f"[yellow]✗ {tau}[/]",
            escape(describe_seen(fault, meant)),
            describe_moved(meant),
        )
    return table


def _steady_table(steadiness: tuple[Steadiness, ...], *, names_clip: bool) -> Table:
    table = Table(
        title="What harmless changes move",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("metric", overflow="fold")
    table.add_column("dead band", justify="right", no_wrap=True)
    table.add_column("moved most by", overflow="fold")
    for one in steadiness:
        if one.dead_band is None:
            continue
        table.add_row(
            one.metric,
            f"{three_digits(one.dead_band)}{unit_suffix(one.unit)}",
            escape(describe_worst(one, names_clip=names_clip)),
        )
    return table


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _name_clip(path: str) -> str:
    return label(Path(path).name)


def _draw_fault(fault: FaultCard) -> FaultPictures:
    drawn = [(one, _draw(fault, one)) for one in fault.responses if one.tau is not None]
    return FaultPictures(
        fault,
        next((plot for one, plot in drawn if one.role == MEANT), None),
        tuple(plot for one, plot in drawn if one.role != MEANT),
    )


def _draw(fault: FaultCard, response: Response) -> DosePlot:
    """Draw how far the metric has moved at each dose, a line a clip; what harmless changes do is a band about 0."""
    left, top, right, bottom = FIELD
    n = len(fault.doses)
    x = Scale(0.0, float(n), left + 8, right - 8)
    sign = -1.0 if response.way == "down" and response.role != STEADY else 1.0
    measured = [clip for clip in response.clips if clip.tau is not None]
    spread = max((clip.spread for clip in measured if clip.spread is not None), default=None)
    moves = [sign * point.effect for clip in measured for point in clip.points if point.effect is not None]
    means = [(0.0, 0.0, 0.0), *_signed(response, sign)] if len(measured) > 1 else []
    ends = [end for one in means if one is not None for end in one]
    y = Scale(*widen([0.0, *moves, *ends, *([spread, -spread] if spread else [])], 0.08), bottom, top)
    finding = f"{fault.title}: {_find(fault, response)}"
    unit = "" if response.unit in {"", "1"} else f" ({response.unit})"
    return DosePlot(
        finding,
        f"{finding}; change of {response.metric} at {', '.join(map(fault.write, fault.doses))}: "
        + "; ".join(_words(clip, sign) for clip in measured),
        f"change of {response.metric}{unit}",
        (
            Tick(x.px(0.0), "none"),
            *(Tick(x.px(k + 1.0), three_digits(dose)) for k, dose in enumerate(fault.doses)),
        ),
        y.ticks(4),
        y.px(0.0),
        None if not spread else (y.px(spread), y.px(-spread)),
        tuple(_line(clip, sign, x, y) for clip in measured),
        "M" + "L".join(f"{x.px(k)} {y.px(one[0])}" for k, one in enumerate(means) if one) if means else "",
        _interval_path(means, x, y),
    )


def _find(fault: FaultCard, response: Response) -> str:
    if response.role == STEADY:
        return f"{response.metric} must stay"
    seen = describe_seen(fault, response)
    if not response.follows and response.role == MEANT:
        return f"not followed (tau {response.tau or 0.0:.2f})"
    return seen if seen == "not for sure" else f"seen from {seen}"


def _signed(response: Response, sign: float) -> list[tuple[float, float, float] | None]:
    """Return mean, and ends of its interval, of each dose; both are the mean where there is none."""
    known = [
        None if one is None else tuple(sign * (one[0] if end is None else end) for end in one)
        for one in response.effects
    ]
    return [None if one is None else (one[0], one[1], one[2]) for one in known]


def _interval_path(means: list[tuple[float, float, float] | None], x: Scale, y: Scale) -> str:
    known = [(k, one) for k, one in enumerate(means) if one is not None]
    if all(one[1] == one[2] for _, one in known):
        return ""
    up = [f"{x.px(k)} {y.px(one[1])}" for k, one in known]
    back = [f"{x.px(k)} {y.px(one[2])}" for k, one in reversed(known)]
    return f"M{'L'.join((*up, *back))}Z"


def _line(clip: ClipResponse, sign: float, x: Scale, y: Scale) -> DoseLine:
    places = [
        (x.px(k + 1.0), y.px(sign * point.effect), point.is_seen)
        for k, point in enumerate(clip.points)
        if point.effect is not None
    ]
    path = "M" + "L".join(f"{px} {py}" for px, py, _ in ((x.px(0.0), y.px(0.0), False), *places))
    return DoseLine(path, tuple(places))


def _words(clip: ClipResponse, sign: float) -> str:
    return f"{_name_clip(clip.clip)} " + ", ".join(
        "–" if point.effect is None else three_digits(sign * point.effect) for point in clip.points
    )
