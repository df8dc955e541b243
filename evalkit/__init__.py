"""evalkit measures talking avatars: good enough to release, which configuration, which of two.

Everything for scripts and notebooks is here; ``import evalkit`` loads none of it before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.api.clips import evaluate
    from evalkit.api.exports import export_run
    from evalkit.api.ratings import rate_agreement, rate_plan, rate_results
    from evalkit.api.runs import measure, plan, search, sweep
    from evalkit.api.scores import import_scores
    from evalkit.api.validate import validate
    from evalkit.api.verdicts import compare, recommend, signoff
    from evalkit.decisions.comparison import Comparison
    from evalkit.decisions.recommendation import Recommendation
    from evalkit.decisions.signoff import Signoff
    from evalkit.errors import ClipError, EvalkitError, UsageError
    from evalkit.evaluators.base import Evaluator, Exhibit, Measured
    from evalkit.evaluators.session import evaluator, register
    from evalkit.measuring.results import ClipResult, Report
    from evalkit.profiling.block import profile
    from evalkit.runs import Run, Trial
    from evalkit.types import ClipFacts, ClipIntent, Interval, Measurement, Metric, Reason, Track
    from evalkit.validation.card import Validation
    from evalkit.views.ratings import RatingsReport

__version__ = "0.1.0"
__all__ = [
    "ClipError",
    "ClipFacts",
    "ClipIntent",
    "ClipResult",
    "Comparison",
    "EvalkitError",
    "Evaluator",
    "Exhibit",
    "Interval",
    "Measured",
    "Measurement",
    "Metric",
    "RatingsReport",
    "Reason",
    "Recommendation",
    "Report",
    "Run",
    "Signoff",
    "Track",
    "Trial",
    "UsageError",
    "Validation",
    "__version__",
    "compare",
    "evaluate",
    "evaluator",
    "export_run",
    "import_scores",
    "measure",
    "plan",
    "profile",
    "rate_agreement",
    "rate_plan",
    "rate_results",
    "recommend",
    "register",
    "search",
    "signoff",
    "sweep",
    "validate",
]

_HOMES = {
    "evalkit.api.clips": "evaluate",
    "evalkit.api.exports": "export_run",
    "evalkit.api.ratings": "rate_agreement rate_plan rate_results",
    "evalkit.api.runs": "measure plan search sweep",
    "evalkit.api.scores": "import_scores",
    "evalkit.api.validate": "validate",
    "evalkit.api.verdicts": "compare recommend signoff",
    "evalkit.decisions.comparison": "Comparison",
    "evalkit.decisions.recommendation": "Recommendation",
    "evalkit.decisions.signoff": "Signoff",
    "evalkit.errors": "ClipError EvalkitError UsageError",
    "evalkit.evaluators.base": "Evaluator Exhibit Measured",
    "evalkit.evaluators.session": "evaluator register",
    "evalkit.measuring.results": "ClipResult Report",
    "evalkit.profiling.block": "profile",
    "evalkit.runs": "Run Trial",
    "evalkit.validation.card": "Validation",
    "evalkit.views.ratings": "RatingsReport",
    "evalkit.types": "ClipFacts ClipIntent Interval Measurement Metric Reason Track",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __dir__() -> list[str]:
    return list(__all__)


if not TYPE_CHECKING:  # a type checker would take any name for public

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if name in _HOME_OF:
            globals()[name] = value = getattr(import_module(_HOME_OF[name]), name)
            return value
        raise AttributeError(f"module 'evalkit' has no attribute {name!r}")
