"""What a speech recogniser is. Found through the entry-point group ``evalkit.recognisers``.

The entry point is a callable (the class itself, as a rule) that takes its settings by keyword, refuses wrong ones
with a `RequestError` and does nothing costly: models are read in `Recogniser.load`. It gives a `Recogniser`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.phonemes import Alignment


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was heard, and when.

    Parameters
    ----------
    text : str
        In the recogniser's own spelling, without the spaces around it.
    start_s, end_s : float
        From the beginning of the sound.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard.

    Parameters
    ----------
    text : str
        The words, in the recogniser's own spelling and punctuation; ``""`` where it heard none.
    duration_s : float
        Length of the sound, seconds, above 0.
    language : str
        As it was asked for.
    recogniser, version : str
        Who heard it.
    words : tuple of Word
        The words with their times, in order; empty from a recogniser that tells none.
    """

    text: str
    duration_s: float
    language: str
    recogniser: str
    version: str
    words: tuple[Word, ...] = ()


class Recogniser(ABC):
    """Turns speech into text. One thread at a time; load once, recognise many times, close."""

    name: str
    """As in the entry point."""
    version: str
    """Of what decides the words: another version can hear something else in the same sound."""

    @property
    def weights(self) -> Mapping[str, str]:
        """Name and SHA-256 of the model weights that it uses; empty where they are not known, as those of a service."""
        return {}

    @abstractmethod
    def serves(self, language: str) -> bool:
        """Return whether it understands a language (``en``, ``en-gb``, ``cmn`` …), without loading anything."""

    def find_obstacle(self) -> str:
        """Return what keeps it from working here, as far as can be seen without loading anything; by default nothing."""
        return ""

    @abstractmethod
    def load(self) -> None:
        """Read the model. A second call does nothing."""

    @abstractmethod
    def recognise(self, sound: Path, language: str) -> Transcript:
        """Write down what is said in a sound file, or in the sound of a video file.

        Raises
        ------
        RequestError
            If the language is not served, or the file is not sound, or is empty, silent, or longer than
            `pipeline.sound.MAX_SOUND_S`.
        GenerationError
            If the recogniser itself fails.
        """

    def aligns(self, language: str) -> bool:  # noqa: ARG002 - most align nothing
        """Return whether it can `align` texts of a language; by default it cannot."""
        return False

    def align(self, sound: Path, text: str, language: str) -> Alignment:  # noqa: ARG002 - as above
        """Find when each speech sound of a text is heard in the sound in which it is spoken.

        Raises
        ------
        RequestError
            As `recognise`, and if the text cannot be read in that language.
        GenerationError
            If the recogniser itself fails.
        """
        raise RequestError(f"the recogniser {self.name!r} aligns no text")

    @abstractmethod
    def close(self) -> None:
        """Release the model. A second call does nothing."""


def refuse_language(recogniser: Recogniser, language: str) -> None:
    """Refuse a language that a recogniser does not serve.

    Raises
    ------
    RequestError
        Naming both.
    """
    if not recogniser.serves(language):
        raise RequestError(
            f"the recogniser {recogniser.name!r} does not understand the language {language!r}"
        )
