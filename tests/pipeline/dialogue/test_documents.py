"""Documents cut into passages, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dialogue.documents import read_documents, split_sentences
from pipeline.errors import RequestError


def test_every_kind_of_document_is_read(documents: Path) -> None:
    pieces = read_documents(documents).pieces
    told = {piece.source: piece for piece in pieces}
    assert list(told) == [
        "faq.md:4",
        "faq.md:7",
        "faq.md:10",
        "faq.md:14",
        "faq.md:16",
        "more/fees.csv:2",
        "more/pairs.json:1",
    ]
    lost = told["faq.md:10"]
    assert lost.heading == "I have lost my card. What shall I do?"
    assert (
        lost.text
        == "Call the emergency line at once. We block the card and send a new one within three days."
    )
    assert lost.is_answer
    assert not told["faq.md:14"].is_answer
    assert told["more/fees.csv:2"].heading == "What is the monthly fee of the current account?"
    assert told["more/pairs.json:1"].text == "Make an appointment with an adviser."


def test_the_content_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    hashes = []
    for name, text in (("a.txt", "one"), ("a.txt", "two"), ("b.txt", "two")):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / name).write_text(text)
        hashes.append(read_documents(tmp_path).content)
    assert len(set(hashes)) == 3


def test_a_long_paragraph_is_cut_between_sentences(tmp_path: Path) -> None:
    sentences = [f"Sentence {number} has exactly seven words here." for number in range(40)]
    (tmp_path / "a.txt").write_text(" ".join(sentences))
    pieces = read_documents(tmp_path).pieces
    assert [len(piece.text.split()) for piece in pieces] == [119, 119, 42]
    assert " ".join(piece.text for piece in pieces) == " ".join(sentences)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 4.50 euros. Fine.", ["It costs 4.50 euros.", "Fine."]),
        ("九点开门。六点关门！好", ["九点开门。", "六点关门！", "好"]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF", r"a\.pdf.*only \.csv, \.json, \.md, \.txt files are read"),
        ("a.txt", b"\xff\xfe", r"a\.txt.*UTF-8"),
        ("a.csv", b"q,a\nx,y\n", r"a\.csv.*needs the columns question and answer; it has: q, a"),
        ("a.csv", b"question,answer\nWhat?,\n", r"a\.csv:2: a pair needs"),
        ("a.json", b"{", r"a\.json.*is not valid JSON"),
        ("a.json", b'{"a": 1}', "is not a list of"),
        ("a.json", b'[{"question": "What?"}]', r"a\.json:1: a pair needs"),
        ("a.txt", b" \n", "there is no text in it"),
        (".a.txt", b"hidden", "there is no text in it"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message):
        read_documents(tmp_path)
