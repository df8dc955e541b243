"""Good enough to release? Every rule of a policy judged on a table of clips; what is not known does not pass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from evalkit.analysis.pairs import describe_reach
from evalkit.analysis.table import ClipRecord, ResultTable
from evalkit.decisions.baseline import Baseline, is_of_baseline
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.gates import describe_budget, describe_grades, judge_configuration
from evalkit.decisions.judge import Grade, RuleResult, Status
from evalkit.decisions.policy import Policy
from evalkit.decisions.waivers import Waiver, waiver_lines
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
        One a rule, and one for whatever does not hold of the run; what fails first.
    judged_at : datetime
        UTC.
    n_attempted : int
        Number of clips attempted.
    unused_waivers : tuple of Waiver
        Of rules that are met without them.
    provenance : mapping
        Hashes of raters' answers, configuration, inputs, weights and environment.
    run_id : str
        Which run it is of, as waivers name it.
    configuration : mapping
        Swept parameters of what was judged.
    look : int
        Which look at the run's results this was, from 1.
    notes : tuple of str
        Sentences: how strictly was judged and why, and what a reader should know of the run and of the policy.
    rows : tuple of ClipRecord
        The clips that were judged.
    baseline : Baseline or None
        The release beside the last one; what became worse is among the lines.
    """

    title: str
    policy: Policy
    lines: tuple[RuleResult, ...]
    judged_at: dt.datetime
    n_attempted: int
    unused_waivers: tuple[Waiver, ...]
    provenance: Mapping[str, Any]
    run_id: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    look: int = 1
    notes: tuple[str, ...] = ()
    rows: tuple[ClipRecord, ...] = field(default=(), repr=False)
    baseline: Baseline | None = None

    @property
    def decision(self) -> Decision:
        """FAIL with any gate that does not pass and is not waived, and where none passes; else whether any is waived."""
        statuses = {line.status for line in self.gates}
        if Status.FAIL in statuses or Status.PASS not in statuses:
            return Decision.FAIL
        return Decision.PASS_WITH_WAIVERS if Status.WAIVED in statuses else Decision.PASS

    @property
    def gates(self) -> list[RuleResult]:
        """The hard lines: those that decide."""
        return [line for line in self.lines if line.kind == "hard"]

    @property
    def answer(self) -> str:
        """One sentence that a manager can repeat."""
        return f"{self.decision}: {self.headline}"

    @property
    def headline(self) -> str:
        """How the gates came out, without the decision."""
        gates = self.gates
        waived = [line for line in gates if line.status is Status.WAIVED]
        warned = sum(line.status is Status.WARN for line in self.lines)
        words = describe_grades((line.grade for line in gates if line not in waived), len(gates))
        if not gates:
            words = "the policy has no hard rule, so nothing was shown"
        if waived:
            is_waived = "is" if len(waived) == 1 else "are"
            words += (
                f", {len(waived)} {is_waived} waived by {', '.join(sorted({_name(line) for line in waived}))}"
            )
        if waived and len(waived) == len(gates):
            words += ": where every gate is waived nothing was shown"
        return words + (f"; {count(warned, 'warning')}." if warned else ".")

    def waiver_form(self) -> str:
        """Return a file of waivers for all gates that do not pass, to be signed: name, reason and date are left open."""
        unmet = [line for line in self.gates if line.status is Status.FAIL and not is_of_baseline(line)]
        entries = [
            f"  - metric: {line.metric}\n{waiver_lines(self.policy, self.run_id, line.value)}\n"
            f"    name:\n    reason:\n    expires:\n"
            for line in unmet
        ]
        return "waivers:\n" + "".join(entries) if entries else "waivers: []\n"

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
    table: ResultTable,
    policy: Policy,
    waivers: Sequence[Waiver] = (),
    *,
    now: dt.datetime | None = None,
    baseline: Baseline | None = None,
) -> Signoff:
    """Judge one configuration by a policy.

    Parameters
    ----------
    table : ResultTable
        Of a single configuration.
    policy : Policy
    waivers : sequence of Waiver
        One that has expired, or is about another run, policy or value, waives nothing.
    now : datetime, optional
        With a time zone; the present moment unless given.
    baseline : Baseline, optional
        The same table beside the last release: what became worse is a line, a warning unless the baseline fails it.

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
    table = replace(table, given=policy.given)
    configuration = table.pooled()
    lines = []
    for line in judge_configuration(table, configuration, policy, today=today):
        waiver = by_metric.get(line.metric) if line.status is Status.FAIL else None
        if waiver is not None:
            why_not = waiver.why_not(line.value, line.rule, run=table.run_id, policy=policy, today=today)
            lines.append(_waive(line, waiver, why_not))
        else:
            lines.append(line)
    if baseline is not None:
        lines += baseline.lines()
    order = list(reversed(Status))
    used = {line.metric for line in lines if line.waiver is not None}
    return Signoff(
        title=table.title,
        policy=policy,
        lines=tuple(
            sorted(lines, key=lambda line: (order.index(line.status), line.grade is not Grade.FAILS))
        ),
        judged_at=now,
        n_attempted=len(table.rows),
        unused_waivers=tuple(waiver for waiver in waivers if waiver.metric not in used),
        provenance=table.provenance,
        configuration=configuration.params,
        look=table.look,
        run_id=table.run_id,
        notes=(
            *describe_reach(configuration.rows, policy.given),
            *describe_budget(ErrorBudget.of(table)),
            *table.notes,
            *(f"Of the policy: {warning}." for warning in policy.warnings),
            *(() if baseline is None else (baseline.headline, baseline.spent)),
        ),
        rows=tuple(configuration.rows),
        baseline=baseline,
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
