"""Pairs with known truth: which of two configurations raters prefer, each with a taste of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from tests.rating_simulation.worlds import BROKEN

CHEATS = ("random", "always the first", "reversed", "always no difference", "half-attentive")
TASTE = 0.3
"""Spread of what a rater adds to a configuration, in all its clips."""
OF_INPUT = 0.2
"""Spread of what an input adds to a configuration, for all raters."""
JUST_NOTICEABLE = 0.3
"""Below this nobody sees a difference."""


@dataclass(frozen=True)
class PairDesign:
    """How many raters choose how often, and between what."""

    n_raters: int
    quality: tuple[float, ...] = (2.6, 3.2, 3.6, 4.0)
    n_inputs: int = 6
    n_pairs: int = 24
    cheats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """Answers to pairs; `checks` are raters, and 1 where they preferred the intact clip to the broken one."""

    raters: np.ndarray
    firsts: np.ndarray
    seconds: np.ndarray
    inputs: np.ndarray
    outcomes: np.ndarray
    checks: tuple[np.ndarray, np.ndarray]


def choose(design: PairDesign, rng: np.random.Generator) -> Choices:
    """Ask the raters of a design: every two configurations meet about equally often, on every input."""
    n_options = len(design.quality)
    pairs = np.array([(a, b) for a in range(n_options) for b in range(n_options) if a < b])
    n = design.n_raters * design.n_pairs
    every = [(k, i) for k in range(len(pairs)) for i in range(design.n_inputs)]
    shown = np.concatenate([rng.permutation(every) for _ in range(n // len(every) + 1)])[:n]
    sides = np.where(rng.random(n)[:, None] < 0.5, pairs[shown[:, 0]], pairs[shown[:, 0]][:, ::-1])
    raters = np.repeat(np.arange(design.n_raters), design.n_pairs)
    noise = rng.uniform(0.4, 1.0, design.n_raters)
    quality = np.array(design.quality) + rng.normal(0.0, OF_INPUT, (design.n_inputs, n_options))
    felt = quality[shown[:, 1]] + rng.normal(0.0, TASTE, (design.n_raters, n_options))[raters]
    rows = np.arange(n)
    differ = felt[rows, sides[:, 0]] - felt[rows, sides[:, 1]]
    outcomes = _decide(differ, noise[raters], rng)
    checked = np.repeat(np.arange(design.n_raters), 2)
    intact = rng.choice(design.quality, checked.size)
    checks = _decide(intact - BROKEN, noise[checked], rng)
    for rater, cheat in enumerate(design.cheats):
        mine, tested = raters == rater, checked == rater
        outcomes[mine] = _cheat(cheat, outcomes[mine], rng)
        checks[tested] = _cheat("random" if cheat == "always the first" else cheat, checks[tested], rng)
    return Choices(raters, sides[:, 0], sides[:, 1], shown[:, 1], outcomes, (checked, checks))


def true_shares(quality: tuple[float, ...]) -> np.ndarray:
    """Return the share of pairs that each configuration wins against the others, over all raters and inputs."""
    differ = np.subtract.outer(quality, quality)
    noise = 2.0 * (np.linspace(0.4, 1.0, 61) ** 2 + TASTE**2 + OF_INPUT**2)
    upper = ndtr((differ[..., None] + JUST_NOTICEABLE) / np.sqrt(noise))
    lower = ndtr((differ[..., None] - JUST_NOTICEABLE) / np.sqrt(noise))
    wins = (upper + lower).mean(axis=-1) / 2.0
    return (wins.sum(axis=1) - 0.5) / (len(quality) - 1)


def _decide(differ: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seen = differ + np.sqrt(2.0) * noise * rng.standard_normal(differ.size)
    return np.where(np.abs(seen) < JUST_NOTICEABLE, 0.5, (seen > 0.0).astype(float))


def _cheat(cheat: str, honest: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = rng.integers(0, 3, honest.size) / 2.0
    if cheat == "random":
        return chance
    if cheat == "always the first":
        return np.ones_like(honest)
    if cheat == "always no difference":
        return np.full_like(honest, 0.5)
    if cheat == "reversed":
        return 1.0 - honest
    return np.where(rng.random(honest.size) < 0.5, chance, honest)
