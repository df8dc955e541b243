"""What people said of the videos of a run: RUN/ratings/ratings.sqlite."""

from __future__ import annotations

from evalkit.runs.ratings.records import (
    Choice,
    Origin,
    RaterRecord,
    Ratings,
    Role,
    Score,
    StudyKind,
    StudyRecord,
)

__all__ = ["Choice", "Origin", "RaterRecord", "Ratings", "Role", "Score", "StudyKind", "StudyRecord"]
