"""A clip to look at: where its video is, and its worst moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.table import level_text
from evalkit.views.figure import MomentView
from evalkit.views.trial import DEFAULT_FPS
from evalkit.views.view import View

if TYPE_CHECKING:
    from collections.abc import Collection

    from evalkit.analysis.table import ClipRecord
    from evalkit.types import Metric

_N_MOMENTS = 6


@dataclass(frozen=True)
class ClipView(View):
    """One clip, with what is asked of it.

    Parameters
    ----------
    name : str
        Its inputs, or its file's name.
    caption : str
        Its parameters, in words; empty where none vary.
    video : str or None
        Absolute path; None where there is none.
    why_none : str
        Why there is no video: that it failed; empty where that is not known, or there is one.
    fps : float
        As its generator reports it; `evalkit.views.trial.DEFAULT_FPS` where unknown.
    values : mapping of str to float
        By metric, in the metrics' units.
    moments : tuple of MomentView
        The worst moments of these metrics, in the order of time.
    """

    name: str
    caption: str
    video: str | None
    why_none: str
    fps: float
    values: Mapping[str, float]
    moments: tuple[MomentView, ...]


def clip_view(
    row: ClipRecord, metrics: Collection[Metric], params: Collection[str] = (), *, name: str | None = None
) -> ClipView:
    """Return a clip with its values of some metrics.

    Parameters
    ----------
    row : ClipRecord
    metrics : collection of Metric
        The most important first: the worst moments of these are kept, `_N_MOMENTS` at most.
    params : collection of str
        Those that the caption tells.
    name : str, optional
        Instead of the row's own.
    """
    values = {one.name: value for one in metrics if (value := row.value(one.name)) is not None}
    found = [
        MomentView(one.name, one.unit, moment.start_s, moment.end_s, moment.value)
        for one in metrics
        for moment in row.moments.get(one.name, ())
    ][:_N_MOMENTS]
    fps = None if row.trial is None else (row.trial.generation or {}).get("fps")
    return ClipView(
        name=row.name if name is None else name,
        caption=", ".join(f"{one} {level_text(row.params[one])}" for one in params if one in row.params),
        video=None if row.video is None else str(row.video),
        why_none="" if row.video is not None else row.failure or "",
        fps=float(fps) if isinstance(fps, (int, float)) and fps > 0 else DEFAULT_FPS,
        values=values,
        moments=() if row.video is None else tuple(sorted(found, key=lambda one: (one.start_s, one.end_s))),
    )
