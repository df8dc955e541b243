"""What was measured on clips: one result a clip, one report over clips."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, overload

from evalkit.errors import ClipError
from evalkit.formatting import count, encodable, label, three_digits
from evalkit.measuring.webvtt import NamedMoment
from evalkit.types import Measurement
from pipeline.options import json_text

if TYPE_CHECKING:
    import pandas as pd
else:
    from evalkit.frames import pd

Progress = Callable[[float, float | None], None]
"""Called now and then with the seconds of the clip done, and of the whole clip where known."""


@dataclass(frozen=True, repr=False)
class ClipResult:
    """Everything measured on one clip: ``result["lip_sync.error"]``, ``result[0]``, ``len(result)``, iteration.

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
    evaluators : mapping of str to str
        Version of each evaluator by its name, with the identity of its settings where they decide values.
    versions, weights : mapping of str to str
        Versions of the packages that took part, and SHA-256 of the weights.
    """

    clip: str
    measurements: tuple[Measurement, ...] = ()
    error: ClipError | None = None
    notes: tuple[str, ...] = ()
    evaluators: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str | int) -> Measurement:
        """Return the measurement of a metric by its full name, or by its place.

        Raises
        ------
        ClipError
            If the clip could not be opened.
        KeyError
            If no evaluator gave the metric; the message names the nearest.
        IndexError
            If there is no such place.
        """
        if self.error is not None:
            raise self.error
        if isinstance(metric, int):
            return self.measurements[metric]
        names = [measurement.metric.name for measurement in self.measurements]
        if metric in names:
            return self.measurements[names.index(metric)]
        near = difflib.get_close_matches(metric, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"measured are: {', '.join(names) or 'none'}"
        raise KeyError(f"{self.clip}: no metric is named {metric!r}; {hint}")

    def __len__(self) -> int:
        return len(self.measurements)

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.measurements)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self.error is not None:
            return f"ClipResult({self.clip!r}, not measured: {self.error.code})"
        n = sum(measurement.value is not None for measurement in self.measurements)
        return f"ClipResult({self.clip!r}, {n} of {len(self)} metrics measured)"

    def _repr_html_(self) -> str:
        if self.error is not None:
            return f"<p>{escape(str(self.error))}</p>"
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(measurement)) + "</tr>"
            for measurement in self.measurements
        )
        heads = "".join(f"<th>{head}</th>" for head in ("metric", "value", "unit", "95 %", "n", "absent"))
        return (
            f"<table><caption>{escape(label(self.clip))}</caption><thead><tr>{heads}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    @property
    def moments(self) -> tuple[NamedMoment, ...]:
        """The worst moments of all metrics: in the order of the metrics, and of each the worst first."""
        return tuple(
            NamedMoment(measurement.metric.name, measurement.metric.unit, *moment)
            for measurement in self.measurements
            for moment in measurement.moments
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        plain: dict[str, Any] = {
            "clip": self.clip,
            "metrics": {m.metric.name: m.to_dict() for m in self.measurements if m.value is not None},
            "absent": {m.metric.name: str(m.reason) for m in self.measurements if m.value is None},
        }
        if self.error is not None:
            plain["error"] = {"code": self.error.code, "text": self.error.text}
        return plain | {
            "notes": list(self.notes),
            "evaluators": dict(self.evaluators),
            "versions": dict(self.versions),
            "weights": dict(self.weights),
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON, its last line ended."""
        return json_text(self.to_dict())

    def frame(self) -> pd.DataFrame:
        """Return a table with one row, as `Report.frame`."""
        return Report((self,)).frame()


@dataclass(frozen=True, repr=False)
class Report:
    """The results of one or more clips: ``report[0]``, ``len(report)``, iteration."""

    clips: tuple[ClipResult, ...]

    @overload
    def __getitem__(self, place: int) -> ClipResult: ...

    @overload
    def __getitem__(self, place: slice) -> Report: ...

    def __getitem__(self, place: int | slice) -> ClipResult | Report:
        """Return one clip's result by its place, or a report of several."""
        return Report(self.clips[place]) if isinstance(place, slice) else self.clips[place]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[ClipResult]:
        return iter(self.clips)

    def __repr__(self) -> str:
        n_failed = sum(clip.error is not None for clip in self.clips)
        failed = f", {n_failed} not measured" if n_failed else ""
        return f"Report({count(len(self.clips), 'clip')}{failed})"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(index=False, na_rep="", float_format=three_digits)
        return html

    def frame(self) -> pd.DataFrame:
        """Return a table: one row a clip; a column a metric, missing where absent; ``X.absent`` says why."""
        rows = []
        for clip in self.clips:
            row: dict[str, Any] = {
                "clip": encodable(clip.clip),
                "error": clip.error.code if clip.error else None,
            }
            for measurement in clip.measurements:
                name = measurement.metric.name
                row[name] = measurement.value
                row[f"{name}.absent"] = str(measurement.reason) if measurement.reason else None
            rows.append(row)
        table = pd.DataFrame(rows)
        reasons = [name for name in table.columns if name.endswith(".absent")]
        return table.drop(columns=[name for name in reasons if table[name].isna().all()])

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the results of all clips as plain data."""
        return [clip.to_dict() for clip in self.clips]

    def to_json(self) -> str:
        """Return `to_dict` as JSON, as ``evalkit evaluate --json`` writes it."""
        return json_text(self.to_dict())


def _cells(measurement: Measurement) -> tuple[str, ...]:
    """Return a measurement's row: metric, value, unit, interval, n, why it is absent."""
    metric, interval = measurement.metric, measurement.interval
    if measurement.value is None:
        return (metric.name, "", "", "", "", measurement.reason.text if measurement.reason else "")
    return (
        metric.name,
        three_digits(measurement.value),
        "" if metric.unit == "1" else metric.unit,
        f"{three_digits(interval.low)} … {three_digits(interval.high)}" if interval else "",
        str(measurement.n),
        "",
    )
