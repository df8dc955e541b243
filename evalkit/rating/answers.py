"""What can be answered to a presentation, and how an answer is stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalkit.runs.ratings.records import HIGHEST, LOWEST, StudyKind
from pipeline.options import canonical_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

PREFERRED = ("first", "second", "none")
"""What can be answered to a pair: the clip that was shown first, the other one, neither."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,2}")


def language_code(text: object) -> str:
    """Return a code of a language as it is stored; empty for anything else.

    >>> language_code("zh-CN"), language_code("[red]")
    ('zh-CN', '')
    """
    return text if isinstance(text, str) and _LANGUAGE.fullmatch(text) else ""


def answer_text(kind: str, questions: Sequence[str], given: object) -> str | None:
    """Return an answer as it is stored; None where it is not one of the possible ones.

    >>> answer_text("acr", ["overall"], {"overall": 4}), answer_text("pairs", ["overall"], "first")
    ('{"overall":4}', '"first"')
    >>> answer_text("acr", ["overall"], {"overall": 6}) is None
    True
    """
    if kind == StudyKind.PAIRS:
        return canonical_json(given) if isinstance(given, str) and given in PREFERRED else None
    if not isinstance(given, dict) or set(given) != set(questions):
        return None
    is_valid = all(type(score) is int and LOWEST <= score <= HIGHEST for score in given.values())
    return canonical_json(given) if is_valid else None


def insert_answer(
    db: sqlite3.Connection, presentation: int, text: str, answered_at: float, took_s: float | None
) -> None:
    """Store an answer within a change that is under way."""
    db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (presentation, text, answered_at, took_s))
