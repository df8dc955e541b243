"""What a rater is shown, as the file of ratings has it: a presentation, its clips on their sides, and when it has ended."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.rating.database import iso_time
from evalkit.rating.study import PlannedPresentation
from evalkit.runs.ratings.records import Role, StudyKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

PRESENTATIONS = """
SELECT p.*, i.is_check, i.first_trial, i.second_trial, s.kind, s.questions, a.given, a.answered_at, a.took_s,
       c.file AS first_file, c.duration_s AS first_duration_s, c.fps AS first_fps, c.width AS first_width,
       c.height AS first_height, c.has_sound AS first_has_sound,
       d.file AS second_file, d.duration_s AS second_duration_s, d.fps AS second_fps, d.width AS second_width,
       d.height AS second_height, d.has_sound AS second_has_sound
FROM presentations p
JOIN items i ON i.study = p.study AND i.code = p.item
JOIN studies s ON s.number = p.study
LEFT JOIN answers a ON a.presentation = p.number
LEFT JOIN clips c ON c.content = i.first_content AND c.is_broken = (i.is_check AND i.second_trial IS NULL)
LEFT JOIN clips d ON d.content = i.second_content AND d.is_broken = i.is_check
WHERE p.rater = ?
"""
"""What is known of the presentations of a rater, a row each."""


class ClipRef(NamedTuple):
    """A clip as a page may name it; width and height in pixels."""

    code: str
    duration_s: float
    fps: float
    width: int
    height: int
    has_sound: bool


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a rater is to be shown.

    Parameters
    ----------
    nonce : str
        The answer is handed in with it.
    role : Role
        Not for the rater, but whether it is training.
    kind : StudyKind
    questions : tuple of str
    clips : tuple of ClipRef
        One, or the two of a pair in the order in which they are shown.
    in_step : bool
        Whether the two play at once.
    position, n_total : int
        The so-manyth of all, from 1.
    """

    nonce: str
    role: Role
    kind: StudyKind
    questions: tuple[str, ...]
    clips: tuple[ClipRef, ...]
    in_step: bool
    position: int
    n_total: int


def to_presentation(row: sqlite3.Row, n_total: int, *, in_step: bool) -> Presentation:
    """Return a row of `PRESENTATIONS` as a rater is to be shown it, one of so many."""
    return Presentation(
        nonce=row["nonce"],
        role=Role(row["role"]),
        kind=StudyKind(row["kind"]),
        questions=tuple(json.loads(row["questions"])),
        clips=tuple(clip_refs(row)),
        in_step=in_step,
        position=row["position"] + 1,
        n_total=n_total,
    )


def ended_at(row: sqlite3.Row, *, in_step: bool) -> float | None:
    """Return when a presentation that is played through has ended at the earliest; None where a clip was never asked for."""
    durations_s = [clip.duration_s for clip in clip_refs(row)]
    asked_at = [row["first_played_at"], row["second_played_at"]][: len(durations_s)]
    if None in asked_at:
        return None
    if in_step:
        return float(max(asked_at) + max(durations_s))
    return float(min(asked_at) + sum(durations_s))


def clip_refs(row: sqlite3.Row) -> list[ClipRef]:
    """Return the clips of a presentation in the order in which they are shown."""
    sides = ["first", "second"] if row["second_trial"] is not None else ["first"]
    shown = sides[::-1] if row["is_swapped"] else sides
    return [
        ClipRef(
            row[f"{place}_code"],
            row[f"{side}_duration_s"],
            row[f"{side}_fps"],
            row[f"{side}_width"],
            row[f"{side}_height"],
            bool(row[f"{side}_has_sound"]),
        )
        for place, side in zip(sides, shown, strict=True)
    ]


def files_of(row: sqlite3.Row) -> list[str | None]:
    """Return the files of a presentation's clips in the order in which they are shown."""
    files = [row["first_file"], row["second_file"]]
    return files[::-1] if row["is_swapped"] else files


def export(row: sqlite3.Row) -> dict[str, Any]:
    """Return everything that is known of a presentation, as plain data."""
    trials = [trial for trial in (row["first_trial"], row["second_trial"]) if trial is not None]
    return {
        "position": row["position"] + 1,
        "role": row["role"],
        "trials": trials[::-1] if row["is_swapped"] else trials,
        "answer": None if row["given"] is None else json.loads(row["given"]),
        "shown_at": _iso_time(row["shown_at"]),
        "played_at": [_iso_time(row[f"{place}_played_at"]) for place in ("first", "second")[: len(trials)]],
        "answered_at": _iso_time(row["answered_at"]),
        "took_s": row["took_s"],
    }


def shown_to(db: sqlite3.Connection, rater: int) -> list[PlannedPresentation]:
    """Return all that a rater is shown, in order, as a key would say it."""
    rows = db.execute("SELECT * FROM presentations WHERE rater = ? ORDER BY position", (rater,))
    return [PlannedPresentation(row["item"], Role(row["role"]), bool(row["is_swapped"])) for row in rows]


def insert_presentations(
    db: sqlite3.Connection, rater: int, study: int, planned: Sequence[PlannedPresentation], kind: StudyKind
) -> None:
    """Store what a rater is to be shown, under nonces and codes that are drawn."""

    def code() -> str:
        return secrets.token_urlsafe(12)

    db.executemany(
        "INSERT INTO presentations (rater, position, study, item, role, is_swapped, nonce, first_code, second_code) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                rater,
                position,
                study,
                one.item,
                one.role.value,
                one.is_swapped,
                code(),
                code(),
                code() if kind is StudyKind.PAIRS else None,
            )
            for position, one in enumerate(planned)
        ],
    )


def _iso_time(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(seconds)
