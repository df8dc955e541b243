"""pocketsphinx behind the recogniser protocol: English, on one processor core, with the model from its wheel."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.languages import primary_language
from pipeline.options import PlainData
from pipeline.phonemes import Alignment, Phoneme
from pipeline.recogniser import Recogniser, Transcript, refuse_language
from pipeline.sound import read_sound
from pipeline.speech.espeak import Espeak
from pipeline.speech.phones import align, make_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_RATE_HZ = 16000
_PIECE_S = 30.0
_SEARCH_S = 10.0
_PAUSE_S = 0.2
_FRONT_END = 3
"""Raised when the same model comes to hear other words."""
_DIGITAL_SILENCE_DB = -85.0
_DIGITAL_SILENCE_SHARE = 0.01
"""How quiet, and for how much of the time. Of 52 clips nearly all recordings stay below 0.7 %, synthetic voices above 4 %."""
_NOISE = 5e-3
"""Noise that is added, a part of the peak (-46 dB)."""
_MARGIN_S = 0.3


class _Settings(PlainData):
    """None: the model is the one in the wheel."""


class Pocketsphinx(Recogniser):
    """American English by hidden Markov models and a trigram of general text. It needs nothing and is often wrong.

    Sound longer than 30 s is heard in pieces, cut at the quietest fifth of a second of the last ten. Under a synthetic
    voice with digital silence between its words, which the model never met, the noise of a quiet room is laid: of 259
    words spoken by espeak-ng it then misses 0.26 instead of 0.83. Recordings have their own, and more of it harms.
    """

    name = "pocketsphinx"
    extra = "speech"
    Settings = _Settings

    def __init__(self, /, **settings: Any) -> None:
        self.Settings.read(settings, "setting")
        self.version = f"{version_of('pocketsphinx')}, front end {_FRONT_END}"
        self._decoder: Any = None
        self._aligner: Any = None

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of everything that makes the model up."""
        return {"pocketsphinx en-us": _hash_of_model()}

    def serves(self, language: str) -> bool:
        """Return whether the language is English, of any country."""
        return primary_language(language) == "en"

    def load(self) -> None:
        """Read model, dictionary and language model, 38 MB."""
        if self._decoder is None:
            from pocketsphinx import Decoder

            self._decoder = Decoder(samprate=_RATE_HZ, loglevel="FATAL")

    def close(self) -> None:
        """Forget the model."""
        self._decoder = self._aligner = None

    def recognise(self, sound: Path, language: str) -> Transcript:
        """Write down what is said; see `Recogniser.recognise`. In small letters, without punctuation."""
        refuse_language(self, language)
        samples = read_sound(sound, _RATE_HZ)
        self.load()
        words = [word for piece in _cut(_add_room(samples)) for word in self._hear(piece)]
        return Transcript(" ".join(words), samples.size / _RATE_HZ, language, self.name, self.version)

    def aligns(self, language: str) -> bool:
        """Return whether it is English, or a language that espeak-ng speaks."""
        return self.serves(language) or _espeak_code(language) in Espeak().languages()

    def align(self, sound: Path, text: str, language: str) -> Alignment:
        """Find when each speech sound is heard; see `Recogniser.align` and `pipeline.speech.phones`."""
        samples = read_sound(sound, _RATE_HZ)
        if self._aligner is None:
            self._aligner = make_decoder()
        wider = _add_room(samples)
        found = align(self._aligner, wider, text, _espeak_code(language))
        room_s = (wider.size - samples.size) / 2 / _RATE_HZ
        moved = (Phoneme(one.symbol, one.start_s - room_s, one.end_s - room_s) for one in found.phonemes)
        return Alignment(tuple(moved), found.misfit)

    def _hear(self, samples: NDArray[np.float32]) -> list[str]:
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2")
        self._decoder.reinit_feat()  # it would go on with what it knows of the noise in the piece before
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return heard.hypstr.split() if heard is not None else []


def _espeak_code(language: str) -> str:
    """Return a language as espeak-ng names it: without its country, where it does not know that (``de-DE``)."""
    code = language.strip().lower().replace("_", "-")
    return code if code in Espeak().languages() else primary_language(language)


@cache
def _hash_of_model() -> str:
    from pocketsphinx import get_model_path

    folder = Path(get_model_path()) / "en-us"
    digest = hashlib.sha256()
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _add_room(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add noise, and 0.3 s of it at both ends, to sound that holds digital silence; leave a recording alone."""
    step = _RATE_HZ // 100
    steps = samples[: samples.size // step * step].reshape(-1, step).astype(np.float64)
    level_db = 10 * np.log10(np.var(steps, axis=1) + 1e-14)
    if not level_db.size or np.mean(level_db < _DIGITAL_SILENCE_DB) < _DIGITAL_SILENCE_SHARE:
        return samples
    wider = np.pad(samples, round(_MARGIN_S * _RATE_HZ))
    noise = np.random.default_rng(0).standard_normal(wider.size, dtype=np.float32)
    return np.asarray(wider + np.float32(_NOISE) * np.abs(samples).max() * noise)


def _cut(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield pieces of at most 30 s."""
    piece, search, pause = (round(length_s * _RATE_HZ) for length_s in (_PIECE_S, _SEARCH_S, _PAUSE_S))
    while samples.size > piece:
        tail = samples[piece - search : piece].astype(np.float64)
        power = np.convolve(tail**2, np.ones(pause), mode="valid")
        end = piece - search + int(power.argmin()) + pause // 2
        yield samples[:end]
        samples = samples[end:]
    yield samples
