"""The answer of a run in sentences, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.judge import Grade
from evalkit.decisions.recommend import Outcome
from evalkit.formatting import count

if TYPE_CHECKING:
    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.run import RunView

_GATE_WORDS = {
    Grade.PASSES: ("passes", "pass"),
    Grade.FAILS: ("fails", "fail"),
    Grade.TOO_FEW_CLIPS: ("has too few clips to tell", "have too few clips to tell"),
    Grade.NOT_MEASURED: ("is not measured", "are not measured"),
}


def describe_answer(run: RunView) -> list[str]:
    """Return the sentences below the headline; how a sign-off judges the same configuration comes last."""
    sentences = list(run.answer.details)
    answered = run.answered
    if answered is not None and answered.gates:
        parts = []
        for grade, (singular, plural) in _GATE_WORDS.items():
            n = len(answered.gates_with(grade))
            if n:
                parts.append(f"{n} {singular if n == 1 else plural}")
        sentences.append(f"Of its {count(len(answered.gates), 'gate')}, {', '.join(parts)}.")
    return sentences


def title_configurations(run: RunView) -> str:
    """Say how many configurations come through."""
    words = count(len(run.configurations), "configuration")
    if run.policy is None:
        return words
    n_without = sum(configuration.grade is not Grade.FAILS for configuration in run.configurations)
    return f"{n_without} of {words} fail no gate"


def note_of(run: RunView, configuration: ConfigurationView) -> str:
    """Say what is recommended, and which gates fail."""
    words = []
    if configuration.label == run.answer.configuration:
        words.append("nearest" if run.answer.outcome is Outcome.NONE else "recommended")
    failed = [gate.metric for gate in configuration.gates_with(Grade.FAILS)]
    return "; ".join([*words, ", ".join(failed)] if failed else words)
