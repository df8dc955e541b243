"""Tables of clips whose numbers are planted, for tests of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import ClipRecord, ResultTable
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better", (0.0, 1.0))
OFFSET = Metric("lip_sync.offset_ms", "ms", "zero", "positive: the audio leads")
SHARPNESS = Metric("technical.sharpness", "1", "higher", "one minus blur", (0, 1))
FPS = Metric("technical.fps", "1/s", "band", "frames a second")
TTFF = Metric("profile.ttff_s", "s", "lower", "until the first frame")
TOTAL = Metric("profile.total_s", "s", "lower", "until the video is there")
RSS = Metric("profile.peak_rss_mib", "MiB", "lower", "memory")
METRICS = {metric.name: metric for metric in (ERROR, OFFSET, SHARPNESS, FPS, TTFF, TOTAL, RSS)}


def make_table(
    columns: Mapping[str, Sequence[float | None]],
    *,
    title: str = "run",
    n_portraits: int = 4,
    params: Mapping[str, Hashable] | None = None,
    **more: Any,
) -> ResultTable:
    """Make one row a value, absent where None: portraits in turn, each piece of speech with all of them.

    Parameters
    ----------
    columns : mapping of str to sequence
        Values by metric, of equal length.
    title : str
    n_portraits : int
    params : mapping, optional
        Of every row.
    **more
        Further fields of `ResultTable`.
    """
    rows = []
    for index, values in enumerate(zip(*columns.values(), strict=True)):
        portrait, speech = f"p{index % n_portraits}", f"s{index // n_portraits}"
        found = {name: float(value) for name, value in zip(columns, values, strict=True) if value is not None}
        absent = {name: "no_face" for name in columns if name not in found}
        rows.append(
            ClipRecord(
                f"{portrait} × {speech}", portrait, speech, 1, params or {}, values=found, absent=absent
            )
        )
    return ResultTable(title, tuple(rows), {name: METRICS[name] for name in columns}, **more)
