"""From outcomes of many repetitions to figures with their Monte Carlo intervals."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from tests.simulation.running import Asked, Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalkit.types import FloatArray
    from tests.simulation.running import Outcomes

RARE = Asked(0.0, 0.06, "≤ 6 %")
RARE_IN_TWO = Asked(0.0, 0.12, "≤ 12 %: 6 % in each of two families")
RISK = Asked(0.0, 0.05, "≤ 5 %")
COVERED = Asked(0.93, 0.97, "93–97 %")
COVERED_SKEWED = Asked(0.90, 0.97, "90–97 %")
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
        widths = [outcomes[f"width {n}"] for n in sizes]
        changes = [_ratio(after, before) for before, after in pairwise(widths)]
        worst = max(range(len(changes)), key=lambda index: abs(changes[index][0]))
        later = range(max(0, MANY - sizes[0]), len(changes))
        from_ten = max(later, key=lambda index: abs(changes[index][0]))
        found = [
            _step(
                f"largest change of the width, from {sizes[place]} to {sizes[place] + 1} pairs",
                changes[place],
                widths[0].size,
            )
            for place in dict.fromkeys((worst, from_ten))
        ]
        powers = [outcomes[f"claim {n}"] for n in sizes]
        gains = [_difference(after, before) for before, after in pairwise(powers)]
        worst = max(range(len(gains)), key=lambda index: abs(gains[index][0]))
        others = [index for index in range(len(gains)) if index != worst]
        second = max(others, key=lambda index: abs(gains[index][0]))
        found += [
            _step(
                f"{rank} change of power (d = 0.8), from {sizes[place]} to {sizes[place] + 1} pairs",
                gains[place],
                widths[0].size,
            )
            for rank, place in (("largest", worst), ("second largest", second))
        ]
        for n in (size for size in sizes if size in {19, 20, 30, 40}):
            found.append(share(f"power at {n} pairs (d = 0.8)", outcomes[f"claim {n}"]))
        return found

    return figures


def _step(what: str, change: tuple[float, float], n: int) -> Figure:
    value, error = change
    return Figure(what, value, value - 1.96 * error, value + 1.96 * error, n, SMOOTH)


def _ratio(after: FloatArray, before: FloatArray) -> tuple[float, float]:
    """Return the relative change of a mean with its standard error, by the delta method."""
    ratio = after.mean() / before.mean()
    return float(ratio - 1.0), float((after - ratio * before).std(ddof=1) / before.mean() / sqrt(after.size))


def _difference(after: FloatArray, before: FloatArray) -> tuple[float, float]:
    change = after - before
    return float(change.mean()), float(change.std(ddof=1) / sqrt(change.size))
