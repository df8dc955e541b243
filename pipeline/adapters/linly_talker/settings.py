"""How Linly-Talker's services are set up, and what each of the talker's models takes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData

_ADDRESS = r"^https?://[A-Za-z0-9.\-\[\]:]+/?$"
_WAV2LIP_FPS = 25.0
_SADTALKER_FPS = 20.0
DIRECT_REPLY = "直接回复 Direct Reply"
"""The language model that there is none: the question is the answer."""
WITH_MEMORY = ("Qwen", "ChatGLM")
"""Language models to which every question since they were loaded is part of the next."""


class LinlySettings(PlainData):
    """Where the services are and what they load.

    Attributes
    ----------
    talker : str
        Address of ``api/talker_api.py``.
    talker_method : str
        Model that it loads.
    tts : str or None
        Address of ``api/tts_api.py``; None for espeak-ng.
    tts_method : str
        Model that it loads.
    ref_audio : str or None
        Recording of the voice to clone, for a model that clones one.
    ref_text : str or None
        What is said in it. GPT-SoVITS must know; CosyVoice clones across languages where it does not.
    ref_language : str or None
        Its language; None for that of the text.
    llm : str or None
        Address of ``api/llm_api.py``; None where no questions are asked.
    llm_model : str or None
        Model that it loads.
    repository : str or None
        Checkout that the services run from, where it is on this machine: its commit is the version, and it is looked at
        for what is taken for granted.
    time_limit_s, stall_limit_s : float
        Seconds for a request, and for silence. While it makes a video, the talker is silent.
    version : str
        Of the checkout, for the results, where `repository` cannot tell.
    """

    talker: str = Field(
        default="http://127.0.0.1:8003",
        pattern=_ADDRESS,
        description="an address as in http://127.0.0.1:8003",
    )
    talker_method: Literal["SadTalker", "Wav2Lip", "Wav2Lipv2", "NeRFTalk"] = Field(
        default="SadTalker",
        description="SadTalker, Wav2Lip, Wav2Lipv2 or NeRFTalk; its service has no MuseTalk, which the generator "
        "musetalk runs",
    )
    tts: str | None = Field(
        default=None,
        pattern=_ADDRESS,
        description="an address as in http://127.0.0.1:8001, or nothing: espeak-ng",
    )
    tts_method: Literal[
        "EdgeTTS", "PaddleTTS", "CosyVoice-SFT模式", "GPT-SoVITS克隆声音", "CosyVoice-克隆翻译模式"
    ] = Field(
        default="EdgeTTS",
        description="EdgeTTS, PaddleTTS or CosyVoice-SFT模式; GPT-SoVITS克隆声音 or CosyVoice-克隆翻译模式 with ref_audio",
    )
    ref_audio: str | None = Field(
        default=None, min_length=1, description="path of a recording of the voice to clone, or nothing"
    )
    ref_text: str | None = Field(
        default=None, min_length=1, description="the words that are said in ref_audio, or nothing"
    )
    ref_language: str | None = Field(
        default=None, min_length=1, description='a language code as in "en", or nothing: that of the text'
    )
    llm: str | None = Field(
        default=None, pattern=_ADDRESS, description="an address as in http://127.0.0.1:8002, or nothing"
    )
    llm_model: Literal["Linly", "Qwen", "Qwen2", "ChatGLM", "直接回复 Direct Reply"] | None = Field(
        default=None,
        description=f"Linly, Qwen, Qwen2, ChatGLM, or {DIRECT_REPLY}, which repeats the question. Its ChatGPT and Gemini "
        "fail at every question, whatever the key, and its GPT4Free is never told the question: for those, put the "
        "generator conversation in front, which reads its keys from the environment",
    )
    repository: str | None = Field(
        default=None, min_length=1, description="path of a checkout of Linly-Talker, or nothing"
    )
    time_limit_s: float = Field(default=3600.0, gt=0, description="seconds, above 0")
    stall_limit_s: float = Field(default=1800.0, gt=0, description="seconds, above 0")
    version: str = Field(default="unknown", description="text")


class Options(PlainData):
    """What every model understands."""

    question: str | None = Field(
        default=None, min_length=1, description="words to ask the language model; its answer is spoken"
    )


class Wav2LipOptions(Options):
    """What Wav2Lip understands."""

    batch_size: int = Field(default=4, ge=1, description="a whole number from 1")


class SadTalkerOptions(Wav2LipOptions):
    """What SadTalker understands."""

    preprocess_type: Literal["crop", "resize", "full", "extcrop", "extfull"] = Field(
        default="crop", description="crop, resize, full, extcrop or extfull"
    )
    is_still_mode: bool = Field(default=False, description="true or false")
    enhancer: bool = Field(default=False, description="true or false")
    size_of_image: Literal[256, 512] = Field(default=256, description="256 or 512")
    pose_style: int = Field(default=0, ge=0, le=45, description="a whole number from 0 to 45")
    exp_weight: float = Field(default=1.0, ge=0, description="a number from 0")
    blink_every: Literal[True] = Field(
        default=True,
        description="true alone: its service loses the value on the way, and there are always blinks",
    )


class Method(NamedTuple):
    """A model of the talker: its options, the frame rate that it writes, and whether it takes a portrait."""

    options: type[Options]
    fps: float
    takes_image: bool


METHODS = {
    "SadTalker": Method(SadTalkerOptions, _SADTALKER_FPS, takes_image=True),
    "Wav2Lip": Method(Wav2LipOptions, _WAV2LIP_FPS, takes_image=True),
    "Wav2Lipv2": Method(Wav2LipOptions, _WAV2LIP_FPS, takes_image=True),
    "NeRFTalk": Method(Options, _WAV2LIP_FPS, takes_image=False),
}
_SHORTEST_S = 0.2
"""16 windows of sound for Wav2Lip and NeRFTalk, 3 frames for SadTalker."""
_SADTALKER_GAP_S = (1.048, 1.102)
"""21 frames and a little: for those it chooses the moment of a blink from an empty range."""
_CHECKPOINTS = "checkpoints"
WEIGHTS: dict[str, dict[str, float]] = {
    "SadTalker": {
        f"{_CHECKPOINTS}/SadTalker_V0.0.2_256.safetensors": 300.0,
        f"{_CHECKPOINTS}/mapping_00229-model.pth.tar": 50.0,
    },
    "Wav2Lip": {f"{_CHECKPOINTS}/wav2lip_gan.pth": 60.0},
    "Wav2Lipv2": {
        f"{_CHECKPOINTS}/wav2lipv2.pth": 60.0,
        f"{_CHECKPOINTS}/weights/yolov8n-face/yolov8n-face.pt": 3.0,
        f"{_CHECKPOINTS}/weights/wflw/hrnet18_256x256_p1/model.pth": 20.0,
    },
    "NeRFTalk": {f"{_CHECKPOINTS}/Obama_ave.pth": 1.0, f"{_CHECKPOINTS}/audio_visual_encoder.pth": 1.0},
}
"""Files in the checkout that each of the talker's models reads, and what is less is no such file, MiB."""
_FAQ = "FAQ 2.3 of Linly-Talker"
ESTIMATES = {
    "SadTalker": ResourceEstimate(
        memory=(
            estimate_memory("run", ("all of it, no language model", 4 * MIB_PER_GIB, 6 * MIB_PER_GIB, _FAQ)),
        )
    ),
}


def refuse_length(method: str, sound_s: float) -> None:
    """Refuse a sound, by its length in seconds, at which a model of the talker always fails.

    Raises
    ------
    RequestError
        With what to do.
    """
    if sound_s < _SHORTEST_S:
        raise RequestError(f"the sound lasts {sound_s:.3f} s; {method} needs {_SHORTEST_S:g} s at least")
    low_s, high_s = _SADTALKER_GAP_S
    if method == "SadTalker" and low_s <= sound_s <= high_s:
        raise RequestError(
            f"the sound lasts {sound_s:.3f} s, and SadTalker of Linly-Talker fails at 21 frames, from 1.05 to 1.10 s: add a "
            "little silence at its end"
        )
