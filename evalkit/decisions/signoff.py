"""Good enough to release? Every rule of a policy judged on a table of clips; what is not known does not pass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import ResultTable
from evalkit.decisions.judge import RuleResult, Status, judge, judge_completeness
from evalkit.decisions.policy import Policy
from evalkit.decisions.waivers import Waiver
from evalkit.errors import UsageError
from evalkit.formatting import count

if TYPE_CHECKING:
    import pandas as pd
else:
    from evalkit.frames import pd


class Decision(StrEnum):
    """How it all came out."""

    PASS = "PASS"  # noqa: S105 - as above
    PASS_WITH_WAIVERS = "PASS WITH WAIVERS"  # noqa: S105 - as above
    FAIL = "FAIL"


@dataclass(frozen=True, repr=False)
class Signoff:
    """A verdict with everything it rests on.

    Parameters
    ----------
    title : str
        What was judged.
    policy : Policy
    lines : tuple of RuleResult
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
        return f"{self.decision}: {self.headline}"

    @property
    def headline(self) -> str:
        """How many gates are met, and why the others are not, without the decision."""
        hard = [line for line in self.lines if line.kind == "hard"]
        failed = [line for line in hard if line.status is Status.FAIL]
        absent = sum(line.value is None for line in failed)
        waived = [line for line in hard if line.status is Status.WAIVED]
        warned = sum(line.status is Status.WARN for line in self.lines)
        words = f"{len(hard) - len(failed) - len(waived)} of {len(hard)} gates are met"
        if failed:
            words += f", {len(failed)} are not" if len(failed) > 1 else ", 1 is not"
            words += f" ({absent} of them not measured)" if absent else ""
        if waived:
            words += f", {len(waived)} waived by {', '.join(sorted({_name(line) for line in waived}))}"
        return words + (f"; {count(warned, 'warning')}." if warned else ".")

    def __repr__(self) -> str:
        return f"<Signoff of {self.title} by {self.policy.name}: {self.answer}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.answer)}</p>{self.frame().to_html(index=False, na_rep='')}"

    def frame(self) -> pd.DataFrame:
        """Return one row a rule: its value, interval and n, what was asked, and how it came out."""
        columns = ("status", "grade", "metric", "reducer", "value", "low", "high", "unit", "n", "attempted")
        rows = []
        for line in self.lines:
            low, high = line.interval or (None, None)
            numbers = (line.value, low, high, line.unit, line.n, line.n_attempted)
            words = (line.limit, line.kind, line.evidence)
            rows.append(
                (line.status.value, line.grade.value, line.metric, line.summary.reducer, *numbers, *words)
            )
        return pd.DataFrame(rows, columns=[*columns, "limit", "kind", "evidence"])


def sign_off(
    table: ResultTable, policy: Policy, waivers: Sequence[Waiver] = (), *, now: dt.datetime | None = None
) -> Signoff:
    """Judge one configuration by a policy.

    Parameters
    ----------
    table : ResultTable
        Of a single configuration. Its `run_values` are judged with their own n.
    policy : Policy
    waivers : sequence of Waiver
        One that has expired, or is about another run, policy or value, waives nothing.
    now : datetime, optional
        With a time zone; the present moment unless given.

    Raises
    ------
    UsageError
        With no clip at all, or several configurations: a release is one of them.
    """
    if not table.rows and not table.missing:
        raise UsageError(f"{table.title}: nothing to judge, it has no clip")
    if len(table.configurations) > 1:
        examples = "; ".join(configuration.label for configuration in table.configurations[:3])
        raise UsageError(
            f"{table.title} holds {len(table.configurations)} configurations ({examples} …), and a release is one of "
            f"them: name it with --where, such as --where {_as_option(table.configurations[0].params)}"
        )
    now = now or dt.datetime.now(dt.UTC)
    today = now.astimezone(dt.UTC).date()
    by_metric = {waiver.metric: waiver for waiver in waivers}
    configuration = table.pooled()
    incomplete = judge_completeness(table.missing, len(table.rows))
    lines = [] if incomplete is None else [incomplete]
    lines += [judge(rule, configuration, policy.min_coverage) for rule in policy.rules]
    rules = {rule.name: rule for rule in policy.rules if rule.kind == "hard"}
    waived = []
    for line in lines:
        waiver = by_metric.get(line.metric) if line.status is Status.FAIL else None
        if waiver is None:
            waived.append(line)
            continue
        rule = rules.get(line.metric)
        why_not = waiver.why_not(line.value, rule, run=table.run_id, policy=policy, today=today)
        waived.append(_waive(line, waiver, why_not))
    lines = waived
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


def _waive(line: RuleResult, waiver: Waiver, why_not: str | None) -> RuleResult:
    """Apply a waiver to a hard rule that is not met, or say why it does not hold."""
    if why_not is None:
        note = f"waived by {waiver.name} until {waiver.expires}: {waiver.reason}"
        return replace(line, status=Status.WAIVED, waiver=waiver, note=note)
    return replace(line, waiver=waiver, note=f"the waiver of {waiver.name} does not hold: {why_not}")


def _name(line: RuleResult) -> str:
    return line.waiver.name if line.waiver is not None else ""


def _as_option(configuration: Mapping[str, Any]) -> str:
    return " --where ".join(f"{name}={value}" for name, value in configuration.items())
