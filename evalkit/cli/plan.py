"""``evalkit plan``: what a sweep will need, before it is begun."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.load import write_outputs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.table import Table

    from evalkit.forecast.needs import AvailableMemory, SweepForecast, TrialForecast
    from evalkit.forecast.regression import Forecast

_FILE = click.Path(path_type=Path)
_MARKS = {
    "fits": ("✓", "green"),
    "does not fit": ("✗", "red"),
    "disputed": ("~", "yellow"),
    "not known": ("?", "dim"),
}


@click.command()
@click.argument("config", required=False, type=_FILE)
@click.option(
    "--runs", multiple=True, type=_FILE, help="Run with finished trials to learn from; may be given again."
)
@click.option(
    "--gpu-memory-gb", type=click.FloatRange(min=0, min_open=True), help="Usable by each GPU, GB of 1024 MiB."
)
@click.option("--workers", type=click.IntRange(min=1), help="Videos made at once.")
@click.option("--out", type=_FILE, help="Folder of the run, whose trials count too (default: runs/NAME).")
@click.option("--json", "json_path", type=_FILE, help="Write everything as JSON.")
@click.pass_context
def plan(
    context: click.Context,
    *,
    config: Path | None,
    runs: tuple[Path, ...],
    gpu_memory_gb: float | None,
    workers: int | None,
    out: Path | None,
    json_path: Path | None,
) -> None:
    """Say for each trial of the sweep in CONFIG.yaml what memory and time it will need, and whether it can fit.

    What finished trials of the same generator needed counts for more than figures that others gave, which are told
    with their sources. Nothing is made and no model is loaded.

    Exit status: 0 told; 2 wrong use.
    """
    if gpu_memory_gb is not None and not math.isfinite(gpu_memory_gb):
        raise click.BadParameter(f"{gpu_memory_gb} is no amount of memory", param_hint="--gpu-memory-gb")
    from evalkit.errors import EvalkitError
    from evalkit.forecast.needs import forecast_sweep, read_available_memory
    from evalkit.runs import Run
    from evalkit.sweeps.config import read_sweep
    from evalkit.sweeps.prepare import plan_sweep
    from evalkit.sweeps.status import load_run_status

    source = config or Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
    try:
        preparation = plan_sweep(read_sweep(source))
        folder = out or Path("runs") / source.stem
        status = load_run_status(preparation, folder)
        done = {trial.id for trial in status.trials if status.state_of(trial) == "done"}
        learnt = [Run.open(one) for one in (*runs, *([folder] if done else []))]
        execution = preparation.config.execution
        room = read_available_memory(execution.gpu_memory_gb if gpu_memory_gb is None else gpu_memory_gb)
        outlook = forecast_sweep(preparation, learnt, room)
    except EvalkitError as error:
        click.echo(f"Error: {error}", err=True)
        context.exit(2)
    n_workers = workers or len(preparation.slots)
    for note in preparation.notes:
        click.echo(f"note: {note}", err=True)
    write_outputs(
        (
            json_path,
            lambda: json.dumps(_plain(outlook, done, room, n_workers), ensure_ascii=False, indent=2) + "\n",
        )
    )
    _show(outlook.needs, done, room)
    click.echo(_total(outlook, done, n_workers))


def _show(needs: Sequence[TrialForecast], done: Collection[str], room: AvailableMemory) -> None:
    from rich.console import Console
    from rich.markup import escape

    from evalkit.forecast.needs import describe_account

    console = Console(highlight=False, width=None if Console().is_terminal else 80)
    console.print(_say_room(room))
    console.print(_table(needs, done))
    whys: dict[tuple[str, str], int] = {}
    for need in needs:
        whys[need.fit, need.why] = whys.get((need.fit, need.why), 0) + 1
    for (fit, why), n in whys.items():
        mark, colour = _MARKS[fit]
        console.print(f"[{colour}]{mark} {fit}[/] ({n}): {escape(why)}")
    sources = dict.fromkeys(describe_account(one) for need in needs for one in need.accounts)
    if sources:
        console.print("Memory of a GPU as others give it, not measured here:")
        for line in sources:
            console.print(f"  {escape(line)}")
    for line in dict.fromkeys(need.literature.how for need in needs if need.literature is not None):
        console.print(f"Times marked lit. are of other machines: {escape(line)}")


def _table(needs: Sequence[TrialForecast], done: Collection[str]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("trial", overflow="ellipsis", no_wrap=True, max_width=36)
    table.add_column(
        "GB a GPU" if any(need.memory or need.accounts for need in needs) else "GB", justify="right"
    )
    table.add_column("fits")
    table.add_column("time", justify="right")
    for label, need in zip(_labels(needs), needs, strict=True):
        mark, colour = _MARKS[need.fit]
        table.add_row(
            escape(label),
            _memory_cell(need),
            f"[{colour}]{mark} {need.fit}[/]",
            "done" if need.trial.id in done else _time_cell(need),
        )
    return table


def _labels(needs: Sequence[TrialForecast]) -> list[str]:
    """Name each trial by what tells it from the others."""
    facts = [
        {
            **{name: f"{name}={value}" for name, value in need.trial.params.items()},
            "portrait": need.trial.portrait.name if need.trial.portrait else "",
            "speech": need.trial.speech.name if need.trial.speech else "",
            "seed": f"seed {need.trial.seed}",
        }
        for need in needs
    ]
    told = [name for name in facts[0] if len({one[name] for one in facts}) > 1]
    return [" ".join(one[name] for name in told) or "the one trial" for one in facts]


def _memory_cell(need: TrialForecast) -> str:
    own = need.memory or need.rss
    if own is not None:
        return _range(own.low, own.value, own.high)
    if need.accounts:
        low = min(one.low_mib for one in need.accounts)
        return f"lit. {_range(low, low, max(one.high_mib for one in need.accounts))}"
    return "not known"


def _range(low: float | None, value: float, high: float | None) -> str:
    low, high = (value if edge is None else edge for edge in (low, high))
    first, last = (f"{edge / 1024:.1f}" for edge in (low, high))
    return first if first == last else f"{first}–{last}"


def _time_cell(need: TrialForecast) -> str:
    if need.seconds is not None:
        return _say_time(need.seconds.value)
    if need.literature is not None:
        return f"lit. {_say_time(need.literature.value)}"
    return "not known"


def _say_room(room: AvailableMemory) -> str:
    if room.given:
        return f"Each GPU is taken to have {room.gpus_mib[0] / 1024:.2f} GB."
    if not room.gpus_mib:
        return f"No GPU here; {room.memory_mib / 1024:.1f} GB of memory."
    free = ", ".join(f"{one / 1024:.2f}" for one in room.gpus_mib)
    return f"GPUs here, GB free: {free}."


def _say_time(seconds: float) -> str:
    from evalkit.cli.sweep import describe_duration

    return describe_duration(seconds) if seconds >= 1 else "under 1 s"


def _total(outlook: SweepForecast, done: Collection[str], n_workers: int) -> str:
    """Say how much there is to do, in one line."""
    n_unfit = sum(need.is_unfit for need in outlook.needs)
    left = outlook.left(done)
    n_known = sum(need.seconds is not None for need in left)
    words = [f"{len(outlook.needs)} trials"]
    words += [f"{len(done)} done"] if done else []
    words += [f"{n_unfit} cannot fit"] if n_unfit else []
    total_s = outlook.total_s(done, n_workers)
    if not left:
        return ", ".join(words)
    if total_s is None:
        return f"{', '.join(words)}; time of {len(left)} not known"
    open_ones = f" and {len(left) - n_known} not known" if n_known < len(left) else ""
    crew = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    return f"{', '.join(words)}; {n_known} take {_say_time(total_s)} with {crew}{open_ones}"


def _plain(
    outlook: SweepForecast, done: Collection[str], room: AvailableMemory, n_workers: int
) -> dict[str, Any]:
    return {
        "room": asdict(room),
        "workers": n_workers,
        "start_s": outlook.start_s,
        "total_s": outlook.total_s(done, n_workers),
        "trials": [
            {
                "id": need.trial.id,
                "params": need.trial.params,
                "portrait": need.trial.portrait.name if need.trial.portrait else None,
                "speech": need.trial.speech.name if need.trial.speech else None,
                "seed": need.trial.seed,
                "done": need.trial.id in done,
                "fit": need.fit,
                "why": need.why,
                "gpu_mib": _forecast(need.memory),
                "rss_mib": _forecast(need.rss),
                "seconds": _forecast(need.seconds),
                "literature": {
                    "memory": [asdict(one) for one in need.accounts],
                    "seconds": _forecast(need.literature),
                },
            }
            for need in outlook.needs
        ],
    }


def _forecast(found: Forecast | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
