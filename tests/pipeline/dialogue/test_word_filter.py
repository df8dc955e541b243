"""Words that are never spoken: what is found, what is not, and what is spoken instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialogue.word_filter import Filtered, FilterSettings, WordFilter
from pipeline.errors import RequestError

LIST = """\
# competitors and insults
damn
Straße
éclair bank
ass = backside
骗子
赌博 = 娱乐
바보
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text(LIST, "utf-8")
    return path


def clean(path: Path, text: str, **settings: Any) -> Filtered:
    return WordFilter(FilterSettings(path=str(path), **settings)).clean(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Damn!", "…!"),
        ("DAMN it", "… it"),
        ("dämn it", "… it"),  # accents
        ("da\u0301mn it", "… it"),  # accents in two signs
        ("ｄａｍｎ it", "… it"),  # noqa: RUF001 - wide letters are the point
        ("da\u200bm\u00adn it", "… it"),  # invisible signs inside
        ("(damn)", "(…)"),
        ("damn_it", "…_it"),
        ("die STRASSE hier", "die … hier"),
        ("the Eclair  Bank", "the …"),
        ("the\néclair\nbank?", "the\n…?"),
        ("你是骗子吗", "你是…吗"),  # no spaces around
        ("ok damn手机", "ok …手机"),
        ("이바보야", "이…야"),
    ],
)
def test_a_listed_word_is_found_however_it_is_written(path: Path, text: str, masked: str) -> None:
    assert clean(path, text) == Filtered(masked, 1)


@pytest.mark.parametrize(
    "text", ["classic", "damnation", "madame", "eclair banking", "éclair, bank", "骗 子", "바 보"]
)
def test_a_word_inside_another_is_left_alone(path: Path, text: str) -> None:
    assert clean(path, text) == Filtered(text, 0)


def test_replacements_stand_in_the_list_or_in_the_settings(path: Path) -> None:
    settings = {"action": "replace", "replacement": "blip"}
    assert clean(path, "damn ass, 赌博", **settings) == Filtered("blip backside, 娱乐", 3)


def test_a_refused_text_is_gone(path: Path) -> None:
    assert clean(path, "a damn good ass", action="refuse") == Filtered(None, 2)
    assert clean(path, "a good thing", action="refuse") == Filtered("a good thing", 0)


def test_a_sentence_may_be_spoken_instead(path: Path) -> None:
    assert clean(path, "damn", action="refuse", instead="I cannot say.") == Filtered("I cannot say.", 1)


def test_the_longest_entry_counts(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("bad = poor\nbad bank = bank\n", "utf-8")
    assert clean(path, "a bad bank", action="replace").text == "a bank"


def test_signs_of_regular_expressions_are_signs(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a.c\nc++\n", "utf-8")
    assert clean(path, "abc a.c c++ c").text == "abc … … c"


@given(text=st.text(max_size=40) | st.text("damn \u200bDAN骗子ß", max_size=12))
def test_what_was_filtered_has_nothing_left_to_filter(path: Path, text: str) -> None:
    once = clean(path, text)
    assert once.text is not None
    assert once.n_found or once.text == text
    assert clean(path, once.text) == Filtered(once.text, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no word in it"),
        (b"# only this\n", "no word in it"),
        (b"=x\n", "line 1 has no word"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_list_that_says_nothing_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        WordFilter(FilterSettings(path=str(path)))


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"gone\.txt"):
        WordFilter(FilterSettings(path=str(tmp_path / "gone.txt")))
