"""What a block of Python costs: ``with evalkit.profile() as cost:`` around any work of this process."""

from __future__ import annotations

import os
import time
from typing import Self

from evalkit.profiling.cost import Cost
from evalkit.profiling.profiler import DEFAULT_INTERVAL_S, Profiler


class profile(Cost):  # noqa: N801 - a context manager, named for what it does
    """Measure the time, the memory and the GPUs of a block, all child processes included.

    A sampler process watches this one from outside. Memory is that of the whole process: what was loaded before the
    block counts too. GPU memory counts from the beginning of the block.

    Parameters
    ----------
    interval_s : float
        Time between two looks, seconds.

    Raises
    ------
    ProfileError
        On entering, if the sampler does not start; on reading figures inside the block.

    Examples
    --------
    >>> with profile() as cost:
    ...     total = sum(range(1000))
    >>> [measurement.metric.name for measurement in cost.measurements][:2]
    ['profile.total_s', 'profile.peak_vram_mib']
    """

    def __init__(self, *, interval_s: float = DEFAULT_INTERVAL_S) -> None:
        super().__init__()
        self._profiler = Profiler(interval_s=interval_s)
        self._start_s: float | None = None

    def __enter__(self) -> Self:
        self._profiler.start()
        self._start_s = time.monotonic()
        self._profiler.watch(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        if self._start_s is not None:
            self._total_s = time.monotonic() - self._start_s
        self._timeline = self._profiler.stop()

    def __repr__(self) -> str:
        if self._start_s is None:
            return "<profile: not begun; it measures the block of a with statement>"
        return super().__repr__()
