"""What the report of a run says, as data: summaries a configuration, effects a parameter, fronts, absences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.table import ResultTable, describe, rows_of_run, shared_factors
from evalkit.decisions.signoff import measure_failures
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.bootstrap import Estimate, estimate_mean
from evalkit.stats.effects import Effect, main_effects, ordered_levels
from evalkit.stats.pareto import pareto_front

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.decisions.policy import Policy
    from evalkit.runs import Damage, Run, Trial
    from evalkit.types import Metric

N_RESAMPLES = 2000
"""Redraws behind an interval of the overview: the third digit of its ends may move."""
MAIN = (
    "lip_sync.error",
    "lip_sync.offset_ms",
    "brand.fidelity",
    "motion.amount_deg_s",
    "motion.sparc",
    "rating.mos",
    "profile.ttff_s",
    "profile.total_s",
    "profile.peak_vram_mib",
    "profile.peak_rss_mib",
)
"""What is shown first where no policy says what matters."""
QUALITY = "lip_sync.error"
LATENCY = ("profile.total_s", "profile.clip_latency_s", "profile.ttff_s")
MEMORY = ("profile.peak_vram_mib", "profile.peak_rss_mib")


@dataclass(frozen=True)
class Summary:
    """One metric over the clips of one configuration.

    Parameters
    ----------
    estimate : Estimate
        Mean, interval and n; or why there is none.
    n_attempted : int
        Clips that could have had a value.
    absences : mapping of str to int
        Why values are missing, in words, and how often.
    """

    estimate: Estimate
    n_attempted: int
    absences: Mapping[str, int]

    @property
    def why_absent(self) -> str:
        """The reasons in one line; empty where nothing is missing."""
        return "; ".join(f"{reason} ({n})" for reason, n in self.absences.items())


@dataclass(frozen=True)
class Configuration:
    """One combination of the swept parameters.

    Parameters
    ----------
    params : dict
        The swept ones.
    label : str
        For people.
    trials : tuple of Trial
        Those with a result, failed ones included.
    rows : tuple of Row
        The same as rows.
    summaries : dict of str to Summary
        By metric.
    """

    params: dict[str, Hashable]
    label: str
    trials: tuple[Trial, ...]
    rows: tuple[ClipRecord, ...]
    summaries: dict[str, Summary]

    @property
    def n_failed(self) -> int:
        """Trials that gave no video, or one that could not be opened."""
        return sum(trial.status == "failed" for trial in self.trials)

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric; None where it was not measured."""
        summary = self.summaries.get(metric)
        return summary.estimate.value if summary else None


@dataclass(frozen=True)
class Front:
    """Quality against a cost, the configurations that no other beats marked.

    Parameters
    ----------
    quality, cost : str
        Metrics.
    places : tuple of int
        Configurations that have both.
    is_best : tuple of bool
        Whether no other is at least as good in both and better in one.
    """

    quality: str
    cost: str
    places: tuple[int, ...]
    is_best: tuple[bool, ...]


@dataclass(frozen=True)
class RunAnalysis:
    """A run, ready to be told.

    Parameters
    ----------
    run : Run
    table : ResultTable
        The rows that decisions are made of.
    trials : tuple of Trial
        In the order of the plan; row *k* of `table` is trial *k*.
    damage : tuple of Damage
    policy : Policy or None
        Says what matters most.
    metrics : dict of str to Metric
        Every metric that any trial speaks of, in order.
    """

    run: Run
    table: ResultTable
    trials: tuple[Trial, ...]
    damage: tuple[Damage, ...]
    policy: Policy | None
    metrics: dict[str, Metric]

    @classmethod
    def of(cls, run: Run, policy: Policy | None) -> RunAnalysis:
        """Read everything a report needs, once."""
        trials = tuple(run.trials())
        table = rows_of_run(run)
        found = {name for trial in trials for name in (*trial.metrics, *trial.absent)}
        metrics = {name: metric for name, metric in table.metrics.items() if name in found}
        return cls(run, table, trials, tuple(run.damage()), policy, metrics)

    @cached_property
    def measured(self) -> list[str]:
        """Metrics with a value in any trial."""
        found = {name for trial in self.trials for name in trial.metrics}
        return [name for name in self.metrics if name in found]

    @cached_property
    def main(self) -> list[str]:
        """The measured metrics to show first: those of the policy, or the usual ones."""
        wanted = self.policy.metrics() if self.policy else list(MAIN)
        return [name for name in wanted if name in self.measured] or self.measured[:6]

    @cached_property
    def quality(self) -> str | None:
        """The metric that stands for quality; None where none that has a direction was measured."""
        wanted = [self.policy.quality] if self.policy else [QUALITY]
        others = [name for name in self.measured if not name.startswith("profile.")]
        for name in (*wanted, *others):
            if name in self.measured and self.metrics[name].better != "band":
                return name
        return None

    @cached_property
    def costs(self) -> list[str]:
        """The first measured metric of time and the first of memory."""
        return [
            next(name for name in names if name in self.measured)
            for names in (LATENCY, MEMORY)
            if any(name in self.measured for name in names)
        ]

    @cached_property
    def levels(self) -> dict[str, list[Hashable]]:
        """The swept parameters with their values, sorted where they can be."""
        return {name: ordered_levels(values) for name, values in self.table.swept.items()}

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Every combination of the swept parameters that has a result, in the order of the plan."""
        swept = list(self.levels)
        grouped: dict[tuple[Hashable, ...], list[int]] = {}
        for index, row in enumerate(self.table.rows):
            grouped.setdefault(tuple(row.params.get(name) for name in swept), []).append(index)
        return [
            self._configuration(dict(zip(swept, setting, strict=True)), indexes)
            for setting, indexes in grouped.items()
        ]

    def _configuration(self, params: dict[str, Hashable], indexes: Sequence[int]) -> Configuration:
        rows = tuple(self.table.rows[index] for index in indexes)
        trials = tuple(self.trials[index] for index in indexes)
        summaries = {name: summarise(name, rows) for name in self.metrics}
        return Configuration(params, describe(params), trials, rows, summaries)

    @cached_property
    def effects(self) -> dict[str, list[tuple[str, Effect]]]:
        """For each swept parameter the effect of each of its steps on each main metric."""
        found: dict[str, list[tuple[str, Effect]]] = {name: [] for name in self.levels}
        for metric in self.main:
            for effect in self._effects_on(metric):
                found[effect.parameter].append((metric, effect))
        return found

    def _effects_on(self, metric: str) -> list[Effect]:
        rows = [row for row in self.table.rows if row.failure is None and metric in row.values]
        if not rows or not self.levels:
            return []
        return main_effects(
            np.array([_distance(self.metrics[metric], row.values[metric]) for row in rows]),
            {name: [row.params.get(name) for row in rows] for name in self.levels},
            [(row.input, row.seed) for row in rows],
            shared_factors(rows),
            n_resamples=N_RESAMPLES,
        )

    @cached_property
    def fronts(self) -> list[Front]:
        """Quality against time, and against memory, where both were measured."""
        return [self._front(self.quality, cost) for cost in self.costs] if self.quality else []

    def _front(self, quality: str, cost: str) -> Front:
        places, values = [], []
        for place, configuration in enumerate(self.configurations):
            both = configuration.mean(quality), configuration.mean(cost)
            if both[0] is not None and both[1] is not None:
                places.append(place)
                values.append([_loss(self.metrics[quality], both[0]), _loss(self.metrics[cost], both[1])])
        best = pareto_front(np.array(values, dtype=np.float64).reshape(-1, 2))
        return Front(quality, cost, tuple(places), tuple(bool(one) for one in best))

    def absences_of(self, metric: str) -> dict[str, int]:
        """Count why a metric is missing, over all trials, most frequent first."""
        return count_absences(metric, self.table.rows)


def summarise(metric: str, rows: Sequence[ClipRecord]) -> Summary:
    """Return the mean of a metric over the clips of one configuration.

    Clips of failed trials have no value, but for the error rate, which counts them.
    """
    if metric == ERROR_RATE.name:
        return Summary(measure_failures(rows), len(rows), {})
    scored = [row for row in rows if row.failure is None and metric in row.values]
    values = np.array([row.values[metric] for row in scored])
    estimate = estimate_mean(values, shared_factors(scored), n_resamples=N_RESAMPLES)
    return Summary(estimate, len(rows), count_absences(metric, rows))


def count_absences(metric: str, rows: Iterable[ClipRecord]) -> dict[str, int]:
    """Count the reasons, in words, why a metric has no value in these rows."""
    reasons = Counter(
        reason_text(row.why_absent(metric))
        for row in rows
        if row.failure is not None or metric not in row.values
    )
    return dict(reasons.most_common())


def _distance(metric: Metric, value: float) -> float:
    """Return what changes are told of: the value, or its size where 0 is best."""
    return abs(value) if metric.better == "zero" else value


def _loss(metric: Metric, value: float) -> float:
    return -value if metric.better == "higher" else _distance(metric, value)


def is_better(metric: Metric, change: float) -> bool | None:
    """Say whether a change of a metric (of its size, where 0 is best) is for the better; None where that is not known."""
    if metric.better == "band" or change == 0:
        return None
    return (change > 0) == (metric.better == "higher")


def plain(value: Any) -> str:
    """Write the value of a parameter."""
    return "not set" if value is None else str(value)
