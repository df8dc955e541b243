"""A rule of a policy, judged: the same four words wherever a gate is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.decisions.gates import rank_grade
from evalkit.decisions.judge import Grade
from evalkit.views.figure import FigureView, figure_of_summary
from evalkit.views.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.policy import Policy
    from evalkit.decisions.waivers import Waiver


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
        Name of the rule: of its metric, with ``.bad`` for a share of bad clips, or of a line about the run.
    limit : str
        What was asked, in words.
    kind : {"hard", "soft"}
    grade : Grade
        What is known, whatever follows from it.
    status : {"pass", "warn", "waived", "fail"}
        What follows for a release.
    figure : FigureView or None
        What was judged; None for a line about the run, which is not a metric.
    n, n_attempted : int
        Values judged, and clips attempted.
    evidence : str
        Why it came out so.
    why : str
        Where the limit comes from.
    waiver : WaiverView or None
    at_least, at_most : float or None
        The limits themselves, in the unit of the figure; None where open, and of a line about the run.
    bad_beyond : float or None
        Where the figure is a share of bad clips: the value of the metric from which on a clip is bad.
    unit : str
        Of the metric.
    """

    metric: str
    limit: str
    kind: Literal["hard", "soft"]
    grade: Grade
    status: Literal["pass", "warn", "waived", "fail"]
    figure: FigureView | None
    n: int
    n_attempted: int
    evidence: str
    why: str
    waiver: WaiverView | None = None
    at_least: float | None = None
    at_most: float | None = None
    bad_beyond: float | None = None
    unit: str = "1"


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
        RuleView(rule.name, rule.text(), rule.kind, rule.at_least, rule.at_most) for rule in policy.rules
    )
    return PolicyView(policy.name, policy.title, policy.content_hash, rules)


def gate_view(result: RuleResult) -> GateView:
    """Return a judged rule."""
    rule = result.rule
    return GateView(
        metric=result.metric,
        limit=result.limit,
        kind="hard" if result.kind == "hard" else "soft",
        grade=result.grade,
        status=result.status.value,
        figure=None if rule is None else figure_of_summary(rule.judged_metric, result.summary),
        n=result.n,
        n_attempted=result.n_attempted,
        evidence=result.evidence,
        why=result.why,
        waiver=None if result.waiver is None else waiver_view(result.waiver),
        at_least=None if rule is None else rule.at_least,
        at_most=None if rule is None else rule.at_most,
        bad_beyond=None if rule is None else rule.bad_beyond,
        unit="1" if rule is None else rule.metric.unit,
    )


def worst_grade(gates: Iterable[GateView]) -> Grade | None:
    """Return the least good grade of the hard gates; None without any."""
    hard = [gate.grade for gate in gates if gate.kind == "hard"]
    return max(hard, key=rank_grade, default=None)


def waiver_view(waiver: Waiver) -> WaiverView:
    """Return who answers for a gate."""
    return WaiverView(waiver.metric, waiver.name, waiver.reason, waiver.expires.isoformat())
