"""A sign-off as the summary of a job of continuous integration: Markdown as GitHub shows it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from evalkit.decisions.signoff import Decision
from evalkit.formatting import label
from evalkit.reports.gate_lines import GateLine, gate_lines
from evalkit.words.language import LANGUAGES

if TYPE_CHECKING:
    from evalkit.views.gate import GateView
    from evalkit.views.signoff import SignoffView

_SYMBOLS = {"pass": "✅", "warn": "⚠️", "waived": "📝", "fail": "❌"}
_DECISIONS = {Decision.FAIL: "❌", Decision.PASS: "✅", Decision.PASS_WITH_WAIVERS: "⚠️"}


def job_summary(view: SignoffView, *, tag: str = LANGUAGES[0]) -> str:
    """Return the verdict, what does not pass, and what does, folded away.

    Parameters
    ----------
    view : SignoffView
    tag : str
        Language of the gates.
    """
    pairs = list(zip(view.gates, gate_lines(view.gates, tag), strict=True))
    open_ones = [pair for pair in pairs if pair[0].status != "pass"]
    met = [pair for pair in pairs if pair[0].status == "pass"]
    symbol = _DECISIONS[view.decision]
    lines = [
        f"## {symbol} {view.decision.value}: {plain(view.title)}",
        "",
        f"{plain(view.headline)} Judged by the policy **{plain(view.policy.name)}**.",
        "",
    ]
    if open_ones:
        lines += [*_table(open_ones), ""]
    if met:
        lines += [f"<details><summary>{len(met)} met</summary>", "", *_table(met), "", "</details>", ""]
    if view.notes:
        lines += [*(f"- {plain(note)}" for note in view.notes), ""]
    return "\n".join(lines)


def _table(pairs: list[tuple[GateView, GateLine]]) -> list[str]:
    head = ["| | gate | found | asked | why it came out so |", "|---|---|---|---|---|"]
    return [
        *head,
        *(
            f"| {_SYMBOLS[gate.status]} | {plain(line.name)}<br><sub>{plain(gate.metric)}"
            f"{', warns only' if gate.kind == 'soft' else ''}</sub> | {plain(line.told)} | {plain(gate.limit)} | "
            f"{plain(gate.evidence)} |"
            for gate, line in pairs
        ),
    ]


_MARKS = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()#+!|~$@"})


def plain(text: str) -> str:
    r"""Return a text such that Markdown and HTML show it as it is, on one line.

    >>> plain("a | <b> *c* @d")
    'a \\| &lt;b&gt; \\*c\\* \\@d'
    """
    return html.escape(label(text), quote=False).translate(_MARKS)
