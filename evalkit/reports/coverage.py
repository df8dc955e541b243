"""What was attempted in a run, what failed and what is not there, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.profiling.spill import ADVICE
from evalkit.reports.verdict import Verdict, verdict_of_failure
from evalkit.words.language import read_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.run import CoverageView
    from evalkit.words.language import Words


_MOST_NAMED = 4


def describe_coverage(coverage: CoverageView, tag: str) -> list[tuple[Verdict, str]]:
    """Return a sentence for each thing to know, with how good it is.

    Parameters
    ----------
    coverage : CoverageView
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    say = read_words(tag, "run", "pages")
    return [(verdict.said_in(say), text) for verdict, text in _describe(coverage, say)]


def _describe(coverage: CoverageView, say: Words) -> list[tuple[Verdict, str]]:
    n_planned, n_attempted, n_ok = coverage.n_planned, coverage.n_attempted, coverage.n_ok
    is_complete = n_ok == n_attempted == n_planned
    lines = [
        (
            Verdict("✓", "complete", "pass") if is_complete else Verdict("!", "incomplete", "warn"),
            say("covered", ok=n_ok, n=n_planned),
        )
    ]
    if coverage.failures:
        codes = say("list_comma").join(
            f"{verdict_of_failure(code).said_in(say).word}{say('colon')}{n}"
            for code, n in coverage.failures.items()
        )
        n_failed = sum(coverage.failures.values())
        words = say("covered_failed", failed=n_failed, n=n_attempted, codes=codes)
        lines.append((Verdict("✗", "failed", "fail"), words))
    if coverage.n_retried:
        lines.append((Verdict("!", "retried", "warn"), say("covered_retried", n=coverage.n_retried)))
    if coverage.n_elsewhere:
        words = say("covered_elsewhere", n=coverage.n_elsewhere, kind=coverage.kind)
        lines.append((Verdict("!", "several kinds of machine", "warn"), words))
    if coverage.n_spilled:
        words = say("covered_spilled", n=coverage.n_spilled, advice=ADVICE)
        lines.append((Verdict("!", "memory spilled", "warn"), words))
    for skipped in coverage.skipped:
        names = _name(skipped.configurations, say)
        words = say("covered_skipped", n=skipped.n, names=names, reason=skipped.reason)
        lines.append((Verdict("!", "skipped", "warn"), words))
    if coverage.n_unfinished:
        words = say("covered_unfinished", n=coverage.n_unfinished)
        lines.append((Verdict("!", "unfinished", "warn"), words))
    lines += [(Verdict("✗", "damaged", "fail"), text) for text in coverage.damage]
    if coverage.n_orphaned:
        words = say("covered_orphaned", n=coverage.n_orphaned)
        lines.append((Verdict("·", "left out", "neutral"), words))
    return lines


def _name(configurations: Sequence[str], say: Words) -> str:
    """List configurations: all of a few, else the first ones and how many more."""
    n_more = len(configurations) - _MOST_NAMED
    named = "; ".join(configurations[:_MOST_NAMED])
    return say("covered_more", names=named, n=n_more) if n_more > 0 else named
