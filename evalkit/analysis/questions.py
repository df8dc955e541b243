"""What lies behind the ratings of a run, question by question: who was severe, how far raters agree, how sure a mean is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.factors import shared_factors
from evalkit.analysis.preferences import key_of
from evalkit.analysis.scores import fit_scores, raters_of, why_few
from evalkit.analysis.values import score
from evalkit.runs.ratings.records import HIGHEST, LOWEST
from evalkit.stats.means import Estimate, code_levels, estimate_of
from evalkit.stats.opinion_planning import Spread, raters_needed, spread_of
from evalkit.stats.opinions import Codes, RaterModel, fit_raters, mean_quality
from evalkit.stats.reliability import Reliability, krippendorff_alpha
from evalkit.types import Interval
from pipeline.extras import explain_missing

if TYPE_CHECKING:
    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.types import FloatArray, Metric

WIDTH = 0.25
"""Half width, in points, of the 95 % interval that is asked for where nobody says another."""
_INPUTS = ("portrait", "speech", "seed", "input")


@dataclass(frozen=True, eq=False)
class Question:
    """All scores of one question that count, of every configuration.

    Parameters
    ----------
    metric : Metric
    rows : tuple of ClipRecord
        Clips with a score.
    """

    metric: Metric
    rows: tuple[ClipRecord, ...]

    @classmethod
    def of(cls, table: ResultTable, metric: Metric) -> Question:
        """Take the scores from a run's table."""
        return cls(metric, tuple(score(metric.name, table.rows)[1]))

    @cached_property
    def _long(self) -> tuple[Codes, Codes, FloatArray]:
        """Raters, clips, scores."""
        given = [
            (rater, place, value)
            for place, row in enumerate(self.rows)
            for rater, value in row.scores[self.metric.name].items()
        ]
        return (
            code_levels([rater for rater, _, _ in given]),
            np.array([place for _, place, _ in given], dtype=np.intp),
            np.array([value for _, _, value in given], dtype=np.float64),
        )

    @cached_property
    def model(self) -> RaterModel:
        """Quality of clips, bias and inconsistency of raters, of greatest likelihood (ITU-T P.910)."""
        return fit_raters(*self._long)

    @cached_property
    def reliability(self) -> Reliability:
        """How far raters agree on single clips."""
        try:
            return krippendorff_alpha(*self._long)
        except ModuleNotFoundError as error:
            words = explain_missing(error) or str(error)
            return Reliability(None, None, "ordinal", 0, 0, len(self.rows), words)

    @cached_property
    def spread(self) -> Spread | None:
        """How much raters, clips and the rest make scores differ."""
        return spread_of(*self._long, code_levels([key_of(row) for row in self.rows]))

    def likelihood(self, configuration: Configuration) -> Estimate:
        """Return the configuration's mean quality by `model`: n counts clips; None of so few raters that their biases are guesses."""
        reason = why_few(len(raters_of(self.metric.name, self.rows)))
        if reason is not None:
            return Estimate(None, None, len(configuration.rows), reason)
        own = {id(row) for row in configuration.rows}
        places = [place for place, row in enumerate(self.rows) if id(row) in own]
        factors = shared_factors([self.rows[place] for place in places])
        return mean_quality(self.model, places, factors, given=configuration.given)

    def of_these_clips(self, configuration: Configuration) -> Estimate:
        """Return the mean opinion with the interval of other raters of these very clips: n counts raters.

        It lies within the interval that speaks of other inputs too, where there is one: who claims less is not less sure.
        """
        summary = configuration.summary(self.metric)
        if not summary.n_clips:
            return summary.estimate
        rows = score(self.metric.name, configuration.rows)[1]
        fit = fit_scores(self.metric.name, rows, _INPUTS)
        found = estimate_of(fit, self.metric.bounds)
        return replace(found, interval=_within(found.interval, summary.interval), n=summary.n)

    def histogram(self, configuration: Configuration) -> tuple[int, ...]:
        """Count the scores of a configuration, 1 to 5; those between two are rounded."""
        found = Counter(
            int(value + 0.5)
            for row in configuration.rows
            for value in row.scores.get(self.metric.name, {}).values()
        )
        return tuple(found[level] for level in range(LOWEST, HIGHEST + 1))

    def raters_for(self, configuration: Configuration, width: float = WIDTH) -> tuple[int | None, bool]:
        """Return how many more raters an interval of plus and minus `width` takes.

        Returns
        -------
        int or None
            0 where it is as narrow; None where no number of raters makes it so, or too little is known.
        bool
            Whether it is meant for these very clips: where clips are too few, or differ too much, for a mean so exact of others.
        """
        summary = configuration.summary(self.metric)
        n, n_clips = summary.n, summary.n_clips or 1
        if self.spread is None or not n:
            return None, False
        if _is_within(summary.interval, width):
            return 0, False
        each = sum(self.histogram(configuration)) / n
        if summary.interval is not None:
            needed = raters_needed(self.spread, width, n_clips=n_clips, clips_a_rater=each)
            if needed is not None and needed > n:
                return needed - n, False
        of_these = self.of_these_clips(configuration).interval
        if _is_within(of_these, width):
            return 0, True
        alone = replace(self.spread, clips=0.0)
        needed = raters_needed(alone, width, n_clips=max(2, n_clips), clips_a_rater=each)
        if (
            needed is not None and needed <= n and of_these is not None
        ):  # the interval knows more than the spread
            needed = ceil(n * ((of_these.high - of_these.low) / (2.0 * width)) ** 2)
        return (None if needed is None else max(1, needed - n)), True


def _within(interval: Interval | None, wider: Interval | None) -> Interval | None:
    """Cut an interval to one that claims more; the skewness of raters may have widened it beyond that."""
    if interval is None or wider is None:
        return interval
    return Interval(max(interval.low, wider.low), min(interval.high, wider.high))


def _is_within(interval: Interval | None, width: float) -> bool:
    return interval is not None and interval.high - interval.low <= 2.0 * width
