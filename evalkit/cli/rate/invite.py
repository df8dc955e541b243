"""``evalkit rate invite``: links for more raters."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--raters", "n", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@click.option(
    "--again", metavar="RATER", help="A new link for this rater, such as r07, who lost the old one."
)
@click.option(
    "--simulated", is_flag=True, help="They are programs, and are called simulated wherever they show."
)
@click.option(
    "--base-url",
    default="http://127.0.0.1:8765",
    show_default=True,
    help="Where raters reach the server that evalkit rate serve RUN starts.",
)
def invite(run: Path, n: int, again: str | None, *, simulated: bool, base_url: str) -> None:
    """Invite raters to the latest study of RUN and print a link for each: only now, as links are not stored.

    A link belongs to whoever starts with it first; --again gives a rater a new one and ends the old.

    Exit code: 0 when invited, 2 for wrong use.
    """
    from evalkit.app.serve import read_base_url
    from evalkit.errors import EvalkitError
    from evalkit.rating.desk import Desk
    from evalkit.runs.ratings.records import Origin

    if again is not None and (n != 1 or simulated):
        raise click.UsageError(
            "--again is for one rater who was invited before: leave --raters and --simulated away"
        )
    origin = Origin.SIMULATED if simulated else Origin.PERSON
    try:
        site = read_base_url(base_url)
        with Desk.open(run) as desk:
            study = desk.latest_study()
            invitations = [desk.invite_again(again)] if again else desk.invite(study.number, n, origin)
            of_rater = {rater.id: rater.study for rater in desk.raters()}[invitations[0].rater]
            study = next(one for one in desk.studies() if one.number == of_rater)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    for rater, token in invitations:
        say(f"{rater}  {site}/r/{token}")
    say(f"sealed key of study {study.number}: SHA-256 {study.commitment}")
