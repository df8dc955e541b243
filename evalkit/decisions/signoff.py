"""Good enough to release? Every rule of a policy judged on a table of clips; what is not known does not pass."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest

from evalkit.analysis.table import describe, shared_factors
from evalkit.decisions.policy import RUN_COMPLETE
from evalkit.errors import UsageError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.bootstrap import Estimate, estimate_mean
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy, Rule, Waiver
    from evalkit.types import Metric


class Status(StrEnum):
    """How one line came out."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    WAIVED = "waived"
    FAIL = "fail"

    @property
    def symbol(self) -> str:
        """One sign, for those who see no colour."""
        return {"pass": "✓", "warn": "!", "waived": "~", "fail": "✗"}[self.value]


class Decision(StrEnum):
    """How it all came out."""

    PASS = "PASS"  # noqa: S105 - as above
    PASS_WITH_WAIVERS = "PASS WITH WAIVERS"  # noqa: S105 - as above
    FAIL = "FAIL"


@dataclass(frozen=True)
class RuleResult:
    """One rule, judged.

    Parameters
    ----------
    metric : str
        Full name, or ``run.complete``.
    limit : str
        What was asked, in words.
    kind : str
        ``hard`` or ``soft``.
    status : Status
    value : float or None
        The mean over clips, or the worst clip; None where it was not measured.
    interval : Interval or None
        95 %, of the mean.
    unit : str
    n : int
        Number of values judged.
    n_attempted : int
        Number of clips attempted.
    evidence : str
        Why it came out so, in words.
    why : str
        Where the limit comes from.
    waiver : Waiver or None
        The one that applies, or that would if it had not expired.
    """

    metric: str
    limit: str
    kind: str
    status: Status
    value: float | None
    interval: Interval | None
    unit: str
    n: int
    n_attempted: int
    evidence: str
    why: str
    waiver: Waiver | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        plain: dict[str, Any] = {
            "metric": self.metric,
            "limit": self.limit,
            "kind": self.kind,
            "status": self.status.value,
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


@dataclass(frozen=True)
class Signoff:
    """A verdict with everything it rests on.

    Parameters
    ----------
    title : str
        What was judged.
    policy : Policy
    lines : tuple of Line
        One a rule, failures first.
    judged_at : datetime
        UTC.
    n_attempted : int
        Number of clips attempted.
    unused_waivers : tuple of Waiver
        Of rules that are met without them.
    provenance : mapping
        Hashes of configuration, inputs, weights and environment.
    """

    title: str
    policy: Policy
    lines: tuple[RuleResult, ...]
    judged_at: dt.datetime
    n_attempted: int
    unused_waivers: tuple[Waiver, ...]
    provenance: Mapping[str, Any]

    @property
    def decision(self) -> Decision:
        """FAIL with any line that fails; PASS WITH WAIVERS with any that is waived."""
        statuses = {line.status for line in self.lines}
        if Status.FAIL in statuses:
            return Decision.FAIL
        return Decision.PASS_WITH_WAIVERS if Status.WAIVED in statuses else Decision.PASS

    @property
    def answer(self) -> str:
        """One sentence that a manager can repeat."""
        hard = [line for line in self.lines if line.kind == "hard"]
        failed = [line for line in hard if line.status is Status.FAIL]
        absent = sum(line.value is None for line in failed)
        waived = [line for line in hard if line.status is Status.WAIVED]
        warned = sum(line.status is Status.WARN for line in self.lines)
        words = f"{self.decision}: {len(hard) - len(failed) - len(waived)} of {len(hard)} gates are met"
        if failed:
            words += f", {len(failed)} are not" if len(failed) > 1 else ", 1 is not"
            words += f" ({absent} of them not measured)" if absent else ""
        if waived:
            words += f", {len(waived)} waived by {', '.join(sorted({_name(line) for line in waived}))}"
        return words + (f"; {warned} warning{'s' * (warned != 1)}." if warned else ".")

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        return {
            "decision": self.decision.value,
            "answer": self.answer,
            "judged": self.title,
            "judged_at": self.judged_at.isoformat(timespec="seconds"),
            "policy": {
                "name": self.policy.name,
                "title": self.policy.title,
                "sha256": self.policy.content_hash,
            },
            "attempted": self.n_attempted,
            "lines": [line.as_json() for line in self.lines],
            "unused_waivers": [waiver.model_dump(mode="json") for waiver in self.unused_waivers],
            "provenance": dict(self.provenance),
        }


def sign_off(
    table: ResultTable,
    policy: Policy,
    known: Mapping[str, Metric],
    waivers: Sequence[Waiver] = (),
    *,
    now: dt.datetime | None = None,
    summaries: Mapping[str, Estimate] | None = None,
) -> Signoff:
    """Judge one configuration by a policy.

    Parameters
    ----------
    table : ResultTable
        Of a single configuration.
    policy : Policy
    known : mapping of str to Metric
        For units, see `evalkit.analysis.catalogue.known_metrics`.
    waivers : sequence of Waiver
        An expired one is no waiver.
    now : datetime, optional
        With a time zone; the present moment unless given.
    summaries : mapping of str to Estimate, optional
        Metrics that belong to the run as a whole (``rating.mos``), each with its n.

    Raises
    ------
    UsageError
        With no clip at all, or several configurations: a release is one of them.
    """
    if not table.rows and not table.missing:
        raise UsageError(f"{table.title}: nothing to judge, it has no clip")
    configurations = table.configurations()
    if len(configurations) > 1:
        examples = "; ".join(describe(one) for one in configurations[:3])
        raise UsageError(
            f"{table.title} holds {len(configurations)} configurations ({examples} …), and a release is one of "
            f"them: name it with --where, such as --where {_as_option(configurations[0])}"
        )
    now = now or dt.datetime.now(dt.UTC)
    today = now.astimezone(dt.UTC).date()
    by_metric = {waiver.metric: waiver for waiver in waivers}
    lines = [_complete(table)] if table.missing else []
    for rule in policy.rules:
        unit = known[rule.metric].unit
        lines.append(judge(rule, table.rows, unit, policy.min_coverage, summaries))
    lines = [_waive(line, by_metric.get(line.metric), today) for line in lines]
    order = list(reversed(Status))
    used = {line.metric for line in lines if line.waiver is not None}
    return Signoff(
        title=table.title,
        policy=policy,
        lines=tuple(sorted(lines, key=lambda line: order.index(line.status))),
        judged_at=now,
        n_attempted=len(table.rows),
        unused_waivers=tuple(waiver for waiver in waivers if waiver.metric not in used),
        provenance=table.provenance,
    )


def judge(
    rule: Rule,
    rows: Sequence[ClipRecord],
    unit: str,
    min_coverage: float,
    summaries: Mapping[str, Estimate] | None = None,
) -> RuleResult:
    """Judge one rule on the clips of one configuration; parameters as of `sign_off`."""
    summary = (summaries or {}).get(rule.metric)
    scored = [row for row in rows if rule.metric in row.values]
    n_scored, n_attempted = len(scored), len(rows)
    if summary is not None:
        estimate = summary
    elif rule.metric == ERROR_RATE.name:
        estimate, n_scored = measure_failures(rows), n_attempted
    elif rule.per == "clip" and scored:
        worst = max((row.values[rule.metric] for row in scored), key=lambda value: overshoot(rule, value))
        estimate = Estimate(worst, None, n_scored)
    else:
        values = np.array([row.values[rule.metric] for row in scored])
        estimate = estimate_mean(values, shared_factors(scored))
    faults = _faults(rule, rows, scored, estimate)
    coverage = rule.min_coverage if rule.min_coverage is not None else min_coverage
    if summary is None and estimate.value is not None and n_scored < coverage * n_attempted:
        reasons = _reasons(rows, rule.metric)
        faults.append(f"only {n_scored} of {n_attempted} clips have a value ({reasons})")
    missed = Status.FAIL if rule.kind == "hard" else Status.WARN
    return RuleResult(
        metric=rule.metric,
        limit=rule.text() + (" in every clip" if rule.per == "clip" else ""),
        kind=rule.kind,
        status=missed if faults else Status.PASS,
        value=estimate.value,
        interval=estimate.interval,
        unit="" if unit == "1" else unit,
        n=estimate.n,
        n_attempted=n_attempted,
        evidence="; ".join(faults) or "met",
        why=rule.why,
    )


def measure_failures(rows: Sequence[ClipRecord]) -> Estimate:
    """Return the share of attempts that failed, with its exact interval (Clopper & Pearson, 1934)."""
    if not rows:
        return Estimate(None, None, 0, "nothing was attempted")
    n_failed = sum(row.failure is not None for row in rows)
    interval = binomtest(n_failed, len(rows)).proportion_ci(0.95, method="exact")
    return Estimate(n_failed / len(rows), Interval(float(interval.low), float(interval.high)), len(rows))


def overshoot(rule: Rule, value: float) -> float:
    """Return how far a value lies beyond the limits, less the dead band: positive is a miss."""
    low, high = rule.inner_limits
    return max(low - value, value - high)


def _faults(
    rule: Rule, rows: Sequence[ClipRecord], scored: Sequence[ClipRecord], estimate: Estimate
) -> list[str]:
    """List what keeps a rule from passing, in words."""
    if estimate.value is None:
        return [f"not measured ({_reasons(rows, rule.metric)})"]
    faults = []
    if estimate.n < rule.min_n:
        faults.append(f"{estimate.n} of the {rule.min_n} needed")
    return faults + (_clip_faults(rule, scored) if rule.per == "clip" else _mean_faults(rule, estimate))


def _clip_faults(rule: Rule, scored: Sequence[ClipRecord]) -> list[str]:
    missed = [row for row in scored if overshoot(rule, row.values[rule.metric]) > 0]
    if not missed:
        return []
    names = ", ".join(row.name for row in missed[:3]) + (" …" if len(missed) > 3 else "")
    return [f"missed by {len(missed)} of {len(scored)} clips: {names}"]


def _mean_faults(rule: Rule, estimate: Estimate) -> list[str]:
    low, high = rule.limits
    if estimate.value is None:
        return []
    if not low <= estimate.value <= high:
        return ["the value is beyond the limit"]
    if overshoot(rule, estimate.value) > 0:
        return [f"closer to the limit than the dead band of {rule.dead_band:g}: too close to call"]
    if rule.judged_by == "value":
        return []
    if estimate.interval is None:
        return [f"the interval must pass, and there is none: {estimate.reason}"]
    ends = {"upper": estimate.interval.high, "lower": estimate.interval.low}
    return [
        f"the {name} end of the interval is beyond the limit"
        for name, end in ends.items()
        if overshoot(rule, end) > 0
    ]


def _reasons(rows: Sequence[ClipRecord], metric: str) -> str:
    """Count why a metric is missing, most frequent first."""
    found: dict[str, int] = {}
    for row in rows:
        if metric not in row.values:
            reason = row.why_absent(metric)
            found[reason] = found.get(reason, 0) + 1
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason}: {n} clip{'s' * (n != 1)}" for reason, n in ordered) or "no clip"


def _complete(table: ResultTable) -> RuleResult:
    n = len(table.missing)
    examples = "; ".join(table.missing[:3]) + (" …" if n > 3 else "")
    return RuleResult(
        metric=RUN_COMPLETE,
        limit="every planned clip has a result",
        kind="hard",
        status=Status.FAIL,
        value=None,
        interval=None,
        unit="",
        n=len(table.rows),
        n_attempted=len(table.rows) + n,
        evidence=f"{n} without one: {examples}",
        why="what is not finished, or cannot be read, cannot be judged",
    )


def _waive(line: RuleResult, waiver: Waiver | None, today: dt.date) -> RuleResult:
    """Apply a waiver to a hard rule that is not met."""
    if waiver is None or line.status is not Status.FAIL:
        return line
    if waiver.holds_on(today):
        evidence = f"{line.evidence}; waived by {waiver.name} until {waiver.expires}: {waiver.reason}"
        return replace(line, status=Status.WAIVED, waiver=waiver, evidence=evidence)
    evidence = f"{line.evidence}; the waiver of {waiver.name} expired on {waiver.expires}"
    return replace(line, waiver=waiver, evidence=evidence)


def _name(line: RuleResult) -> str:
    return line.waiver.name if line.waiver is not None else ""


def _as_option(configuration: Mapping[str, Any]) -> str:
    return " --where ".join(f"{name}={value}" for name, value in configuration.items())
