"""Worst moments as WebVTT: a text track that players and editors show beside a video.

References
----------
W3C, "WebVTT: The Web Video Text Tracks Format", candidate recommendation, 2019.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from evalkit.formatting import label, moment_text

SUFFIX = ".vtt"


class NamedMoment(NamedTuple):
    """A worst moment of a metric.

    Parameters
    ----------
    metric, unit : str
        Of the metric.
    start_s, end_s, value : float
        As of `evalkit.types.Moment`.
    """

    metric: str
    unit: str
    start_s: float
    end_s: float
    value: float

    @property
    def text(self) -> str:
        """In words: ``lip_sync.error 0.82, 3.0 s to 6.0 s``."""
        return moment_text(*self)


def webvtt(moments: Iterable[NamedMoment]) -> str:
    r"""Write worst moments as a WebVTT file, in the order of time.

    Parameters
    ----------
    moments : iterable of NamedMoment
        Cues may overlap: moments of several metrics do.

    Returns
    -------
    str
        One cue a moment; it holds what the moment is in words.

    Examples
    --------
    >>> print(webvtt([NamedMoment("a.b", "ms", 3661.5, 3662.0, 120.0)]), end="")
    WEBVTT
    <BLANKLINE>
    01:01:01.500 --> 01:01:02.000
    a.b 120 ms, 3661.5 s to 3662.0 s
    """
    cues = []
    for moment in sorted(moments, key=lambda one: (one.start_s, one.end_s)):
        first = max(0, round(1000 * moment.start_s))
        last = max(
            first + 1, round(1000 * moment.end_s)
        )  # a cue ends after it begins, also to the millisecond
        cues.append(f"{_time(first)} --> {_time(last)}\n{_escape(moment.text)}\n")
    return "\n".join(["WEBVTT\n", *cues])


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:03d}"


def _escape(text: str) -> str:
    """Escape what is markup in a cue; of an arrow, which would begin a new one, the escaped ``>`` leaves none."""
    return label(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
