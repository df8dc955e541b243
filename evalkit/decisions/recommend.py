"""Which configuration? The cheapest of those that are good enough, or none and what is nearest."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from math import inf, isfinite
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from evalkit.analysis.configurations import Configuration
from evalkit.analysis.direction import loss
from evalkit.analysis.fronts import find_unbeaten
from evalkit.analysis.pairs import pair_clips
from evalkit.analysis.table import ResultTable
from evalkit.decisions.comparison import describe_change
from evalkit.decisions.judge import FaultKind, Grade, RuleResult, judge
from evalkit.decisions.policy import Policy
from evalkit.errors import UsageError
from evalkit.formatting import count, three_digits
from evalkit.stats.means import Estimate, estimate_mean
from evalkit.types import Metric
from evalkit.visuals.numbers import percent, unit_suffix

if TYPE_CHECKING:
    import pandas as pd
else:
    from evalkit.frames import pd

_MISSES = {FaultKind.BEYOND, FaultKind.TOO_CLOSE, FaultKind.COVERAGE}


class Outcome(StrEnum):
    """What can be said."""

    RECOMMENDED = "recommended"
    PROVISIONAL = "recommended, as far as it was measured"
    NONE = "none passes"


@dataclass(frozen=True)
class Candidate:
    """One configuration under the hard rules.

    Parameters
    ----------
    configuration : Configuration
    lines : tuple of RuleResult
        The hard rules of the policy, judged as sign-off judges them.
    distance : float
        Largest miss as a share of its limit; 0 where nothing is missed.
    on_front : bool
        Whether no other configuration is at least as good in quality and every cost, and better in one.
    """

    configuration: Configuration
    lines: tuple[RuleResult, ...]
    distance: float
    on_front: bool

    @property
    def params(self) -> Mapping[str, Hashable]:
        """Its swept parameters."""
        return self.configuration.params

    @property
    def name(self) -> str:
        """The parameters in words."""
        return self.configuration.label

    @property
    def n_clips(self) -> int:
        """Attempts."""
        return len(self.configuration.rows)

    @property
    def n_failed(self) -> int:
        """Attempts that gave no clip."""
        return self.configuration.n_failed

    @property
    def missed(self) -> tuple[str, ...]:
        """Hard rules whose value is beyond the limit, or that too few of the attempted clips have a value for.

        A sweep looks for the best, sign-off makes sure: how wide the interval is and how many clips there are does not
        count here.
        """
        return tuple(line.metric for line in self.lines if _is_missed(line))

    @property
    def absent(self) -> tuple[str, ...]:
        """Hard rules that could not be judged."""
        return tuple(line.metric for line in self.lines if line.grade is Grade.NOT_MEASURED)

    @property
    def unsure(self) -> tuple[RuleResult, ...]:
        """Hard rules that are not missed, but that sign-off would not pass for want of clips."""
        return tuple(
            line for line in self.lines if line.grade is Grade.TOO_FEW_CLIPS and not _is_missed(line)
        )


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
        words = f"{self.metric.name} {describe_change(self.change, self.metric)}"
        if self.mean_other:
            words += f" ({percent(self.change.value / abs(self.mean_other))})"
        return words


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        said: str = self.outcome
        for word, candidate in (("", self.chosen), ("nearest is ", self.nearest)):
            if candidate is not None:
                said += f": {word}{shorten(candidate.name, 60, placeholder='…')}"
        return f"<Recommendation among {count(len(self.candidates), 'configuration')}, {said}>"

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(text)}</p>" for text in (self.headline, *self.details))
        return words + self.frame().to_html(index=False, na_rep="")

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return _headline_none(self) if self.chosen is None else _headline_chosen(self, self.chosen)

    @property
    def details(self) -> tuple[str, ...]:
        """What the answer rests on and what it leaves open, a sentence each."""
        found = _details_none(self) if self.chosen is None else _details_chosen(self, self.chosen)
        return tuple(found)

    @property
    def answer(self) -> str:
        """Headline and details as one text."""
        return " ".join((self.headline, *self.details))

    @property
    def passing(self) -> list[Candidate]:
        """Those that miss no hard rule, and were judged by every rule that any could be judged by."""
        unmeasured = set(self.unmeasured)
        return [
            candidate
            for candidate in self.candidates
            if not candidate.missed and set(candidate.absent) <= unmeasured
        ]

    def frame(self) -> pd.DataFrame:
        """Return one row a configuration: parameters, how it came out, and quality and costs with interval and n."""
        passing = {id(candidate) for candidate in self.passing}
        rows = []
        for candidate in self.candidates:
            row: dict[str, Any] = {f"param.{name}": value for name, value in candidate.params.items()}
            row |= {
                "chosen": candidate is self.chosen,
                "passing": id(candidate) in passing,
                "on_front": candidate.on_front,
                "clips": candidate.n_clips,
                "failed": candidate.n_failed,
                "missed": ", ".join(candidate.missed),
                "not_measured": ", ".join(candidate.absent),
            }
            for axis in self.axes:
                summary = candidate.configuration.summary(axis)
                low, high = summary.interval or (None, None)
                row |= {
                    axis.name: summary.value,
                    f"{axis.name}.low": low,
                    f"{axis.name}.high": high,
                    f"{axis.name}.n": summary.n,
                }
            rows.append(row)
        return pd.DataFrame(rows)


def recommend(table: ResultTable, policy: Policy) -> Recommendation:
    """Find the configuration to use.

    Good enough is good enough: of the configurations that miss no hard rule, the cheapest in the first cost of the
    policy that was measured for all of them is recommended. Values decide, not intervals, and not the least number of
    clips. A rule that no configuration could be judged by is named, and the answer is then provisional.

    Parameters
    ----------
    table : ResultTable
        Of a sweep.
    policy : Policy

    Raises
    ------
    UsageError
        Without any clip, or where two clips are the same parameters, input and seed.
    """
    if not table.rows:
        raise UsageError(f"{table.title}: nothing to recommend, it has no clip")
    configurations = table.configurations
    axes = _measured_axes(policy, configurations)
    unbeaten = find_unbeaten(configurations, axes)
    candidates = tuple(
        _judge_configuration(configuration, policy, on_front=bool(is_unbeaten))
        for configuration, is_unbeaten in zip(configurations, unbeaten, strict=True)
    )
    unmeasured = tuple(
        name for name in candidates[0].absent if all(name in candidate.absent for candidate in candidates)
    )
    found = Recommendation(Outcome.NONE, None, None, candidates, unmeasured, axes, None, (), None)
    passing = found.passing
    if not passing or len(unmeasured) == len(candidates[0].lines):
        nearest = min(
            candidates,
            key=lambda candidate: (len(candidate.missed) + len(candidate.absent), candidate.distance),
        )
        return replace(found, nearest=nearest)
    best = min(passing, key=lambda candidate: _loss(candidate, policy.quality))
    cost = next(
        (
            metric
            for metric in policy.costs
            if all(candidate.configuration.summary(metric).value is not None for candidate in passing)
        ),
        None,
    )
    chosen = best
    if cost is not None:
        chosen = min(
            passing, key=lambda candidate: (_loss(candidate, cost), _loss(candidate, policy.quality))
        )
    other = None if best is chosen else best
    return replace(
        found,
        outcome=Outcome.PROVISIONAL if unmeasured else Outcome.RECOMMENDED,
        chosen=chosen,
        other=other,
        tradeoffs=() if other is None else _tradeoffs(axes, chosen.configuration, other.configuration),
        cost=cost,
    )


def _judge_configuration(configuration: Configuration, policy: Policy, *, on_front: bool) -> Candidate:
    rules = [rule for rule in policy.rules if rule.kind == "hard"]
    lines = tuple(judge(rule, configuration, policy.min_coverage) for rule in rules)
    distances = [
        rule.overshoot(line.value) / (max(abs(edge) for edge in rule.limits if isfinite(edge)) or 1.0)
        for rule, line in zip(rules, lines, strict=True)
        if line.value is not None
    ]
    return Candidate(configuration, lines, max([0.0, *distances]), on_front)


def _is_missed(line: RuleResult) -> bool:
    return any(fault.kind in _MISSES for fault in line.faults)


def _measured_axes(policy: Policy, configurations: Sequence[Configuration]) -> tuple[Metric, ...]:
    """Return quality and costs that were measured in any configuration."""
    axes = {metric.name: metric for metric in (policy.quality, *policy.costs)}.values()
    return tuple(
        axis
        for axis in axes
        if any(configuration.summary(axis).value is not None for configuration in configurations)
    )


def _loss(candidate: Candidate, metric: Metric) -> float:
    value = candidate.configuration.summary(metric).value
    return inf if value is None else loss(metric, value)


def _tradeoffs(axes: Sequence[Metric], chosen: Configuration, other: Configuration) -> tuple[Tradeoff, ...]:
    pairing = pair_clips(chosen.rows, other.rows, titles=(chosen.label, other.label))
    found = []
    for axis in axes:
        pairs = pairing.values(axis.name)
        change = estimate_mean(pairs.a - pairs.b, pairs.factors)
        found.append(Tradeoff(axis, change, float(pairs.b.mean()) if pairs.b.size else None))
    return tuple(found)


def _headline_chosen(found: Recommendation, chosen: Candidate) -> str:
    limits = "every limit that was measured" if found.unmeasured else "every limit"
    n_passing, n_candidates = len(found.passing), len(found.candidates)
    if n_candidates == 1:
        words = f"Use {chosen.name}: the only configuration, and it keeps {limits}"
    else:
        keep = "keeps" if n_passing == 1 else "keep"
        words = f"Use {chosen.name}: {n_passing} of {n_candidates} configurations {keep} {limits}"
        words += ", and of these it costs least" if found.cost is not None and n_passing > 1 else ""
    if found.cost is not None:
        value = chosen.configuration.summary(found.cost).value
        words += f" ({found.cost.name} {three_digits(value or 0.0)}{unit_suffix(found.cost.unit)})"
    return f"{words}."


def _details_chosen(found: Recommendation, chosen: Candidate) -> list[str]:
    details = []
    if found.other is not None:
        changes = "; ".join(tradeoff.text() for tradeoff in found.tradeoffs)
        details.append(f"Beside {found.other.name}, the best in quality: {changes}.")
    if chosen.unsure:
        names = ", ".join(line.metric for line in chosen.unsure)
        details.append(f"Sign-off needs more clips to judge {names}.")
    if found.unmeasured:
        missing = ", ".join(found.unmeasured)
        details.append(f"Not measured in any configuration, so not yet to be released: {missing}.")
    return details


def _headline_none(found: Recommendation) -> str:
    n = len(found.candidates)
    return "The only configuration does not pass." if n == 1 else f"None of {n} configurations passes."


def _details_none(found: Recommendation) -> list[str]:
    details = []
    if found.nearest is not None:
        missed = [_describe_miss(line) for line in found.nearest.lines if _is_missed(line)]
        missed += [f"{name} not measured" for name in found.nearest.absent if name not in found.unmeasured]
        details += [f"Nearest is {found.nearest.name}: {'; '.join(missed)}."] if missed else []
    if found.unmeasured:
        details.append(f"Not measured in any configuration: {', '.join(found.unmeasured)}.")
    return details


def _describe_miss(line: RuleResult) -> str:
    if line.grade is Grade.FAILS:
        return f"{line.metric} {three_digits(line.value or 0.0)} instead of {line.limit}"
    return f"{line.metric}: {line.evidence}"
