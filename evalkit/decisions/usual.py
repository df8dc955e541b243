"""Where values usually lie, so that a list of numbers has a sentence: no gate, and no verdict.

What a range rests on is told to people by ``usual`` of the words of its metric (`evalkit.words.metrics`). Where nothing else says what is
usual, it is what recordings of real speakers show, and half as much again on either side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from evalkit.metrics.lip_sync import PASS
from evalkit.metrics.moments import LEAST_FIDELITY, LOWEST_SPARC, MOST_DELTA_E, OFFSET_NOTICED_MS
from evalkit.metrics.stability import VISIBLE_FLICKER_PERCENT
from evalkit.words.language import LANGUAGES, read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.types import Measurement, Metric
    from evalkit.words.metrics import Tone

N_REAL = 8
"""Public recordings of eight real speakers, 5 to 16 s, 224 to 844 pixels wide: ``python -m tests.usual_ranges MEDIA``."""
_BEYOND_REAL = 1.5
_GAP = "technical.av_duration_gap_ms"
_LONG_GAP_MS = 1000.0
_OF_A_SCRIPT = _WORDS, _CHARACTERS = "speech.word_error_rate", "speech.char_error_rate"
_ANOTHER_SCRIPT = 0.8
"""From this error rate on, hardly anything of the script is heard, however wide the interval is that a single run of errors has."""


class Real(NamedTuple):
    """What was measured on the recordings of real speakers: the least and the most of `N_REAL` clips."""

    least: float
    most: float


@dataclass(frozen=True)
class UsualRange:
    """Where a metric lies in clips in which nothing is wrong.

    Parameters
    ----------
    low, high : float
        Infinite where there is no end.
    real : Real or None
        What real speakers showed; None where that was not measured, or says nothing.
    """

    low: float
    high: float
    real: Real | None = None

    def reaches(self, measurement: Measurement) -> bool:
        """Say whether a value lies in it, or may, as its interval reaches into it."""
        ends = [measurement.value, measurement.value]
        if measurement.interval is not None:
            ends = [measurement.interval.low, measurement.interval.high]
        low, high = (math.nan if end is None else end for end in ends)
        return low <= self.high and high >= self.low

    def text(self, metric: Metric, tag: str = LANGUAGES[0]) -> str:
        """Write it for people, in a language."""
        return metric_words(tag).limit(metric.name, self.low, self.high, metric.unit)


def _at_most(high: float, *real: float) -> UsualRange:
    return UsualRange(-math.inf, high, Real(*real) if real else None)


def _at_least(low: float, *real: float) -> UsualRange:
    return UsualRange(low, math.inf, Real(*real) if real else None)


def _as_real(least: float, most: float, *, better: str) -> UsualRange:
    """Return what real speakers show and half as much again, towards where it is worse."""
    low = -math.inf if better == "lower" else least / _BEYOND_REAL
    return UsualRange(low, math.inf if better == "higher" else most * _BEYOND_REAL, Real(least, most))


USUAL = {
    "lip_sync.error": _at_most(PASS, 0.0, 0.73),
    "lip_sync.residual_error": _at_most(PASS, 0.0, 0.035),
    "lip_sync.offset_ms": UsualRange(*OFFSET_NOTICED_MS, Real(-287, 41)),
    "lip_sync.closure_offset_ms": UsualRange(*OFFSET_NOTICED_MS),
    "lip_sync.articulation": UsualRange(0.5, 1.5, Real(0.72, 1.33)),
    "lip_sync.explained_variance": _as_real(0.11, 0.55, better="higher"),
    "lip_sync.dtw_distance": _as_real(0.73, 1.16, better="lower"),
    "lip_sync.confidence": _as_real(0.36, 0.79, better="higher"),
    "motion.sparc": _at_least(LOWEST_SPARC, -4.0, -3.53),
    "motion.amount_deg_s": UsualRange(2, 30, Real(4.4, 22.5)),
    "motion.joint_angle_std_deg": _as_real(0.9, 5.7, better="band"),
    "motion.freeze_ratio": _at_most(0.1, 0.0, 0.37),
    "expression.blink_per_min": UsualRange(5, 30, Real(0, 43)),
    "expression.smile_range": _as_real(0.03, 0.115, better="higher"),
    "expression.nod_per_min": _as_real(0, 30.5, better="band"),
    "expression.head_motion_deg": _as_real(1.74, 10.4, better="band"),
    "brand.fidelity": _at_least(LEAST_FIDELITY),
    "brand.color_delta_e": _at_most(MOST_DELTA_E),
    "stability.seams_per_min": _at_most(1, 0.0, 0.0),
    "stability.color_drift_per_min": _at_most(1),
    "stability.background_flicker": _at_most(VISIBLE_FLICKER_PERCENT, 0.004, 0.051),
    "technical.black_ratio": _at_most(0.02, 0.0, 0.0),
    "technical.freeze_ratio": _at_most(0.1, 0.0, 0.1),
    "technical.flicker": _as_real(0.018, 0.134, better="lower"),
    "technical.sharpness": _as_real(0.27, 0.57, better="higher"),
    "technical.face_coverage": _at_least(0.95, 0.9, 1.0),
    "technical.clipping_ratio": _at_most(0.001, 0.0, 0.000013),
    "technical.loudness_lufs": UsualRange(-30, -13, Real(-36.4, -10.9)),
    "technical.true_peak_dbtp": _at_most(1, -19.1, -0.37),
    _WORDS: _at_most(0.5),
    _CHARACTERS: _at_most(0.5),
    "speech.quality_signal": _as_real(3.1, 3.66, better="higher"),
    "speech.quality_overall": _at_least(2, 1.75, 3.37),
    "speech.packet_loss_quality": _as_real(2.05, 3.95, better="higher"),
    _GAP: UsualRange(-500, 500, Real(-32, 164)),
}
"""By full name of the metric."""


@dataclass(frozen=True)
class Outlier:
    """A value that does not lie where it usually does.

    Parameters
    ----------
    metric : Metric
    value : float
        In the metric's unit.
    distance : float
        How far outside, as a part of the range's size.
    """

    metric: Metric
    value: float
    distance: float

    def text(self, tag: str = LANGUAGES[0]) -> str:
        """Say what stands out, and what is usual."""
        words = metric_words(tag)
        return read_words(tag, "clips")(
            "clip_outlier",
            name=words.name(self.metric.name),
            value=words.value(self.metric.name, self.value, self.metric.unit),
            usual=USUAL[self.metric.name].text(self.metric, tag),
        )


@dataclass(frozen=True)
class Standing:
    """How a clip's values lie to what is usual.

    Parameters
    ----------
    n_known : int
        Values that have a usual range.
    outliers : tuple of Outlier
        Those that do not lie in it, the farthest first.
    gap_ms : float or None
        How much longer picture (positive) or sound runs, where that is a second and more.
    is_unheard : bool
        Whether hardly anything of the script is heard.
    """

    n_known: int
    outliers: tuple[Outlier, ...]
    gap_ms: float | None = None
    is_unheard: bool = False

    @cached_property
    def severity(self) -> tuple[int, float]:
        """Sorts clips: the worst has the least."""
        return -len(self.outliers), -max((one.distance for one in self.outliers), default=0.0)

    def sentence(self, tag: str = LANGUAGES[0]) -> str:
        """Say it in one sentence; without a value that has a usual range, say that."""
        say = read_words(tag, "clips")
        if not self.outliers:
            return say("clip_as_usual", n=self.n_known) if self.n_known else say("clip_no_usual")
        more = len(self.outliers) - 1
        return say(
            "clip_stands_out",
            what=self.outliers[0].text(tag),
            more=say("clip_and_more", n=more) if more else "",
        )

    def remarks(self, tag: str = LANGUAGES[0]) -> list[str]:
        """Say what may be behind it."""
        say = read_words(tag, "clips")
        found = []
        if self.gap_ms is not None:
            key = "clip_picture_longer" if self.gap_ms > 0 else "clip_sound_longer"
            found.append(say(key, seconds=f"{abs(self.gap_ms) / 1000:.1f}"))
        return [*found, say("clip_unheard")] if self.is_unheard else found


def tone_of(metric: str, value: float) -> Tone | None:
    """Say whether a value lies where it usually does, for the words of its metric; None where nothing says what is usual.

    >>> tone_of("lip_sync.offset_ms", -12), tone_of("lip_sync.offset_ms", 200), tone_of("profile.ttff_s", 3)
    ('good', 'bad', None)
    """
    usual = USUAL.get(metric)
    if usual is None:
        return None
    return "good" if usual.low <= value <= usual.high else "bad"


def standing_of(measurements: Iterable[Measurement]) -> Standing:
    """Say how a clip's values lie to what is usual."""
    known = [m for m in measurements if m.value is not None and m.metric.name in USUAL]
    unheard = [m for m in known if m.metric.name in _OF_A_SCRIPT and (m.value or 0.0) >= _ANOTHER_SCRIPT]
    outliers = [
        Outlier(m.metric, m.value, _distance(USUAL[m.metric.name], m.value))
        for m in known
        if m.value is not None and (m in unheard or not USUAL[m.metric.name].reaches(m))
    ]
    gap_ms = next((one.value for one in outliers if one.metric.name == _GAP), None)
    return Standing(
        len(known),
        tuple(sorted(outliers, key=lambda one: -one.distance)),
        gap_ms if gap_ms is not None and abs(gap_ms) >= _LONG_GAP_MS else None,
        is_unheard=bool(unheard),
    )


def _distance(usual: UsualRange, value: float) -> float:
    low, high = usual.low, usual.high
    size = (
        high - low if math.isfinite(low) and math.isfinite(high) else abs(low if math.isfinite(low) else high)
    )
    return max(low - value, value - high, 0.0) / size
