"""Pages from templates: one environment, one frame, one style sheet; everything in them is escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalkit.formatting import count, three_digits
from evalkit.visuals.numbers import ARROW_WORDS, ARROWS, bracket, percent, signed, unit_suffix

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FILTERS = {
    "number": three_digits,
    "signed": signed,
    "percent": percent,
    "bracket": bracket,
    "unit_suffix": unit_suffix,
    "count": count,
    "link": quote,
    "arrow": lambda better: ARROWS[better],
    "arrow_words": lambda better: ARROW_WORDS[better],
}


@cache
def style_sheet() -> str:
    """Return the style sheet of every page."""
    return (files(__package__) / "templates" / "page.css").read_text("utf-8")


def render_page(package: str, template: str, *, script: str = "", **context: Any) -> str:
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
    **context
        What the template asks for; a name that it asks for in vain is an error.
    """
    from markupsafe import Markup

    own = {
        "css": Markup(style_sheet()),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - the caller's own code
        "content_security_policy": _content_security_policy(script),
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


def load_macros(package: str, template: str) -> Any:
    """Return the macros of a template, to be called with what they ask for; each gives markup.

    Parameters
    ----------
    package, template : str
        As of `render_page`.
    """
    return _environment(package).get_template(template).module


def _content_security_policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"'sha256-{digest}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src 'self' file: data:; "
        f"media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


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
    environment.filters.update(_FILTERS, breakable=_breakable)
    return environment


def _breakable(text: str) -> Markup:
    """Let a long metric name break after its dots and underscores."""
    from markupsafe import Markup, escape

    broken = str(escape(text)).replace(".", ".<wbr>").replace("_", "_<wbr>")
    return Markup(broken)  # noqa: S704 - escaped above
