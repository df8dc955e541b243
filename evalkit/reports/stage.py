"""Clips as the player shows them: each with its address, a still, its values and its worst moments in words."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.reports.posters import as_jpeg, read_still
from evalkit.views.figure import MomentView
from evalkit.visuals.page import playhead_script
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.views.clip import ClipView
    from evalkit.visuals.page import PageFrame
    from evalkit.words.metrics import MetricWords

_SIDE_PX = 320


@dataclass(frozen=True)
class StagedMoment:
    """A stretch of a video, in words.

    Parameters
    ----------
    start_s, end_s : float
    text : str
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class ToldValue:
    """A value of a clip, in words.

    Parameters
    ----------
    metric, name, value : str
        The name that files and options have, what people call it, and the value as they say it.
    """

    metric: str
    name: str
    value: str


@dataclass(frozen=True)
class StagedClip:
    """A clip as the player shows it.

    Parameters
    ----------
    title, caption : str
    address : str or None
        Of the video; None where none is shown, and `why_none` says why.
    why_none : str
    still : str or None
        A picture from it, as the address of data.
    fps : float
    told : tuple of ToldValue
    moments : tuple of StagedMoment
    has_choice_of_sound : bool
        Whether it stands beside others.
    """

    title: str
    caption: str
    address: str | None
    why_none: str
    still: str | None
    fps: float
    told: tuple[ToldValue, ...]
    moments: tuple[StagedMoment, ...]
    has_choice_of_sound: bool


def player_script() -> str:
    """Return the JavaScript of pages with videos that play in step."""
    return playhead_script() + _read("player.js")


def player_style() -> str:
    """Return the style sheet of pages that show clips of this module."""
    return _read("player.css")


@cache
def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")


def stage_clip(
    clip: ClipView,
    title: str,
    frame: PageFrame,
    metrics: MetricWords,
    units: Mapping[str, str],
    *,
    is_beside: bool,
) -> StagedClip:
    """Return a clip as the player shows it.

    Parameters
    ----------
    clip : ClipView
    title : str
        What it is called on the page.
    frame : PageFrame
        Gives its address and its language.
    metrics : MetricWords
        Of the same language.
    units : mapping of str to str
        Of the metrics whose values are told, which all are that have one here.
    is_beside : bool
        Whether it stands beside others.
    """
    say = read_words(frame.language, "pages", "player")
    address = None if clip.video is None else frame.link(clip.video)
    why = say("no_link") if clip.video is not None else say("failed_clip") if clip.why_none else ""
    return StagedClip(
        title=title,
        caption=clip.caption,
        address=address,
        why_none=why,
        still=None if address is None or clip.video is None else still_of(Path(clip.video)),
        fps=clip.fps,
        told=tuple(
            ToldValue(name, metrics.name(name), metrics.value(name, clip.values[name], unit))
            for name, unit in units.items()
            if name in clip.values
        ),
        moments=tuple(
            StagedMoment(one.start_s, one.end_s, name_moment(one, frame.language)) for one in clip.moments
        ),
        has_choice_of_sound=is_beside,
    )


def name_moment(moment: MomentView, tag: str) -> str:
    """Say what is bad in a worst moment, and when.

    >>> name_moment(MomentView("lip_sync.error", "1", 3.0, 6.0, 0.82), "en")
    'Lips fit the words: other words fit better in 82 %, from 3.0 s to 6.0 s'
    """
    metrics = metric_words(tag)
    return read_words(tag, "player")(
        "moment",
        name=metrics.name(moment.metric),
        value=metrics.value(moment.metric, moment.value, moment.unit),
        start=f"{moment.start_s:.1f}",
        end=f"{moment.end_s:.1f}",
    )


def still_of(video: Path) -> str | None:
    """Return a small picture from near the start of a video as an address of data; None where it cannot be read."""
    try:
        return _still_of(video, video.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _still_of(video: Path, _changed_ns: int) -> str | None:
    """Return the still of a video as it is now: pages that are served show it again and again."""
    picture = read_still(video)
    if picture is None:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(as_jpeg(picture, _SIDE_PX)).decode()}"
