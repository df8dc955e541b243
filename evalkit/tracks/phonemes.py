"""The phonemes track: when each speech sound of a script is heard."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evalkit.tracks.base import TrackBuilder
from evalkit.types import AudioChunk, Track
from pipeline.errors import RequestError
from pipeline.options import hash_of
from pipeline.phonemes import Phoneme
from pipeline.recogniser import Recogniser

RATE_HZ = 16_000
PREFIX = "phonemes-"
COLUMNS = ("duration_s",)


class PhonemesTracker:
    """Has a script aligned with the sound: one row a speech sound, at its start.

    Its column is ``duration_s``. The facts carry ``symbols``, one a row, the ``misfit`` of the script (None where it could not
    be laid over the sound at all), the ``obstacle`` where the aligner refused script or sound (empty where it did not), and the
    ``aligner`` with its ``version``. There is no row where the script is not what is said. The sound waits on disk, not in memory.

    Parameters
    ----------
    aligner : Recogniser
        One that aligns the language. Stays loaded: it belongs to whoever gives it.
    settings : mapping
        What it was made with.
    text, language : str
        What should be spoken.
    """

    version = 2
    rate_hz = RATE_HZ

    def __init__(self, aligner: Recogniser, settings: Mapping[str, Any], text: str, language: str) -> None:
        self.name = track_name(aligner, settings, text, language)
        self._aligner = aligner
        self._text, self._language = text, language
        self._start_s = 0.0
        self._folder: TemporaryDirectory[str] | None = None

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples."""
        if self._folder is None:
            self._folder = self._begin(chunk.start_s)
        pcm = np.clip(np.round(chunk.samples * 32767), -32768, 32767).astype("<i2")
        self._file.writeframes(pcm.tobytes())

    def finish(self) -> Track:
        """Align, and return the whole track."""
        folder = self._folder or self._begin(0.0)
        self._file.close()
        rows = TrackBuilder(self.name, COLUMNS)
        symbols, misfit, obstacle = [], None, ""
        with folder:
            try:
                found = self._aligner.align(self._path, self._text, self._language)
            except RequestError as error:  # as for digital silence, or letters of another language
                obstacle = str(error)
            else:
                misfit = found.misfit
                for phoneme in found.phonemes:
                    rows.append(
                        self._start_s + phoneme.start_s,
                        np.array([phoneme.end_s - phoneme.start_s], dtype=np.float32),
                    )
                    symbols.append(phoneme.symbol)
        facts = {"aligner": self._aligner.name, "version": self._aligner.version, "language": self._language}
        return rows.track({"symbols": symbols, "misfit": misfit, "obstacle": obstacle, **facts})

    def _begin(self, start_s: float) -> TemporaryDirectory[str]:
        """Open a file, once there is sound: a tracker whose track is cached is made, and never asked."""
        self._start_s = start_s
        folder = TemporaryDirectory(prefix="evalkit-")
        self._path = Path(folder.name) / "sound.wav"
        self._file = wave.open(str(self._path), "wb")  # noqa: SIM115 - closed in `finish`
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(RATE_HZ)
        return folder


def track_name(aligner: Recogniser, settings: Mapping[str, Any], text: str, language: str) -> str:
    """Return a name that says all that decides the times: tracks are cached by it."""
    deciders = [aligner.name, aligner.version, dict(settings), text, language]
    return f"{PREFIX}{aligner.name}-{hash_of(deciders)[:16]}"


def phonemes_of(track: Track) -> tuple[Phoneme, ...]:
    """Return the speech sounds of a track, on the clip's own clock."""
    rows = zip(track.facts["symbols"], track.times_s.tolist(), track["duration_s"].tolist(), strict=True)
    return tuple(Phoneme(symbol, start_s, start_s + duration_s) for symbol, start_s, duration_s in rows)
