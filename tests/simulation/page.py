"""The table of all figures as a Markdown page; every word of the verdicts is computed."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.running import Figure, Scenario

    Rows = Sequence[tuple[Scenario, list[Figure]]]

HEAD = "| case | figure | found | 95 % of it | of | asked | |\n|---|---|--:|---|--:|---|---|"


TITLE = "Decisions tried with known truth"
MADE = (
    "Made by `python -m tests.simulation --out docs/statistics.md --reps {reps} --seed {seed}`; the same "
    "command gives the same figures. Each case is planted, and the public functions `compare_tables`, `recommend` "
    "and `sign_off` answer."
)
FIGURES = (
    "A figure is a share of the repetitions, with its exact 95 % interval; it is held "
    "against what was asked as it is, without allowance for the chance of the simulation itself."
)


def write_page(rows: Rows, n_repetitions: int, seed: int, *, title: str = TITLE, made: str = MADE) -> str:
    """Return the whole page; `made` says how it is made, with places for ``{reps}`` and ``{seed}``."""
    figures = [(scenario, figure) for scenario, found in rows for figure in found]
    missed = [(scenario, figure) for scenario, figure in figures if not figure.is_met]
    n_asked = sum(figure.asked is not None and figure.value is not None for _, figure in figures)
    said = f"**{n_asked - len(missed)} of {n_asked} figures are as asked; {len(missed)} are missed.**"
    parts = [f"# {title}", f"{made.format(reps=n_repetitions, seed=seed)} {FIGURES}", said]
    if missed:
        parts.append(
            "\n".join(
                ["## Missed", "", HEAD, *(_row(f"{s.section}: {s.case}", figure) for s, figure in missed)]
            )
        )
    for section, group in groupby(rows, key=lambda row: row[0].section):
        lines = [_row(scenario.case, figure) for scenario, found in group for figure in found]
        parts.append("\n".join([f"## {section}", "", HEAD, *lines]))
    return "\n\n".join(parts) + "\n"


def _row(case: str, figure: Figure) -> str:
    asked = "" if figure.asked is None else figure.asked.words
    verdict = "" if figure.asked is None else "met" if figure.is_met else "**MISSED**"
    if figure.asked is not None and figure.value is not None and not figure.is_met:
        is_above = figure.value > figure.asked.high
        note = (is_above and figure.asked.above) or figure.note
        verdict += f": {note}" if note else ""
    if figure.value is None:
        return f"| {case} | {figure.what} | none | | {figure.n} | {asked} | nothing to count |"
    interval = f"{_percent(figure.low)} to {_percent(figure.high)}"
    return f"| {case} | {figure.what} | {_percent(figure.value)} | {interval} | {figure.n} | {asked} | {verdict} |"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %".replace("-0.0", "0.0")
