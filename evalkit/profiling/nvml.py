"""GPUs as NVIDIA's management library sees them: memory, load and energy, by device and by process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.gpus import list_gpus

_MIB = 1024 * 1024


@dataclass(frozen=True)
class GpuReading:
    """One look at one GPU. ``None``: not read this time, or the driver does not tell.

    Parameters
    ----------
    used_mib : float or None
        Memory in use by anybody.
    tree_mib : float or None
        Memory in use by the watched processes.
    util : float or None
        Share of time, from 0 to 1, in which the device was at work.
    energy_j : float or None
        Energy taken since the driver was loaded.
    power_w : float or None
        Power at the moment; read only where the device does not count energy.
    """

    used_mib: float | None = None
    tree_mib: float | None = None
    util: float | None = None
    energy_j: float | None = None
    power_w: float | None = None


class Gpus:
    """All GPUs of this machine.

    Attributes
    ----------
    described : list of dict
        Name, total memory and memory in use at the start (MiB) of each.
    reason : str or None
        ``no_gpu`` or ``gpu_unreadable`` where there is nothing to read.
    text : str
        The driver's words for it; those of the last error where reading failed later.
    """

    def __init__(self) -> None:
        self.described: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.text = ""
        self._handles: list[Any] = []
        self._turn = 0
        try:
            import pynvml

            self._nvml: Any = pynvml
        except ImportError as error:
            self.reason, self.text = "no_gpu", str(error)
            return
        try:
            self._nvml.nvmlInit()
            listed = list_gpus(self._nvml)
        except self._nvml.NVMLError as error:
            absent = isinstance(
                error, (self._nvml.NVMLError_LibraryNotFound, self._nvml.NVMLError_DriverNotLoaded)
            )
            self.reason, self.text = "no_gpu" if absent else "gpu_unreadable", str(error)
            return
        self.described = [
            {"name": gpu.name, "total_mib": gpu.total_mib, "baseline_mib": gpu.used_mib} for gpu, _ in listed
        ]
        self._handles = [handle for _, handle in listed]
        if not self._handles:
            self.reason = "no_gpu"

    def read(self, pids: set[int], *, closely: bool = False) -> list[GpuReading]:
        """Look at every GPU: its memory each time, the rest, which costs more, only every n-th time with n GPUs.

        So many GPUs do not slow the watching down, and what is summed over them was read at one moment.

        Parameters
        ----------
        pids : set of int
            The watched processes.
        closely : bool
            Whether to read everything now.
        """
        self._turn = (self._turn + 1) % max(1, len(self._handles))
        closely = closely or self._turn == 0
        return [self._look(handle, pids, closely=closely) for handle in self._handles]

    def _look(self, handle: Any, pids: set[int], *, closely: bool) -> GpuReading:
        nvml = self._nvml
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        used_mib = None if memory is None else memory.used / _MIB
        if not closely:
            return GpuReading(used_mib)
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        energy_mj = self._ask(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
        power_mw = self._ask(nvml.nvmlDeviceGetPowerUsage, handle) if energy_mj is None else None
        return GpuReading(
            used_mib,
            self._tree_mib(handle, pids),
            None if rates is None else rates.gpu / 100,
            None if energy_mj is None else energy_mj / 1000,
            None if power_mw is None else power_mw / 1000,
        )

    def _tree_mib(self, handle: Any, pids: set[int]) -> float | None:
        """Sum the memory of the watched processes; ``None`` where the driver's process ids say nothing here.

        A process that computes and draws stands in both lists with the same memory: it counts once. In a container
        the driver may list nobody, or by the ids of the host.
        """
        listed: dict[int, int | None] = {}
        for ask in (
            self._nvml.nvmlDeviceGetComputeRunningProcesses,
            self._nvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            found = self._ask(ask, handle)
            if found is None:
                return None
            for process in found:
                known, used = listed.get(process.pid), process.usedGpuMemory
                listed[process.pid] = used if known is None else max(known, used or 0)
        ours = [used for pid, used in listed.items() if pid in pids]
        if None in ours:
            return None
        if ours:
            return sum(used for used in ours if used is not None) / _MIB
        visible = bool(listed) and all(_is_here(pid) for pid in listed)
        return 0.0 if visible else None

    def _ask(self, ask: Any, handle: Any) -> Any:
        try:
            return ask(handle)
        except self._nvml.NVMLError as error:
            if not isinstance(error, self._nvml.NVMLError_NotSupported):
                self.text = str(error)
            return None

    def close(self) -> None:
        """Let go of the driver."""
        if self._handles:
            self._nvml.nvmlShutdown()
            self._handles.clear()


def describe_gpus(visible: str | None) -> dict[str, Any]:
    """Return the GPUs that a program may use, with driver and CUDA, as plain data.

    Parameters
    ----------
    visible : str or None
        Its ``CUDA_VISIBLE_DEVICES``: indices or identities, of which those after an unknown one do not count. None for all.

    Returns
    -------
    dict
        ``gpus``, each with ``name`` and ``memory_mib``; ``driver`` and ``cuda``, the newest that the driver knows, None
        where there is no GPU or they cannot be read.
    """
    nothing: dict[str, Any] = {"gpus": [], "driver": None, "cuda": None}
    try:
        import pynvml as nvml
    except ImportError:
        return nothing
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return nothing
    try:
        gpus = [
            {"name": _text(nvml.nvmlDeviceGetName(handle)), "memory_mib": _total_mib(nvml, handle)}
            for handle in _visible_handles(nvml, visible)
        ]
        if not gpus:
            return nothing
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        return {"gpus": gpus, "driver": driver, "cuda": _cuda_version(nvml)}
    except nvml.NVMLError:
        return nothing
    finally:
        nvml.nvmlShutdown()


def _visible_handles(nvml: Any, visible: str | None) -> list[Any]:
    """Return the handles of what a program may use, in its order."""
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if visible is None:
        return handles
    found = []
    for name in filter(None, (part.strip() for part in visible.split(","))):
        handle = _handle_of(nvml, name, handles)
        if handle is None:
            break
        found.append(handle)
    return found


def _handle_of(nvml: Any, name: str, handles: list[Any]) -> Any:
    """Return the handle of an index, of the beginning of a GPU's identity, or of a part of a GPU; None for none."""
    if name.isdecimal():
        return handles[int(name)] if int(name) < len(handles) else None
    if name.startswith("MIG-"):
        try:
            return nvml.nvmlDeviceGetHandleByUUID(name)
        except nvml.NVMLError:
            return None
    alike = [handle for handle in handles if _text(nvml.nvmlDeviceGetUUID(handle)).startswith(name)]
    return alike[0] if len(alike) == 1 else None


def _total_mib(nvml: Any, handle: Any) -> int:
    total: int = nvml.nvmlDeviceGetMemoryInfo(handle).total
    return round(total / _MIB)


def _cuda_version(nvml: Any) -> str | None:
    """Return the newest CUDA that the driver knows, as ``12.8``."""
    try:
        version = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
    except nvml.NVMLError:
        return None
    return f"{version // 1000}.{version % 1000 // 10}"


def _text(words: bytes | str) -> str:
    return words.decode() if isinstance(words, bytes) else words


def _is_here(pid: int) -> bool:
    """Whether a process id means a process on this side of a container's wall."""
    if Path("/proc/self").exists():
        return Path(f"/proc/{pid}").exists()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
