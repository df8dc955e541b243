"""Configurations: the clips that share the swept parameters, with every value computed once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from evalkit.analysis.factors import shared_factors
from evalkit.analysis.outcomes import NO_SESSIONS, Sessions
from evalkit.analysis.preferences import summarise_preference
from evalkit.analysis.reducers import MEAN, ReductionContext, load_reducer
from evalkit.analysis.scores import fit_scores
from evalkit.analysis.spending import Spending, sum_spending
from evalkit.analysis.values import Summary, score, summarise
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.means import fit_mean, independent_factors
from evalkit.stats.shares import share_bounds

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from evalkit.analysis.preferences import Preferences
    from evalkit.analysis.table import ClipRecord
    from evalkit.runs import Trial
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
    given : tuple of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    earlier : tuple of ClipRecord
        Trials of earlier grids with the same parameters: their attempts count for the error rate alone.
    kind : str or None
        Kind of machine that times are of.
    preferences : Preferences or None
        How it and the run's other configurations fare in blind pairs.
    sessions : Sessions
        What came of live trials of it.
    """

    params: dict[str, Hashable]
    rows: tuple[ClipRecord, ...]
    metrics: Mapping[str, Metric]
    given: tuple[str, ...] = ()
    earlier: tuple[ClipRecord, ...] = ()
    kind: str | None = None
    preferences: Preferences | None = None
    sessions: Sessions = NO_SESSIONS
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

        A preference belongs to the configuration as a whole: it takes the place of any reduction of clips.
        """
        key = metric.name, reducer, None if reducer == MEAN else limits
        if key not in self._computed:
            self._computed[key] = (
                summarise_preference(self.preferences, self.rows, self.given)
                if metric.name == PREFERENCE
                else summarise(
                    metric,
                    self.rows_of(metric.name),
                    reducer=reducer,
                    limits=limits,
                    given=self.given,
                    earlier=self.earlier,
                )
            )
            if metric.name in self.sessions.metrics:
                self._computed[key] = replace(self._computed[key], counted="session")
        return self._computed[key]

    def rows_of(self, metric: str) -> tuple[ClipRecord, ...]:
        """Return what a metric is a value of: the clips, or the sessions of live trials."""
        return self.sessions.by_metric.get(metric, self.rows)

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """The mean of every metric of the table, by name."""
        return {name: self.summary(metric) for name, metric in self.metrics.items()}

    @cached_property
    def spending(self) -> Spending:
        """What making its clips took of the kind of machine that times are of, and what that costs."""
        return sum_spending(self.rows, self.kind)

    def bounds(
        self, metric: Metric, reducer: str, limits: tuple[float, float], alpha: float
    ) -> tuple[float, float]:
        """Return a lower and an upper bound of the true value, each wrong with a chance of at most `alpha`.

        Infinite where nothing is known; `summary` has the reason. A preference has the ends of its own interval.
        """
        summary = self.summary(metric, reducer, limits)
        interval = summary.interval
        if metric.name == ERROR_RATE.name and summary.value is not None:
            return share_bounds(round(summary.value * summary.n), summary.n, alpha)
        if metric.name != PREFERENCE and summary.n:
            values, rows = score(metric.name, self.rows_of(metric.name))
            if not summary.counts_clips:
                return fit_scores(metric.name, rows, self.given).bounds(alpha, metric.bounds)
            if reducer == MEAN:
                return fit_mean(values, shared_factors(rows), given=self.given).bounds(alpha, metric.bounds)
            context = ReductionContext(metric, limits, shared_factors(rows), self.given, alpha)
            interval = load_reducer(reducer)(values, context).interval
        return (-inf, inf) if interval is None else (interval.low, interval.high)

    def count_distinct(self, metric: str) -> int:
        """Count the clips with a value, those once that are draws of one input."""
        rows = score(metric, self.rows_of(metric))[1]
        codes = independent_factors(shared_factors(rows))
        if not codes:  # one portrait, one speech, one seed
            return min(1, len(rows))
        return len(set(zip(*(code.tolist() for code in codes.values()), strict=True)))


def describe(params: Mapping[str, Hashable]) -> str:
    """Write parameters for people.

    >>> describe({"size": "384*256", "sample_steps": 3})
    'size 384*256, sample_steps 3'
    """
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "one configuration"
