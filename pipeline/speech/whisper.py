"""faster-whisper behind the recogniser protocol: a hundred languages, with a model from a folder of the user's."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.errors import GenerationError, RequestError
from pipeline.fingerprint import fingerprint
from pipeline.languages import primary_language
from pipeline.options import PlainData
from pipeline.recogniser import Recogniser, Transcript, Word, refuse_language
from pipeline.sound import read_sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_RATE_HZ = 16000
_DECODING: dict[str, Any] = {
    "beam_size": 5,
    "condition_on_previous_text": False,  # a loop that once begins would be carried on
    "temperature": 0.0,  # the library's other temperatures draw at random: the same sound would give other words
    "vad_filter": True,  # of silence, tones and hum it would make up words
    "word_timestamps": True,
}
_LOOPING = 2.4
"""Text that is compressed further than this repeats itself (`whisper`'s own limit)."""
_LONGEST_LOOP = 5
"""Where it does, it is asked once more and may not say the same five tokens twice."""
_FILES = ("config.json", "model.bin", "tokenizer.json")
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
    model : str
        Folder of a model in CTranslate2's format; nothing is downloaded.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    compute_type : str
        As CTranslate2 names it: ``int8``, ``float16`` …
    """

    model: str = Field(min_length=1, description="folder of a model in CTranslate2's format")
    device: str = Field(default="auto", pattern="^(auto|cpu|cuda)$", description="auto, cpu or cuda")
    compute_type: str = Field(default="default", min_length=1, description="as in int8, float16")


class FasterWhisper(Recogniser):
    """Whisper by CTranslate2. Needs the extra ``faster-whisper`` and weights."""

    name = "faster_whisper"
    extra = "faster-whisper"

    def __init__(self, /, **settings: Any) -> None:
        self._settings = WhisperSettings.read(settings, "setting")
        try:
            library = version_of("faster-whisper")
        except PackageNotFoundError:
            raise RequestError(
                "faster-whisper is not installed; it comes with the extra: pip install 'evalkit[faster-whisper]'"
            ) from None
        folder = Path(self._settings.model)
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise RequestError(
                f"model {self._settings.model!r}: there is no {' and no '.join(missing)}; it must be the folder of a "
                "Whisper model in CTranslate2's format"
            )
        content = fingerprint(folder / name for name in _FILES)
        self.version = f"{library} {folder.resolve().name} {content}"
        self._model: Any = None

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the file of weights; read whole, once."""
        path = (Path(self._settings.model) / "model.bin").resolve()
        return {f"whisper {path.parent.name}": _hash_of(path, path.stat().st_mtime_ns)}

    def serves(self, language: str) -> bool:
        """Return whether Whisper knows the language; a model for English alone is found out when it is loaded."""
        code = primary_language(language)
        known = _LANGUAGES if self._model is None or self._model.model.is_multilingual else {"en"}
        return _CODES.get(code, code) in known

    def load(self) -> None:
        """Read the weights."""
        if self._model is not None:
            return
        from faster_whisper import WhisperModel

        settings = self._settings
        try:
            self._model = WhisperModel(
                settings.model,
                device=settings.device,
                compute_type=settings.compute_type,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise GenerationError(
                f"model {settings.model!r} cannot be loaded: {error}", "load_failed"
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
        """Return the library's segments."""
        segments, _ = self._model.transcribe(samples, language=code, **_DECODING, **options)
        return list(segments)


@cache
def _hash_of(path: Path, _changed_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
