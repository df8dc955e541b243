"""A recogniser whose transcripts are given to it, and which remembers what it heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.media import Reader, probe
from evalkit.types import AudioChunk
from pipeline.recogniser import Recogniser, Transcript, Word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class FakeRecogniser(Recogniser):
    """Says ``texts`` one after the other, then nothing.

    Parameters
    ----------
    texts : sequence of str
    languages : sequence of str
        What it serves.
    version : str
    tells_times : bool
        Whether it says when each word is spoken: all take equally long.

    Attributes
    ----------
    lengths_s : list of float
        Of the pieces that it was asked about.
    """

    name = "fake"

    def __init__(
        self,
        texts: Sequence[str] = (),
        languages: Sequence[str] = ("en", "cmn"),
        version: str = "1",
        *,
        tells_times: bool = False,
    ) -> None:
        self.version = version
        self.lengths_s: list[float] = []
        self._texts = list(texts)
        self._languages = languages
        self._tells_times = tells_times

    @property
    def weights(self) -> dict[str, str]:
        """Return the hash of a model that is not there."""
        return {"fake model": "0" * 64}

    def serves(self, language: str) -> bool:
        """Return whether it is one of its languages."""
        return language in self._languages

    def recognise(self, sound: Path, language: str) -> Transcript:
        """Measure the sound and say the next text."""
        if not self.serves(language):
            raise ValueError(f"{language} is not served")
        reader = Reader(probe(str(sound), None), frames=False, sound_rates_hz=[16_000])
        n_samples = sum(chunk.samples.size for chunk in reader if isinstance(chunk, AudioChunk))
        duration_s = n_samples / 16_000
        self.lengths_s.append(duration_s)
        text = self._texts.pop(0) if self._texts else ""
        spoken = text.split() if self._tells_times else []
        step_s = duration_s / max(len(spoken), 1)
        words = tuple(Word(word, i * step_s, (i + 1) * step_s) for i, word in enumerate(spoken))
        return Transcript(text, duration_s, language, self.name, self.version, words)

    def load(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
