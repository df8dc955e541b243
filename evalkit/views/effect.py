"""What each step of a swept parameter changes, everything else being equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.analysis.direction import is_better
from evalkit.views.figure import FigureView, figure_of_estimate
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.stats.effects import Effect
    from evalkit.types import Metric


@dataclass(frozen=True)
class EffectView(View):
    """One step of one parameter and one metric.

    Parameters
    ----------
    parameter : str
    before, after : plain value
        The levels of the step.
    change : FigureView
        After minus before, over pairs; of the size where 0 is best.
    relative : float or None
        The change as a share of the mean before.
    n_unpaired : int
        Trials at either level whose partner is missing.
    is_clear : bool
        Whether the interval leaves out 0.
    direction : {"better", "worse", "moved"}
        ``moved`` where neither end is good, or nothing changed.
    """

    parameter: str
    before: Plain
    after: Plain
    change: FigureView
    relative: float | None
    n_unpaired: int
    is_clear: bool
    direction: Literal["better", "worse", "moved"]


def effect_views(analysis: RunAnalysis) -> tuple[EffectView, ...]:
    """Return the effects of every parameter on every main metric."""
    return tuple(
        _effect(analysis.metrics[metric], effect)
        for found in analysis.effects.values()
        for metric, effect in found
    )


def _effect(metric: Metric, effect: Effect) -> EffectView:
    change = effect.change
    better = is_better(metric, change.value or 0.0)
    return EffectView(
        parameter=effect.parameter,
        before=plain_param(effect.before),
        after=plain_param(effect.after),
        change=figure_of_estimate(metric, change, None, counted="pairs", reducer="difference"),
        relative=effect.relative_change,
        n_unpaired=effect.n_unpaired,
        is_clear=change.interval is not None and (change.interval.low > 0 or change.interval.high < 0),
        direction="moved" if better is None else "better" if better else "worse",
    )
