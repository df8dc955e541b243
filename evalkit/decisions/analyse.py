"""A run analysed for a policy: which one judges it, and what it names is what is shown first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.analysis.table import metrics_of_run
from evalkit.decisions import DEFAULT_POLICY
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.decisions.policy import Policy
    from evalkit.runs import Run
    from evalkit.types import Metric


def policy_of_run(run: Run) -> tuple[Policy | None, str]:
    """Return the policy that judges a run, and what a reader should know of that choice.

    A run that names none is judged by the bundled one for customer service; one that cannot be read any more judges
    nothing. Metrics of the run may be named where their evaluators are not installed.
    """
    name = run.manifest.policy
    try:
        policy = load_policy(name or DEFAULT_POLICY, metrics_of_run(run).values())
    except UsageError as error:
        return None, f"The run was to be judged by policy {name!r}, which cannot be used: {error}"
    return policy, "" if name else f"No policy was named: judged by the bundled “{policy.title}”."


def policy_of_sides(named: Sequence[str | None], metrics: Iterable[Metric]) -> tuple[Policy, str]:
    """Return the policy that all sides of a comparison name, else the default, and what a reader should know of the choice.

    Raises
    ------
    UsageError
        If the one that all name cannot be used.
    """
    first, *others = dict.fromkeys(named)
    if first is not None and not others:
        try:
            return load_policy(first, metrics), ""
        except UsageError as error:
            raise UsageError(
                f"the runs both name the policy {first!r}, which cannot be used: {error}; name another with --policy"
            ) from None
    known = [name for name in (first, *others) if name is not None]
    why = {0: "no policy was named", 1: f"only one side names {''.join(known)}"}.get(
        len(known), f"they name different ones: {' and '.join(known)}"
    )
    return load_policy(DEFAULT_POLICY, metrics), f"judged by the policy {DEFAULT_POLICY}: {why}"


def analyse_run(run: Run, policy: Policy | None) -> RunAnalysis:
    """Read a run; without a policy the usual metrics come first, and no factor is given."""
    if policy is None:
        return RunAnalysis.of(run)
    costs = [metric.name for metric in policy.costs]
    analysis = RunAnalysis.of(run, main=policy.metric_names(), quality=policy.quality.name, costs=costs)
    return replace(analysis, table=replace(analysis.table, given=policy.given))
