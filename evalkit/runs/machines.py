"""What a record says of the machine that did the work: which kind it is, as far as times depend on it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB_PER_GIB = 1024


def machine_kind(machine: Mapping[str, Any]) -> str:
    """Return the kind of a machine in words; machines of one kind take the same time for the same work.

    What bears on times: the GPUs that the work may use, with their memory and driver, the processor, and the cores that
    the work may use. Not: host name, kernel, Python, memory of the machine. Those tell two machines of one kind apart.

    Parameters
    ----------
    machine : mapping
        As `evalkit.profiling.machine.describe_machine` gives it. Older records name no GPUs: they are of the kind of a
        machine without.

    Examples
    --------
    >>> machine_kind({"processor": "EPYC 9654", "n_cores": 96, "n_cores_available": 16, "host": "node-7"})
    'EPYC 9654, 16 cores'
    >>> gpus = [{"name": "NVIDIA H200", "memory_mib": 143771}] * 2
    >>> machine_kind({"processor": "EPYC 9654", "n_cores": 96, "gpus": gpus, "driver": "570.124.06"})
    '2 × NVIDIA H200 (140 GiB), driver 570.124.06, EPYC 9654, 96 cores'
    """
    gpus = Counter(_name_gpu(gpu) for gpu in machine.get("gpus") or ())
    parts = [name if n == 1 else f"{n} × {name}" for name, n in sorted(gpus.items())]
    if parts and machine.get("driver"):
        parts.append(f"driver {machine['driver']}")
    parts.append(str(machine.get("processor") or machine.get("system") or "an unknown machine"))
    n_cores = machine.get("n_cores_available", machine.get("n_cores"))
    if n_cores is not None:
        parts.append("1 core" if n_cores == 1 else f"{n_cores} cores")
    return ", ".join(parts)


def kind_of(key: str, machines: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the kind of the machine that a record refers to; None where it refers to none and several took part.

    Parameters
    ----------
    key : str
        Into `machines`; empty where no machine took the job, or that was not recorded.
    machines : mapping of str to mapping
        Of the run's manifest.
    """
    if key in machines:
        return machine_kind(machines[key])
    if key:
        return f"unknown machine {key}"
    kinds = {machine_kind(machine) for machine in machines.values()}
    return kinds.pop() if len(kinds) == 1 else None


def _name_gpu(gpu: Mapping[str, Any]) -> str:
    return f"{gpu['name']} ({round(gpu['memory_mib'] / _MIB_PER_GIB)} GiB)"
