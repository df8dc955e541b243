"""The plain data that flows through the product: facts, chunks, tracks, measurements.

``Clip → FrameChunk* → Track* → Measurement*``

Conventions
-----------
- Times are seconds on the clip's own clock, taken from the container, never ``index / fps``.
- A missing observation is marked invalid in its track; it is never zero and never closes up the time axis.
- A metric that cannot be measured is *absent with a reason*; it is never 0 and never NaN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.phonemes import Phoneme

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

_ROUNDING = 1e-6

Better = Literal["lower", "higher", "zero", "band"]
"""Which way a metric is better; ``band`` means neither end is good."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a metric is absent.

    Reasons that several evaluators share are attributes of this class; an evaluator declares its own beside its
    metrics and lists them in `evalkit.evaluators.base.Evaluator.reasons`.

    Parameters
    ----------
    code : str
        Part of the data format: small letters, digits and underscores. Reasons of one code are equal.
    text : str
        One line for people.

    Raises
    ------
    ValueError
        If the code is not written as above.

    Examples
    --------
    >>> Reason.NO_FACE.code, Reason.NO_FACE.text
    ('no_face', 'no face was found in enough frames')
    """

    code: str
    text: str = field(compare=False)

    NO_VIDEO: ClassVar[Reason]
    NO_AUDIO: ClassVar[Reason]
    SILENT_AUDIO: ClassVar[Reason]
    NO_SPEECH: ClassVar[Reason]
    NO_FACE: ClassVar[Reason]
    TOO_SHORT: ClassVar[Reason]
    TOO_FEW_FRAMES: ClassVar[Reason]
    LOW_FRAME_RATE: ClassVar[Reason]
    NO_SCRIPT: ClassVar[Reason]
    NO_LANGUAGE: ClassVar[Reason]
    EVALUATOR_FAILED: ClassVar[Reason]
    NOT_MEASURED: ClassVar[Reason]
    NOT_SCORED: ClassVar[Reason]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.code):
            raise ValueError(
                f"{self.code!r} is not the code of a reason: use small letters, digits and underscores"
            )

    def __str__(self) -> str:
        return self.code


Reason.NO_VIDEO = Reason("no_video", "the file has no picture")
Reason.NO_AUDIO = Reason("no_audio", "the file has no sound")
Reason.SILENT_AUDIO = Reason("silent_audio", "the sound is digital silence")
Reason.NO_SPEECH = Reason("no_speech", "nobody speaks")
Reason.NO_FACE = Reason("no_face", "no face was found in enough frames")
Reason.TOO_SHORT = Reason("too_short", "too short to measure")
Reason.TOO_FEW_FRAMES = Reason("too_few_frames", "too few frames to measure")
Reason.LOW_FRAME_RATE = Reason("low_frame_rate", "too few frames a second to measure")
Reason.NO_SCRIPT = Reason("no_script", "no script was given: the words that should be spoken; see --script")
Reason.NO_LANGUAGE = Reason("no_language", "no language was given for the script; see --language")
Reason.EVALUATOR_FAILED = Reason("evaluator_failed", "the evaluator failed; see the log")
Reason.NOT_MEASURED = Reason(
    "not_measured", "the evaluator has not measured this video yet; see evalkit measure"
)
Reason.NOT_SCORED = Reason("not_scored", "the tool whose scores were imported gave this video none")

GENERAL_REASONS = (
    Reason.NO_VIDEO,
    Reason.NO_AUDIO,
    Reason.SILENT_AUDIO,
    Reason.NO_SPEECH,
    Reason.NO_FACE,
    Reason.TOO_SHORT,
    Reason.TOO_FEW_FRAMES,
    Reason.LOW_FRAME_RATE,
    Reason.NO_SCRIPT,
    Reason.NO_LANGUAGE,
    Reason.EVALUATOR_FAILED,
    Reason.NOT_MEASURED,
    Reason.NOT_SCORED,
)
"""Those that several evaluators share."""


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
        Lowest and highest possible value; ``None`` where open. A `Measurement` outside of them is refused.
    is_headline : bool
        Whether tables with room for few metrics show it; where no metric of a family is one, they show its first.
    """

    name: str
    unit: str
    better: Better
    meaning: str
    bounds: tuple[float | None, float | None] = (None, None)
    is_headline: bool = False

    @property
    def family(self) -> str:
        """The part of the name before the dot: the evaluator, or ``profile``."""
        return self.name.partition(".")[0]

    def allows(self, value: float) -> bool:
        """Say whether a value lies within the bounds; rounding (1e-6 of a bound, or of 1) does not count.

        >>> Metric("a.share", "1", "higher", "a share", (0, 1)).allows(1.0000001)
        True
        """
        low, high = self.bounds
        return (low is None or value >= low - _ROUNDING * max(1.0, abs(low))) and (
            high is None or value <= high + _ROUNDING * max(1.0, abs(high))
        )


class Interval(NamedTuple):
    """A 95 % interval in the unit of its metric."""

    low: float
    high: float


class Moment(NamedTuple):
    """A stretch of a clip in which a metric is at its worst.

    Parameters
    ----------
    start_s, end_s : float
        On the clip's own clock; `end_s` is above `start_s`.
    value : float
        How bad it is there: the worst value of the metric's course within the stretch, in the metric's unit.
    """

    start_s: float
    end_s: float
    value: float

    def to_dict(self) -> dict[str, float]:
        """Return it as plain data.

        >>> Moment(1.0, 2.5, 0.8).to_dict()
        {'start_s': 1.0, 'end_s': 2.5, 'value': 0.8}
        """
        return {name: float(number) for name, number in zip(self._fields, self, strict=True)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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
        Named raw samples for statistics across clips. Values over windows stand beside ``window_start_s``, where each
        begins.
    moments : tuple of Moment
        The worst stretches, the worst first; empty where the metric has no course over time, or nothing in it is bad. Reports
        lead to them.

    Raises
    ------
    ValueError
        With neither a value nor a reason, with both, or with a value that is not finite or outside of the metric's
        bounds; with moments beside a reason, or moments that end before they begin, overlap, or have such a value.
    """

    metric: Metric
    value: float | None
    reason: Reason | None = None
    n: int = 0
    coverage: float | None = None
    interval: Interval | None = None
    samples: tuple[tuple[str, FloatArray], ...] = ()
    moments: tuple[Moment, ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(
                f"{self.metric.name}: a measurement has either a value or a reason, "
                f"not value={self.value!r} and reason={self.reason!r}"
            )
        self._check_moments()
        if self.value is None:
            return
        if not np.isfinite(self.value):
            raise ValueError(
                f"{self.metric.name}: {self.value!r} is not a finite number; give a reason instead"
            )
        self._require_allowed(self.value)

    def _check_moments(self) -> None:
        if self.moments and self.value is None:
            raise ValueError(f"{self.metric.name}: what could not be measured has no worst moments")
        for moment in self.moments:
            if not np.isfinite(moment).all():
                raise ValueError(f"{self.metric.name}: {moment} has a number that is not finite")
            if moment.end_s <= moment.start_s:
                raise ValueError(f"{self.metric.name}: {moment} does not end after it begins")
            self._require_allowed(moment.value)
        in_time = sorted(self.moments)
        for one, other in pairwise(in_time):
            if other.start_s < one.end_s:
                raise ValueError(f"{self.metric.name}: {one} and {other} overlap; join them to one")

    def _require_allowed(self, value: float) -> None:
        if not self.metric.allows(value):
            low, high = ("open" if bound is None else f"{bound:g}" for bound in self.metric.bounds)
            raise ValueError(
                f"{self.metric.name}: {value!r} is outside of the metric's bounds ({low} to {high}); "
                f"is its unit {self.metric.unit!r}?"
            )

    @classmethod
    def absent(cls, metric: Metric, reason: Reason, *, coverage: float | None = None) -> Measurement:
        """Make the measurement of something that could not be measured."""
        return cls(metric, None, reason, coverage=coverage)

    def to_dict(self) -> dict[str, Any]:
        """Return a measured value as plain data, as JSON output and run folders have it. Samples are left out.

        Returns
        -------
        dict
            ``value``, ``unit``, ``n``, ``coverage`` and ``ci95`` (two numbers, or None); ``moments``, where there are
            any; only ``reason``, a code, where the metric is absent.
        """
        if self.reason is not None or self.value is None:
            return {"reason": str(self.reason)}
        plain = {
            "value": float(self.value),
            "unit": self.metric.unit,
            "n": int(self.n),
            "coverage": None if self.coverage is None else float(self.coverage),
            "ci95": None if self.interval is None else [float(end) for end in self.interval],
        }
        return plain | ({"moments": [moment.to_dict() for moment in self.moments]} if self.moments else {})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Measurement):
            return NotImplemented
        return self._plain == other._plain and all(
            name == other_name and np.array_equal(values, other_values, equal_nan=True)
            for (name, values), (other_name, other_values) in zip(self.samples, other.samples, strict=True)
        )

    def __hash__(self) -> int:
        return hash(self._plain)

    def __repr__(self) -> str:
        if self.value is None:
            return f"Measurement({self.metric.name} absent: {self.reason})"
        interval = "" if self.interval is None else f" [{self.interval.low:.4g}, {self.interval.high:.4g}]"
        unit = "" if self.metric.unit == "1" else f" {self.metric.unit}"
        return f"Measurement({self.metric.name} = {self.value:.4g}{unit}{interval}, n={self.n})"

    @property
    def _plain(self) -> tuple[Any, ...]:
        """Everything but the arrays."""
        return (
            self.metric,
            self.value,
            self.reason,
            self.n,
            self.coverage,
            self.interval,
            len(self.samples),
            self.moments,
        )


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the container says of the picture. Sizes are those a viewer sees (rotated, square pixels).

    The picture is mirrored left to right where it `is_mirrored`, then turned counterclockwise by `rotation_deg`, to be as
    a viewer sees it. `n_announced_frames` counts those of the file, also such as an edit list keeps from being shown.
    """

    width: int
    height: int
    announced_fps: float | None
    announced_duration_s: float | None
    start_s: float
    codec: str
    rotation_deg: int
    n_announced_frames: int | None
    is_mirrored: bool = False


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
    """What a video was meant to say and to show.

    Parameters
    ----------
    text : str or None
        The words to speak; ``None`` where unknown.
    language : str or None
        Language of the words, as in ``en`` or ``cmn``.
    prompt : str or None
        What the picture was meant to show.
    phonemes : tuple of Phoneme
        When each speech sound is heard, from the first sample of the speech, as the voice that spoke it reported; empty where it
        did not.
    piece_s : float or None
        Length of the pieces that its generator was asked to make one after the other (``infer_frames`` over ``fps``).
    """

    text: str | None = None
    language: str | None = None
    prompt: str | None = None
    phonemes: tuple[Phoneme, ...] = ()
    piece_s: float | None = None


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
    intent : ClipIntent
        What the clip was meant to say and show, as far as it is known.
    notes : tuple of str
        What was chosen among what the file holds, one line for people each.
    """

    path: str
    audio_path: str | None
    video: VideoFacts | None
    audio: AudioFacts | None
    intent: ClipIntent = ClipIntent()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
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
    end_s : float or None
        Until when the last frame of the clip is shown, in its last chunk; None in all others, and where it is not known.
    """

    first_index: int
    times_s: FloatArray
    frames: list[NDArray[np.uint8]] = field(repr=False)
    end_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
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
    samples: NDArray[np.float32] = field(repr=False)

    @property
    def wanted_rate_hz(self) -> int | None:
        """The rate that was asked for: `rate_hz` in mono, or None for the sound as recorded."""
        return None if self.samples.ndim == 2 else self.rate_hz


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Track:
    """Named signals over time, observed at the same moments. Two tracks are equal only if they are the same object.

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

    def __repr__(self) -> str:
        return (
            f"Track({self.name!r}, {len(self)} moments x {len(self.columns)} columns, "
            f"{100 * self.coverage:.0f} % observed)"
        )

    def __len__(self) -> int:
        return int(self.times_s.shape[0])

    def __getitem__(self, column: str) -> FloatArray:
        """Return one signal as float64, shape (n,)."""
        return self.values[:, self._place(column)].astype(np.float64)

    def select(self, *columns: str) -> FloatArray:
        """Return several signals side by side as float64, shape (n, len(columns))."""
        places = [self._place(column) for column in columns]
        return self.values[:, places].astype(np.float64, order="C")

    def _place(self, column: str) -> int:
        try:
            return self.columns.index(column)
        except ValueError:
            raise KeyError(f"track {self.name!r} has no column {column!r}; it has {self.columns}") from None

    @property
    def coverage(self) -> float:
        """Share of moments that were observed, from 0 to 1; 0 for an empty track."""
        return float(self.valid.mean()) if len(self) else 0.0
