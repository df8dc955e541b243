"""What holds for every request: by which name, by which method, how often, how large; and for every response's headers."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; media-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "x-robots-tag": "noindex",
    "cache-control": "private, no-store",
}
MOST_BYTES = 8 * 1024
"""Of a form: some ten fields."""
LONGEST_ARRIVAL_S = 15.0
"""From the headers of a form to its last byte."""
MOST_FIELDS = 12


class Problem(Exception):  # noqa: N818 - it is a page that people read
    """What a rater did that cannot be done, or what went wrong here.

    Parameters
    ----------
    status : int
        Of HTTP.
    key : str
        Of the sentence that says so, in `evalkit.words.language`.
    go_on : bool
        Whether a button leads to the present page.
    """

    def __init__(self, status: int, key: str, *, go_on: bool = False) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.go_on = go_on


class Allowance:
    """How many requests each visitor may make: so many at once, then so many a second.

    Parameters
    ----------
    at_once, per_s : float
    clock : callable
        Gives seconds.
    n_visitors : int
        Those who came last; the others are forgotten.
    """

    def __init__(
        self, at_once: float, per_s: float, clock: Callable[[], float], n_visitors: int = 10_000
    ) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._clock = clock
        self._n_visitors = n_visitors
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, visitor: str) -> bool:
        """Take one request of a visitor's; False if none is left."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(visitor, (self._at_once, now))
            left = min(self._at_once, left + max(0.0, now - since) * self._per_s)
            is_free = left >= 1
            self._left[visitor] = (left - is_free, now)
            if len(self._left) > self._n_visitors:
                self._left.popitem(last=False)
        return is_free


class Guard:
    """An application behind its checks.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names and addresses by which it may be asked for, without ports: another name is somebody else's page that
        was made to lead here (DNS rebinding).
    explain : callable
        Makes the page of a problem.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str], explain: Callable[[Request, Problem], Response]
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._find_problem(scope)
        app = self._app if problem is None else self._explain(Request(scope), problem)
        await app(scope, receive, send_safely)

    def _find_problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if _name_of(headers.get("host", "")) not in self._hosts:
            return Problem(421, "wrong_host")
        if scope["method"] not in {"GET", "POST"}:
            return Problem(405, "no_method")
        if scope["method"] == "POST" and headers.get("sec-fetch-site", "same-origin") not in {
            "same-origin",
            "none",
        }:
            return Problem(403, "not_asked", go_on=True)
        return None


async def read_form(request: Request, *, most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """Return the fields of a form.

    Parameters
    ----------
    request : Request
    most_bytes : int

    Raises
    ------
    Problem
        For one that is too large or too slow, is none, or has a field twice.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(LONGEST_ARRIVAL_S):
            async for part in request.stream():
                body += part
                if len(body) > most_bytes:
                    raise Problem(413, "too_large", go_on=True)
    except TimeoutError:
        raise Problem(408, "too_slow", go_on=True) from None
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:  # of UnicodeDecodeError too
        raise Problem(400, "invalid", go_on=True) from None
    if len(dict(fields)) != len(fields):
        raise Problem(400, "invalid", go_on=True)
    return dict(fields)


def _name_of(host: str) -> str:
    """Return the name in a header ``Host``, without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
