"""The answer of a run in sentences, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.formatting import count

if TYPE_CHECKING:
    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.run import RunView

_GATE_WORDS = {
    Grade.PASSES: ("passes", "pass"),
    Grade.FAILS: ("fails", "fail"),
    Grade.TOO_FEW_CLIPS: ("has too few clips", "have too few clips"),
    Grade.NOT_MEASURED: ("is not measured", "are not measured"),
}


def describe_answer(run: RunView) -> list[str]:
    """Return the sentences below the headline; how the gates of the shown configuration came out comes last."""
    sentences = list(run.answer.details)
    answered = run.answered
    if answered is not None and answered.gates:
        found = {grade: len(answered.gates_with(grade)) for grade in Grade}
        whose = "" if len(run.configurations) == 1 else f" of {answered.label}"
        sentences.append(f"Of the {count(len(answered.gates), 'gate')}{whose}, {_say_grades(found)}.")
    return sentences


def title_configurations(run: RunView) -> str:
    """Say how the configurations came out."""
    words = count(len(run.configurations), "configuration")
    if run.policy is None:
        return words
    found = {grade: sum(one.grade is grade for one in run.configurations) for grade in Grade}
    return f"{words}: {_say_grades(found)}"


def note_of(run: RunView, configuration: ConfigurationView) -> str:
    """Say what is recommended, what cannot be told apart from it, what comes nearest; and which gates fail."""
    words = []
    if configuration.label in run.answer.tied:
        words.append("cannot be told apart")
    elif configuration.label == run.answer.configuration:
        words += {Outcome.NONE: ["nearest"], Outcome.RECOMMENDED: ["recommended"]}.get(
            run.answer.outcome or Outcome.NOT_MEASURED, []
        )
    failed = [gate.metric for gate in configuration.gates_with(Grade.FAILS)]
    return "; ".join([*words, ", ".join(failed)] if failed else words)


def _say_grades(found: dict[Grade, int]) -> str:
    """Say how many came out how: only the words that apply."""
    return ", ".join(
        f"{found[grade]} {singular if found[grade] == 1 else plural}"
        for grade, (singular, plural) in _GATE_WORDS.items()
        if found[grade]
    )
