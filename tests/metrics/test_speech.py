"""Error rates against alignments worked by hand, jiwer's own numbers, and truths planted at random."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics.speech import (
    Alignment,
    align_characters,
    align_words,
    error_rate_interval,
    is_written_with_spaces,
    normalise,
)

TEXTS = st.lists(st.sampled_from(["a", "b", "cat", "dog", "don't"]), min_size=1, max_size=12).map(" ".join)


def told(alignment: Alignment) -> list[tuple[str, str, str]]:
    return [(piece.kind, " ".join(piece.script), " ".join(piece.heard)) for piece in alignment.pieces]


@pytest.mark.parametrize(
    ("script", "heard", "pieces", "errors"),
    [
        ("the cat sat", "the cat sat", [("equal", "the cat sat", "the cat sat")], [0, 0, 0]),
        (
            "the cat sat",
            "the dog sat",
            [("equal", "the", "the"), ("substitute", "cat", "dog"), ("equal", "sat", "sat")],
            [0, 1, 0],
        ),
        (
            "the cat sat",
            "the sat",
            [("equal", "the", "the"), ("delete", "cat", ""), ("equal", "sat", "sat")],
            [0, 1, 0],
        ),
        (
            "the cat",
            "the big cat",
            [("equal", "the", "the"), ("insert", "", "big"), ("equal", "cat", "cat")],
            [1, 0],
        ),
        ("cat", "oh my cat", [("insert", "", "oh my"), ("equal", "cat", "cat")], [2]),
        ("the cat", "", [("delete", "the cat", "")], [1, 1]),
    ],
)
def test_alignments_worked_by_hand(
    script: str, heard: str, pieces: list[tuple[str, str, str]], errors: list[int]
) -> None:
    found = align_words(script, heard)
    assert told(found) == pieces
    assert found.errors.tolist() == errors


def test_rates_worked_by_hand() -> None:
    # one substitution, one deletion, one insertion over five words
    assert align_words("a b c d e", "a x d e f").error_rate == pytest.approx(3 / 5)
    # k for c, one t too many: 2 over 3 characters; the space of "a b" counts
    assert align_characters("cat", "katt").error_rate == pytest.approx(2 / 3)
    assert align_characters("a b", "ab").error_rate == pytest.approx(1 / 3)
    # more heard than said: beyond 1
    assert align_words("yes", "no no no").error_rate == 3.0


@given(TEXTS, TEXTS | st.just(""))
def test_rates_are_those_of_jiwer(script: str, heard: str) -> None:
    assert align_words(script, heard).error_rate == pytest.approx(jiwer.wer(script, heard))
    assert align_characters(script, heard).error_rate == pytest.approx(jiwer.cer(script, heard))


@given(TEXTS, TEXTS)
def test_the_pieces_hold_both_sides(script: str, heard: str) -> None:
    pieces = align_words(script, heard).pieces
    assert " ".join(word for piece in pieces for word in piece.script) == script
    assert " ".join(word for piece in pieces for word in piece.heard) == heard


@given(st.integers(0, 12), st.randoms(use_true_random=False))
def test_k_words_replaced_are_k_errors(k: int, random) -> None:
    script = [f"word{number}" for number in range(12)]
    heard = list(script)
    for place in random.sample(range(12), k):
        heard[place] = "other"
    assert align_words(" ".join(script), " ".join(heard)).error_rate == pytest.approx(k / 12)


@pytest.mark.parametrize("align", [align_words, align_characters])
def test_a_script_without_words_is_refused(align) -> None:
    with pytest.raises(ValueError, match="script without words"):
        align("", "a")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello, WORLD!", "en", "hello world"),
        ("“Don’t” — it`s 'quoted' rock 'n' roll", "en", "do not it is quoted rock n roll"),
        ("well-known e-mail", "en", "well known e mail"),
        ("\uff21\uff22\uff23 ﬁne № 5", "de", "abc fine no 5"),
        ("Straße ÉTÉ naïve", "de", "straße été naïve"),
        ("e\u0301te\u0301", "fr", "été"),  # composed
        ("l’été", "fr", "l'été"),
        ("25 cats, 1,025.5 dogs, 3% and the 1st", "en-GB", "25 cats 1025.5 dogs 3% and the 1st"),
        ("twenty-five cats in nineteen sixty-four", "en", "25 cats in 1964"),
        ("Uh, my favourite colour (so far) isn't [any] grey.", "en", "my favorite color so far is not any gray"),
        ("room_25_b", "en", "room 25 b"),
        ("25 Katzen", "de", "25 katzen"),
        ("你好, 世界!(25元)", "zh-CN", "你好世界二十五元"),
        ("1,025人, 3.5%, 2024年3月5日", "cmn", "一千零二十五人百分之三点五二零二四年三月五日"),
        ("廣州市房地產", "zh-TW", "广州市房地产"),
        ("2" * 40, "zh", "2" * 40),  # no name for so many
        ("l’a", "it", "l'a"),
        ("こんにちは 世界。", "ja", "こんにちは世界"),
        ("สวัสดี ครับ", "th", "สวัสดีครับ"),
        ("हिन्दी भाषा", "hi", "हिन्दी भाषा"),  # vowel signs are part of a word
        ("… — !", "en", ""),
    ],
)  # fmt: skip
def test_spelling(text: str, language: str, expected: str) -> None:
    assert normalise(text, language) == expected


@given(st.text(max_size=40), st.sampled_from(["de", "fr", "ja"]))
def test_normalising_twice_changes_nothing_more(text: str, language: str) -> None:
    once = normalise(text, language)
    assert normalise(once, language) == once
    assert once == once.strip()


@pytest.mark.parametrize(
    ("language", "spaced"),
    [("en", True), ("ko", True), ("cmn", False), ("yue", False), ("zh_TW", False), ("th", False)],
)
def test_languages_with_and_without_spaces(language: str, spaced: bool) -> None:
    assert is_written_with_spaces(language) is spaced


def test_the_interval_counts_bursts_by_hand() -> None:
    # two bursts of five errors in ten words: Garwood's 0.242 to 7.225 for two, times 2.5 errors, over ten words
    interval = error_rate_interval(np.array([1.0, 1, 0, 0, 2, 1, 0, 0, 0, 0]))
    assert interval == pytest.approx((0.242 * 0.25, 7.225 * 0.25), abs=1e-3)
    assert error_rate_interval(np.zeros(17)) == pytest.approx((0.0, 3.689 / 17), abs=1e-3)


@pytest.mark.parametrize("n_words", [17, 50, 100])
@pytest.mark.parametrize("run", [1.05, 2.0])
def test_the_interval_holds_the_rate_of_errors_that_come_in_bursts(n_words: int, run: float) -> None:
    """Errors of a two-state chain: 10 % of the words, in runs of this length on average; 300 scripts."""
    rng = np.random.default_rng(0)
    stay, enter = 1 - 1 / run, 0.1 / 0.9 / run
    n_held = 0
    for draws in rng.random((300, n_words)):
        wrong = np.zeros(n_words)
        wrong[0] = draws[0] < 0.1
        for word in range(1, n_words):
            wrong[word] = draws[word] < (stay if wrong[word - 1] else enter)
        interval = error_rate_interval(wrong)
        n_held += interval.low <= 0.1 <= interval.high
    assert n_held / 300 >= 0.90


def test_words_in_brackets_of_an_english_script_count() -> None:
    assert normalise("[Music] hello (she laughs)", "en") == "music hello she laughs"
