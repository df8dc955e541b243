"""How many raters and clips a study needs, known before anybody is asked; and how many more, known after.

- `spread_of(raters, clips, scores)`: how much raters, clips and the rest make scores differ, as a `Spread`; `ASSUMED` before
- `half_width(spread, n_raters=…, n_clips=…)`: of the mean opinion score of a configuration
- `raters_needed(spread, width, …)`: the reverse; `clips_needed(…)` likewise
- `answers_needed(width, …)`: choices between two options, for the share of pairs that one wins

References
----------
- S. R. Searle, G. Casella, C. E. McCulloch, Variance Components, 1992 (crossed random effects).
- T. Hoßfeld, P. E. Heegaard, M. Varela, S. Möller, "QoE beyond the MOS", Quality and User Experience 1, 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import MIN_LEVELS
from evalkit.stats.opinions import Codes, additive_fit, checked, n_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.types import FloatArray

MAX_RATERS = 10_000
"""More is as good as never."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations of what makes scores differ, in points.

    Parameters
    ----------
    raters : float
        Of the raters' biases: who is mild, who strict.
    clips : float
        Of the quality of a configuration's clips.
    rest : float
        Of a single score around quality and bias: taste, mood, rounding.
    """

    raters: float
    clips: float
    rest: float


ASSUMED = Spread(raters=0.4, clips=0.4, rest=0.7)
"""Before anything was asked. In two published experiments with 26 and 24 raters on a scale of 1 to 5 biases spread 0.30 and 0.41
points, and the rest 0.63 and 0.62 (Netflix public dataset, VQEG HD3, by `spread_of`); 0.7 is a little more, for a judgement that is less
usual than that of coding. Clips of one configuration: a guess."""


def spread_of(
    raters: Codes, clips: Codes, scores: FloatArray, configurations: Codes | None = None
) -> Spread | None:
    """Return what made scores differ.

    Parameters
    ----------
    raters, clips, scores
        As in `evalkit.stats.opinions.mean_opinions`.
    configurations : Codes, shape (n_clips,), optional
        Of each clip: differences between configurations are not a spread of clips. Without any all clips are of one.

    Returns
    -------
    Spread or None
        By moments: the variance of the estimated biases and qualities less that of their errors, at least 0. None with
        fewer than two raters, two clips of a configuration, or two scores to spare, and where raters fall into groups
        without a clip in common.

    Examples
    --------
    >>> raters, clips = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    >>> found = spread_of(raters, clips, np.array([2.0, 3, 4, 3, 4, 5]))
    >>> round(found.raters, 3), round(found.clips, 3), round(found.rest, 3)
    (0.707, 1.0, 0.0)
    """
    raters, clips, scores = checked(raters, clips, scores)
    n_raters, n_clips = int(raters.max(initial=-1)) + 1, int(clips.max(initial=-1)) + 1
    df = scores.size - n_raters - n_clips + 1
    groups = np.zeros(n_clips, dtype=np.intp) if configurations is None else np.asarray(configurations)
    _, groups = np.unique(groups, return_inverse=True)
    df_clips = n_clips - int(groups.max(initial=-1)) - 1
    if n_raters < 2 or df < 2 or df_clips < 1 or n_groups(raters, clips) > 1:
        return None
    quality, bias = additive_fit(raters, clips, scores)
    errors = scores - quality[clips] - bias[raters]
    rest = float(errors @ errors) / df
    within = quality - (np.bincount(groups, weights=quality) / np.bincount(groups))[groups]
    of_clips = float(within @ within) / df_clips - rest * float((1.0 / np.bincount(clips)).mean())
    of_raters = float(bias.var(ddof=1)) - rest * float((1.0 / np.bincount(raters)).mean())
    return Spread(*(sqrt(variance) if variance > 1e-12 else 0.0 for variance in (of_raters, of_clips, rest)))


def half_width(
    spread: Spread, *, n_raters: int, n_clips: int, clips_a_rater: float | None = None
) -> float | None:
    """Return the expected half width of the 95 % interval of a configuration's mean opinion score.

    Parameters
    ----------
    spread : Spread
    n_raters, n_clips : int
        Raters in all; clips of the configuration.
    clips_a_rater : float, optional
        Of the configuration that each rater sees, on average; all of them without.

    Returns
    -------
    float or None
        In points; None with fewer than four raters or clips (fewer clips will do where they do not differ: a spread of 0).
        It speaks of other raters and other clips of the kind; the clips are taken as independent, one a portrait.

    Examples
    --------
    20 raters, 6 clips: 0.4² / 20 + 0.4² / 6 + 0.7² / 120 is 0.0388, and Student's quantile with 10.3 degrees of freedom 2.22.

    >>> round(half_width(ASSUMED, n_raters=20, n_clips=6), 2)
    0.44
    """
    from evalkit.stats.special import stdtrit

    if n_raters < MIN_LEVELS or (n_clips < MIN_LEVELS and spread.clips > 0.0):
        return None
    n_scores = n_raters * min(n_clips if clips_a_rater is None else clips_a_rater, n_clips)
    parts = np.array([spread.raters**2 / n_raters, spread.clips**2 / n_clips, spread.rest**2 / n_scores])
    variance = float(parts.sum())
    if variance == 0.0:
        return 0.0
    df = variance**2 / float((parts**2 / [n_raters - 1, max(n_clips - 1, 1), max(n_scores - 1, 1)]).sum())
    return float(stdtrit(df, 0.975)) * sqrt(variance)


def raters_needed(
    spread: Spread, width: float, *, n_clips: int, clips_a_rater: float | None = None
) -> int | None:
    """Return how many raters, all counted, an expected half width of at most `width` needs.

    Parameters
    ----------
    spread, n_clips, clips_a_rater
        As in `half_width`.
    width : float
        Half width of the 95 % interval, in points.

    Returns
    -------
    int or None
        None where no number does: the clips differ too much, and more of them are needed.

    Examples
    --------
    >>> raters_needed(ASSUMED, 0.5, n_clips=6), raters_needed(ASSUMED, 0.3, n_clips=6)
    (9, None)
    """
    return _fewest(
        lambda n: half_width(spread, n_raters=n, n_clips=n_clips, clips_a_rater=clips_a_rater), width
    )


def clips_needed(
    spread: Spread, width: float, *, n_raters: int, clips_a_rater: float | None = None
) -> int | None:
    """Return how many clips of a configuration an expected half width of at most `width` needs; as `raters_needed`.

    >>> clips_needed(ASSUMED, 0.3, n_raters=20)
    14
    """
    return _fewest(
        lambda n: half_width(spread, n_raters=n_raters, n_clips=n, clips_a_rater=clips_a_rater), width
    )


def answers_needed(
    width: float, *, share: float = 0.5, answers_a_rater: int = 1, likeness: float = 0.1
) -> int | None:
    """Return how many choices between two options an expected half width of the share of pairs won needs.

    Parameters
    ----------
    width : float
        Half width of the 95 % interval, as a share: 0.1 for ± 10 %.
    share : float
        That is expected; 0.5 needs most. Ties need fewer, which is not counted on.
    answers_a_rater : int
        About these two options.
    likeness : float
        Correlation of two answers of a rater: n answers of one count as n / (1 + (n - 1) × likeness).

    Returns
    -------
    int or None
        All raters together; None for a width of 0 or less.

    Examples
    --------
    >>> answers_needed(0.1), answers_needed(0.1, answers_a_rater=6)
    (99, 162)
    """
    from evalkit.stats.special import stdtrit

    effect = 1.0 + (answers_a_rater - 1) * likeness

    def reach(n_raters: int) -> float:
        error = sqrt(share * (1.0 - share) * effect / (n_raters * answers_a_rater))
        return float(stdtrit(max(n_raters - 1, 1), 0.975)) * error

    n = _fewest(reach, width)
    return None if n is None else n * answers_a_rater


def _fewest(reach: Callable[[int], float | None], width: float) -> int | None:
    """Return the smallest number from 2 whose reach is at most `width`; the reach falls with the number."""

    def does(n: int) -> bool:
        found = reach(n)
        return found is not None and found <= width

    if not does(MAX_RATERS):
        return None
    low, high = 1, MAX_RATERS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high
