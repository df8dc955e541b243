"""Gates in plain words, a line each, in every language that there is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.reducers import WORST
from evalkit.decisions.judge import Grade
from evalkit.decisions.usual import tone_of
from evalkit.reports.verdict import Verdict, verdict_of_gate
from evalkit.words.language import read_words, space_out
from evalkit.words.metrics import BAD, metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.views.figure import FigureView
    from evalkit.views.gate import GateView
    from evalkit.words.language import Words
    from evalkit.words.metrics import MetricWords, Tone

_N_NAMES = 3
_GRADES: dict[Tone, Grade] = {"good": Grade.PASSES, "bad": Grade.FAILS}


@dataclass(frozen=True)
class Evidence:
    """One thing that a gate rests on.

    Parameters
    ----------
    name, text : str
    language : str
        Of the text.
    """

    name: str
    text: str
    language: str


@dataclass(frozen=True)
class GateLine:
    """A gate for people.

    Parameters
    ----------
    verdict : Verdict
    metric : str
        The name that files and options have.
    name, told : str
        What people call it; what was found, and whether that is enough.
    evidence : tuple of Evidence
    anchor : str
        Where the page shows more; empty where it does not.
    """

    verdict: Verdict
    metric: str
    name: str
    told: str
    evidence: tuple[Evidence, ...]
    anchor: str


def gate_lines(gates: Iterable[GateView], tag: str, *, anchor: str = "") -> list[GateLine]:
    """Return gates in plain words.

    Parameters
    ----------
    gates : iterable of GateView
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    anchor : str
        Id of the element of the page that shows the figures of all of them.
    """
    say, metrics = read_words(tag, "pages"), metric_words(tag)
    return [
        GateLine(
            verdict=verdict_of_gate(gate).said_in(say),
            metric=gate.metric,
            name=metrics.name(gate.metric),
            told=_tell(gate, say, metrics),
            evidence=tuple(_list_evidence(gate, say, metrics)),
            anchor=anchor,
        )
        for gate in gates
    ]


def join_names(names: Iterable[str], say: Words) -> str:
    """List what people call things, each once and in quotes; of many the first few.

    >>> join_names(["a", "b", "a"], read_words("en", "pages"))
    '“a” and “b”'
    """
    quoted = [say("quoted", name=name) for name in dict.fromkeys(names)]
    if len(quoted) > _N_NAMES:
        return say("and_n_more", names=say("comma").join(quoted[:_N_NAMES]), n=len(quoted) - _N_NAMES)
    if len(quoted) < 2:
        return "".join(quoted)
    return say("and", first=say("comma").join(quoted[:-1]), last=quoted[-1])


def say_limit(gate: GateView, metrics: MetricWords, *, plain: bool = False) -> str:
    """Return what a gate asks for, in few words; empty for a line about the run.

    Parameters
    ----------
    gate : GateView
    metrics : MetricWords
        Of the language.
    plain : bool
        As bare numbers, to stand beside bare numbers, instead of as people say values of the metric.
    """
    low = -math.inf if gate.at_least is None else gate.at_least
    high = math.inf if gate.at_most is None else gate.at_most
    if math.isinf(low) and math.isinf(high):
        return ""
    if plain:
        unit = "1" if gate.figure is None else gate.figure.unit
        limit = metrics.limit("", low, high, unit)
    else:
        limit = metrics.limit(gate.metric.removesuffix(BAD), low, high, gate.unit, gate.bad_beyond)
    if gate.figure is not None and gate.figure.reducer == WORST:
        return space_out(read_words(metrics.tag, "pages")("in_every_clip", limit=limit), metrics.tag)
    return limit


def _tell(gate: GateView, say: Words, metrics: MetricWords) -> str:
    """Say what was found, and whether that is enough to judge."""
    told = space_out(_tell_outcome(gate, say, metrics), say.tag)
    if gate.waiver is not None and gate.status == "waived":
        return say("gate_waived", told=told, name=gate.waiver.name, date=gate.waiver.expires)
    return told


def _tell_outcome(gate: GateView, say: Words, metrics: MetricWords) -> str:
    figure, grade = gate.figure, gate.grade
    if figure is None:
        return say("gate_met" if grade is Grade.PASSES else "gate_not_met")
    if figure.value is None:
        return say("gate_not_measured")
    told = _tell_value(gate, figure, figure.value, say, metrics)
    if grade is Grade.FAILS:
        return say("gate_fails", told=told, limit=say_limit(gate, metrics))
    if grade is Grade.PASSES:
        return say("gate_value_alone", told=told) if _reaches_beyond(gate, figure) else told
    return say("gate_too_few_sessions" if figure.counted == "sessions" else "gate_too_few", told=told)


def _tell_value(gate: GateView, figure: FigureView, value: float, say: Words, metrics: MetricWords) -> str:
    told = metrics.value(figure.metric, value, figure.unit, _tone(gate, value))
    return say("worst_clip", told=told) if figure.reducer == WORST else told


def _tone(gate: GateView, value: float) -> Tone | None:
    """Say whether a value is as usual; nothing where the policy sees it otherwise."""
    tone = tone_of(gate.metric, value)
    return tone if tone is not None and gate.grade is _GRADES[tone] else None


def _reaches_beyond(gate: GateView, figure: FigureView) -> bool:
    """Say whether the true value may be beyond the limit, though what was judged is not."""
    if figure.interval is None:
        return False
    low, high = figure.interval
    return (gate.at_least is not None and low < gate.at_least) or (
        gate.at_most is not None and high > gate.at_most
    )


def _list_evidence(gate: GateView, say: Words, metrics: MetricWords) -> list[Evidence]:
    figure, limit = gate.figure, say_limit(gate, metrics)
    found = [Evidence(say("asked"), limit, say.tag) if limit else Evidence(say("asked"), gate.limit, "en")]
    if figure is not None and figure.value is not None:
        value = metrics.value(figure.metric, figure.value, figure.unit)
        if figure.interval is not None:
            interval = metrics.limit(figure.metric, *figure.interval, figure.unit)
            value = say("found_interval", value=value, interval=interval)
        found.append(Evidence(say("found"), value, say.tag))
    if gate.n_attempted:
        counted = say("of_clips", n=gate.n_attempted, with_value=gate.n)
        found.append(Evidence(say("rests_on"), counted, say.tag))
    if gate.grade is not Grade.PASSES:
        found.append(Evidence(say("why_so"), gate.evidence, "en"))
    if gate.why:
        found.append(Evidence(say("source"), gate.why, "en"))
    return [*found, Evidence(say("metric_name"), gate.metric, "en")]
