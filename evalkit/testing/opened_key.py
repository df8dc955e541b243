"""What is behind the codes of a study, and what was answered, read from the store itself: no rater could."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from evalkit.runs.ratings.records import Role
from evalkit.runs.ratings.schema import connect_to_read, database_of
from evalkit.testing.opinions import Shown

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_PRESENTATIONS = """
SELECT p.rater, p.position, p.role, p.is_swapped, p.nonce, p.first_code, p.second_code,
  i.code, i.first_trial, i.second_trial, i.is_check, a.given
FROM presentations p JOIN items i ON i.study = p.study AND i.code = p.item LEFT JOIN answers a ON a.presentation = p.number
ORDER BY p.rater, p.position
"""


class StoredPresentation(NamedTuple):
    """What a rater was or will be shown: the clips and their codes in the order on the page, and the answer."""

    rater: int
    position: int
    role: Role
    nonce: str
    item: str
    codes: tuple[str, ...]
    shown: tuple[Shown, ...]
    answer: dict[str, str] | None


class OpenedKey:
    """The presentations of a run's raters as they are stored.

    Parameters
    ----------
    run_folder : Path
    """

    def __init__(self, run_folder: Path) -> None:
        self._path = database_of(run_folder)
        self._shown: dict[str, Shown] = {}

    def shown(self, code: str) -> Shown:
        """Return what a rater is shown behind a code; KeyError where there is no such code."""
        if code not in self._shown:
            self._shown = {
                code: shown
                for presentation in self.presentations()
                for code, shown in zip(presentation.codes, presentation.shown, strict=True)
            }
        return self._shown[code]

    def presentations(self) -> list[StoredPresentation]:
        """Return all presentations, by rater and in their order."""
        with closing(connect_to_read(self._path)) as db:
            return [_read(row) for row in db.execute(_PRESENTATIONS)]

    def answers(self) -> dict[str, dict[str, str]]:
        """Return all answers by the nonce of the presentation, as a form would send them."""
        return {one.nonce: one.answer for one in self.presentations() if one.answer is not None}


def _read(row: sqlite3.Row) -> StoredPresentation:
    trials = [trial for trial in (row["first_trial"], row["second_trial"]) if trial is not None]
    shown = [Shown(trial) for trial in trials]
    if row["is_check"]:
        shown[-1] = Shown(trials[-1], is_broken=True)
    if row["is_swapped"]:
        shown.reverse()
    codes = [code for code in (row["first_code"], row["second_code"]) if code is not None]
    return StoredPresentation(
        rater=row["rater"],
        position=row["position"],
        role=Role(row["role"]),
        nonce=row["nonce"],
        item=row["code"],
        codes=tuple(codes),
        shown=tuple(shown),
        answer=None if row["given"] is None else _as_sent(json.loads(row["given"])),
    )


def _as_sent(given: dict[str, int] | str) -> dict[str, str]:
    if isinstance(given, str):
        return {"preferred": given}
    return {question: str(score) for question, score in given.items()}
