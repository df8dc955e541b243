"""What an answerer is. Found through the entry-point group ``evalkit.answerers``.

The entry point is a callable that takes its settings by keyword, refuses wrong ones with a `RequestError` and does
nothing costly: models are read in `Answerer.load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the user's documents that has to do with a question.

    Parameters
    ----------
    text : str
        The piece.
    source : str
        File and line.
    score : float
        How much of the question's weight is found in it, from 0 (nothing) to 1 (every word); rare words weigh more.
    answer : str
        What of it answers the question: the answer of a question–answer pair, else its nearest sentences.
    """

    text: str
    source: str
    score: float
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the passages of the documents that match it, the best first."""

    text: str
    language: str
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What will be spoken.

    Parameters
    ----------
    text : str
        To be spoken: no markup, no tags.
    knows : bool
        False for "I do not know".
    emotion : str or None
        See `pipeline.dialogue.emotion.EMOTIONS`, where the answerer itself says it.
    sources : tuple of str
        Where it was found; empty where the answerer does not report it.
    cut : bool
        Whether the end was missing and a part of a sentence was left out.
    """

    text: str
    knows: bool = True
    emotion: str | None = None
    sources: Sequence[str] = ()
    cut: bool = False


class Answerer(Protocol):
    """Answers questions. One thread at a time; load once, answer many times, close."""

    name: str
    """As in the entry point."""
    version: str
    """Of what decides the answer, as far as it can be known from here."""

    def check(self, language: str) -> None:
        """Raise `RequestError` where questions in a language cannot be answered."""
        ...

    def load(self) -> None:
        """Read the model. A second call does nothing."""
        ...

    def answer(self, question: Question) -> Answer:
        """Answer a question, in its language.

        Raises
        ------
        GenerationError
            If there is no answer; never for "I do not know", which is one.
        """
        ...

    def close(self) -> None:
        """Release the model. A second call does nothing."""
        ...
