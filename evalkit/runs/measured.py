"""Measurements as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.runs.schema import MetricResults, MetricValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalkit.runs.schema import Samples
    from evalkit.types import Measurement


def store_measurements(
    measurements: Iterable[Measurement],
    *,
    notes: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
    weights: Mapping[str, str] | None = None,
) -> tuple[MetricResults, Samples]:
    """Split measurements into results and raw samples, as they are stored."""
    metrics, absent, samples = {}, {}, {}
    for measurement in measurements:
        name = measurement.metric.name
        if measurement.value is None:
            absent[name] = str(measurement.reason)
        else:
            metrics[name] = MetricValue(
                float(measurement.value),
                measurement.metric.unit,
                int(measurement.n),
                None if measurement.coverage is None else float(measurement.coverage),
                None
                if measurement.interval is None
                else (float(measurement.interval.low), float(measurement.interval.high)),
            )
        if measurement.samples:
            samples[name] = {key: _numbers(values.tolist()) for key, values in measurement.samples}
    return MetricResults(metrics, absent, list(notes), dict(versions or {}), dict(weights or {})), samples


def _numbers(values: Any) -> Any:
    """Return nested lists with None for what is not a number: JSON has none for it."""
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return values if abs(values) < float("inf") else None
