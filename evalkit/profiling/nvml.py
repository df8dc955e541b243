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
