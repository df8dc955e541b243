"""The connection to a Ray cluster. Whatever is wrong with one is a sentence that names it, and its cure."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evalkit import __version__
from evalkit.errors import UsageError
from evalkit.execution.executors import ExecutorError
from evalkit.formatting import count, in_one_line
from pipeline.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTO, LOCAL, CLIENT = "auto", "local", "ray://"
_FLAG = "--ray-address"
_START = "start one with 'ray start --head'"
_ANSWER_S = 5.0
"""How long a host may take to accept a connection."""
_PROBE_S = 20.0
"""How long a cluster may take to say who it is; importing Ray is part of it."""
_LOST_AFTER_S = 20.0
"""How long the head of a cluster may accept no connection: it may be started again in its place."""
_LOOK_EVERY_S = 2.0
_RAY_GIVES_UP_S = 600
"""Ray ends the whole process when it has not reached the head for so long; we say what happened well before."""
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


class ClusterError(ExecutorError):
    """A cluster that cannot be used as it is.

    Parameters
    ----------
    found : str
        What is wrong, with the address or the node and what was seen.
    cure : str
        What to do.
    """

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(f"{found}; {cure}")
        self.found = found
        self.cure = cure

    def __reduce__(self) -> tuple[type[ClusterError], tuple[str, str]]:
        return ClusterError, (self.found, self.cure)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster.

    Parameters
    ----------
    id : str
        As Ray counts them, in hexadecimal.
    address : str
        IP address.
    cpus, gpus : float
        What Ray may give out of it, in use or not.
    """

    id: str
    address: str
    cpus: float
    gpus: float

    def count_bundles(self, cpus: int, gpus: int) -> int:
        """Return how many times it has so many processor cores and GPUs together."""
        shares = [there // wanted for there, wanted in ((self.cpus, cpus), (self.gpus, gpus)) if wanted]
        return int(min(shares, default=0))


class Connection:
    """A connection of this process to a cluster, see `connect`.

    Parameters
    ----------
    address : str
        Of the cluster, as people would give it.
    ours : bool
        Whether `connect` made it.
    own_node : str
        ``HOST:PORT`` of Ray's process on this machine; empty where there is none.
    """

    def __init__(self, address: str, *, ours: bool, own_node: str = "") -> None:
        self.address = address
        self._is_ours = ours
        self._looked_s = time.monotonic()
        gone = ClusterError(
            f"the Ray cluster at {address} is gone: its head has accepted no connection for {_LOST_AFTER_S:.0f} s",
            _START,
        )
        self._ends = {address: gone, own_node: _no_node("this machine is no node", address)}
        self._silent_since_s: dict[str, float] = {}

    def check(self) -> None:
        """Refuse a cluster that is gone; takes next to no time, so that it can be called while waiting.

        Looked at are its head, and Ray's process on this machine: Ray itself waits for either, for the head until it ends
        this process without a word of ours.

        Raises
        ------
        ClusterError
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for place, error in self._ends.items():
            if not _has_port(place) or not _explain_silence(place):
                self._silent_since_s.pop(place, None)
            elif now_s - self._silent_since_s.setdefault(place, now_s) >= _LOST_AFTER_S:
                raise error

    def answers(self) -> bool:
        """Whether its head, and Ray's process on this machine, can be reached now: if not, most calls of Ray wait for minutes."""
        return not any(_has_port(place) and _explain_silence(place) for place in self._ends)

    def close(self) -> None:
        """End it where `connect` made it; one that the process had before stays. A second call does nothing."""
        if self._is_ours:
            self._is_ours = False
            import ray

            with contextlib.suppress(Exception):  # a cluster that is gone has nothing to be told
                ray.shutdown()


def connect(address: str) -> Connection:
    """Connect this process to a cluster, or join the connection that it has.

    Ray's usage statistics, its dashboard and what it writes to the terminal are off.

    Parameters
    ----------
    address : str
        ``auto`` for the cluster that was started last on this machine, or as the variable RAY_ADDRESS says; ``local`` to
        start one that ends with this process; ``HOST:PORT`` of a cluster that this machine is a node of;
        ``ray://HOST:PORT`` of any.

    Raises
    ------
    UsageError
        If Ray is not installed, or it is no address.
    ClusterError
        If there is no such cluster, it cannot be reached, or it runs other versions.
    """
    _require("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(_RAY_GIVES_UP_S))
    os.environ.setdefault("RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S", "5")
    import ray

    if ray.is_initialized():
        return Connection(_address_of_this_process(), ours=False, own_node=_own_node())
    if address == LOCAL:
        _init(LOCAL, LOCAL, include_dashboard=False)
        return Connection(_address_of_this_process(), ours=True, own_node=_own_node())
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS") or AUTO
    if address.startswith(CLIENT):
        _require("grpc")
        _check_address(address)
        _init(address, address)
        return Connection(address, ours=True)
    address = _find() if address == AUTO else address
    _check_address(address)
    _check_cluster(address)
    _init(address, address)
    return Connection(address, ours=True, own_node=_own_node())


def list_nodes() -> list[Node]:
    """List the nodes that are alive of the cluster that this process is connected to, in the order of their addresses."""
    import ray

    return sorted(
        (
            Node(
                node["NodeID"],
                node["NodeManagerAddress"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
            )
            for node in ray.nodes()
            if node["Alive"]
        ),
        key=lambda node: (node.address, node.id),
    )


def count_places(address: str, *, cpus: int, gpus: int) -> int:
    """Count the places of a cluster that have so many processor cores and GPUs each, in use or not.

    Raises
    ------
    UsageError
        As `connect`.
    ClusterError
        As `connect`, and where there is no such place.
    """
    connection = connect(address)
    try:
        n_places = sum(node.count_bundles(cpus, gpus) for node in list_nodes())
        if not n_places:
            wanted = " and ".join(count(n, word) for n, word in ((cpus, "CPU"), (gpus, "GPU")) if n)
            raise ClusterError(
                f"no node of the Ray cluster at {connection.address} has {wanted}: there are {describe_room()}",
                f"ask for less, or add a node with 'ray start --address={connection.address}'",
            )
        return n_places
    finally:
        connection.close()


def describe_room() -> str:
    """Say what the cluster has that this process is connected to, and what of it is free."""
    import ray

    nodes = list_nodes()
    free = ray.available_resources()
    parts = []
    for key, word, total in (
        ("CPU", "CPU", sum(node.cpus for node in nodes)),
        ("GPU", "GPU", sum(node.gpus for node in nodes)),
    ):
        parts.append(f"{count(int(total), word)} ({free.get(key, 0.0):g} free)" if total else f"no {word}")
    return f"{' and '.join(parts)} in {count(len(nodes), 'node')}"


def is_full() -> bool:
    """Whether the cluster that this process is connected to has no processor or no GPU to give, of those that it has."""
    import ray

    free, total = ray.available_resources(), ray.cluster_resources()
    return any(total.get(key, 0.0) > 0 and free.get(key, 0.0) < 1 for key in ("CPU", "GPU"))


def is_loss(error: BaseException) -> bool:
    """Whether Ray raised an error where a cluster was at work.

    It raises an `OSError` without a number, which no file does, when it cannot talk to its own process on this machine.
    """
    import ray

    return isinstance(error, (ray.exceptions.RayError, ConnectionError)) or (
        isinstance(error, OSError) and error.errno is None
    )


def explain_loss(error: BaseException, address: str) -> str:
    """Say what it means that Ray raised something where a cluster was at work, in one sentence."""
    import ray

    lost_here = getattr(ray.exceptions, "LocalRayletDiedError", ())
    if isinstance(error, ConnectionError):
        return f"the connection to the Ray cluster at {address} is lost ({_words(error)}); {_START} if it is gone"
    if isinstance(error, OSError) or (lost_here and isinstance(error, lost_here)):
        return str(_no_node("this machine is no node", address))
    return f"the Ray cluster at {address} does not do what it is asked: {_words(error)}"


def explain_failed_start(error: BaseException, address: str) -> str:
    """Say why nothing can be started on the nodes of the cluster that this process is connected to, in one sentence."""
    import ray

    nodes = {node["NodeID"]: node["Alive"] for node in ray.nodes()}
    if not any(nodes.values()):
        return str(_no_node("no machine is a node", address))
    if not nodes.get(ray.get_runtime_context().get_node_id(), True):
        return str(_no_node("this machine is no node", address))
    look = f"evalkit doctor --executor ray --ray-address {address}"
    if "No module named 'evalkit" in str(error):
        return (
            f"a node of the Ray cluster at {address} has no evalkit: pip install evalkit=={__version__} there; which it is "
            f"says '{look}'"
        )
    last = str(error).strip().rpartition("\n")[2]
    return f"the Ray cluster at {address} cannot start what works there: {last.rstrip('.')}; look at it with '{look}'"


def _no_node(what: str, address: str) -> ClusterError:
    return ClusterError(
        f"{what} of the Ray cluster at {address} any more: Ray's process there died",
        f"start it again with 'ray start --address={address}'",
    )


def _require(module: str) -> None:
    if find_spec(module) is None:
        name = {"ray": "the executor 'ray'", "grpc": f"an address {CLIENT}HOST:PORT"}[module]
        raise UsageError(f"{name} cannot be used: {module} is not installed: {how_to_install('ray')}")


def _address_of_this_process() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _own_node() -> str:
    """Return where Ray's process on this machine listens; empty for a client, which has none."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    own = [node for node in ray.nodes() if node["NodeID"] == here and _is_here(node["NodeManagerAddress"])]
    return f"{own[0]['NodeManagerAddress']}:{own[0]['NodeManagerPort']}" if own else ""


def _find() -> str:
    """Find the cluster that was started last on this machine."""
    found = _ask()
    address = str(found.get("address", ""))
    if not address:
        raise ClusterError(
            "no Ray cluster runs on this machine", f"{_START}, or give the address of one with {_FLAG}"
        )
    if _explain_silence(address):
        raise ClusterError(
            f"no Ray cluster runs on this machine: nothing listens at {address}, where the last one was",
            f"{_START}, or give the address of one with {_FLAG}",
        )
    return address


def _check_address(address: str) -> None:
    """Refuse what is no address, and one where nothing listens."""
    if not _has_port(address):
        raise UsageError(
            f"{address!r} is no address of a Ray cluster; allowed for {_FLAG}: auto, local, HOST:PORT, {CLIENT}HOST:PORT"
        )
    if silence := _explain_silence(address):
        what = "server for clients" if address.startswith(CLIENT) else "Ray cluster"
        raise ClusterError(
            f"no {what} is at {address}: {silence}",
            f"start one there with 'ray start --head', or give another address with {_FLAG}",
        )


def _check_cluster(address: str) -> None:
    """Refuse what is no cluster, one of other versions, and one that this machine is no node of."""
    found = _ask(address)
    here = _version_of_ray(), platform.python_version()
    if "ray" not in found:
        raise ClusterError(
            f"what listens at {address} is no Ray cluster that Ray {here[0]} understands",
            f"give the address of its head with {_FLAG} (its port is 6379 unless it was started with another), or {CLIENT}HOST:10001",
        )
    _check_versions(address, (found["ray"], found["python"]), here)
    if not any(_is_here(node) for node in found["nodes"]):
        raise ClusterError(
            f"this machine is no node of the Ray cluster at {address} (its nodes: {', '.join(found['nodes'])})",
            f"run 'ray start --address={address}' here, or come from outside with {_FLAG} {CLIENT}"
            f"{address.rpartition(':')[0]}:10001",
        )


def _check_versions(address: str, there: tuple[str, str], here: tuple[str, str]) -> None:
    if there[0] != here[0]:
        raise ClusterError(
            f"the Ray cluster at {address} runs Ray {there[0]} and this is Ray {here[0]}",
            f"pip install ray=={there[0]} here, or start the cluster with Ray {here[0]}",
        )
    if there[1].split(".")[: _python_digits()] != here[1].split(".")[: _python_digits()]:
        raise _other_python(address, there[1], here[1])


def _other_python(address: str, there: str, here: str) -> ClusterError:
    return ClusterError(
        f"the Ray cluster at {address} runs Python {there} and this is Python {here}",
        f"start evalkit with Python {there}, or the cluster with Python {here}",
    )


def _python_digits() -> int:
    """Return how many parts of Python's version Ray wants to be the same."""
    return 2 if os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor" else 3


def _version_of_ray() -> str:
    import ray

    return str(ray.__version__)


def _ask(*address: str) -> dict[str, Any]:
    """Ask in a process of its own, see `evalkit.execution.ray.probe`; empty where there is no answer."""
    command = [sys.executable, "-m", "evalkit.execution.ray.probe", *address]
    with contextlib.suppress(subprocess.TimeoutExpired, json.JSONDecodeError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=False)  # noqa: S603 - ours
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    return {}


def _init(address: str, name: str, **options: Any) -> None:
    """Connect Ray; leave no handler of a signal and no half of a connection behind."""
    import ray
    import ray._private.worker as driver

    # Ray prints pages about workers that died, whatever log_to_driver says; what they mean is said by the results of jobs.
    driver.listen_error_messages = _hear_nothing
    logging.getLogger(
        "ray.util.client.logsclient"
    ).disabled = True  # it writes to the terminal past Ray's own level
    try:
        with _signals_kept(), warnings.catch_warnings(action="ignore"):
            ray.init(address, log_to_driver=False, logging_level="CRITICAL", **options)
    except (Exception, SystemExit) as error:
        with contextlib.suppress(Exception):
            ray.shutdown()
        versions = _VERSIONS.findall(str(error))
        if len(versions) == 2:
            _check_versions(name, *versions)
            raise _other_python(name, versions[0][1], versions[1][1]) from error
        if address == LOCAL:
            raise ClusterError(
                f"no Ray cluster can be started on this machine: {_words(error)}",
                f"{_START} to see why, and give {_FLAG} auto",
            ) from error
        if address.startswith(CLIENT):
            raise ClusterError(
                f"what listens at {name} is no server for Ray's clients that answers: {_words(error)}",
                "its port is 10001 unless 'ray start --head --ray-client-server-port=PORT' said another",
            ) from error
        raise ClusterError(
            f"the Ray cluster at {name} takes no connection: {_words(error)}", "see 'ray status' there"
        ) from error


def _hear_nothing(_worker: Any, _stopped: Any) -> None:
    pass


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back the handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _words(error: BaseException) -> str:
    """Return what an error of Ray says at first, in one line."""
    return in_one_line(str(error)).rstrip(".:") or type(error).__name__


def _has_port(address: str) -> bool:
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    return bool(host) and "/" not in host and port.isdecimal() and 0 < int(port) < 65536


def _explain_silence(address: str) -> str:
    """Say why nothing can be reached at an address; empty where something listens."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except socket.gaierror:
        return f"the host {host!r} is not known"
    except ConnectionRefusedError:
        return "nothing listens there"
    except TimeoutError:
        return f"there is no answer within {_ANSWER_S:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _is_here(address: str) -> bool:
    """Whether an IP address is of this machine: then, and only then, something can listen at it."""
    with contextlib.suppress(OSError, ValueError):
        kind = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(kind) as taken:
            taken.bind((address, 0))
            return True
    return False
