"""What a block of Python costs: ``with evalkit.profile() as cost:`` around any work of this process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Self

from evalkit.formatting import three_digits
from evalkit.profiling.costs import TOTAL, measure_resources
from evalkit.profiling.profile import ProfileError
from evalkit.profiling.profiler import DEFAULT_INTERVAL_S, Profiler
from evalkit.types import Measurement

if TYPE_CHECKING:
    import pandas as pd

    from evalkit.profiling.profile import Profile


class profile:  # noqa: N801 - a context manager, named for what it does
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
    >>> [one.metric.name for one in cost.measurements][:2]
    ['profile.total_s', 'profile.peak_vram_mib']
    """

    def __init__(self, *, interval_s: float = DEFAULT_INTERVAL_S) -> None:
        self._profiler = Profiler(interval_s=interval_s)
        self._start_s = 0.0
        self._total_s: float | None = None

    def __enter__(self) -> Self:
        self._profiler.start()
        self._start_s = time.monotonic()
        self._profiler.watch(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        self._total_s = time.monotonic() - self._start_s
        self._profiler.stop()

    @property
    def total_s(self) -> float:
        """Length of the block, seconds."""
        if self._total_s is None:
            raise ProfileError("the block is not over: its figures are there when it is left")
        return self._total_s

    @property
    def timeline(self) -> Profile:
        """Memory and GPUs over time."""
        return self._profiler.profile

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The time and the resources, each with a value or a reason."""
        return (Measurement(TOTAL, self.total_s, n=1), *measure_resources(self.timeline))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the figures."""
        return tuple(self.timeline.notes())

    def frame(self) -> pd.DataFrame:
        """Return one row a metric: ``metric``, ``value``, ``unit``, ``n``, and ``absent`` with the reason's code."""
        import pandas as pd

        rows: list[dict[str, Any]] = [
            {
                "metric": one.metric.name,
                "value": one.value,
                "unit": one.metric.unit,
                "n": one.n,
                "absent": None if one.reason is None else str(one.reason),
            }
            for one in self.measurements
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        if self._total_s is None:
            return "<profile: the block is not over>"
        told = (
            f"{one.metric.name.removeprefix('profile.')} {three_digits(one.value)} {one.metric.unit}"
            for one in self.measurements
            if one.value is not None
        )
        return f"<profile: {', '.join(told)}>"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(index=False, na_rep="")
        return html
