"""Gates in plain words, a line each, in every language that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.reducers import WORST
from evalkit.decisions.judge import Grade
from evalkit.formatting import three_digits
from evalkit.reports.verdict import Verdict, verdict_of_gate
from evalkit.visuals.numbers import unit_suffix
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.views.figure import FigureView
    from evalkit.views.gate import GateView
    from evalkit.words.language import Words
    from evalkit.words.metrics import MetricWords, Tone

_BAD = ".bad"
_TONES: dict[Grade, Tone] = {Grade.PASSES: "good", Grade.FAILS: "bad"}


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
            name=name_gate(gate.metric, say, metrics),
            told=_tell(gate, say, metrics),
            evidence=tuple(_list_evidence(gate, say)),
            anchor=anchor,
        )
        for gate in gates
    ]


def name_gate(name: str, say: Words, metrics: MetricWords) -> str:
    """Return what people call a gate: its metric, the share of clips that are bad in it, or a line about the run.

    >>> name_gate("lip_sync.offset_ms", read_words("en", "pages"), metric_words("en"))
    'Lips follow the sound'
    >>> name_gate("run.complete", read_words("en", "pages"), metric_words("en"))
    'Every planned clip is there'
    """
    if f"line {name}" in say.sentences:
        return say(f"line {name}")
    if name.endswith(_BAD) and name not in metrics.entries:
        return say("bad_clips", name=metrics.name(name.removesuffix(_BAD)))
    return metrics.name(name)


def say_limit(gate: GateView, say: Words) -> str:
    """Return what a gate asks for, in few words; empty for a line about the run."""
    is_share = gate.metric.endswith(_BAD)
    suffix = " %" if is_share else unit_suffix("" if gate.figure is None else gate.figure.unit)
    low, high = (
        None if end is None else f"{three_digits(100 * end if is_share else end)}"
        for end in (gate.at_least, gate.at_most)
    )
    if low is not None and high is not None:
        return say("between", low=low, high=f"{high}{suffix}")
    if high is not None:
        return say("at_most", limit=f"{high}{suffix}")
    return "" if low is None else say("at_least", limit=f"{low}{suffix}")


def _tell(gate: GateView, say: Words, metrics: MetricWords) -> str:
    """Say what was found, and whether that is enough to judge."""
    told = _tell_outcome(gate, say, metrics)
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
        return say("gate_fails", told=told, limit=say_limit(gate, say))
    if grade is Grade.PASSES:
        return say("gate_value_alone", told=told) if _reaches_beyond(gate, figure) else told
    return say("gate_too_few", told=told)


def _tell_value(gate: GateView, figure: FigureView, value: float, say: Words, metrics: MetricWords) -> str:
    if gate.metric.endswith(_BAD):
        return say("of_clips", n=round(value * figure.n), attempted=figure.n)
    told = metrics.value(figure.metric, value, figure.unit, _TONES.get(gate.grade))
    return say("worst_clip", told=told) if figure.reducer == WORST else told


def _reaches_beyond(gate: GateView, figure: FigureView) -> bool:
    """Say whether the true value may be beyond the limit, though what was judged is not."""
    if figure.interval is None:
        return False
    low, high = figure.interval
    return (gate.at_least is not None and low < gate.at_least) or (
        gate.at_most is not None and high > gate.at_most
    )


def _list_evidence(gate: GateView, say: Words) -> list[Evidence]:
    figure, limit = gate.figure, say_limit(gate, say)
    found = [Evidence(say("asked"), limit, say.tag) if limit else Evidence(say("asked"), gate.limit, "en")]
    if figure is not None and figure.value is not None:
        value = f"{three_digits(figure.value)}{unit_suffix(figure.unit)}"
        if figure.interval is not None:
            low, high = map(three_digits, figure.interval)
            value = say("found_interval", value=value, low=low, high=high)
        found.append(Evidence(say("found"), value, say.tag))
    found.append(Evidence(say("rests_on"), say("of_clips", n=gate.n, attempted=gate.n_attempted), say.tag))
    if gate.grade is not Grade.PASSES:
        found.append(Evidence(say("why_so"), gate.evidence, "en"))
    if gate.why:
        found.append(Evidence(say("source"), gate.why, "en"))
    return [*found, Evidence(say("metric_name"), gate.metric, "en")]
