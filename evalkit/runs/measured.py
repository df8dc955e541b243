"""Measurements as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.runs.schema import MetricResults, MetricValue, MomentValue
from evalkit.types import GENERAL_REASONS, Interval, Measurement, Moment, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalkit.runs.schema import Samples
    from evalkit.types import Metric


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
            plain = measurement.to_dict()
            interval = plain.pop("ci95")
            moments = tuple(MomentValue(**moment) for moment in plain.pop("moments", ()))
            metrics[name] = MetricValue(
                **plain, ci95=None if interval is None else tuple(interval), moments=moments
            )
        if measurement.samples:
            samples[name] = {key: _numbers(values.tolist()) for key, values in measurement.samples}
    return MetricResults(metrics, absent, list(notes), dict(versions or {}), dict(weights or {})), samples


def restore_measurements(
    results: MetricResults, samples: Samples, metrics: Iterable[Metric], reasons: Iterable[Reason] = ()
) -> list[Measurement]:
    """Return the measurements of which `store_measurements` made results and samples.

    What is not stored is not there: the coverage of an absent metric, and whether a sample that is no number was
    infinite.

    Parameters
    ----------
    results : MetricResults
    samples : dict
        Raw samples by metric.
    metrics : iterable of Metric
        Which, and in which order.
    reasons : iterable of Reason
        Beside the general ones, for absent metrics.
    """
    known = {reason.code: reason for reason in (*GENERAL_REASONS, *reasons)}
    found = []
    for metric in metrics:
        raw = tuple(
            (key, np.array(values, dtype=np.float64)) for key, values in samples.get(metric.name, {}).items()
        )
        if metric.name in results.absent:
            code = results.absent[metric.name]
            reason = known.get(code) or Reason(code, code.replace("_", " "))
            found.append(Measurement(metric, None, reason, samples=raw))
        else:
            value = results.metrics[metric.name]
            interval = None if value.ci95 is None else Interval(*value.ci95)
            found.append(
                Measurement(
                    metric,
                    value.value,
                    n=value.n,
                    coverage=value.coverage,
                    interval=interval,
                    samples=raw,
                    moments=tuple(
                        Moment(moment.start_s, moment.end_s, moment.value) for moment in value.moments
                    ),
                )
            )
    return found


def _numbers(values: Any) -> Any:
    """Return nested lists with None for what is not a number: JSON has none for it."""
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return values if abs(values) < float("inf") else None
