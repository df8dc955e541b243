"""Which configurations no other beats: one Pareto front, one rule for signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.direction import loss
from evalkit.analysis.ranking import rank_first
from evalkit.stats.pareto import pareto_front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.types import Metric


ALPHA = 0.05
"""Chance that a configuration is called beaten by another that is its equal."""


@dataclass(frozen=True)
class Front:
    """Quality against a cost, the configurations that no other beats marked.

    Parameters
    ----------
    quality, cost : str
        Metrics.
    places : tuple of int
        Configurations that have both.
    is_best : tuple of bool
        Whether by their means no other is at least as good in both and better in one.
    is_beaten : tuple of bool
        Whether one that is as good or better in both is so in one for sure, by paired clips. Those that are neither
        best nor beaten cannot be told apart from the best.
    """

    quality: str
    cost: str
    places: tuple[int, ...]
    is_best: tuple[bool, ...]
    is_beaten: tuple[bool, ...]


def find_unbeaten(configurations: Sequence[Configuration], axes: Sequence[Metric]) -> list[bool | None]:
    """Say of each configuration whether no other is nowhere worse and somewhere better.

    Parameters
    ----------
    configurations : sequence of Configuration
    axes : sequence of Metric
        Compared by their means.

    Returns
    -------
    list of bool or None
        None for a configuration that lacks a value on an axis, and without any axis: it is in no comparison.
    """
    found: list[bool | None] = [None] * len(configurations)
    losses = [_losses(configuration, axes) for configuration in configurations]
    complete = [index for index, row in enumerate(losses) if row is not None]
    if axes and complete:
        unbeaten = pareto_front(np.array([losses[index] for index in complete], dtype=np.float64))
        for index, is_unbeaten in zip(complete, unbeaten.tolist(), strict=True):
            found[index] = is_unbeaten
    return found


def find_front(configurations: Sequence[Configuration], quality: Metric, cost: Metric) -> Front:
    """Return the front of quality against one cost."""
    axes = quality, cost
    unbeaten = find_unbeaten(configurations, axes)
    places = tuple(index for index, is_best in enumerate(unbeaten) if is_best is not None)
    complete = [configurations[place] for place in places]
    return Front(
        quality.name,
        cost.name,
        places,
        tuple(bool(unbeaten[place]) for place in places),
        tuple(
            any(_is_beaten_by(one, other, axes) for other in complete if other is not one) for one in complete
        ),
    )


def _is_beaten_by(one: Configuration, other: Configuration, axes: Sequence[Metric]) -> bool:
    here, there = _losses(one, axes), _losses(other, axes)
    if here is None or there is None or any(a < b for a, b in zip(here, there, strict=True)):
        return False
    return any(rank_first((one, other), axis, ALPHA, given=one.given).first == (1,) for axis in axes)


def _losses(configuration: Configuration, axes: Sequence[Metric]) -> list[float] | None:
    values = [configuration.summary(axis).value for axis in axes]
    if any(value is None for value in values):
        return None
    return [loss(axis, value) for axis, value in zip(axes, values, strict=True) if value is not None]
