"""What the first screen says: the sentence and the gates in plain words of both languages, and the order of configurations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.judge import Grade
from evalkit.decisions.policy import load_policy
from evalkit.decisions.recommendation import Outcome
from evalkit.reports.answer import describe_headline, from_best
from evalkit.reports.gate_lines import GateLine, gate_lines, say_limit
from evalkit.reports.run_page import render_run
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.views.figure import FigureView
from evalkit.views.gate import GateView, WaiverView
from evalkit.views.run import AnswerView, RunView, run_view
from evalkit.words.language import LANGUAGES
from evalkit.words.metrics import metric_words

OFFSET = FigureView("lip_sync.offset_ms", "ms", "zero", -12.0, (-20.0, -4.0), 5, 5, "clips")
GATE = GateView(
    "lip_sync.offset_ms",
    "-125 to 45",
    "hard",
    Grade.PASSES,
    "pass",
    OFFSET,
    5,
    5,
    "met",
    "ITU-R BT.1359",
    at_least=-125.0,
    at_most=45.0,
    unit="ms",
)


def told(gate: GateView, tag: str = "en") -> str:
    (line,) = gate_lines([gate], tag)
    return f"{line.verdict.symbol} {line.name}: {line.told}"


def test_a_gate_that_passes_says_what_was_found_and_what_it_means() -> None:
    assert told(GATE) == "✓ Lips follow the sound: 12 ms early, not noticeable"


def test_a_gate_that_fails_says_what_was_asked() -> None:
    late = replace(GATE, grade=Grade.FAILS, status="fail", figure=replace(OFFSET, value=240.0, interval=None))
    assert (
        told(late) == "✗ Lips follow the sound: 240 ms late, noticeable; asked is 125 ms early to 45 ms late"
    )


def test_too_few_clips_are_neither_green_nor_perfect() -> None:
    none_failed = FigureView("profile.error_rate", "1", "lower", 0.0, (0.0, 0.842), 4, 4, "clips")
    gate = replace(
        GATE,
        metric="profile.error_rate",
        grade=Grade.TOO_FEW_CLIPS,
        status="fail",
        figure=none_failed,
        unit="1",
        at_least=None,
        at_most=0.005,
    )
    assert told(gate) == "! Attempts that failed: 0 % so far; too few clips to tell"


def test_a_value_that_passes_alone_is_said_to_be_judged_alone() -> None:
    wide = replace(OFFSET, interval=(-300.0, 276.0))
    assert told(replace(GATE, figure=wide)).endswith(
        "12 ms early, not noticeable; judged by this value alone, as so few clips cannot tell more"
    )


def test_the_worst_clip_and_what_was_not_measured_are_named() -> None:
    assert "in the worst clip" in told(replace(GATE, figure=replace(OFFSET, reducer="worst")))
    absent = replace(GATE, grade=Grade.NOT_MEASURED, figure=replace(OFFSET, value=None, interval=None))
    assert told(absent) == "! Lips follow the sound: not measured"
    line = replace(GATE, metric="run.complete", figure=None, grade=Grade.NOT_MEASURED)
    assert told(line) == "! Every planned clip is there: not met"


def test_who_waived_a_gate_is_named() -> None:
    waiver = WaiverView("lip_sync.offset_ms", "Ada <b>", "a reason", "2026-12-31")
    waived = replace(GATE, grade=Grade.FAILS, status="waived", waiver=waiver)
    assert told(waived).startswith("~ ")
    assert told(waived).endswith("waived by Ada <b> until 2026-12-31")


def test_the_evidence_names_limit_value_clips_and_file_name() -> None:
    (line,) = gate_lines([GATE], "en", anchor="evidence")
    assert isinstance(line, GateLine)
    assert [(one.name, one.text) for one in line.evidence] == [
        ("Asked", "125 ms early to 45 ms late"),
        ("Found", "12 ms early; with 95 % 20 to 4 ms early"),
        ("Rests on", "5 of 5 clips"),
        ("Where the limit comes from", "ITU-R BT.1359"),
        ("Name in files", "lip_sync.offset_ms"),
    ]
    assert line.anchor == "evidence"


def test_limits_stand_as_bare_numbers_beside_bare_numbers() -> None:
    worst = replace(GATE, figure=replace(OFFSET, reducer="worst"))
    assert say_limit(worst, metric_words("en"), plain=True) == "-125 to 45 ms in every clip"
    assert say_limit(worst, metric_words("en")) == "125 ms early to 45 ms late in every clip"
    assert say_limit(replace(GATE, at_least=None, at_most=None), metric_words("en")) == ""
    share = replace(
        GATE,
        metric="lip_sync.error.bad",
        figure=FigureView("lip_sync.error.bad", "1", "lower", 0.0, None, 5, 5, "clips"),
        at_least=None,
        at_most=0.1,
        bad_beyond=0.5,
        unit="1",
    )
    assert say_limit(share, metric_words("en"), plain=True) == "at most 0.1"
    assert "10 %" in say_limit(share, metric_words("en"))


def test_chinese_words_are_chinese_and_english_ones_are_marked() -> None:
    (line,) = gate_lines([GATE], "zh-CN")
    assert re.search(r"[\u4e00-\u9fff]", line.name)
    assert re.search(r"[\u4e00-\u9fff]", line.told)
    assert line.verdict.word == "通过"
    assert {one.language for one in line.evidence} == {"zh-CN", "en"}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    folder = write_grid(tmp_path_factory.mktemp("words") / "run")
    policy = load_policy("customer_service")
    return run_view(analyse_run(Run.open(folder), policy), policy)


ANSWERS = [
    (AnswerView(None, "", ()), "Nothing is recommended: there is no policy to judge 9 configurations by."),
    (
        AnswerView(Outcome.RECOMMENDED, "", (), "A", n_weighed=1, n_passing=1),
        "Use A: it is the only one, and it passes every gate.",
    ),
    (
        AnswerView(Outcome.RECOMMENDED, "", (), "A", n_weighed=9, n_passing=1),
        "Use A: of 9 configurations it alone passes every gate.",
    ),
    (
        AnswerView(Outcome.TIED, "", (), "A", "B", ("A", "B"), n_weighed=9, n_passing=2),
        "No clear winner: 2 of 9 configurations pass every gate, and they cannot be told apart.",
    ),
    (
        AnswerView(Outcome.TIED, "", (), "A", "B", ("A", "B", "C", "D"), n_weighed=9, n_passing=5),
        "No clear winner: 5 of 9 configurations pass every gate, and these cannot be told apart: A; B; C and 1 more.",
    ),
    (
        AnswerView(Outcome.NONE, "", (), "A", n_weighed=9),
        "None of 9 configurations passes every gate; A comes nearest.",
    ),
    (AnswerView(Outcome.NONE, "", (), "A", n_weighed=1), "The only configuration does not pass every gate."),
    (
        AnswerView(Outcome.TOO_FEW_CLIPS, "", (), "A", n_weighed=9, n_clips=4),
        "4 clips each are too few to tell which of 9 configurations passes.",
    ),
    (
        AnswerView(Outcome.TOO_FEW_CLIPS, "", (), "A", n_weighed=1, n_clips=4),
        "4 clips are too few to tell whether it passes.",
    ),
    (
        AnswerView(Outcome.NOT_MEASURED, "", (), "A", n_weighed=9, unmeasured=("rating.mos",)),
        "Nothing is recommended yet, as one thing is not known: “How good viewers find it”.",
    ),
    (
        AnswerView(Outcome.NOT_MEASURED, "", (), "A", n_weighed=9, n_lacking=2),
        "Nothing is recommended yet: A lacks 2 inputs that others have.",
    ),
]


@pytest.mark.parametrize(("answer", "sentence"), ANSWERS, ids=lambda value: str(value)[:60])
def test_every_answer_has_a_sentence_that_can_be_repeated(
    view: RunView, answer: AnswerView, sentence: str
) -> None:
    shown = replace(view, answer=answer)
    assert describe_headline(shown, LANGUAGES[0]) == sentence
    in_chinese = describe_headline(shown, "zh-CN")
    assert re.search(r"[\u4e00-\u9fff]", in_chinese)
    assert in_chinese.endswith("。")


def test_what_decided_is_said_with_its_value(view: RunView) -> None:
    chosen = view.configurations[0]
    answer = AnswerView(
        Outcome.RECOMMENDED,
        "",
        (),
        chosen.label,
        n_weighed=9,
        n_passing=3,
        decided_by="profile.total_s",
        by_cost=True,
    )
    sentence = describe_headline(replace(view, answer=answer), "en")
    assert sentence.startswith(
        f"Use {chosen.label}: 3 of 9 configurations pass every gate, and this one costs least (Wait for the whole video: "
    )


def test_configurations_come_the_best_first(view: RunView) -> None:
    chosen = view.configurations[4]
    answer = AnswerView(
        Outcome.RECOMMENDED, "", (), chosen.label, n_weighed=9, n_passing=1, decided_by="lip_sync.error"
    )
    found = from_best(replace(view, answer=answer))
    assert found[0] is chosen
    assert sorted(one.label for one in found) == sorted(one.label for one in view.configurations)
    alike = [one for one in found[1:] if one.grade is found[1].grade]
    fewest = [one for one in alike if len(one.gates_with(Grade.FAILS)) == 0]
    errors = [one.figures["lip_sync.error"].value or 0.0 for one in fewest]
    assert errors == sorted(errors)


def test_the_view_says_what_the_headline_needs(view: RunView) -> None:
    answer = view.answer
    assert answer.outcome is Outcome.NOT_MEASURED
    assert answer.n_weighed == 9
    assert "rating.mos" in answer.unmeasured
    assert answer.n_clips == 4


def test_soft_rules_are_judged_beside_the_hard_ones(view: RunView) -> None:
    answered = view.answered
    assert answered is not None
    assert [gate.metric for gate in answered.soft] == ["lip_sync.offset_ms"]
    assert {gate.kind for gate in answered.gates} == {"hard"}


def test_a_name_that_is_a_script_stays_text(tmp_path: Path) -> None:
    name = "<script>window.hit = 1</script>"
    folder = write_grid(tmp_path / "run", sizes=(name, "384*256"), steps=(2,), portraits=(name,))
    policy = load_policy("customer_service")
    page = render_run(run_view(analyse_run(Run.open(folder), policy), policy))
    assert name not in page
    assert "&lt;script&gt;window.hit = 1&lt;/script&gt;" in page
