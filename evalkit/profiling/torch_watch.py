"""What torch itself reports of work on CUDA in this process: the allocator's peak, and time by CUDA events.

torch is never imported here; where the work did not, there is nothing to report.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Self

from evalkit.profiling.profile import TorchUse

if TYPE_CHECKING:
    from types import TracebackType

_MIB = 1024 * 1024


class TorchWatch:
    """Watches what a ``with`` block does on CUDA; an exception in it, out of memory too, leaves the peaks readable.

    Attributes
    ----------
    use : TorchUse or None
        After the block; ``None`` where torch was not at work on CUDA in this process.
    """

    def __init__(self) -> None:
        self.use: TorchUse | None = None
        self._start: Any = None

    def __enter__(self) -> Self:
        self.use = None
        cuda = _running_cuda()
        if cuda is not None:
            for device in range(cuda.device_count()):
                cuda.reset_peak_memory_stats(device)
            self._start = cuda.Event(enable_timing=True)
            self._start.record()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cuda = _running_cuda()
        if cuda is not None:
            devices = range(cuda.device_count())
            self.use = TorchUse(
                allocated_mib=tuple(cuda.max_memory_allocated(device) / _MIB for device in devices),
                reserved_mib=tuple(cuda.max_memory_reserved(device) / _MIB for device in devices),
                device_s=self._device_s(cuda),
            )

    def _device_s(self, cuda: Any) -> float | None:
        start, self._start = self._start, None
        if start is None:
            return None
        with contextlib.suppress(RuntimeError):  # the device failed, and with it the work
            end = cuda.Event(enable_timing=True)
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end)) / 1000
        return None


def _running_cuda() -> Any:
    """Return ``torch.cuda`` where somebody has put it to work; ``None`` elsewhere."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
