"""Questions find their passages, in other words too, and find nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialogue.base import Passage, Question
from pipeline.dialogue.documents import Piece, read_documents
from pipeline.dialogue.extract import Extract
from pipeline.dialogue.retrieval import Index
from pipeline.errors import RequestError


@pytest.fixture(scope="module")
def index(documents: Path) -> Index:
    return Index(read_documents(documents).pieces, "en")


def test_documents_of_words_that_say_nothing_answer_nothing() -> None:
    assert Index([Piece("the of and a", "a.txt:1")], "en").search("When are you open?") == ()


def answer(index: Index, question: str, language: str = "en") -> tuple[str, tuple[str, ...]]:
    given = Extract().answer(Question(question, language, index.search(question)))
    return given.text, tuple(given.sources)


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("What are your opening hours?", "faq.md:4"),
        ("When are you open on Saturdays?", "faq.md:4"),
        ("OPEN a SAVINGS account, how?", "faq.md:7"),
        ("I lost my card", "faq.md:10"),
        ("My card is gone, can you block it?", "faq.md:10"),
        ("Who is the chairwoman?", "faq.md:14"),
        ("When was the bank founded?", "faq.md:14"),
        ("what fee do I pay each month for the current account", "more/fees.csv:2"),
        ("Are students free?", "more/fees.csv:2"),
        ("I'd like mortgages", "more/pairs.json:1"),
    ],
)
def test_a_question_finds_its_passage(index: Index, question: str, source: str) -> None:
    assert answer(index, question)[1] == (source,)


@pytest.mark.parametrize(
    "question",
    [
        "What is the weather like tomorrow?",
        "Can I pay with bitcoin?",
        "How tall is the Eiffel tower?",
        "Do you rent cars on weekdays?",
        "How?",
        "?!",
    ],
)
def test_what_is_not_there_is_not_known(index: Index, question: str) -> None:
    assert answer(index, question) == ("I am sorry, I do not know that.", ())


def test_of_a_text_only_the_nearest_sentences_are_said(index: Index) -> None:
    assert answer(index, "Who is the chairwoman?")[0] == "The chairwoman is Anna Weber."
    both = "The bank was founded in 1898 in Leipzig. The chairwoman is Anna Weber."
    assert answer(index, "Who is the chairwoman, when was it founded?")[0] == both


def test_chinese_is_searched_by_pairs_of_signs(documents: Path) -> None:
    index = Index(read_documents(documents).pieces, "cmn")
    assert answer(index, "储蓄账户的利率是多少？", "cmn") == (
        "储蓄账户的年利率是百分之二。外币账户没有利息。",
        ("faq.md:16",),
    ) or (answer(index, "储蓄账户的利率是多少？", "cmn")[0].startswith("储蓄账户的年利率是百分之二。"))
    assert answer(index, "今天天气好吗？", "cmn")[0] == "对不起，我不知道。"


def test_the_best_passage_is_first_and_scores_are_shares(index: Index) -> None:
    found = index.search("open savings account", 5)
    assert found[0].source == "faq.md:7"
    assert found[0].score == pytest.approx(1.0)
    assert all(0 < passage.score <= 1 for passage in found)


@given(text=st.text(max_size=60))
def test_any_question_may_be_asked(index: Index, text: str) -> None:
    for passage in index.search(text):
        assert 0 <= passage.score <= 1 + 1e-9


def test_the_weight_of_words_is_worked_by_hand() -> None:
    # N = 2. "bank" is in both: ln(1 + 0.5/2.5) = 0.1823; "fee" in one: ln(1 + 1.5/1.5) = 0.6931;
    # "zebra" in none: ln(1 + 2.5/0.5) = 1.7918. Found of the question: (0.1823 + 0.6931) / 2.6672 = 0.3282.
    index = Index([Piece("bank fee", "a"), Piece("bank hours", "b")], "en")
    (best, other) = index.search("bank fee zebra")
    assert best.source == "a"
    assert best.score == pytest.approx(0.3282, abs=1e-4)
    assert other.score == pytest.approx(0.1823 / 2.6672, abs=1e-4)


def test_a_language_without_its_sentence_needs_one() -> None:
    with pytest.raises(RequestError, match="in the language 'sw': give the setting unknown"):
        Extract().check("sw")
    extract = Extract(unknown="Sijui.")
    extract.check("sw")
    assert extract.answer(Question("?", "sw")).text == "Sijui."


@pytest.mark.parametrize(("score", "knows"), [(0.49, False), (0.5, True)])
def test_half_the_question_must_be_found(score: float, knows: bool) -> None:
    passage = Passage("long text", "a:1", score, "short")
    assert Extract().answer(Question("?", "en", (passage,))).knows is knows
