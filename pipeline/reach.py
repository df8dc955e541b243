"""Whether a host can be reached from here, without asking it anything."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT_S = 3.0
_PORTS = {"http": 80, "https": 443}


def find_no_way(url: str, environment: Mapping[str, str] | None = None) -> str:
    """Return why a host cannot be reached; empty where it, or the proxy before it, takes a connection.

    The connection is closed at once: nothing is sent.

    Parameters
    ----------
    url : str
        Of something at that host.
    environment : mapping, optional
        Variables set beside the inherited ones.
    """
    parts = urlsplit(url)
    proxy = _find_proxy(parts.scheme, parts.hostname or "", {**os.environ, **(environment or {})})
    if proxy:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = parts.port or _PORTS.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), timeout=_LIMIT_S).close()
    except (OSError, ValueError) as error:
        return f"{parts.hostname} does not answer ({error})"
    return ""


def _find_proxy(scheme: str, host: str, variables: Mapping[str, str]) -> str | None:
    """Return the proxy that clients take for a host, by the usual variables."""
    named = {name.lower(): value for name, value in variables.items() if value}
    spared = [word.strip().lstrip(".") for word in named.get("no_proxy", "").split(",")]
    if "*" in spared or any(word and (host == word or host.endswith(f".{word}")) for word in spared):
        return None
    return named.get(f"{scheme}_proxy") or named.get("all_proxy")
