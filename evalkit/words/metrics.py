"""What metrics are called by people, and how their values are told: ``sentences/metrics.<language>.yaml``.

The dotted name is for files, options and tooltips; these words are for everybody else. A metric that the files do not know,
such as a plug-in's, is called by its dotted name, made readable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from evalkit.formatting import three_digits
from evalkit.options import parse_yaml
from evalkit.words.language import LANGUAGES, space_out

Tone = Literal["good", "bad"]
BAD = ".bad"
"""After the name of a metric: the share of clips that are bad in it."""
AGAINST_BASELINE = ".baseline"
"""After the name of a metric: that it is not worse than in the last release."""
SHARED = ("share_of_bad_clips", "against_baseline", "limits", "units")
"""Entries of the files that are no metric's."""
_UNITS = ("ms", "s", "px", "hz", "db", "deg", "mib", "dbtp", "lufs")
_AROUND = re.compile(r"([^\d-]*)(-?[\d.]+(?:e[+-]?\d+)?)([^\d]*)")
_BYTES_OF_MIB, _BYTES_OF_MB = 2**20, 10**6


@dataclass(frozen=True)
class MetricWords:
    """The words of one language.

    Parameters
    ----------
    tag : str
        Of BCP 47.
    entries : mapping
        By dotted name: ``name``; ``value``, ``below``, ``above`` and ``zero`` with places to fill, all optional; ``good`` and
        ``bad``, which follow a value that is as usual or is not, and ``usual``, what that rests on, optional. Beside them `SHARED`: ``units`` says how a value of
        a unit is written, ``limits`` how limits are.
    """

    tag: str
    entries: Mapping[str, Mapping[str, str]]

    def name(self, metric: str) -> str:
        """Return what people call a metric; ``.bad`` after it is the share of clips that are bad in it.

        >>> words = metric_words("en")
        >>> words.name("lip_sync.offset_ms"), words.name("my_own.tilt_of_head_deg"), words.name("lip_sync.error.bad")
        ('Lips follow the sound', 'Tilt of head (my own)', 'Bad clips: Lips fit the words')
        """
        if metric in self.entries:
            return self.entries[metric]["name"]
        if metric.endswith(BAD):
            return self.entries["share_of_bad_clips"]["name"].format(name=self.name(metric.removesuffix(BAD)))
        if metric.endswith(AGAINST_BASELINE):
            own = self.name(metric.removesuffix(AGAINST_BASELINE))
            return self.entries["against_baseline"]["name"].format(name=own)
        family, _, quantity = metric.partition(".")
        words = quantity.split("_")
        if words[-1] in _UNITS and len(words) > 1:
            words = words[:-1]
        text = " ".join(words) or family
        shown = text[:1].upper() + text[1:]
        return f"{shown} ({family.replace('_', ' ')})" if quantity else shown

    def value(self, metric: str, value: float, unit: str, tone: Tone | None = None) -> str:
        """Tell a value: with its unit, in the words of its metric, and what that means where it is known.

        Parameters
        ----------
        metric : str
            With ``.bad`` after it: the value is a share of clips.
        value : float
        unit : str
            ``"1"`` for a pure number.
        tone : {"good", "bad"}, optional
            Whether it lies where such values usually do (`evalkit.decisions.usual.tone_of`). A limit of a policy says
            something else: it may be wider, or narrower.

        >>> words = metric_words("en")
        >>> words.value("lip_sync.offset_ms", -12.0, "ms", "good"), words.value("profile.peak_vram_mib", 20480, "MiB")
        ('12 ms early, not noticeable', '21.5 GB')
        """
        entry = self._entry(metric)
        side = "zero" if value == 0 else "below" if value < 0 else "above"
        pattern = entry.get(side, entry.get("value", "{value}"))
        percent = three_digits(100 * value)
        told = pattern.format(
            value=self._with_unit(value, unit),
            size=self._with_unit(abs(value), unit),
            number=three_digits(value),
            percent=f"{percent} %",
            percent_size=f"{percent.removeprefix('-')} %",
        )
        meant = entry.get(tone, "") if tone else ""
        told = space_out(told, self.tag)
        return f"{told}{'，' if self.tag.startswith('zh') else ', '}{meant}" if meant else told

    def usual(self, metric: str) -> str:
        """Return what the usual range of a metric rests on; empty where it has none."""
        return self.entries.get(metric, {}).get("usual", "")

    def limit(self, metric: str, low: float, high: float, unit: str, bad_beyond: float | None = None) -> str:
        """Tell limits, or an interval.

        Parameters
        ----------
        metric : str
            Without ``.bad``.
        low, high : float
            Infinite where open.
        unit : str
            ``"1"`` for a pure number.
        bad_beyond : float, optional
            The value from which on a clip is bad, where `high` is a share of clips.

        >>> words = metric_words("en")
        >>> words.limit("lip_sync.offset_ms", -125, 45, "ms"), words.limit("profile.ttff_s", -math.inf, 3, "s")
        ('125 ms early to 45 ms late', 'at most 3 s')
        """
        patterns = self.entries["limits"]
        if bad_beyond is not None:
            share = self.value(BAD, high, "1")
            told_bad = patterns["bad_clips"].format(high=share, limit=self._amount(metric, bad_beyond, unit))
            return space_out(told_bad, self.tag)
        told = {
            name: self._amount(metric, end, unit)
            for name, end in (("low", low), ("high", high))
            if math.isfinite(end)
        }
        if len(told) == 2:
            told = _say_once(**told)
        key = "between" if len(told) == 2 else "at_most" if "high" in told else "at_least"
        return space_out(patterns[key].format(**told), self.tag)

    def _amount(self, metric: str, value: float, unit: str) -> str:
        """Tell a value without the sentence around it: of a share the percent alone."""
        pattern = self._entry(metric).get("value", "")
        return f"{three_digits(100 * value)} %" if "{percent}" in pattern else self.value(metric, value, unit)

    def _entry(self, metric: str) -> Mapping[str, str]:
        return self.entries["share_of_bad_clips"] if metric.endswith(BAD) else self.entries.get(metric, {})

    def _with_unit(self, value: float, unit: str) -> str:
        number = three_digits(value)
        if unit in {"", "1"}:
            return number
        pattern = self.entries["units"].get(unit)
        if pattern is None:
            return f"{number} {unit}"
        return pattern.format(number=number, memory=_memory(value), energy=_energy(value))


def _say_once(low: str, high: str) -> dict[str, str]:
    """Leave out of a range what both of its ends say around their number: before the second, after the first.

    >>> _say_once("5 a minute", "30 a minute"), _say_once("12 ms early", "45 ms late")
    ({'low': '5', 'high': '30 a minute'}, {'low': '12 ms early', 'high': '45 ms late'})
    """
    ends = _AROUND.fullmatch(low), _AROUND.fullmatch(high)
    if ends[0] is None or ends[1] is None or ends[0].group(1, 3) != ends[1].group(1, 3):
        return {"low": low, "high": high}
    return {"low": low.removesuffix(ends[0][3]), "high": high.removeprefix(ends[1][1])}


def _memory(mib: float) -> str:
    """Write memory in the units on a box: powers of ten.

    >>> _memory(310), _memory(7801)
    ('325 MB', '8.18 GB')
    """
    mb = mib * _BYTES_OF_MIB / _BYTES_OF_MB
    return f"{three_digits(mb / 1000)} GB" if mb >= 1000 else f"{three_digits(mb)} MB"


def _energy(joules: float) -> str:
    return f"{three_digits(joules / 1000)} kJ" if joules >= 1000 else f"{three_digits(joules)} J"


@cache
def metric_words(tag: str) -> MetricWords:
    """Return the words of one of `evalkit.words.language.LANGUAGES`."""
    if tag not in LANGUAGES:
        raise ValueError(f"{tag!r} is none of {', '.join(LANGUAGES)}")
    name = f"metrics.{tag}.yaml"
    return MetricWords(tag, parse_yaml((files(__package__) / "sentences" / name).read_text("utf-8"), name))
