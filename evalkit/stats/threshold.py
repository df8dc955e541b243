"""Where opinions begin to fall: flat up to a place, then a straight line downwards.

Conventions
-----------
- ``x`` is a value of which more may be worse, ``y`` an opinion of which more is better; shape (n,), one a clip, finite.
- A break is tested before it is told: the opinions must fall, and they must bend downwards, so that neither a flat line nor
  a straight one will do. Both are score tests with the mean of all possible bends in place of the unknown one (Muggeo
  2016), so that nothing has to be searched for, with standard errors that know what the clips share
  (`evalkit.stats.means.fit_mean`).
- The interval holds every place at which a break needs no second bend (at the place that fits best).
- How often a break is found where there is none, and how often the interval holds it: docs/agreement.md, made by
  ``python -m tests.agreement_simulation``.

References
----------
- V. M. R. Muggeo, "Testing with a nuisance parameter present only under the alternative: a score-based approach with
  application to segmented modelling", Journal of Statistical Computation and Simulation 86, 2016.
- R. Davidson, J. G. MacKinnon, "Several tests for model specification in the presence of alternative hypotheses",
  Econometrica 49, 1981 (whether the one place needs the other).
- R. M. Bell, D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage samples", Survey
  Methodology 28, 2002 (CR2: residuals of few levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import Estimate, MeanFit, finite, fit_mean, independent_factors
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.types import FloatArray

    Factors = Mapping[str, Sequence[Hashable]]

MIN_CLIPS = 20
"""With fewer clips no break is looked for."""
MIN_SIDE = 5
"""Clips that must lie on either side of a break."""
_N_PLACES = 24
"""Places that are tried: as many spread evenly, and as many between values."""
LEVEL = 0.05
"""A break has an interval where `Break.p` is at most this."""
_TAIL = 0.025
_NOTHING = 1e-12
_LEAST_REST = 0.05
"""What stays of a residual at least: a level that alone decides the line has none."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where opinions begin to fall, if they do.

    Parameters
    ----------
    place : float or None
        In the unit of x: the best fit. None where nothing could be fitted.
    interval : Interval or None
        95 %, of the place, within the values at hand; None where p is above `LEVEL`.
    level : float or None
        The opinion up to there.
    slope : float or None
        Change of the opinion for each unit of x beyond.
    cost : Estimate
        Mean opinion of the clips up to the place, less that of those beyond it, with its interval.
    n_beyond : int
        Clips beyond.
    p : float
        Of opinions that do not fall, or fall in a straight line: the larger of both. 1 where it cannot be tested.
    reason : str or None
        Why it could not be tested.
    """

    place: float | None
    interval: Interval | None
    level: float | None
    slope: float | None
    cost: Estimate
    n_beyond: int
    p: float
    reason: str | None = None


def find_break(
    x: FloatArray, y: FloatArray, factors: Factors | None = None, *, given: Collection[str] = ()
) -> Break:
    """Fit a break, and say how sure it is.

    Parameters
    ----------
    x, y : FloatArray, shape (n,)
    factors, given
        As in `evalkit.stats.means.fit_mean`.

    Returns
    -------
    Break
        With a reason, and nothing else, below `MIN_CLIPS`, where fewer than `MIN_SIDE` clips lie on either side of every
        place, or where what the clips share has too few levels.
    """
    x, y = finite(x), finite(y)
    if x.size != y.size:
        raise ValueError(f"{x.size} values and {y.size} opinions do not make pairs")
    if x.size < MIN_CLIPS:
        return _none(x.size, f"{x.size} of the {MIN_CLIPS} clips a threshold needs")
    places = _list_places(x)
    if places.size < 3:
        return _none(x.size, "too few different values to tell a bend from a straight line")
    if np.ptp(y) == 0.0:
        return _none(x.size, "the opinions are the same of every clip")
    bends = np.maximum(0.0, x[:, None] - places)
    fit = partial(_fit_last, y, factors=factors or {}, given=given)
    falls, bends_down = fit([bends.mean(axis=1)]), fit([x, bends.mean(axis=1)])
    if falls.reason is not None:
        return _none(x.size, falls.reason)
    p = max(_p_below(falls), _p_below(bends_down))
    best, slope = _fit_best(y, bends)
    is_beyond = x > places[best]
    cost = _fit_last(-y, [is_beyond.astype(np.float64)], factors or {}, given)
    low, high = cost.bounds(_TAIL)
    return Break(
        place=float(places[best]),
        interval=_find_interval(fit, bends, places, best) if p <= LEVEL else None,
        level=float(y.mean() - slope * bends[:, best].mean()),
        slope=slope,
        cost=Estimate(cost.mean, Interval(low, high) if isfinite(high - low) else None, x.size, cost.reason),
        n_beyond=int(is_beyond.sum()),
        p=p,
    )


def _fit_best(y: FloatArray, bends: FloatArray) -> tuple[int, float]:
    """Return which column leaves least of y, of those along which it falls, and its weight."""
    centred = bends - bends.mean(axis=0)
    strengths = (centred**2).sum(axis=0)
    slopes: FloatArray = centred.T @ (y - y.mean()) / strengths
    best = int(np.argmax(np.where(slopes < 0.0, slopes**2 * strengths, -1.0)))
    return best, float(slopes[best])


def _list_places(x: FloatArray) -> FloatArray:
    """Return where a break may be: between values with enough clips on either side, and evenly spread over them."""
    ordered = np.sort(x)
    low, high = (
        ordered[MIN_SIDE - 1],
        ordered[-MIN_SIDE - 1],
    )  # as many lie beyond: it is not the largest value
    inner = np.unique(x[(x >= low) & (x <= high)])
    if inner.size < 2 or high == ordered[-1]:
        return np.empty(0)
    tried = [np.linspace(low, high, _N_PLACES), inner[:: inner.size // _N_PLACES + 1]]
    places: FloatArray = np.unique(np.concatenate(tried))
    return places


def _find_interval(
    fit: Callable[[Sequence[FloatArray]], MeanFit], bends: FloatArray, places: FloatArray, best: int
) -> Interval:
    """Return the places beside which the best one adds nothing, up to the next ones beside which it does."""
    held = [
        column
        for column in range(places.size)
        if column == best or _holds_zero(fit([bends[:, column], bends[:, best]]))
    ]
    low, high = max(0, held[0] - 1), min(places.size - 1, held[-1] + 1)
    return Interval(float(places[low]), float(places[high]))


def _fit_last(
    y: FloatArray, columns: Sequence[FloatArray], factors: Factors, given: Collection[str]
) -> MeanFit:
    """Return the least-squares weight of the last column beside the others and a constant, with its error.

    A few clips, or all that share a level, can pull the line towards themselves, which makes their residuals small. So
    residuals are raised by what the line leaves of them, clip by clip or level by level; the most cautious way counts.
    """
    others = np.column_stack([np.ones(y.size), *columns[:-1]])
    last = columns[-1] - others @ np.linalg.lstsq(others, columns[-1], rcond=None)[0]
    strength = float(last @ last)
    if strength <= _NOTHING * float(columns[-1] @ columns[-1]):  # it says nothing that the others do not
        return fit_mean(np.zeros(y.size), factors, given=given)
    weight = float(last @ y) / strength
    basis = np.linalg.qr(np.column_stack([others, columns[-1]]))[0]
    residuals = y - basis @ (basis.T @ y)
    fits = []
    for code in (np.arange(y.size), *independent_factors(factors, given).values()):
        owed = y.size * last * _raise_residuals(residuals, basis, code) / strength
        fits.append(fit_mean(weight + owed - owed.mean(), factors, given=given))
    return max(fits, key=lambda fit: fit.standard_error)


def _raise_residuals(residuals: FloatArray, basis: FloatArray, code: NDArray[np.intp]) -> FloatArray:
    """Return residuals as far from 0 as the errors behind them are, were these independent: CR2; HC2 of single clips."""
    n_levels, size = int(code.max()) + 1, basis.shape[1]
    if n_levels == residuals.size:
        leverage = (basis**2).sum(axis=1)
        single: FloatArray = residuals / np.sqrt(np.maximum(1.0 - leverage, _LEAST_REST))
        return single
    shares, pulls = np.zeros((n_levels, size, size)), np.zeros((n_levels, size))
    np.add.at(shares, code, basis[:, :, None] * basis[:, None, :])
    np.add.at(pulls, code, basis * residuals[:, None])
    values, vectors = np.linalg.eigh(np.eye(size) - shares)
    values = np.maximum(values, _LEAST_REST)
    turned = np.einsum("lij,li->lj", vectors, pulls) / (np.sqrt(values) * (1.0 + np.sqrt(values)))
    moved = np.einsum("lij,lj->li", vectors, turned)
    found: FloatArray = residuals + (basis * moved[code]).sum(axis=1)
    return found


def _holds_zero(fit: MeanFit) -> bool:
    low, high = fit.bounds(_TAIL)
    return low <= 0.0 <= high


def _p_below(fit: MeanFit) -> float:
    """Return the one-sided p of a true weight of 0 or more."""
    half = fit.p_value() / 2.0
    return half if fit.mean < 0.0 else 1.0 - half


def _none(n: int, reason: str) -> Break:
    return Break(None, None, None, None, Estimate(None, None, n, reason), 0, 1.0, reason)
