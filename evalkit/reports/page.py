"""A page that needs nothing but itself: no network, no script, light and dark, on a phone and on paper.

Its look is that of the run report: one style sheet, ``templates/page.css``, for every page.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalkit.reports.run_answer import Verdict


@cache
def style_sheet() -> str:
    """Return the style sheet of every page."""
    return (files(__package__) / "templates" / "page.css").read_text("utf-8")


def page(title: str, facts: str, body: str) -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title : str
        Plain text.
    facts, body : str
        HTML, with everything that came from elsewhere escaped: a line under the title, and all that follows.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1>\n<p class="small">{facts}</p></header>\n<main>{body}</main>\n'
        "</body>\n</html>\n"
    )


def answer(verdict: Verdict, headline: str) -> str:
    """Return the box with the answer; a verdict without a word stays unseen."""
    mark = verdict_mark(verdict) if verdict.word else ""
    return (
        f'<section class="answer {verdict.tone}" aria-label="Answer">{mark}'
        f'<p class="headline">{escape(headline)}</p></section>'
    )


def verdict_mark(verdict: Verdict) -> str:
    """Return a verdict that is told by symbol, word and tone together."""
    return f'<span class="verdict {verdict.tone}">{verdict.symbol} {escape(verdict.word)}</span>'


def table(label: str, heads: str, rows: str) -> str:
    """Return a table that can be moved sideways on a narrow screen.

    Parameters
    ----------
    label : str
        Plain text: what it is about, for those who hear the page.
    heads, rows : str
        HTML: ``<th>`` of the columns, and ``<tr>``.
    """
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def bullets(items: list[str] | tuple[str, ...]) -> str:
    """Return plain texts as a list; nothing of nothing."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""
