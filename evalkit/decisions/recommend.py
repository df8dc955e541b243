"""Which configuration? The cheapest of those that pass, where that can be told; or what keeps an answer from being given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from evalkit.analysis.fronts import find_unbeaten
from evalkit.analysis.pairs import pair_clips
from evalkit.analysis.ranking import Ranking, rank_first
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.gates import judge_configuration, rank_grade
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Candidate, Outcome, Recommendation, Tradeoff
from evalkit.errors import UsageError
from evalkit.stats.means import Estimate, estimate_of

if TYPE_CHECKING:
    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.policy import Policy
    from evalkit.types import Metric

_OUTCOMES = {
    Grade.TOO_FEW_CLIPS: Outcome.TOO_FEW_CLIPS,
    Grade.NOT_MEASURED: Outcome.NOT_MEASURED,
    Grade.FAILS: Outcome.NONE,
}


def recommend(table: ResultTable, policy: Policy) -> Recommendation:
    """Find the configuration to use.

    Only a configuration that passes every hard rule can be recommended, judged as sign-off judges it. Of several the
    cheapest is, in the first cost of the policy that was measured for all of them, if paired intervals over the
    inputs that all have set it apart from every other; otherwise those that cannot be told apart are named.

    Parameters
    ----------
    table : ResultTable
        Of a sweep.
    policy : Policy

    Raises
    ------
    UsageError
        Without any clip, or where two clips are the same parameters, input and seed.

    Notes
    -----
    Among equal configurations a single one is named in at most 5 % of sweeps, and among those that should not pass
    one is recommended in at most 5 %, however many there are (docs/statistics.md).
    """
    if not table.rows:
        raise UsageError(f"{table.title}: nothing to recommend, it has no clip")
    table, budget = replace(table, given=policy.given), ErrorBudget.of(table)
    axes = _measured_axes(policy, table.configurations)
    candidates = _judge_all(table, policy, axes)
    found = Recommendation(Outcome.NONE, policy, budget, candidates, axes, search=table.search)
    if not found.open:
        return replace(found, nearest=_nearest(found.kept or candidates))
    if not found.passing:
        nearest = _nearest(found.open)
        decided_by = _decide(found.open, policy, budget)
        return replace(found, outcome=_OUTCOMES[nearest.grade], nearest=nearest, decided_by=decided_by)
    passing = found.passing
    decided_by = _decide(passing, policy, budget)
    quality = _rank(passing, policy.quality, policy, budget) if len(passing) > 1 else None
    if decided_by is not None and decided_by.metric.name == policy.quality.name:
        quality = decided_by
    first = passing if decided_by is None else tuple(passing[place] for place in decided_by.first)
    found = replace(found, decided_by=decided_by, quality=quality)
    if len(first) > 1:
        return replace(found, outcome=Outcome.TIED, tied=first)
    found = replace(found, outcome=Outcome.RECOMMENDED, chosen=first[0])
    if found.other is None:
        return found
    return replace(found, tradeoffs=_tradeoffs(axes, first[0].configuration, found.other.configuration))


def _judge_all(table: ResultTable, policy: Policy, axes: Sequence[Metric]) -> tuple[Candidate, ...]:
    configurations = table.configurations
    keys = [{(row.input, row.seed) for row in configuration.rows} for configuration in configurations]
    every = set().union(*keys)
    unbeaten = find_unbeaten(configurations, axes)
    candidates = []
    for configuration, own, is_unbeaten in zip(configurations, keys, unbeaten, strict=True):
        judged = judge_configuration(table, configuration, policy)
        of_run, of_rules = judged[: -len(policy.rules)], judged[-len(policy.rules) :]
        hard = [
            (rule, line) for rule, line in zip(policy.rules, of_rules, strict=True) if rule.kind == "hard"
        ]
        distances = [
            rule.overshoot(line.value) / (max(abs(edge) for edge in rule.limits if isfinite(edge)) or 1.0)
            for rule, line in hard
            if line.value is not None
        ]
        candidates.append(
            Candidate(
                configuration,
                tuple(line for _, line in hard),
                tuple(line for line in of_run if line.kind == "hard"),
                n_lacking=0 if table.search is not None else len(every - own),  # it has a line of its own
                distance=max([0.0, *distances]),
                on_front=bool(is_unbeaten),
                is_dropped=(searched := table.searched(configuration)) is not None
                and searched.fate != "racing",
            )
        )
    return tuple(candidates)


def _nearest(candidates: Sequence[Candidate]) -> Candidate:
    """Return the one with the best grade, the fewest gates that do not pass, and those missed by least."""

    def rank(candidate: Candidate) -> tuple[int, int, float]:
        n_short = sum(line.grade is not Grade.PASSES for line in candidate.lines)
        return rank_grade(candidate.grade), n_short, candidate.distance

    return min(candidates, key=rank)


def _measured_axes(policy: Policy, configurations: Sequence[Configuration]) -> tuple[Metric, ...]:
    """Return quality and costs that were measured in any configuration."""
    axes = {metric.name: metric for metric in (policy.quality, *policy.costs)}.values()
    return tuple(
        axis
        for axis in axes
        if any(configuration.summary(axis).value is not None for configuration in configurations)
    )


def _decide(candidates: Sequence[Candidate], policy: Policy, budget: ErrorBudget) -> Ranking | None:
    """Rank by the first cost that has a value in all, or by the quality; None for a single candidate."""
    if len(candidates) == 1:
        return None
    rankings = (_rank(candidates, metric, policy, budget) for metric in (*policy.costs, policy.quality))
    return next((ranking for ranking in rankings if ranking.n_common), None)


def _rank(candidates: Sequence[Candidate], metric: Metric, policy: Policy, budget: ErrorBudget) -> Ranking:
    rule = policy.rule_for(metric.name)
    return rank_first(
        [candidate.configuration for candidate in candidates],
        metric,
        budget.claim_alpha,
        margin=(rule.margin or 0.0) if rule is not None else 0.0,
        given=policy.given,
    )


def _tradeoffs(axes: Sequence[Metric], chosen: Configuration, other: Configuration) -> tuple[Tradeoff, ...]:
    pairing = pair_clips(other.rows, chosen.rows, titles=(other.label, chosen.label))
    found = []
    for axis in axes:
        pairs = pairing.values(axis.name)
        change = (
            estimate_of(pairs.fit(pairs.b - pairs.a, chosen.given))
            if pairs.a.size
            else Estimate(None, None, 0, "nothing was measured")
        )
        found.append(Tradeoff(axis, change, float(pairs.a.mean()) if pairs.a.size else None))
    return tuple(found)
