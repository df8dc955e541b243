"""What a plan can show before it is carried out: the differences it finds, and the gates it can pass.

A policy and numbers of inputs are enough; the spread between clips is given, or learned from finished runs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import inf, prod, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.pairs import pair_clips
from evalkit.analysis.reducers import MEAN, WORST
from evalkit.analysis.table import rows_of_run
from evalkit.decisions.budget import MIN_PAIRS, ErrorBudget
from evalkit.errors import UsageError
from evalkit.formatting import count, count_levels, name_factor, three_digits
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.means import MIN_LEVELS, MIN_UNITS, fit_mean, independent_factors
from evalkit.stats.power import (
    attempts_to_stay_below,
    clips_to_pass,
    minimum_detectable_effect,
    n_pairs_needed,
    power_to_find,
    power_to_pass,
    power_to_stay_below,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalkit.decisions.policy import Policy, Rule
    from evalkit.runs import Run
    from evalkit.types import Metric

PASS_POWER = 0.9
"""Chance to pass a gate that is planned for."""
EFFECT_SIZES = (0.2, 0.5, 0.8)
"""Small, medium and large differences, in spreads (Cohen 1988): for whom the spread is not known."""
ROOMS = (0.25, 0.5, 1.0)
"""How far inside its limit a mean may lie, in spreads."""
COST_OF_SKEWNESS = 2
"""Clips by which the interval that holds for skewed values too, see `evalkit.stats.means`, falls behind Student's in power:
by simulation with normal values, 20 to 60 clips."""
_ENOUGH_LEVELS = 2 * MIN_LEVELS
"""More levels of a factor change nothing in what can be known at all."""


@dataclass(frozen=True)
class Design:
    """On what each configuration is tried: every portrait with every piece of speech and every seed.

    Parameters
    ----------
    n_configurations : int
    portraits, speech, seeds : int
        Different ones, at least 1: what is not given is one.
    given : tuple of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    """

    n_configurations: int = 1
    portraits: int = 1
    speech: int = 1
    seeds: int = 1
    given: tuple[str, ...] = ()

    @property
    def levels(self) -> dict[str, int]:
        """Number of levels by factor."""
        return {"portrait": self.portraits, "speech": self.speech, "seed": self.seeds}

    @property
    def n_clips(self) -> int:
        """Clips of each configuration."""
        return prod(self.levels.values())

    @property
    def n_distinct(self) -> int:
        """Clips of each configuration that are no further draws of the same input: what they count for at best."""
        return prod(self.levels[name] for name in self._independent)

    @property
    def n_units(self) -> int:
        """What they count for at worst: levels of the factor with the fewest, if that is what makes clips differ."""
        return min((self.levels[name] for name in self._independent), default=1)

    @property
    def reason(self) -> str | None:
        """Why nothing can be known beyond the inputs tried, as it will be said of the results; None where it can."""
        values = np.arange(len(self._factors["portrait"]), dtype=np.float64)
        return fit_mean(values, self._factors, given=self.given).reason

    @property
    def _independent(self) -> Iterable[str]:
        return independent_factors(self._factors, self.given)

    @property
    def _factors(self) -> dict[str, list[int]]:
        """Levels of each clip of a design as large as matters."""
        sizes = [range(min(n, _ENOUGH_LEVELS)) for n in self.levels.values()]
        return dict(zip(self.levels, map(list, zip(*itertools.product(*sizes), strict=True)), strict=True))

    def describe(self) -> str:
        """Say how many clips there are, and of what.

        >>> Design(9, 4, 15).describe()
        '60 clips for each of 9 configurations (4 portraits x 15 pieces of speech x 1 seed)'
        """
        parts = " x ".join(count_levels(name, n) for name, n in self.levels.items())
        each = "" if self.n_configurations == 1 else f" for each of {self.n_configurations} configurations"
        return f"{count(self.n_clips, 'clip')}{each} ({parts})"


@dataclass(frozen=True)
class Spread:
    """How much the values of a metric differ, in its unit.

    Parameters
    ----------
    between : float or None
        Standard deviation between clips of one configuration.
    paired : float or None
        That of the differences between two configurations on the same inputs.
    n : int
        Values behind it; 0 where it was given.
    source : str
        Where it is from, for people.
    mean : float or None
        Mean of the values, where they are of one configuration.
    """

    between: float | None
    paired: float | None
    n: int
    source: str
    mean: float | None = None


@dataclass(frozen=True)
class DifferencePlan:
    """How many inputs find a difference between two configurations in a metric.

    Parameters
    ----------
    metric, unit : str
    is_primary : bool
        Whether the policy asks it first; what is not is exploratory, and tested together with all other metrics.
    alpha : float
        Two-sided, as a first comparison tests it.
    power : float
        Chance to find it.
    fewest : int
        Pairs without which nothing is claimed about a mean.
    n_by_size : dict of str to int or None
        Inputs needed for differences of so many spreads.
    effect : float or None
        Difference to find, in the metric's unit.
    spread : Spread or None
    n_needed : int or None
        Inputs for each configuration that find the effect; None where effect or spread is not known.
    n_planned : int or None
    detectable_spreads, detectable : float or None
        Smallest difference that the plan finds, in spreads and in the metric's unit; None where it can claim none.
    detectable_spreads_at_worst : float or None
        The same where inputs that share a level (a portrait, a text) count as one.
    power_planned : float or None
        Chance that the plan finds the effect.
    """

    metric: str
    unit: str
    is_primary: bool
    alpha: float
    power: float
    fewest: int
    n_by_size: dict[str, int | None]
    effect: float | None = None
    spread: Spread | None = None
    n_needed: int | None = None
    n_planned: int | None = None
    detectable_spreads: float | None = None
    detectable: float | None = None
    detectable_spreads_at_worst: float | None = None
    power_planned: float | None = None


@dataclass(frozen=True)
class GatePlan:
    """How many clips or attempts pass a gate.

    Parameters
    ----------
    name, requirement : str
    kind : {"mean", "share", "value"}
        A bound of a mean, an exact bound of a share, or the value alone.
    counts : {"clips", "attempts", "raters"}
        What n counts; no plan has raters.
    power : float
        Chance to pass that is planned for.
    fewest, fewest_alone : int
        Without so many it cannot pass: in this plan, and in a run of one configuration.
    n_planned : int or None
    can_pass : bool or None
        Whether the plan has so many; None without a plan.
    n_by_quality : dict of str to int or None
        What is needed where nothing is known: for true means so many spreads inside the limit, or true shares.
    quality : float or None
        The true value of the release, in the metric's unit.
    spread : Spread or None
    n_needed, n_needed_alone : int or None
        That pass a release of this quality with this power: in this plan, and in a run of one configuration.
    power_planned : float or None
        Chance that the plan passes a release of this quality.
    """

    name: str
    requirement: str
    kind: str
    counts: str
    power: float
    fewest: int
    fewest_alone: int
    n_planned: int | None = None
    can_pass: bool | None = None
    n_by_quality: dict[str, int | None] = field(default_factory=dict)
    quality: float | None = None
    spread: Spread | None = None
    n_needed: int | None = None
    n_needed_alone: int | None = None
    power_planned: float | None = None


@dataclass(frozen=True)
class EvidencePlan:
    """What is planned, and what it can show.

    Parameters
    ----------
    policy : str
    design : Design or None
    difference : DifferencePlan
    gates : tuple of GatePlan
        One a rule, in the policy's order.
    unknowable : str or None
        Why the plan shows nothing beyond its own inputs.
    """

    policy: str
    design: Design | None
    difference: DifferencePlan
    gates: tuple[GatePlan, ...]
    unknowable: str | None = None


def plan_evidence(
    policy: Policy,
    design: Design | None = None,
    *,
    metric: str | None = None,
    effect: float | None = None,
    power: float = 0.8,
    spreads: Mapping[str, Spread] | None = None,
    quality: Mapping[str, float] | None = None,
) -> EvidencePlan:
    """Say what a plan can show under a policy, at the first look at its results.

    Parameters
    ----------
    policy : Policy
    design : Design, optional
        What is planned; without it only what is needed is said.
    metric : str, optional
        In which a difference is to be found: the policy's first primary metric unless given.
    effect : float, optional
        Difference to find, in the metric's unit: the policy's margin unless given.
    power : float
        Chance to find it.
    spreads : mapping of str to Spread, optional
        By metric.
    quality : mapping of str to float, optional
        True values of the release by the names of rules: means, or shares from 0 to 1.

    Raises
    ------
    UsageError
        If the policy does not know the metric or a rule, or a number cannot be.
    """
    quality = dict(quality or {})
    names = [rule.name for rule in policy.rules]
    unknown = [name for name in quality if name not in names]
    if unknown:
        raise UsageError(
            f"policy {policy.name!r} has no rule for {unknown[0]!r}, whose quality was given "
            f"(it has: {', '.join(dict.fromkeys(names))})"
        )
    spreads = spreads or {}
    gates = [_plan_gate(rule, design, spreads.get(rule.metric.name), quality) for rule in policy.rules]
    return EvidencePlan(
        policy=policy.name,
        design=design,
        difference=_plan_difference(policy, design, name=metric, effect=effect, power=power, spreads=spreads),
        gates=tuple(gates),
        unknowable=design.reason if design is not None else None,
    )


def _plan_difference(
    policy: Policy,
    design: Design | None,
    *,
    name: str | None,
    effect: float | None,
    power: float,
    spreads: Mapping[str, Spread],
) -> DifferencePlan:
    metric = policy.primary[0] if name is None else _find_metric(policy, name)
    rule = policy.rule_for(metric.name)
    effect = effect if effect is not None else rule.margin if rule is not None else None
    is_primary = metric.name in {asked.name for asked in policy.primary}
    n_asked = len(policy.primary) if is_primary else 1
    alpha = ErrorBudget().claim_alpha / n_asked
    spread = spreads.get(metric.name)
    paired = None if spread is None else spread.paired

    def needed(ratio_spread: float, size: float) -> int | None:
        n = n_pairs_needed(ratio_spread, size, power=power, alpha=alpha)
        return None if n is None else max(n + COST_OF_SKEWNESS, MIN_PAIRS)

    found = at_worst = chance = None
    if design is not None and design.reason is None and design.n_distinct >= MIN_PAIRS:
        n = design.n_distinct - COST_OF_SKEWNESS
        found = minimum_detectable_effect(1.0, n, power=power, alpha=alpha)
        if design.n_units < design.n_distinct:
            at_worst = minimum_detectable_effect(1.0, design.n_units, power=power, alpha=alpha)
        if effect is not None and paired is not None:
            chance = power_to_find(paired, effect, n, alpha=alpha)
    return DifferencePlan(
        metric=metric.name,
        unit="" if metric.unit == "1" else metric.unit,
        is_primary=is_primary,
        alpha=alpha,
        power=power,
        fewest=MIN_PAIRS,
        n_by_size={f"{size:g}": needed(1.0, size) for size in EFFECT_SIZES},
        effect=effect,
        spread=spread,
        n_needed=None if effect is None or paired is None else needed(paired, effect),
        n_planned=None if design is None else design.n_distinct,
        detectable_spreads=found,
        detectable=None if found is None or paired is None else found * paired,
        detectable_spreads_at_worst=at_worst,
        power_planned=chance,
    )


def _find_metric(policy: Policy, name: str) -> Metric:
    named = (*(rule.metric for rule in policy.rules), policy.quality, *policy.primary, *policy.costs)
    known = known_metrics(named)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown metric {name!r}{hint} (evalkit list metrics names them)")
    return known[name]


def _plan_gate(
    rule: Rule, design: Design | None, spread: Spread | None, qualities: Mapping[str, float]
) -> GatePlan:
    budget = ErrorBudget(n_configurations=1 if design is None else design.n_configurations)
    alone = ErrorBudget()
    kind = _kind(rule)
    counts = "clips"
    if rule.metric.family == "rating":
        counts = "raters"
    elif rule.metric.name == ERROR_RATE.name:
        counts = "attempts"
    n_planned = None
    if design is not None and counts != "raters":
        n_planned = design.n_clips if counts == "attempts" else design.n_distinct
    fewest, fewest_alone = (rule.fewest_within(which) for which in (budget, alone))
    if counts == "raters":  # how many a width takes is asked of evalkit rate plan
        kind, spread, fewest, fewest_alone = "value", None, rule.fewest_raters, rule.fewest_raters
    quality = qualities.get(rule.name, spread.mean if spread is not None and kind == "mean" else None)
    if quality is not None:
        _check_quality(rule, kind, quality)
    between = None if spread is None else spread.between
    can_pass = None
    if design is not None and n_planned is not None:
        can_pass = n_planned >= fewest and (kind != "mean" or design.reason is None)
    known = quality is not None and (kind == "share" or between is not None)
    truth = _Truth(rule, kind, quality or 0.0, between or 0.0) if known else None
    chance = None
    if truth is not None and n_planned is not None:
        chance = truth.chance(n_planned, budget) if can_pass else 0.0
    return GatePlan(
        name=rule.name,
        requirement=rule.requirement(),
        kind=kind,
        counts=counts,
        power=PASS_POWER,
        fewest=fewest,
        fewest_alone=fewest_alone,
        n_planned=n_planned,
        can_pass=can_pass,
        n_by_quality=_by_quality(rule, kind, budget),
        quality=quality,
        spread=spread,
        n_needed=None if truth is None else truth.n_needed(budget),
        n_needed_alone=None if truth is None else truth.n_needed(alone),
        power_planned=chance,
    )


class _Truth(NamedTuple):
    """What a release is, seen from one rule on a mean or a share."""

    rule: Rule
    kind: str
    quality: float
    between: float

    def n_needed(self, budget: ErrorBudget) -> int | None:
        fewest = self.rule.fewest_within(budget)
        if self.kind == "share":
            n = attempts_to_stay_below(
                self.rule.inner_limits[1], self.quality, power=PASS_POWER, alpha=budget.share_alpha
            )
            return None if n is None else max(n, fewest)
        return _clips_to_pass(self.rule.inner_limits, self.quality, self.between, budget, fewest)

    def chance(self, n: int, budget: ErrorBudget) -> float:
        limits = self.rule.inner_limits
        if self.kind == "share":
            return power_to_stay_below(limits[1], self.quality, n, alpha=budget.share_alpha)
        return power_to_pass(
            limits, self.quality, self.between, n - COST_OF_SKEWNESS, alpha=budget.gate_alpha
        )


def _clips_to_pass(
    limits: tuple[float, float], mean: float, spread: float, budget: ErrorBudget, fewest: int
) -> int | None:
    n = clips_to_pass(limits, mean, spread, power=PASS_POWER, alpha=budget.gate_alpha)
    return None if n is None else max(n + COST_OF_SKEWNESS, fewest)


def _check_quality(rule: Rule, kind: str, quality: float) -> None:
    if rule.metric.family == "rating":
        raise UsageError(f"{rule.name} is of people: evalkit rate plan says how many raters a width needs")
    if kind == "value":
        raise UsageError(f"{rule.name} is judged by its value alone: how good a release is says nothing of n")
    if rule.is_share and not 0 <= quality <= 1:
        raise UsageError(f"{rule.name} cannot be {quality:g}: it is a share, from 0 to 1 (0.005 for 0.5 %)")
    if not rule.is_share and not rule.metric.allows(quality):
        raise UsageError(f"{rule.name} cannot be {quality:g}: that is outside of the metric's bounds")


def _kind(rule: Rule) -> str:
    if rule.judged_by == "value" or rule.reduction == WORST:
        return "value"
    if rule.is_share:
        return "share"
    return "mean" if rule.reduction == MEAN else "value"


def _by_quality(rule: Rule, kind: str, budget: ErrorBudget) -> dict[str, int | None]:
    """Return what is needed for qualities that are easy to picture, where neither quality nor spread is known."""
    if kind == "mean":
        fewest = rule.fewest_within(budget)
        return {f"{room:g}": _clips_to_pass((-inf, room), 0.0, 1.0, budget, fewest) for room in ROOMS}
    if kind == "share":
        limit = rule.inner_limits[1]
        shares = (0.0, limit / 10, limit / 4)
        return {f"{share:g}": _Truth(rule, kind, share, 0.0).n_needed(budget) for share in shares}
    return {}


def learn_spreads(runs: Sequence[Run], names: Iterable[str]) -> dict[str, Spread]:
    """Learn from finished runs how much values differ, by metric; what none of them measured twice is left out.

    Spreads of several configurations and runs are pooled by their degrees of freedom. Without two configurations the
    paired spread is that of clips that have nothing in common, the root of 2 times theirs: it is at most that, unless
    one configuration is good where the other is bad.

    Parameters
    ----------
    runs : sequence of Run
    names : iterable of str
        Metrics.
    """
    grids = [rows_of_run(run).configurations for run in runs]
    pairings = [
        pair_clips(first.rows, second.rows).pairs
        for configurations in grids
        for first, second in itertools.combinations(configurations, 2)
    ]
    source = ", ".join(run.folder.name for run in runs)
    found = {}
    for name in names:
        between, paired, values = _Pool(), _Pool(), []
        for configuration in itertools.chain.from_iterable(grids):
            values.append([value for row in configuration.rows if (value := row.value(name)) is not None])
            between.add(values[-1])
        for pairs in pairings:
            both = [(first.value(name), second.value(name)) for first, second in pairs]
            paired.add([b - a for a, b in both if a is not None and b is not None])
        if between.spread is None:
            continue
        own_pairs = paired.spread
        words = f"from {count(between.n, 'clip')} of {source}"
        if own_pairs is None:
            words += ", as if the two had nothing in common: it has a single configuration"
        found[name] = Spread(
            between=between.spread,
            paired=sqrt(2) * between.spread if own_pairs is None else own_pairs,
            n=between.n if own_pairs is None else paired.n,
            source=words,
            mean=float(np.mean(values[0])) if len(values) == 1 else None,
        )
    return found


class _Pool:
    """Standard deviations of several groups, pooled by their degrees of freedom."""

    def __init__(self) -> None:
        self.n = 0
        self._squares = 0.0
        self._df = 0

    def add(self, values: Sequence[float]) -> None:
        if len(values) > 1:
            self.n += len(values)
            self._df += len(values) - 1
            self._squares += float(np.var(values)) * len(values)

    @property
    def spread(self) -> float | None:
        return sqrt(self._squares / self._df) if self._df else None


def describe_brief(plan: EvidencePlan) -> list[str]:
    """Say in a few lines what the planned n can show, for who is about to begin."""
    design, difference = plan.design, plan.difference
    if design is None:
        return []
    lines = [f"what this can show: {design.describe()}"]
    if plan.unknowable is not None:
        words = (
            f"nothing can be known beyond these inputs: {plan.unknowable}; no difference is claimed and no gate on a "
            f"mean passes"
        )
        if design.n_distinct >= MIN_UNITS:
            words += " (where these levels are all that matter, the policy says so under `given`)"
        lines.append(words)
    elif difference.detectable_spreads is None:
        lines.append(
            f"no difference between two configurations is claimed: {design.n_distinct} of the {difference.fewest} "
            f"inputs that needs"
        )
    else:
        lines.append(_describe_detectable(difference, design))
    lines.append(_describe_gates(plan.gates))
    return lines


def _describe_detectable(difference: DifferencePlan, design: Design) -> str:
    words = (
        f"{difference.metric}: two configurations that differ by {difference.detectable_spreads:.2g} spreads are told "
        f"apart in {100 * difference.power:g} %"
    )
    if difference.detectable is not None:
        words += f" ({three_digits(difference.detectable)} {difference.unit}".rstrip() + ")"
    if difference.detectable_spreads_at_worst is not None:
        factor = min(
            (name for name, n in design.levels.items() if n == design.n_units and name not in design.given),
            key=list(design.levels).index,
        )
        words += (
            f"; by {difference.detectable_spreads_at_worst:.2g} if it is the {name_factor(factor, 2)} that differ: they are "
            f"{design.n_units}"
        )
    return words


def _describe_gates(gates: Sequence[GatePlan]) -> str:
    planned = [gate for gate in gates if gate.n_planned is not None]
    n_can = sum(gate.can_pass is True for gate in planned)
    needs: dict[str, list[str]] = {}
    for gate in planned:
        if not gate.can_pass and (gate.n_planned or 0) < gate.fewest:
            needs.setdefault(f"{gate.fewest} {gate.counts}", []).append(gate.name)
    most = max(needs, key=lambda need: len(needs[need]), default="")
    words = [
        need if need == most and len(names) > 1 else f"{need} for {', '.join(dict.fromkeys(names))}"
        for need, names in needs.items()
    ]
    found = f"{n_can} of {count(len(planned), 'gate')} can pass with so many"
    return f"{found}; needed are {'; '.join(words)}" if words else found


def describe_needs(plan: EvidencePlan) -> list[str]:
    """Say how many inputs find the difference, and how many clips or attempts pass each gate."""
    alike: dict[str, list[str]] = {}
    for gate in plan.gates:
        alike.setdefault(_describe_gate(gate), []).append(f"{gate.name} {gate.requirement}")
    gates = [f"{', '.join(names)}: {words}" for words, names in alike.items()]
    return [_describe_difference(plan.difference), *gates]


def _describe_difference(difference: DifferencePlan) -> str:
    """Say how many inputs find the difference, and what the planned ones find."""
    spread, share = difference.spread, f"{100 * difference.power:g} % of comparisons"
    unit = f" {difference.unit}" if difference.unit else ""
    if difference.effect is None or spread is None or spread.paired is None:
        sizes, numbers = (
            ", ".join(map(str, part)) for part in zip(*difference.n_by_size.items(), strict=True)
        )
        unknown = (
            "the spread of the differences" if difference.effect is not None else "the difference to find"
        )
        return (
            f"{difference.metric}: {unknown} is not known; differences of {sizes} spreads are found in {share} with "
            f"{numbers} inputs for each configuration"
        )
    effect = f"a difference of {three_digits(difference.effect)}{unit}"
    how = f"spread of the paired differences {three_digits(spread.paired)}{unit}, {spread.source}"
    if difference.n_needed is None:
        return f"{difference.metric}: {effect} is not found with a million inputs ({how})"
    words = (
        f"{difference.metric}: {effect} is found in {share} with {difference.n_needed} inputs for each configuration "
        f"({how})"
    )
    if difference.power_planned is not None:
        words += f"; the planned {difference.n_planned} find it in {_percent(difference.power_planned)}"
    elif difference.n_planned is not None:
        words += f"; the planned {difference.n_planned} claim none"
    if not difference.is_primary:
        words += "; the policy does not ask it first: it is tested together with all other metrics, which needs more"
    return words


def _describe_gate(gate: GatePlan) -> str:
    often = f"in {100 * gate.power:g} %"
    if gate.counts == "raters":
        return f"{gate.fewest} raters at least; evalkit rate plan says how many a width needs"
    if gate.kind == "value":
        return f"{gate.fewest} {gate.counts} at least; the value alone decides"
    if gate.quality is None:
        words = _describe_qualities(gate, often)
    elif gate.kind == "mean" and gate.spread is None:
        words = f"how much clips differ is not known (--spread or --runs): {_describe_qualities(gate, often)}"
    elif gate.n_needed is None:
        words = (
            f"a release of {three_digits(gate.quality)} is not shown to pass with any number of {gate.counts}"
        )
    else:
        words = f"a release of {three_digits(gate.quality)} passes {often} with {gate.n_needed} {gate.counts}"
        if gate.spread is not None and gate.kind == "mean":
            words += (
                f" (spread between clips {three_digits(gate.spread.between or 0.0)}, {gate.spread.source})"
            )
    if gate.n_needed_alone is not None and gate.n_needed_alone != gate.n_needed:
        words += f"; in a run of one configuration with {gate.n_needed_alone}"
    elif gate.fewest != gate.fewest_alone:
        words += f"; at least {gate.fewest}, in a run of one configuration {gate.fewest_alone}"
    if gate.power_planned is not None:
        words += f"; the planned {gate.n_planned} pass in {_percent(gate.power_planned)}"
    return words


def _describe_qualities(gate: GatePlan, often: str) -> str:
    numbers = ", ".join("more than a million" if n is None else str(n) for n in gate.n_by_quality.values())
    if gate.kind == "mean":
        rooms = ", ".join(gate.n_by_quality)
        return f"{numbers} clips pass {often} where the true mean lies {rooms} spreads inside"
    shares = ", ".join(f"{100 * float(share):.2g}" for share in gate.n_by_quality)
    return f"{numbers} {gate.counts} pass {often} where {shares} % are bad"


def _percent(chance: float) -> str:
    """Write a chance for people.

    >>> _percent(0.8577), _percent(0.9996), _percent(0.0)
    ('86 %', 'over 99 %', '0 %')
    """
    if chance > 0.99:
        return "over 99 %"
    return f"{100 * chance:.0f} %"
