"""A rule of a policy, judged: the same four words wherever a gate is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from evalkit.decisions.signoff import Status, overshoot
from evalkit.stats.bootstrap import Estimate
from evalkit.views.figure import FigureView, figure_of_estimate
from evalkit.views.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.decisions.policy import Policy, Rule, Waiver
    from evalkit.decisions.signoff import RuleResult
    from evalkit.types import Metric


class GateOutcome(StrEnum):
    """What is known of a gate, the best first."""

    PASSES = "passes"
    TOO_FEW_CLIPS = "too few clips"
    NOT_MEASURED = "not measured"
    FAILS = "fails"


@dataclass(frozen=True)
class WaiverView(View):
    """Who answers for a gate that is not met.

    Parameters
    ----------
    metric, name, reason : str
    expires : str
        Last day on which it holds, ISO 8601.
    """

    metric: str
    name: str
    reason: str
    expires: str


@dataclass(frozen=True)
class GateView(View):
    """One rule, judged.

    Parameters
    ----------
    metric : str
        Full name, or ``run.complete``.
    limit : str
        What was asked, in words.
    kind : {"hard", "soft"}
    outcome : GateOutcome
        What is known: ``too few clips`` where the value is within the limit and the evidence does not reach.
    status : {"pass", "warn", "waived", "fail"}
        What follows for a release.
    figure : FigureView or None
        What was judged; None for ``run.complete``, which is no metric.
    n, n_attempted : int
        Clips with a value, and clips attempted.
    evidence : str
        Why it came out so.
    why : str
        Where the limit comes from.
    waiver : WaiverView or None
    """

    metric: str
    limit: str
    kind: Literal["hard", "soft"]
    outcome: GateOutcome
    status: Literal["pass", "warn", "waived", "fail"]
    figure: FigureView | None
    n: int
    n_attempted: int
    evidence: str
    why: str
    waiver: WaiverView | None = None


@dataclass(frozen=True)
class RuleView(View):
    """A rule of a policy, not judged.

    Parameters
    ----------
    metric, limit : str
        The limit in words.
    kind : {"hard", "soft"}
    at_least, at_most : float or None
        The limits themselves; None where open.
    """

    metric: str
    limit: str
    kind: Literal["hard", "soft"]
    at_least: float | None
    at_most: float | None


@dataclass(frozen=True)
class PolicyView(View):
    """What was judged by.

    Parameters
    ----------
    name, title : str
    sha256 : str
        Of all it says.
    rules : tuple of RuleView
    """

    name: str
    title: str
    sha256: str
    rules: tuple[RuleView, ...]


def policy_view(policy: Policy) -> PolicyView:
    """Return a policy, less what only the judge needs."""
    rules = tuple(
        RuleView(rule.metric, rule.text(), rule.kind, rule.at_least, rule.at_most) for rule in policy.rules
    )
    return PolicyView(policy.name, policy.title, policy.content_hash, rules)


def gate_view(result: RuleResult, rule: Rule | None, metric: Metric | None) -> GateView:
    """Return a judged rule.

    Parameters
    ----------
    result : RuleResult
    rule : Rule or None
        The rule that was judged; None for ``run.complete``.
    metric : Metric or None
        Its metric; None for ``run.complete``.
    """
    figure = None
    if rule is not None and metric is not None:
        estimate = Estimate(result.value, result.interval, result.n)
        reducer = "worst" if rule.per == "clip" else "mean"
        figure = figure_of_estimate(metric, estimate, result.n_attempted, counted="clips", reducer=reducer)
    return GateView(
        metric=result.metric,
        limit=result.limit,
        kind="hard" if result.kind == "hard" else "soft",
        outcome=gate_outcome(result, rule),
        status=result.status.value,
        figure=figure,
        n=result.n,
        n_attempted=result.n_attempted,
        evidence=result.evidence,
        why=result.why,
        waiver=None if result.waiver is None else waiver_view(result.waiver),
    )


def gate_outcome(result: RuleResult, rule: Rule | None) -> GateOutcome:
    """Say in one of four words what is known of a judged rule."""
    if result.status is Status.PASS:
        return GateOutcome.PASSES
    if rule is None:
        return GateOutcome.FAILS
    if result.value is None:
        return GateOutcome.NOT_MEASURED
    return GateOutcome.FAILS if overshoot(rule, result.value) > 0 else GateOutcome.TOO_FEW_CLIPS


def worst_outcome(gates: Iterable[GateView]) -> GateOutcome | None:
    """Return the least good outcome of the hard gates; None without any."""
    order = list(GateOutcome)
    hard = [gate.outcome for gate in gates if gate.kind == "hard"]
    return max(hard, key=order.index, default=None)


def waiver_view(waiver: Waiver) -> WaiverView:
    """Return who answers for a gate."""
    return WaiverView(waiver.metric, waiver.name, waiver.reason, waiver.expires.isoformat())
