"""Which kind of machine the times of a run are of, and what is left out of them: kinds are not pooled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.profiling.costs import MACHINE_METRICS
from evalkit.profiling.reasons import OTHER_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.analysis.table import ClipRecord


def count_kinds(rows: Iterable[ClipRecord]) -> dict[str, int]:
    """Count the clips of each kind of machine, the main one first: that of most clips that did not fail, then by name."""
    rows = [row for row in rows if row.kind is not None]
    n_all = Counter(row.kind for row in rows)
    n_ok = Counter(row.kind for row in rows if row.failure is None)
    order = sorted(n_all, key=lambda kind: (-n_ok[kind], -n_all[kind], kind or ""))
    return {kind: n_all[kind] for kind in order if kind is not None}


def set_apart(rows: Sequence[ClipRecord], main: str | None) -> tuple[ClipRecord, ...]:
    """Return clips such that those of another kind than the main one have no value that depends on the machine."""
    return tuple(
        row if row.kind is None or row.kind == main else _without_machine_values(row) for row in rows
    )


def _without_machine_values(row: ClipRecord) -> ClipRecord:
    apart = {name: OTHER_MACHINE.code for name in row.values if name in MACHINE_METRICS}
    return replace(
        row,
        values={name: value for name, value in row.values.items() if name not in apart},
        absent={**row.absent, **apart},
        is_elsewhere=True,
    )


def could_have(metric: str, rows: Sequence[ClipRecord]) -> list[ClipRecord]:
    """Return the clips that could have a value of a metric: of what depends on the machine, those of the main kind."""
    return [row for row in rows if not (row.is_elsewhere and metric in MACHINE_METRICS)]
