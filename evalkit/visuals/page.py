"""Pages from templates: one environment, one frame, one style sheet; everything in them is escaped."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalkit.formatting import count, three_digits
from evalkit.visuals.numbers import ARROW_WORDS, ARROWS, bracket, percent, signed, unit_suffix
from evalkit.words.language import LANGUAGES, read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def quote_path(path: str) -> str:
    r"""Return a path as the address of a link, also where its bytes are no UTF-8.

    >>> quote_path("a b/é.mp4"), quote_path("caf\udce9.mp4")
    ('a%20b/%C3%A9.mp4', 'caf%E9.mp4')
    """
    return quote(os.fsencode(path))


_FILTERS = {
    "number": three_digits,
    "signed": signed,
    "percent": percent,
    "bracket": bracket,
    "unit_suffix": unit_suffix,
    "count": count,
    "link": quote_path,
    "arrow": lambda better: ARROWS[better],
    "arrow_words": lambda better: ARROW_WORDS[better],
}

_HEAD = re.compile(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", re.DOTALL)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh]\b")


def link_from(folder: Path) -> Callable[[str], str]:
    """Return what links from a page in `folder` to files: relative, so that both can be moved together.

    >>> link_from(Path("/runs/a"))("/runs/b/videos/1/video.mp4")
    '../b/videos/1/video.mp4'
    """
    here = folder.resolve()
    return lambda path: quote_path(Path(os.path.relpath(Path(path).resolve(), here)).as_posix())


@dataclass(frozen=True)
class PageFrame:
    """What a page has around it.

    Parameters
    ----------
    language : str
        One of `evalkit.words.language.LANGUAGES`.
    bar : str
        Markup above the page: of the application that serves it. Nothing in it is escaped.
    link : callable
        Gives the address of a file by its path; None where the page must not lead to it.
    """

    language: str = LANGUAGES[0]
    bar: str = ""
    link: Callable[[str], str | None] = quote_path


PLAIN_FRAME = PageFrame()
"""Of an English page that nobody serves."""


@cache
def style_sheet() -> str:
    """Return the style sheet of every page."""
    return (files(__package__) / "templates" / "page.css").read_text("utf-8")


@cache
def theme_script() -> str:
    """Return what every page runs first: it takes over light or dark as chosen before, and lets that be changed."""
    return (files(__package__) / "templates" / "theme.js").read_text("utf-8")


@cache
def playhead_script() -> str:
    """Return what scripts that play videos in step need before them."""
    return (files(__package__) / "templates" / "playhead.js").read_text("utf-8")


def render_page(
    package: str,
    template: str,
    *,
    script: str = "",
    style: str = "",
    frame: PageFrame = PLAIN_FRAME,
    topics: tuple[str, ...] = (),
    has_forms: bool = False,
    **context: Any,
) -> str:
    """Return a whole HTML page.

    A page forbids itself every script but its own and every request but to the files beside it.

    Parameters
    ----------
    package : str
        The package whose folder ``templates`` holds the template; it extends ``page.html.j2``.
    template : str
        Name of the file.
    script : str
        The page's own JavaScript.
    style : str
        The page's own rules, after those of every page.
    frame : PageFrame
        Templates have its language as ``say`` and ``metrics``, its links as ``link_to``.
    topics : tuple of str
        Of the sentences that the template says, beside ``pages``; see `evalkit.words.language.read_words`.
    has_forms : bool
        Whether it sends forms to where it came from: a page of an application does.
    **context
        What the template asks for; a name that it asks for in vain is an error.
    """
    from markupsafe import Markup

    own = {
        "css": Markup(style_sheet() + style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - the caller's own code
        "theme_script": Markup(theme_script()),  # noqa: S704 - a file of this package
        "content_security_policy": content_security_policy(
            theme_script(), *([script] if script else ()), has_forms=has_forms
        ),
        "say": read_words(frame.language, "pages", *topics),
        "metrics": metric_words(frame.language),
        "link_to": frame.link,
        "bar": Markup(frame.bar),  # noqa: S704 - the application's own
    }
    return render(package, template, **context, **own)


def render(package: str, template: str, **context: Any) -> str:
    """Return what a template says, in a frame of its own.

    Parameters
    ----------
    package, template, **context
        As of `render_page`.
    """
    return _environment(package).get_template(template).render(**context) + "\n"


def load_macros(package: str, template: str, **context: Any) -> Any:
    """Return the macros of a template, to be called with what they ask for; each gives markup.

    Parameters
    ----------
    package, template : str
        As of `render_page`.
    **context
        What the macros find beside what they are called with.
    """
    return _environment(package).get_template(template).make_module(context)


def content_security_policy(*scripts: str, has_forms: bool = False) -> str:
    """Return what a page forbids itself: every script but these, and every request but to the files beside it.

    Parameters
    ----------
    *scripts : str
        Their text.
    has_forms : bool
        Whether it sends forms to where it came from.
    """
    forms = "'self'" if has_forms else "'none'"
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src 'self' file: data:; "
        f"media-src 'self' file:; base-uri 'none'; form-action {forms}"
    )


def label_cells(table: str) -> Markup:
    """Name each cell of a table's body by the head of its column, so that a row can be shown as a card.

    Parameters
    ----------
    table : str
        Markup: a head of one row without spans, and a body.

    >>> label_cells("<thead><tr><th>size</th></tr></thead><tbody><tr><td>4</td></tr></tbody>")
    Markup('<thead><tr><th>size</th></tr></thead><tbody><tr><td data-label="size">4</td></tr></tbody>')
    """
    from markupsafe import Markup, escape

    head, body, rows = str(table).partition("<tbody>")
    names = [escape(Markup(cell).striptags()) for cell in _HEAD.findall(head)]  # noqa: S704 - markup already

    def name_row(row: re.Match[str]) -> str:
        columns = iter(names)

        def name_cell(cell: re.Match[str]) -> str:
            name = next(columns, "")
            return f'{cell[0]} data-label="{name}"' if name else cell[0]

        return _CELL.sub(name_cell, row[0])

    return Markup(head + body + _ROW.sub(name_row, rows))  # noqa: S704 - markup already, names escaped


@cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS, breakable=_breakable, labelled=label_cells)
    return environment


def _breakable(text: str) -> Markup:
    """Let a long metric name break after its dots and underscores."""
    from markupsafe import Markup, escape

    broken = str(escape(text)).replace(".", ".<wbr>").replace("_", "_<wbr>")
    return Markup(broken)  # noqa: S704 - escaped above
