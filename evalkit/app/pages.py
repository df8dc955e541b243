"""The raters' pages as text: one function a page, and the files that every page asks for."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from evalkit.runs.ratings.records import StudyKind
from evalkit.visuals.page import playhead_script, render, style_sheet
from evalkit.words.language import LANGUAGES, Words, read_words

if TYPE_CHECKING:
    from evalkit.app.results import StudyProgress


@dataclass(frozen=True)
class Asked:
    """What the pages say of a study.

    Parameters
    ----------
    kind : StudyKind
    questions : tuple of str
    in_step : bool
        Of pairs, whether both play at once.
    n_total, n_training : int
        Presentations, and how many of them are for practice.
    minutes : int
        What it costs a rater.
    """

    kind: StudyKind
    questions: tuple[str, ...]
    in_step: bool
    n_total: int
    n_training: int
    minutes: int


@dataclass(frozen=True)
class ShownClip:
    """A video on a page.

    Parameters
    ----------
    source : str
        Its address; empty where a script sets it.
    fps : float
        Is told where both clips of a pair play in step.
    """

    source: str
    fps: float


@cache
def style() -> str:
    """Return the style sheet of the raters' pages: that of every page of the product, and what they add."""
    return f"{style_sheet()}\n{_read('rate.css')}"


@cache
def script() -> str:
    """Return the script of a presentation."""
    return playhead_script() + _read("rate.js")


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return content and type of the files that pages ask for, by a name that changes with the content."""
    kinds = {"css": (style(), "text/css; charset=utf-8"), "js": (script(), "text/javascript; charset=utf-8")}
    return {
        f"rate-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}": (text.encode(), kind)
        for ending, (text, kind) in kinds.items()
    }


def all_words() -> list[Words]:
    """Return the sentences of every language."""
    return [read_words(tag, "rating") for tag in LANGUAGES]


def start_page(say: Words, asked: Asked, *, base: str = "") -> str:
    """Return the page with the choice of a language, the instruction, and the button that begins."""
    return _page("start.html.j2", say, base, study=asked, all_languages=all_words())


def item_page(
    say: Words,
    asked: Asked,
    clips: Sequence[ShownClip],
    *,
    nonce: str,
    position: int,
    is_training: bool,
    base: str = "",
) -> str:
    """Return the page of a presentation.

    Parameters
    ----------
    say : Words
    asked : Asked
    clips : sequence of ShownClip
        One, or two of a pair.
    nonce : str
        Names the presentation in the answer.
    position : int
        From 1.
    is_training : bool
    base : str
        What all addresses of the application begin with, without a slash at the end.
    """
    return _page(
        "item.html.j2",
        say,
        base,
        study=asked,
        clips=clips,
        nonce=nonce,
        position=position,
        is_training=is_training,
        script=_address(base, "js"),
    )


def thanks_page(say: Words, *, base: str = "") -> str:
    """Return the page after the last answer."""
    return message_page(say, say("thanks_heading"), say("thanks"), base=base)


def message_page(
    say: Words, heading: str, text: str, *, go_on: bool = False, again_at: str = "", base: str = ""
) -> str:
    """Return a page with a sentence.

    Parameters
    ----------
    say : Words
    heading, text : str
    go_on : bool
        Whether a button leads to the present step.
    again_at : str
        Address that the page asks for at once, as itself; empty for none.
    base : str
        As of `item_page`.
    """
    return _page("message.html.j2", say, base, heading=heading, text=text, go_on=go_on, again_at=again_at)


def offline_page(asked: Asked, fps: float, data: Mapping[str, object]) -> str:
    """Return a page that holds all of a rater's presentations, and asks nothing of any server.

    Parameters
    ----------
    asked : Asked
    fps : float
        Of the videos of a pair.
    data : mapping
        What its script shows, as plain data.
    """
    code = f"{script()}\n{_read('offline.js')}"
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return render(
        __package__,
        "offline.html.j2",
        say=read_words(LANGUAGES[0], "rating"),
        all_languages=all_words(),
        study=asked,
        clips=[ShownClip("", fps)] * (2 if asked.kind is StudyKind.PAIRS else 1),
        content_security_policy=(
            f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
            "media-src blob:; form-action 'none'; base-uri 'none'"
        ),
        css=Markup(style()),  # noqa: S704 - files of this product
        script=Markup(code),  # noqa: S704 - as above
        data=Markup(json.dumps(data).replace("<", "\\u003c")),  # noqa: S704 - nothing in it ends the element
    )


def results_page(run: str, progress: Sequence[StudyProgress], *, base: str = "") -> str:
    """Return the page of how far the raters are, in English."""
    return _page("results.html.j2", read_words("en", "rating"), base, run=run, progress=progress)


def _page(template: str, say: Words, base: str, **context: object) -> str:
    return render(__package__, template, say=say, base=base, style=_address(base, "css"), **context)


def _address(base: str, ending: str) -> str:
    return next(f"{base}/static/{name}" for name in static_files() if name.endswith(f".{ending}"))


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")
