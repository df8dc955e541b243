"""What Linly-Talker's speech service is asked, and what its answers and those of its language model are worth."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.adapters.linly_talker.spoken_text import clean_text
from pipeline.errors import GenerationError, RequestError
from pipeline.sound import iterate_sound, measure_sound, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.adapters.linly_talker.settings import LinlySettings
    from pipeline.request import GenerationRequest
    from pipeline.speech.stage import SpokenSound

_NO_ANSWER = "your request has encountered an error"
_VOICES = {
    "EdgeTTS": {
        "cmn": "zh-CN-XiaoxiaoNeural",
        "de": "de-DE-KatjaNeural",
        "en": "en-US-AriaNeural",
        "es": "es-ES-ElviraNeural",
        "fr": "fr-FR-DeniseNeural",
        "ja": "ja-JP-NanamiNeural",
        "ko": "ko-KR-SunHiNeural",
        "yue": "zh-HK-HiuMaanNeural",
    },
    "PaddleTTS": {"cmn": "female", "en": "female"},
    "CosyVoice-SFT模式": {"cmn": "中文女", "en": "英文女", "ja": "日语男", "ko": "韩语女", "yue": "粤语女"},
}
"""Method, then language to its first voice."""
_EDGE_VOICE = re.compile(r"[a-z]{2,3}-[A-Za-z]+(-[A-Za-z]+)*Neural")
_COSY_VOICES = {"中文女", "中文男", "日语男", "粤语女", "英文女", "英文男", "韩语女"}
_SOVITS, _COSY_CLONE = "GPT-SoVITS克隆声音", "CosyVoice-克隆翻译模式"
_CLONED_LANGUAGES = {
    _SOVITS: {"cmn": "中文", "en": "英文", "ja": "日文"},
    _COSY_CLONE: dict.fromkeys(("cmn", "en", "ja", "ko", "yue"), ""),
}
"""Method that clones a voice, then language to the service's name for it."""
_RECORDING_S = {_SOVITS: (3.0, 10.0), _COSY_CLONE: (1.0, 30.0)}
"""Method, then the shortest and the longest recording of a voice, seconds."""
_RECORDING_RATE_HZ = 24000
"""CosyVoice takes none below 16000."""


def build_speech_form(request: GenerationRequest, text: str, settings: LinlySettings) -> dict[str, Any]:
    """Return the speech service's form; a recording of a voice goes beside it.

    The name of the sound is never one of before: the service answers with whatever has it.

    Raises
    ------
    RequestError
        If it has no such language or voice, or the text cannot be handed over, see
        `pipeline.adapters.linly_talker.spoken_text`.
    """
    method = settings.tts_method
    form = _clone(request, settings) if method in _CLONED_LANGUAGES else _choose_voice(request, method)
    return {
        **form,
        "text": clean_text(text),
        "tts_method": method,
        "save_path": f"answer_{secrets.token_hex(8)}.wav",
    }


def check_recording(settings: LinlySettings) -> None:
    """Refuse a recording of a voice that cannot be cloned, or one that nobody would hear.

    Raises
    ------
    RequestError
        Naming the setting.
    """
    method = settings.tts_method
    if settings.tts is None or method not in _CLONED_LANGUAGES:
        for name in ("ref_audio", "ref_text", "ref_language"):
            if getattr(settings, name) is not None:
                raise RequestError(
                    f"{name} makes no difference: only {_SOVITS} and {_COSY_CLONE} clone a voice, as tts_method of a tts"
                )
        return
    if settings.ref_audio is None:
        raise RequestError(f"tts_method {method} clones a voice: give ref_audio, a recording of it")
    if method == _SOVITS and settings.ref_text is None:
        raise RequestError(f"tts_method {method} must know what is said in ref_audio: give ref_text")
    shortest_s, longest_s = _RECORDING_S[method]
    length_s = measure_sound(settings.ref_audio).duration_s
    if not shortest_s <= length_s <= longest_s:
        raise RequestError(
            f"ref_audio {settings.ref_audio!r} lasts {length_s:.1f} s; {method} clones from {shortest_s:g} to {longest_s:g} s"
        )


def _clone(request: GenerationRequest, settings: LinlySettings) -> dict[str, Any]:
    """Return what a cloned voice needs beside the recording."""
    method = settings.tts_method
    names = _CLONED_LANGUAGES[method]
    ref_text = settings.ref_text and clean_text(settings.ref_text)
    if request.voice is not None:
        raise RequestError(f"voice is {request.voice!r}, and {method} speaks with the voice of ref_audio")
    language, own = (
        _read_language(code) for code in (request.language, settings.ref_language or request.language)
    )
    for name, code in (("language", language), ("ref_language", own)):
        if code not in names:
            raise RequestError(f"{name} is {code!r}; allowed for {method}: {', '.join(names)}")
    if method == _SOVITS:
        return {
            "prompt_text": ref_text,
            "prompt_language": names[own],
            "ref_language": names[language],
        }
    if ref_text is not None and own == language:
        return {"cosyvoice_mode": "3s极速复刻", "ref_text": ref_text}
    return {"cosyvoice_mode": "跨语种复刻"}


def _choose_voice(request: GenerationRequest, method: str) -> dict[str, Any]:
    """Return what tells one of a model's own voices."""
    voices = _VOICES[method]
    language = _read_language(request.language)
    if request.voice is None and language not in voices:
        raise RequestError(
            f"language is {request.language!r}, for which no voice of {method} is known: give voice, or one of these languages: "
            f"{', '.join(voices)}"
        )
    voice = request.voice or voices[language]
    if method == "EdgeTTS":
        if _EDGE_VOICE.fullmatch(voice) is None:
            raise RequestError(f"voice {voice!r} is not an EdgeTTS voice; give one as in en-US-AriaNeural")
        return {"voice": voice, "rate": 0, "volume": 100, "pitch": 0}  # of its web page; its defaults whisper
    if method == "PaddleTTS":
        if voice not in {"male", "female"}:
            raise RequestError(f"voice is {voice!r}; allowed for PaddleTTS: male or female")
        if language not in voices:
            raise RequestError(f"language is {request.language!r}; allowed for PaddleTTS: cmn or en")
        return {"lang": {"cmn": "zh"}.get(language, language), "male": voice == "male"}
    if voice not in _COSY_VOICES:
        raise RequestError(f"voice is {voice!r}; allowed for {method}: {', '.join(sorted(_COSY_VOICES))}")
    return {"sft_dropdown": voice, "cosyvoice_mode": "预训练音色"}


def _read_language(code: str) -> str:
    return {"zh": "cmn"}.get(code.split("-", maxsplit=1)[0].lower(), code.lower())


def read_answer(answer: dict[str, Any], address: str) -> str:
    """Return the text that the language model answered; raise `GenerationError` where there is none."""
    text = answer.get("answer")
    if not isinstance(text, str) or not any(character.isalnum() for character in text):
        raise GenerationError(f"{address} gave an answer that cannot be spoken: {answer!r}", "bad_answer")
    if _NO_ANSWER in text:
        raise GenerationError(f"{address} failed; it answered {text!r}", "bad_answer")
    return text


def as_wav(sound: SpokenSound, folder: Path) -> SpokenSound:
    """Return it as it is if it is WAV; else decoded, mono, at its own rate."""
    import av

    with av.open(str(sound.path)) as container:
        if container.format.name == "wav":
            return sound
        rate_hz = container.streams.audio[0].rate
    path = folder / "speech.wav"
    _write_decoded(sound.path, path, rate_hz)
    return replace(sound, path=path)


def write_recording(recording: str, path: Path) -> None:
    """Write a recording of a voice as a WAV file that every method that clones one reads."""
    _write_decoded(recording, path, _RECORDING_RATE_HZ)


def _write_decoded(sound: str | Path, path: Path, rate_hz: int) -> None:
    samples = np.concatenate(list(iterate_sound(sound, rate_hz)))
    write_wav(path, np.round(samples.clip(-1, 1) * 32767).astype(np.int16), rate_hz)
