"""A sign-off as a page: the verdict, the gates in plain words, the clips that fail, and what is to be done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evalkit.decisions.judge import Grade
from evalkit.decisions.signoff import Decision
from evalkit.reports.baseline_section import render_baseline, tell_worse
from evalkit.reports.gate_lines import gate_lines, join_names, say_limit
from evalkit.reports.stage import player_script, player_style, stage_clip
from evalkit.reports.verdict import verdict_of_decision, verdict_of_gate
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page
from evalkit.words.language import read_words
from evalkit.words.metrics import BAD, metric_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.reports.stage import StagedClip
    from evalkit.views.gate import GateView
    from evalkit.views.signoff import SignoffView
    from evalkit.words.language import Words
    from evalkit.words.metrics import MetricWords

_LINE_OF_RUN = "run."


@dataclass(frozen=True)
class FailingClip:
    """The worst clip of gates that are not met.

    Parameters
    ----------
    gates : str
        What people call them.
    clip : StagedClip
    """

    gates: str
    clip: StagedClip


def render_signoff(view: SignoffView, *, frame: PageFrame = PLAIN_FRAME) -> str:
    """Return a self-contained HTML page; it shows the videos to which the frame leads."""
    say, metrics = read_words(frame.language, "pages", "player", "signoff"), metric_words(frame.language)
    failing = [
        FailingClip(
            join_names([metrics.name(gate) for gate in one.gates], say),
            stage_clip(one.clip, one.clip.name, frame, metrics, _units_of(view, one.gates), is_beside=False),
        )
        for one in view.failing
    ]
    hard = [gate for gate in view.gates if gate.kind == "hard"]
    return render_page(
        __package__,
        "signoff.html.j2",
        frame=frame,
        topics=("player", "signoff"),
        script=player_script() if any(one.clip.address for one in failing) else "",
        style=player_style(),
        title=say("signoff_title", name=view.title),
        view=view,
        headline=write_headline(view, say, metrics),
        decision=verdict_of_decision(view.decision).said_in(say),
        gates=gate_lines(hard, frame.language, anchor="figures"),
        soft=gate_lines(
            [gate for gate in view.gates if gate.kind != "hard"], frame.language, anchor="figures"
        ),
        failing=failing,
        to_do=list(say_what_to_do(view, say, metrics)),
        limit_of=partial(say_limit, plain=True),
        verdict_of_gate=lambda gate: verdict_of_gate(gate).said_in(say),
        baseline=render_baseline(view.baseline, frame.language),
        worse=tell_worse(view.baseline, frame.language),
    )


def write_headline(view: SignoffView, say: Words, metrics: MetricWords) -> str:
    """Say in a sentence or two whether it can be released, and what speaks against it."""
    hard = [gate for gate in view.gates if gate.kind == "hard"]
    if not hard:
        return say("no_gates")
    open_gates = [gate for gate in hard if gate.status == "fail"]
    waived = [gate for gate in hard if gate.status == "waived"]
    if not open_gates:
        passed = say("all_pass", n=len(hard) - len(waived))
        return passed + (say("waived", n=len(waived)) if waived else "")
    grades = Counter(gate.grade for gate in open_gates)
    said = [say("not_released", n=len(open_gates), all=len(hard))]
    for grade in (Grade.FAILS, Grade.NOT_MEASURED, Grade.TOO_FEW_CLIPS):
        if grades[grade]:
            found = [gate for gate in open_gates if gate.grade is grade]
            names = [metrics.name(gate.metric) for gate in found]
            of_sessions = grade is Grade.TOO_FEW_CLIPS and all(_is_of_sessions(gate) for gate in found)
            key = "why_too_few_sessions" if of_sessions else f"why_{grade.name.lower()}"
            said.append(say(key, names=join_names(names, say), n=len(names)))
    return say("between_sentences").join(said)


def say_what_to_do(view: SignoffView, say: Words, metrics: MetricWords) -> Iterator[str]:
    """Say what has to happen for each kind of gate that is not met."""
    if view.decision is not Decision.FAIL:
        return
    open_gates = [gate for gate in view.gates if gate.kind == "hard" and gate.status == "fail"]
    few = [one for one in open_gates if one.grade is Grade.TOO_FEW_CLIPS and not _is_of_run(one)]
    for key, found in (
        ("do_run", [gate for gate in open_gates if gate.metric.startswith(_LINE_OF_RUN)]),
        ("do_fails", [one for one in open_gates if one.grade is Grade.FAILS and not _is_of_run(one)]),
        (
            "do_measure",
            [one for one in open_gates if one.grade is Grade.NOT_MEASURED and not _is_of_run(one)],
        ),
        ("do_more", [one for one in few if not _is_of_sessions(one)]),
        ("do_more_sessions", [one for one in few if _is_of_sessions(one)]),
    ):
        if found:
            yield say(key, names=join_names([metrics.name(gate.metric) for gate in found], say))
    yield say("do_waive")


def _is_of_sessions(gate: GateView) -> bool:
    return gate.figure is not None and gate.figure.counted == "sessions"


def _is_of_run(gate: GateView) -> bool:
    return gate.metric.startswith(_LINE_OF_RUN)


def _units_of(view: SignoffView, names: tuple[str, ...]) -> dict[str, str]:
    """Return the metrics that these gates are about, with their units."""
    units = {gate.metric: gate.unit for gate in view.gates}
    return {name.removesuffix(BAD): units[name] for name in names}
