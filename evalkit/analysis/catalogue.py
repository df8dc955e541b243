"""Every metric that can be named in a policy, measured here or not, and every reason for an absent one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.evaluators.load import evaluator_class
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.profiling.reasons import REASONS as PROFILE_REASONS
from evalkit.runs.ratings.records import HIGHEST, LOWEST, PREFERENCE, QUESTIONS, metric_of
from evalkit.types import GENERAL_REASONS, Metric, Reason
from evalkit.words.language import LANGUAGES, translated_reasons

if TYPE_CHECKING:
    from collections.abc import Iterable

RATING = "rating"
"""Family of what people say."""
_ASKED = {
    "overall": "mean opinion of blind raters, 1 to 5",
    "lip_sync": "how well lips and speech fit, by blind raters, 1 to 5",
    "expression": "how natural face and smile are, by blind raters, 1 to 5",
    "motion": "how natural head and body move, by blind raters, 1 to 5",
}
RATING_METRICS = (
    *(
        Metric(metric_of(name), "1", "higher", _ASKED[name], (LOWEST, HIGHEST), is_headline=name == "overall")
        for name in QUESTIONS
    ),
    Metric(
        PREFERENCE,
        "1",
        "higher",
        "expected share of blind pairs won against the run's other configurations (Bradley-Terry); 0.5 is average",
        (0, 1),
        is_headline=True,
    ),
)
NOT_RATED = Reason("not_rated", "no rater whose answers count was shown it")
NONE_COUNTS = Reason(
    "no_answer_counts", "people were asked, but none of their answers counts; evalkit rate results says why"
)
UNREADABLE = Reason("ratings_unreadable", "what people said cannot be read; evalkit rate results says why")
OF_A_CONFIGURATION = Reason("of_a_configuration", "a configuration has it, a single clip does not")


def known_metrics(more: Iterable[Metric] = ()) -> dict[str, Metric]:
    """Return every metric by its full name: of the installed evaluators, of profiles and ratings, and `more`.

    Raises
    ------
    PluginError
        If an installed evaluator does not load.
    """
    metrics = {metric.name: metric for metric in (*RATING_METRICS, *PROFILE_METRICS)}
    for name in registry.names(registry.EVALUATORS):
        metrics |= {metric.name: metric for metric in evaluator_class(name).metrics}
    return metrics | {metric.name: metric for metric in more}


def reason_text(code: str, language: str = LANGUAGES[0]) -> str:
    """Return in words what a stored reason code means; a code that nothing installed knows stays as it is.

    Reasons of plug-ins are told as those declare them, in any language.

    >>> reason_text("no_face"), reason_text("generate failed: out_of_memory"), reason_text("no_face", "zh-CN")
    ('no face was found in enough frames', 'generate failed: out_of_memory', '在足够多的帧里找不到面部')
    """
    return translated_reasons(language).get(code) or _reason_texts().get(code, code)


def is_rating(metric: str) -> bool:
    """Say whether a metric is what people said."""
    return metric.partition(".")[0] == RATING


@cache
def _reason_texts() -> dict[str, str]:
    reasons = [*GENERAL_REASONS, *PROFILE_REASONS, NOT_RATED, NONE_COUNTS, UNREADABLE, OF_A_CONFIGURATION]
    for name in registry.names(registry.EVALUATORS):
        reasons += evaluator_class(name).reasons
    return {reason.code: reason.text for reason in reasons}
