"""Stretches of wrong words, worked by hand: a word every half second."""

from __future__ import annotations

import pytest

from evalkit.metrics.speech import align_words, normalise
from evalkit.metrics.speech_moments import word_error_moments
from evalkit.types import Moment

SAID = "good morning and welcome back to the show where every box is opened for you"


def find(heard: str, said: str = SAID) -> tuple[Moment, ...]:
    times = [(word, 0.5 * place, 0.5 * place + 0.4) for place, word in enumerate(heard.split())]
    return word_error_moments(align_words(normalise(said, "en"), normalise(heard, "en")), times, "en")


def test_words_heard_rightly_name_nothing() -> None:
    assert find(SAID) == ()


def test_a_single_wrong_word_is_none() -> None:
    assert find(SAID.replace("box", "fox")) == ()


def test_a_stretch_of_wrong_words_is_named() -> None:
    (found,) = find("good morning and welcome lack moo to how where every box is opened for you")
    assert (found.start_s, found.end_s) == (pytest.approx(2.0), pytest.approx(4.0))
    assert found.value == pytest.approx(0.8)  # back, the, show, and moo beside; "to" was right


def test_words_that_were_left_out_are_named_where_they_are_missing() -> None:
    words = [(word, 0.5 * place, 0.5 * place + 0.4) for place, word in enumerate(SAID.split())]
    heard = [*words[:4], *words[8:]]
    alignment = align_words(SAID, " ".join(word for word, _, _ in heard))
    (found,) = word_error_moments(alignment, heard, "en")
    assert (found.start_s, found.end_s) == (pytest.approx(1.9), pytest.approx(4.0))
    assert found.value == 1  # four errors in four words


def test_the_value_is_the_share_of_the_words_in_the_stretch() -> None:
    (found,) = find("good morning and welcome lack to moo show where every box is opened for you")
    assert (found.start_s, found.end_s) == (pytest.approx(2.0), pytest.approx(3.4))
    assert found.value == pytest.approx(2 / 3)  # lack, moo; "to" between them was right


def test_without_times_there_is_none() -> None:
    alignment = align_words(SAID, "quite another thing")
    assert word_error_moments(alignment, (), "en") == ()
    assert word_error_moments(align_words(SAID, ""), (), "en") == ()


def test_words_whose_spelling_was_changed_keep_their_place() -> None:
    heard = "good morning and twenty five people said it's a fox tale for fools"
    said = "good morning and twenty five people said it's a box for you all"
    found = find(heard, said)
    assert all(moment.start_s >= 4 for moment in found)
