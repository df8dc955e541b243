"""Configurations of a sweep: their figures and gates, what is best for its cost, and every metric over the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.run_analysis import summarise
from evalkit.decisions.signoff import judge
from evalkit.views.figure import FigureView, figure_of_summary
from evalkit.views.gate import GateOutcome, GateView, gate_view, worst_outcome
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from collections.abc import Hashable

    from evalkit.analysis.run_analysis import Configuration, RunAnalysis
    from evalkit.decisions.policy import Policy
    from evalkit.types import Metric


@dataclass(frozen=True)
class ConfigurationView(View):
    """One combination of the swept parameters.

    Parameters
    ----------
    label : str
    params : mapping
        The swept ones.
    n_attempted, n_failed : int
        Trials.
    figures : mapping of str to FigureView
        The mean over clips, by metric.
    gates : tuple of GateView
        The hard rules of the policy, judged as a sign-off of this configuration judges them; empty without a policy.
    outcome : GateOutcome or None
        The least good of the gates.
    """

    label: str
    params: Mapping[str, Plain]
    n_attempted: int
    n_failed: int
    figures: Mapping[str, FigureView]
    gates: tuple[GateView, ...]
    outcome: GateOutcome | None

    def gates_with(self, outcome: GateOutcome) -> list[GateView]:
        """Return the gates that came out so."""
        return [gate for gate in self.gates if gate.outcome is outcome]


@dataclass(frozen=True)
class FrontPointView(View):
    """A configuration in the plane of quality and cost.

    Parameters
    ----------
    configuration : str
        Label.
    quality, cost : FigureView
    is_best : bool
        Whether no other is at least as good in both and better in one.
    """

    configuration: str
    quality: FigureView
    cost: FigureView
    is_best: bool


@dataclass(frozen=True)
class FrontView(View):
    """Quality against a cost.

    Parameters
    ----------
    quality, cost : str
        Metrics.
    points : tuple of FrontPointView
        The configurations that have both.
    """

    quality: str
    cost: str
    points: tuple[FrontPointView, ...]


@dataclass(frozen=True)
class MapView(View):
    """One metric over the levels of one or two swept parameters; clips of all others are pooled.

    Parameters
    ----------
    metric : str
    across, down : str
        Parameters; `down` is None where only one was swept.
    columns, rows : tuple
        Levels; one row of None without `down`.
    cells : tuple of tuple of FigureView
        A row each.
    """

    metric: str
    across: str
    down: str | None
    columns: tuple[Plain, ...]
    rows: tuple[Plain, ...]
    cells: tuple[tuple[FigureView, ...], ...]


def configuration_views(analysis: RunAnalysis, policy: Policy | None) -> tuple[ConfigurationView, ...]:
    """Return every configuration that has a result, in the order of the plan."""
    known = known_metrics(analysis.metrics.values())
    return tuple(_configuration(analysis, one, policy, known) for one in analysis.configurations)


def front_views(analysis: RunAnalysis) -> tuple[FrontView, ...]:
    """Return quality against each cost."""
    return tuple(
        FrontView(
            front.quality,
            front.cost,
            tuple(
                FrontPointView(
                    analysis.configurations[place].label,
                    _figure(analysis, analysis.configurations[place], front.quality),
                    _figure(analysis, analysis.configurations[place], front.cost),
                    is_best,
                )
                for place, is_best in zip(front.places, front.is_best, strict=True)
            ),
        )
        for front in analysis.fronts
    )


def map_views(analysis: RunAnalysis) -> tuple[MapView, ...]:
    """Return the main metrics over every pair of swept parameters, and all others over the first pair."""
    names = list(analysis.levels)
    pairs: list[tuple[str, str | None]] = list(combinations(names, 2)) or [(name, None) for name in names]
    more = [name for name in analysis.measured if name not in analysis.main]
    return tuple(
        map_view(analysis, metric, across, down)
        for place, (across, down) in enumerate(pairs)
        for metric in (*analysis.main, *(more if place == 0 else ()))
    )


def map_view(analysis: RunAnalysis, metric: str, across: str, down: str | None) -> MapView:
    """Return one metric over one or two parameters."""
    columns = analysis.levels[across]
    rows: list[Hashable] = analysis.levels[down] if down is not None else [None]
    return MapView(
        metric=metric,
        across=across,
        down=down,
        columns=tuple(plain_param(level) for level in columns),
        rows=tuple(plain_param(level) for level in rows),
        cells=tuple(
            tuple(
                _pooled(analysis, metric, {across: x} if down is None else {across: x, down: y})
                for x in columns
            )
            for y in rows
        ),
    )


def _configuration(
    analysis: RunAnalysis, one: Configuration, policy: Policy | None, known: Mapping[str, Metric]
) -> ConfigurationView:
    rules = [rule for rule in policy.rules if rule.kind == "hard"] if policy is not None else []
    coverage = policy.min_coverage if policy is not None else 0.0
    gates = tuple(
        gate_view(judge(rule, one.rows, known[rule.metric].unit, coverage), rule, known[rule.metric])
        for rule in rules
    )
    return ConfigurationView(
        label=one.label,
        params={name: plain_param(value) for name, value in one.params.items()},
        n_attempted=len(one.trials),
        n_failed=one.n_failed,
        figures={name: _figure(analysis, one, name) for name in analysis.metrics},
        gates=gates,
        outcome=worst_outcome(gates),
    )


def _figure(analysis: RunAnalysis, one: Configuration, metric: str) -> FigureView:
    return figure_of_summary(analysis.metrics[metric], one.summaries[metric])


def _pooled(analysis: RunAnalysis, metric: str, levels: Mapping[str, Hashable]) -> FigureView:
    """Return a metric over all clips with these levels."""
    matching = [
        one
        for one in analysis.configurations
        if all(one.params[name] == level for name, level in levels.items())
    ]
    if len(matching) == 1:
        return _figure(analysis, matching[0], metric)
    rows = [row for one in matching for row in one.rows]
    return figure_of_summary(analysis.metrics[metric], summarise(metric, rows))
