"""What Linly-Talker's speech service is asked, and what its answers and those of its language model are worth."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import GenerationError, RequestError
from pipeline.sound import iterate_sound, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.request import GenerationRequest
    from pipeline.speech.stage import SpokenSound

_NO_ANSWER = "your request has encountered an error"
_FOR_A_SHELL = str.maketrans({'"': "”", "`": "’"})
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


def build_speech_form(request: GenerationRequest, text: str, method: str) -> dict[str, Any]:
    """Return the speech service's form.

    EdgeTTS gets the rate, volume and pitch of the web page: it cannot use the defaults of the service. The
    service puts its text into double quotes of a shell: quotes become others that sound the same.

    Raises
    ------
    RequestError
        If it has no such language or voice, or the text cannot be handed to a shell.
    """
    voices = _VOICES[method]
    language = {"zh": "cmn"}.get(request.language.split("-")[0].lower(), request.language.lower())
    if request.voice is None and language not in voices:
        raise RequestError(
            f"language is {request.language!r}, for which no voice of {method} is known: give voice, or one of these languages: "
            f"{', '.join(voices)}"
        )
    voice = request.voice or voices[language]
    form: dict[str, Any] = {"tts_method": method}
    if method == "EdgeTTS":
        if _EDGE_VOICE.fullmatch(voice) is None:
            raise RequestError(f"voice {voice!r} is not an EdgeTTS voice; give one as in en-US-AriaNeural")
        text = text.translate(_FOR_A_SHELL)
        if "$" in text or "\\" in text:
            raise RequestError(
                "the text has a $ or a backslash, and the service hands it to a shell: write it in words"
            )
        form |= {"voice": voice, "rate": 0, "volume": 100, "pitch": 0}
    elif method == "PaddleTTS":
        if voice not in {"male", "female"}:
            raise RequestError(f"voice is {voice!r}; allowed for PaddleTTS: male or female")
        if language not in voices:
            raise RequestError(f"language is {request.language!r}; allowed for PaddleTTS: cmn or en")
        form |= {"lang": {"cmn": "zh"}.get(language, language), "male": voice == "male"}
    else:
        if voice not in _COSY_VOICES:
            raise RequestError(f"voice is {voice!r}; allowed for {method}: {', '.join(sorted(_COSY_VOICES))}")
        form |= {"sft_dropdown": voice, "cosyvoice_mode": "预训练音色"}
    form["text"] = text
    # The service answers with whatever has this name: with a name of its own, never with a former answer.
    key = hashlib.sha256(repr(sorted(form.items())).encode()).hexdigest()[:16]
    return {**form, "save_path": f"answer_{key}.wav"}


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
    pieces = list(iterate_sound(sound.path, rate_hz))
    path = folder / "speech.wav"
    write_wav(path, np.round(np.concatenate(pieces).clip(-1, 1) * 32767).astype(np.int16), rate_hz)
    return replace(sound, path=path)
