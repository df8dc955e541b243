"""The clock of a video that is made by a program which makes several, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.events import BEGAN, LOADED, SPEECH, WARNING, OnEvent, Timeline

if TYPE_CHECKING:
    from pipeline.adapters.live_avatar.sample import Sample
    from pipeline.adapters.series import LineClock


def begin_video(
    sample: Sample, clock: LineClock, on_event: OnEvent | None, *, load_s: float, note: str | None
) -> Timeline:
    """Start the times of a video whose own work begins now.

    Parameters
    ----------
    sample : Sample
        What is made.
    clock : LineClock
        Of the program.
    on_event : callable or None
        As of `Timeline`.
    load_s : float
        Seconds that the program took to load, before its first video.
    note : str or None
        What a reader of its times must know.
    """
    timeline = Timeline(on_event, clock)
    timeline.mark(BEGAN, monotonic_s=clock.now_s)
    if note is not None:
        timeline.mark(WARNING, text=note)
    timeline.mark(LOADED, load_s=load_s)
    timeline.mark(SPEECH, duration_s=sample.sound.duration_s, n_clips=sample.n_clips)
    return timeline
