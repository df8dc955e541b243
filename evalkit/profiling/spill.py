"""Work that became several-fold slower while GPU memory was full: some drivers then keep part of it in the host's memory.

They do so instead of failing (NVIDIA calls it system memory fallback, managed memory does the same), so nothing else
tells of it.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.profiling.profile import Series
    from evalkit.types import FloatArray

JUMP = 5.0
"""So many times the usual is a jump: caches and clocks make a factor of two or three, the way to the host's memory ten."""
FULL = 0.97
"""Share of a GPU's memory from which it is full: drivers keep a few hundred MiB for themselves."""
N_LASTING = 2
"""Slow steps in a row that are no hiccup."""
ADVICE = "the driver may have moved part of it to the host; use less memory, or a larger GPU"
"""What it may mean, and what to do."""
_N_USUAL = 2
_N_OTHERS = 3


class Spill(NamedTuple):
    """A jump of the time per step while a GPU was full.

    Parameters
    ----------
    step : int
        The first slow one, from 0.
    at_s : float
        When it began, seconds since the request.
    factor : float
        Median of it and the slow ones after it, over the median of those before.
    gpu : int
        Index of the GPU that was full.
    fullness : float
        The least share of its memory, from 0 to 1, that was in use at the fullest moment of each slow step.
    """

    step: int
    at_s: float
    factor: float
    gpu: int
    fullness: float

    def text(self) -> str:
        """Write it for people, with what to do."""
        return (
            f"warning: from step {self.step + 1} on ({self.at_s:.1f} s) each took {self.factor:.0f} times as long as before "
            f"while GPU {self.gpu} was at {100 * self.fullness:.0f} % of its memory: {ADVICE}"
        )


def find_spill(edges_s: FloatArray, shares: Mapping[int, Series]) -> Spill | None:
    """Find the first lasting jump of the time per step that came while a GPU was full.

    A step is slow where it took `JUMP` times the median of all before it, the first one apart, which may have compiled.
    `N_LASTING` slow ones in a row are a jump: a single one is a hiccup. In each of them the same GPU must have been at
    `FULL` or more.

    Parameters
    ----------
    edges_s : FloatArray, shape (n + 1,)
        When the first step began and when each ended, seconds since the request, increasing.
    shares : mapping of int to Series
        For each GPU the share of its memory in use by anybody, over the same time.

    Returns
    -------
    Spill or None
        None also for fewer than 5 steps: then too little is usual.
    """
    took_s = np.diff(edges_s)
    for step in range(1 + _N_USUAL, took_s.size - N_LASTING + 1):
        usual_s = float(np.median(took_s[1:step]))
        lasting_s = took_s[step : step + N_LASTING]
        if not usual_s > 0 or lasting_s.min() < JUMP * usual_s:
            continue
        last = step + N_LASTING
        while last < took_s.size and took_s[last] >= JUMP * usual_s:
            last += 1
        for gpu, share in shares.items():
            fullness = _fullness(share, edges_s[step : step + N_LASTING + 1])
            if fullness is not None and fullness >= FULL:
                factor = float(np.median(took_s[step:last])) / usual_s
                return Spill(step, float(edges_s[step]), factor, gpu, fullness)
    return None


def find_slow(times: Sequence[float], fullness: Sequence[float | None]) -> dict[int, float]:
    """Find which of several pieces of the same work took several-fold longer than the others, with a GPU full.

    Parameters
    ----------
    times : sequence of float
        What each took, in any unit.
    fullness : sequence of float or None
        Highest share of a GPU's memory in use meanwhile, from 0 to 1; None where that is not known.

    Returns
    -------
    dict of int to float
        Place, and how many times the median of the others it took. Empty where there are fewer than 3 others.

    Examples
    --------
    >>> find_slow([1.0, 1.1, 0.9, 8.0, 7.0], [0.98, 0.98, 0.98, 0.99, 0.5])
    {3: 7.619047619047619}
    """
    if len(times) <= _N_OTHERS:
        return {}
    found, in_order = {}, sorted(times)
    for place, (time, share) in enumerate(zip(times, fullness, strict=True)):
        usual = _median_without(in_order, bisect_left(in_order, time))
        if share is not None and share >= FULL and usual > 0 and time >= JUMP * usual:
            found[place] = time / usual
    return found


def _median_without(in_order: Sequence[float], place: int) -> float:
    """Return the median of sorted numbers but one.

    >>> _median_without([1, 2, 3, 9], 3), _median_without([1, 2, 3, 9, 9], 0)
    (2.0, 6.0)
    """
    n = len(in_order) - 1
    low, high = (in_order[index + (index >= place)] for index in ((n - 1) // 2, n // 2))
    return (low + high) / 2


def _fullness(share: Series, edges_s: FloatArray) -> float | None:
    """Return the least of the highest shares of each step; None where one of them was not looked at."""
    highest = []
    for start_s, end_s in pairwise(edges_s):
        inside = share.values[(share.times_s >= start_s) & (share.times_s <= end_s)]
        if not inside.size:
            return None
        highest.append(float(inside.max()))
    return min(highest)
