"""What happens while a video is made: the names of events, defined once, and the clock that times them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, JsonValue

from pipeline.options import PlainData

BEGAN = "began"
"""The work on it has begun. ``detail.monotonic_s``: when, on the machine's monotonic clock; the times of all events of
the request count from there."""
LOADED = "loaded"
"""The models are in memory. ``detail`` may carry ``load_s`` when that happened before the request."""
HEARD = "heard"
"""A spoken question is there in words. ``detail``: ``text``, ``duration_s``, ``backends``."""
ANSWERED = "answered"
"""The answer to a question is there. ``detail``: ``question``, ``text`` as it will be spoken, and what the driver knows
of it, see `pipeline.dialogue.generator`."""
SPOKEN = "spoken"
"""An answer, or a text, is there as sound. ``detail``: ``text`` as it was spoken, ``duration_s``, ``engine``, ``voice``,
``n_filtered``, ``backends``. What the video was asked to say stands in `pipeline.result.GenerationResult.spoken`."""
USED = "used"
"""Outcome of the backend whose result was taken, among the attempts of the three before."""
SPEECH = "speech"
"""The sound to speak is there. ``detail``: ``duration_s``, ``n_clips``."""
CLIP = "clip"
"""One clip is done. ``detail``: ``index`` from 0, and ``n_clips`` where it is known."""
FIRST_FRAME = "first_frame"
"""A viewer could see the first frame now. ``detail.at_end`` is true where that is only at the end."""
SAVED = "saved"
"""The video is under its final name."""
WARNING = "warning"
"""Something that a reader of the times or of the picture must know. ``detail.text`` says it."""

EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Event(PlainData):
    """Something that happened while a video was made.

    Attributes
    ----------
    name : str
        One of those above, or a driver's own.
    time_s : float
        Seconds since the request.
    detail : dict
        Plain values that belong to it.
    """

    name: EventName
    time_s: Annotated[float, Field(ge=0)]
    detail: dict[str, JsonValue] = Field(default_factory=dict)


OnEvent = Callable[[Event], None]
"""Called for each event as it happens, in the thread that makes the video."""


class Timeline:
    """Collects the events of one request; time runs from its making on a clock that never jumps.

    Parameters
    ----------
    on_event : callable, optional
        Called with each event as it happens.
    clock : callable
        Gives the time, seconds.
    """

    def __init__(self, on_event: OnEvent | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._on_event = on_event
        self._events: list[Event] = []

    def mark(self, name: str, /, **detail: JsonValue) -> Event:
        """Note that something has just happened."""
        event = Event(name=name, time_s=self.now_s, detail=detail)
        self.add(event)
        return event

    def add(self, event: Event) -> None:
        """Take an event that was timed elsewhere, on a clock that started together with this one."""
        self._events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    @property
    def now_s(self) -> float:
        """Seconds since the request."""
        return self._clock() - self._start_s

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened so far, in order."""
        return tuple(self._events)
