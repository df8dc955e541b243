"""What a speech engine is, and what it gives: samples, and when each phoneme sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.phonemes import Phoneme


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech that was synthesised.

    Parameters
    ----------
    samples : int16 array, shape (n,)
        Mono.
    rate_hz : int
        Samples a second.
    phonemes : tuple of Phoneme
        Without gaps from the first sample to the last, in order; empty where the engine does not report them.
    language, voice : str
        What really spoke, in the engine's names.
    engine, version : str
        Who made it.
    """

    samples: NDArray[np.int16]
    rate_hz: int
    phonemes: tuple[Phoneme, ...]
    language: str
    voice: str
    engine: str
    version: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


class SpeechEngine(Protocol):
    """Turns text into speech."""

    name: str

    def languages(self) -> tuple[str, ...]:
        """Return the codes of all languages it speaks, sorted."""
        ...

    def check(self, text: str, language: str, voice: str | None = None) -> None:
        """Raise `RequestError` where `speak` would, as far as can be told without speaking."""
        ...

    def speak(self, text: str, language: str, voice: str | None = None) -> Speech:
        """Say something.

        Parameters
        ----------
        text : str
            At least one word.
        language : str
            One of `languages`, upper or lower case.
        voice : str, optional
            A voice of the engine; its first choice for the language when not given.

        Raises
        ------
        RequestError
            If the text is empty or not in a script of that language, or the language or the voice is unknown.
        """
        ...
