"""One rule of a policy, judged on one configuration; what is not known does not pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import isinf
from typing import TYPE_CHECKING, Any

from evalkit.analysis.reducers import WORST
from evalkit.decisions.budget import ALPHA, MIN_CLIPS
from evalkit.formatting import count, three_digits
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.power import attempts_to_show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord
    from evalkit.analysis.values import Summary
    from evalkit.decisions.budget import ErrorBudget
    from evalkit.decisions.policy import Policy, Rule
    from evalkit.decisions.waivers import Waiver
    from evalkit.types import Interval


class Status(StrEnum):
    """What a rule does to the decision."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    WAIVED = "waived"
    FAIL = "fail"


class Grade(StrEnum):
    """What is known of a rule, whatever follows from it."""

    PASSES = "passes"
    FAILS = "fails"
    TOO_FEW_CLIPS = "too few clips"
    NOT_MEASURED = "not measured"


class FaultKind(StrEnum):
    """What keeps a rule from passing."""

    NOT_MEASURED = "not measured"
    BEYOND = "beyond the limit"
    TOO_CLOSE = "within the dead band"
    COVERAGE = "clips without a value"
    TOO_FEW = "fewer than the least number"
    NO_INTERVAL = "no interval"
    INTERVAL_BEYOND = "interval beyond the limit"


_ABOUT_VALUE = {FaultKind.BEYOND, FaultKind.TOO_CLOSE}


@dataclass(frozen=True)
class Fault:
    """One thing that keeps a rule from passing.

    Parameters
    ----------
    kind : FaultKind
    text : str
        In words, with the numbers.
    """

    kind: FaultKind
    text: str


@dataclass(frozen=True)
class RuleResult:
    """One rule, judged.

    Parameters
    ----------
    summary : Summary
        The judged value, as everybody shows it.
    limit : str
        What was asked, in words.
    kind : str
        ``hard`` or ``soft``.
    status : Status
    unit : str
        Empty for a pure number.
    faults : tuple of Fault
        Why it does not pass; none where it does.
    why : str
        Where the limit comes from.
    waiver : Waiver or None
        The one that applies, or that would if it had not expired.
    note : str
        What the waiver does, in words.
    rule : Rule or None
        None for a line about the run.
    """

    summary: Summary
    limit: str
    kind: str
    status: Status
    unit: str
    faults: tuple[Fault, ...]
    why: str
    waiver: Waiver | None = None
    note: str = ""
    rule: Rule | None = field(default=None, compare=False)

    @property
    def metric(self) -> str:
        """What waivers call it: name of the rule, which is that of its metric, or of a line about the run."""
        return self.summary.metric if self.rule is None else self.rule.name

    @property
    def value(self) -> float | None:
        """What was judged; None where it was not measured."""
        return self.summary.value

    @property
    def interval(self) -> Interval | None:
        """Its 95 % interval."""
        return self.summary.interval

    @property
    def n(self) -> int:
        """Number of values judged."""
        return self.summary.n

    @property
    def n_attempted(self) -> int:
        """Number of clips attempted."""
        return self.summary.n_attempted

    @property
    def evidence(self) -> str:
        """Why it came out so, in words."""
        found = "; ".join(fault.text for fault in self.faults) or "met"
        panel = self.summary.panel
        if panel is not None and panel.n and panel.text not in found:
            found += f", by {panel.text}"
        return f"{found}; {self.note}" if self.note else found

    @property
    def grade(self) -> Grade:
        """What is known: a value beyond the limit fails, a value within it that cannot be relied on yet does not."""
        kinds = {fault.kind for fault in self.faults}
        if not kinds:
            return Grade.PASSES
        if FaultKind.NOT_MEASURED in kinds:
            return Grade.NOT_MEASURED
        return Grade.FAILS if kinds & _ABOUT_VALUE else Grade.TOO_FEW_CLIPS

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as the ledger hashes it."""
        plain: dict[str, Any] = {
            "metric": self.metric,
            "reducer": self.summary.reducer,
            "limit": self.limit,
            "kind": self.kind,
            "status": self.status.value,
            "grade": self.grade.value,
            "value": self.value,
            "ci95": None if self.interval is None else list(self.interval),
            "unit": self.unit,
            "n": self.n,
            "attempted": self.n_attempted,
            "evidence": self.evidence,
            "why": self.why,
        }
        if self.summary.panel is not None:
            plain["raters"] = self.summary.panel.text
        if self.waiver is not None:
            plain["waiver"] = self.waiver.model_dump(mode="json")
        return plain


def judge(rule: Rule, configuration: Configuration, policy: Policy, budget: ErrorBudget) -> RuleResult:
    """Judge one rule.

    A value beyond the limit fails. One within it passes where there are enough clips and, unless the rule judges the
    value alone, where the bound of the true value lies within the limit too.

    Parameters
    ----------
    rule : Rule
    configuration : Configuration
        With the factors that the policy gives.
    policy : Policy
        Says how many of the attempted clips must have a value, where the rule does not.
    budget : ErrorBudget
        How strictly is judged: every decision about one table has the same, `ErrorBudget.of` that table.
    """
    summary = configuration.summary(rule.metric, rule.reduction, rule.clip_limits)
    missed = Status.FAIL if rule.kind == "hard" else Status.WARN
    faults = tuple(_find_faults(rule, configuration, summary, policy, budget))
    return RuleResult(
        summary=summary,
        limit=rule.requirement(),
        kind=rule.kind,
        status=missed if faults else Status.PASS,
        unit="" if rule.is_share or rule.metric.unit == "1" else rule.metric.unit,
        faults=faults,
        why=rule.why,
        rule=rule,
    )


def _find_faults(
    rule: Rule, configuration: Configuration, summary: Summary, policy: Policy, budget: ErrorBudget
) -> Iterator[Fault]:
    """Yield what keeps a rule from passing."""
    if summary.value is None:
        yield Fault(FaultKind.NOT_MEASURED, f"not measured: {summary.why_absent or summary.estimate.reason}")
        return
    yield from _find_too_few(rule, configuration, summary)
    if rule.reduction == WORST and summary.counts_clips:
        yield from _find_clip_faults(rule, configuration.rows_of(rule.metric.name), summary)
    else:
        yield from _find_value_faults(rule, configuration, summary, summary.value, budget)
    coverage = rule.min_coverage if rule.min_coverage is not None else policy.min_coverage
    if summary.counts_clips and summary.n < coverage * summary.n_attempted:
        words = (
            f"only {summary.n} of {summary.n_attempted} {summary.counted}s have a value: {summary.why_absent}"
        )
        yield Fault(FaultKind.COVERAGE, words)


def _find_too_few(rule: Rule, configuration: Configuration, summary: Summary) -> Iterator[Fault]:
    if summary.panel is not None:
        yield from _find_too_few_raters(rule, summary)
    counts_inputs = summary.counts_clips and summary.metric != ERROR_RATE.name
    if rule.is_share and rule.judged_by == "interval":  # the bound itself needs as many as it takes
        fewest = 0 if summary.panel is not None else rule.min_n or 0
    elif summary.counts_clips:
        fewest = rule.fewest_clips
    else:
        return
    n = configuration.count_distinct(summary.metric) if counts_inputs else summary.n
    if n >= fewest:
        return
    words = f"{n} of the {fewest} needed"
    if counts_inputs:
        alike = (
            "" if n == summary.n else f", as {summary.n} {summary.counted}s are draws of {count(n, 'input')}"
        )
        ruined = share(1.0 - ALPHA ** (1.0 / n))
        words = f"{n} of the {fewest} {summary.counted}s needed{alike}: {n} cannot exclude that {ruined} are ruined"
    yield Fault(FaultKind.TOO_FEW, words)


def _find_too_few_raters(rule: Rule, summary: Summary) -> Iterator[Fault]:
    """Yield a fault for too few raters, and for a mean over a part of the clips that is too small."""
    n, fewest = summary.panel.n if summary.panel else 0, rule.fewest_raters
    if n < fewest:
        yield Fault(FaultKind.TOO_FEW, f"{n} of the {fewest} raters needed")
    if summary.n_clips is None:
        return
    fewest_clips = min(MIN_CLIPS, summary.n_attempted)
    if summary.n_clips < fewest_clips:
        yield Fault(
            FaultKind.TOO_FEW,
            f"{summary.n_clips} of {count(summary.n_attempted, 'clip')} rated: at least {fewest_clips} have to be",
        )


def _find_clip_faults(rule: Rule, rows: Sequence[ClipRecord], summary: Summary) -> list[Fault]:
    scored = [(row, value) for row in rows if (value := row.value(rule.metric.name)) is not None]
    missed = [row for row, value in scored if rule.overshoot(value) > 0]
    if not missed:
        return []
    names = ", ".join(row.name for row in missed[:3]) + (" …" if len(missed) > 3 else "")
    return [Fault(FaultKind.BEYOND, f"missed by {len(missed)} of {len(scored)} {summary.counted}s: {names}")]


def _find_value_faults(
    rule: Rule, configuration: Configuration, summary: Summary, value: float, budget: ErrorBudget
) -> Iterator[Fault]:
    least, most = rule.inner_limits
    if not rule.limits[0] <= value <= rule.limits[1]:
        yield Fault(FaultKind.BEYOND, "the value is beyond the limit")
        return
    if not least <= value <= most:
        words = f"closer to the limit than the dead band of {rule.dead_band:g}: too close to call"
        yield Fault(FaultKind.TOO_CLOSE, words)
        return
    if rule.judged_by == "value":
        return
    alpha = budget.share_alpha if rule.is_share else budget.gate_alpha
    low, high = configuration.bounds(rule.metric, rule.reduction, rule.clip_limits, alpha)
    for end, bound, is_beyond in (("low", low, low < least), ("high", high, high > most)):
        if not is_beyond:
            continue
        if isinf(bound):
            reason = summary.estimate.reason or "too few for an interval as strict as this"
            yield Fault(FaultKind.NO_INTERVAL, f"the interval must pass, and there is none: {reason}")
            return
        yield Fault(FaultKind.INTERVAL_BEYOND, _describe_bound(rule, summary, end, bound, alpha))


def _describe_bound(rule: Rule, summary: Summary, end: str, bound: float, alpha: float) -> str:
    if not rule.is_share:
        unit = "" if rule.metric.unit == "1" else f" {rule.metric.unit}"
        seen = count(summary.n, summary.counted)
        if summary.panel is not None and summary.n_clips is not None:
            seen = f"{summary.panel.text} of {count(summary.n_clips, 'clip')}"
        return (
            f"{seen} cannot exclude that it is as {end} as {three_digits(bound)}{unit} "
            f"({share(1 - 2 * alpha)} interval)"
        )
    what, is_bad = ("attempt", "failed") if rule.bad_beyond is None else (summary.counted, "bad")
    most = rule.inner_limits[1]
    if summary.value == 0 and 0 < most < 1:
        needed = attempts_to_show(most, alpha=alpha)
        return f"{summary.n} of the {needed} {what}s that can show {share(most)}"
    n_bad = round((summary.value or 0.0) * summary.n)
    return f"{n_bad} of {count(summary.n, what)} {is_bad}: {share(bound)} cannot be excluded"


def share(part: float) -> str:
    """Write a share for people.

    >>> share(0.1391), share(0.005), share(0.99444)
    ('14 %', '0.5 %', '99.4 %')
    """
    rounded = f"{100 * part:.2g}" if part < 0.9 else f"{100 * part:.3g}"
    return f"{rounded} %"
