"""How Linly-Talker's services are set up, and what each of the talker's models takes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData

_ADDRESS = r"^https?://[A-Za-z0-9.\-\[\]:]+/?$"
_WAV2LIP_FPS = 25.0


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
    llm : str or None
        Address of ``api/llm_api.py``; None where no questions are asked.
    llm_model : str or None
        Model that it loads; None for what it has.
    time_limit_s, stall_limit_s : float
        Seconds for a request, and for silence. While it makes a video, the talker is silent.
    version : str
        Of the checkout that the services run from, for the results.
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
    tts_method: Literal["EdgeTTS", "PaddleTTS", "CosyVoice-SFT模式"] = Field(
        default="EdgeTTS",
        description="EdgeTTS, PaddleTTS or CosyVoice-SFT模式; those that clone a voice need a recording of it, for which a "
        "request has no place",
    )
    llm: str | None = Field(
        default=None, pattern=_ADDRESS, description="an address as in http://127.0.0.1:8002, or nothing"
    )
    llm_model: str | None = Field(default=None, min_length=1, description="a name as in Qwen, or nothing")
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
    blink_every: bool = Field(default=True, description="true or false")


class Method(NamedTuple):
    """A model of the talker: its options, its frame rate where that is its own, and whether it takes a portrait."""

    options: type[Options]
    fps: float | None
    takes_image: bool


METHODS = {
    "SadTalker": Method(SadTalkerOptions, None, takes_image=True),
    "Wav2Lip": Method(Wav2LipOptions, _WAV2LIP_FPS, takes_image=True),
    "Wav2Lipv2": Method(Wav2LipOptions, _WAV2LIP_FPS, takes_image=True),
    "NeRFTalk": Method(Options, _WAV2LIP_FPS, takes_image=False),
}
_FAQ = "FAQ 2.3 of Linly-Talker"
ESTIMATES = {
    "SadTalker": ResourceEstimate(
        memory=(
            estimate_memory("run", ("all of it, no language model", 4 * MIB_PER_GIB, 6 * MIB_PER_GIB, _FAQ)),
        )
    ),
}
SADTALKER_FPS = 30.0
"""Default of the service."""
