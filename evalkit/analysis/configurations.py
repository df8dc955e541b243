"""Configurations: the clips that share the swept parameters, with every value computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from evalkit.analysis.reducers import MEAN
from evalkit.analysis.values import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs import Trial
    from evalkit.stats.means import Estimate
    from evalkit.types import Metric


@dataclass(frozen=True, eq=False)
class Configuration:
    """One combination of the swept parameters.

    Parameters
    ----------
    params : dict
        The swept ones.
    rows : tuple of ClipRecord
        Every attempted clip, failed ones included.
    metrics : mapping of str to Metric
        Those of the table, in order.
    run_values : mapping of str to Estimate
        Values that belong to the configuration and to no single clip (ratings), by metric.
    given : tuple of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    earlier : tuple of ClipRecord
        Trials of earlier grids with the same parameters: their attempts count for the error rate alone.
    """

    params: dict[str, Hashable]
    rows: tuple[ClipRecord, ...]
    metrics: Mapping[str, Metric]
    run_values: Mapping[str, Estimate] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    earlier: tuple[ClipRecord, ...] = ()
    _computed: dict[tuple[str, str, tuple[float, float] | None], Summary] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def label(self) -> str:
        """The parameters, for people."""
        return describe(self.params)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials behind the rows; none for a folder of videos."""
        return tuple(row.trial for row in self.rows if row.trial is not None)

    @property
    def n_failed(self) -> int:
        """Clips that were attempted and that there are not: no video, or one that could not be opened."""
        return sum(row.failure is not None for row in self.rows)

    def summary(
        self, metric: Metric, reducer: str = MEAN, limits: tuple[float, float] | None = None
    ) -> Summary:
        """Return the value of a metric over all clips, computed when first asked for; see `summarise`.

        A value that belongs to the configuration as a whole takes the place of any reduction of clips.
        """
        key = metric.name, reducer, None if reducer == MEAN else limits
        if key not in self._computed:
            whole = self.run_values.get(metric.name)
            self._computed[key] = (
                summarise(
                    metric, self.rows, reducer=reducer, limits=limits, given=self.given, earlier=self.earlier
                )
                if whole is None
                else Summary(metric.name, reducer, whole, len(self.rows), {}, counts_clips=False)
            )
        return self._computed[key]

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """The mean of every metric of the table, by name."""
        return {name: self.summary(metric) for name, metric in self.metrics.items()}


def describe(params: Mapping[str, Hashable]) -> str:
    """Write parameters for people.

    >>> describe({"size": "384*256", "sample_steps": 3})
    'size 384*256, sample_steps 3'
    """
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "one configuration"
