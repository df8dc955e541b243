"""A stand-in for NVIDIA's bindings that tells what the JSON file named by FAKE_NVML says, read anew at each call.

Names, units and errors are those of nvidia-ml-py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MIB = 1024 * 1024


class NVMLError(Exception):
    """Base of all errors."""


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801, N818 - their name
    """No driver is installed."""


class NVMLError_DriverNotLoaded(NVMLError):  # noqa: N801, N818 - their name
    """The driver is not loaded."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818 - their name
    """Not on this device."""


class NVMLError_Unknown(NVMLError):  # noqa: N801, N818 - their name
    """Whatever."""


def _state() -> dict[str, Any]:
    state: dict[str, Any] = json.loads(Path(os.environ["FAKE_NVML"]).read_text("utf-8"))
    return state


def _gpu(index: int, call: str) -> dict[str, Any]:
    gpu: dict[str, Any] = _state()["gpus"][index]
    if call in gpu.get("fails", {}):
        raise globals()[gpu["fails"][call]]("as told")
    return gpu


def nvmlInit() -> None:  # noqa: N802 - their name, as below
    failure = _state().get("init")
    if failure:
        raise globals()[failure]("as told")


def nvmlShutdown() -> None:  # noqa: N802
    pass


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_state()["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    return index


def nvmlDeviceGetName(index: int) -> str:  # noqa: N802
    return str(_gpu(index, "name").get("name", "Fake GPU"))


def nvmlDeviceGetMemoryInfo(index: int) -> SimpleNamespace:  # noqa: N802
    gpu = _gpu(index, "memory")
    return SimpleNamespace(total=gpu["total_mib"] * MIB, used=gpu["used_mib"] * MIB)


def nvmlDeviceGetCudaComputeCapability(index: int) -> tuple[int, int]:  # noqa: N802
    major, minor = _gpu(index, "capability").get("capability", (9, 0))
    return int(major), int(minor)


def _processes(listed: list[list[Any]]) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * MIB) for pid, mib in listed]


def nvmlDeviceGetComputeRunningProcesses(index: int) -> list[SimpleNamespace]:  # noqa: N802
    return _processes(_gpu(index, "compute_list").get("compute", []))


def nvmlDeviceGetGraphicsRunningProcesses(index: int) -> list[SimpleNamespace]:  # noqa: N802
    return _processes(_gpu(index, "graphics_list").get("graphics", []))


def nvmlDeviceGetUtilizationRates(index: int) -> SimpleNamespace:  # noqa: N802
    return SimpleNamespace(gpu=_gpu(index, "util").get("util", 0))


def nvmlDeviceGetTotalEnergyConsumption(index: int) -> int:  # noqa: N802
    return int(_gpu(index, "energy").get("energy_mj", 0))


def nvmlDeviceGetPowerUsage(index: int) -> int:  # noqa: N802
    return int(_gpu(index, "power").get("power_mw", 0))


def nvmlDeviceGetUUID(index: int) -> str:  # noqa: N802
    return str(_gpu(index, "uuid").get("uuid", f"GPU-{index}"))


def nvmlDeviceGetHandleByUUID(uuid: str) -> int:  # noqa: N802
    for index, gpu in enumerate(_state()["gpus"]):
        if uuid in gpu.get("parts", ()):
            return index
    raise NVMLError_Unknown("no such device")


def nvmlSystemGetDriverVersion() -> str:  # noqa: N802
    return str(_state().get("driver", "570.124.06"))


def nvmlSystemGetCudaDriverVersion_v2() -> int:  # noqa: N802
    if _state().get("cuda") is None:
        raise NVMLError_NotSupported("as told")
    return int(_state()["cuda"])
