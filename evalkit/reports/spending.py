"""What making took of machines and what it cost, as tables, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evalkit.formatting import count, three_digits

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.run import RunView
    from evalkit.views.spending import KindView, SpendingView

_COLUMNS: tuple[tuple[str, Callable[[SpendingView], float | None]], ...] = (
    ("finished, min", lambda one: one.minutes),
    ("hours of making", lambda one: one.hours),
    ("GPU-hours", lambda one: one.gpu_hours or None),
    ("GPU-hours a minute", lambda one: one.gpu_hours_per_minute),
    ("energy a minute, Wh", lambda one: one.energy_wh_per_minute),
    ("price", lambda one: one.price),
    ("price a minute", lambda one: one.price_per_minute),
)
"""Heads with what stands below them; those without any value are left out."""


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


def describe_spending(run: RunView) -> SpendingTables | None:
    """Return what making took of machines; None where nothing of it was recorded."""
    all_spent = [*(one.spending for one in run.configurations), *(one.spending for one in run.kinds)]
    if not any(spent.hours for spent in all_spent):
        return None
    columns = [(head, read) for head, read in _COLUMNS if any(read(spent) is not None for spent in all_spent)]

    def cells(spent: SpendingView) -> tuple[str, ...]:
        found = (read(spent) for _, read in columns)
        return tuple("–" if value is None else three_digits(value) for value in found)

    return SpendingTables(
        title="What a finished minute of video takes",
        note=_note(run),
        heads=tuple(head for head, _ in columns),
        configurations=[(one, cells(one.spending)) for one in run.configurations],
        kinds=[(one, cells(one.spending)) for one in run.kinds],
    )


def _note(run: RunView) -> str:
    """Say what is in the figures, and why a price is not."""
    words = "Making is everything from taking a job to its end, failed attempts too; measuring does not count. Loading and warming up are shared out evenly."
    if len(run.kinds) > 1:
        words += f" Configurations: on {run.kinds[0].kind} alone."
    spent = [one.spending for one in run.configurations]
    n_unknown = sum(one.n_unknown for one in spent)
    if n_unknown:
        words += (
            f" How long {count(n_unknown, 'attempt')} took was not recorded: the real figures are higher."
        )
    reasons = dict.fromkeys(one.reason for one in spent if one.reason is not None)
    if any(one.price is not None for one in spent):
        words += " Prices are in the currency of execution.price_per_hour."
    return " ".join((words, *(f"Without a price: {reason}." for reason in reasons)))
