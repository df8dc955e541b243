"""Several backends for one job, asked in order: cloud first, say, and local when that fails or is slow."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field, JsonValue

from pipeline.endpoint import ServiceError
from pipeline.errors import GenerationError, RequestError
from pipeline.plugins import load_plugin
from pipeline.request import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Backend = TypeVar("Backend")
Result = TypeVar("Result")

USED = "used"
"""Outcome of the backend whose result was taken."""
NOT_ENOUGH = "not_enough"
"""Outcome of a backend that worked and whose result was passed over for a better one."""


class BackendSettings(PlainData):
    """One backend, and how much patience it is given.

    Attributes
    ----------
    name : str
        As in its entry-point group.
    settings : dict
        Its own.
    label : str or None
        What to call it in records; its name and model unless given.
    retries : int
        Further tries after a failure that may pass (no connection, too many requests, a fault of the server, an
        answer that cannot be used).
    backoff_s : float
        Seconds before the first further try, doubled before each one after; where the service says how long to
        wait, that counts.
    time_limit_s : float
        Seconds for all its tries together; then the next backend is asked.
    """

    name: str = Field(min_length=1, description="name of a backend")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="setting names to plain values")
    label: str | None = Field(default=None, min_length=1, description="text")
    retries: int = Field(default=1, ge=0, le=10, description="a whole number from 0 to 10")
    backoff_s: float = Field(default=0.5, ge=0, le=60, description="seconds from 0 to 60")
    time_limit_s: float = Field(default=30.0, gt=0, le=3600, description="seconds, above 0, at most 3600")

    @property
    def called(self) -> str:
        """Its label, or its name and model."""
        model = self.settings.get("model")
        return self.label or (f"{self.name} {model}" if isinstance(model, str) else self.name)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking one backend.

    Parameters
    ----------
    backend : str
        Its label.
    outcome : str
        `USED`, `NOT_ENOUGH`, or the kind of its last failure.
    took_s : float
        Seconds, waiting between tries included.
    n_tries : int
        Times it was asked.
    reason : str
        Why its result was not used; ``""`` where it was.
    """

    backend: str
    outcome: str
    took_s: float
    n_tries: int
    reason: str

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain data."""
        return {
            "backend": self.backend,
            "outcome": self.outcome,
            "took_s": round(self.took_s, 4),
            "n_tries": self.n_tries,
            "reason": self.reason,
        }


@dataclass
class _Link(Generic[Backend]):
    settings: BackendSettings
    backend: Backend
    stray: threading.Thread | None = field(
        default=None
    )  # still at work on something nobody waits for any more


class Fallback(Generic[Backend]):
    """Backends in the order in which they are asked.

    Parameters
    ----------
    group : str
        Their entry-point group.
    chosen : sequence of BackendSettings
        At least one.
    wait : callable
        Waits so many seconds.

    Raises
    ------
    RequestError
        If one is unknown or refuses its settings; the message names it.
    """

    def __init__(
        self, group: str, chosen: Sequence[BackendSettings], *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._links: list[_Link[Backend]] = []
        self._wait = wait
        for settings in chosen:
            factory = load_plugin(group, settings.name)
            try:
                self._links.append(_Link(settings, factory(**settings.settings)))
            except RequestError as error:
                lines = str(error).splitlines()
                raise RequestError("\n".join(f"{settings.called}: {line}" for line in lines)) from None

    @property
    def backends(self) -> tuple[Backend, ...]:
        """All of them, in order."""
        return tuple(link.backend for link in self._links)

    def check(self, check: Callable[[Backend], None]) -> None:
        """Refuse what every backend refuses.

        Raises
        ------
        RequestError
            With all their reasons.
        """
        reasons = []
        for link in self._links:
            try:
                check(link.backend)
            except RequestError as error:
                reasons.append(f"{link.settings.called}: {error}" if len(self._links) > 1 else str(error))
            else:
                return
        raise RequestError("\n".join(reasons))

    def ask(
        self, call: Callable[[Backend], Result], is_enough: Callable[[Result], bool] = lambda _: True
    ) -> tuple[Result, tuple[Attempt, ...]]:
        """Ask one after the other until a result is enough.

        Parameters
        ----------
        call : callable
            Asks one backend; run in a thread of its own, so that its time limit holds.
        is_enough : callable
            Where no result is enough, the last one counts.

        Returns
        -------
        tuple
            The result, and what came of each backend that was asked.

        Raises
        ------
        GenerationError
            ``no_backend`` if none gave a result; the message says why each one did not.
        """
        attempts: list[Attempt] = []
        second_best: tuple[Result, int] | None = None
        for link in self._links:
            start_s = time.monotonic()
            tries = _Tries(link, self._wait, start_s + link.settings.time_limit_s)
            try:
                result = tries.make(call)
            except (RequestError, GenerationError) as error:
                outcome, reason = error.kind, str(error)
            except Exception as error:  # noqa: BLE001 - what fails is passed over, whatever it fails of
                outcome, reason = "crashed", f"{type(error).__name__}: {error}"
            else:
                outcome, reason = USED, ""
                if not is_enough(result):
                    second_best = (result, len(attempts))
                    outcome, reason = NOT_ENOUGH, "another may do better"
            took_s = time.monotonic() - start_s
            attempts.append(Attempt(link.settings.called, outcome, took_s, tries.n_made, reason))
            if outcome == USED:
                return result, tuple(attempts)
        if second_best is None:
            raise GenerationError(_list(attempts), "no_backend")
        result, place = second_best
        taken = attempts[place]
        attempts[place] = Attempt(taken.backend, USED, taken.took_s, taken.n_tries, "")
        return result, tuple(attempts)


class _Tries(Generic[Backend]):
    """The tries of one backend within its time limit."""

    def __init__(self, link: _Link[Backend], wait: Callable[[float], None], end_s: float) -> None:
        self._link = link
        self._wait = wait
        self._end_s = end_s
        self.n_made = 0

    def make(self, call: Callable[[Backend], Result]) -> Result:
        settings = self._link.settings
        while True:
            self.n_made += 1
            try:
                return self._within_time(call)
            except ServiceError as error:
                if not error.again or self.n_made > settings.retries:
                    raise
                pause_s = (
                    settings.backoff_s * 2 ** (self.n_made - 1) if error.after_s is None else error.after_s
                )
                if time.monotonic() + pause_s >= self._end_s:
                    raise ServiceError(
                        f"{error}; the next try, {pause_s:g} s later, would be beyond its {settings.time_limit_s:g} s",
                        error.kind,
                    ) from None
                self._wait(pause_s)

    def _within_time(self, call: Callable[[Backend], Result]) -> Result:
        link = self._link
        if link.stray is not None and link.stray.is_alive():
            raise ServiceError("is still at work on something earlier", "busy")
        done: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put((True, call(link.backend)))
            except Exception as error:  # noqa: BLE001 - raised again by whoever waits
                done.put((False, error))

        thread = threading.Thread(target=work, name=f"asks {link.settings.called}", daemon=True)
        thread.start()
        try:
            worked, result = done.get(timeout=max(0.0, self._end_s - time.monotonic()))
        except queue.Empty:
            link.stray = thread
            raise ServiceError(f"was not done within {link.settings.time_limit_s:g} s", "timed_out") from None
        thread.join()
        if worked:
            answer: Result = result
            return answer
        raise result


def _list(attempts: Iterable[Attempt]) -> str:
    return "; ".join(f"{attempt.backend}: {attempt.reason} ({attempt.outcome})" for attempt in attempts)
