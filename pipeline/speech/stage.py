"""The stage before the picture: from a request's ``audio`` or ``text`` to a sound file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import RequestError
from pipeline.sound import measure_sound, write_wav
from pipeline.speech.espeak import Espeak

if TYPE_CHECKING:
    from pipeline.phonemes import Phoneme
    from pipeline.request import GenerationRequest
    from pipeline.speech.base import SpeechEngine


@dataclass(frozen=True, slots=True)
class SpokenSound:
    """The sound that the person in the video speaks.

    Parameters
    ----------
    path : Path
        Absolute; the file given, or a WAV file just made.
    duration_s : float
        Length in seconds, above 0.
    phonemes : tuple of Phoneme
        Empty where a file was given.
    versions : dict
        Speech engine to its version; empty where a file was given.
    """

    path: Path
    duration_s: float
    phonemes: tuple[Phoneme, ...]
    versions: dict[str, str]


def check_sound(request: GenerationRequest, engine: SpeechEngine | None = None) -> float | None:
    """Check that there will be a sound, without making it; the file is read once, in little memory.

    Returns
    -------
    float or None
        Its length in seconds; ``None`` where it is known only after the text is spoken.

    Raises
    ------
    RequestError
        If the request has neither audio nor text, the audio cannot be used (see `pipeline.sound.read_sound`), or the
        engine cannot speak the text.
    """
    if request.audio is not None:
        return measure_sound(request.audio).duration_s
    (engine or Espeak()).check(_text_of(request), request.language, request.voice)
    return None


def prepare_sound(
    request: GenerationRequest, folder: Path, engine: SpeechEngine | None = None
) -> SpokenSound:
    """Make the sound file of a request.

    Parameters
    ----------
    request : GenerationRequest
        With ``audio`` or ``text``.
    folder : Path
        Where ``speech.wav`` is written if there is text to speak.
    engine : SpeechEngine, optional
        espeak-ng when not given.

    Raises
    ------
    RequestError
        As `check_sound`.
    GenerationError
        If the engine itself fails.
    """
    if request.audio is not None:
        return SpokenSound(Path(request.audio).absolute(), measure_sound(request.audio).duration_s, (), {})
    engine = engine or Espeak()
    speech = engine.speak(_text_of(request), request.language, request.voice)
    path = folder.absolute() / "speech.wav"
    write_wav(path, speech.samples, speech.rate_hz)
    return SpokenSound(path, speech.duration_s, speech.phonemes, {speech.engine: speech.version})


def _text_of(request: GenerationRequest) -> str:
    if request.text is None:
        raise RequestError("give audio (a sound file) or text (words to speak); the request has neither")
    return request.text
