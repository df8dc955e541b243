"""What was measured on one video file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.views.figure import FigureView
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.measuring.results import ClipResult
    from evalkit.types import Measurement


@dataclass(frozen=True)
class ClipView(View):
    """One clip.

    Parameters
    ----------
    clip : str
        Path, as named by the user.
    error : str or None
        Why the whole clip could not be measured.
    figures : mapping of str to FigureView
        By metric, absent ones with their reason.
    notes : tuple of str
        What a person should know of the file.
    versions, weights : mapping of str to str
    """

    clip: str
    error: str | None
    figures: Mapping[str, FigureView]
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    weights: Mapping[str, str]


def clip_view(result: ClipResult) -> ClipView:
    """Return what is shown of a measured clip."""
    return ClipView(
        clip=result.clip,
        error=None if result.error is None else str(result.error),
        figures={measurement.metric.name: _figure(measurement) for measurement in result.measurements},
        notes=result.notes,
        versions=dict(result.versions),
        weights=dict(result.weights),
    )


def _figure(measurement: Measurement) -> FigureView:
    return FigureView(
        metric=measurement.metric.name,
        unit=measurement.metric.unit,
        better=measurement.metric.better,
        value=measurement.value,
        interval=None if measurement.interval is None else (measurement.interval[0], measurement.interval[1]),
        n=measurement.n,
        n_attempted=None,
        counted="samples",
        reducer="clip",
        reason=None if measurement.reason is None else measurement.reason.text,
        coverage=measurement.coverage,
    )
