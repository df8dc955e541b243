"""``evalkit rate plan``: raters, clips and minutes, before anybody is asked."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import name_outputs, refuse_unwritten, say, write_outputs

if TYPE_CHECKING:
    from rich.table import Table

    from evalkit.rating.planning import RatingPlan

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_FILE)
@click.option(
    "--width",
    type=float,
    help="Half of the wanted 95 % interval: points of a mean opinion (default: 0.5), or share of pairs (0.1).",
)
@click.option(
    "--raters", type=click.IntRange(1, 10_000), help="Say what so many show, instead of how many are needed."
)
@click.option(
    "--clips", type=click.IntRange(1, 10_000), help="Clips of each configuration (default: those of RUN)."
)
@click.option(
    "--clips-per-rater",
    type=click.IntRange(1, 1000),
    help="Clips, or pairs, for each rater, without practice and checks (default: what a quarter of an hour holds).",
)
@click.option("--pairs", is_flag=True, help="Raters choose between two clips, instead of scoring each.")
@click.option("--json", "json_path", type=_FILE, help="Write everything as JSON.")
def plan(  # noqa: PLR0917 - click passes them by name
    run: Path,
    width: float | None,
    raters: int | None,
    clips: int | None,
    clips_per_rater: int | None,
    pairs: bool,
    json_path: Path | None,
) -> None:
    """Say how many raters and clips the run folder RUN needs for a wanted width, and the minutes of each.

    How much scores differ is taken from what was asked about RUN before, else from published experiments. Nobody is asked,
    and nothing is written into RUN.

    Exit code: 0 when said, 2 for wrong use.
    """
    from evalkit.api.ratings import rate_plan
    from evalkit.errors import EvalkitError
    from pipeline.options import json_text

    try:
        planned = rate_plan(
            run, pairs=pairs, width=width, raters=raters, clips=clips, clips_per_rater=clips_per_rater
        )
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    written = write_outputs((json_path, lambda: json_text(planned.to_dict())))
    _say(planned)
    name_outputs(written.paths)
    refuse_unwritten(written)


def _say(planned: RatingPlan) -> None:
    from rich.console import Console

    for sentence in planned.describe():
        say(sentence)
    say("")
    Console(highlight=False).print(_table(planned))


def _table(planned: RatingPlan) -> Table:
    from rich.table import Table

    from evalkit.rating.planning import describe_width
    from evalkit.runs.ratings.records import StudyKind

    unit = "points" if planned.kind is StudyKind.ACR else "of pairs"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("raters", "clips of each", f"width, {unit}", "minutes each", "hours in all"):
        table.add_column(name, justify="right")
    for one in planned.alternatives:
        table.add_row(
            str(one.n_raters),
            str(one.n_clips),
            describe_width(one.width, planned.kind),
            str(ceil(one.minutes_a_rater)),
            f"{one.hours:.1f}",
        )
    return table
