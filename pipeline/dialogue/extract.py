"""Answers in the words of the user's own documents."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.dialogue.base import Answer, Question
from pipeline.errors import RequestError
from pipeline.languages import primary_language
from pipeline.options import PlainData

_DO_NOT_KNOW = {
    "cmn": "对不起，我不知道。",
    "de": "Das weiß ich leider nicht.",
    "en": "I am sorry, I do not know that.",
    "es": "Lo siento, no lo sé.",
    "fr": "Désolé, je ne sais pas.",
    "it": "Mi dispiace, non lo so.",
    "ja": "すみません、わかりません。",
    "ko": "죄송합니다. 잘 모르겠습니다.",
    "pt": "Desculpe, eu não sei.",
    "ru": "Извините, я этого не знаю.",
    "yue": "對唔住，我唔知。",
    "zh": "对不起，我不知道。",
}


class ExtractSettings(PlainData):
    """When a passage is good enough.

    Attributes
    ----------
    min_score : float
        Share of the question's weight that must be found in a passage, see `Passage.score`.
    unknown : str or None
        What is said where none is; ``None`` for "I do not know" in the language of the question.
    """

    min_score: float = Field(default=0.5, gt=0, le=1, description="a share, above 0, at most 1")
    unknown: str | None = Field(default=None, min_length=1, description="a sentence")


class Extract:
    """Says the sentences of the best passage, or that it does not know. It needs nothing and makes nothing up."""

    name = "documents"
    extra = "conversation"
    Settings = ExtractSettings
    version = "1"

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")

    def check(self, language: str) -> None:
        """Check that it can say "I do not know" in a language."""
        if self._settings.unknown is None and primary_language(language) not in _DO_NOT_KNOW:
            raise RequestError(
                f'"I do not know" is not known here in the language {language!r}: give the setting unknown, a sentence'
            )

    def load(self) -> None:
        """Do nothing: the passages come with the question."""

    def close(self) -> None:
        """Do nothing."""

    def answer(self, question: Question) -> Answer:
        """Answer from the best passage, if that holds enough of the question."""
        best = question.passages[0] if question.passages else None
        if best is not None and best.score >= self._settings.min_score:
            return Answer(best.answer, sources=(best.source,))
        unknown = self._settings.unknown or _DO_NOT_KNOW[primary_language(question.language)]
        return Answer(unknown, knows=False)
