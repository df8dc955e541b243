"""Every metric that can be named in a policy, measured here or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable

_FROM_ELSEWHERE = (
    Metric("rating.mos", "1", "higher", "mean opinion of blind raters, 1 to 5", (1, 5)),
    Metric("rating.preference", "1", "higher", "strength in blind pairs, Bradley-Terry"),
)
"""Not from an evaluator of clips: defined here until something measures them under the same name."""


def known_metrics(more: Iterable[Metric] = ()) -> dict[str, Metric]:
    """Return every metric by its full name: of the installed evaluators, of profiles and ratings, and `more`.

    Raises
    ------
    PluginError
        If an installed evaluator does not load.
    """
    metrics = {metric.name: metric for metric in (*_FROM_ELSEWHERE, *PROFILE_METRICS)}
    for name in registry.names(registry.EVALUATORS):
        metrics |= {metric.name: metric for metric in registry.load(registry.EVALUATORS, name).metrics}
    return metrics | {metric.name: metric for metric in more}
