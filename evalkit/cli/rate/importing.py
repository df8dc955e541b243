"""``evalkit rate import``: ratings that were collected elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from evalkit.rating.imports import Imported

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_FILE)
@click.argument("file", type=_FILE)
@click.option(
    "--mapping", "mapping_file", type=_FILE, help="YAML: what the file's columns, names and scales are."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["auto", "answers", "csv", "label-studio", "webmushra"]),
    default="auto",
    show_default=True,
    help="What wrote the file; auto finds it by the content.",
)
@click.option(
    "--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be used, and import the rest."
)
@click.option("--dry-run", is_flag=True, help="Read and check; store nothing.")
def import_(  # noqa: PLR0917 - click passes them by name
    run: Path, file: Path, mapping_file: Path | None, format_: str, skip_bad_rows: bool, dry_run: bool
) -> None:
    """Bring the ratings in FILE into the run folder RUN.

    FILE is a page's answers that were given without a server; a table (CSV) with a line for each video or for each score;
    what Label Studio exports (JSON or JSON_MIN); or what webMUSHRA or pymushra writes. Videos are found by the ids of their
    trials, by paths and addresses that have such an id in them, by blind copies, or as the mapping says:

    \b
      rater: who                      # column, or [columns], that tell raters apart
      clip: file                      # or {params: {steps: STEPS}, portrait: FACE, speech: LINE, seed: SEED}
      questions: {overall: mos, lip_sync: sync}      # our question: their column or tag
      question: item                  # or, with a line for each score: columns of the
      score: value                    #   question's name and of the score,
      names: {Sync: lip_sync}         #   and what they call the questions
      first: video_a                  # of pairs: columns of the two videos
      second: video_b
      preferred: answer               #   and of the answer,
      answers: {A: first, B: second, same: none}     # and what answers are called
      scale: [0, 100]                 # worst and best; 1 and 5 unless given
      words: {Excellent: 5}           # words to scores from 1 to 5
      clips: {demo_03: 0123456789ab}  # names of videos to ids of trials

    Raters are counted as imported, and nothing personal is kept. The same file again stores nothing twice.

    Exit code: 0 when imported, or when it was before; 2 for wrong use, and where something cannot be used.
    """  # noqa: D301 - a backspace is how click is told to leave lines as they are
    from evalkit.errors import EvalkitError
    from evalkit.rating.imports import import_ratings
    from evalkit.rating.imports.mapping import Mapping

    try:
        imported = import_ratings(
            run,
            file,
            mapping=None if mapping_file is None else Mapping.load(mapping_file),
            format=format_,
            skip_bad_rows=skip_bad_rows,
            dry_run=dry_run,
        )
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    _say(imported, file, run, dry_run=dry_run)


def _say(imported: Imported, file: Path, run: Path, *, dry_run: bool) -> None:
    from evalkit.formatting import count

    for note in imported.notes:
        say(f"note: {note}")
    if imported.n_unanswered and imported.studies:
        say(f"note: {count(imported.n_unanswered, 'place')} without an answer")
    if imported.n_skipped:
        say(f"note: {count(imported.n_skipped, 'place')} left out, as they cannot be used")
    if imported.format == "answers":
        say("nothing was stored: this was a dry run" if dry_run else f"{file} is in {run}")
        return
    what = [count(imported.n_scores, "score")] if imported.n_scores else []
    what += [count(imported.n_choices, "answer to pairs", "answers to pairs")] if imported.n_choices else []
    told = (
        f"{' and '.join(what)} of {count(imported.n_raters, 'rater')} for {count(imported.n_clips, 'video')}"
    )
    studies = " and ".join(f"study {number}" for number in imported.studies)
    if dry_run:
        say(f"{file} holds {told}; nothing was stored: this was a dry run")
    elif not imported.is_new:
        say(
            f"{file} was imported before, as {studies}: nothing is doubled (evalkit rate forget takes it back)"
        )
    else:
        say(f"imported {told}, as {studies}; evalkit rate results {run} says what they mean")
