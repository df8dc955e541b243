"""``evalkit serve``: the pages of a folder of runs, live."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from socket import socket

    from evalkit.app.live.server import LiveApp
    from evalkit.app.serve import Place

_READY_S = 2.0
"""So long the link waits for the list to be ready; of a folder of thousands of runs it is shown before."""


@click.command()
@click.argument(
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("runs"),
    required=False,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8764, show_default=True, help="0 for any.")
@click.option(
    "--no-token", is_flag=True, help="Ask for none; only where this machine alone can reach the pages."
)
@click.option(
    "--policy",
    "policies",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A policy outside FOLDER that may judge its runs; may be given again.",
)
def serve(folder: Path, host: str, port: int, *, no_token: bool, policies: tuple[Path, ...]) -> None:
    """Show the runs in FOLDER (default: runs) as pages: the list, each run, two against each other, and the trend.

    Prints a link and serves until Ctrl-C. Nothing outside FOLDER is read. What is written are notes and tags (notes.json of
    a run) and the answers of raters whom a run has asked, who come by links of their own and see nothing else.

    Exit code: 0 when ended by Ctrl-C, 2 for wrong use.
    """
    import secrets

    from evalkit.app.live.server import LiveApp, Settings
    from evalkit.app.serve import find_place, listen
    from evalkit.errors import EvalkitError

    token = "" if no_token else secrets.token_urlsafe(24)
    try:
        with listen(host, port) as listening:
            place = find_place(host, listening.getsockname()[1], None)
            if no_token and not place.is_private:
                raise click.UsageError(
                    f"--no-token is for a server that this machine alone can reach, and others can reach {host}: leave "
                    f"--host away, or --no-token"
                )
            _warn(place)
            _serve(
                LiveApp(Settings(folder, token, place.hosts, place.url, policies)),
                folder,
                listening,
                place,
                token,
            )
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None


def _serve(app: LiveApp, folder: Path, listening: socket, place: Place, token: str) -> None:
    import signal
    import threading

    from evalkit.app.serve import serve as serve_app

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended so, it cleans up as after Ctrl-C
    warming = threading.Thread(target=app.warm, daemon=True)
    warming.start()
    warming.join(_READY_S)
    try:
        say(f"your link: {place.url}/{f'?token={token}' if token else ''}")
        say(f"serving {folder} at {place.url}; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            serve_app(app, listening, is_behind_proxy=False)
    finally:
        app.close()
    say("stopped")


def _warn(place: Place) -> None:
    if not place.is_private:
        say(
            "note: others can reach these pages, and whoever has the link sees every run in the folder. Without TLS, the link "
            "and all pages can be read on their way.",
            err=True,
        )
