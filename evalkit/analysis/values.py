"""The one place where the clips of a configuration become a value.

Which clips count: those that exist and have the metric. A failed attempt has no value, whatever it cost until it
failed; the error rate alone counts it: each try, also before a success, in an earlier call or of an earlier grid.
Everything that names one metric of one configuration shows a `Summary`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from evalkit.analysis.catalogue import NONE_COUNTS, UNREADABLE, is_rating, reason_text
from evalkit.analysis.factors import shared_factors
from evalkit.analysis.machines import could_have
from evalkit.analysis.reducers import MEAN, ReductionContext, load_reducer
from evalkit.analysis.scores import fit_scores, raters_of
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs.attempts import count_attempts
from evalkit.runs.ratings.opinions import Panel
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.intervals import share_interval
from evalkit.stats.means import Estimate, estimate_of
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.types import FloatArray, Metric

NOBODY_RATED = "nobody has rated it; evalkit rate serve RUN asks people"
NOBODY_CHOSE = "nobody was asked which of two is better; evalkit rate serve RUN --pairs one asks people"


@dataclass(frozen=True)
class Summary:
    """One metric over the clips of one configuration.

    Parameters
    ----------
    metric : str
        Full name.
    reducer : str
        How the values became one.
    estimate : Estimate
        Value, 95 % interval and n; or why they are missing.
    n_attempted : int
        Clips that could have had a value, so of what depends on the machine those of the run's main kind; of the error
        rate, attempts.
    absences : mapping of str to int
        Reason codes of the clips without a value, with their number, most frequent first.
    panel : Panel or None
        Of a rating: whose opinion it is.
    n_clips : int or None
        Clips behind it, where `n` counts something else: raters.
    counted : {"clip", "session"}
        What the values are of: a session is one of a live trial.
    """

    metric: str
    reducer: str
    estimate: Estimate
    n_attempted: int
    absences: Mapping[str, int]
    panel: Panel | None = None
    n_clips: int | None = None
    counted: Literal["clip", "session"] = "clip"

    @property
    def counts_clips(self) -> bool:
        """Whether n counts clips; where it does not (raters), n is no share of `n_attempted`."""
        return self.n_clips is None

    @property
    def value(self) -> float | None:
        """In the metric's unit; None where it is absent."""
        return self.estimate.value

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval; None where there is none."""
        return self.estimate.interval

    @property
    def n(self) -> int:
        """Number of values behind it."""
        return self.estimate.n

    @property
    def why_absent(self) -> str:
        """The reasons of missing values in one line, in words; empty where nothing is missing."""
        return describe_absences(self.absences)


def summarise(
    metric: Metric,
    rows: Sequence[ClipRecord],
    *,
    reducer: str = MEAN,
    limits: tuple[float, float] | None = None,
    given: tuple[str, ...] = (),
    earlier: Sequence[ClipRecord] = (),
) -> Summary:
    """Return the value of a metric over the clips of one configuration.

    Parameters
    ----------
    metric : Metric
    rows : sequence of ClipRecord
        Every attempted clip of the configuration, failed ones included.
    reducer : str
        Name in the entry-point group ``evalkit.reducers``. The error rate is always the share of attempts that failed.
    limits : tuple of float, optional
        Lowest and highest value that pass; a reducer may need them (the worst clip of a band).
    given : tuple of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    earlier : sequence of ClipRecord
        Trials of earlier grids: their attempts count for the error rate alone.

    Raises
    ------
    UsageError
        If there is no such reducer.
    """
    if metric.name == ERROR_RATE.name:
        failures = measure_failures([*rows, *earlier])
        return Summary(metric.name, MEAN, failures, failures.n, {})
    if is_rating(metric.name) and reducer == MEAN:
        return _summarise_opinions(metric, rows, given)
    values, scored = score(metric.name, rows)
    context = ReductionContext(metric, limits, shared_factors(scored), given)
    estimate = load_reducer(reducer)(values, context)
    n_attempted = len(could_have(metric.name, rows))
    panel = Panel.of(raters_of(metric.name, scored)) if is_rating(metric.name) else None
    return Summary(metric.name, reducer, estimate, n_attempted, count_absences(metric.name, rows), panel)


def _summarise_opinions(metric: Metric, rows: Sequence[ClipRecord], given: tuple[str, ...]) -> Summary:
    """Return the mean opinion of the clips that somebody scored: n counts raters."""
    scored = score(metric.name, rows)[1]
    panel = Panel.of(raters_of(metric.name, scored))
    estimate = (
        replace(estimate_of(fit_scores(metric.name, scored, given), metric.bounds), n=panel.n)
        if scored
        else Estimate(None, None, 0, why_not_rated(metric.name, rows))
    )
    return Summary(metric.name, MEAN, estimate, len(rows), {}, panel, len(scored))


def why_not_rated(metric: str, rows: Sequence[ClipRecord]) -> str:
    """Return in words why nothing is known of what people say of clips."""
    codes = {row.absent.get(metric) for row in rows}
    nobody = NOBODY_CHOSE if metric == PREFERENCE else NOBODY_RATED
    return next((one.text for one in (UNREADABLE, NONE_COUNTS) if one.code in codes), nobody)


def score(metric: str, rows: Sequence[ClipRecord]) -> tuple[FloatArray, list[ClipRecord]]:
    """Return the values of the clips that have one, and these clips."""
    found = [(row, value) for row in rows if (value := row.value(metric)) is not None]
    return np.array([value for _, value in found], dtype=np.float64), [row for row, _ in found]


def measure_failures(rows: Sequence[ClipRecord]) -> Estimate:
    """Return the share of attempts that failed, with its exact interval; n counts attempts, not clips.

    Tries before a success count, and those of earlier calls.
    """
    attempts = count_attempts(rows)
    if attempts.share_failed is None:
        return Estimate(None, None, 0, "nothing was attempted")
    interval = share_interval(attempts.n_failed, attempts.n)
    return Estimate(attempts.share_failed, interval, attempts.n)


def count_absences(metric: str, rows: Sequence[ClipRecord]) -> dict[str, int]:
    """Count the reason codes of the clips that have no value of a metric, most frequent first."""
    return dict(Counter(row.why_absent(metric) for row in rows if row.value(metric) is None).most_common())


def describe_absences(absences: Mapping[str, int]) -> str:
    """Write reason codes and how often they occur in one line, in words; empty without any.

    >>> describe_absences({"no_face": 3, "too_short": 1})
    'no face was found in enough frames (3); too short to measure (1)'
    """
    return "; ".join(f"{reason_text(code)} ({n})" for code, n in absences.items())
