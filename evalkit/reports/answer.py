"""The answer of a run in sentences, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.gates import describe_grades
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.formatting import count

if TYPE_CHECKING:
    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.run import RunView


def describe_answer(run: RunView) -> list[str]:
    """Return the sentences below the headline; how the gates of the shown configuration came out comes last."""
    sentences = list(run.answer.details)
    answered = run.answered
    if answered is not None and answered.gates:
        words = describe_grades([gate.grade for gate in answered.gates], len(answered.gates))
        whose = "" if len(run.configurations) == 1 else f"{answered.label}: "
        sentences.append(f"{whose}{words}.")
    return sentences


def title_configurations(run: RunView) -> str:
    """Say how the configurations came out."""
    if run.policy is None:
        return count(len(run.configurations), "configuration")
    grades = [one.grade for one in run.configurations if one.grade is not None]
    return describe_grades(grades, len(run.configurations), "configuration")


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
