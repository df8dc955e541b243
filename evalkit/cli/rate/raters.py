"""``evalkit rate raters``: who was invited, and how far they have come."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from evalkit.cli.outputs import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def raters(run: Path, *, as_json: bool) -> None:
    """List the raters of RUN: nothing personal is known of them.

    Exit code: 0 when listed, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.rating.desk import Desk

    try:
        with Desk.open(run) as desk:
            found = desk.raters()
            if not found and not desk.studies():
                desk.latest_study()
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps([asdict(rater) for rater in found], indent=2))
        return
    if not found:
        say(f"nobody has been invited yet (evalkit rate invite {run} invites)")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("rater", "study", "origin", "language", "answered"):
        table.add_column(name, justify="right" if name in {"study", "answered"} else "left")
    for rater in found:
        answered = f"{rater.n_answered} of {rater.n_assigned}" if rater.n_assigned else "not begun"
        table.add_row(rater.id, str(rater.study), rater.origin.value, rater.language, answered)
    Console(highlight=False).print(table)
