"""A release beside the last one: what became worse is a finding, even where its gate passes.

The gates' metrics are one family of claims, asked at once: over the pairs of clips that both releases were given
(`evalkit.decisions.compare`), or, where they share no input, by intervals of each release that do not overlap. No gate is judged
more strictly for it: what is spent is the comparison's own chance of a false claim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalkit.analysis.reducers import BAD_SHARE, MEAN
from evalkit.analysis.values import Summary
from evalkit.decisions.budget import MIN_CLIPS, ErrorBudget
from evalkit.decisions.compare import compare_tables, why_not_compared
from evalkit.decisions.comparison import Conclusion, Family
from evalkit.decisions.judge import Fault, FaultKind, RuleResult, Status
from evalkit.errors import UsageError
from evalkit.formatting import count, three_digits
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.means import Estimate
from evalkit.types import Metric
from evalkit.visuals.numbers import unit_suffix
from evalkit.words.metrics import AGAINST_BASELINE

if TYPE_CHECKING:
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.policy import Policy, Rule

RUN_BASELINE = "run.baseline"
"""Name of the line that says that the last release cannot be compared."""
_WHY = "worse than the last release is a finding, even where the gate passes"


@dataclass(frozen=True)
class BaselineFinding:
    """One metric of the release beside the last one.

    Parameters
    ----------
    metric : Metric
        Of a rule; with ``.bad`` after its name, the share of clips that are bad in it.
    finding : Conclusion
        Of the release against the last one.
    text : str
        In words; A is the last release, B this one.
    before, now : Summary or None
        The value of each over all its clips; None where a side does not know the metric.
    difference : Estimate or None
        Over the pairs; None without pairs.
    """

    metric: Metric
    finding: Conclusion
    text: str
    before: Summary | None
    now: Summary | None
    difference: Estimate | None = None


@dataclass(frozen=True)
class Baseline:
    """A release beside the last one.

    Parameters
    ----------
    title, run_id : str
        Of the last release.
    findings : tuple of BaselineFinding
        One a metric of the policy's rules; what became worse first.
    n_pairs : int
        Clips that both were given; 0 where intervals were compared.
    alpha : float
        Chance of any false claim, two-sided, which all findings share.
    fails : bool
        Whether what became worse fails the release, or only warns.
    notes : tuple of str
        What limits the answer.
    """

    title: str
    run_id: str
    findings: tuple[BaselineFinding, ...]
    n_pairs: int
    alpha: float
    fails: bool
    notes: tuple[str, ...] = ()

    def found(self, *findings: Conclusion) -> list[BaselineFinding]:
        """Return the metrics with one of these findings."""
        return [one for one in self.findings if one.finding in findings]

    @property
    def is_compared(self) -> bool:
        """Whether anything could be held against the last release."""
        return len(self.found(Conclusion.NOT_COMPARED)) < len(self.findings)

    @property
    def headline(self) -> str:
        """One sentence."""
        if not self.is_compared:
            return f"Nothing could be compared with {self.title}."
        basis = (
            f"over {count(self.n_pairs, 'pair')}" if self.n_pairs else "by intervals, as no input is shared"
        )
        parts = [
            f"{word} in {', '.join(one.metric.name for one in found)}"
            for word, found in (
                ("worse", self.found(Conclusion.WORSE)),
                ("better", self.found(Conclusion.BETTER)),
            )
            if found
        ]
        said = " and ".join(parts) or "nothing was shown to be worse or better"
        n_open = len(self.found(Conclusion.NOT_COMPARED))
        left = f"; {n_open} of {count(len(self.findings), 'metric')} could not be compared" if n_open else ""
        return f"Against {self.title}, {basis}: {said}{left}."

    @property
    def spent(self) -> str:
        """Say what the comparison spends of the chance to be wrong."""
        return (
            f"{count(len(self.findings), 'metric')} asked at once, with a chance of {100 * self.alpha:.2g} % to claim anything "
            f"false, as in evalkit compare; the gates are judged as without it."
        )

    def lines(self) -> tuple[RuleResult, ...]:
        """Return what a sign-off lists: a line for each metric that became worse, or for a release that cannot be compared."""
        if not self.is_compared:
            reasons = "; ".join(dict.fromkeys(one.text for one in self.findings)) or "no rule can be compared"
            nothing = Summary(RUN_BASELINE, "", Estimate(None, None, 0, "nothing was compared"), 0, {})
            return (self._line(nothing, "", Fault(FaultKind.NOT_MEASURED, reasons)),)
        lines = []
        for one in self.found(Conclusion.WORSE):
            if one.now is not None:
                named = replace(one.now, metric=f"{one.metric.name}{AGAINST_BASELINE}")
                unit = "" if one.metric.unit == "1" else one.metric.unit
                lines.append(self._line(named, unit, Fault(FaultKind.BEYOND, f"worse: {one.text}")))
        return tuple(lines)

    def _line(self, summary: Summary, unit: str, fault: Fault) -> RuleResult:
        return RuleResult(
            summary=summary,
            limit=f"not worse than {self.title}",
            kind="hard" if self.fails else "soft",
            status=Status.FAIL if self.fails else Status.WARN,
            unit=unit,
            faults=(fault,),
            why=_WHY,
        )


def is_of_baseline(line: RuleResult) -> bool:
    """Say whether a line of a sign-off is about the last release: no waiver is of such a line."""
    return line.metric == RUN_BASELINE or line.metric.endswith(AGAINST_BASELINE)


def compare_with_baseline(
    table: ResultTable, baseline: ResultTable, policy: Policy, *, fails: bool = False
) -> Baseline:
    """Hold a release against the last one, in every metric of the policy's rules.

    Metrics that different versions of an evaluator measured are not compared.

    Parameters
    ----------
    table, baseline : ResultTable
        Of a single configuration each: this release and the last one.
    policy : Policy
        Gives the metrics, margins, limits and bands.
    fails : bool
        Whether what became worse fails the release.

    Raises
    ------
    UsageError
        If the last release has no clip or several configurations, or is the same results.
    """
    if not baseline.rows:
        raise UsageError(f"the baseline {baseline.title} has no clip to compare with")
    if len(baseline.configurations) > 1:
        examples = "; ".join(configuration.label for configuration in baseline.configurations[:3])
        raise UsageError(
            f"the baseline {baseline.title} holds {len(baseline.configurations)} configurations ({examples} …), and a "
            f"release is one of them: --where names it for both"
        )
    if baseline.run_id == table.run_id and _values(baseline) == _values(table):
        raise UsageError(
            f"{baseline.title} is what is judged; name the run of the last release as its baseline"
        )
    table, baseline = replace(table, given=policy.given), replace(baseline, given=policy.given)
    metrics = tuple({rule.metric.name: rule.metric for rule in policy.rules}.values())
    asked = policy.model_copy(update={"primary": metrics})
    found = compare_tables(
        baseline, table, policy=asked, ignore_params=tuple({*table.swept, *baseline.swept})
    )
    if found.n_pairs:
        findings = [
            BaselineFinding(one.metric, one.finding, one.text, one.a, one.b, one.difference)
            for one in found.metrics
            if one.family is Family.PRIMARY
        ]
        alpha = found.alpha
    else:
        alpha = ErrorBudget(baseline.look + table.look - 1).claim_alpha
        findings = _by_intervals(table, baseline, policy, alpha)
    order = list(_ORDER)
    return Baseline(
        title=baseline.title,
        run_id=baseline.run_id,
        findings=tuple(sorted(findings, key=lambda one: order.index(one.finding))),
        n_pairs=found.n_pairs,
        alpha=alpha,
        fails=fails,
        notes=found.notes,
    )


def _values(table: ResultTable) -> list[tuple[str, dict[str, float]]]:
    return [(row.name, dict(row.values)) for row in table.rows]


_ORDER = (
    Conclusion.WORSE,
    Conclusion.BETTER,
    Conclusion.NOT_WORSE,
    Conclusion.NO_DIFFERENCE,
    Conclusion.NOT_ENOUGH,
    Conclusion.NOT_JUDGED,
    Conclusion.NOT_COMPARED,
)


def _by_intervals(
    table: ResultTable, baseline: ResultTable, policy: Policy, alpha: float
) -> list[BaselineFinding]:
    """Compare each rule's value without pairs: B is worse where its interval lies beyond that of A.

    The two bounds of each side, for every rule, share `alpha`.
    """
    rules = list({rule.name: rule for rule in policy.rules}.values())
    refused = why_not_compared(baseline, table, {rule.metric.name: rule.metric for rule in rules})
    part = alpha / 4 / len(rules)
    return [_beside(rule, table, baseline, part, refused.get(rule.metric.name, "")) for rule in rules]


def _beside(
    rule: Rule, table: ResultTable, baseline: ResultTable, alpha: float, refusal: str
) -> BaselineFinding:
    metric = rule.judged_metric
    sides = [side.pooled() for side in (baseline, table)]
    before, now = (side.summary(rule.metric, _reduction(rule), rule.clip_limits) for side in sides)

    def say(finding: Conclusion, text: str) -> BaselineFinding:
        return BaselineFinding(metric, finding, text, before, now)

    if refusal:
        return say(Conclusion.NOT_COMPARED, refusal)
    absent = [name for name, one in (("A", before), ("B", now)) if one.value is None]
    if absent:
        return say(Conclusion.NOT_COMPARED, f"{' and '.join(absent)} has no value")
    if metric.better in {"zero", "band"}:
        return say(
            Conclusion.NOT_COMPARED, "best at 0 or in a band, which takes pairs of clips of the same input"
        )
    low_a, high_a, low_b, high_b = (
        end for side in sides for end in side.bounds(rule.metric, _reduction(rule), rule.clip_limits, alpha)
    )
    words = f"{_tell(before, metric)} before, {_tell(now, metric)} now, of other inputs"
    if (
        metric.name != ERROR_RATE.name
        and min(side.count_distinct(rule.metric.name) for side in sides) < MIN_CLIPS
    ):
        return say(Conclusion.NOT_ENOUGH, f"{words}: each side needs {MIN_CLIPS} clips")
    up, down = low_b > high_a, high_b < low_a
    if not (up or down):
        return say(Conclusion.NOT_ENOUGH, f"{words}: the intervals overlap")
    is_better = up == (metric.better == "higher")
    return say(Conclusion.BETTER if is_better else Conclusion.WORSE, words)


def _reduction(rule: Rule) -> str:
    """Return how clips become a value: the worst of many and the worst of few say nothing of each other."""
    return BAD_SHARE if rule.bad_beyond is not None else MEAN


def _tell(summary: Summary, metric: Metric) -> str:
    value = f"{three_digits(summary.value or 0.0)}{unit_suffix(metric.unit)}"
    interval = summary.interval
    return (
        value if interval is None else f"{value} [{three_digits(interval[0])}, {three_digits(interval[1])}]"
    )
