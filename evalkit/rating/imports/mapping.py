"""The mapping file: what the columns, names and scales of another tool are here."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from evalkit.options import read_group, read_yaml
from evalkit.runs.ratings.records import HIGHEST, LOWEST, QUESTIONS
from pipeline.options import PlainData, hint

if TYPE_CHECKING:
    from pathlib import Path

Preferred = Literal["first", "second", "none"]

WORDS = {"bad": 1.0, "poor": 2.0, "fair": 3.0, "good": 4.0, "excellent": 5.0}
"""The scale of ITU-T P.910."""
_ANSWERS: dict[str, Preferred] = {
    **dict.fromkeys(("first", "left", "a", "1"), "first"),
    **dict.fromkeys(("second", "right", "b", "2"), "second"),
    **dict.fromkeys(("none", "no difference", "same", "tie", "equal", "neither", "0"), "none"),
}
_NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)?")
_NUMBER_AND_WORDS = re.compile(r"([0-9]+)\s*[-\u2013\u2014:=(](?!\s*[-+.,]?[0-9])")
"""``5 - Excellent``; but ``4-5`` is two numbers, and no score."""


class ClipColumns(PlainData):
    """Columns that together say which video it is: parameters, and names of what was put in.

    Attributes
    ----------
    params : dict of str to str
        Column of each parameter.
    portrait, speech, seed : str or None
        Columns.
    """

    params: dict[str, str] = Field(default_factory=dict, description="names of parameters to columns")
    portrait: str | None = Field(default=None, description="column with the name of the portrait")
    speech: str | None = Field(default=None, description="column with the name of the speech")
    seed: str | None = Field(default=None, description="column with the seed")

    @property
    def columns(self) -> dict[str, str]:
        """Column of each thing that is known of a video."""
        named = {"portrait": self.portrait, "speech": self.speech, "seed": self.seed}
        return {f"params.{name}": column for name, column in self.params.items()} | {
            name: column for name, column in named.items() if column is not None
        }


class Mapping(PlainData):
    """How a file is to be read. Of tables, fields are columns; of Label Studio, tags and fields of a task's data.

    Attributes
    ----------
    rater : str or tuple of str
        Field, or fields, that tell raters apart.
    clip : str or ClipColumns or None
        Field that names the video, or several that describe it.
    page : str or None
        Field that names the page on which it was shown, where names hold for a page alone: a video is then ``page/name``.
    questions : dict of str to str
        Field with the score of each question.
    question, score : str or None
        Of a table with one line a score: field that names the question, and field of the score.
    names : dict of str to str
        What such a table calls the questions, to what they are here.
    first, second, preferred : str or None
        Of pairs: fields that name the two videos, and field of the answer.
    answers : dict of str to {"first", "second", "none"}
        What answers to pairs are called.
    scale : tuple of float or None
        The worst and the best of the scores; 1 and 5 unless given.
    words : dict of str to float
        What scores are called, to scores from 1 to 5.
    unanswered : tuple of str
        What stands where nobody answered.
    clips : dict of str to str
        Names of videos to ids of trials.
    ignored : tuple of str
        Names of videos that are none of the run: references, anchors.
    delimiter : str or None
        Of a table; found unless given.
    """

    rater: str | tuple[str, ...] = Field(default=(), description="a column, or a list of columns")
    clip: str | ClipColumns | None = Field(
        default=None, description="a column, or a group of columns: params, portrait, speech, seed"
    )
    page: str | None = Field(default=None, description="a column")
    questions: dict[str, str] = Field(default_factory=dict, description="names of questions to columns")
    question: str | None = Field(default=None, description="a column")
    score: str | None = Field(default=None, description="a column")
    names: dict[str, str] = Field(default_factory=dict, description="their names of questions to ours")
    first: str | None = Field(default=None, description="a column")
    second: str | None = Field(default=None, description="a column")
    preferred: str | None = Field(default=None, description="a column")
    answers: dict[str, Preferred] = Field(
        default_factory=dict, description="their answers to first, second or none"
    )
    scale: tuple[float, float] | None = Field(default=None, description="[worst, best], as in [0, 100]")
    words: dict[str, float] = Field(default_factory=dict, description="their words to scores from 1 to 5")
    unanswered: tuple[str, ...] = Field(default=("", "NA", "n/a"), description="a list of texts")
    clips: dict[str, str] = Field(default_factory=dict, description="their names of videos to ids of trials")
    ignored: tuple[str, ...] = Field(default=(), description="a list of names of videos")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="one character")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a mapping file.

        Raises
        ------
        ConfigError
            One line per mistake, each with the file and the line.
        """
        return read_group(cls, read_yaml(path), str(path))

    @field_validator("questions")
    @classmethod
    def _knows_questions(cls, questions: dict[str, str]) -> dict[str, str]:
        for name in questions:
            _check_question(name)
        return questions

    @field_validator("names")
    @classmethod
    def _knows_names(cls, names: dict[str, str]) -> dict[str, str]:
        for name in names.values():
            _check_question(name)
        return names

    @field_validator("scale")
    @classmethod
    def _is_a_scale(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and scale[0] == scale[1]:
            raise ValueError("the worst and the best of a scale are not the same")
        return scale

    @field_validator("words")
    @classmethod
    def _are_scores(cls, words: dict[str, float]) -> dict[str, float]:
        for word, score in words.items():
            if not LOWEST <= score <= HIGHEST:
                raise ValueError(f"{word!r} is to be a score from {LOWEST} to {HIGHEST}, not {score:g}")
        return words

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for given in (("question", "score"), ("first", "second")):
            if sum(getattr(self, name) is not None for name in given) == 1:
                raise ValueError(f"{given[0]} and {given[1]} belong together; give both or neither")
        return self

    @property
    def rater_fields(self) -> tuple[str, ...]:
        """Fields that tell raters apart."""
        return (self.rater,) if isinstance(self.rater, str) else self.rater

    def read_score(self, text: str) -> float:
        """Return a score from 1 to 5.

        Parameters
        ----------
        text : str
            A number on the file's scale, a word of P.910 or of the mapping, or both, as in ``5 - Excellent``.

        Raises
        ------
        ValueError
            With what is wrong and what to do, if it is none.

        Examples
        --------
        >>> Mapping(scale=(0, 100)).read_score("75"), Mapping().read_score("Fair")
        (4.0, 3.0)
        """
        plain = text.strip().casefold()
        words = WORDS | {word.strip().casefold(): score for word, score in self.words.items()}
        if plain in words:
            return words[plain]
        match = _NUMBER.fullmatch(plain) or _NUMBER_AND_WORDS.match(plain)
        if match is None:
            raise ValueError(f"{_quote(text)} is no score; `words:` in the mapping says what words mean")
        number = float(match[match.lastindex or 0].replace(",", "."))
        worst, best = self.scale or (float(LOWEST), float(HIGHEST))
        share = (number - worst) / (best - worst)
        if not 0 <= share <= 1 or not math.isfinite(share):
            raise ValueError(
                f"{_quote(text)} is not within {worst:g} to {best:g}; `scale: [worst, best]` in the mapping says what "
                "theirs is"
            )
        return LOWEST + share * (HIGHEST - LOWEST)

    def read_answer(self, text: str) -> Preferred:
        """Return which of a pair an answer prefers; raise as `read_score`."""
        plain = text.strip().casefold()
        answers = _ANSWERS | {word.strip().casefold(): which for word, which in self.answers.items()}
        if plain not in answers:
            raise ValueError(
                f"{_quote(text)} is no answer to a pair; `answers:` in the mapping says which are first, second, none"
            )
        return answers[plain]

    def read_question(self, text: str) -> str:
        """Return which question a name of theirs is; raise as `read_score`."""
        name = self.names.get(text.strip(), text.strip())
        if name not in QUESTIONS:
            raise ValueError(
                f"{_quote(text)} is none of the questions {', '.join(QUESTIONS)}; `names:` in the mapping says which it is"
            )
        return name

    def is_unanswered(self, text: str) -> bool:
        """Say whether a field holds no answer."""
        return text.strip() in self.unanswered


def _check_question(name: str) -> None:
    if name not in QUESTIONS:
        raise ValueError(f"{name!r} is none of {', '.join(QUESTIONS)}{hint(name, QUESTIONS)}")


def _quote(text: str) -> str:
    shown = text.strip()
    return repr(shown if len(shown) <= 40 else f"{shown[:40]}…")
