"""``evalkit rate serve``: links for raters, and the pages behind them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say
from evalkit.cli.rate.study_options import begin_study, chosen_design, describe_study, study_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from evalkit.app.serve import Place
    from evalkit.app.server import Event
    from evalkit.rating.desk import Desk
    from evalkit.runs.ratings.records import Origin, StudyRecord

FIRST_RATERS = 24
"""Invited to a study at first: the 20 that the bundled policy asks for, and some for those who do not finish or are screened out."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@study_options
@click.option(
    "--raters",
    type=click.IntRange(0, 1000),
    help=f"How many to invite now (default: {FIRST_RATERS} to a new study, as some of the 20 that a policy asks for may not finish or be screened out; none to one that goes on).",
)
@click.option(
    "--simulated", is_flag=True, help="The raters are programs, and will be called so wherever they show."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any.")
@click.option("--base-url", metavar="URL", help="What raters' browsers ask for, where a proxy is in front.")
def serve(  # noqa: PLR0917 - click passes them by name
    run: Path,
    pairs: str | None,
    questions: str | None,
    raters: int | None,
    clips_per_rater: int | None,
    simulated: bool,
    seed: int,
    host: str,
    port: int,
    base_url: str | None,
) -> None:
    """Ask people about the videos of the run folder RUN, blind, on pages of this machine.

    Prints a link for each rater and one for you, and serves until Ctrl-C. The same command goes on with the same study; every
    answer is kept as soon as it is given. Only this machine can reach the pages, unless --host says otherwise.

    Exit code: 0 when ended by Ctrl-C, 2 for wrong use.
    """
    from evalkit.app.serve import find_place, listen
    from evalkit.errors import EvalkitError
    from evalkit.rating.desk import Desk
    from evalkit.runs.files import only_writer
    from evalkit.runs.layout import RATINGS_FOLDER
    from evalkit.runs.ratings.records import Origin

    try:
        design = chosen_design(pairs, questions, clips_per_rater, seed)
        with Desk.open(run) as desk, listen(host, port) as listening:
            place = find_place(host, listening.getsockname()[1], base_url)
            (run / RATINGS_FOLDER).mkdir(exist_ok=True)
            with only_writer(run / RATINGS_FOLDER):
                study = begin_study(desk, design)
                say(describe_study(desk, study))
                _warn(place)
                origin = Origin.SIMULATED if simulated else Origin.PERSON
                _invite(desk, study, raters, origin, place)
                _serve(desk, study, place, listening, is_behind_proxy=base_url is not None)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"{run} cannot be written: {error.strerror}") from None


def _warn(place: Place) -> None:
    if place.is_private:
        return
    say(
        "note: others can reach these pages. Whoever has a link can rate by it, so send each to one person alone.",
        err=True,
    )
    if not place.is_secure:
        say(
            "note: without TLS, links and answers can be read on their way; beyond a network that you trust, put a "
            "proxy with TLS in front and name it: --base-url https://…",
            err=True,
        )


def _invite(desk: Desk, study: StudyRecord, n: int | None, origin: Origin, place: Place) -> None:
    """Print a link for each new rater."""
    from evalkit.formatting import count

    earlier = [rater for rater in desk.raters() if rater.study == study.number]
    new = desk.invite(study.number, FIRST_RATERS * (not earlier) if n is None else n, origin)
    if earlier:
        say(
            f"{count(len(earlier), 'rater')} invited before; their links hold on "
            f"(evalkit rate invite gives new ones)"
        )
    if new:
        kind = "rater" if origin == "person" else f"{origin} rater"
        say(f"a link for each {kind}, {len(new)} in all; shown only now:")
    for invitation in new:
        say(f"  {invitation.rater}  {place.url}/r/{invitation.token}")


def _serve(desk: Desk, study: StudyRecord, place: Place, listening: socket, *, is_behind_proxy: bool) -> None:
    import secrets

    from evalkit.app.serve import serve as serve_app
    from evalkit.app.server import create_app
    from evalkit.formatting import count

    token = secrets.token_urlsafe(24)
    app = create_app(
        desk,
        admin_token=token,
        hosts=place.hosts,
        is_secure=place.is_secure,
        on_event=_tell(desk, study),
    )
    say(f"how far they are, for you alone: {place.url}/a/{token}")
    say(f"serving at {place.url}; Ctrl-C ends it, and every answer is kept")
    with contextlib.suppress(KeyboardInterrupt):
        serve_app(app, listening, is_behind_proxy=is_behind_proxy)
    n_answers = sum(rater.n_answered for rater in desk.raters())
    say(f"stopped; {count(n_answers, 'answer')} in {desk.run_folder}")


def _tell(desk: Desk, study: StudyRecord) -> Callable[[Event], None]:
    """Return what says who begins and who is done."""

    def tell(event: Event) -> None:
        with contextlib.suppress(OSError):  # nobody reads on: that is no rater's trouble
            tell_who(event)

    def tell_who(event: Event) -> None:
        if event.n_done == 0:
            say(f"{event.rater} has begun")
        elif event.n_done == event.n_total:
            own = [rater for rater in desk.raters() if rater.study == study.number]
            n_done = sum(0 < rater.n_assigned == rater.n_answered for rater in own)
            say(f"{event.rater} is done: {n_done} of {len(own)}")

    return tell
