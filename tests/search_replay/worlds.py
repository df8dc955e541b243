"""Worlds to race in: stored grids drawn again with noise, and planted ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evalkit.analysis.direction import loss, loss_bounds
from evalkit.evaluators.lip_sync import LipSync
from evalkit.evaluators.technical import Technical
from evalkit.sweeps.race import Block
from tests.search_replay.make_grids import FOLDER, SWEEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.types import FloatArray

    Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]

METRICS = {metric.name: metric for metric in (*LipSync.metrics, *Technical.metrics)}
MOVED = 0.25
"""Share of the cells that are given the value of another block of the same configuration."""


@dataclass(frozen=True, eq=False)
class World:
    """A full grid, and what is true of it.

    Parameters
    ----------
    losses : FloatArray, shape (n_configurations, n_blocks)
        Lower is better; not a number where a trial has no value.
    blocks : tuple of Block
    truth : FloatArray, shape (n_configurations,)
        Expected losses, missing values as the worst.
    bounds : tuple of float or None
        Lowest and highest loss.
    """

    losses: FloatArray
    blocks: tuple[Block, ...]
    truth: FloatArray
    bounds: tuple[float | None, float | None] = (None, None)

    @property
    def filled(self) -> FloatArray:
        """The losses, missing ones as the worst that there can be, or that there is."""
        worst = np.nanmax(self.losses) if self.bounds[1] is None else self.bounds[1]
        return np.where(np.isnan(self.losses), worst, self.losses)

    @property
    def are_best(self) -> FloatArray:
        """Whether each is truly as good as the best."""
        return self.truth <= self.truth.min() + 1e-9


# stored grids


@lru_cache
def stored(grid: str, name: str) -> World:
    """Return a stored grid as it was measured, in one metric."""
    table = pd.read_csv(FOLDER / f"{grid}.csv")
    params = [f"param.{key}" for key in SWEEPS[grid]["grid"]]
    metric = METRICS[name]
    configurations = table[params].astype(str).agg(" ".join, axis=1)
    inputs = [
        Block(*levels) for levels in table[["portrait", "speech", "seed"]].fillna("").to_numpy().tolist()
    ]
    rows = dict.fromkeys(configurations)
    columns = dict.fromkeys(inputs)
    cells = dict(zip(zip(configurations, inputs, strict=True), table[name], strict=True))
    losses = np.array([[loss(metric, cells[row, column]) for column in columns] for row in rows])
    world = World(losses, tuple(columns), np.empty(0), loss_bounds(metric))
    return replace(world, truth=world.filled.mean(axis=1))


def drawn_again(world: World, rng: np.random.Generator) -> World:
    """Draw portraits, speech and seeds of a stored grid with replacement; some cells get the value of another block.

    A configuration keeps its mean, its ties, its bounds and its missing values, as expected. Levels that were drawn
    twice are two levels.
    """
    levels = [
        sorted({getattr(block, name) for block in world.blocks}, key=str)
        for name in ("portrait", "speech", "seed")
    ]
    places = {(block.portrait, block.speech, block.seed): place for place, block in enumerate(world.blocks)}
    drawn = [rng.integers(len(own), size=len(own)) for own in levels]
    cells = list(product(*(range(len(own)) for own in levels)))
    sources = [
        places[tuple(own[draws[index]] for own, draws, index in zip(levels, drawn, cell, strict=True))]  # type: ignore[index]
        for cell in cells
    ]
    losses = world.losses[:, sources]
    moved = rng.random(losses.shape) < MOVED
    elsewhere = rng.integers(losses.shape[1], size=losses.shape)
    losses = np.where(moved, np.take_along_axis(world.losses, elsewhere, axis=1), losses)
    return replace(world, losses=losses, blocks=tuple(Block(*cell) for cell in cells))


def shuffled(world: World, rng: np.random.Generator) -> World:
    """Deal the values of each block out to the configurations at random: nothing distinguishes them."""
    drawn = drawn_again(world, rng)
    losses = rng.permuted(drawn.losses, axis=0)
    return replace(drawn, losses=losses, truth=np.zeros(len(losses)))


def levelled(world: World, rng: np.random.Generator) -> World:
    """Take the mean of each configuration away: what it is better at, and worse, by portrait and speech is left."""
    level = world.filled - world.truth[:, None]
    drawn = drawn_again(replace(world, losses=level, bounds=(None, None)), rng)
    return replace(drawn, truth=np.zeros(len(level)))


# planted worlds


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw symmetric noise."""
    return rng.normal(size=shape)


def log_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw noise with a long tail above; mean 0, spread 1."""
    return (rng.lognormal(0.0, 1.0, shape) - np.exp(0.5)) / np.sqrt((np.e - 1.0) * np.e)


def ruined(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw noise of which a tenth is a ruined clip; mean 0."""
    return np.where(rng.random(shape) < 0.1, 5.0, 0.0) - 0.5 + 0.3 * rng.normal(size=shape)


def heaps(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw noise that is about -1 or about 1."""
    return rng.choice([-1.0, 1.0], shape) + 0.02 * rng.normal(size=shape)


def mostly_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw noise of which seven in ten are 0."""
    return np.where(rng.random(shape) < 0.7, 0.0, rng.normal(size=shape))


def planted(
    rng: np.random.Generator,
    means: FloatArray,
    *,
    n_portraits: int = 1,
    n_texts: int = 24,
    n_seeds: int = 1,
    noise: Draw = normal,
    interaction: float = 0.0,
) -> World:
    """Draw a world with these expected losses; spread 1 within a block.

    Parameters
    ----------
    interaction : float
        Share of the variance by which a configuration is better with one portrait than with another.
    """
    cells = list(product(range(n_portraits), range(n_texts), range(n_seeds)))
    portraits = np.array([portrait for portrait, _, _ in cells])
    shape = (len(means), len(cells))
    own = rng.normal(0.0, np.sqrt(interaction), (len(means), n_portraits))[:, portraits]
    losses = (
        means[:, None]
        + rng.normal(0.0, 2.0, len(cells))
        + own
        + np.sqrt(1.0 - interaction) * noise(rng, shape)
    )
    return World(losses, tuple(Block(*cell) for cell in cells), means)


def rounded(world: World) -> World:
    """Round all values, so that many are equal."""
    return replace(world, losses=np.round(world.losses / 1.5) * 1.5)


def with_failures(world: World, rng: np.random.Generator, share: float) -> World:
    """Take values away at random."""
    return replace(world, losses=np.where(rng.random(world.losses.shape) < share, np.nan, world.losses))


def with_hidden_faults(world: World, *, share: float = 0.3) -> World:
    """Let the first configuration fail wherever its values are worst within their blocks."""
    losses = world.losses.copy()
    relative = losses[0] - losses.mean(axis=0)
    losses[0, relative > np.quantile(relative, 1.0 - share)] = np.nan
    return replace(world, losses=losses)
