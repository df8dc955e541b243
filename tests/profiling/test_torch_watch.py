"""What torch tells, by a stand-in for it, and by itself where there is a GPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from evalkit.profiling.profile import TorchUse
from evalkit.profiling.torch_watch import TorchWatch

MIB = 1024 * 1024


class FakeCuda:
    """Two devices; peaks count from the last reset; a clock that is moved by hand."""

    def __init__(self) -> None:
        self.running = True
        self.now_ms = 0.0
        self.peaks = [900 * MIB, 900 * MIB]
        self.broken = False

    def is_initialized(self) -> bool:
        """Tell whether somebody works on CUDA."""
        return self.running

    def device_count(self) -> int:
        """Count the devices."""
        return 2

    def reset_peak_memory_stats(self, device: int) -> None:
        """Forget the peak."""
        self.peaks[device] = 0

    def max_memory_allocated(self, device: int) -> int:
        """Tell the peak held by tensors."""
        return self.peaks[device]

    def max_memory_reserved(self, device: int) -> int:
        """Tell the peak taken from the device."""
        return self.peaks[device] + 20 * MIB

    def Event(self, *, enable_timing: bool) -> Any:  # noqa: N802 - torch's name
        """Make a mark in time."""
        assert enable_timing
        event = SimpleNamespace(at_ms=None)

        def record() -> None:
            event.at_ms = self.now_ms

        def synchronize() -> None:
            if self.broken:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")

        event.record, event.synchronize = record, synchronize
        event.elapsed_time = lambda end: end.at_ms - event.at_ms
        return event


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=fake))
    return fake


def test_peaks_and_time_of_the_block_alone(cuda: FakeCuda) -> None:
    with TorchWatch() as watch:
        cuda.peaks = [100 * MIB, 30 * MIB]
        cuda.now_ms = 250.0
    assert watch.use == TorchUse((100, 30), (120, 50), 0.25)
    assert TorchUse.from_dict(watch.use.to_dict()) == watch.use


def test_out_of_memory_leaves_the_peak(cuda: FakeCuda) -> None:
    def work() -> None:
        cuda.peaks = [800 * MIB, 0]
        cuda.broken = True
        raise MemoryError("CUDA out of memory")

    watch = TorchWatch()
    with pytest.raises(MemoryError, match="CUDA"), watch:
        work()
    assert watch.use == TorchUse((800, 0), (820, 20), None)


def test_cuda_that_starts_within_the_block_has_no_time(cuda: FakeCuda) -> None:
    cuda.running = False
    with TorchWatch() as watch:
        cuda.running = True
    assert watch.use is not None
    assert watch.use.device_s is None


def test_without_cuda_at_work_there_is_nothing_to_tell(cuda: FakeCuda) -> None:
    cuda.running = False
    with TorchWatch() as watch:
        pass
    assert watch.use is None


def test_torch_is_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with TorchWatch() as watch:
        pass
    assert watch.use is None
    assert "torch" not in sys.modules


@pytest.mark.gpu
def test_a_known_tensor_on_a_real_gpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU on this machine")
    torch.zeros(1, device="cuda")
    with TorchWatch() as watch:
        block = torch.zeros(512 * MIB, dtype=torch.uint8, device="cuda")
    assert watch.use is not None
    assert watch.use.allocated_mib[0] == pytest.approx(block.nbytes / MIB, rel=0.01)
    assert watch.use.device_s is not None
