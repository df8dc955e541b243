"""What is asked of a generator and what it gave: plain, frozen data that survives a round trip through JSON.

The parameters carry the names the field uses on its command lines (``sample_steps``, ``infer_frames`` …).
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SIZE = re.compile(r"([1-9][0-9]*)\*([1-9][0-9]*)")
_SIDE_LIMITS_PX = (64, 4096)

BEGAN = "began"
"""The work on it has begun. ``detail.monotonic_s``: when, on the machine's monotonic clock; the times of all events of
the request count from there."""
LOADED = "loaded"
"""The models are in memory. ``detail`` may carry ``load_s`` when that happened before the request."""
SPEECH = "speech"
"""The sound to speak is there. ``detail``: ``duration_s``, ``n_clips``."""
CLIP = "clip"
"""One clip is done. ``detail``: ``index`` from 0, and ``n_clips`` where it is known."""
FIRST_FRAME = "first_frame"
"""Somebody else could show the first frame now. ``detail.at_end`` is true where that is only at the end."""
SAVED = "saved"
"""The video is under its final name."""

WARNING = "warning"
"""Something that a reader of the times or of the picture must know. ``detail.text`` says it."""


EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class PlainData(BaseModel):
    """Frozen data with strict types that goes through JSON and comes back equal; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data, every field included."""
        return self.model_dump(mode="json")

    @classmethod
    def read(cls, values: Mapping[str, Any], noun: str) -> Self:
        """Read plain values as they would come through JSON, with errors that people can read.

        Parameters
        ----------
        values : mapping
            Names to plain values or paths.
        noun : str
            What a value is called in the errors.

        Raises
        ------
        RequestError
            One line a mistake; the description of the field says what is allowed.
        """
        try:
            text = json.dumps(dict(values), default=os.fspath)
        except TypeError as error:
            raise RequestError(f"a {noun} is no plain value: {error}") from None
        with _explaining(cls, noun):
            return cls.model_validate_json(text)

    @classmethod
    def read_texts(cls, texts: Mapping[str, str], noun: str) -> Self:
        """Read values written as text, as in the cells of a table; otherwise as `read`."""
        with _explaining(cls, noun):
            return cls.model_validate_strings(texts)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave, through JSON or not."""
        return cls.model_validate_json(json.dumps(data))


class GenerationRequest(PlainData):
    """One talking video that somebody wants. Build it with `build_request` for errors that people can read.

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
    offload_model : bool
        Keep on the GPU only the part of the model that is working.
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
    offload_model: bool = Field(default=False, description="true or false")
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

    @field_validator("options")
    @classmethod
    def _options_are_json(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        json.dumps(options, allow_nan=False)
        return options

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


@contextmanager
def _explaining(model: type[BaseModel], noun: str) -> Iterator[None]:
    """Turn pydantic's errors into ours."""
    try:
        yield
    except ValidationError as error:
        lines = [
            _explain(model, item["loc"], item["msg"], item.get("input"), noun) for item in error.errors()
        ]
        raise RequestError("\n".join(dict.fromkeys(lines))) from None


def _explain(
    model: type[BaseModel], location: tuple[int | str, ...], message: str, value: Any, noun: str
) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    name = str(location[0])
    field = model.model_fields.get(name)
    if field is None:
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"there is no {noun} {name!r}{hint} (there are: {', '.join(model.model_fields)})"
    where = name if len(location) == 1 else f"{name} (at {location[1]})"
    if message.startswith("Field required"):
        return f"{where} is missing; it is {field.description}"
    return f"{where} is {value!r}; allowed: {field.description}"


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


class Event(PlainData):
    """Something that happened while a video was made.

    Attributes
    ----------
    name : str
        `LOADED`, `SPEECH`, `CLIP`, `FIRST_FRAME`, `SAVED`, or a driver's own.
    time_s : float
        Seconds since the request.
    detail : dict
        Plain values that belong to it.
    """

    name: EventName
    time_s: Annotated[float, Field(ge=0)]
    detail: dict[str, JsonValue] = Field(default_factory=dict)


class GenerationResult(PlainData):
    """What was really made, measured from the file.

    Attributes
    ----------
    generator, version : str
        Who made it.
    request : GenerationRequest
        What was asked.
    video : str
        Path of the file.
    width, height : int
        Of the picture, pixels.
    fps : float
        Frames a second on average: ``n_frames`` over the time they are shown.
    n_frames : int
        Frames in the file.
    duration_s : float
        From the first frame to the end of the last, seconds.
    audio_duration_s : float or None
        Length of the sound stream; ``None`` where there is none.
    n_clips : int or None
        Clips made; ``None`` where the generator does not tell.
    seed : int or None
        Seed really used; ``None`` where the generator does not tell.
    events : tuple of Event
        In the order in which they happened.
    versions : dict
        Name of a library or program to its version.
    weights : dict
        Name of a weight file to its SHA-256.
    """

    generator: str
    version: str
    request: GenerationRequest
    video: str
    width: int
    height: int
    fps: float
    n_frames: int
    duration_s: float
    audio_duration_s: float | None
    n_clips: int | None = None
    seed: int | None = None
    events: tuple[Event, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)

    def time_of(self, name: str) -> float | None:
        """Return when something first happened, seconds since the request; ``None`` if it did not."""
        return next((event.time_s for event in self.events if event.name == name), None)
