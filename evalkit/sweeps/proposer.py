"""Which configuration of a grid is worth trying next: Optuna proposes, from what is known of those that were tried."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.errors import UsageError
from pipeline.extras import find_missing

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

EXTRA = "search"
_N_AT_RANDOM = 10
"""So many are drawn at random first, spread over the grid, before the losses are heeded; Optuna's own number."""
_N_ASKED = 16
"""So often Optuna is asked for one that was not proposed yet; then one of the rest is drawn at random."""


def require_optuna() -> None:
    """Refuse to search where Optuna is not installed.

    Raises
    ------
    UsageError
        With the command that brings it.
    """
    if missing := find_missing(EXTRA):
        raise UsageError(f"a search cannot propose configurations: {missing}")


class OptunaProposer:
    """Proposes the configurations of a grid by the tree-structured Parzen estimator, each once.

    It has no memory: every proposal is made from the history alone, with a seed that follows from how long that is. So a
    search that goes on proposes what one would that was never interrupted. See `evalkit.sweeps.race.Proposer`.

    Parameters
    ----------
    grid : mapping of str to sequence
        Values of each parameter; configurations are places in `evalkit.sweeps.plan.expand_grid`. Of numbers the order
        counts: what is known of 2 and 4 steps says something of 3.
    seed : int
    first : sequence of int
        What was proposed before: these come first again.
    never : collection of int
        What is not to be proposed.

    References
    ----------
    J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; T. Akiba et al., "Optuna", KDD 2019.
    """

    def __init__(
        self,
        grid: Mapping[str, Sequence[Any]],
        *,
        seed: int = 0,
        first: Sequence[int] = (),
        never: Collection[int] = (),
    ) -> None:
        self._seed = seed
        self._orders = {name: _order(values) for name, values in grid.items()}
        self._is_ordered = {name: _is_numeric(values) for name, values in grid.items()}
        combined = product(*self._orders.values())
        self._points = [dict(zip(self._orders, own, strict=True)) for own in combined]
        self._places = {tuple(point.values()): place for place, point in enumerate(self._points)}
        self._first = [place for place in first if place not in never]
        self._never = frozenset(never)

    def propose(self, history: Mapping[int, float | None]) -> int | None:
        """Return a configuration that is not in the race; None when there is none any more.

        Parameters
        ----------
        history : mapping of int to float or None
            Those that are, in the order in which they came, with their losses as far as they are known.
        """
        rest = [place for place in range(len(self._points)) if place not in history.keys() | self._never]
        if not rest:
            return None
        again = next((place for place in self._first if place not in history), None)
        if again is not None:
            return again
        rng = np.random.default_rng([self._seed, len(history)])
        n_known = sum(loss is not None for loss in history.values())
        if n_known >= min(_N_AT_RANDOM, len(self._points)):
            for place in self._ask(history, int(rng.integers(2**31))):
                if place in rest:
                    return place
        return self._spread(history, rest, rng)

    def _ask(self, history: Mapping[int, float | None], seed: int) -> Iterator[int]:
        """Yield what Optuna would try; the same may come twice, and what was tried already."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = self._distributions()
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)
        study = optuna.create_study(sampler=sampler)
        study.add_trials([self._trial(place, loss, distributions) for place, loss in history.items()])
        for _ in range(_N_ASKED):
            params = study.ask(distributions).params
            yield self._places[tuple(params[name] for name in self._orders)]

    def _spread(
        self, history: Mapping[int, float | None], rest: Sequence[int], rng: np.random.Generator
    ) -> int:
        """Draw one of those that share fewest values with what was proposed: early ones cover every value."""
        seen = [self._points[place] for place in history]
        shared = [
            sum(self._points[place][name] == other[name] for other in seen for name in self._orders)
            for place in rest
        ]
        fewest = min(shared)
        return int(rng.choice([place for place, n in zip(rest, shared, strict=True) if n == fewest]))

    def _distributions(self) -> dict[str, BaseDistribution]:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            name: IntDistribution(0, len(order) - 1)
            if self._is_ordered[name]
            else CategoricalDistribution(sorted(order))
            for name, order in self._orders.items()
        }

    def _trial(
        self, place: int, loss: float | None, distributions: dict[str, BaseDistribution]
    ) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        point = self._points[place]
        if loss is None:
            return create_trial(state=TrialState.RUNNING, params=point, distributions=distributions)
        return create_trial(params=point, distributions=distributions, value=loss)


def _order(values: Sequence[Any]) -> list[int]:
    """Return of each value its place among the sorted ones; its own where they are no numbers.

    >>> _order([4, 2, 8]), _order(["b", "a"])
    ([1, 0, 2], [0, 1])
    """
    if not _is_numeric(values):
        return list(range(len(values)))
    ranked = sorted(range(len(values)), key=lambda place: values[place])
    return [ranked.index(place) for place in range(len(values))]


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )
