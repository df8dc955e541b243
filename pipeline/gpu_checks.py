"""Checks of the GPUs and of the variables that decide how programs see them and talk to each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.gpus import Gpu, read_gpus

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


def check_gpus(asked: Sequence[int], need_mib: float, reason: str) -> list[Diagnosis]:
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


def check_capability(
    asked: Sequence[int], least: tuple[int, int], purpose: str, cure: str
) -> list[Diagnosis]:
    """Check that the GPUs asked for are of a generation that can do something.

    Parameters
    ----------
    asked : sequence of int
        As nvidia-smi counts; those that are not there are left to `check_gpus`.
    least : tuple of int
        Compute capability, major and minor.
    purpose : str
        What it is needed for, as the beginning of "... compute capability 8.9".
    cure : str
        What to do without.

    Returns
    -------
    list of Diagnosis
        A stop where a GPU is known to be older; nothing where none is, or where it cannot be known.
    """
    gpus, _ = read_gpus()
    older = [
        f"GPU {gpu.index} ({gpu.name}) has {gpu.compute_capability[0]}.{gpu.compute_capability[1]}"
        for gpu in gpus
        if gpu.index in asked and gpu.compute_capability is not None and gpu.compute_capability < least
    ]
    if not older:
        return []
    about = f"capability {least[0]}.{least[1]}"
    return [stop(about, f"{purpose} compute capability {least[0]}.{least[1]}; {', '.join(older)}", cure)]


def list_visible(environment: Mapping[str, str]) -> list[Gpu]:
    """List the GPUs that a program sees: all of them, or those that ``CUDA_VISIBLE_DEVICES`` names by number.

    Parameters
    ----------
    environment : mapping
        Variables set for it beside the inherited ones.
    """
    gpus, _ = read_gpus()
    named = {**os.environ, **environment}.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return list(gpus)
    numbers = {word.strip() for word in named.split(",")}
    return [gpu for gpu in gpus if str(gpu.index) in numbers]


def check_visible(environment: Mapping[str, str]) -> list[Diagnosis]:
    """Warn where ``CUDA_VISIBLE_DEVICES``, as it is set for a program, names GPUs that are not there.

    Parameters
    ----------
    environment : mapping
        Variables set for it; what it inherits is not looked at.
    """
    about = "CUDA_VISIBLE_DEVICES"
    named = environment.get(about)
    if named is None:
        return []
    gpus, why = read_gpus()
    unknown = [
        word.strip() for word in named.split(",") if word.strip().isdecimal() and int(word) >= len(gpus)
    ]
    seen = ", ".join(f"{gpu.index} {gpu.name}" for gpu in gpus) or f"none ({why})"
    if unknown:
        found = f"is {named!r} for the program, and there is no GPU {', '.join(unknown)}; there are: {seen}"
        return [warning(about, found, "name GPUs that are there; else the program works on the processor")]
    return [fine(about, f"is {named!r} for the program; there are: {seen}")]


def check_nccl(environment: Mapping[str, str]) -> list[Diagnosis]:
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
                f"is {wanted!r}, and there is no such network interface (there are: {', '.join(interfaces)})",
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
        listed = ", ".join(f"{name}={value}" for name, value in sorted(variables.items()))
        findings.append(fine("NCCL variables", listed or "none set"))
    return findings


def _check_visible(asked: Sequence[int]) -> list[Diagnosis]:
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
            f"is {given!r} here, and GPU {', '.join(foreign)} is asked for: perhaps reserved for others",
            "ask for those that were given, or unset it if all are yours",
        )
    ]


def _check_memory(gpu: Gpu, need_mib: float, reason: str) -> Diagnosis:
    about = f"memory of GPU {gpu.index}"
    found = f"{gpu.free_mib / 1024:.1f} of {gpu.total_mib / 1024:.1f} GiB free, {need_mib / 1024:.1f} GiB needed ({reason})"
    if gpu.total_mib < need_mib:
        return stop(about, found, "take a GPU with more memory, or options that need less")
    if gpu.free_mib < need_mib:
        return stop(about, found, "end the program that uses it (nvidia-smi names it), or take another GPU")
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
