"""What would stop work on a cluster: every node is looked at, and compared with this machine."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from evalkit import __version__, registry
from evalkit.evaluators.load import evaluator_class, find_incomplete
from evalkit.execution.ray import look
from evalkit.execution.ray.cluster import ClusterError, Node, connect, describe_room, is_full, list_nodes
from evalkit.formatting import count, in_one_line
from evalkit.runs.machines import machine_kind
from pipeline import plugins
from pipeline.diagnosis import Diagnosis, fine, stop, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PATIENCE_S = 120.0
"""How long the nodes may take to look at themselves, all at once."""
_MIB_PER_GIB = 1024


def diagnose(address: str, generator: str, settings: Mapping[str, Any]) -> list[Diagnosis]:
    """Say what would stop work on a cluster; whatever is wrong is a finding.

    Nothing of the cluster is taken for it, so that it can be full.

    Parameters
    ----------
    address : str
        As `evalkit.execution.ray.cluster.connect` takes it.
    generator : str
        Its name; empty for none.
    settings : mapping
        Settings of the generator.

    Raises
    ------
    UsageError
        As `evalkit.execution.ray.cluster.connect`.
    """
    about = "cluster"
    try:
        connection = connect(address)
    except ClusterError as error:
        return [stop(about, error.found, error.cure)]
    try:
        nodes = list_nodes()
        asked = {
            "evalkit": __version__,
            "generator": generator,
            "settings": dict(settings),
            "evaluators": _list_evaluators(),
        }
        room = f"{describe_room()}, at {connection.address}"
        return [
            warning(about, room, "end what uses it up, see 'ray status', or wait: a sweep does")
            if is_full()
            else fine(about, room),
            *judge(nodes, _look_everywhere(nodes, asked), generator),
        ]
    finally:
        connection.close()


def judge(
    nodes: Sequence[Node], found: Mapping[str, Mapping[str, Any] | str], generator: str
) -> list[Diagnosis]:
    """Compare what the nodes say of themselves with this machine and with each other.

    Parameters
    ----------
    nodes : sequence of Node
    found : mapping
        What `evalkit.execution.ray.look.look` found, by id; or why it found nothing.
    generator : str
        As of `diagnose`.
    """
    findings: list[Diagnosis] = []
    kinds: dict[str, list[str]] = defaultdict(list)
    for node, name in zip(nodes, _name(nodes), strict=True):
        facts = found[node.id]
        if isinstance(facts, str):
            findings.append(
                stop(
                    name,
                    facts,
                    "see its log files, or take it out of the cluster with 'ray stop' there",
                )
            )
            continue
        findings += _judge_versions(name, facts)
        if "machine" not in facts:
            continue
        findings.append(fine(name, _describe(node, facts)))
        findings += _judge_contents(node, name, facts, generator)
        kinds[machine_kind(facts["of_one_gpu"])].append(name)
    findings = _gather(findings)
    if len(kinds) > 1:
        words = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in sorted(kinds.items()))
        findings.append(
            warning(
                "machines",
                f"there are {len(kinds)} kinds, and times of different kinds are not pooled: {words}",
                "have nodes of one kind where times matter; quality is pooled as ever",
            )
        )
    return findings


def _gather(findings: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Say once what is found alike on several nodes."""
    alike: dict[tuple[str, ...], list[Diagnosis]] = defaultdict(list)
    for finding in findings:
        alike[finding.level, finding.found, finding.cure].append(finding)
    return [
        same[0]
        if len(same) == 1
        else Diagnosis(
            level=same[0].level,
            about=count(len(same), "node"),
            found=f"{', '.join(finding.about for finding in same)}: {same[0].found}",
            cure=same[0].cure,
        )
        for same in alike.values()
    ]


def _judge_versions(name: str, facts: Mapping[str, Any]) -> Iterator[Diagnosis]:
    if facts["python"] != platform.python_version():
        here = platform.python_version()
        yield stop(
            name, f"Python {facts['python']} there and {here} here", f"start Ray there with Python {here}"
        )
    if facts["evalkit"] is None:
        yield stop(
            name,
            f"evalkit is not installed for the Python that runs Ray there, and {__version__} is here",
            f"pip install evalkit=={__version__} there",
        )
    elif facts["evalkit"] != __version__:
        yield stop(
            name,
            f"evalkit {facts['evalkit']} there and {__version__} here",
            f"pip install evalkit=={__version__} there",
        )


def _judge_contents(node: Node, name: str, facts: Mapping[str, Any], generator: str) -> Iterator[Diagnosis]:
    """Judge a node that has the evalkit that is here."""
    gpus = facts["machine"]["gpus"]
    if node.gpus > len(gpus):
        yield warning(
            name,
            f"Ray gives out {count(int(node.gpus), 'GPU')} of it, and its NVIDIA driver lists {len(gpus)}",
            "mend the driver there, or start Ray there with fewer --num-gpus",
        )
    for finding in facts["findings"]:
        if finding["level"] != "fine":
            yield Diagnosis(**{**finding, "about": name, "found": f"{finding['about']}: {finding['found']}"})
    if generator and facts["generator"] is not None:
        here = str(getattr(plugins.load_plugin(plugins.GENERATORS, generator), "version", ""))
        if facts["generator"] != here:
            yield stop(
                name,
                f"the generator {generator!r} has version {facts['generator']} there and {here} here",
                "install the same version on both",
            )
    for evaluator, there in facts["evaluators"].items():
        version = str(evaluator_class(evaluator).version)
        if there["problem"]:
            yield warning(
                name,
                f"the evaluator {evaluator!r} cannot be used there, and videos measured there lack its metrics: "
                f"{there['problem']}",
                "install there what it needs, or leave it out with --only",
            )
        elif there["version"] != version:
            yield stop(
                name,
                f"the evaluator {evaluator!r} has version {there['version']} there and {version} here",
                "install the same version on both",
            )


def _describe(node: Node, facts: Mapping[str, Any]) -> str:
    machine = facts["machine"]
    gpus = Counter(
        f"{gpu['name']} ({round(gpu['memory_mib'] / _MIB_PER_GIB)} GiB)" for gpu in machine["gpus"]
    )
    disk = next(finding["found"] for finding in facts["findings"] if finding["about"] == "temporary files")
    parts = [
        f"{node.cpus:g} of {count(machine['n_cores'], 'core')}",
        *(f"{n} × {gpu}" for gpu, n in sorted(gpus.items())),
        *([f"driver {machine['driver']}"] if machine["driver"] else ["no GPU"]),
        f"{machine['memory_mib'] / _MIB_PER_GIB:.0f} GiB memory",
        disk,
        f"Python {facts['python']}",
        f"Ray {facts['ray']}",
        f"evalkit {facts['evalkit']}",
    ]
    return f"{machine['host']}: {', '.join(parts)}"


def _list_evaluators() -> list[str]:
    """List those that can be used here."""
    names = registry.names(registry.EVALUATORS)
    return [name for name in names if name not in find_incomplete(names)]


def _look_everywhere(nodes: Sequence[Node], asked: Mapping[str, Any]) -> dict[str, dict[str, Any] | str]:
    """Have every node look at itself, all at once."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cloudpickle.register_pickle_by_value(look)
    try:
        task = ray.remote(look.look)
        looks = {
            task.options(
                num_cpus=0,
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            ).remote(asked): node
            for node in nodes
        }
    finally:
        cloudpickle.unregister_pickle_by_value(look)
    done, late = ray.wait(list(looks), num_returns=len(looks), timeout=_PATIENCE_S)
    found: dict[str, dict[str, Any] | str] = {}
    for reference in done:
        try:
            found[looks[reference].id] = ray.get(reference)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong with that node
            found[looks[reference].id] = f"it could not be looked at: {in_one_line(str(error))}"
    for reference in late:
        ray.cancel(reference, force=True)
        found[looks[reference].id] = f"it has not answered within {_PATIENCE_S:.0f} s"
    return found


def _name(nodes: Sequence[Node]) -> list[str]:
    """Name nodes by their addresses; several of one address by the beginning of their ids, too."""
    n_alike = Counter(node.address for node in nodes)
    return [
        node.address if n_alike[node.address] == 1 else f"{node.address} ({node.id[:6]})" for node in nodes
    ]
