"""How far raters agree: Krippendorff's alpha with an interval, and what it allows to say.

- `krippendorff_alpha(raters, clips, scores)`: as a `Reliability`

References
----------
- K. Krippendorff, Content Analysis, 4th ed., 2018, chapter 12 (alpha; 0.800 and 0.667 as what conclusions need).
- B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evalkit.stats.opinions import Codes, checked
from evalkit.types import FloatArray, Interval

Level = Literal["ordinal", "interval"]

RELIABLE, TENTATIVE = 0.8, 0.667
"""From here on conclusions can be drawn; from here on tentative ones (Krippendorff)."""
MIN_RATERS = 5
"""With fewer there is no interval."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Krippendorff's alpha.

    Parameters
    ----------
    alpha : float or None
        1 is perfect agreement, 0 what chance gives; below 0 raters disagree more than by chance.
    interval : Interval or None
        95 %, for other raters of the kind and these clips.
    level : str
        Of measurement: ``ordinal`` or ``interval``.
    n_raters, n_clips, n : int
        Raters, clips that two or more of them scored, and scores of these clips.
    reason : str or None
        Why alpha or its interval is missing.
    """

    alpha: float | None
    interval: Interval | None
    level: Level
    n_raters: int
    n_clips: int
    n: int
    reason: str | None = None

    @property
    def words(self) -> str:
        """How far the raters agree, by Krippendorff's own marks.

        >>> Reliability(0.7, None, "ordinal", 20, 24, 480).words
        'agree well enough for tentative conclusions'
        """
        if self.alpha is None:
            return f"agreement unknown: {self.reason}"
        if self.alpha >= RELIABLE:
            return "agree well"
        if self.alpha >= TENTATIVE:
            return "agree well enough for tentative conclusions"
        return "hardly agree on single clips: only means of many raters say something"


def krippendorff_alpha(
    raters: Codes, clips: Codes, scores: FloatArray, *, level: Level = "ordinal"
) -> Reliability:
    """Return how far raters agree on single clips, with a 95 % interval.

    Parameters
    ----------
    raters, clips, scores
        As in `evalkit.stats.opinions.mean_opinions`; what a rater said of a clip more than once is averaged.
    level : {"ordinal", "interval"}
        Whether only the order of scores counts, or their distances too.

    Notes
    -----
    The interval is the jackknife's, which leaves out one rater at a time. It speaks of other raters of the kind and of these
    clips: alpha depends on how much the clips differ, and what is compared is chosen, not drawn.

    Examples
    --------
    Five raters that order eight clips alike:

    >>> raters, clips = np.repeat(np.arange(5), 8), np.tile(np.arange(8), 5)
    >>> krippendorff_alpha(raters, clips, 1.0 + clips % 5).alpha
    1.0
    """
    raters, clips, scores = checked(raters, clips, scores)
    table = _table(raters, clips, scores)
    n_each = np.isfinite(table).sum(axis=0)
    table = table[:, n_each >= 2]
    table = table[np.isfinite(table).any(axis=1)]
    n_raters, n_clips = table.shape
    n = int(np.isfinite(table).sum())
    if not n:
        return Reliability(None, None, level, 0, 0, 0, "no clip was scored by two raters")
    if n_clips < 2:  # nothing differs but raters: alpha is 0 whatever they said
        return Reliability(None, None, level, n_raters, 1, n, "one clip alone was scored by two raters")
    alpha = _alpha(table, level)
    if alpha is None:
        return Reliability(None, None, level, n_raters, n_clips, n, "all scores are equal")
    if n_raters < MIN_RATERS:
        reason = f"{n_raters} of the {MIN_RATERS} raters an interval needs"
        return Reliability(alpha, None, level, n_raters, n_clips, n, reason)
    return Reliability(alpha, _interval(table, level, alpha), level, n_raters, n_clips, n)


def _table(raters: Codes, clips: Codes, scores: FloatArray) -> FloatArray:
    """Return scores as raters × clips, NaN where there is none, as the library wants them."""
    shape = (int(raters.max(initial=-1)) + 1, int(clips.max(initial=-1)) + 1)
    counts, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, (raters, clips), 1.0)
    np.add.at(sums, (raters, clips), scores)
    return np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)


def _alpha(table: FloatArray, level: Level) -> float | None:
    import krippendorff

    paired = table[:, np.isfinite(table).sum(axis=0) >= 2]
    values = paired[np.isfinite(paired)]
    if not values.size or np.ptp(values) == 0.0:
        return None
    return float(krippendorff.alpha(reliability_data=paired, level_of_measurement=level))


def _interval(table: FloatArray, level: Level, alpha: float) -> Interval:
    from evalkit.stats.special import stdtrit

    n = table.shape[0]
    without = [_alpha(np.delete(table, k, axis=0), level) for k in range(n)]
    found = np.array([alpha if value is None else value for value in without])
    error = float(np.sqrt((n - 1) / n * ((found - found.mean()) ** 2).sum()))
    reach = float(stdtrit(n - 1, 0.975)) * error
    return Interval(max(alpha - reach, -1.0), min(alpha + reach, 1.0))
