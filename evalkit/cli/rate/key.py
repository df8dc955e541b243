"""``evalkit rate key``: the sealed key is opened, and checked."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs

_MOST_NAMED = 10
"""Items."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--study", type=click.IntRange(min=1), help="Number of the study (default: the latest).")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the key: its SHA-256 is what was shown.",
)
@click.pass_context
def key(context: click.Context, run: Path, study: int | None, out: Path | None) -> None:
    """Open the sealed key of RUN, which says what was A and what B, and check it.

    It was fixed before anybody was asked: its SHA-256 is the hash that was shown then, and who was shown what follows from
    it alone.

    Exit code: 0 when everything fits, 1 when it does not, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.formatting import count
    from evalkit.rating.desk import Desk

    if out is not None:
        check_folders([out.parent])
    try:
        with Desk.open(run) as desk:
            number = study or desk.latest_study().number
            opened, strays = desk.key(number), desk.find_strays(number)
            changed = desk.find_changed_items(number)
            shown = next(one.commitment for one in desk.studies() if one.number == number)
            open_ids = [
                one.id for one in desk.raters() if one.study == number and one.n_answered < one.n_assigned
            ]
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    say(f"study {number}: {len(opened.items)} items, seed {opened.design.seed}, SHA-256 {opened.commitment}")
    if opened.commitment != shown:
        say(f"the key was changed: the hash that was shown is {shown}", err=True)
    for rater in strays:
        say(f"{rater} was shown something else than the key says", err=True)
    if changed:
        names = ", ".join(changed[:_MOST_NAMED]) + (", …" if len(changed) > _MOST_NAMED else "")
        say(
            f"answers are of other videos than the key says, in {count(len(changed), 'item')}: {names}",
            err=True,
        )
    fits = opened.commitment == shown and not strays and not changed
    if fits:
        say("the key fits the hash, and every rater was shown what it says")
    if open_ids:
        say(
            f"note: still at work: {', '.join(open_ids)}; keep the key to yourself until they are done",
            err=True,
        )
    written = write_outputs((out, lambda: opened.text))
    name_outputs(written.paths)
    refuse_unwritten(written)
    context.exit(int(not fits))
