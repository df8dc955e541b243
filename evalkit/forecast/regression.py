"""From what was measured to what will be: pure arithmetic on points of amount of work and what it took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAME = 0.01
"""Amounts of work that differ by less are one."""
_N_FOR_A_LINE = 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """What something will take.

    Parameters
    ----------
    value : float
    low, high : float or None
        95 % prediction interval of one more trial, or the bracket that `how` names; None where a single trial tells
        nothing of the spread.
    n : int
        Measurements behind it.
    how : str
        For people.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    how: str

    def times(self, factor: float) -> Forecast:
        """Return it with everything so many times as large."""
        low = None if self.low is None else self.low * factor
        high = None if self.high is None else self.high * factor
        return Forecast(self.value * factor, low, high, self.n, self.how)


def forecast(points: Sequence[tuple[float, float]], work: float) -> Forecast | None:
    """Say what an amount of work will take.

    From trials of the same amount, their mean. Else from three amounts or more, a straight line by least squares whose
    start and slope are not below 0. Else from the nearest amount: between what it took and as much more or less as
    there is work.

    Parameters
    ----------
    points : sequence of (float, float)
        Amount of work, above 0, and what it took.
    work : float
        Above 0.

    Returns
    -------
    Forecast or None
        None where there are no points.

    Examples
    --------
    >>> forecast([(1.0, 10.0), (1.0, 12.0)], 1.0).value
    11.0
    >>> line = forecast([(1.0, 3.0), (2.0, 5.0), (3.0, 7.0)], 4.0)
    >>> round(line.value, 6), line.n
    (9.0, 3)
    >>> bracket = forecast([(1.0, 10.0)], 2.0)
    >>> bracket.low, bracket.value, bracket.high
    (10.0, 20.0, 20.0)
    """
    same = np.array([took for amount, took in points if abs(amount - work) <= _SAME * work])
    if same.size:
        return _mean(same)
    if not points:
        return None
    amounts, took = np.array(points, dtype=np.float64).T
    if len({round(math.log(amount) / _SAME) for amount in amounts}) >= _N_FOR_A_LINE:
        return _line(amounts, took, work)
    nearest = min(points, key=lambda point: abs(math.log(point[0] / work)))
    as_much = nearest[1] * work / nearest[0]
    return Forecast(
        as_much,
        min(as_much, nearest[1]),
        max(as_much, nearest[1]),
        len(points),
        "in proportion to the work, or unchanged",
    )


def _mean(took: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Forecast:
    mean, n = float(took.mean()), int(took.size)
    if n == 1:
        return Forecast(mean, None, None, 1, "one trial with the same parameters")
    reach = _student(n - 1) * float(took.std(ddof=1)) * math.sqrt(1 + 1 / n)
    return Forecast(mean, max(0.0, mean - reach), mean + reach, n, f"{n} trials with the same parameters")


def _line(
    amounts: np.ndarray[tuple[int], np.dtype[np.float64]],
    took: np.ndarray[tuple[int], np.dtype[np.float64]],
    work: float,
) -> Forecast:
    from scipy.optimize import nnls

    n = int(amounts.size)
    scale = float(amounts.mean())
    (start, slope), _ = nnls(np.column_stack([np.ones(n), amounts / scale]), took)
    slope /= scale
    value = float(start + slope * work)
    spread = float(((amounts - amounts.mean()) ** 2).sum())
    scatter = math.sqrt(float(((took - start - slope * amounts) ** 2).sum()) / max(1, n - 2))
    reach = _student(n - 2) * scatter * math.sqrt(1 + 1 / n + (work - float(amounts.mean())) ** 2 / spread)
    beyond = "" if amounts.min() <= work <= amounts.max() else ", beyond them"
    return Forecast(value, max(0.0, value - reach), value + reach, n, f"a line through {n} trials{beyond}")


def _student(n_free: int) -> float:
    from evalkit.stats.special import stdtrit

    return float(stdtrit(n_free, 0.975))
