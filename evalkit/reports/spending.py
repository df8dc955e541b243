"""What making took of machines and what it cost, as tables, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evalkit.formatting import three_digits
from evalkit.words.language import read_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.run import RunView
    from evalkit.views.spending import KindView, SpendingView
    from evalkit.words.language import Words

_COLUMNS: tuple[tuple[str, Callable[[SpendingView], float | None]], ...] = (
    ("spent_finished", lambda one: one.minutes),
    ("spent_hours", lambda one: one.hours),
    ("spent_gpu_hours", lambda one: one.gpu_hours or None),
    ("spent_gpu_hours_a_minute", lambda one: one.gpu_hours_per_minute),
    ("spent_energy_a_minute", lambda one: one.energy_wh_per_minute),
    ("spent_price", lambda one: one.price),
    ("spent_price_a_minute", lambda one: one.price_per_minute),
)
"""Sentences of the heads with what stands below them; those without any value are left out."""


class SpendingTables(NamedTuple):
    """Two tables with the same heads.

    Parameters
    ----------
    title, note : str
    heads : tuple of str
    configurations : list
        Each with its cells.
    kinds : list
        Of machine, each with its cells.
    """

    title: str
    note: str
    heads: tuple[str, ...]
    configurations: list[tuple[ConfigurationView, tuple[str, ...]]]
    kinds: list[tuple[KindView, tuple[str, ...]]]


def describe_spending(run: RunView, tag: str) -> SpendingTables | None:
    """Return what making took of machines; None where nothing of it was recorded.

    Parameters
    ----------
    run : RunView
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    say = read_words(tag, "run")
    all_spent = [*(one.spending for one in run.configurations), *(one.spending for one in run.kinds)]
    if not any(spent.hours for spent in all_spent):
        return None
    columns = [(head, read) for head, read in _COLUMNS if any(read(spent) is not None for spent in all_spent)]

    def cells(spent: SpendingView) -> tuple[str, ...]:
        found = (read(spent) for _, read in columns)
        return tuple("–" if value is None else three_digits(value) for value in found)

    return SpendingTables(
        title=say("spent_title"),
        note=_note(run, say),
        heads=tuple(say(head) for head, _ in columns),
        configurations=[(one, cells(one.spending)) for one in run.configurations],
        kinds=[(one, cells(one.spending)) for one in run.kinds],
    )


def _note(run: RunView, say: Words) -> str:
    """Say what is in the figures, and why a price is not."""
    words = [say("spent_note")]
    if len(run.kinds) > 1:
        words.append(say("spent_on", kind=run.kinds[0].kind))
    spent = [one.spending for one in run.configurations]
    n_unknown = sum(one.n_unknown for one in spent)
    if n_unknown:
        words.append(say("spent_unknown", n=n_unknown))
    if any(one.price is not None for one in spent):
        words.append(say("spent_currency"))
    reasons = dict.fromkeys(one.reason for one in spent if one.reason is not None)
    return " ".join((*words, *(say("spent_without_price", reason=reason) for reason in reasons)))
