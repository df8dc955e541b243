"""In which order the trials of a plan are done: a machine that drifts must not look like a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.options import canonical_json, hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evalkit.sweeps.plan import PlannedTrial

Item = TypeVar("Item")


def seed_of_order(planned: Iterable[str]) -> int:
    """Return the seed of the order in which planned videos are made: the same plan has the same order, wherever.

    Parameters
    ----------
    planned : iterable of str
        Their ids, in any order.
    """
    return int(hash_of(sorted(planned))[:8], 16)


def order_trials(trials: Sequence[PlannedTrial], seed: int, *, batches: bool = False) -> list[PlannedTrial]:
    """Return trials in the order in which they are done: randomised complete blocks.

    A block is what a pair shares: portrait, speech and seed. Blocks come in random order, and all configurations of one
    come one after the other in random order. So whatever drifts (temperature, other load) hits all configurations
    alike, and a sweep that is ended early has whole blocks: every configuration on some of the inputs.

    Parameters
    ----------
    trials : sequence of PlannedTrial
        All of the plan: the order of a part is that of the whole, so that a sweep that goes on keeps it.
    seed : int
        See `seed_of_order`.
    batches : bool
        Whether the generator makes trials together that differ in the inputs alone. Then such a batch stays together
        and is what is put at random, inside the seed of its trials: configurations are not interleaved input by input.

    References
    ----------
    Box, Hunter & Hunter, Statistics for Experimenters, 2nd ed., chapter 4: block what you can, randomise what you cannot.
    """
    rng = np.random.default_rng(seed)
    ordered = []
    for block in _shuffled(_grouped(trials, _seed if batches else _block), rng):
        groups = _grouped(block, _configuration) if batches else [[trial] for trial in block]
        ordered += [trial for group in _shuffled(groups, rng) for trial in group]
    return ordered


def _grouped(trials: Sequence[PlannedTrial], key: Callable[[PlannedTrial], str]) -> list[list[PlannedTrial]]:
    groups: dict[str, list[PlannedTrial]] = {}
    for trial in trials:
        groups.setdefault(key(trial), []).append(trial)
    return list(groups.values())


def _shuffled(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    return [items[place] for place in rng.permutation(len(items))]


def _block(trial: PlannedTrial) -> str:
    inputs = [None if given is None else given.content for given in (trial.portrait, trial.speech)]
    return canonical_json([*inputs, trial.seed])


def _seed(trial: PlannedTrial) -> str:
    return canonical_json(trial.seed)


def _configuration(trial: PlannedTrial) -> str:
    return canonical_json(trial.params)
