"""The GPUs of this machine and the variables that decide how programs see them and talk to each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pipeline.diagnosis import Finding, fine, stop, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIB = 1024 * 1024
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the system has it, not a temporary file of ours
_LITTLE_SHARED_MIB = 1024.0
_TROUBLE = {
    "NCCL_P2P_DISABLE": ("1", "GPUs talk through the host's memory, which is slower"),
    "NCCL_SHM_DISABLE": ("1", "GPUs of one machine talk through the network, which is slower"),
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": ("0", "when one rank fails, the others wait for ever"),
    "NCCL_ASYNC_ERROR_HANDLING": ("0", "when one rank fails, the others wait for ever"),
}
"""Variable to the value that does harm, and the harm."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver lists it.

    Parameters
    ----------
    index : int
        As nvidia-smi counts.
    name : str
        Of the model.
    total_mib, free_mib : float
        Its memory, and how much of it nobody uses now.
    """

    index: int
    name: str
    total_mib: float
    free_mib: float


def read_gpus() -> tuple[tuple[Gpu, ...], str]:
    """Ask the driver for its GPUs.

    Returns
    -------
    tuple of Gpu
        Empty where there are none, or none can be read.
    str
        Why there are none; empty where there are some.
    """
    try:
        import pynvml
    except ImportError as error:
        return (), str(error)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), f"the NVIDIA driver does not answer: {error}"
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        gpus = tuple(_read(pynvml, index, handle) for index, handle in enumerate(handles))
    except pynvml.NVMLError as error:
        return (), f"the NVIDIA driver cannot be read: {error}"
    finally:
        pynvml.nvmlShutdown()
    return gpus, "" if gpus else "the NVIDIA driver lists no GPU"


def check_gpus(asked: Sequence[int], need_mib: float, reason: str) -> list[Finding]:
    """Check that the GPUs asked for are there and have the memory free.

    Parameters
    ----------
    asked : sequence of int
        As nvidia-smi counts.
    need_mib : float
        Memory that each of them must have free.
    reason : str
        Who says so.

    Returns
    -------
    list of Finding
        One on the GPUs; where they are there, one on the memory of each that is asked for.
    """
    gpus, why = read_gpus()
    wanted = ", ".join(map(str, asked))
    missing = [index for index in asked if index >= len(gpus)]
    if missing:
        seen = f"{len(gpus)} seen ({', '.join(gpu.name for gpu in gpus)})" if gpus else f"none: {why}"
        cure = "choose among those seen" if gpus else "run it on a machine with NVIDIA GPUs and their driver"
        return [stop("GPUs", f"asked for {wanted}; {seen}", cure), *_check_visible(asked)]
    names = sorted({gpus[index].name for index in asked})
    found = fine("GPUs", f"{wanted}: {', '.join(names)}")
    return [
        found,
        *_check_visible(asked),
        *(_check_memory(gpus[index], need_mib, reason) for index in asked),
    ]


def check_nccl(environment: Mapping[str, str]) -> list[Finding]:
    """Check what NCCL, which carries data between GPUs, would find: its variables, and shared memory.

    Parameters
    ----------
    environment : mapping
        Variables set for the program beside the inherited ones.
    """
    variables = {
        name: value
        for name, value in {**os.environ, **environment}.items()
        if name.startswith(("NCCL_", "TORCH_NCCL_"))
    }
    findings = [
        warning(name, f"is {variables[name]}: {harm}", f"unset {name} unless it is needed here")
        for name, (value, harm) in _TROUBLE.items()
        if variables.get(name) == value
    ]
    wanted = variables.get("NCCL_SOCKET_IFNAME")
    interfaces = sorted(psutil.net_if_addrs())
    if wanted and not _selects(wanted, interfaces):
        findings.append(
            stop(
                "NCCL_SOCKET_IFNAME",
                f"is {wanted!r}, and no network interface is called so (there are: {', '.join(interfaces)})",
                "unset it, or name one of those",
            )
        )
    if _SHARED_MEMORY.is_dir():
        size_mib = psutil.disk_usage(str(_SHARED_MEMORY)).total / _MIB
        if size_mib < _LITTLE_SHARED_MIB:
            found = f"{size_mib:.0f} MiB, and NCCL passes data between the processes through it"
            findings.append(
                warning(str(_SHARED_MEMORY), found, "start the container with --shm-size=8g or --ipc=host")
            )
    if not findings:
        told = ", ".join(f"{name}={value}" for name, value in sorted(variables.items()))
        findings.append(fine("NCCL variables", told or "none set"))
    return findings


def _read(nvml: object, index: int, handle: object) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)  # type: ignore[attr-defined]  # untyped bindings
    name = nvml.nvmlDeviceGetName(handle)  # type: ignore[attr-defined]  # as above
    return Gpu(
        index,
        name.decode() if isinstance(name, bytes) else str(name),
        memory.total / _MIB,
        (memory.total - memory.used) / _MIB,
    )


def _check_visible(asked: Sequence[int]) -> list[Finding]:
    """Say where this process was given other GPUs than those asked for."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return []
    theirs = [word.strip() for word in given.split(",") if word.strip()]
    foreign = [str(index) for index in asked if str(index) not in theirs]
    if not foreign:
        return [fine("CUDA_VISIBLE_DEVICES", f"is {given!r} here, and those asked for are among them")]
    return [
        warning(
            "CUDA_VISIBLE_DEVICES",
            f"is {given!r} here, and GPU {', '.join(foreign)} is asked for: perhaps somebody else's",
            "ask for those that were given, or unset it if all are yours",
        )
    ]


def _check_memory(gpu: Gpu, need_mib: float, reason: str) -> Finding:
    about = f"memory of GPU {gpu.index}"
    found = f"{gpu.free_mib / 1024:.1f} of {gpu.total_mib / 1024:.1f} GiB free, {need_mib / 1024:.1f} GiB needed ({reason})"
    if gpu.total_mib < need_mib:
        return stop(about, found, "take a GPU with more memory, or options that need less")
    if gpu.free_mib < need_mib:
        return stop(about, found, "end what uses it (nvidia-smi names it), or take another GPU")
    return fine(about, found)


def _selects(wanted: str, interfaces: Sequence[str]) -> bool:
    """Return whether an interface is left by NCCL's rule: ``^`` all but these, ``=`` exactly, else by beginning."""
    excludes = wanted.startswith("^")
    wanted = wanted.removeprefix("^")
    exactly = wanted.startswith("=")
    names = wanted.removeprefix("=").split(",")
    found = [
        interface
        for interface in interfaces
        if any(interface == name if exactly else interface.startswith(name) for name in names)
    ]
    return len(found) < len(interfaces) if excludes else bool(found)
