"""Can it be understood? What was heard against what should be said: error rates by word and by character.

An error rate is the least number of substitutions, deletions and insertions that turn the script into what was heard,
over the length of the script. Insertions can take it beyond 1. Both sides are first brought into the same spelling
(`normalise`), as in the literature on speech recognition: English by Whisper's own normaliser, by which published word error
rates are comparable; Chinese in simplified characters with numbers in characters.

References
----------
A. C. Morris, V. Maier, P. Green: From WER and RIL to MER and WIL, Interspeech 2004, for the definition; the alignment is
jiwer's. A. Radford et al.: Robust Speech Recognition via Large-Scale Weak Supervision, 2022, appendix C, for the spelling.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from evalkit.metrics.checks import require_shape
from evalkit.stats.intervals import rate_interval
from evalkit.types import FloatArray, Interval
from pipeline.languages import primary_language

if TYPE_CHECKING:
    import jiwer
    import opencc
    from whisper_normalizer.english import EnglishTextNormalizer

Kind = Literal["equal", "substitute", "delete", "insert"]

WITHOUT_SPACES = frozenset(
    (
        "zh",
        "cmn",
        "yue",
        "wuu",
        "nan",
        "hak",
        "ja",
        "jpn",
        "th",
        "tha",
        "lo",
        "lao",
        "my",
        "mya",
        "km",
        "khm",
        "bo",
        "bod",
    )
)
"""Primary codes of languages that put no spaces between words: they have no word error rate."""
_ENGLISH = frozenset(("en", "eng"))
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u2018\u02bc\u0060\u00b4"), "'")
_CHINESE = frozenset(("zh", "cmn", "yue", "wuu", "nan", "hak"))
_BRACKETS = dict.fromkeys(map(ord, "()[]<>"), " ")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MOST_DIGITS = 16
"""Digits in a row beyond which there is no name for a number in Chinese."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring words (or characters) of script and hearing that stand against each other.

    Parameters
    ----------
    kind : {"equal", "substitute", "delete", "insert"}
    script, heard : tuple of str
        Empty where inserted, or deleted.
    """

    kind: Kind
    script: tuple[str, ...]
    heard: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A script against what was heard.

    Parameters
    ----------
    pieces : tuple of Piece
        In order; together they hold all of both sides.
    errors : FloatArray, shape (n,)
        For each word (or character) of the script: 1 where it was heard as another or not at all, plus the number of
        words inserted after it; those inserted before the first one count for the first.
    """

    pieces: tuple[Piece, ...]
    errors: FloatArray

    @property
    def error_rate(self) -> float:
        """Errors over the length of the script; from 0, and beyond 1 with many insertions. Lower is better."""
        return float(self.errors.sum() / self.errors.size)


def is_written_with_spaces(language: str) -> bool:
    """Say whether a language separates its words by spaces.

    >>> is_written_with_spaces("en-GB"), is_written_with_spaces("zh-TW"), is_written_with_spaces("JA")
    (True, False, False)
    """
    return primary_language(language) not in WITHOUT_SPACES


def normalise(text: str, language: str) -> str:
    """Bring a text into the spelling that counts.

    English goes through Whisper's normaliser: small letters, no marks, numbers in digits (``twenty-five`` → 25), contractions
    written out, British spelling made American, fillers (uh, hmm) left out. Unlike there, words in brackets stay: they are in
    the script to be spoken.

    In every other language: Unicode NFKC (full-width letters become plain ones), small letters; an apostrophe stays within a word
    and is always ``'``; every other mark and symbol, hyphens too, ends a word; one space between words, and none in a language that
    is written without. In Chinese, characters become simplified and numbers in digits are written in characters (``25`` → 二十五,
    ``3.5%`` → 百分之三点五); in other languages digits stay digits. Abbreviations stay as they are.

    Parameters
    ----------
    text : str
    language : str
        A code as in ``en``, ``cmn``, ``pt-br``.

    Returns
    -------
    str
        Empty where there is no letter and no digit.

    Examples
    --------
    >>> normalise("“Don’t panic,” she said: twenty-five well-known colours — 3.5%!", "en")
    'do not panic she said 25 well known colors 3.5%'
    >>> normalise("你好, 世界!", "zh")
    '你好世界'
    """
    text = text.translate(_APOSTROPHES)
    language = primary_language(language)
    if language in _ENGLISH:
        spelt = _english_normaliser()(text.translate(_BRACKETS))
        return " ".join(word for word in spelt.split() if any(map(str.isalnum, word)))
    text = unicodedata.normalize("NFKC", text).lower().replace("_", " ")
    if language in _CHINESE:
        text = _speak_chinese_numbers(_simplifier().convert(text))
    kept = "".join(
        character if character == "'" or unicodedata.category(character)[0] in "LNM" else " "
        for character in text
    )
    kept = _strip_lone_marks(kept)
    kept = re.sub(r"(?<!\w)'|'(?!\w)", " ", kept)
    return (" " if is_written_with_spaces(language) else "").join(kept.split())


def align_words(script: str, heard: str) -> Alignment:
    """Align two normalised texts word by word.

    Raises
    ------
    ValueError
        If the script has no word: there is nothing to be wrong about.
    """
    import jiwer

    _refuse_empty(script)
    return _collect(jiwer.process_words(script, heard))


def align_characters(script: str, heard: str) -> Alignment:
    """Align two normalised texts character by character (Unicode code points, spaces between words included).

    Raises
    ------
    ValueError
        If the script has no character.
    """
    import jiwer

    _refuse_empty(script)
    return _collect(jiwer.process_characters(script, heard))


def error_rate_interval(errors: FloatArray) -> Interval:
    """Return the 95 % interval of an error rate: that of a rate of bursts, times the errors in one.

    Parameters
    ----------
    errors : FloatArray, shape (n,), n >= 1
        At each word or character. Neighbours with errors are one burst, as they go together.

    Returns
    -------
    Interval
        Without any error its low end is 0, and its high end still says how many there may be.

    Raises
    ------
    ValueError
        For an array of another shape, or without a word.

    Notes
    -----
    Coverage by simulation, 17 to 100 words, 5 to 20 % wrong: 98 to 100 % for single errors, 91 to 100 % in runs of two.

    Examples
    --------
    >>> low, high = error_rate_interval(np.array([0, 1, 1, 0, 0, 0, 0, 0, 0, 0]))  # one burst: 0.025 to 5.57
    >>> round(low, 3), round(high, 2)
    (0.005, 1.11)
    """
    require_shape("errors", errors, (None,))
    if not errors.size:
        raise ValueError("errors is empty; a script without words has no error rate")
    wrong = errors > 0
    n_bursts = int(wrong[0]) + int((wrong[1:] & ~wrong[:-1]).sum())
    size = float(errors.sum()) / n_bursts if n_bursts else 1.0
    return rate_interval(n_bursts, errors.size / size)


def _strip_lone_marks(text: str) -> str:
    """Take away combining marks that stand on no letter."""
    kept: list[str] = []
    for character in text:
        if unicodedata.combining(character) == 0 or (kept and kept[-1].strip(" '")):
            kept.append(character)
    return "".join(kept)


def _refuse_empty(script: str) -> None:
    if not script.strip():
        raise ValueError("a script without words has no error rate")


def _collect(found: jiwer.WordOutput | jiwer.CharacterOutput) -> Alignment:
    script, heard = found.references[0], found.hypotheses[0]
    pieces = []
    errors = np.zeros(len(script))
    for chunk in found.alignments[0]:
        start, end = chunk.ref_start_idx, chunk.ref_end_idx
        said, understood = script[start:end], heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        pieces.append(Piece(cast("Kind", chunk.type), tuple(said), tuple(understood)))
        if chunk.type == "insert":
            errors[max(0, start - 1)] += len(understood)
        elif chunk.type != "equal":
            errors[start:end] += 1
    return Alignment(tuple(pieces), errors)


def _speak_chinese_numbers(text: str) -> str:
    """Write numbers in digits as Chinese characters, dates and shares as they are read."""
    if not any(map(str.isdecimal, text)):
        return text
    text = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)
    text = _THOUSANDS.sub("", text)
    import cn2an

    pieces = re.split(rf"(\d{{{_MOST_DIGITS + 1},}})", text)
    return "".join(
        piece if at % 2 else str(cn2an.transform(piece, "an2cn")) for at, piece in enumerate(pieces)
    )


@cache
def _english_normaliser() -> EnglishTextNormalizer:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@cache
def _simplifier() -> opencc.OpenCC:
    import opencc

    return opencc.OpenCC("t2s")
