"""What clips share: portrait, speech and seed are the factors of every mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from evalkit.analysis.table import ClipRecord


def shared_factors(rows: Sequence[ClipRecord]) -> dict[str, list[Hashable]]:
    """Return which portrait, speech and seed each clip has; the input's name where portrait and speech are not known."""
    factors: dict[str, list[Hashable]] = {
        "portrait": [row.portrait for row in rows],
        "speech": [row.speech for row in rows],
        "seed": [row.seed for row in rows],
    }
    if all(row.portrait is None and row.speech is None for row in rows):
        factors = {"input": [row.input for row in rows], "seed": factors["seed"]}
    return factors
