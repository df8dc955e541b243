"""One file for a rater who cannot reach the server: the same pages, with the videos in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from evalkit.app import pages
from evalkit.app.asked import describe
from evalkit.errors import UsageError
from evalkit.rating.answers_file import FORMAT
from evalkit.rating.desk import Desk, Sheet
from evalkit.runs.files import write_atomically
from evalkit.runs.ratings.records import Origin, Role
from evalkit.words.language import LANGUAGES

LARGEST_MB = 400
"""Of a file: browsers open no page that is much larger."""


@dataclass(frozen=True)
class OfflinePage:
    """A file that was written.

    Parameters
    ----------
    rater : str
    path : Path
    size_mb : float
        In 10^6 bytes.
    """

    rater: str
    path: Path
    size_mb: float


def write_pages(desk: Desk, study: int, n: int, folder: Path, origin: Origin) -> Iterator[OfflinePage]:
    """Write a page for each of some new raters, one after the other.

    Parameters
    ----------
    desk : Desk
    study : int
    n : int
        How many.
    folder : Path
        It exists.
    origin : Origin
        Of the raters.

    Raises
    ------
    UsageError
        If a page would be larger than `LARGEST_MB`, or is there already, of another run; its rater is forgotten then.
    OSError
        If it cannot be written; its rater is forgotten then.
    """
    for _ in range(n):
        sheet = desk.issue_sheet(study, origin)
        path = folder / f"rate-{sheet.rater}.html"
        try:
            _check_place(path)
            _refuse_large(sheet)
            page = make_page(desk, study, sheet)
            write_atomically(path, page)
        except BaseException:
            desk.forget(sheet.rater)
            raise
        yield OfflinePage(sheet.rater, path, len(page.encode()) / 1e6)


def make_page(desk: Desk, study: int, sheet: Sheet) -> str:
    """Return the page of a rater.

    Nothing in it says what is shown: clips are numbered as they come, and the ticket names study and rater alone.
    """
    numbers: dict[Path, int] = {}
    shown = [
        {
            "nonce": one.nonce,
            "practice": one.role is Role.TRAINING,
            "clips": [numbers.setdefault(sheet.files[clip.code], len(numbers)) for clip in one.clips],
        }
        for one in sheet.presentations
    ]
    data = {
        "format": FORMAT,
        "ticket": sheet.ticket,
        "file": f"answers-{sheet.rater}.json",
        "languages": LANGUAGES,
        "presentations": shown,
        "clips": [base64.b64encode(path.read_bytes()).decode() for path in numbers],
    }
    asked = replace(describe(desk, study), n_total=len(shown))
    return pages.offline_page(asked, max(clip.fps for one in sheet.presentations for clip in one.clips), data)


def _check_place(path: Path) -> None:
    if path.exists():
        raise UsageError(
            f"{path} is there already, and no page of this run has that name: name another folder (--out)"
        )


def _refuse_large(sheet: Sheet) -> None:
    n_bytes = sum(path.stat().st_size for path in set(sheet.files.values()))
    size_mb = n_bytes * 4 / 3 / 1e6
    if size_mb > LARGEST_MB:
        raise UsageError(
            f"the page of a rater would have {size_mb:.0f} MB, and browsers open none above {LARGEST_MB} MB; "
            "ask each for fewer videos (--clips-per-rater), or let raters reach a server (evalkit rate serve)"
        )
