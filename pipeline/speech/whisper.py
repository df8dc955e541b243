"""faster-whisper behind the recogniser protocol: a hundred languages, or English, by the weights it is given."""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.errors import GenerationError, RequestError
from pipeline.languages import primary_language
from pipeline.options import PlainData
from pipeline.recogniser import Recogniser, Transcript, Word, refuse_language
from pipeline.sound import read_sound
from pipeline.speech.whisper_weights import PACKAGES, FolderWeights, find_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_RATE_HZ = 16000
_DECODING: dict[str, Any] = {
    "beam_size": 5,
    "condition_on_previous_text": False,  # a loop that once begins would be carried on
    "log_prob_threshold": -0.5,  # what it doubts and takes for no speech is none; beyond 0.6 of that no speech was ever found
    "temperature": 0.0,  # the library's other temperatures draw at random: the same sound would give other words
    "vad_filter": True,  # of silence, tones and hum it would make up words
    "word_timestamps": True,
}
_DECODING_VERSION = 2
"""Raised when the same model comes to hear other words."""
_LOOPING = 2.4
"""Text that is compressed further than this repeats itself (`whisper`'s own limit)."""
_FASTEST_HZ = 40
"""Letters a second. Seven English words of five letters are 35, and nobody speaks as fast for long."""
_LONGEST_LOOP = 5
"""Where it does, it is asked once more and may not say the same five tokens twice."""
_CODES = {"cmn": "zh", "nb": "no"}  # Whisper's, where espeak-ng has others
# https://github.com/openai/whisper, whisper/tokenizer.py
_LANGUAGES = frozenset(
    [
        "en",
        "zh",
        "de",
        "es",
        "ru",
        "ko",
        "fr",
        "ja",
        "pt",
        "tr",
        "pl",
        "ca",
        "nl",
        "ar",
        "sv",
        "it",
        "id",
        "hi",
        "fi",
        "vi",
        "he",
        "uk",
        "el",
        "ms",
        "cs",
        "ro",
        "da",
        "hu",
        "ta",
        "no",
        "th",
        "ur",
        "hr",
        "bg",
        "lt",
        "la",
        "mi",
        "ml",
        "cy",
        "sk",
        "te",
        "fa",
        "lv",
        "bn",
        "sr",
        "az",
        "sl",
        "kn",
        "et",
        "mk",
        "br",
        "eu",
        "is",
        "hy",
        "ne",
        "mn",
        "bs",
        "kk",
        "sq",
        "sw",
        "gl",
        "mr",
        "pa",
        "si",
        "km",
        "sn",
        "yo",
        "so",
        "af",
        "oc",
        "ka",
        "be",
        "tg",
        "sd",
        "gu",
        "am",
        "yi",
        "lo",
        "uz",
        "fo",
        "ht",
        "ps",
        "tk",
        "nn",
        "mt",
        "sa",
        "lb",
        "my",
        "bo",
        "tl",
        "mg",
        "as",
        "tt",
        "haw",
        "ln",
        "ha",
        "ba",
        "jw",
        "su",
        "yue",
    ]
)


class WhisperSettings(PlainData):
    """Which model, and where it runs.

    Attributes
    ----------
    model : str, optional
        Folder of a model in CTranslate2's format, or a name of `pipeline.speech.whisper_weights.PACKAGES`; the best of those
        that are installed unless given. Nothing is downloaded.
    device : str, optional
        ``cpu``, ``cuda`` or ``auto``; a package's model runs on the processor unless told otherwise.
    compute_type : str, optional
        As CTranslate2 names it: ``int8``, ``float16`` …; ``int8`` for a package's model, else as the folder has it.
    """

    model: str | None = Field(
        default=None,
        min_length=1,
        description=f"folder of a model in CTranslate2's format, or one of {', '.join(PACKAGES)}",
    )
    device: str | None = Field(default=None, pattern="^(auto|cpu|cuda)$", description="auto, cpu or cuda")
    compute_type: str | None = Field(default=None, min_length=1, description="as in int8, float16")


class FasterWhisper(Recogniser):
    """Whisper by CTranslate2. Needs the extra ``faster-whisper`` and weights."""

    name = "faster_whisper"
    extra = "faster-whisper"
    Settings = WhisperSettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        try:
            library = version_of("faster-whisper")
        except PackageNotFoundError:
            raise RequestError(
                "faster-whisper is not installed; it comes with the extra: pip install 'evalkit[faster-whisper]'"
            ) from None
        self._found = find_weights(self._settings.model)
        is_folder = isinstance(self._found, FolderWeights)
        self._device = self._settings.device or ("auto" if is_folder else "cpu")
        self._compute_type = self._settings.compute_type or ("default" if is_folder else "int8")
        self.version = f"{library} {self._found.title} {self._compute_type}, decoding {_DECODING_VERSION}"
        self._model: Any = None

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the file of weights; read whole, once."""
        name, digest = self._found.hash_model()
        return {f"whisper {name}": digest}

    def serves(self, language: str) -> bool:
        """Return whether its model knows the language; one that does not say is asked when it is loaded."""
        is_multilingual = self._found.is_multilingual
        if self._model is not None:
            is_multilingual = self._model.model.is_multilingual
        code = primary_language(language)
        return _CODES.get(code, code) in ({"en"} if is_multilingual is False else _LANGUAGES)

    def load(self) -> None:
        """Read the weights."""
        if self._model is not None:
            return
        from faster_whisper import WhisperModel
        from tqdm import tqdm

        tqdm.set_lock(
            threading.RLock()
        )  # its own is a semaphore of the system, which a worker that is ended leaves behind
        name, files = self._found.read()
        try:
            self._model = WhisperModel(
                name,
                device=self._device,
                compute_type=self._compute_type,
                local_files_only=True,
                files=files,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise GenerationError(
                f"model {name!r} cannot be loaded: {error}; is it whole?", "load_failed"
            ) from error

    def close(self) -> None:
        """Forget the weights."""
        self._model = None

    def recognise(self, sound: Path, language: str) -> Transcript:
        """Write down what is said; see `Recogniser.recognise`."""
        samples = read_sound(sound, _RATE_HZ)
        self.load()
        refuse_language(self, language)
        code = primary_language(language)
        try:
            segments = self._hear(samples, _CODES.get(code, code))
            if any(segment.compression_ratio > _LOOPING for segment in segments):
                segments = self._hear(samples, _CODES.get(code, code), no_repeat_ngram_size=_LONGEST_LOOP)
        except RuntimeError as error:
            raise GenerationError(f"faster-whisper failed: {error}") from error
        text = " ".join(filter(None, (segment.text.strip() for segment in segments)))
        words = tuple(
            Word(word.word.strip(), float(word.start), float(word.end))
            for segment in segments
            for word in segment.words or ()
            if word.word.strip()
        )
        return Transcript(text, samples.size / _RATE_HZ, language, self.name, self.version, words)

    def _hear(self, samples: NDArray[np.float32], code: str, **options: int) -> Sequence[Any]:
        """Return the library's segments, without those that nobody could say so fast: made up for the silence at the end."""
        segments, _ = self._model.transcribe(samples, language=code, **_DECODING, **options)
        return [
            segment
            for segment in segments
            if len("".join(segment.text.split())) <= _FASTEST_HZ * (segment.end - segment.start) + 1
        ]
