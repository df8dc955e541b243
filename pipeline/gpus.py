"""The GPUs of this machine, as the driver lists them."""

from __future__ import annotations

from dataclasses import dataclass

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
    total_mib, free_mib : float
        Its memory, and how much of it is free now.
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


def _read(nvml: object, index: int, handle: object) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)  # type: ignore[attr-defined]  # untyped bindings
    name = nvml.nvmlDeviceGetName(handle)  # type: ignore[attr-defined]  # as above
    return Gpu(
        index,
        name.decode() if isinstance(name, bytes) else str(name),
        memory.total / _MIB,
        (memory.total - memory.used) / _MIB,
    )
