"""Which configuration? The cheapest of those that are good enough, or none and what is nearest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.analysis.table import describe, shared_factors
from evalkit.decisions.signoff import RuleResult, Status, judge, overshoot
from evalkit.errors import UsageError
from evalkit.formatting import three_digits
from evalkit.stats.bootstrap import Estimate, estimate_mean
from evalkit.stats.pareto import pareto_front

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy, Rule
    from evalkit.types import Metric


class Outcome(StrEnum):
    """What can be said."""

    RECOMMENDED = "recommended"
    PROVISIONAL = "recommended, as far as it was measured"
    NONE = "none passes"


@dataclass(frozen=True)
class Candidate:
    """One configuration.

    Parameters
    ----------
    params : mapping
        Its swept parameters.
    lines : tuple of Line
        The hard rules of the policy, judged by the values alone: a sweep looks for the best, sign-off makes sure.
    means : mapping of str to Estimate
        Quality and costs.
    missed : tuple of str
        Hard rules that were measured and are not met.
    absent : tuple of str
        Hard rules that could not be judged.
    distance : float
        Largest miss as a share of its limit; 0 where nothing is missed.
    on_front : bool
        Whether no other configuration is at least as good in quality and every cost, and better in one.
    n_clips, n_failed : int
        Attempts, and those that gave no clip.
    """

    params: Mapping[str, Hashable]
    lines: tuple[RuleResult, ...]
    means: Mapping[str, Estimate]
    missed: tuple[str, ...]
    absent: tuple[str, ...]
    distance: float
    on_front: bool
    n_clips: int
    n_failed: int

    @property
    def name(self) -> str:
        """The parameters in words."""
        return describe(self.params)


@dataclass(frozen=True)
class Tradeoff:
    """What the chosen configuration gives up and saves beside another, over pairs of input and seed.

    Parameters
    ----------
    metric : Metric
    change : Estimate
        Chosen minus other.
    mean_other : float or None
        Mean of the other over the same pairs.
    """

    metric: Metric
    change: Estimate
    mean_other: float | None

    def text(self) -> str:
        """Write it for people."""
        if self.change.value is None:
            return f"{self.metric.name} unknown: {self.change.reason}"
        sign = "+" if self.change.value > 0 else ""
        unit = "" if self.metric.unit == "1" else f" {self.metric.unit}"
        words = f"{self.metric.name} {sign}{three_digits(self.change.value)}{unit}"
        if self.change.interval is not None:
            low, high = self.change.interval
            words += f" [{three_digits(low)}, {three_digits(high)}]"
        if self.mean_other:
            words += f" ({100 * self.change.value / abs(self.mean_other):+.0f} %)"
        return words


@dataclass(frozen=True)
class Recommendation:
    """The answer of a sweep.

    Parameters
    ----------
    outcome : Outcome
    chosen : Candidate or None
        The recommended configuration; where none passes, None.
    nearest : Candidate or None
        Where none passes: the one that misses fewest gates, and those by least.
    candidates : tuple of Candidate
        All, in the order of the table.
    unmeasured : tuple of str
        Hard rules that no configuration could be judged by.
    axes : tuple of Metric
        Quality, then costs: what the front is made of.
    other : Candidate or None
        The best quality among those that pass, where that is not the chosen one.
    tradeoffs : tuple of Tradeoff
        The chosen beside `other`, one an axis.
    cost : Metric or None
        What decided between those that pass; None where no cost was measured for all of them.
    """

    outcome: Outcome
    chosen: Candidate | None
    nearest: Candidate | None
    candidates: tuple[Candidate, ...]
    unmeasured: tuple[str, ...]
    axes: tuple[Metric, ...]
    other: Candidate | None
    tradeoffs: tuple[Tradeoff, ...]
    cost: Metric | None

    @property
    def answer(self) -> str:
        """In a few sentences."""
        return _say_none(self) if self.chosen is None else _say_chosen(self, self.chosen)

    @property
    def passing(self) -> list[Candidate]:
        """Those that meet every hard rule that any could be judged by."""
        unmeasured = set(self.unmeasured)
        return [one for one in self.candidates if not one.missed and set(one.absent) <= unmeasured]

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "outcome": self.outcome.value,
            "answer": self.answer,
            "chosen": None if self.chosen is None else dict(self.chosen.params),
            "nearest": None if self.nearest is None else dict(self.nearest.params),
            "unmeasured": list(self.unmeasured),
            "axes": [axis.name for axis in self.axes],
            "tradeoffs": [tradeoff.text() for tradeoff in self.tradeoffs],
            "candidates": [
                {
                    "params": dict(one.params),
                    "missed": list(one.missed),
                    "absent": list(one.absent),
                    "on_front": one.on_front,
                    "clips": one.n_clips,
                    "failed": one.n_failed,
                    "means": {name: estimate.value for name, estimate in one.means.items()},
                    "lines": [line.as_json() for line in one.lines],
                }
                for one in self.candidates
            ],
        }


def recommend(table: ResultTable, policy: Policy, known: Mapping[str, Metric]) -> Recommendation:
    """Find the configuration to use.

    Good enough is good enough: of the configurations that meet every hard rule, the cheapest in the first cost of
    the policy that was measured for all of them is recommended. Rules are judged by values, not by intervals, and
    without their least number of clips. A rule that no configuration could be judged by is named, and the answer
    is then provisional.

    Parameters
    ----------
    table : ResultTable
        Of a sweep.
    policy : Policy
    known : mapping of str to Metric
        For units, see `evalkit.analysis.catalogue.known_metrics`.

    Raises
    ------
    UsageError
        Without any clip.
    """
    if not table.rows:
        raise UsageError(f"{table.title}: nothing to recommend, it has no clip")
    groups = [(params, table.where(params).rows) for params in table.configurations()]
    axes = _measured_axes(policy, known, [rows for _, rows in groups])
    means = [_means([policy.quality, *policy.costs], rows) for _, rows in groups]
    candidates = tuple(
        replace(_candidate(params, rows, policy, known, mean), on_front=on_front)
        for (params, rows), mean, on_front in zip(groups, means, _front(axes, means), strict=True)
    )
    unmeasured = tuple(
        name for name in candidates[0].absent if all(name in candidate.absent for candidate in candidates)
    )
    found = Recommendation(Outcome.NONE, None, None, candidates, unmeasured, axes, None, (), None)
    if not found.passing or len(unmeasured) == len(candidates[0].lines):
        nearest = min(candidates, key=lambda one: (len(one.missed) + len(one.absent), one.distance))
        return replace(found, nearest=nearest)
    quality = known[policy.quality]
    best = min(found.passing, key=lambda one: _badness(one, quality))
    paid = (name for name in policy.costs if all(one.means[name].value is not None for one in found.passing))
    cost = next((known[name] for name in paid), None)
    chosen = best
    if cost is not None:
        chosen = min(found.passing, key=lambda one: (_badness(one, cost), _badness(one, quality)))
    other = None if best is chosen else best
    rows_of = {one.name: rows for one, (_, rows) in zip(candidates, groups, strict=True)}
    return replace(
        found,
        outcome=Outcome.PROVISIONAL if unmeasured else Outcome.RECOMMENDED,
        chosen=chosen,
        other=other,
        tradeoffs=() if other is None else _tradeoffs(axes, rows_of[chosen.name], rows_of[other.name]),
        cost=cost,
    )


def _candidate(
    params: Mapping[str, Hashable],
    rows: Sequence[ClipRecord],
    policy: Policy,
    known: Mapping[str, Metric],
    means: Mapping[str, Estimate],
) -> Candidate:
    rules = [_by_value(rule) for rule in policy.rules if rule.kind == "hard"]
    lines = [judge(rule, rows, known[rule.metric].unit, policy.min_coverage) for rule in rules]
    distances = [
        overshoot(rule, line.value) / (max(abs(edge) for edge in rule.limits if np.isfinite(edge)) or 1.0)
        for rule, line in zip(rules, lines, strict=True)
        if line.value is not None
    ]
    failed = [line for line in lines if line.status is Status.FAIL]
    return Candidate(
        params=params,
        lines=tuple(lines),
        means=means,
        missed=tuple(line.metric for line in failed if line.value is not None),
        absent=tuple(line.metric for line in failed if line.value is None),
        distance=max([0.0, *distances]),
        on_front=False,
        n_clips=len(rows),
        n_failed=sum(row.failure is not None for row in rows),
    )


def _by_value(rule: Rule) -> Rule:
    return rule.model_copy(update={"judged_by": "value", "min_n": 1})


def _means(names: Sequence[str], rows: Sequence[ClipRecord]) -> dict[str, Estimate]:
    means = {}
    for name in names:
        scored = [row for row in rows if name in row.values]
        means[name] = estimate_mean(np.array([row.values[name] for row in scored]), shared_factors(scored))
    return means


def _measured_axes(
    policy: Policy, known: Mapping[str, Metric], groups: Sequence[Sequence[ClipRecord]]
) -> tuple[Metric, ...]:
    """Return quality and costs that were measured in any configuration."""
    names = dict.fromkeys((policy.quality, *policy.costs))
    measured = [name for name in names if any(name in row.values for rows in groups for row in rows)]
    return tuple(known[name] for name in measured)


def _front(axes: Sequence[Metric], means: Sequence[Mapping[str, Estimate]]) -> list[bool]:
    """Say which configurations nothing beats; one that lacks a value on an axis is not on the front."""
    costs = [[_as_cost(axis, mean[axis.name].value) for axis in axes] for mean in means]
    complete = [index for index, row in enumerate(costs) if row and None not in row]
    flags = [False] * len(costs)
    if complete:
        beats_all = pareto_front(np.array([costs[index] for index in complete], dtype=np.float64))
        for index, flag in zip(complete, beats_all.tolist(), strict=True):
            flags[index] = flag
    return flags


def _as_cost(metric: Metric, value: float | None) -> float | None:
    """Return a value so that lower is better."""
    if value is None:
        return None
    if metric.better == "zero":
        return abs(value)
    return -value if metric.better == "higher" else value


def _badness(candidate: Candidate, metric: Metric) -> float:
    cost = _as_cost(metric, candidate.means[metric.name].value)
    return inf if cost is None else cost


def _tradeoffs(
    axes: Sequence[Metric], chosen: Sequence[ClipRecord], other: Sequence[ClipRecord]
) -> tuple[Tradeoff, ...]:
    partners = {(row.input, row.seed): row for row in other}
    pairs = [(row, partners[row.input, row.seed]) for row in chosen if (row.input, row.seed) in partners]
    found = []
    for axis in axes:
        scored = [(one, two) for one, two in pairs if axis.name in one.values and axis.name in two.values]
        here = np.array([one.values[axis.name] for one, _ in scored])
        there = np.array([two.values[axis.name] for _, two in scored])
        change = estimate_mean(here - there, shared_factors([one for one, _ in scored]))
        found.append(Tradeoff(axis, change, float(there.mean()) if scored else None))
    return tuple(found)


def _say_chosen(found: Recommendation, chosen: Candidate) -> str:
    gates = "every gate that was measured" if found.unmeasured else "every gate"
    n_passing, n_candidates = len(found.passing), len(found.candidates)
    if n_candidates == 1:
        words = f"Use {chosen.name}: the only configuration, and it passes {gates}"
    else:
        words = f"Use {chosen.name}: {n_passing} of {n_candidates} configurations pass {gates}"
        words += ", and of these it costs least" if found.cost is not None and n_passing > 1 else ""
    if found.cost is not None:
        value = chosen.means[found.cost.name].value
        words += f" ({found.cost.name} {three_digits(value or 0.0)} {found.cost.unit})"
    words += "."
    if found.other is not None:
        changes = "; ".join(one.text() for one in found.tradeoffs)
        words += f" Beside {found.other.name}, the best in quality: {changes}."
    if found.unmeasured:
        missing = ", ".join(found.unmeasured)
        words += f" Not measured in any configuration, so not yet to be released: {missing}."
    return words


def _say_none(found: Recommendation) -> str:
    nearest, unmeasured = found.nearest, found.unmeasured
    words = f"None of {len(found.candidates)} configurations passes."
    if nearest is not None:
        missed = [line for line in nearest.lines if line.metric in nearest.missed]
        lines = [
            f"{line.metric} {three_digits(line.value or 0.0)} instead of {line.limit}" for line in missed
        ]
        lines += [f"{name} not measured" for name in nearest.absent if name not in unmeasured]
        words += f" Nearest is {nearest.name}: {'; '.join(lines)}." if lines else ""
    if unmeasured:
        words += f" Not measured in any configuration: {', '.join(unmeasured)}."
    return words
