"""What metrics are called by people, and how their values are told: ``sentences/metrics.<language>.yaml``.

The dotted name is for files, options and tooltips; these words are for everybody else. A metric that the files do not know,
such as a plug-in's, is called by its dotted name, made readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from evalkit.formatting import three_digits
from evalkit.options import parse_yaml
from evalkit.words.language import LANGUAGES

Tone = Literal["good", "bad"]
_UNITS = ("ms", "s", "px", "hz", "db", "deg", "mib", "dbtp", "lufs")


@dataclass(frozen=True)
class MetricWords:
    """The words of one language.

    Parameters
    ----------
    tag : str
        Of BCP 47.
    entries : mapping
        By dotted name: ``name``; ``value``, ``below``, ``above`` and ``zero`` with ``{value}`` or ``{size}`` to fill, all
        optional; ``good`` and ``bad``, which follow a value that keeps its limits or does not, optional.
    """

    tag: str
    entries: Mapping[str, Mapping[str, str]]

    def name(self, metric: str) -> str:
        """Return what people call a metric; ``.bad`` after it is the share of clips that are bad in it.

        >>> metric_words("en").name("lip_sync.offset_ms"), metric_words("en").name("my_own.tilt_of_head_deg")
        ('Lips follow the sound', 'Tilt of head (my own)')
        """
        if metric in self.entries:
            return self.entries[metric]["name"]
        family, _, quantity = metric.partition(".")
        words = quantity.removesuffix(".bad").split("_")
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
        value : float
        unit : str
            ``"1"`` for a pure number.
        tone : {"good", "bad"}, optional
            Whether it keeps its limits, or what is usual.

        >>> metric_words("en").value("lip_sync.offset_ms", -12.0, "ms", "good")
        '12 ms early, not noticeable'
        """
        entry = self.entries.get(metric, {})
        suffix = "" if unit in {"", "1"} else f" {unit}"
        shown = {"value": three_digits(value) + suffix, "size": three_digits(abs(value)) + suffix}
        side = "zero" if value == 0 else "below" if value < 0 else "above"
        pattern = entry.get(side, entry.get("value", "{value}"))
        told = pattern.format(**shown, percent=f"{three_digits(100 * value)} %")
        meant = entry.get(tone, "") if tone else ""
        return f"{told}{'，' if self.tag.startswith('zh') else ', '}{meant}" if meant else told


@cache
def metric_words(tag: str) -> MetricWords:
    """Return the words of one of `evalkit.words.language.LANGUAGES`."""
    if tag not in LANGUAGES:
        raise ValueError(f"{tag!r} is none of {', '.join(LANGUAGES)}")
    name = f"metrics.{tag}.yaml"
    return MetricWords(tag, parse_yaml((files(__package__) / "sentences" / name).read_text("utf-8"), name))
