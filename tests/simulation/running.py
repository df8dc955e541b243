"""Repeat a scenario with seeds of its own; the figures are the same however many processes share the work."""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalkit.types import FloatArray

Outcomes: TypeAlias = "dict[str, FloatArray]"
BATCH = 25


@dataclass(frozen=True)
class Asked:
    """What a figure should be.

    Parameters
    ----------
    low, high : float
        The figure must lie between them, ends included.
    words : str
    above : str
        What it means that a figure is above, where that is another matter than the note of the figure.
    """

    low: float
    high: float
    words: str
    above: str = ""

    def is_met(self, value: float) -> bool:
        """Say whether the figure is as asked."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Parameters
    ----------
    what : str
    value, low, high : float or None
        The figure and its 95 % Monte Carlo interval; None where there was nothing to count.
    n : int
        Repetitions behind it.
    asked : Asked or None
        None where nothing was.
    note : str
    """

    what: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    asked: Asked | None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it is as asked; what was not asked, or has nothing to count, is."""
        return self.asked is None or self.value is None or self.asked.is_met(self.value)


@dataclass(frozen=True)
class Scenario:
    """A planted truth and what is asked of the answers.

    Parameters
    ----------
    section, case : str
        Where it stands; together its name, from which its seeds come.
    draw : callable
        Plays it once: a number for each outcome, nan where the outcome does not apply.
    figures : callable
        Makes figures of all repetitions' outcomes.
    share : float
        Of the repetitions asked for, where one is dear.
    """

    section: str
    case: str
    draw: Callable[[np.random.Generator], Mapping[str, float]] = field(repr=False)
    figures: Callable[[Outcomes], list[Figure]] = field(repr=False)
    share: float = 1.0

    @property
    def name(self) -> str:
        """Section and case."""
        return f"{self.section}: {self.case}"


def play(scenario: Scenario, repetitions: Sequence[int], seed: int = 0) -> Outcomes:
    """Play a scenario; each repetition has a seed of its own."""
    found: dict[str, list[float]] = defaultdict(list)
    for repetition in repetitions:
        rng = np.random.default_rng([seed, crc32(scenario.name.encode()), repetition])
        for outcome, value in scenario.draw(rng).items():
            found[outcome].append(value)
    return {outcome: np.array(values, dtype=float) for outcome, values in found.items()}


def play_all(
    scenarios: Sequence[Scenario],
    n_repetitions: int,
    *,
    jobs: int = 1,
    seed: int = 0,
    home: str = "tests.simulation.scenarios",
) -> Iterator[tuple[Scenario, list[Figure]]]:
    """Play scenarios in processes beside each other and give each one's figures when it is done, in order.

    `home` is the module with the dictionary ``SCENARIOS`` in which the processes find them by name.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    batches = {scenario.name: _batches(scenario, n_repetitions) for scenario in scenarios}
    tasks = [(scenario.name, batch) for scenario in scenarios for batch in batches[scenario.name]]
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn")
    ) as pool:  # a fork of many threads may hang
        done = pool.map(partial(_play_named, seed=seed, home=home), tasks)
        for scenario in scenarios:
            parts = [next(done) for _ in batches[scenario.name]]
            outcomes = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            yield scenario, scenario.figures(outcomes)


def _batches(scenario: Scenario, n_repetitions: int) -> list[range]:
    n = max(1, round(scenario.share * n_repetitions))
    return [range(start, min(start + BATCH, n)) for start in range(0, n, BATCH)]


def _play_named(task: tuple[str, range], *, seed: int, home: str) -> Outcomes:
    name, repetitions = task
    return play(import_module(home).SCENARIOS[name], repetitions, seed)
