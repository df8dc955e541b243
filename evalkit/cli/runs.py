"""``evalkit runs``: the runs of a folder at a glance, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from rich.table import Table

    from evalkit.decisions.run_list import RunList


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"), required=False)
@click.option("--json", "print_json", is_flag=True, help="Print the list as JSON.")
def runs(folder: Path, print_json: bool) -> None:
    """List the runs in FOLDER (default: runs), the newest first.

    A folder that is not a run is passed over; one that cannot be read is named.

    Exit code: 0 when listed, 2 for wrong use.
    """
    from evalkit.decisions.run_list import list_runs
    from evalkit.errors import UsageError

    try:
        found = list_runs(folder)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    if print_json:
        click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    if found.runs:
        from rich.console import Console

        Console(highlight=False).print(_table_of(found, folder))
    for path, text in found.unreadable.items():
        say(f"skipped {path}: {text}", err=True)
    if not found.runs:
        say(f"{folder} holds no run that can be read (evalkit sweep makes one)")


def _table_of(found: RunList, folder: Path) -> Table:
    from rich.table import Table

    from evalkit.visuals.markup import escape

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold", max_width=18)
    table.add_column("date", no_wrap=True)
    table.add_column("generator", overflow="fold", max_width=12)
    table.add_column("config-\nurations", justify="right")
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("evaluators", overflow="fold", max_width=12)
    table.add_column("verdict", overflow="fold")
    for run in found.runs:
        path = Path(run.folder)
        table.add_row(
            escape(path.name if path == folder else str(path.relative_to(folder))),
            run.created_at[:10],
            escape(run.generator),
            str(run.n_configurations),
            f"{run.n_finished}/{run.n_planned}",
            escape(", ".join(run.evaluators)),
            escape(run.verdict),
        )
    return table
