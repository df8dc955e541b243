"""Options of commands that write pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evalkit.words.language import LANGUAGES

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.visuals.page import PageFrame

language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Of the page.",
)


def frame_beside(page: Path, language: str) -> PageFrame:
    """Return the frame of a page that leads to files by their place relative to it."""
    from evalkit.visuals.page import PageFrame, link_from

    return PageFrame(language, link=link_from(page.parent))
