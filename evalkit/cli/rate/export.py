"""``evalkit rate export``: what is known of one rater, and pages for raters who cannot reach the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.rate.study_options import begin_study, chosen_design, describe_study, study_options

if TYPE_CHECKING:
    from evalkit.rating.study import Design
    from evalkit.runs.ratings.records import Origin

_OF_PAGES = ("raters", "pairs", "questions", "clips_per_rater", "seed", "simulated")
"""Options that say which pages are written."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rater", help="Write everything that is known of this rater, such as r07, as JSON.")
@click.option("--offline", is_flag=True, help="Write pages that need no server: a file for each rater.")
@click.option(
    "--raters", type=click.IntRange(1, 1000), default=1, show_default=True, help="With --offline: how many."
)
@study_options
@click.option(
    "--simulated", is_flag=True, help="The raters are programs, and will be called so wherever they show."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File of what is known of a rater, printed unless given; or folder of pages (default: where you stand).",
)
@click.pass_context
def export(  # noqa: PLR0917 - click passes them by name
    context: click.Context,
    run: Path,
    rater: str | None,
    offline: bool,
    raters: int,
    pairs: str | None,
    questions: str | None,
    clips_per_rater: int | None,
    seed: int,
    simulated: bool,
    out: Path | None,
) -> None:
    """Write out of RUN what a rater may ask for, or pages to be answered without a server.

    --rater writes all that was shown to a rater, and answered; it opens what was blind. --offline invites raters and writes
    for each a page with the videos in it, in a browser as the served ones; the answers come back as a file, for evalkit
    rate import.

    Exit code: 0 when written, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.runs.ratings.records import Origin

    if offline == (rater is not None):
        raise click.UsageError("say what to write: --rater RATER or --offline")
    given = [name for name in _OF_PAGES if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if rater is not None and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{flags}: belongs to --offline, not to what is known of a rater")
    try:
        if rater is not None:
            _write_known(run, rater, out)
        else:
            design = chosen_design(pairs, questions, clips_per_rater, seed)
            _write_pages(run, design, raters, out or Path(), Origin.SIMULATED if simulated else Origin.PERSON)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None


def _write_known(run: Path, rater: str, out: Path | None) -> None:
    from evalkit.rating.desk import Desk
    from pipeline.options import json_text

    if out is not None:
        check_folders([out.parent])
    with Desk.open(run) as desk:
        text = json_text(desk.export_rater(rater))
    if out is None:
        click.echo(text, nl=False)
        return
    written = write_outputs((out, lambda: text))
    name_outputs(written.paths)
    refuse_unwritten(written)


def _write_pages(run: Path, design: Design, n: int, folder: Path, origin: Origin) -> None:
    from evalkit.app.offline import write_pages
    from evalkit.rating.desk import Desk

    check_folders([folder])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Desk.open(run) as desk:
            study = begin_study(desk, design)
            say(describe_study(desk, study))
            for page in write_pages(desk, study.number, n, folder, origin):
                say(f"wrote {page.path} for {page.rater}, {page.size_mb:.1f} MB")
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written: {error.strerror}") from None
    say(f"send each to one person; what comes back: evalkit rate import {run} FILE")
