"""The application on a port of this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from evalkit.app.server import LOOPBACK
from evalkit.errors import UsageError

_MOST_HEADER_BYTES = 16 * 1024
_MOST_CONNECTIONS = 4000
_IDLE_S = 15
_LAST_S = 3
_SITE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?")
"""A name or an address, and a port: no user, and nothing that a link cannot hold."""


@dataclass(frozen=True)
class Place:
    """Where raters find the application.

    Parameters
    ----------
    url : str
        What links begin with, without a slash at the end.
    hosts : tuple of str
        Names and addresses by which it may be asked for.
    is_secure : bool
        Whether browsers come by HTTPS.
    is_private : bool
        Whether it can be reached from this machine alone, as far as this machine knows.
    """

    url: str
    hosts: tuple[str, ...]
    is_secure: bool
    is_private: bool


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Parameters
    ----------
    host : str
        Address or name to listen at; ``0.0.0.0`` or ``::`` for all of this machine.
    port : int
        0 for any that is free.

    Raises
    ------
    UsageError
        If it is taken, or this machine has not that address.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        is_both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=2048, dualstack_ipv6=is_both)
    except (OSError, UnicodeError) as error:  # no address can be written so
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen at {host}, port {port}: {why}; another --port may be free (0 takes any)"
        ) from None


def find_place(host: str, port: int, base_url: str | None) -> Place:
    """Say where raters find what listens at a host and port.

    Parameters
    ----------
    host, port
        As of `listen`.
    base_url : str, optional
        What raters' browsers ask for, where a proxy stands in front; see `read_base_url`.

    Raises
    ------
    UsageError
        If it is no address of a site.
    """
    is_everywhere = host in {"0.0.0.0", "::", ""}  # noqa: S104 - the user's own choice
    shown = _outward_address() if is_everywhere else _bracketed(host)
    hosts = {*LOOPBACK, shown, *(_own_names() if is_everywhere else [])}
    is_private = not is_everywhere and _is_loopback(host)
    if base_url is None:
        return Place(f"http://{shown}:{port}", tuple(sorted(hosts)), False, is_private)
    url = read_base_url(base_url)
    name = urlsplit(url).hostname or ""
    hosts.add(_bracketed(name))
    return Place(url, tuple(sorted(hosts)), url.startswith("https:"), is_private and _is_loopback(name))


def read_base_url(text: str) -> str:
    """Return what links begin with, without a slash at the end.

    Raises
    ------
    UsageError
        If it is no address of a site.

    >>> read_base_url("HTTPS://rate.example.org/")
    'https://rate.example.org'
    """
    try:
        parts = urlsplit(text)
        is_site = parts.scheme in {"http", "https"} and parts.port != 0 and _SITE.fullmatch(parts.netloc)
    except ValueError:  # of brackets, or of a port
        is_site = None
    if not is_site or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(
            f"--base-url {text} is no address of a site: it looks like https://rate.example.org, without a path"
        )
    return f"{parts.scheme}://{parts.netloc}"


def serve(app: object, listening: socket.socket, *, is_behind_proxy: bool) -> None:
    """Answer requests until Ctrl-C, which ends it with KeyboardInterrupt when what was under way is done.

    Parameters
    ----------
    app : ASGI application
    listening : socket
        Of `listen`.
    is_behind_proxy : bool
        Whether who asks is read from the headers of a proxy on this machine.
    """
    import uvicorn

    from evalkit.app.connections import PromptProtocol

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,  # it would hold tokens and addresses
        backlog=2048,
        http=PromptProtocol,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        lifespan="off",
        limit_concurrency=_count_connections(),
        log_config=None,
        log_level="warning",
        proxy_headers=is_behind_proxy,
        server_header=False,
        timeout_graceful_shutdown=_LAST_S,
        timeout_keep_alive=_IDLE_S,
        ws="none",
    )
    uvicorn.Server(config).run([listening])


def _count_connections() -> int:
    """Return how many connections may be open at once, and let this process open twice as many files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_files = 2 * _MOST_CONNECTIONS if most == resource.RLIM_INFINITY else min(2 * _MOST_CONNECTIONS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, most))
    return n_files // 2


def _outward_address() -> str:
    """Return the address by which others on the network see this machine; its name where it is on none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of RFC 5737, and nothing is sent
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _own_names() -> list[str]:
    """Return the names and addresses of this machine."""
    import psutil

    addresses = [one.address.partition("%")[0] for all_of in psutil.net_if_addrs().values() for one in all_of]
    found = [socket.gethostname(), socket.getfqdn()]
    for address in addresses:
        with contextlib.suppress(ValueError):  # of a network card
            found.append(_bracketed(str(ip_address(address))))
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
