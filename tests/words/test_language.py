"""Every language says everything, and nothing in it is left to fill in."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.runs.ratings.records import QUESTIONS
from evalkit.words.language import LANGUAGES, choose_language, read_words


def places(sentence: str | Mapping[str, str]) -> set[str]:
    texts = sentence.values() if isinstance(sentence, Mapping) else [sentence]
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name is not None}


TOPICS = sorted(
    {path.name.partition(".")[0] for path in files("evalkit.words").joinpath("sentences").iterdir()}
)


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "metrics"])
@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_language_has_the_same_sentences_with_the_same_places(tag: str, topic: str) -> None:
    first, other = read_words(LANGUAGES[0], topic).sentences, read_words(tag, topic).sentences
    assert other.keys() == first.keys()
    for key in first:
        if key not in {"clips", "pairs", "minutes", "n_answered"}:  # "1" may be written out
            assert places(other[key]) == places(first[key]), key
    assert [
        key
        for key, sentence in other.items()
        if isinstance(sentence, Mapping) and sentence.keys() != {"one", "other"}
    ] == []


_SAID = re.compile(r"""["']([\w :]+)["']""")
_BUILT = re.compile(r"""f["']([\w ]*)\{[^{}\n]+\}([\w ]*)["']|["']([\w ]+?)(?:%[ds])?["'] [~+%]""")
"""Keys that are put together: f"start{...}end" of Python, "start" ~ ..., "start" + ... and "start%d" % ... of templates."""


def test_no_sentence_is_there_that_nobody_says() -> None:
    kinds = {".py", ".j2", ".js"}
    sources = [path for path in Path(str(files("evalkit"))).rglob("*") if path.suffix in kinds]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    built = {(start or of_template, end) for start, end, of_template in _BUILT.findall(text)}
    fixed = [(start, end) for start, end in built if len(start + end) >= 2]
    said = set(_SAID.findall(text))
    unsaid = [
        f"{topic}: {key}"
        for topic in TOPICS
        if topic != "metrics"
        for key in read_words(LANGUAGES[0], topic).sentences
        if key not in said and not any(key.startswith(start) and key.endswith(end) for start, end in fixed)
    ]
    assert unsaid == []


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_question_can_be_asked(tag: str) -> None:
    say = read_words(tag, "rating")
    assert all(say(f"ask_{question}") for question in QUESTIONS)
    assert len({say(f"score_{score}") for score in range(1, 6)}) == 5


def test_the_scale_is_that_of_the_recommendation() -> None:
    """ITU-T P.910, absolute category rating, 5 to 1; in Chinese the words of GB/T and of P.910's translation."""
    words = [[read_words(tag, "rating")(f"score_{score}") for score in (5, 4, 3, 2, 1)] for tag in LANGUAGES]
    assert words == [["Excellent", "Good", "Fair", "Poor", "Bad"], ["优", "良", "中", "差", "劣"]]


def test_numbers_have_their_words() -> None:
    say = read_words("en", "rating")
    assert [say("minutes", n=n) for n in (1, 2)] == ["1 minute", "2 minutes"]
    with pytest.raises(KeyError):
        say("minutes")
    with pytest.raises(KeyError):
        say("no such sentence")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", "en"),
        ("*", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN,en;q=0.9", "zh-CN"),
        ("en-GB,zh-CN;q=0.9", "en"),
        ("de,zh-CN;q=0.8,en;q=0.2", "zh-CN"),
        ("zh;q=0,en;q=0.1", "en"),
        ("zh;q=x,en", "en"),
    ],
)
def test_the_language_that_is_liked_best(accepted: str, expected: str) -> None:
    assert choose_language(accepted) == expected


@given(st.text(max_size=100))
def test_any_wish_is_some_language(accepted: str) -> None:
    assert choose_language(accepted) in LANGUAGES
