"""What was attempted in a run, what failed and what is not there, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.formatting import count
from evalkit.profiling.spill import ADVICE
from evalkit.reports.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.run import CoverageView


_MOST_NAMED = 4


def describe_coverage(coverage: CoverageView) -> list[tuple[Verdict, str]]:
    """Return a sentence for each thing to know, with how good it is."""
    n_planned, n_attempted, n_ok = coverage.n_planned, coverage.n_attempted, coverage.n_ok
    is_complete = n_ok == n_attempted == n_planned
    lines = [
        (
            Verdict("✓", "complete", "pass") if is_complete else Verdict("!", "incomplete", "warn"),
            f"{n_ok} of {count(n_planned, 'planned trial')} gave a video that was measured.",
        )
    ]
    if coverage.failures:
        codes = ", ".join(f"{code.replace('_', ' ')}: {n}" for code, n in coverage.failures.items())
        n_failed = sum(coverage.failures.values())
        words = f"{n_failed} of {n_attempted} attempted failed ({codes})."
        lines.append((Verdict("✗", "failed", "fail"), words))
    if coverage.n_retried:
        words = f"{count(coverage.n_retried, 'trial')} needed more than one attempt."
        lines.append((Verdict("!", "retried", "warn"), words))
    if coverage.n_elsewhere:
        words = (
            f"Times and memory are of {coverage.kind}; {count(coverage.n_elsewhere, 'trial')} made on other kinds of machine "
            f"{'is' if coverage.n_elsewhere == 1 else 'are'} not in them."
        )
        lines.append((Verdict("!", "several kinds of machine", "warn"), words))
    if coverage.n_spilled:
        words = (
            f"{count(coverage.n_spilled, 'trial')} became several-fold slower while a GPU was full: {ADVICE}."
        )
        lines.append((Verdict("!", "memory spilled", "warn"), words))
    for skipped in coverage.skipped:
        words = f"{count(skipped.n, 'planned trial')} skipped ({_name(skipped.configurations)}): {skipped.reason}."
        lines.append((Verdict("!", "skipped", "warn"), words))
    if coverage.n_unfinished:
        words = f"{count(coverage.n_unfinished, 'planned trial')} without a result yet."
        lines.append((Verdict("!", "unfinished", "warn"), words))
    lines += [(Verdict("✗", "damaged", "fail"), text) for text in coverage.damage]
    if coverage.n_orphaned:
        words = f"{count(coverage.n_orphaned, 'trial')} of an earlier grid in the folder: in no figure here but the error rate."
        lines.append((Verdict("·", "left out", "neutral"), words))
    return lines


def _name(configurations: Sequence[str]) -> str:
    """List configurations: all of a few, else the first ones and how many more."""
    n_more = len(configurations) - _MOST_NAMED
    named = "; ".join(configurations[:_MOST_NAMED])
    return f"{named}; and {n_more} more" if n_more > 0 else named
