"""The plain data that flows through the product: facts, chunks, tracks, measurements.

``Clip → FrameChunk* → Track* → Measurement*``

Conventions
-----------
- Times are seconds on the clip's own clock, taken from the container, never ``index / fps``.
- A missing observation is marked invalid in its track; it is never zero and never closes up the time axis.
- A metric that cannot be measured is *absent with a reason*; it is never 0 and never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

AS_RECORDED_HZ = 0
"""Asked for as a sample rate: the file's own rate, and every channel instead of mono."""

Better = Literal["lower", "higher", "zero", "band"]
"""Which way a metric is better; ``band`` means neither end is good."""


class Reason(StrEnum):
    """Why a metric is absent. The code is part of the data format; the text is for people."""

    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    SILENT_AUDIO = "silent_audio"
    NO_SPEECH = "no_speech"
    NO_SILENCE = "no_silence"
    NO_SCRIPT = "no_script"
    NO_LANGUAGE = "no_language"
    NO_RECOGNISER = "no_recogniser"
    NO_WORD_SPACES = "no_word_spaces"
    NO_FACE = "no_face"
    NO_BODY = "no_body"
    TOO_SHORT = "too_short"
    TOO_FEW_FRAMES = "too_few_frames"
    LOW_FRAME_RATE = "low_frame_rate"
    NO_MOUTH_MOTION = "no_mouth_motion"
    BLANK_PICTURE = "blank_picture"
    NO_MOTION = "no_motion"
    EVALUATOR_FAILED = "evaluator_failed"
    NO_GPU = "no_gpu"
    GPU_UNREADABLE = "gpu_unreadable"
    GPU_NOT_USED = "gpu_not_used"
    NOT_REPORTED = "not_reported"
    NOT_FINISHED = "not_finished"
    TOO_FEW_CLIPS = "too_few_clips"
    NOTHING_ATTEMPTED = "nothing_attempted"
    NOT_SAMPLED = "not_sampled"
    NOT_TIMED = "not_timed"
    SHARED_DEVICE = "shared_device"
    NO_BRAND = "no_brand"
    NO_BRAND_COLORS = "no_brand_colors"
    MARK_NOT_FOUND = "mark_not_found"
    NO_COLOR_READ = "no_color_read"
    MODEL_WITHOUT_LANGUAGE = "model_without_language"
    NO_PROMPT = "no_prompt"
    NOT_MEASURED = "not_measured"

    @property
    def text(self) -> str:
        """One line for people."""
        return _REASON_TEXTS[self]


_REASON_TEXTS = {
    Reason.NO_VIDEO: "the file has no picture",
    Reason.NO_AUDIO: "the file has no sound",
    Reason.SILENT_AUDIO: "the sound is digital silence",
    Reason.NO_SPEECH: "nobody speaks",
    Reason.NO_SILENCE: "nobody is silent for long enough",
    Reason.NO_SCRIPT: "nobody said which words it should speak",
    Reason.NO_LANGUAGE: "nobody said in which language it should speak",
    Reason.NO_RECOGNISER: "the speech recogniser does not understand the language",
    Reason.NO_WORD_SPACES: "the language is written without spaces between words",
    Reason.NO_FACE: "no face was found in enough frames",
    Reason.NO_BODY: "no body was found in enough frames",
    Reason.TOO_SHORT: "too short to measure",
    Reason.TOO_FEW_FRAMES: "too few frames to measure",
    Reason.LOW_FRAME_RATE: "too few frames a second to measure",
    Reason.NO_MOUTH_MOTION: "the mouth does not move",
    Reason.BLANK_PICTURE: "nothing is to be seen in the picture",
    Reason.NO_MOTION: "the body does not move",
    Reason.EVALUATOR_FAILED: "the evaluator failed; see the log",
    Reason.NO_GPU: "there is no NVIDIA GPU",
    Reason.GPU_UNREADABLE: "the GPU driver does not tell",
    Reason.GPU_NOT_USED: "no memory of any GPU was used",
    Reason.NOT_REPORTED: "the generator does not report it",
    Reason.NOT_FINISHED: "the work did not come to its end",
    Reason.TOO_FEW_CLIPS: "too few clips for this percentile",
    Reason.NOTHING_ATTEMPTED: "nothing was attempted",
    Reason.NOT_SAMPLED: "it was over, or the sampler gone, before anybody looked",
    Reason.NOT_TIMED: "the video was there already; nothing was made",
    Reason.SHARED_DEVICE: "other work of the sweep ran on the same device; one worker alone is timed",
    Reason.NO_BRAND: "no brand was given; see --brand",
    Reason.NO_BRAND_COLORS: "the brand names no standard colours",
    Reason.MARK_NOT_FOUND: "the brand mark is nowhere to be seen",
    Reason.NO_COLOR_READ: "the mark that was found is too small to read a colour from, or a version without brand colours",
    Reason.MODEL_WITHOUT_LANGUAGE: "the bundled model knows marks, not words; see --clip-model",
    Reason.NO_PROMPT: "nobody said what the picture was asked to show; see --prompt",
    Reason.NOT_MEASURED: "the evaluator has not measured this video yet; see evalkit measure",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number means.

    Parameters
    ----------
    name : str
        ``family.quantity``, as in the JSON, the CSV columns, the policies and the reports.
    unit : str
        SI or field-standard; ``"1"`` for a pure number.
    better : {"lower", "higher", "zero", "band"}
        Which way is better.
    meaning : str
        One line for people.
    bounds : tuple of float or None
        Lowest and highest possible value; ``None`` where open.
    """

    name: str
    unit: str
    better: Better
    meaning: str
    bounds: tuple[float | None, float | None] = (None, None)


class Interval(NamedTuple):
    """A 95 % interval in the unit of its metric."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of one clip: a value, or the reason why there is none.

    Parameters
    ----------
    metric : Metric
        What was measured.
    value : float or None
        In ``metric.unit``; ``None`` when absent.
    reason : Reason or None
        Why the value is absent; ``None`` when it is not.
    n : int
        Number of samples behind the value (frames, windows, joints: the evaluator's documentation says).
    coverage : float or None
        Share of the clip, from 0 to 1, that could be measured.
    interval : Interval or None
        95 % interval, where the evaluator can give one.
    samples : tuple of (str, FloatArray)
        Named raw samples for statistics across clips.
    """

    metric: Metric
    value: float | None
    reason: Reason | None = None
    n: int = 0
    coverage: float | None = None
    interval: Interval | None = None
    samples: tuple[tuple[str, FloatArray], ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(
                f"{self.metric.name}: a measurement has either a value or a reason, "
                f"not value={self.value!r} and reason={self.reason!r}"
            )
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"{self.metric.name}: {self.value!r} is not a number; give a reason instead")

    @classmethod
    def absent(cls, metric: Metric, reason: Reason, *, coverage: float | None = None) -> Measurement:
        """Make the measurement of something that could not be measured."""
        return cls(metric, None, reason, coverage=coverage)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the container says of the picture. Sizes are those a viewer sees (rotated, square pixels)."""

    width: int
    height: int
    announced_fps: float | None
    announced_duration_s: float | None
    start_s: float
    codec: str
    rotation_deg: int
    n_announced_frames: int | None


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What the container says of the sound."""

    sample_rate_hz: int
    n_channels: int
    announced_duration_s: float | None
    start_s: float
    codec: str


@dataclass(frozen=True, slots=True)
class ClipIntent:
    """What a video was asked to say and to show.

    Parameters
    ----------
    text : str or None
        The words to speak; ``None`` where unknown.
    language : str or None
        Language of the words, as in ``en`` or ``cmn``.
    prompt : str or None
        What was asked of the picture.
    """

    text: str | None = None
    language: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A media file as probed, before anything is decoded.

    Parameters
    ----------
    path : str
        As the user named it.
    audio_path : str or None
        A separate sound file that replaces the clip's own sound.
    video, audio : VideoFacts, AudioFacts or None
        ``None`` where the file has no such stream.
    asked : ClipIntent
        What the clip was asked to be, as far as its maker or the user tells.
    """

    path: str
    audio_path: str | None
    video: VideoFacts | None
    audio: AudioFacts | None
    asked: ClipIntent = ClipIntent()


@dataclass(frozen=True, slots=True)
class FrameChunk:
    """Some consecutive frames, decoded.

    Parameters
    ----------
    first_index : int
        Index in the clip of the first frame.
    times_s : FloatArray, shape (n,)
        Presentation times.
    frames : list of uint8 arrays, shape (height, width, 3)
        RGB, square pixels, upright.
    """

    first_index: int
    times_s: FloatArray
    frames: list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Some consecutive samples of sound.

    Parameters
    ----------
    start_s : float
        Time of the first sample.
    rate_hz : int
        Samples a second.
    samples : float32 array, shape (n,), or (n, n_channels) where asked for as recorded
        In [-1, 1]; decoded lossy sound can go beyond.
    """

    start_s: float
    rate_hz: int
    samples: NDArray[np.float32]

    @property
    def asked_rate_hz(self) -> int:
        """The rate that was asked for: `AS_RECORDED_HZ` or `rate_hz`."""
        return AS_RECORDED_HZ if self.samples.ndim == 2 else self.rate_hz


@dataclass(frozen=True, slots=True)
class Track:
    """Named signals over time, observed at the same moments.

    Parameters
    ----------
    name : str
        ``face``, ``pose``, ``picture``, ``speech`` …
    columns : tuple of str
        One name a signal; a unit suffix (``_px``, ``_deg``, ``_s`` …) unless it is a pure number.
    times_s : FloatArray, shape (n,)
        Moments of observation, increasing.
    values : float32 array, shape (n, len(columns))
        Undefined where invalid.
    valid : BoolArray, shape (n,)
        Whether the moment was observed (a face was found, say).
    facts : mapping
        Scalars that belong to the track as a whole (a counter, a model's name). JSON-able.
    """

    name: str
    columns: tuple[str, ...]
    times_s: FloatArray
    values: NDArray[np.float32]
    valid: BoolArray
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.times_s.shape[0]
        if self.values.shape != (n, len(self.columns)) or self.valid.shape != (n,):
            raise ValueError(
                f"track {self.name!r}: {n} times, values of shape {self.values.shape} "
                f"and valid of shape {self.valid.shape} do not fit {len(self.columns)} columns"
            )

    def __len__(self) -> int:
        return int(self.times_s.shape[0])

    def __getitem__(self, column: str) -> FloatArray:
        """Return one signal as float64, shape (n,)."""
        try:
            index = self.columns.index(column)
        except ValueError:
            raise KeyError(f"track {self.name!r} has no column {column!r}; it has {self.columns}") from None
        return self.values[:, index].astype(np.float64)

    def select(self, *columns: str) -> FloatArray:
        """Return several signals side by side as float64, shape (n, len(columns))."""
        return np.stack([self[column] for column in columns], axis=1)

    @property
    def coverage(self) -> float:
        """Share of moments that were observed, from 0 to 1; 0 for an empty track."""
        return float(self.valid.mean()) if len(self) else 0.0
