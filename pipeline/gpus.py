"""The GPUs of this machine, as the driver lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver lists it.

    Parameters
    ----------
    index : int
        As nvidia-smi counts.
    name : str
        Of the model.
    total_mib, used_mib : float
        Its memory, and how much of it is in use now.
    compute_capability : tuple of int or None
        Of its generation, as (8, 9); None where the driver does not say.
    """

    index: int
    name: str
    total_mib: float
    used_mib: float
    compute_capability: tuple[int, int] | None = None

    @property
    def free_mib(self) -> float:
        """Memory that is free now."""
        return self.total_mib - self.used_mib


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
        gpus = tuple(gpu for gpu, _ in list_gpus(pynvml))
    except pynvml.NVMLError as error:
        return (), f"the NVIDIA driver cannot be read: {error}"
    finally:
        pynvml.nvmlShutdown()
    return gpus, "" if gpus else "the NVIDIA driver lists no GPU"


def list_gpus(nvml: Any) -> list[tuple[Gpu, Any]]:
    """List the GPUs with their handles.

    Parameters
    ----------
    nvml : module
        The bindings, after ``nvmlInit``.

    Raises
    ------
    pynvml.NVMLError
        If one cannot be read.
    """
    return [
        _read(nvml, index, nvml.nvmlDeviceGetHandleByIndex(index))
        for index in range(nvml.nvmlDeviceGetCount())
    ]


def _read(nvml: Any, index: int, handle: Any) -> tuple[Gpu, Any]:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    text = name.decode() if isinstance(name, bytes) else str(name)
    return Gpu(index, text, memory.total / _MIB, memory.used / _MIB, _capability(nvml, handle)), handle


def _capability(nvml: Any, handle: Any) -> tuple[int, int] | None:
    try:
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    except nvml.NVMLError:  # an old driver's library has no such function
        return None
    return int(major), int(minor)
