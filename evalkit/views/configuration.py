"""Configurations of a sweep: their figures and gates, what is best for its cost, and every metric over the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from evalkit.decisions.gates import judge_configuration
from evalkit.decisions.judge import Grade
from evalkit.views.figure import FigureView, figure_of_summary
from evalkit.views.gate import GateView, gate_view, worst_grade
from evalkit.views.spending import SpendingView, spending_view
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from collections.abc import Hashable

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.decisions.policy import Policy


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
    grade : Grade or None
        The least good of the gates.
    spending : SpendingView
        What making its videos took of the kind of machine that times are of.
    soft : tuple of GateView
        The soft rules, judged alike: one that is missed warns.
    """

    label: str
    params: Mapping[str, Plain]
    n_attempted: int
    n_failed: int
    figures: Mapping[str, FigureView]
    gates: tuple[GateView, ...]
    grade: Grade | None
    spending: SpendingView
    soft: tuple[GateView, ...] = ()

    def gates_with(self, grade: Grade) -> list[GateView]:
        """Return the gates with this grade."""
        return [gate for gate in self.gates if gate.grade is grade]


@dataclass(frozen=True)
class FrontPointView(View):
    """A configuration in the plane of quality and cost.

    Parameters
    ----------
    configuration : str
        Label.
    quality, cost : FigureView
    is_best : bool
        Whether by their means no other is at least as good in both and better in one.
    is_beaten : bool
        Whether one that is as good or better in both is so in one for sure.
    """

    configuration: str
    quality: FigureView
    cost: FigureView
    is_best: bool
    is_beaten: bool


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
    """Return every configuration that has a result, in the order of the plan.

    Parameters
    ----------
    analysis : RunAnalysis
    policy : Policy or None
    """
    views = []
    for configuration in analysis.configurations:
        lines = () if policy is None else judge_configuration(analysis.table, configuration, policy)
        views.append(_configuration(analysis, configuration, [gate_view(line) for line in lines]))
    return tuple(views)


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
                    is_beaten,
                )
                for place, is_best, is_beaten in zip(
                    front.places, front.is_best, front.is_beaten, strict=True
                )
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
                _figure(
                    analysis,
                    analysis.table.pooled({across: x} if down is None else {across: x, down: y}),
                    metric,
                )
                for x in columns
            )
            for y in rows
        ),
    )


def _configuration(
    analysis: RunAnalysis, configuration: Configuration, judged: Sequence[GateView]
) -> ConfigurationView:
    gates = tuple(gate for gate in judged if gate.kind == "hard")
    return ConfigurationView(
        label=configuration.label,
        params={name: plain_param(value) for name, value in configuration.params.items()},
        n_attempted=len(configuration.rows),
        n_failed=configuration.n_failed,
        figures={name: _figure(analysis, configuration, name) for name in analysis.metrics},
        gates=gates,
        grade=worst_grade(gates),
        spending=spending_view(configuration.spending),
        soft=tuple(gate for gate in judged if gate.kind == "soft"),
    )


def _figure(analysis: RunAnalysis, configuration: Configuration, name: str) -> FigureView:
    metric = analysis.metrics[name]
    return figure_of_summary(metric, configuration.summary(metric))
