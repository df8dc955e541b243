"""Several backends for one job, called in order: a cloud first, for instance, and a local one when that fails or is slow."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import Field, JsonValue

from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.endpoint import NO_KEY, ServiceError
from pipeline.errors import GenerationError, Mistake, RequestError, placed_at
from pipeline.events import USED
from pipeline.extras import find_obstacle
from pipeline.options import PlainData
from pipeline.plugins import load_plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Backend = TypeVar("Backend")
Result = TypeVar("Result")

UNSATISFACTORY = "unsatisfactory"
"""Outcome of a backend that worked and whose result was passed over for a better one."""


class BackendSettings(PlainData):
    """One backend, with its time limit and retries.

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
        Seconds for all its tries together; then the next backend is called.
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
    """What came of calling one backend.

    Parameters
    ----------
    backend : str
        Its label.
    outcome : str
        `USED`, `UNSATISFACTORY`, or the kind of its last failure.
    took_s : float
        Seconds, waiting between tries included.
    n_tries : int
        Times it was called.
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
class _Member(Generic[Backend]):
    settings: BackendSettings
    backend: Backend
    abandoned: threading.Thread | None = field(default=None)  # still busy with a call that was given up


class _Refused(NamedTuple):
    """A backend that cannot be called, and why."""

    settings: BackendSettings
    reason: str


def _as_of(called: str, place: tuple[int | str, ...], error: RequestError) -> RequestError:
    """Return a backend's refusal of its settings with its name before each line."""
    refusal = RequestError("\n".join(f"{called}: {line}" for line in str(error).splitlines()))
    found = error.mistakes or (Mistake((), str(error)),)
    refusal.mistakes = tuple(
        Mistake((*place, *mistake.place), f"{called}: {mistake.text}") for mistake in found
    )
    return refusal


class FallbackChain(Generic[Backend]):
    """Backends in the order in which they are called.

    A service whose key is not there is one that fails, as long as there is another.

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
        If one is unknown or refuses its settings, or none has its key; the message names it.
    """

    def __init__(
        self, group: str, chosen: Sequence[BackendSettings], *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._members: list[_Member[Backend] | _Refused] = []
        self._wait = wait
        for number, settings in enumerate(chosen):
            with placed_at(number, "name"):
                factory = load_plugin(group, settings.name)
            if obstacle := find_obstacle(factory):
                self._members.append(_Refused(settings, obstacle))
                continue
            try:
                self._members.append(_Member(settings, factory(**settings.settings)))
            except RequestError as error:
                if error.kind != NO_KEY:
                    raise _as_of(settings.called, (number, "settings"), error) from None
                self._members.append(_Refused(settings, str(error)))
        if self._members and not self.backends:
            self.check(lambda _: None)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those that can be called, in order."""
        return tuple(member.backend for member in self._members if isinstance(member, _Member))

    def diagnose(self, about: str) -> Diagnosis:
        """Say which of them would be called, and what keeps the others from working, as far as they themselves know.

        A backend may have a method ``find_obstacle`` that returns it as a text, empty where there is nothing.

        Parameters
        ----------
        about : str
            What they do.
        """
        obstacles = {member.settings.called: _find_obstacle(member) for member in self._members}
        listed = "; ".join(f"{called}: {obstacle}" for called, obstacle in obstacles.items() if obstacle)
        able = [called for called, obstacle in obstacles.items() if not obstacle]
        if not able:
            return stop(about, listed, "start that service, name its key, or add another backend after it")
        if listed:
            found = f"{listed}; {able[0]} does it instead"
            return warning(about, found, "start that service or name its key, or leave that backend out")
        return fine(about, ", else ".join(able))

    def check(self, check: Callable[[Backend], None]) -> None:
        """Refuse what every backend refuses.

        Raises
        ------
        RequestError
            With all their reasons.
        """
        reasons = []
        for member in self._members:
            if isinstance(member, _Refused):
                reasons.append(f"{member.settings.called}: {member.reason}")
                continue
            try:
                check(member.backend)
            except RequestError as error:
                reasons.append(f"{member.settings.called}: {error}" if len(self._members) > 1 else str(error))
            else:
                return
        raise RequestError("\n".join(reasons))

    def call(
        self, use: Callable[[Backend], Result], is_satisfactory: Callable[[Result], bool] = lambda _: True
    ) -> tuple[Result, tuple[Attempt, ...]]:
        """Call one after the other until a result is satisfactory.

        Parameters
        ----------
        use : callable
            Calls one backend; run in a thread of its own, so that its time limit holds.
        is_satisfactory : callable
            Where no result is satisfactory, the last one counts.

        Returns
        -------
        tuple
            The result, and what came of each backend that was called.

        Raises
        ------
        GenerationError
            ``no_backend`` if none gave a result; the message says why each one did not.
        """
        attempts: list[Attempt] = []
        second_best: tuple[Result, int] | None = None
        for member in self._members:
            if isinstance(member, _Refused):
                attempts.append(Attempt(member.settings.called, NO_KEY, 0.0, 0, member.reason))
                continue
            start_s = time.monotonic()
            tries = _Tries(member, self._wait, start_s + member.settings.time_limit_s)
            try:
                result = tries.make(use)
            except (RequestError, GenerationError) as error:
                outcome, reason = error.kind, str(error)
            except Exception as error:  # noqa: BLE001 - what fails is passed over, whatever it fails of
                outcome, reason = "crashed", f"{type(error).__name__}: {error}"
            else:
                outcome, reason = USED, ""
                if not is_satisfactory(result):
                    second_best = (result, len(attempts))
                    outcome, reason = UNSATISFACTORY, "another may do better"
            took_s = time.monotonic() - start_s
            attempts.append(Attempt(member.settings.called, outcome, took_s, tries.n_made, reason))
            if outcome == USED:
                return result, tuple(attempts)
        if second_best is None:
            raise GenerationError(_list(attempts), "no_backend")
        result, place = second_best
        taken = attempts[place]
        attempts[place] = Attempt(taken.backend, USED, taken.took_s, taken.n_tries, "")
        return result, tuple(attempts)


def _find_obstacle(member: _Member[Backend] | _Refused) -> str:
    if isinstance(member, _Refused):
        return member.reason
    find: Callable[[], str] | None = getattr(member.backend, "find_obstacle", None)
    return "" if find is None else find()


class _Tries(Generic[Backend]):
    """The tries of one backend within its time limit."""

    def __init__(self, member: _Member[Backend], wait: Callable[[float], None], end_s: float) -> None:
        self._member = member
        self._wait = wait
        self._end_s = end_s
        self.n_made = 0

    def make(self, use: Callable[[Backend], Result]) -> Result:
        settings = self._member.settings
        while True:
            self.n_made += 1
            try:
                return self._within_time(use)
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

    def _within_time(self, use: Callable[[Backend], Result]) -> Result:
        member = self._member
        if member.abandoned is not None and member.abandoned.is_alive():
            raise ServiceError("is still busy with an earlier call", "busy")
        done: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put((True, use(member.backend)))
            except Exception as error:  # noqa: BLE001 - raised again by whoever waits
                done.put((False, error))

        thread = threading.Thread(target=work, name=f"asks {member.settings.called}", daemon=True)
        thread.start()
        try:
            worked, result = done.get(timeout=max(0.0, self._end_s - time.monotonic()))
        except queue.Empty:
            member.abandoned = thread
            raise ServiceError(
                f"did not finish within {member.settings.time_limit_s:g} s; its time_limit_s allows more",
                "timed_out",
            ) from None
        thread.join()
        if worked:
            answer: Result = result
            return answer
        raise result


def _list(attempts: Iterable[Attempt]) -> str:
    return "; ".join(f"{attempt.backend}: {attempt.reason} ({attempt.outcome})" for attempt in attempts)
