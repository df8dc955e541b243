"""How often a configuration would pass again: its clips redrawn, and judged as they were."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.factors import shared_factors
from evalkit.decisions.budget import MIN_CLIPS
from evalkit.decisions.judge import Grade, judge
from evalkit.stats.means import independent_factors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord
    from evalkit.decisions.budget import ErrorBudget
    from evalkit.decisions.policy import Policy

N_REDRAWS = 200
_SEED = 0


def share_of_passes(configuration: Configuration, policy: Policy, budget: ErrorBudget) -> float | None:
    """Return the share of redraws of a configuration's clips in which every hard rule passes.

    As many clips are drawn from those that there are, with replacement, all values of a clip together; clips that
    share the coarsest factor stay together. It is how often the policy would pass on as many new clips of the same
    kind, were the clips seen all there is to know.

    Parameters
    ----------
    configuration : Configuration
    policy : Policy
    budget : ErrorBudget

    Returns
    -------
    float or None
        From 0 to 1, always the same for the same clips. None with fewer than `MIN_CLIPS` independent clips, and where
        factors cross.
    """
    codes = independent_factors(shared_factors(configuration.rows), configuration.given)
    if len(codes) != 1:
        return None
    (code,) = codes.values()
    units = [
        [row for row, own in zip(configuration.rows, code.tolist(), strict=True) if own == unit]
        for unit in range(int(code.max()) + 1)
    ]
    if len(units) < MIN_CLIPS:
        return None
    rules = [rule for rule in policy.rules if rule.kind == "hard"]
    rng = np.random.default_rng(_SEED)
    n_passes = 0
    for _ in range(N_REDRAWS):
        drawn = replace(configuration, rows=_redraw(units, rng))
        n_passes += all(judge(rule, drawn, policy, budget).grade is Grade.PASSES for rule in rules)
    return n_passes / N_REDRAWS


def _redraw(units: Sequence[Sequence[ClipRecord]], rng: np.random.Generator) -> tuple[ClipRecord, ...]:
    """Draw as many units as there are; one that is drawn twice is two, with inputs of its own."""
    return tuple(
        replace(
            row,
            name=f"{place} {row.name}",
            portrait=None if row.portrait is None else f"{place} {row.portrait}",
            speech=None if row.speech is None else f"{place} {row.speech}",
            content=None,
        )
        for place, unit in enumerate(rng.integers(len(units), size=len(units)).tolist())
        for row in units[unit]
    )
