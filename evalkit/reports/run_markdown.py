"""The report of a run for a pull request: the answer, the table, what failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalkit.formatting import three_digits
from evalkit.reports.numbers import bracket, count
from evalkit.reports.run_answer import verdict_of, verdict_of_line
from evalkit.reports.run_page import caption_of, describe_coverage, head_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.values import Summary
    from evalkit.reports.run_answer import Answer

_N_FAILURES = 20
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&$@])")


def write_markdown(tables: RunAnalysis, answer: Answer) -> str:
    """Return the report as Markdown that GitHub and GitLab read.

    Parameters
    ----------
    tables : RunAnalysis
    answer : Answer
    """
    lines = [f"## {answer.verdict.symbol} {escape(answer.verdict.word)}: {escape(answer.headline)}", ""]
    lines += [line for sentence in answer.more for line in (escape(sentence), "")]
    lines += [f"- {verdict.symbol} {escape(text)}" for verdict, text in describe_coverage(tables)] + [""]
    if answer.told is not None:
        lines += [f"### Evidence for {escape(answer.subject)}", ""]
        lines += _table(
            ["verdict", "metric", "value", "limit", "evidence"],
            [
                [
                    f"{verdict_of_line(line).symbol} {verdict_of_line(line).word}",
                    line.metric,
                    "–"
                    if line.value is None
                    else f"{three_digits(line.value)} {line.unit} {bracket(line.interval)} n = {line.n}",
                    line.limit,
                    line.evidence,
                ]
                for line in answer.told.lines
            ],
        )
    lines += _configurations(tables, answer) + _failures(tables)
    lines += ["", f"Videos, plots and every trial: `report.html` in `{escape(tables.run.folder.name)}`.", ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    r"""Return any text so that Markdown shows it as it is, in one line.

    >>> escape("384*256 <b>")
    '384\\*256 \\<b\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    drawn = [f"| {' | '.join(escape(cell) or ' ' for cell in row)} |" for row in (heads, *rows)]
    return [drawn[0], "|---" * len(heads) + "|", *drawn[1:], ""]


def _configurations(tables: RunAnalysis, answer: Answer) -> list[str]:
    if not tables.configurations:
        return []
    verdicts: dict[str, str] = {}
    for candidate in answer.recommendation.candidates if answer.recommendation else ():
        verdict = verdict_of(candidate)
        verdicts[candidate.name] = f"{verdict.symbol} {verdict.word}"
    rows = []
    for one in tables.configurations:
        mark = " (told above)" if one.label == answer.subject else ""
        rows.append(
            [
                one.label + mark,
                verdicts.get(one.label, "–"),
                f"{one.n_failed} / {len(one.trials)}",
                *(_cell(one.summaries[metric]) for metric in tables.main),
            ]
        )
    heads = ["configuration", "gates", "failed", *(head_of(tables.metrics[metric]) for metric in tables.main)]
    return [f"### {count(len(rows), 'configuration')}", "", *_table(heads, rows)]


def _cell(summary: Summary) -> str:
    estimate = summary.estimate
    if estimate.value is None:
        return f"– ({summary.why_absent or estimate.reason})"
    return " ".join(
        part
        for part in (three_digits(estimate.value), bracket(estimate.interval), f"n = {estimate.n}")
        if part
    )


def _failures(tables: RunAnalysis) -> list[str]:
    failed = [trial for trial in tables.trials if trial.failure is not None]
    if not failed:
        return []
    rows = [
        [caption_of(trial, tables), trial.failure.stage, trial.failure.code, trial.failure.text[:200]]
        for trial in failed[:_N_FAILURES]
        if trial.failure is not None
    ]
    lines = [
        f"### {count(len(failed), 'trial')} failed",
        "",
        *_table(["trial", "stage", "what", "said"], rows),
    ]
    if len(failed) > _N_FAILURES:
        lines.append(f"… and {len(failed) - _N_FAILURES} more, all in `report.html`.")
    return lines
