"""A run ready to be shown: configurations with their values, effects of parameters, fronts, absences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.effects import measure_effects
from evalkit.analysis.fronts import Front, find_front
from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.analysis.values import count_absences
from evalkit.profiling.costs import CLIP_LATENCY, PEAK_RSS, PEAK_VRAM, PEAK_VRAM_SHARE, RTF, TOTAL, TTFF
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.profiling.spill import find_slow
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.effects import Effect, ordered_levels

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.runs import Damage, Run, Trial
    from evalkit.types import Metric

_COSTS = ((TOTAL, CLIP_LATENCY, TTFF), (PEAK_VRAM, PEAK_RSS))
"""The costs where none are asked for: the first measured time, and the first measured memory."""
_N_MAIN = 6


@dataclass(frozen=True)
class RunAnalysis:
    """A run, read once, with everything that is said of it.

    Parameters
    ----------
    run : Run
    table : ResultTable
        One row a trial with a result, in the order of the plan.
    damage : tuple of Damage
    wanted_main, wanted_costs : tuple of str or None
        See `main` and `costs`.
    wanted_quality : str or None
        See `quality`.
    """

    run: Run
    table: ResultTable
    damage: tuple[Damage, ...]
    wanted_main: tuple[str, ...] | None = None
    wanted_quality: str | None = None
    wanted_costs: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        run: Run,
        *,
        main: Sequence[str] | None = None,
        quality: str | None = None,
        costs: Sequence[str] | None = None,
    ) -> RunAnalysis:
        """Read a run.

        Parameters
        ----------
        run : Run
        main : sequence of str, optional
            Metrics to show first; the headlines of evaluators and the costs unless given.
        quality : str, optional
            The metric that stands for quality; the first headline unless given.
        costs : sequence of str, optional
            Metrics of what is paid for it; a time and a memory unless given.
        """
        wanted_main, wanted_costs = (None if names is None else tuple(names) for names in (main, costs))
        return cls(run, rows_of_run(run), tuple(run.damage()), wanted_main, quality, wanted_costs)

    def __repr__(self) -> str:
        return f"<RunAnalysis of {self.run.folder}: {len(self.configurations)} configurations>"

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials with a result; trial *k* is row *k* of `table`."""
        return tuple(row.trial for row in self.table.rows if row.trial is not None)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Every metric that any trial has or misses, in order."""
        found = {name for row in self.table.rows for name in (*row.values, *row.absent)}
        found |= self.table.sessions.metrics.keys()
        return {name: metric for name, metric in self.table.metrics.items() if name in found}

    @cached_property
    def measured(self) -> list[str]:
        """Metrics with a value in any trial that did not fail; a preference, which configurations have, where any chose."""
        return [
            name
            for name in self.metrics
            if name == PREFERENCE
            or any(
                row.value(name) is not None
                for row in self.table.sessions.by_metric.get(name, self.table.rows)
            )
        ]

    @cached_property
    def main(self) -> list[str]:
        """The measured metrics to show first: those wanted; the first few where none of them was measured."""
        wanted = (*self._headlines, *self.costs) if self.wanted_main is None else self.wanted_main
        return [name for name in wanted if name in self.measured] or self.measured[:_N_MAIN]

    @cached_property
    def quality(self) -> str | None:
        """The metric that stands for quality; None where none that has a direction was measured."""
        costs = {metric.name for metric in PROFILE_METRICS}
        others = [name for name in self.measured if name not in costs]
        for name in (self.wanted_quality, *self._headlines, *others):
            if name is not None and name in self.measured and self.metrics[name].better != "band":
                return name
        return None

    @cached_property
    def costs(self) -> list[str]:
        """The measured costs: those wanted; a time and a memory where none are."""
        if self.wanted_costs is not None:
            return [name for name in self.wanted_costs if name in self.measured]
        found = [[metric.name for metric in metrics if metric.name in self.measured] for metrics in _COSTS]
        return [names[0] for names in found if names]

    @cached_property
    def _headlines(self) -> list[str]:
        """The measured metrics that installed evaluators call headlines."""
        known = known_metrics()
        return [name for name in self.measured if name in known and known[name].is_headline]

    @cached_property
    def levels(self) -> dict[str, list[Hashable]]:
        """The swept parameters with their values, sorted where they can be."""
        return {name: ordered_levels(values) for name, values in self.table.swept.items()}

    @property
    def configurations(self) -> list[Configuration]:
        """Every combination of the swept parameters that has a result, in the order of the plan."""
        return self.table.configurations

    @cached_property
    def effects(self) -> dict[str, list[tuple[str, Effect]]]:
        """For each swept parameter the effect of each of its steps on each main metric."""
        found: dict[str, list[tuple[str, Effect]]] = {name: [] for name in self.levels}
        for name in self.main:
            for effect in measure_effects(self.metrics[name], self.table.rows, self.levels, self.table.given):
                found[effect.parameter].append((name, effect))
        return found

    @cached_property
    def fronts(self) -> list[Front]:
        """Quality against each cost."""
        if self.quality is None:
            return []
        quality = self.metrics[self.quality]
        return [find_front(self.configurations, quality, self.metrics[cost]) for cost in self.costs]

    @cached_property
    def slow_while_full(self) -> dict[str, float]:
        """Trials that took several-fold longer for a second of video than others of their configuration, with a GPU full.

        By id, with how many times the median of the others; see `evalkit.profiling.spill.find_slow`.
        """
        found = {}
        for configuration in self.configurations:
            rows = [row for row in configuration.rows if row.value(RTF.name) is not None]
            slow = find_slow(
                [row.value(RTF.name) or 0.0 for row in rows],
                [row.value(PEAK_VRAM_SHARE.name) for row in rows],
            )
            for place, factor in slow.items():
                trial = rows[place].trial
                if trial is not None:
                    found[trial.id] = factor
        return found

    def absences_of(self, metric: str) -> dict[str, int]:
        """Count the reason codes of the trials without a value of a metric, most frequent first."""
        return count_absences(metric, self.table.rows)
