"""Connecting to a cluster: whatever is wrong with it is one sentence, and nothing of Ray's own words."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evalkit import __version__
from evalkit.errors import UsageError
from evalkit.execution.ray import cluster, nodes
from evalkit.execution.ray.cluster import ClusterError, Connection, Node, connect
from pipeline.diagnosis import Diagnosis

ray = pytest.importorskip("ray")
METADATA = b"CLUSTER_METADATA", b"cluster"


@pytest.fixture(autouse=True)
def _no_address_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give something that accepts connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        yield made


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """Give an address where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        return address_of(made)


def refusal_of(address: str) -> str:
    with pytest.raises(ClusterError) as error:
        connect(address)
    assert not ray.is_initialized()
    text = str(error.value)
    assert "\n" not in text
    assert error.value.cure in text
    return text


# --- nothing there, or something else ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["", "foo", "host:", ":6379", "host:port", "host:0", "host:65536", "http://host:6379", "ray://"],
)
def test_what_is_no_address_is_refused_with_those_that_are(address: str) -> None:
    with pytest.raises(
        UsageError, match=r"no address of a Ray cluster; allowed .*auto, local, HOST:PORT, ray://"
    ):
        connect(address)


def test_nothing_listens(nobody: str) -> None:
    assert refusal_of(nobody) == (
        f"no Ray cluster is at {nobody}: nothing listens there; start one there with 'ray start --head', or give another "
        "address with --ray-address"
    )


def test_the_variable_of_ray_says_where_auto_is(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nobody)
    assert nobody in refusal_of("auto")


def test_a_host_that_there_is_not() -> None:
    assert "the host 'no-such-host.invalid' is not known" in refusal_of("no-such-host.invalid:6379")


def test_what_listens_is_no_cluster(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PROBE_S", 3.0)
    text = refusal_of(address_of(listener))
    assert (
        f"what listens at {address_of(listener)} is no Ray cluster that Ray {ray.__version__} understands"
        in text
    )


def test_no_cluster_runs(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ask", lambda: {"address": ""})
    assert refusal_of("auto").startswith(
        "no Ray cluster runs on this machine; start one with 'ray start --head'"
    )
    monkeypatch.setattr(cluster, "_ask", lambda: {"address": nobody})
    assert f"no Ray cluster runs on this machine: nothing listens at {nobody}, where the last" in refusal_of(
        "auto"
    )


@pytest.mark.parametrize(("module", "address"), [("ray", "auto"), ("grpc", "ray://host:10001")])
def test_what_is_not_installed_is_named_with_the_command(
    module: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(UsageError, match=rf'{module} is not installed: pip install "evalkit\[ray\]"'):
        connect(address)


# --- the head goes away ------------------------------------------------------------------------------------------------


def test_a_head_that_is_gone_for_long_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now_s[0])
    listener = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    address = address_of(listener)
    connection = Connection(address, ours=False)

    def check_at(second: float) -> None:
        now_s[0] = second
        connection.check()

    check_at(110)
    listener.close()
    check_at(120)
    with closing(socket.create_server(("127.0.0.1", listener_port(address)), reuse_port=True)):
        check_at(139)  # it was started again in time
    check_at(141)
    check_at(160)
    with pytest.raises(ClusterError, match=rf"the Ray cluster at {address} is gone: .* 20 s; start one"):
        check_at(162)


def test_a_node_of_ones_own_that_is_gone_for_long_is_lost_too(
    listener: socket.socket, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now_s[0])
    connection = Connection(address_of(listener), ours=False, own_node=nobody)
    now_s[0] = 110
    connection.check()
    now_s[0] = 130
    with pytest.raises(
        ClusterError, match=r"this machine is no node of the Ray cluster at .* any more: Ray's process"
    ):
        connection.check()


def listener_port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_looking_whether_the_head_is_there_costs_nothing_between(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(cluster, "_explain_silence", lambda address: looked.append(address) or "")
    monkeypatch.setattr(cluster.time, "monotonic", iter([0.0, *(0.01 * n for n in range(1, 1000))]).__next__)
    connection = Connection("host:1", ours=False)
    for _ in range(999):
        connection.check()
    assert len(looked) == 4  # in 10 s, every 2 s


# --- a cluster that runs -----------------------------------------------------------------------------------------------


def test_connecting_says_nothing_and_leaves_signals_alone(
    two_nodes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    connection = connect(two_nodes.address)
    try:
        found = cluster.list_nodes()
        assert sorted((node.cpus, node.gpus) for node in found) == [(2.0, 2.0), (2.0, 2.0)]
        assert cluster.describe_room() == "4 CPUs (4 free) and 4 GPUs (4 free) in 2 nodes"
        assert not cluster.is_full()
        assert signal.getsignal(signal.SIGTERM) is before
        assert cluster._explain_silence(cluster._own_node()) == ""
        joined = connect("auto")
        assert joined.address == two_nodes.address
        joined.close()
        assert ray.is_initialized()
    finally:
        connection.close()
        connection.close()
    assert not ray.is_initialized()
    assert capfd.readouterr() == ("", "")


def test_places_are_counted_by_node(two_nodes: Any) -> None:
    assert cluster.count_places(two_nodes.address, cpus=1, gpus=0) == 4
    assert cluster.count_places(two_nodes.address, cpus=2, gpus=1) == 2
    with pytest.raises(
        ClusterError, match=r"no node .* has 3 CPUs and 1 GPU: there are 4 CPUs .*; ask for less, or"
    ):
        cluster.count_places(two_nodes.address, cpus=3, gpus=1)


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        (
            {"ray_version": "2.9.3", "python_version": platform.python_version()},
            "runs Ray 2.9.3 and this is Ray {ray}; pip install ray==2.9.3 here, or start the cluster with Ray {ray}",
        ),
        (
            {"ray_version": ray.__version__, "python_version": "3.10.13"},
            "runs Python 3.10.13 and this is Python {python}; {cure}",
        ),
    ],
)
def test_another_version(two_nodes: Any, versions: dict[str, str], sentence: str) -> None:
    from ray._raylet import GcsClient

    gcs = GcsClient(address=two_nodes.address)
    name, space = METADATA
    before = gcs.internal_kv_get(name, space)
    gcs.internal_kv_put(name, json.dumps(versions).encode(), True, space)
    try:
        text = refusal_of(two_nodes.address)
    finally:
        gcs.internal_kv_put(name, before, True, space)
    python = platform.python_version()
    cure = f"start evalkit with Python 3.10.13, or the cluster with Python {python}"
    here = sentence.format(ray=ray.__version__, python=python, cure=cure)
    assert text == f"the Ray cluster at {two_nodes.address} {here}"


def test_a_machine_that_is_no_node(two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_is_here", lambda _: False)
    host = two_nodes.address.rpartition(":")[0]
    text = refusal_of(two_nodes.address)
    assert f"this machine is no node of the Ray cluster at {two_nodes.address} (its nodes: {host})" in text
    assert f"--ray-address ray://{host}:10001" in text


def test_an_address_is_of_this_machine_or_of_another() -> None:
    assert cluster._is_here("127.0.0.1")
    assert not cluster._is_here("203.0.113.9")
    assert not cluster._is_here("no address")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ray.exceptions.LocalRayletDiedError(),
            (
                "this machine is no node of the Ray cluster at head:1 any more: Ray's process there died; start it again with "
                "'ray start --address=head:1'"
            ),
        ),
        (
            ConnectionError("Client is shutting down\nand more"),
            (
                "the connection to the Ray cluster at head:1 is lost (Client is shutting down); start one with 'ray start "
                "--head' if it is gone"
            ),
        ),
        (
            ray.exceptions.RaySystemError("broken\n  in lines"),
            "the Ray cluster at head:1 does not do what it is asked: System error: broken",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_ray_raises_while_a_cluster_is_at_work_is_a_sentence(error: Exception, sentence: str) -> None:
    assert cluster.is_loss(error)
    assert cluster.explain_loss(error, "head:1") == sentence


def test_a_full_disk_and_a_fault_are_not_taken_for_a_lost_cluster() -> None:
    assert not cluster.is_loss(OSError(errno.ENOSPC, "No space left on device"))
    assert not cluster.is_loss(ValueError("a fault"))
    broken = OSError("Broken pipe")  # as Ray raises it
    assert cluster.is_loss(broken)
    assert cluster.explain_loss(broken, "head:1").startswith(
        "this machine is no node of the Ray cluster at head:1"
    )


def test_why_nothing_starts_on_the_nodes(two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(two_nodes.address)
    try:
        pages = RuntimeError("page one\nModuleNotFoundError: No module named 'evalkit'")
        assert f"has no evalkit: pip install evalkit=={__version__} there" in explain(pages)
        assert "cannot start what works there: ImportError: no libcuda; look" in explain(
            RuntimeError("pages\nImportError: no libcuda.")
        )
        before = ray.nodes()
        here = ray.get_runtime_context().get_node_id()
        monkeypatch.setattr(ray, "nodes", lambda: [{**n, "Alive": n["NodeID"] != here} for n in before])
        assert explain(pages).startswith("this machine is no node of the Ray cluster at head:1 any more")
        monkeypatch.setattr(ray, "nodes", lambda: [{**node, "Alive": False} for node in before])
        assert explain(pages).startswith("no machine is a node of the Ray cluster at head:1 any more")
    finally:
        connection.close()


def explain(error: Exception) -> str:
    return cluster.explain_failed_start(error, "head:1")


# --- what the nodes say --------------------------------------------------------------------------------------------------


def by_level(findings: list[Diagnosis]) -> dict[str, list[Diagnosis]]:
    return {
        level: [finding for finding in findings if finding.level == level]
        for level in ("stop", "warning", "fine")
    }


def test_every_node_is_looked_at_though_the_cluster_is_full(two_nodes: Any) -> None:
    connection = connect(two_nodes.address)
    try:
        taken = [ray.remote(Sleeper).options(num_cpus=2).remote() for _ in range(2)]
        ray.get([sleeper.is_there.remote() for sleeper in taken])
        deadline = threading.Event()
        while not cluster.is_full():  # the head hears of it a moment later
            deadline.wait(0.1)
        found = by_level(nodes.diagnose(two_nodes.address, "reference", {}))
    finally:
        connection.close()
    assert found["stop"] == []
    (full,) = [finding for finding in found["warning"] if finding.about == "cluster"]
    assert "4 CPUs (0 free)" in full.found
    described = [finding for finding in found["fine"] if "evalkit" in finding.found]
    assert len({finding.about for finding in described}) == 2
    for finding, folder in zip(
        sorted(described, key=lambda finding: finding.found.partition("free in ")[2]),
        two_nodes.folders,
        strict=True,
    ):
        for fact in (
            platform.node(),
            f"free in {folder}",
            f"Ray {ray.__version__}",
            f"evalkit {__version__}",
        ):
            assert fact in finding.found
    (invented,) = [finding for finding in found["warning"] if "Ray gives out 2 GPUs" in finding.found]
    assert invented.about == "2 nodes"


class Sleeper:
    """Takes what it was given."""

    def is_there(self) -> bool:
        """Say so."""
        return True


def test_a_node_with_another_evalkit(two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # Ray has workers import from the driver's folder first
    (tmp_path / "old" / "evalkit").mkdir(parents=True)
    (tmp_path / "old" / "evalkit" / "__init__.py").write_text('__version__ = "0.0.9"\n')
    added = two_nodes.cluster.add_node(
        num_cpus=1, object_store_memory=80 << 20, env_vars={"PYTHONPATH": str(tmp_path / "old")}
    )
    try:
        found = by_level(nodes.diagnose(two_nodes.address, "", {}))
    finally:
        two_nodes.cluster.remove_node(added)
    (stop,) = found["stop"]
    assert stop.found == f"evalkit 0.0.9 there and {__version__} here"
    assert stop.cure == f"pip install evalkit=={__version__} there"


def facts(**other: Any) -> dict[str, Any]:
    """Return what a node says where all is well, but for some of it."""
    machine = {
        "host": "node-1",
        "n_cores": 8,
        "memory_mib": 65536,
        "processor": "EPYC",
        "n_cores_available": 8,
        "gpus": [{"name": "NVIDIA H200", "memory_mib": 143771}] * 2,
        "driver": "570.1",
    }
    return {
        "python": platform.python_version(),
        "ray": "2.60.0",
        "evalkit": __version__,
        "machine": machine,
        "of_one_gpu": {**machine, "gpus": machine["gpus"][:1]},
        "findings": [
            {"level": "fine", "about": "temporary files", "found": "80.0 GiB free in /tmp", "cure": ""}
        ],
        "generator": None,
        "evaluators": {"technical": {"version": version_of_technical(), "problem": ""}},
        **other,
    }


def version_of_technical() -> str:
    from evalkit.evaluators.load import evaluator_class

    return str(evaluator_class("technical").version)


def judge(*said: Mapping[str, Any] | str, generator: str = "") -> list[Diagnosis]:
    there = [Node(f"id{number}", f"10.0.0.{number}", 8.0, 2.0) for number, _ in enumerate(said)]
    return nodes.judge(there, {node.id: found for node, found in zip(there, said, strict=True)}, generator)


def test_a_node_is_a_line_with_all_that_matters() -> None:
    (finding,) = judge(facts())
    assert (finding.level, finding.about) == ("fine", "10.0.0.0")
    assert finding.found == (
        f"node-1: 8 of 8 cores, 2 × NVIDIA H200 (140 GiB), driver 570.1, 64 GiB memory, 80.0 GiB free in /tmp, Python "
        f"{platform.python_version()}, Ray 2.60.0, evalkit {__version__}"
    )


DISK = {
    "level": "stop",
    "about": "temporary files",
    "found": "none can be written: full",
    "cure": "make room",
}


@pytest.mark.parametrize(
    ("said", "generator", "level", "words"),
    [
        ("it has not answered within 120 s", "", "stop", "has not answered within 120 s"),
        (
            {"python": platform.python_version(), "ray": "2.60.0", "evalkit": None},
            "",
            "stop",
            f"evalkit is not installed for the Python that runs Ray there, and {__version__} is here",
        ),
        (facts(python="3.11.1"), "", "stop", f"Python 3.11.1 there and {platform.python_version()} here"),
        (facts(findings=[DISK]), "", "stop", "temporary files: none can be written: full"),
        (facts(generator="0"), "reference", "stop", "'reference' has version 0 there and"),
        (
            facts(evaluators={"technical": {"version": "0", "problem": ""}}),
            "",
            "stop",
            f"'technical' has version 0 there and {version_of_technical()} here",
        ),
        (
            facts(evaluators={"brand": {"version": "", "problem": "resvg_py is not installed"}}),
            "",
            "warning",
            "videos measured there lack its metrics: resvg_py is not installed",
        ),
        (
            facts(machine={**facts()["machine"], "gpus": []}),
            "",
            "warning",
            "Ray gives out 2 GPUs of it, and its NVIDIA driver lists 0",
        ),
    ],
)
def test_what_is_wrong_with_a_node_is_said_of_that_node(
    said: Mapping[str, Any] | str, generator: str, level: str, words: str
) -> None:
    findings = judge(facts(), said, generator=generator)
    (wrong,) = [finding for finding in findings if finding.level != "fine"]
    assert (wrong.about, wrong.level) == ("10.0.0.1", level)
    assert words in wrong.found
    assert wrong.cure


def test_what_is_wrong_with_several_nodes_is_said_once() -> None:
    findings = judge(facts(findings=[DISK]), facts(), facts(findings=[DISK]))
    (wrong,) = [finding for finding in findings if finding.level == "stop"]
    assert wrong.about == "2 nodes"
    assert wrong.found == "10.0.0.0, 10.0.0.2: temporary files: none can be written: full"


def test_nodes_of_two_kinds_are_told_apart() -> None:
    other = {**facts()["of_one_gpu"], "driver": "560.2"}
    findings = judge(facts(), facts(of_one_gpu=other), facts())
    (warned,) = [finding for finding in findings if finding.level == "warning"]
    assert warned.about == "machines"
    assert "10.0.0.0, 10.0.0.2: NVIDIA H200 (140 GiB), driver 570.1" in warned.found
    assert "10.0.0.1: NVIDIA H200 (140 GiB), driver 560.2" in warned.found


def test_a_node_of_several_at_one_address_has_a_name_of_its_own() -> None:
    there = [Node("abcdef99", "10.0.0.1", 1.0, 0.0), Node("fedcba99", "10.0.0.1", 1.0, 0.0)]
    names = [
        finding.about for finding in nodes.judge(there, {node.id: f"no {node.id}" for node in there}, "")
    ]
    assert names == ["10.0.0.1 (abcdef)", "10.0.0.1 (fedcba)"]


# --- a process that uses a cluster ---------------------------------------------------------------------------------------

WATCHING = """
import sys, time
from evalkit.execution.ray import cluster
connection = cluster.connect(sys.argv[1])
print(cluster.describe_room(), flush=True)
try:
    while True:
        time.sleep(0.1)
        connection.check()
finally:
    connection.close()
"""


@pytest.mark.slow
def test_a_cluster_that_dies_is_one_sentence_and_not_the_end_of_the_process() -> None:
    """Where Ray waits a minute and then ends the process with status 0."""
    from ray.cluster_utils import Cluster

    made = Cluster()
    try:
        head = made.add_node(num_cpus=1, include_dashboard=False, object_store_memory=80 << 20)
        address = made.address
        driver = subprocess.Popen(
            [sys.executable, "-c", WATCHING, address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert driver.stdout is not None
        assert driver.stdout.readline().startswith("1 CPU")
        (gcs,) = head.all_processes["gcs_server"]
        os.kill(gcs.process.pid, signal.SIGKILL)
        _, said = driver.communicate(timeout=120)
    finally:
        made.shutdown()
    assert driver.returncode == 1
    assert said.splitlines()[-1].endswith(
        f"the Ray cluster at {address} is gone: its head has accepted no connection for 20 s; start one with "
        "'ray start --head'"
    )
