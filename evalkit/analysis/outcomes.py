"""Outcomes of live trials: sessions are the rows of their metrics, in place of clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalkit.formatting import label
from evalkit.types import Metric, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs.outcomes import Outcomes


@dataclass(frozen=True)
class Sessions:
    """The sessions of a run, or of a part of it.

    Parameters
    ----------
    by_metric : mapping of str to tuple of ClipRecord
        For every metric that is an outcome the sessions that were to have it; none where the part has no session.
    metrics : mapping of str to Metric
    versions : mapping of str to str
        Of each source.
    """

    by_metric: Mapping[str, tuple[ClipRecord, ...]]
    metrics: Mapping[str, Metric]
    versions: Mapping[str, str]

    def where(self, params: Mapping[str, Hashable]) -> Sessions:
        """Return the sessions of configurations with these parameters."""
        return replace(
            self,
            by_metric={
                name: tuple(
                    row for row in rows if all(row.params.get(key) == value for key, value in params.items())
                )
                for name, rows in self.by_metric.items()
            },
        )


NO_SESSIONS = Sessions({}, {}, {})


def sessions_of(outcomes: Outcomes, make_row: Callable[[str, Mapping[str, Any]], ClipRecord]) -> Sessions:
    """Return outcomes as rows.

    Parameters
    ----------
    outcomes : Outcomes
    make_row : callable
        Makes a row of a name and parameters.
    """
    by_metric: dict[str, tuple[ClipRecord, ...]] = {}
    metrics: dict[str, Metric] = {}
    for record in outcomes.records:
        rows = tuple(
            replace(
                make_row(label(session.session), session.params),
                values=session.values,
                absent={
                    name: str(Reason.NOT_SCORED) for name in record.metrics if name not in session.values
                },
            )
            for session in record.sessions
        )
        for name, info in record.metrics.items():
            metrics[name] = Metric(name, info.unit, info.better, info.meaning, info.bounds)
            by_metric[name] = rows
    return Sessions(by_metric, metrics, {record.source: record.version for record in outcomes.records})
