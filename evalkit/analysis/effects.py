"""What each step of a swept parameter does to a metric, everything else being equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.catalogue import is_rating
from evalkit.analysis.direction import magnitude
from evalkit.analysis.factors import shared_factors
from evalkit.analysis.scores import fit_score_change
from evalkit.stats.effects import Effect, main_effects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.stats.means import MeanFit
    from evalkit.types import Metric


def measure_effects(
    metric: Metric, rows: Sequence[ClipRecord], parameters: Iterable[str], given: Collection[str] = ()
) -> list[Effect]:
    """Return the effect of each step of each parameter on a metric (on its size where 0 is best).

    Parameters
    ----------
    metric : Metric
    rows : sequence of ClipRecord
        Of all configurations; those without a value are left out.
    parameters : iterable of str
        The swept ones.
    given : collection of str
        Factors whose levels are all that matter.
    """
    scored = [(row, value) for row in rows if (value := row.value(metric.name)) is not None]
    kept = [row for row, _ in scored]
    levels = {name: [row.params.get(name) for row in kept] for name in parameters}
    if not kept or not levels:
        return []

    def fit_change(before: list[int], after: list[int]) -> MeanFit:
        return fit_score_change(
            metric.name, [kept[place] for place in before], [kept[place] for place in after], given
        )

    return main_effects(
        np.array([magnitude(metric, value) for _, value in scored]),
        levels,
        [(row.input, row.seed) for row in kept],
        shared_factors(kept),
        given,
        fit_change=fit_change if is_rating(metric.name) else None,
    )
