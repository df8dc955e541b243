"""What is asked of a generator: plain, frozen data that survives a round trip through JSON.

The parameters carry the names the field uses on its command lines (``sample_steps``, ``infer_frames`` …).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from pipeline.errors import RequestError
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE = re.compile(r"([1-9][0-9]*)\*([1-9][0-9]*)")
_SIDE_LIMITS_PX = (64, 4096)


class GenerationRequest(PlainData):
    """One talking video to be made. Build it with `build_request` for errors that people can read.

    Attributes
    ----------
    size : str
        Picture size in pixels, ``"W*H"``; both even. Generators may round it: the result says what came out.
    num_clip : int or None
        Clips to make at most; ``None`` for as many as the sound needs, see `count_clips`.
    infer_frames : int
        Frames a clip.
    fps : float
        Frames a second.
    sample_steps : int
        Steps of the diffusion solver.
    sample_guide_scale : float
        Weight of classifier-free guidance; 0 means none.
    enable_online_decode : bool
        Write each clip as it is made instead of everything at the end.
    offload_model : bool or None
        Keep on the GPU only the part of the model that is working; ``None`` leaves it to the generator.
    prompt : str
        The person, the action, the surroundings, the visual style.
    image : str or None
        Portrait; ``None`` for the generator's own.
    audio, text, question, question_audio : str or None
        What is said: a sound file, words to speak, or the answer to a question in words or in a sound file, see
        `pipeline.dialogue.generator`. One of them at most.
    language : str
        Language of ``text``, or of question and answer (``en``, ``cmn`` …).
    voice : str or None
        Voice for ``text`` or the answer; ``None`` for the speech engine's first choice.
    base_seed : int
        The same seed gives the same video where the generator can.
    brand_mark : str or None
        Picture of a brand mark to place in the scene.
    options : dict
        What only one driver understands; that driver checks it.
    """

    size: str = Field(
        default="384*256", description='"W*H" in pixels, both even and from 64 to 4096, as in "384*256"'
    )
    num_clip: int | None = Field(
        default=None, ge=1, description="a whole number from 1, or nothing: all the sound"
    )
    infer_frames: int = Field(
        default=48, ge=1, le=1000, description="a whole number of frames a clip, from 1 to 1000"
    )
    fps: float = Field(default=25.0, ge=1, le=120, description="frames a second, from 1 to 120")
    sample_steps: int = Field(default=4, ge=1, le=1000, description="a whole number from 1 to 1000")
    sample_guide_scale: float = Field(
        default=0.0, ge=0, le=100, description="a number from 0 (no guidance) to 100"
    )
    enable_online_decode: bool = Field(default=False, description="true or false")
    offload_model: bool | None = Field(default=None, description="true or false")
    prompt: str = Field(default="", description="text")
    image: str | None = Field(default=None, min_length=1, description="path of a picture")
    audio: str | None = Field(default=None, min_length=1, description="path of a sound file")
    text: str | None = Field(default=None, description="words to speak, at least one")
    question: str | None = Field(default=None, description="a question in words, at least one")
    question_audio: str | None = Field(default=None, min_length=1, description="path of a sound file")
    language: str = Field(
        default="en",
        pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$",
        description='a language code as in "en", "cmn", "pt-br"',
    )
    voice: str | None = Field(default=None, min_length=1, description="name of a voice of the speech engine")
    base_seed: int = Field(default=420, ge=0, le=2**32 - 1, description="a whole number from 0 to 4294967295")
    brand_mark: str | None = Field(default=None, min_length=1, description="path of a picture")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="names to plain values")

    @field_validator("size")
    @classmethod
    def _size_is_a_picture(cls, size: str) -> str:
        match = _SIZE.fullmatch(size)
        low, high = _SIDE_LIMITS_PX
        if match is None or any(int(side) % 2 or not low <= int(side) <= high for side in match.groups()):
            raise ValueError("not a picture size")
        return size

    @field_validator("text", "question")
    @classmethod
    def _text_has_words(cls, text: str | None) -> str | None:
        if text is not None and not any(character.isalnum() for character in text):
            raise ValueError("there are no words in it")
        return text

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        names = ("audio", "text", "question", "question_audio")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give {given[0]} or {given[1]}, not both")
        return self

    @property
    def asks(self) -> bool:
        """Whether it has a question to be answered first."""
        return self.question is not None or self.question_audio is not None

    @property
    def width(self) -> int:
        """Width asked for, pixels."""
        return int(self.size.split("*")[0])

    @property
    def height(self) -> int:
        """Height asked for, pixels."""
        return int(self.size.split("*")[1])

    def n_clips(self, audio_s: float) -> int:
        """Return the clips to make for so much sound: all it needs, or ``num_clip`` if that is fewer.

        Parameters
        ----------
        audio_s : float
            Length of the sound, seconds, above 0.
        """
        needed = count_clips(audio_s, self.fps, self.infer_frames)
        return needed if self.num_clip is None else min(needed, self.num_clip)


def count_clips(audio_s: float, fps: float, frames_per_clip: int) -> int:
    """Count the clips that cover a piece of sound: ``ceil(audio_s * fps / frames_per_clip)``.

    A length within a millionth of a frame of a whole number of clips counts as that number.

    Parameters
    ----------
    audio_s : float
        Length of the sound, seconds.
    fps : float
        Frames a second.
    frames_per_clip : int
        Frames a clip.

    Raises
    ------
    RequestError
        If any of them is not above 0.

    Examples
    --------
    >>> count_clips(25, fps=16, frames_per_clip=48)
    9
    >>> count_clips(1.92, fps=25, frames_per_clip=48)
    1
    """
    for name, value in (("audio_s", audio_s), ("fps", fps), ("frames_per_clip", frames_per_clip)):
        if not (math.isfinite(value) and value > 0):
            raise RequestError(f"{name} is {value!r}; clips can be counted only where it is above 0")
    return max(1, math.ceil((audio_s * fps - 1e-6) / frames_per_clip))


def build_request(parameters: Mapping[str, Any]) -> GenerationRequest:
    """Build a request, or say in one line a mistake what is wrong and what is allowed.

    Parameters
    ----------
    parameters : mapping
        Names of `GenerationRequest` to plain values or paths.

    Raises
    ------
    RequestError
        If a name is unknown or a value not allowed.
    """
    return GenerationRequest.read(parameters, "parameter")


def check_files(request: GenerationRequest) -> None:
    """Refuse a request whose ``image`` or ``brand_mark`` is not there.

    Raises
    ------
    RequestError
        Naming the file.
    """
    for name in ("image", "brand_mark"):
        path = getattr(request, name)
        if path is not None and not Path(path).is_file():
            raise RequestError(f"{name} {path!r}: there is no such file")
