"""The report of a run for a pull request: the answer, the table, what failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalkit.formatting import count, in_one_line, three_digits
from evalkit.reports.answer import (
    describe_answer,
    describe_headline,
    from_best,
    note_of,
    title_configurations,
)
from evalkit.reports.coverage import describe_coverage
from evalkit.reports.labels import head_of
from evalkit.reports.search import describe_search
from evalkit.reports.spending import describe_spending
from evalkit.reports.verdict import verdict_of_answer, verdict_of_configuration, verdict_of_gate
from evalkit.visuals.numbers import bracket, unit_suffix
from evalkit.words.language import LANGUAGES
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.views.figure import FigureView
    from evalkit.views.run import RunView

_N_FAILURES = 20
_TAG = LANGUAGES[0]
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&$@])")


def render_markdown(run: RunView) -> str:
    """Return the report of a run as Markdown that GitHub and GitLab read."""
    lines = [f"## {escape(f'{verdict_of_answer(run)}: {describe_headline(run, _TAG)}')}", ""]
    lines += [line for sentence in describe_answer(run) for line in (escape(sentence), "")]
    lines += [
        f"- {verdict.symbol} {escape(text)}" for verdict, text in describe_coverage(run.coverage, _TAG)
    ] + [""]
    if run.search is not None:
        lines += ["### The search", ""]
        lines += [line for sentence in describe_search(run.search) for line in (escape(sentence), "")]
    lines += _evidence(run) + _configurations(run) + _people(run) + _spending(run) + _failures(run)
    lines += ["", f"Videos, plots and every trial: `report.html` in `{escape(run.name)}`.", ""]
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


def _evidence(run: RunView) -> list[str]:
    answered = run.answered
    if answered is None or not answered.gates:
        return []
    rows = [
        [
            str(verdict_of_gate(gate)),
            metric_words(_TAG).name(gate.metric),
            "–" if gate.figure is None else _cell(gate.figure, with_unit=True),
            gate.limit,
            gate.evidence,
        ]
        for gate in answered.gates
    ]
    heads = ["outcome", "metric", "value", "limit", "evidence"]
    return [f"### Evidence for {escape(answered.label)}", "", *_table(heads, rows)]


def _configurations(run: RunView) -> list[str]:
    if not run.configurations:
        return []
    rows = [
        [
            " – ".join(filter(None, (configuration.label, note_of(run, configuration, _TAG)))),
            str(verdict_of_configuration(configuration)),
            f"{configuration.n_failed} / {configuration.n_attempted}",
            *(_cell(configuration.figures[name]) for name in run.main),
        ]
        for configuration in from_best(run)
    ]
    heads = [
        "configuration",
        "gates",
        "failed",
        *(head_of(run.metrics[name], metric_words(_TAG)) for name in run.main),
    ]
    return [f"### {title_configurations(run, _TAG)}", "", *_table(heads, rows)]


def _people(run: RunView) -> list[str]:
    if not run.people:
        return []
    return ["### What people say", "", *(line for words in run.people for line in (escape(words), ""))]


def _spending(run: RunView) -> list[str]:
    found = describe_spending(run, _TAG)
    if found is None:
        return []
    rows = [[one.label, *cells] for one, cells in found.configurations]
    lines = [f"### {escape(found.title)}", "", escape(found.note), ""]
    lines += _table(["configuration", *found.heads], rows)
    if len(found.kinds) > 1:
        kinds = [[one.kind, f"{one.n_failed} / {one.n_trials}", *cells] for one, cells in found.kinds]
        lines += _table(["machine", "failed", *found.heads], kinds)
    return lines


def _cell(figure: FigureView, *, with_unit: bool = False) -> str:
    if figure.value is None:
        return f"– ({figure.why_absent})"
    number = three_digits(figure.value) + (unit_suffix(figure.unit) if with_unit else "")
    return " ".join(part for part in (number, bracket(figure.interval), figure.basis) if part)


def _failures(run: RunView) -> list[str]:
    if not run.failed:
        return []
    rows = [
        [trial.label, trial.failure.stage, trial.failure.code, in_one_line(trial.failure.text)[:200]]
        for trial in run.failed[:_N_FAILURES]
        if trial.failure is not None
    ]
    n_more = len(run.failed) - _N_FAILURES
    return [
        f"### {count(len(run.failed), 'trial')} failed",
        "",
        *_table(["trial", "stage", "what", "message"], rows),
        *([f"… and {n_more} more, all in `report.html`."] if n_more > 0 else []),
    ]
