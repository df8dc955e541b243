"""What is known of the machine that bears on cost."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.profiling.nvml import describe_gpus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_CGROUP = Path("/sys/fs/cgroup")


def describe_machine(
    environment: Mapping[str, str] | None = None, cores: Collection[int] | None = None
) -> dict[str, Any]:
    """Return what is known of this machine, as a process at work on it sees it, as plain data.

    Parameters
    ----------
    environment : mapping, optional
        Of that process: ``CUDA_VISIBLE_DEVICES`` says which GPUs it may use. Of this one unless given.
    cores : collection of int, optional
        Those that process is bound to. Those of this one unless given.

    Returns
    -------
    dict
        ``system``, ``python``, ``evalkit``, ``host`` (its name on the network), ``processor``, ``n_cores`` of the machine
        and ``n_cores_available`` to the process, ``memory_mib``; ``gpus`` that the process may use (``name``,
        ``memory_mib``), ``driver`` and the newest ``cuda`` that it knows, None without GPUs.
        `evalkit.runs.machines.machine_kind` says which of it bears on times.
    """
    visible = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    bound = os.sched_getaffinity(0) if cores is None else cores
    facts = _describe(visible)
    return {**facts, "n_cores_available": min(len(bound), _core_quota() or len(bound))}


@cache
def _describe(visible: str | None) -> dict[str, Any]:
    import psutil

    from evalkit import __version__

    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "evalkit": __version__,
        "host": platform.node(),
        "processor": _processor(),
        "n_cores": psutil.cpu_count(),
        "memory_mib": round(psutil.virtual_memory().total / 2**20),
        **describe_gpus(visible),
    }


@cache
def _core_quota(folder: Path = _CGROUP) -> int | None:
    """Return how many cores' time the container may use; None where nothing limits it.

    A part of a core counts as one: there is no work on less.
    """
    try:
        quota, period = (folder / "cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, -(-int(quota) // int(period)))


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
