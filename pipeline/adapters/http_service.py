"""An HTTP service that does one thing at a time: its errors in words, and a lock that keeps other work away."""

from __future__ import annotations

import email.utils
import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import GenerationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2

_CONNECT_LIMIT_S = 10.0
_IDLE_LIMIT_S = 10.0
"""A service that is not at work says what it offers in milliseconds."""
_POLL_S = 0.05
_MAX_ANSWER_BYTES = 1 << 20
_N_QUOTED = 300
Failures = Mapping[str, tuple[re.Pattern[str], str]]
"""Kind of an error, then what a service says where it fails so, and the cure; the first that matches counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came with a file that a service handed out.

    Parameters
    ----------
    written_s : float or None
        When the file was last written, by the service's clock, whole seconds since 1970; None where it does not say.
    tag : str or None
        The service's name for this file as it is now; None where it gives none.
    """

    written_s: float | None
    tag: str | None


class HttpService:
    """One service, by its address.

    Parameters
    ----------
    address : str
        As in ``http://127.0.0.1:8003``. Proxies that the environment names are not used.
    time_limit_s : float
        Seconds for a whole request.
    stall_limit_s : float
        Seconds that it may be silent; while it makes a video it says nothing.
    failures : mapping
        How its errors are told apart; any other is a ``server_error``.

    Attributes
    ----------
    key : str
        The same for two addresses that are one.
    """

    def __init__(
        self, address: str, *, time_limit_s: float, stall_limit_s: float, failures: Failures
    ) -> None:
        self.address = address.rstrip("/")
        self.key = self.address.lower().replace("://localhost", "://127.0.0.1")
        self._time_limit_s = time_limit_s
        self._stall_limit_s = min(stall_limit_s, time_limit_s)
        self._failures = failures
        self._client: httpx2.Client | None = None

    def require_endpoint(self, path: str) -> float | None:
        """Check that the service is there, offers an endpoint, and is not busy.

        Returns
        -------
        float or None
            The time by its own clock, whole seconds since 1970, late by as much as it was busy before; None where it
            does not say.

        Raises
        ------
        GenerationError
            ``unreachable``, ``wrong_service`` or ``busy``.
        """
        import httpx2

        try:
            answer = self._open().get("/openapi.json", timeout=_IDLE_LIMIT_S)
            offered = answer.json()["paths"]
        except httpx2.ReadTimeout:
            raise GenerationError(
                f"{self.address} accepts connections and does not answer for {_IDLE_LIMIT_S:g} s: it is busy with another "
                f"request, or hangs",
                "busy",
            ) from None
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None
        except (ValueError, KeyError, TypeError):
            offered = ()
        if path not in offered:
            raise GenerationError(
                f"{self.address} is another service: it does not offer {path} (its /docs lists what it offers)",
                "wrong_service",
            )
        return _read_time(answer.headers.get("date"))

    def ask(self, path: str, **content: Any) -> dict[str, Any]:
        """Post something and return the JSON object that is answered; content as of ``httpx2.Client.post``."""
        body = bytearray()
        self._post(path, body.extend, **content)
        try:
            told = json.loads(body)
        except ValueError as error:
            raise GenerationError(
                f"{self.address}{path} answered with incomplete JSON ({error}): {_quote(bytes(body))}",
                "bad_answer",
            ) from None
        if not isinstance(told, dict):
            raise GenerationError(
                f"{self.address}{path} answered {_quote(bytes(body))}, no object", "bad_answer"
            )
        return told

    def fetch(self, path: str, into: Path, *, on_answer: Callable[[], object], **content: Any) -> Answer:
        """Post something and write what is answered to a file.

        Parameters
        ----------
        path : str
            Endpoint.
        into : Path
            Written; what is in it is not looked at here.
        on_answer : callable
            Told when the file begins to come.
        **content
            As of ``httpx2.Client.post``.
        """
        with into.open("wb") as file:
            return self._post(path, file.write, on_answer=on_answer, **content)

    @contextmanager
    def alone(self, wait_limit_s: float) -> Iterator[Note]:
        """Keep every other thread and process of this machine away from it, by a lock on a file of its address.

        The lock is the kernel's: it goes with the process that holds it.

        Yields
        ------
        Note
            For what others must know about the service, such as the models that it has loaded.

        Raises
        ------
        GenerationError
            ``busy`` if others hold it for longer than this.
        """
        handle = _open_shared(self._lock_path)
        try:
            limit = time.monotonic() + wait_limit_s
            while not _try_lock(handle):
                if time.monotonic() > limit:
                    raise GenerationError(
                        f"{self.address} is in use by other work on this machine for more than {wait_limit_s:g} s",
                        "busy",
                    )
                time.sleep(_POLL_S)
            yield Note(handle)
        finally:
            os.close(handle)

    def read_note(self) -> dict[str, Any]:
        """Return its last note, without waiting; empty where it was never used from this machine."""
        if not self._lock_path.is_file():
            return {}
        handle = _open_shared(self._lock_path)
        try:
            return Note(handle).read()
        finally:
            os.close(handle)

    def close(self) -> None:
        """Let connections go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def _lock_path(self) -> Path:
        name = f"service-{hashlib.sha256(self.key.encode()).hexdigest()[:16]}.lock"
        return Path(tempfile.gettempdir()) / name

    def _open(self) -> httpx2.Client:
        import httpx2

        if self._client is None:
            limits = httpx2.Timeout(self._stall_limit_s, connect=min(_CONNECT_LIMIT_S, self._stall_limit_s))
            self._client = httpx2.Client(base_url=self.address, timeout=limits, trust_env=False)
        return self._client

    def _post(
        self,
        path: str,
        take: Callable[[bytes], object],
        *,
        on_answer: Callable[[], object] = lambda: None,
        **content: Any,
    ) -> Answer:
        import httpx2

        limit = time.monotonic() + self._time_limit_s
        place = f"{self.address}{path}"
        try:
            with self._open().stream("POST", path, **content) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise self._refusal(place, answer)
                on_answer()
                for piece in answer.iter_bytes():
                    take(piece)
                    if time.monotonic() > limit:
                        raise GenerationError(
                            f"{place} had not finished its answer after {self._time_limit_s:g} s", "timed_out"
                        )
                return Answer(_read_time(answer.headers.get("last-modified")), answer.headers.get("etag"))
        except (httpx2.ReadTimeout, httpx2.WriteTimeout):
            raise GenerationError(
                f"{place} was silent for {self._stall_limit_s:g} s and was given up; it may still be at work",
                "stalled",
            ) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise self._unreachable(error) from None
        except httpx2.RequestError as error:
            raise GenerationError(f"{place} broke off: {error}", "broken_off") from None

    def _refusal(self, place: str, answer: httpx2.Response) -> GenerationError:
        """Turn an error status into an error, with what the service said about it."""
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _MAX_ANSWER_BYTES:
                break
        try:
            said = str(json.loads(body)["detail"])
        except (ValueError, KeyError, TypeError):
            said = _quote(body)
        for kind, (pattern, cure) in self._failures.items():
            if pattern.search(said):
                return GenerationError(f"{place} answered {answer.status_code}: {said}: {cure}", kind)
        return GenerationError(f"{place} answered {answer.status_code}: {said}", "server_error")

    def _unreachable(self, error: Exception) -> GenerationError:
        return GenerationError(
            f"nothing answers at {self.address} ({error}): start the service there, or set its address",
            "unreachable",
        )


class Note:
    """Names and plain values kept in the lock's file."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self) -> dict[str, Any]:
        """Return what was written; empty if nothing was, or nothing that can be read."""
        try:
            return dict(json.loads(os.pread(self._handle, _MAX_ANSWER_BYTES, 0)))
        except (ValueError, TypeError):
            return {}

    def write(self, name: str, value: Any) -> None:
        """Write a plain value under a name, instead of what was there."""
        whole = json.dumps({**self.read(), name: value}).encode()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, whole, 0)


def _open_shared(path: Path) -> int:
    """Open a file that other users of this machine may open too."""
    try:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            os.fchmod(handle, 0o666)
            return handle
    except OSError as error:
        raise GenerationError(f"the lock {path} cannot be opened: {error.strerror}", "busy") from None


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_time(header: str | None) -> float | None:
    """Read a date of HTTP; None where there is none that can be read."""
    try:
        return None if header is None else email.utils.parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None


def _quote(body: bytes) -> str:
    text = body[:_N_QUOTED].decode("utf-8", errors="replace").strip()
    return repr(text) if text else "nothing"
