"""Every gate of one configuration: what report, recommendation and sign-off of a run judge it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.integrity import check_run
from evalkit.decisions.judge import Grade, judge
from evalkit.formatting import count

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.policy import Policy


_FROM_BEST = (Grade.PASSES, Grade.TOO_FEW_CLIPS, Grade.NOT_MEASURED, Grade.FAILS)
_VERBS = {
    Grade.PASSES: ("passes", "pass"),
    Grade.FAILS: ("fails", "fail"),
    Grade.TOO_FEW_CLIPS: ("has too few clips", "have too few clips"),
    Grade.NOT_MEASURED: ("is not measured", "are not measured"),
}


def judge_configuration(
    table: ResultTable, configuration: Configuration, policy: Policy, *, today: dt.date | None = None
) -> tuple[RuleResult, ...]:
    """Judge one configuration of a table: first the run itself, as far as it does not hold, then each rule in order.

    Parameters
    ----------
    table : ResultTable
        The whole run, or the part of it that has this configuration alone: the answer is the same.
    configuration : Configuration
        Of that table.
    policy : Policy
    today : date, optional
        UTC; today unless given.
    """
    budget = ErrorBudget.of(table)
    lines = check_run(table, configuration, policy, today=today)
    return (*lines, *(judge(rule, configuration, policy, budget) for rule in policy.rules))


def rank_grade(grade: Grade) -> int:
    """Return 0 for the best grade: what is not known may still come to pass, what fails does not."""
    return _FROM_BEST.index(grade)


def describe_grades(grades: Iterable[Grade], n: int, what: str = "gate") -> str:
    """Say of some of n gates, or configurations, how they came out.

    >>> describe_grades([Grade.PASSES, Grade.NOT_MEASURED, Grade.FAILS, Grade.FAILS], 5)
    '1 of 5 gates passes, 2 fail, 1 is not measured'
    """
    found = list(grades)
    words = []
    for grade, verbs in _VERBS.items():
        n_found = found.count(grade)
        if grade is Grade.PASSES:
            words.append(f"{n_found} of {count(n, what)} {verbs[1 not in {n_found, n}]}")
        elif n_found:
            words.append(f"{n_found} {verbs[n_found > 1]}")
    return ", ".join(words)


def describe_budget(budget: ErrorBudget) -> tuple[str, ...]:
    """Say why gates are judged more strictly than those of one configuration at first sight; nothing where they are not."""
    notes = []
    if budget.look > 1:
        notes.append(
            f"Look {budget.look} at this run: judged more strictly than the first, as every look is one more chance to pass."
        )
    if budget.n_configurations > 1:
        notes.append(
            f"One of {budget.n_configurations} configurations: judged more strictly, as the best of many looks better "
            f"than it is; a run of its own needs fewer clips."
        )
    return tuple(notes)
