"""Clips as a page: one sentence each, the worst first, with the video, its worst moments, and what is usual beside every value."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from evalkit.reports.stage import player_script
from evalkit.reports.verdict import verdict_of_clip, verdict_of_clip_rule
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page
from evalkit.words.language import read_words

if TYPE_CHECKING:
    from evalkit.views.clips import ClipsView, ClipValueView

N_LISTED = 6
"""Clips that are listed above the first of them; the others are folded."""
_SPARE = 0.08
"""Of the width of a bar, on either side of what it shows."""


@dataclass(frozen=True)
class RangeBar:
    """A value on a line beside what is usual; every place is in percent of the width.

    Parameters
    ----------
    usual, real : tuple of float or None
        Start and length.
    interval : tuple of float or None
    value : float
    """

    usual: tuple[float, float]
    real: tuple[float, float] | None
    interval: tuple[float, float] | None
    value: float


def render_clips(view: ClipsView, *, frame: PageFrame = PLAIN_FRAME) -> str:
    """Return a self-contained HTML page; it shows the videos and pictures where they lie.

    Parameters
    ----------
    view : ClipsView
    frame : PageFrame
        Of the view's own language.
    """
    folder = resources.files(__package__) / "templates"
    script = player_script() + (folder / "clips.js").read_text("utf-8")
    say, pages = read_words(view.language, "clips"), read_words(view.language, "pages")
    return render_page(
        __package__,
        "clips.html.j2",
        script=script,
        frame=frame,
        topics=("clips",),
        title=view.clips[0].name if len(view.clips) == 1 else say("clip_title"),
        view=view,
        verdict_of_clip=verdict_of_clip,
        verdict_of_rule=lambda rule: verdict_of_clip_rule(rule).said_in(pages),
        range_bar=range_bar,
        n_listed=N_LISTED,
        short_outcomes=_short_outcomes(view),
    )


def range_bar(value: ClipValueView) -> RangeBar | None:
    """Return where a value lies beside what is usual; None where nothing says what is."""
    usual = value.usual
    if usual is None:
        return None
    inner = [value.value, *(value.interval or ()), *(usual.real or ())]
    inner += [end for end in (usual.low, usual.high) if end is not None]
    least, most = min(inner), max(inner)
    spare = _SPARE * ((most - least) or abs(most) or 1.0)
    first, last = least - spare, most + spare

    def place(at: float | None, otherwise: float) -> float:
        share = ((otherwise if at is None else at) - first) / (last - first)
        return float(round(100 * share, 1))

    def span(low: float | None, high: float | None) -> tuple[float, float]:
        start, end = place(low, first), place(high, last)
        return start, round(end - start, 1)

    return RangeBar(
        usual=span(usual.low, usual.high),
        real=None if usual.real is None else span(*usual.real),
        interval=None if value.interval is None else span(*value.interval),
        value=place(value.value, first),
    )


def _short_outcomes(view: ClipsView) -> dict[str, str]:
    """Return the outcomes that there are, each with its count in words: what the page can be narrowed to."""
    say = read_words(view.language, "clips")
    found = {clip.outcome: str(clip.outcome) for clip in view.clips}
    return {
        name: say(f"clip_count_{outcome.name.lower()}", n=view.counts[name])
        for outcome, name in found.items()
    }
