"""Every gate of one configuration: what report, recommendation and sign-off of a run judge it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.judge import judge, judge_completeness

if TYPE_CHECKING:
    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.policy import Policy


def judge_configuration(
    table: ResultTable, configuration: Configuration, policy: Policy
) -> tuple[RuleResult, ...]:
    """Judge one configuration of a table: first the run itself, as far as it does not hold, then each rule in order.

    Parameters
    ----------
    table : ResultTable
        The whole run, or the part of it that has this configuration alone: the answer is the same.
    configuration : Configuration
        Of that table.
    policy : Policy
    """
    budget = ErrorBudget.of(table)
    incomplete = judge_completeness(table.missing, len(configuration.rows))
    lines = [] if incomplete is None else [incomplete]
    return (*lines, *(judge(rule, configuration, policy, budget) for rule in policy.rules))
