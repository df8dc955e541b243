"""Tables of clips whose numbers are planted, for tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.analysis.table import ClipRecord, ResultTable
from evalkit.testing.runs import installed_version
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from evalkit.types import FloatArray

ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better", (0.0, 1.0))
OFFSET = Metric("lip_sync.offset_ms", "ms", "zero", "positive: the audio leads")
SHARPNESS = Metric("technical.sharpness", "1", "higher", "one minus blur", (0, 1))
FPS = Metric("technical.fps", "1/s", "band", "frames a second")
TTFF = Metric("profile.ttff_s", "s", "lower", "until the first frame")
TOTAL = Metric("profile.total_s", "s", "lower", "until the video is there")
RSS = Metric("profile.peak_rss_mib", "MiB", "lower", "memory")
METRICS = {metric.name: metric for metric in (ERROR, OFFSET, SHARPNESS, FPS, TTFF, TOTAL, RSS)}


def make_table(
    columns: Mapping[str, Sequence[float | None] | FloatArray],
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
    evaluators = {name.partition(".")[0] for name in columns} - {"profile"}
    more.setdefault("evaluators", {name: str(installed_version(name)) for name in evaluators})
    return ResultTable(title, tuple(rows), {name: METRICS[name] for name in columns}, **more)


def draw_sweep(
    n_configurations: int,
    n_inputs: int,
    rng: np.random.Generator,
    *,
    error: float = 0.2,
    spread: float = 0.08,
    total_s: float = 10.0,
) -> ResultTable:
    """Draw a sweep of configurations that are all alike: what is found to differ is chance.

    Parameters
    ----------
    n_configurations, n_inputs : int
        Each configuration makes a clip of each input: one portrait, a piece of speech each.
    rng : numpy.random.Generator
    error, spread : float
        True mean of ``lip_sync.error`` and its standard deviation, half of the variance the input's own.
    total_s : float
        True mean of ``profile.total_s``; a tenth of it is its standard deviation from input to input, a twentieth
        from clip to clip.
    """
    own, seconds = rng.normal(0.0, spread / 2**0.5, n_inputs), rng.normal(1.0, 0.1, n_inputs)
    parts = [
        make_table(
            {
                "lip_sync.error": np.clip(error + own + rng.normal(0.0, spread / 2**0.5, n_inputs), 0.0, 1.0),
                "profile.total_s": total_s * seconds * rng.normal(1.0, 0.05, n_inputs),
            },
            n_portraits=1,
            params={"sample_steps": place},
        )
        for place in range(n_configurations)
    ]
    rows = tuple(row for part in parts for row in part.rows)
    return replace(parts[0], rows=rows, n_candidates=n_configurations)
