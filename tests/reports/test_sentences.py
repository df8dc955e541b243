"""Verdicts and sentences, from views made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.decisions.signoff import Decision
from evalkit.reports.answer import describe_answer, note_of, title_configurations
from evalkit.reports.coverage import describe_coverage
from evalkit.reports.effects import describe_steps
from evalkit.reports.verdict import (
    verdict_of_answer,
    verdict_of_conclusion,
    verdict_of_configuration,
    verdict_of_decision,
    verdict_of_gate,
)
from evalkit.views.configuration import ConfigurationView
from evalkit.views.effect import EffectView
from evalkit.views.figure import FigureView
from evalkit.views.gate import GateView, PolicyView
from evalkit.views.run import AnswerView, CoverageView, RunView, SkippedView
from evalkit.views.spending import SpendingView

NOTHING_SPENT = SpendingView(None, 0.0, 0.0, 0, 0.0, None, None, None, None, None, "no video was finished")
COMPLETE = CoverageView(4, 4, 4, {}, 0, 0, 0, (), ())


def gate(grade: Grade, status: str = "fail", kind: str = "hard", metric: str = "lip_sync.error") -> GateView:
    return GateView(metric, "at most 0.3", kind, grade, status, None, 4, 4, "", "")  # type: ignore[arg-type]


def configuration(*grades: Grade, label: str = "steps 4") -> ConfigurationView:
    gates = tuple(gate(grade, metric=f"a.{place}") for place, grade in enumerate(grades))
    worst = next((grade for grade in reversed(Grade) if grade in grades), None)
    return ConfigurationView(label, {"steps": 4}, 4, 0, {}, gates, worst, NOTHING_SPENT)


def run(
    *configurations: ConfigurationView, outcome: Outcome | None = Outcome.RECOMMENDED, judged: bool = True
) -> RunView:
    return RunView(
        name="run",
        created_at="2026-01-02T03:04:05",
        generator={},
        kinds=(),
        n_inputs=4,
        n_seeds=1,
        policy=PolicyView("p", "P", "0" * 64, ()) if judged else None,
        answer=AnswerView(outcome, "Use steps 4.", ("It costs least.",), "steps 4"),
        coverage=COMPLETE,
        absences=(),
        metrics={},
        main=(),
        levels={},
        configurations=configurations,
        fronts=(),
        effects=(),
        maps=(),
        trials=(),
        notes=(),
        files=(),
        provenance={},
    )


def test_every_outcome_has_a_verdict_with_a_sign_and_a_word() -> None:
    verdicts = [
        *(verdict_of_gate(gate(grade)) for grade in Grade),
        *(verdict_of_configuration(configuration(grade)) for grade in Grade),
        *(verdict_of_decision(decision) for decision in Decision),
        *(verdict_of_conclusion(conclusion) for conclusion in Conclusion),
        *(verdict_of_answer(run(outcome=outcome)) for outcome in Outcome),
    ]
    assert all(verdict.symbol and verdict.word for verdict in verdicts)


def test_what_has_too_few_clips_is_neither_green_nor_a_failure() -> None:
    verdict = verdict_of_gate(gate(Grade.TOO_FEW_CLIPS))
    assert (str(verdict), verdict.tone) == ("! too few clips", "warn")


def test_a_soft_miss_warns_and_a_waived_one_is_named() -> None:
    assert verdict_of_gate(gate(Grade.FAILS, "warn", "soft")).tone == "warn"
    waived = verdict_of_gate(gate(Grade.FAILS, "waived"))
    assert (str(waived), waived.tone) == ("~ waived: fails", "warn")


@pytest.mark.parametrize(
    ("outcome", "tone"),
    [
        (Outcome.RECOMMENDED, "pass"),
        (Outcome.TIED, "neutral"),
        (Outcome.TOO_FEW_CLIPS, "warn"),
        (Outcome.NOT_MEASURED, "warn"),
        (Outcome.NONE, "fail"),
    ],
)
def test_only_a_recommendation_is_green(outcome: Outcome, tone: str) -> None:
    verdict = verdict_of_answer(run(configuration(Grade.PASSES), outcome=outcome))
    assert (verdict.word, verdict.tone) == (str(outcome), tone)


def test_the_answer_ends_with_how_the_gates_came_out() -> None:
    one = configuration(Grade.PASSES, Grade.TOO_FEW_CLIPS, Grade.TOO_FEW_CLIPS, Grade.NOT_MEASURED)
    assert describe_answer(run(one)) == [
        "It costs least.",
        "1 of 4 gates passes, 2 have too few clips, 1 is not measured.",
    ]
    assert describe_answer(run(one, configuration(Grade.FAILS, label="steps 2")))[-1] == (
        "steps 4: 1 of 4 gates passes, 2 have too few clips, 1 is not measured."
    )


def test_configurations_are_counted_by_how_they_came_out() -> None:
    view = run(configuration(Grade.FAILS), configuration(Grade.NOT_MEASURED), configuration(Grade.PASSES))
    assert title_configurations(view, "en") == "1 of 3 configurations passes, 1 fails, 1 cannot be told yet"
    assert title_configurations(dataclasses.replace(view, policy=None), "en") == "3 configurations"


@pytest.mark.parametrize(
    ("outcome", "note"),
    [
        (Outcome.NONE, "nearest; 0 (a)"),
        (Outcome.RECOMMENDED, "recommended; 0 (a)"),
        (Outcome.NOT_MEASURED, "0 (a)"),
        (Outcome.TOO_FEW_CLIPS, "0 (a)"),
    ],
)
def test_a_note_names_what_fails_and_what_the_answer_says_of_it(outcome: Outcome, note: str) -> None:
    view = run(configuration(Grade.PASSES), outcome=outcome)
    assert note_of(view, configuration(Grade.FAILS, Grade.PASSES), "en") == note
    assert note_of(view, configuration(Grade.FAILS, Grade.FAILS, label="steps 2"), "en") == "0 (a), 1 (a)"


def test_a_note_names_all_that_cannot_be_told_apart() -> None:
    view = run(configuration(Grade.PASSES), outcome=Outcome.TIED)
    tied = dataclasses.replace(view.answer, tied=("steps 4", "steps 2"))
    view = dataclasses.replace(view, answer=tied)
    notes = [note_of(view, configuration(Grade.PASSES, label=f"steps {n}"), "en") for n in (4, 2, 3)]
    assert notes == ["cannot be told apart", "cannot be told apart", ""]


def test_a_complete_run_says_only_that() -> None:
    ((verdict, text),) = describe_coverage(COMPLETE, "en")
    assert str(verdict) == "✓ complete"
    assert text == "4 of 4 planned trials gave a video that was measured."


def test_everything_that_is_not_there_is_named() -> None:
    skipped = SkippedView("needs 40 GiB, and there are 24", 2, ("steps 8",))
    coverage = CoverageView(12, 6, 4, {"out_of_memory": 2}, 1, 3, 5, (skipped,), ("x.json cannot be read",))
    assert [f"{verdict} | {text}" for verdict, text in describe_coverage(coverage, "en")] == [
        "! incomplete | 4 of 12 planned trials gave a video that was measured.",
        "✗ failed | 2 of 6 attempted failed (out of memory: 2).",
        "! retried | 1 trial needed more than one attempt.",
        "! skipped | 2 planned trials skipped (steps 8): needs 40 GiB, and there are 24.",
        "! unfinished | 3 planned trials without a result yet.",
        "✗ damaged | x.json cannot be read",
        "· left out | 5 trials of an earlier grid in the folder: in no figure here but the error rate.",
    ]


def effect(metric: str, value: float, interval: tuple[float, float] | None, direction: str) -> EffectView:
    better = "zero" if metric.endswith("_ms") else "lower"
    unit = "ms" if metric.endswith("_ms") else "s" if metric.endswith("_s") else "1"
    change = FigureView(metric, unit, better, value, interval, 6, None, "pairs", "difference")  # type: ignore[arg-type]
    clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
    return EffectView("steps", 2, 4, change, 0.25, 0, clear, direction)  # type: ignore[arg-type]


def test_a_step_says_what_is_better_what_is_worse_and_what_is_not_clear() -> None:
    effects = [
        effect("lip_sync.error", -0.1, (-0.2, -0.05), "better"),
        effect("profile.total_s", 2.0, (1.0, 3.0), "worse"),
        effect("lip_sync.offset_ms", 1.0, (-4.0, 6.0), "worse"),
    ]
    (sentence,) = describe_steps(effects, "en")
    assert sentence == (
        "2 → 4: better: Lips fit the words -0.1 [-0.2, -0.05]; worse: Wait for the whole video +2 s [1, 3] (+25 %); "
        "no clear change in Lips follow the sound."
    )


def test_a_change_of_what_is_best_at_zero_is_one_of_its_size() -> None:
    (sentence,) = describe_steps([effect("lip_sync.offset_ms", -20.0, (-30.0, -10.0), "better")], "en")
    assert sentence == "2 → 4: better: size of “Lips follow the sound” -20 ms [-30, -10] (+25 %)."


def test_a_step_without_intervals_says_why() -> None:
    plain = effect("lip_sync.error", -0.1, None, "better")
    reason = dataclasses.replace(plain.change, reason="4 of the 5 values an interval needs")
    assert describe_steps([dataclasses.replace(plain, change=reason)], "en") == [
        "2 → 4: no clear change (4 of the 5 values an interval needs)."
    ]
