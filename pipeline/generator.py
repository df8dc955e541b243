"""What a generator is. Found through the entry-point group ``evalkit.generators``.

The entry point is a callable (the class itself, as a rule) that takes the driver's own settings by keyword, refuses
wrong ones with a `RequestError` and does nothing costly: weights are read in `Generator.load`. Whoever drives a generator needs no import of this
package: requests are built by the generator from plain parameters, results and events have ``to_dict``, and errors
are `ValueError` (refused before it started) or `RuntimeError` (started and failed), with a ``kind`` that says how.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import Field, JsonValue

from pipeline.errors import RequestError
from pipeline.request import Event, GenerationRequest, GenerationResult, PlainData, build_request

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from pipeline.diagnosis import Finding

OnEvent = Callable[[Event], None]
"""Called for each event as it happens, in the thread that makes the video."""


class Plan(PlainData):
    """Exactly what would be run.

    Attributes
    ----------
    steps : tuple of str
        What happens in this process, a line a step.
    argv : tuple of str
        The program that would be started, if any, with its arguments.
    folder : str or None
        Working folder of that program; ``None`` for the current one.
    environment : dict
        Variables set for that program beside the inherited ones.
    """

    steps: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    folder: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)

    def text(self) -> str:
        """Return it for people: steps as comments, the program as a line to paste into a POSIX shell."""
        lines = [f"# {step}" for step in self.steps]
        if self.argv:
            words = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
            words += [shlex.quote(word) for word in self.argv]
            folder = f"cd {shlex.quote(self.folder)} && " if self.folder else ""
            lines.append(folder + " ".join(words))
        return "\n".join(lines)


class Description(PlainData):
    """What a generator is and which parameters it heeds.

    Attributes
    ----------
    name, version : str
        As in the results.
    summary : str
        One line.
    parameters : dict of str to str
        Parameters of the request that make a difference, and how; what is not listed has no effect here.
    options : dict
        JSON schema of ``request.options``; empty where there are none.
    settings : dict
        JSON schema of the settings that the entry point takes.
    """

    name: str
    version: str
    summary: str
    parameters: dict[str, str]
    options: dict[str, JsonValue] = Field(default_factory=dict)
    settings: dict[str, JsonValue] = Field(default_factory=dict)


class Generator(Protocol):
    """Makes talking videos. One thread at a time; load once, generate many times, close.

    ``with`` loads and closes.
    """

    name: str
    """As in the entry point."""
    version: str
    """Raised whenever the same request can give another video."""

    def describe(self) -> Description:
        """Say what it is and what it heeds."""
        ...

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request from plain parameters; raise `RequestError` on what is unknown or not allowed.

        A question is not allowed: answering it is the business of `pipeline.dialogue.generator`, for all alike.
        """
        request = build_request(parameters)
        if request.asks:
            raise RequestError(
                f"the generator {self.name!r} answers no questions: put the generator 'conversation' before it"
            )
        return request

    def estimate(self, request: GenerationRequest) -> dict[str, Any]:
        """Return what is known of the memory and the time of a request before it ran here: `pipeline.figures.Figures`.

        As plain data; empty where nothing is known.
        """
        del request
        return {}

    def check(self, request: GenerationRequest) -> None:
        """Check all that can be checked without generating (files, options, length of the sound, sizes).

        Raises
        ------
        RequestError
            With the reason and what to do.
        """
        ...

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return exactly what `generate` would run. Checks the request, runs and writes nothing."""
        ...

    def diagnose(self) -> Sequence[Finding]:
        """Look for what would stop it on this machine; optional, changes nothing and needs nothing loaded.

        Returns
        -------
        sequence of Finding
            What was looked at, also where it is fine (see `pipeline.diagnosis`); empty for a generator with nothing
            of its own to check.
        """
        return ()

    def load(self) -> None:
        """Read the models. A second call does nothing."""
        ...

    def expect(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Be told which requests come next, the first at once; optional, and nobody is bound by it.

        A generator that is quicker with several together may begin with all of them. `generate` then gives each as
        ever, with its own events; where the work had begun before the request came, the first event is `BEGAN`.

        Parameters
        ----------
        requests : sequence of GenerationRequest
            In the order in which they come.
        folder : Path
            A place for what is in the making, under a hidden name that ends in ``.part``; it outlives the requests.
        """

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Make the video.

        Parameters
        ----------
        request : GenerationRequest
            What to make; checked first.
        out_path : Path
            Where to; its folder exists. Only a finished and verified video gets this name: on any error a file
            that was there stays as it was and nothing else is left behind.
        on_event : callable, optional
            Told of each event as it happens.

        Returns
        -------
        GenerationResult
            Measured from the finished file.

        Raises
        ------
        RequestError
            Before anything was run.
        GenerationError
            When it was started and failed.
        """
        ...

    def close(self) -> None:
        """Release models and end every process that was started. A second call does nothing."""
        ...

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Timeline:
    """Collects the events of one request; time runs from its making on a clock that never jumps.

    Parameters
    ----------
    on_event : callable, optional
        Told of each event as it happens.
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
        event = Event(name=name, time_s=self._clock() - self._start_s, detail=detail)
        self._events.append(event)
        if self._on_event is not None:
            self._on_event(event)
        return event

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened so far, in order."""
        return tuple(self._events)
