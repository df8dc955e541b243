"""The answer of a run in sentences, for page and Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.decisions.gates import describe_grades, rank_grade
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.figure import FigureView
    from evalkit.views.run import RunView
    from evalkit.words.language import Words

_N_NAMED = 3
_NAMED = (Outcome.RECOMMENDED, Outcome.NONE)
"""Outcomes whose sentence names one configuration as the best there is."""


def describe_headline(run: RunView, tag: str) -> str:
    """Return the sentence that a manager can repeat.

    Parameters
    ----------
    run : RunView
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    say = read_words(tag, "run")
    if not run.configurations:
        return say("say_nothing")
    if not run.coverage.n_ok:
        return say("say_all_failed", n=run.coverage.n_attempted)
    if run.answer.outcome is None:
        return say("say_no_policy", n=len(run.configurations))
    return _SAYING[run.answer.outcome](run, tag)


def _say_recommended(run: RunView, tag: str) -> str:
    answer, say, metrics = run.answer, read_words(tag, "run"), metric_words(tag)
    counts = {"name": answer.configuration, "k": answer.n_passing, "n": answer.n_weighed}
    if answer.n_weighed == 1:
        return say("say_use_only", **counts)
    if answer.n_passing == 1:
        return say("say_use_single", **counts)
    figure = None if run.answered is None else run.answered.figures.get(answer.decided_by or "")
    if figure is None or figure.value is None:
        return say("say_use_any", **counts)
    told = metrics.value(figure.metric, figure.value, figure.unit)
    key = "say_use_cheapest" if answer.by_cost else "say_use_best"
    return say(key, **counts, metric=metrics.name(figure.metric), value=told)


def _say_tied(run: RunView, tag: str) -> str:
    answer, say = run.answer, read_words(tag, "run")
    counts = {"k": answer.n_passing, "n": answer.n_weighed}
    if len(answer.tied) == answer.n_passing:
        return say("say_tied_all", **counts)
    return say("say_tied", **counts, names=_name_some(answer.tied, say))


def _say_none(run: RunView, tag: str) -> str:
    n, say = run.answer.n_weighed, read_words(tag, "run")
    return say("say_none_only") if n == 1 else say("say_none", n=n, name=run.answer.configuration)


def _say_too_few(run: RunView, tag: str) -> str:
    answer, say = run.answer, read_words(tag, "run")
    if answer.n_weighed == 1:
        return say("say_too_few_only", n=answer.n_clips)
    return say("say_too_few", n=answer.n_clips, all=answer.n_weighed)


def _say_not_measured(run: RunView, tag: str) -> str:
    answer, say = run.answer, read_words(tag, "run")
    if answer.n_lacking and not answer.unmeasured:
        return say("say_lacks", n=answer.n_lacking, name=answer.configuration)
    first = next(iter(answer.unmeasured), "")
    return say("say_not_known", n=len(answer.unmeasured), name=metric_words(tag).name(first))


_SAYING: dict[Outcome, Callable[[RunView, str], str]] = {
    Outcome.RECOMMENDED: _say_recommended,
    Outcome.TIED: _say_tied,
    Outcome.NONE: _say_none,
    Outcome.TOO_FEW_CLIPS: _say_too_few,
    Outcome.NOT_MEASURED: _say_not_measured,
}


def _name_some(names: Sequence[str], say: Words) -> str:
    """List a few names, and how many more there are."""
    listed = "; ".join(names[:_N_NAMED])
    n_more = len(names) - _N_NAMED
    return say("say_and_more", names=listed, n=n_more) if n_more > 0 else listed


def describe_answer(run: RunView) -> list[str]:
    """Return the English sentences below the headline; how the gates of the shown configuration came out comes last."""
    sentences = list(run.answer.details)
    answered = run.answered
    if answered is not None and answered.gates:
        words = describe_grades([gate.grade for gate in answered.gates], len(answered.gates))
        whose = "" if len(run.configurations) == 1 else f"{answered.label}: "
        sentences.append(f"{whose}{words}.")
    return sentences


def title_configurations(run: RunView, tag: str) -> str:
    """Say how the configurations came out."""
    say, n = read_words(tag, "run"), len(run.configurations)
    if run.policy is None:
        return say("configurations", n=n)
    grades = [one.grade for one in run.configurations]
    n_failing, n_passing = grades.count(Grade.FAILS), grades.count(Grade.PASSES)
    parts = [say("pass_count", n=n_passing, what=say("configurations", n=n))]
    parts += [say("pass_fails", n=n_failing)] if n_failing else []
    n_unsure = n - n_failing - n_passing
    return say("list_comma").join([*parts, *([say("pass_unsure", n=n_unsure)] if n_unsure else [])])


def note_of(run: RunView, configuration: ConfigurationView, tag: str) -> str:
    """Say what is recommended, what cannot be told apart from it, what comes nearest; and which gates fail."""
    say = read_words(tag, "run")
    words = []
    if configuration.label in run.answer.tied:
        words.append(say("cannot_be_told_apart"))
    elif configuration.label == run.answer.configuration and run.coverage.n_ok:
        notes = {Outcome.NONE: "nearest", Outcome.RECOMMENDED: "recommended"}
        words += [say(notes[run.answer.outcome])] if run.answer.outcome in notes else []
    failed = [metric_words(tag).name(gate.metric) for gate in configuration.gates_with(Grade.FAILS)]
    return "; ".join([*words, say("list_comma").join(failed)] if failed else words)


def from_best(run: RunView) -> list[ConfigurationView]:
    """Return the configurations, the best first.

    What the headline names as recommended or nearest to passing, what cannot be told apart from it, then by how the gates came out; within that by the metric that
    decides, else by the first of those shown first, and then in the order of the plan.
    """
    deciding = run.answer.decided_by or next(iter(run.main), "")

    def rank(one: ConfigurationView) -> tuple[bool, bool, int, int, float]:
        passes_not = 0 if one.grade is None else rank_grade(one.grade)
        is_chosen = one.label == run.answer.configuration and run.answer.outcome in _NAMED
        return (
            not is_chosen,
            one.label not in run.answer.tied,
            passes_not,
            len(one.gates_with(Grade.FAILS)),
            _badness(one.figures.get(deciding)),
        )

    return sorted(run.configurations, key=rank)


def _badness(figure: FigureView | None) -> float:
    """Return how bad a value is, for those of one metric; the worst without a value, alike where no way is better."""
    if figure is None or figure.value is None:
        return float("inf")
    value = figure.value
    return {"lower": value, "higher": -value, "zero": abs(value), "band": 0.0}[figure.better]
