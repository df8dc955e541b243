"""Calling a service that speaks OpenAI's HTTP interface: one try, bounded in time and size, with distinct errors.

OpenAI itself, DashScope's compatible mode, vLLM, Ollama and many others are called the same way. A key is read from an
environment variable at each call and is in no setting, error, event or result. Trying again is the business of
`pipeline.fallback`.
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from pipeline.errors import GenerationError, RequestError
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from openai import OpenAI

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_NO_KEY = "none"  # local servers want none; the client would fall back to OPENAI_API_KEY
_MAX_ANSWER_BYTES = 64 * 2**20
_MAX_QUOTED = 200
_HIDDEN = "(the key)"


class EndpointSettings(PlainData):
    """Which service.

    Attributes
    ----------
    base_url : str
        Up to and with ``/v1``: ``https://dashscope.aliyuncs.com/compatible-mode/v1``,
        ``http://localhost:11434/v1`` …
    model : str
        The service's name for it.
    key_variable : str or None
        Name of the environment variable with the key; ``None`` where the service needs none.
    time_limit_s : float
        Seconds for one call, from connecting to the last byte.
    """

    base_url: str = Field(description="an address that begins with http:// or https://")
    model: str = Field(min_length=1, description="the service's name of a model")
    key_variable: str | None = Field(
        default=None, description="NAME of the environment variable that holds the key"
    )
    time_limit_s: float = Field(default=60.0, gt=0, le=3600, description="seconds, above 0, at most 3600")


class ServiceError(GenerationError):
    """A service that did not do what it was asked.

    Parameters
    ----------
    message, kind : str
        As in `GenerationError`; ``unreachable``, ``timed_out``, ``rate_limited``, ``server_error``, ``bad_answer``,
        ``wrong_key`` or ``refused_by_service``.
    again : bool
        Whether the same call may succeed later.
    after_s : float, optional
        Seconds to wait before that, where the service says.
    """

    def __init__(self, message: str, kind: str, *, again: bool = False, after_s: float | None = None) -> None:
        super().__init__(message, kind)
        self.again = again
        self.after_s = after_s


NO_KEY = "no_key"
"""Kind of the refusal of a service whose key is not there: what else is named can do its work."""


class Endpoint:
    """One service; see `EndpointSettings`.

    Raises
    ------
    RequestError
        If the address or the name of the variable is none, or the variable holds no key.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        _refuse_address(settings.base_url)
        self._settings = settings
        self._key()

    def call(self, send: Callable[[OpenAI], AbstractContextManager[Any]]) -> bytes:
        """Make one call and return the body of the answer.

        Parameters
        ----------
        send : callable
            Given the client; returns one of its streaming responses (``client.….with_streaming_response.create``).

        Raises
        ------
        ServiceError
            If there is no answer, or it is an error.
        """
        from openai import OpenAI

        limit_s = self._settings.time_limit_s
        end_s = time.monotonic() + limit_s
        key = self._key()
        with (
            self._explaining(key),
            OpenAI(
                base_url=self._settings.base_url,
                api_key=key or _NO_KEY,
                timeout=limit_s,
                max_retries=0,
            ) as client,
        ):
            client.organization = client.project = (
                None  # taken from the environment, meant for another service
            )
            body = bytearray()
            with send(client) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if time.monotonic() > end_s:
                        raise self._error(f"did not finish its answer within {limit_s:g} s", "timed_out")
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise self._error(f"answers with more than {_MAX_ANSWER_BYTES} bytes", "bad_answer")
            return bytes(body)

    def call_for_json(self, send: Callable[[OpenAI], AbstractContextManager[Any]]) -> Any:
        """Make one call and return the JSON it answers with; otherwise as `call`."""
        body = self.call(send)
        try:
            return json.loads(body)
        except ValueError:  # cut off, or no JSON, or no UTF-8
            raise self.bad_answer(f"{len(body)} bytes that are not complete JSON") from None

    def bad_answer(self, what: str) -> ServiceError:
        """Return the error for an answer that is a success and cannot be used; it may be better next time."""
        return self._error(f"answered with {what}", "bad_answer", again=True)

    def _key(self) -> str | None:
        name = self._settings.key_variable
        if name is None:
            return None
        if not _VARIABLE.fullmatch(name):
            raise RequestError(
                "key_variable must be the NAME of an environment variable, capital letters, digits and _ "
                "(what was given is not shown: it may be a key)"
            )
        key = os.environ.get(name, "")
        if not key:
            raise RequestError(
                f"the environment variable {name} is not set; it must hold the service's key", NO_KEY
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise RequestError(f"the environment variable {name} holds no key: there is white space in it")
        return key

    def _error(self, what: str, kind: str, **more: Any) -> ServiceError:
        return ServiceError(f"{self._settings.base_url} ({self._settings.model}) {what}", kind, **more)

    @contextmanager
    def _explaining(self, key: str | None) -> Iterator[None]:
        """Turn the client's errors into ours. None of them is chained: they hold the request with its headers."""
        import httpx2
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise self._error(
                f"did not answer within {self._settings.time_limit_s:g} s", "timed_out"
            ) from None
        except openai.APIStatusError as error:
            raise self._explain_status(error, key) from None
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            reason = _hide(str(error.__cause__ or error), key)
            raise self._error(f"cannot be reached: {reason}", "unreachable", again=True) from None
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise self._error(f"failed: {_hide(str(error), key)}", "bad_answer", again=True) from None

    def _explain_status(self, error: Any, key: str | None) -> ServiceError:
        status = error.status_code
        said = f"says {status}: {_hide(error.message.removeprefix(f'Error code: {status}').removeprefix(' - '), key)}"
        if status in {401, 403}:
            cure = f"; see {self._settings.key_variable or 'key_variable'}"  # its words may quote parts of the key
            return self._error(f"says {status}{cure}", "wrong_key")
        if status == 429:
            after_s = _read_retry_after(error.response.headers.get("retry-after"))
            used_up = error.code == "insufficient_quota"
            return self._error(said, "rate_limited", again=not used_up, after_s=after_s)
        if status >= 500 or status in {408, 409}:
            after_s = _read_retry_after(error.response.headers.get("retry-after"))
            return self._error(said, "server_error", again=True, after_s=after_s)
        return self._error(said, "refused_by_service")


def _refuse_address(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
        parts = None
    if parts is not None and ("@" in parts.netloc or parts.query or parts.fragment):
        raise RequestError(
            "base_url may hold no user, password, query or fragment (it is not shown: there may be a key in it); "
            "a key goes into an environment variable, named by key_variable"
        )
    if not usable:
        raise RequestError(f"base_url is {base_url!r}; it must begin with http:// or https:// and a host")


def _read_retry_after(value: str | None) -> float | None:
    """Read the header: seconds, or a date; ``None`` where there is none that can be read."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _hide(text: str, key: str | None) -> str:
    text = " ".join((text.replace(key, _HIDDEN) if key else text).split())
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"
