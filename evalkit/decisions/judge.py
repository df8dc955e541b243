"""One rule of a policy, judged on one configuration; what is not known does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evalkit.analysis.reducers import WORST
from evalkit.analysis.values import Summary
from evalkit.decisions.waivers import RUN_COMPLETE
from evalkit.stats.means import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord
    from evalkit.decisions.policy import Rule
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

    @property
    def metric(self) -> str:
        """Full name, or ``run.complete``."""
        return self.summary.metric

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
        if self.waiver is not None:
            plain["waiver"] = self.waiver.model_dump(mode="json")
        return plain


def judge(rule: Rule, configuration: Configuration, min_coverage: float) -> RuleResult:
    """Judge one rule.

    Parameters
    ----------
    rule : Rule
    configuration : Configuration
    min_coverage : float
        Share of the attempted clips that must have a value, where the rule does not say otherwise.
    """
    summary = configuration.summary(rule.metric, rule.reduction, rule.clip_limits)
    faults = find_faults(rule, summary, configuration.rows, min_coverage)
    missed = Status.FAIL if rule.kind == "hard" else Status.WARN
    return RuleResult(
        summary=summary,
        limit=rule.requirement(),
        kind=rule.kind,
        status=missed if faults else Status.PASS,
        unit="" if rule.metric.unit == "1" else rule.metric.unit,
        faults=tuple(faults),
        why=rule.why,
    )


def judge_completeness(missing: Sequence[str], n_clips: int) -> RuleResult | None:
    """Return the gate ``run.complete``, which fails where planned clips have no result; None where all have one.

    Parameters
    ----------
    missing : sequence of str
        Planned clips of the run without a readable result, see `evalkit.analysis.table.ResultTable`.
    n_clips : int
        Clips of the configuration that is judged.
    """
    if not missing:
        return None
    n = len(missing)
    examples = "; ".join(missing[:3]) + (" …" if n > 3 else "")
    nothing = Estimate(None, None, n_clips, "it is not a measurement")
    return RuleResult(
        summary=Summary(RUN_COMPLETE, "", nothing, n_clips + n, {}),
        limit="every planned clip has a result",
        kind="hard",
        status=Status.FAIL,
        unit="",
        faults=(Fault(FaultKind.NOT_MEASURED, f"{n} without one: {examples}"),),
        why="what is not finished, or cannot be read, cannot be judged",
    )


def find_faults(rule: Rule, summary: Summary, rows: Sequence[ClipRecord], min_coverage: float) -> list[Fault]:
    """List what keeps a rule from passing."""
    if summary.value is None:
        reasons = summary.why_absent or summary.estimate.reason
        return [Fault(FaultKind.NOT_MEASURED, f"not measured: {reasons}")]
    faults = []
    if summary.n < (rule.min_n or 1):
        faults.append(Fault(FaultKind.TOO_FEW, f"{summary.n} of the {rule.min_n} needed"))
    if rule.reduction == WORST and summary.counts_clips:
        faults += _find_clip_faults(rule, rows)
    else:
        faults += _find_value_faults(rule, summary.value, summary)
    coverage = rule.min_coverage if rule.min_coverage is not None else min_coverage
    if summary.counts_clips and summary.n < coverage * summary.n_attempted:
        words = f"only {summary.n} of {summary.n_attempted} clips have a value: {summary.why_absent}"
        faults.append(Fault(FaultKind.COVERAGE, words))
    return faults


def _find_clip_faults(rule: Rule, rows: Sequence[ClipRecord]) -> list[Fault]:
    scored = [(row, value) for row in rows if (value := row.value(rule.metric.name)) is not None]
    missed = [row for row, value in scored if rule.overshoot(value) > 0]
    if not missed:
        return []
    names = ", ".join(row.name for row in missed[:3]) + (" …" if len(missed) > 3 else "")
    return [Fault(FaultKind.BEYOND, f"missed by {len(missed)} of {len(scored)} clips: {names}")]


def _find_value_faults(rule: Rule, value: float, summary: Summary) -> list[Fault]:
    low, high = rule.limits
    if not low <= value <= high:
        return [Fault(FaultKind.BEYOND, "the value is beyond the limit")]
    if rule.overshoot(value) > 0:
        words = f"closer to the limit than the dead band of {rule.dead_band:g}: too close to call"
        return [Fault(FaultKind.TOO_CLOSE, words)]
    if rule.judged_by == "value":
        return []
    if summary.interval is None:
        words = f"the interval must pass, and there is none: {summary.estimate.reason}"
        return [Fault(FaultKind.NO_INTERVAL, words)]
    ends = {"upper": summary.interval.high, "lower": summary.interval.low}
    return [
        Fault(FaultKind.INTERVAL_BEYOND, f"the {name} end of the interval is beyond the limit")
        for name, end in ends.items()
        if rule.overshoot(end) > 0
    ]
