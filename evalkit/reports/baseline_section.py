"""A release beside the last one, as a part of the page of a sign-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from evalkit.reports.verdict import verdict_of_conclusion
from evalkit.visuals.page import render
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from evalkit.views.baseline import BaselineView


def render_baseline(view: BaselineView | None, language: str) -> Markup:
    """Return the section of a page; nothing where there is no baseline.

    Parameters
    ----------
    view : BaselineView or None
    language : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    if view is None:
        return Markup()
    text = render(
        __package__,
        "baseline.html.j2",
        one=view,
        say=read_words(language, "pages", "baseline"),
        metrics=metric_words(language),
        verdict_of_conclusion=verdict_of_conclusion,
    )
    return Markup(text)  # noqa: S704 - a template, which escapes


def tell_worse(view: BaselineView | None, language: str) -> str:
    """Say for the first screen that something became worse, and what follows; empty where nothing did.

    Parameters
    ----------
    view : BaselineView or None
    language : str
        As above.
    """
    if view is None or not view.worse:
        return ""
    say, words = read_words(language, "pages", "baseline"), metric_words(language)
    names = say("baseline_and").join(words.name(one.metric) for one in view.worse)
    return say("baseline_fails_in" if view.fails else "baseline_warns_in", names=names)
