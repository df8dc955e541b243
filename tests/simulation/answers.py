"""What the product answers, read from its public objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.recommend import recommend
from evalkit.decisions.signoff import Decision, sign_off

if TYPE_CHECKING:
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.comparison import MetricComparison
    from evalkit.decisions.policy import Policy

CLAIMS = {Conclusion.BETTER, Conclusion.WORSE}
ALIKE = {Conclusion.NO_DIFFERENCE, Conclusion.NOT_WORSE}


def compare(a: ResultTable, b: ResultTable, policy: Policy, metric: str) -> MetricComparison:
    """Return what is said of one metric."""
    (found,) = [found for found in compare_tables(a, b, policy=policy).metrics if found.metric.name == metric]
    return found


def claim_and_coverage(found: MetricComparison, truth: float = 0.0) -> dict[str, float]:
    """Return whether a difference is claimed, and whether the interval holds the true one or a reason stands for it."""
    moved = found.change.moved
    if moved.interval is None:
        return {"claim": found.finding in CLAIMS, "covered": float("nan"), "reason": bool(moved.reason)}
    covered = moved.interval.low <= truth <= moved.interval.high
    return {"claim": found.finding in CLAIMS, "covered": covered, "reason": float("nan")}


def is_released(table: ResultTable, policy: Policy) -> bool:
    """Say whether a release passes."""
    return sign_off(table, policy).decision is Decision.PASS


def names_one(table: ResultTable, policy: Policy) -> bool:
    """Say whether a single configuration is recommended."""
    return recommend(table, policy).chosen is not None
