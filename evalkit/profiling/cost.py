"""What a piece of work cost, as a person reads it: a program's, or a block's of Python."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from evalkit.formatting import three_digits
from evalkit.profiling.costs import TOTAL, measure_resources
from evalkit.profiling.profile import Profile, ProfileError
from evalkit.types import Measurement

if TYPE_CHECKING:
    import pandas as pd
else:
    from evalkit.frames import pd


class Cost:
    """Time, memory and GPUs of a piece of work.

    Parameters
    ----------
    total_s : float or None
        Time it took, seconds; None while it is under way.
    timeline : Profile or None
        Memory and GPUs over time.
    """

    def __init__(self, total_s: float | None = None, timeline: Profile | None = None) -> None:
        self._total_s = total_s
        self._timeline = timeline

    @property
    def total_s(self) -> float:
        """Time it took, seconds."""
        if self._total_s is None:
            raise ProfileError("the work is not over: its figures are there when its block is left")
        return self._total_s

    @property
    def timeline(self) -> Profile:
        """Memory and GPUs over time."""
        if self._timeline is None:
            raise ProfileError("the work is not over: its figures are there when its block is left")
        return self._timeline

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
        rows = [
            {
                "metric": measurement.metric.name,
                "value": measurement.value,
                "unit": measurement.metric.unit,
                "n": measurement.n,
                "absent": None if measurement.reason is None else str(measurement.reason),
            }
            for measurement in self.measurements
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: ``metrics``, ``absent``, ``notes`` and the whole ``timeline``."""
        return {
            "metrics": {m.metric.name: m.to_dict() for m in self.measurements if m.value is not None},
            "absent": {m.metric.name: str(m.reason) for m in self.measurements if m.value is None},
            "notes": list(self.notes),
            "timeline": self.timeline.to_dict(),
        }

    def __repr__(self) -> str:
        if self._timeline is None:
            return f"<{type(self).__name__}: under way>"
        figures = (
            f"{measurement.metric.name.removeprefix('profile.')} {three_digits(measurement.value)}"
            f"{'' if measurement.metric.unit == '1' else ' ' + measurement.metric.unit}"
            for measurement in self.measurements
            if measurement.value is not None
        )
        return f"<{type(self).__name__}: {', '.join(figures)}>"

    def _repr_html_(self) -> str:
        if self._timeline is None:
            return f"<p>{escape(repr(self))}</p>"
        html: str = self.frame().to_html(index=False, na_rep="")
        return html
