"""``evalkit rate forget``: raters, and everything they said, are deleted."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("raters", nargs=-1, required=True, metavar="RATER...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(run: Path, raters: tuple[str, ...], *, yes: bool) -> None:
    """Delete each RATER, such as r07, of RUN and every answer of that rater. It cannot be undone.

    With all raters of an import goes the import: its file can be brought in again, with another mapping.

    Exit code: 0 when deleted, 1 when you say no, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.formatting import count
    from evalkit.rating.desk import Desk

    raters = tuple(dict.fromkeys(raters))
    try:
        with Desk.open(run) as desk:
            asked = [one for rater in raters for one in desk.export_rater(rater)["presentations"]]
            what = (
                f"{', '.join(raters)} and {count(sum(one['answer'] is not None for one in asked), 'answer')}"
            )
            if not yes:
                click.confirm(f"delete {what}?", abort=True)
            for rater in raters:
                desk.forget(rater)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    say(f"deleted {what}")
    say(f"reports and tables that were made before still count them: evalkit report {run} makes them anew")
