"""The transcript track: what a speech recogniser hears, piece by piece, in little memory."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import TrackBuilder
from evalkit.types import AudioChunk, Track
from pipeline.options import hash_of
from pipeline.recogniser import Recogniser, Transcript

RATE_HZ = 16_000
PIECE_S = 30.0
"""Longest piece that is recognised at once. Long sound is cut at its quietest moment of the last `SEARCH_S` of it."""
SEARCH_S = 10.0
PAUSE_S = 0.2
SHORTEST_S = 0.1
"""What is left over at the end and shorter than this holds no word."""
SILENCE_PEAK = 1e-4
PREFIX = "transcript-"


class TranscriptTracker:
    """Has the sound written down by a recogniser: one row a piece, at the piece's start.

    Its column is ``duration_s``. The facts carry ``texts``, one a piece and in the recogniser's own spelling, ``words`` of
    all pieces, each a list of text, start and end in seconds of the clip (empty from a recogniser that tells no times), the
    ``recogniser``, its ``version`` and the ``language``. Digital silence is an empty text and never asked about.

    Parameters
    ----------
    recogniser : Recogniser
        Stays loaded: it belongs to whoever gives it.
    settings : mapping
        What it was made with.
    language : str
        One that it serves.
    """

    version = 3
    rate_hz = RATE_HZ

    def __init__(self, recogniser: Recogniser, settings: Mapping[str, Any], language: str) -> None:
        self.name = track_name(recogniser, settings, language)
        self._recogniser = recogniser
        self._language = language
        self._rows = TrackBuilder(self.name, ("duration_s",))
        self._texts: list[str] = []
        self._words: list[list[str | float]] = []
        self._waiting: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._start_s: float | None = None

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples; recognise a piece whenever there are enough."""
        if self._start_s is None:
            self._start_s = chunk.start_s
        self._waiting = np.concatenate([self._waiting, chunk.samples])
        while self._waiting.size > PIECE_S * RATE_HZ:
            self._recognise(_quietest_cut(self._waiting[: round(PIECE_S * RATE_HZ)]))

    def finish(self) -> Track:
        """Recognise the rest and return the whole track."""
        if self._waiting.size >= SHORTEST_S * RATE_HZ:
            self._recognise(self._waiting.size)
        heard = {"texts": self._texts, "words": self._words, "language": self._language}
        heard_by = {"recogniser": self._recogniser.name, "version": self._recogniser.version}
        return self._rows.track({**heard, **heard_by})

    def _recognise(self, n_samples: int) -> None:
        piece, self._waiting = self._waiting[:n_samples], self._waiting[n_samples:]
        assert self._start_s is not None  # noqa: S101 - narrows the type
        self._rows.append(self._start_s, np.array([n_samples / RATE_HZ], dtype=np.float32))
        if np.abs(piece).max() >= SILENCE_PEAK:
            heard = self._hear(piece)
            self._texts.append(heard.text)
            start_s = self._start_s
            length_s = (
                n_samples / RATE_HZ
            )  # recognisers fill a piece up with silence, and may hear words there
            self._words += [
                [word.text, start_s + min(word.start_s, length_s), start_s + min(word.end_s, length_s)]
                for word in heard.words
            ]
        else:
            self._texts.append("")
        self._start_s += n_samples / RATE_HZ

    def _hear(self, samples: NDArray[np.float32]) -> Transcript:
        with tempfile.TemporaryDirectory(prefix="evalkit-") as folder:
            path = Path(folder) / "piece.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes(np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes())
            return self._recogniser.recognise(path, self._language)


def track_name(recogniser: Recogniser, settings: Mapping[str, Any], language: str) -> str:
    """Return a name that says all that decides the words: tracks are cached by it."""
    deciders = [recogniser.name, recogniser.version, dict(settings), language]
    return f"{PREFIX}{recogniser.name}-{hash_of(deciders)[:16]}"


def _quietest_cut(piece: NDArray[np.float32]) -> int:
    """Return the sample in the middle of the quietest `PAUSE_S` of the last `SEARCH_S` of a piece."""
    search, pause = round(SEARCH_S * RATE_HZ), round(PAUSE_S * RATE_HZ)
    power = np.convolve(piece[-search:].astype(np.float64) ** 2, np.ones(pause), mode="valid")
    return piece.size - search + int(power.argmin()) + pause // 2
