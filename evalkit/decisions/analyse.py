"""A run analysed for a policy: what the policy names is what is shown first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.analysis.run_analysis import RunAnalysis

if TYPE_CHECKING:
    from evalkit.decisions.policy import Policy
    from evalkit.runs import Run


def analyse_run(run: Run, policy: Policy | None) -> RunAnalysis:
    """Read a run; without a policy the usual metrics come first."""
    if policy is None:
        return RunAnalysis.of(run)
    costs = [metric.name for metric in policy.costs]
    return RunAnalysis.of(run, main=policy.metric_names(), quality=policy.quality.name, costs=costs)
