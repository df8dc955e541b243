"""From outcomes of many repetitions to figures with their Monte Carlo intervals."""

from __future__ import annotations

from itertools import pairwise
from math import exp, lgamma, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binomtest

from evalkit.decisions.budget import MIN_PAIRS
from tests.simulation.running import Asked, Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalkit.types import FloatArray
    from tests.simulation.running import Outcomes

RARE = Asked(0.0, 0.06, "≤ 6 %")
RARE_IN_TWO = Asked(0.0, 0.12, "≤ 12 %: 6 % in each of two families")
RISK = Asked(0.0, 0.05, "≤ 5 %")
_WIDE = "the interval is wider than it need be"
COVERED = Asked(0.93, 0.97, "93–97 %", _WIDE)
COVERED_SKEWED = Asked(0.90, 0.97, "90–97 %", _WIDE)
REASON = Asked(1.0, 1.0, "100 %")
POWER = Asked(0.85, 1.0, "≥ 85 %")
RELEASED = Asked(0.8, 1.0, "≥ 80 %")
MANY = 10
"""From so many pairs on Student's t itself changes the width by less than a tenth."""
SMOOTH = Asked(-0.1, 0.1, "within ±10 %")


def share(what: str, values: FloatArray, asked: Asked | None = None, note: str = "") -> Figure:
    """Return the share of ones among the repetitions to which the outcome applies, with its exact interval."""
    values = values[~np.isnan(values)]
    n = values.size
    if not n:
        return Figure(what, None, None, None, 0, asked, note)
    hits = int(values.sum())
    low, high = binomtest(hits, n).proportion_ci(0.95)
    return Figure(what, hits / n, float(low), float(high), n, asked, note)


def shares(asked: Mapping[str, Asked | None], *, note: str = "") -> Callable[[Outcomes], list[Figure]]:
    """Return the shares of these outcomes."""
    return lambda outcomes: [share(name, outcomes[name], limit, note) for name, limit in asked.items()]


def claims_and_coverage(covered: Asked = COVERED, *, note: str = "") -> Callable[[Outcomes], list[Figure]]:
    """Return false claims, and how often the interval holds the truth; that a reason is given where there is none."""

    def figures(outcomes: Outcomes) -> list[Figure]:
        found = [share("false claims", outcomes["claim"], RARE, note)]
        if np.isfinite(outcomes["covered"]).any():
            found.append(share("interval holds the truth", outcomes["covered"], covered, note))
        if np.isfinite(outcomes["reason"]).any():
            found.append(share("no interval: the reason is said", outcomes["reason"], REASON))
        return found

    return figures


def largest_steps(sizes: range) -> Callable[[Outcomes], list[Figure]]:
    """Return how much one clip more changes width and power, where it does most."""

    def figures(outcomes: Outcomes) -> list[Figure]:
        steps = list(pairwise(sizes))
        widths = [_ratio(outcomes[f"width {n}"], outcomes[f"width {n - 1}"]) for n in sizes[1:]]
        powers = [_difference(outcomes[f"claim {n}"], outcomes[f"claim {n - 1}"]) for n in sizes[1:]]
        n_repetitions = outcomes[f"claim {sizes[0]}"].size
        found = []
        places = range(len(steps))
        later = [place for place in places if steps[place][0] >= MANY] or places
        for place in dict.fromkeys(
            max(some, key=lambda place: abs(widths[place][0])) for some in (places, later)
        ):
            before, after = steps[place]
            what = f"largest change of the width, from {before} to {after} pairs"
            note = f"the width of Student's t alone changes by {100 * (_student(after) / _student(before) - 1):.1f} %"
            found.append(_step(what, widths[place], n_repetitions, note))
        ordered = sorted(places, key=lambda place: -abs(powers[place][0]))
        for rank, place in zip(("largest", "second largest"), ordered, strict=False):
            before, after = steps[place]
            what = f"{rank} change of power (d = 0.8), from {before} to {after} pairs"
            note = (
                f"with fewer than {MIN_PAIRS} pairs nothing is claimed of a mean"
                if after == MIN_PAIRS
                else ""
            )
            found.append(_step(what, powers[place], n_repetitions, note))
        shown = [n for n in (19, 20, 30, 40) if n in sizes]
        return found + [share(f"power at {n} pairs (d = 0.8)", outcomes[f"claim {n}"]) for n in shown]

    return figures


def _student(n: int) -> float:
    """Return the expected width of Student's interval of n normal values with a spread of 1."""
    unbiased = sqrt(2 / (n - 1)) * exp(lgamma(n / 2) - lgamma((n - 1) / 2))
    return float(2.0 * stdtrit(n - 1, 0.975) * unbiased / sqrt(n))


def _step(what: str, change: tuple[float, float], n: int, note: str) -> Figure:
    value, error = change
    return Figure(what, value, value - 1.96 * error, value + 1.96 * error, n, SMOOTH, note)


def _ratio(after: FloatArray, before: FloatArray) -> tuple[float, float]:
    """Return the relative change of a mean with its standard error, by the delta method."""
    ratio = after.mean() / before.mean()
    return float(ratio - 1.0), float((after - ratio * before).std(ddof=1) / before.mean() / sqrt(after.size))


def _difference(after: FloatArray, before: FloatArray) -> tuple[float, float]:
    change = after - before
    return float(change.mean()), float(change.std(ddof=1) / sqrt(change.size))
