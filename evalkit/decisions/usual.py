"""Where values usually lie, so that a list of numbers has a sentence: no gate, and no verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.formatting import count, three_digits
from evalkit.metrics.lip_sync import PASS
from evalkit.metrics.moments import LEAST_FIDELITY, LOWEST_SPARC, MOST_DELTA_E, OFFSET_NOTICED_MS
from evalkit.metrics.stability import VISIBLE_FLICKER_PERCENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.types import Measurement

_GAP = "technical.av_duration_gap_ms"
_LONG_GAP_MS = 1000.0
_OF_A_SCRIPT = _WORDS, _CHARACTERS = "speech.word_error_rate", "speech.char_error_rate"
_ANOTHER_SCRIPT = 0.8
"""From this error rate on, hardly anything of the script is heard, however wide the interval is that a single run of errors has."""


@dataclass(frozen=True)
class UsualRange:
    """Where a metric lies in clips in which nothing is wrong.

    Parameters
    ----------
    low, high : float
        Infinite where there is no end.
    source : str
        Where the numbers come from.
    """

    low: float
    high: float
    source: str

    def reaches(self, measurement: Measurement) -> bool:
        """Say whether a value lies in it, or may, as its interval reaches into it."""
        ends = [measurement.value, measurement.value]
        if measurement.interval is not None:
            ends = [measurement.interval.low, measurement.interval.high]
        low, high = (math.nan if end is None else end for end in ends)
        return low <= self.high and high >= self.low

    def text(self) -> str:
        """Write it for people.

        >>> UsualRange(-math.inf, 0.3, "").text(), UsualRange(5, 30, "").text()
        ('at most 0.3', '5 to 30')
        """
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


USUAL = {
    "lip_sync.error": UsualRange(-math.inf, PASS, "the model card: where viewers begin to notice"),
    "lip_sync.offset_ms": UsualRange(*OFFSET_NOTICED_MS, "ITU-R BT.1359: beyond this viewers notice"),
    "lip_sync.closure_offset_ms": UsualRange(*OFFSET_NOTICED_MS, "ITU-R BT.1359: beyond this viewers notice"),
    "lip_sync.articulation": UsualRange(
        0.5, 1.5, "real speakers: 0.72 to 1.33; below it mumbles, above it shouts"
    ),
    "motion.sparc": UsualRange(LOWEST_SPARC, math.inf, "eleven real speakers: -4.4 to -2.7"),
    "motion.amount_deg_s": UsualRange(2, 30, "real speakers: 3.4 to 21.5"),
    "motion.freeze_ratio": UsualRange(-math.inf, 0.1, "a picture that stands still is seen"),
    "expression.blink_per_min": UsualRange(5, 30, "people blink 5 to 30 times a minute"),
    "brand.fidelity": UsualRange(LEAST_FIDELITY, math.inf, "calibrated so for each brand"),
    "brand.color_delta_e": UsualRange(-math.inf, MOST_DELTA_E, "5 is seen at a glance"),
    "stability.seams_per_min": UsualRange(-math.inf, 1, "real speakers: at most 0.2 a minute"),
    "stability.color_drift_per_min": UsualRange(-math.inf, 1, "side by side, 1 to 2 is seen"),
    "stability.background_flicker": UsualRange(
        -math.inf, VISIBLE_FLICKER_PERCENT, "real backgrounds: 0.002 to 0.2"
    ),
    "technical.black_ratio": UsualRange(-math.inf, 0.02, "a fade lasts no longer"),
    "technical.freeze_ratio": UsualRange(-math.inf, 0.1, "a picture that stands still is seen"),
    "technical.face_coverage": UsualRange(0.95, math.inf, "a speaker is seen all the time"),
    "technical.clipping_ratio": UsualRange(-math.inf, 0.001, "a few samples are not heard"),
    "technical.loudness_lufs": UsualRange(-30, -13, "EBU R 128 asks for -23, streams for -14 to -16"),
    "technical.true_peak_dbtp": UsualRange(-math.inf, 1, "EBU R 128 allows -1; coding adds up to 2"),
    _WORDS: UsualRange(-math.inf, 0.5, "no recogniser misses half of what is spoken clearly"),
    _CHARACTERS: UsualRange(-math.inf, 0.5, "as for words"),
    "speech.quality_overall": UsualRange(2, math.inf, "people answer 2 for poor"),
    _GAP: UsualRange(-500, 500, "half a second of sound or picture alone is a fade"),
}
"""By full name of the metric."""


def describe_clip(measurements: Sequence[Measurement]) -> list[str]:
    """Say in sentences how a clip's values lie to what is usual; nothing where none has a usual range."""
    known = [m for m in measurements if m.value is not None and m.metric.name in USUAL]
    unheard = [m for m in known if m.metric.name in _OF_A_SCRIPT and (m.value or 0.0) >= _ANOTHER_SCRIPT]
    outside = [m for m in known if m in unheard or not USUAL[m.metric.name].reaches(m)]
    if not known:
        return []
    n, n_inside = len(known), len(known) - len(outside)
    if not outside:
        lines = [f"nothing stands out: {count(n, 'value')} with a usual range, all in it"]
    else:
        lines = [f"{n_inside} of {count(n, 'value')} with a usual range lie in it; not these:"]
    for measurement in outside:
        metric = measurement.metric
        unit = "" if metric.unit == "1" else f" {metric.unit}"
        shown = three_digits(measurement.value or 0.0)
        lines.append(f"  {metric.name}: {shown}{unit}, usual {USUAL[metric.name].text()}")
    gap_ms = next((m.value for m in outside if m.metric.name == _GAP), None)
    if gap_ms is not None and abs(gap_ms) >= _LONG_GAP_MS:
        longer, shorter = ("picture", "sound") if gap_ms > 0 else ("sound", "picture")
        lines.append(
            f"  the {longer} runs {abs(gap_ms) / 1000:.1f} s past the {shorter}: cut off, or the wrong file?"
        )
    if unheard:
        lines.append("  hardly anything of the script is heard: is it this clip's, and in this language?")
    return lines
