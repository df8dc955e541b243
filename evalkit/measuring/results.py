"""What was measured on clips: one result a clip, one report over clips."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from evalkit.errors import ClipError
    from evalkit.types import FrameChunk, Measurement

    Progress = Callable[[float, float | None], None]
    """Called now and then with the seconds of the clip done, and of the whole clip where known."""
    FrameWatcher = Callable[[FrameChunk, Mapping[str, Sequence[Any]]], None]
    """Called with each chunk of frames and the points each tracker found in them."""


@dataclass(frozen=True)
class ClipResult:
    """Everything measured on one clip.

    Parameters
    ----------
    clip : str
        Path, as named by the user.
    measurements : tuple of Measurement
        One a metric, in a fixed order; empty where the clip could not be opened.
    error : ClipError or None
        Why the whole clip could not be measured.
    notes : tuple of str
        What a person should know of the file: cut off, damaged.
    versions, weights : mapping
        Versions of what took part, and hashes of the weights.
    """

    clip: str
    measurements: tuple[Measurement, ...] = ()
    error: ClipError | None = None
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> Measurement:
        """Return the measurement of a metric by its full name."""
        for measurement in self.measurements:
            if measurement.metric.name == metric:
                return measurement
        raise KeyError(metric)

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        measured, absent = {}, {}
        for measurement in self.measurements:
            name = measurement.metric.name
            if measurement.value is None:
                absent[name] = str(measurement.reason)
                continue
            entry: dict[str, Any] = {"value": measurement.value, "unit": measurement.metric.unit}
            if measurement.interval is not None:
                entry["ci95"] = list(measurement.interval)
            entry["n"] = measurement.n
            if measurement.coverage is not None:
                entry["coverage"] = measurement.coverage
            measured[name] = entry
        plain: dict[str, Any] = {"clip": self.clip, "metrics": measured, "absent": absent}
        if self.error is not None:
            plain["error"] = {"code": self.error.code, "text": self.error.text}
        plain |= {"notes": list(self.notes), "versions": dict(self.versions), "weights": dict(self.weights)}
        return plain


@dataclass(frozen=True)
class Report:
    """The results of one or more clips."""

    clips: tuple[ClipResult, ...]

    def frame(self) -> pd.DataFrame:
        """Return a table: one row a clip; a column a metric, missing where absent; ``X.absent`` says why."""
        import pandas as pd

        rows = []
        for clip in self.clips:
            row: dict[str, Any] = {"clip": clip.clip, "error": clip.error.code if clip.error else None}
            for measurement in clip.measurements:
                name = measurement.metric.name
                row[name] = measurement.value
                row[f"{name}.absent"] = str(measurement.reason) if measurement.reason else None
            rows.append(row)
        table = pd.DataFrame(rows)
        reasons = [name for name in table.columns if name.endswith(".absent")]
        return table.drop(columns=[name for name in reasons if table[name].isna().all()])

    def json(self) -> str:
        """Return the JSON array that ``evalkit evaluate --json`` writes."""
        return json.dumps(
            [clip.as_json() for clip in self.clips], indent=2, ensure_ascii=False, allow_nan=False
        )
