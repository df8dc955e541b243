"""Options of commands that write pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.words.language import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evalkit.visuals.page import PageFrame

language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Of the page.",
)


single_file_option = click.option(
    "--single-file",
    "single_file",
    is_flag=True,
    help="Put small previews of the videos into the page, which works alone then and has less than 25 MB.",
)


def page_with_videos(
    render: Callable[[PageFrame], str], page: Path, language: str, videos: Sequence[str | None] | None
) -> str:
    """Return a page that leads to videos beside it, or that has previews of them in itself.

    Parameters
    ----------
    render : callable
        Gives the page, of its frame.
    page : Path
        Where it will be.
    language : str
    videos : sequence of str or None
        Paths of what it shows, with None where there is none; None where it shall lead to them.

    Raises
    ------
    click.UsageError
        If it would be too large for one file.
    """
    text = render(frame_beside(page, language))
    if videos is None:
        return text
    from evalkit.errors import EvalkitError
    from evalkit.reports.bundle import bundle_page

    shown = [Path(video) for video in videos if video is not None]
    try:
        return bundle_page(text, page.parent, shown, first=shown).page
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None


def frame_beside(page: Path, language: str) -> PageFrame:
    """Return the frame of a page that leads to files by their place relative to it."""
    from evalkit.visuals.page import PageFrame, link_from

    return PageFrame(language, link=link_from(page.parent))
