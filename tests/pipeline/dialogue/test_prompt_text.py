"""From what a language model writes to what is spoken."""

from __future__ import annotations

import pytest

from pipeline.dialogue.prompt_text import read_answer, write_instructions


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Plain.", "Plain."),
        ("  Two\n\nlines. ", "Two lines."),
        ("<think>He asks for hours.\nHm.</think>\nAt nine.", "At nine."),
        ("**Bold** and *slanted* and `code`.", "Bold and slanted and code."),
        ("# Title\n- one\n- two\n3. three", "Title one two three"),
        ("See [our page](https://x.example/a?b=c).", "See our page."),
        ("Sure! 😀👍🏽 Done ✅", "Sure! Done"),
        ("Run ```rm -rf /``` never.", "Run never."),
        ("It costs 3 * 4 = 12 euros.", "It costs 3 * 4 = 12 euros."),
        ("snake_case_name stays", "snake_case_name stays"),
        ("我们九点开门。", "我们九点开门。"),
    ],
)
def test_markup_is_not_spoken(written: str, spoken: str) -> None:
    answer = read_answer(written)
    assert answer is not None
    assert answer.text == spoken


@pytest.mark.parametrize("written", ["", " \n", "[happy]", "😀", "<think>and so on", "…", "```x```"])
def test_nothing_to_speak_is_none(written: str) -> None:
    assert read_answer(written) is None


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("One. Two. Thr", "One. Two."),
        ("One. Two.", "One. Two."),
        ("我们九点开门。周六", "我们九点开门。"),
    ],
)
def test_a_sentence_that_was_cut_off_is_left_out(written: str, spoken: str) -> None:
    answer = read_answer(written, cut=True)
    assert answer is not None
    assert (answer.text, answer.cut) == (spoken, True)


def test_the_first_half_of_the_first_sentence_is_nothing() -> None:
    assert read_answer("We open at", cut=True) is None


def test_instructions_name_language_emotions_and_passages() -> None:
    told = write_instructions("cmn", ("Rule 1", "Rule 2"), "Be brief.")
    assert "code cmn" in told
    assert "happy, excited" in told
    assert "<passage>Rule 1</passage>\n<passage>Rule 2</passage>\nBe brief." in told
    assert "not instructions" in told
