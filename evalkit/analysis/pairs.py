"""Pairs: the clips of two sides that share input, seed and the parameters that are not what is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.values import count_absences, shared_factors
from evalkit.errors import UsageError
from evalkit.stats.means import MIN_LEVELS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.types import FloatArray

_PLURALS = {"portrait": "portraits", "piece of speech": "pieces of speech"}


@dataclass(frozen=True)
class Pairing:
    """The clips of two sides, paired.

    Parameters
    ----------
    pairs : tuple of (ClipRecord, ClipRecord)
        First side, second side; failed attempts are paired too.
    unpaired_a, unpaired_b : tuple of ClipRecord
        Those without a partner.
    """

    pairs: tuple[tuple[ClipRecord, ClipRecord], ...]
    unpaired_a: tuple[ClipRecord, ...]
    unpaired_b: tuple[ClipRecord, ...]

    def values(self, metric: str) -> PairedValues:
        """Return the values of a metric in the pairs that have it on both sides."""
        scored = [
            (first, value_a, value_b)
            for first, second in self.pairs
            if (value_a := first.value(metric)) is not None and (value_b := second.value(metric)) is not None
        ]
        return PairedValues(
            a=np.array([value for _, value, _ in scored], dtype=np.float64),
            b=np.array([value for _, _, value in scored], dtype=np.float64),
            factors=shared_factors([row for row, _, _ in scored]),
            absences=count_absences(metric, [row for pair in self.pairs for row in pair]),
        )


@dataclass(frozen=True, eq=False)
class PairedValues:
    """One metric in the pairs that have it on both sides.

    Parameters
    ----------
    a, b : FloatArray, shape (n_pairs,)
    factors : mapping of str to sequence of length n_pairs
        What the pairs share, see `evalkit.analysis.values.shared_factors`.
    absences : mapping of str to int
        Reason codes of the clips, in any pair, without a value.
    """

    a: FloatArray
    b: FloatArray
    factors: Mapping[str, Sequence[Hashable]]
    absences: Mapping[str, int]


def pair_clips(
    rows_a: Sequence[ClipRecord],
    rows_b: Sequence[ClipRecord],
    params: Sequence[str] = (),
    titles: tuple[str, str] = ("A", "B"),
) -> Pairing:
    """Pair clips by input, seed and parameters.

    Parameters
    ----------
    rows_a, rows_b : sequence of ClipRecord
    params : sequence of str
        Names of the parameters that both clips of a pair must have alike.
    titles : tuple of str
        What the sides are called in an error.

    Raises
    ------
    UsageError
        If two clips of one side agree in all of them: which of them to pair is not known.
    """
    by_key_a, by_key_b = (
        key_clips(rows, params, title) for rows, title in zip((rows_a, rows_b), titles, strict=True)
    )
    return Pairing(
        pairs=tuple((row, by_key_b[key]) for key, row in by_key_a.items() if key in by_key_b),
        unpaired_a=tuple(row for key, row in by_key_a.items() if key not in by_key_b),
        unpaired_b=tuple(row for key, row in by_key_b.items() if key not in by_key_a),
    )


def key_clips(rows: Sequence[ClipRecord], params: Sequence[str], title: str) -> dict[Hashable, ClipRecord]:
    """Return clips by input, seed and parameters.

    Raises
    ------
    UsageError
        If two agree in all of them; `title` says whose they are.
    """
    found: dict[Hashable, ClipRecord] = {}
    for row in rows:
        key = (row.input, row.seed, tuple(row.params.get(name) for name in params))
        if key in found:
            raise UsageError(
                f"{title}: {_name(found[key])} and {_name(row)} are the same input, seed and parameters; which of "
                f"them to pair is not known: leave one of them out"
            )
        found[key] = row
    return found


def describe_reach(rows: Sequence[ClipRecord]) -> list[str]:
    """Say about which portraits and pieces of speech an answer from these clips speaks."""
    if not rows:
        return []
    if all(row.portrait is None and row.speech is None for row in rows):
        return ["which clips share a portrait or speech is not known: they are taken as independent"]
    counts = {
        "portrait": len({row.portrait for row in rows}),
        "piece of speech": len({row.speech for row in rows}),
    }
    few = [f"{n} {name if n == 1 else _PLURALS[name]}" for name, n in counts.items() if n < MIN_LEVELS]
    if not few:
        return []
    return [f"speaks only of the {' and '.join(few)} seen here: with {MIN_LEVELS} or more, of others too"]


def _name(row: ClipRecord) -> str:
    return f"{row.name!r}" + (f" (trial {row.trial.id})" if row.trial is not None else "")
