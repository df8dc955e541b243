"""Every metric that can be named in a policy, measured here or not, and every reason for an absent one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.evaluators.load import evaluator_class
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.profiling.reasons import REASONS as PROFILE_REASONS
from evalkit.types import GENERAL_REASONS, Metric

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
        metrics |= {metric.name: metric for metric in evaluator_class(name).metrics}
    return metrics | {metric.name: metric for metric in more}


def reason_text(code: str) -> str:
    """Return in words what a stored reason code means; a code that nothing installed knows stays as it is.

    >>> reason_text("no_face"), reason_text("generate failed: out_of_memory")
    ('no face was found in enough frames', 'generate failed: out_of_memory')
    """
    return _reason_texts().get(code, code)


@cache
def _reason_texts() -> dict[str, str]:
    reasons = [*GENERAL_REASONS, *PROFILE_REASONS]
    for name in registry.names(registry.EVALUATORS):
        reasons += evaluator_class(name).reasons
    return {reason.code: reason.text for reason in reasons}
