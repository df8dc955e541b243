"""Studies with known truth: clips of known quality, and raters whose bias, noise and honesty are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

CHEATS = ("random", "constant", "reversed", "always 5", "half-attentive")
CONFIGURATIONS = np.array([2.2, 3.0, 3.6, 4.2])
BROKEN = 1.2
"""Quality of the clip that is obviously broken."""


@dataclass(frozen=True)
class Design:
    """How many raters see how many clips.

    Parameters
    ----------
    n_raters : int
        All of them.
    n_inputs : int
        Portraits × speech; every configuration has a clip of each.
    share : float
        Of the clips that a rater sees.
    cheats : tuple of str
        What the first raters are; the rest is honest.
    n_checks, n_repeats : int
        Of a rater.
    """

    n_raters: int
    n_inputs: int = 6
    share: float = 1.0
    cheats: tuple[str, ...] = ()
    n_checks: int = 2
    n_repeats: int = 2

    @property
    def n_clips(self) -> int:
        """Clips of all configurations."""
        return self.n_inputs * CONFIGURATIONS.size


@dataclass(frozen=True)
class Study:
    """Answers, and the truth behind them."""

    raters: np.ndarray
    clips: np.ndarray
    scores: np.ndarray
    checks: tuple[np.ndarray, np.ndarray]
    repeats: tuple[np.ndarray, np.ndarray, np.ndarray]
    quality: np.ndarray
    bias: np.ndarray
    noise: np.ndarray


def conduct(
    design: Design, rng: np.random.Generator, *, whole: bool = True, input_spread: float = 0.3
) -> Study:
    """Ask the raters of a design.

    Honest raters have a bias of mean 0 and spread 0.5, cut at ±1, and a noise between 0.4 and 1.0 points. Scores are whole and
    within 1 to 5 unless `whole` is False.
    """
    inputs = rng.normal(0.0, input_spread, design.n_inputs)
    quality = (
        CONFIGURATIONS[:, None] + inputs + rng.normal(0.0, input_spread / 2, (4, design.n_inputs))
    ).ravel()
    bias, noise = _honest(design.n_raters, rng)
    seen = _assign(design, rng)
    raters = np.repeat(np.arange(design.n_raters), seen.shape[1])
    clips = seen.ravel()
    scores = _answer(design, quality[clips], raters, bias, noise, rng, whole=whole)
    checked = np.repeat(np.arange(design.n_raters), design.n_checks)
    checks = _answer(design, np.full(checked.size, BROKEN), checked, bias, noise, rng, whole=whole)
    again = seen[:, : design.n_repeats].ravel()
    repeated = np.repeat(np.arange(design.n_raters), design.n_repeats)
    first = scores.reshape(design.n_raters, -1)[:, : design.n_repeats].ravel()
    second = _answer(design, quality[again], repeated, bias, noise, rng, whole=whole)
    return Study(raters, clips, scores, (checked, checks), (repeated, first, second), quality, bias, noise)


def expected_scores(quality: np.ndarray) -> np.ndarray:
    """Return what honest raters give on average, all of them: whole scores within 1 to 5 cut the ends off."""
    bias, at = np.clip(0.5 * normal_quantiles(81), -1.0, 1.0), np.linspace(0.4, 1.0, 13)
    cuts = np.arange(1.5, 5.0)
    above = ndtr((quality[:, None, None, None] + bias[:, None, None] - cuts) / at[:, None])
    return 1.0 + above.sum(axis=-1).mean(axis=(1, 2))


def score_clips(quality: np.ndarray, n_raters: int, rng: np.random.Generator) -> np.ndarray:
    """Return whole scores of honest raters who see all clips; shape (n_raters, n_clips)."""
    bias, noise = _honest(n_raters, rng)
    said = quality + bias[:, None] + noise[:, None] * rng.standard_normal((n_raters, quality.size))
    return np.clip(np.round(said), 1.0, 5.0)


def _honest(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the biases and the noise of honest raters."""
    return np.clip(rng.normal(0.0, 0.5, n), -1.0, 1.0), rng.uniform(0.4, 1.0, n)


def normal_quantiles(n: int) -> np.ndarray:
    """Return n equally likely values of a standard normal law."""
    return ndtri((np.arange(n) + 0.5) / n)


def _assign(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Give each rater their share of the clips, so that all clips are seen about equally often; shape (n_raters, n_seen)."""
    n_seen = round(design.share * design.n_clips)
    order: list[int] = []
    rows = []
    for _ in range(design.n_raters):
        row: list[int] = []
        while len(row) < n_seen:
            if not order:
                order = rng.permutation(design.n_clips).tolist()
            following = next((clip for clip in order if clip not in row), None)
            if following is None:
                order = [*order, *rng.permutation(design.n_clips).tolist()]
                continue
            order.remove(following)
            row.append(following)
        rows.append(row)
    return rng.permuted(np.array(rows), axis=1)


def _answer(
    design: Design,
    quality: np.ndarray,
    raters: np.ndarray,
    bias: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
    *,
    whole: bool,
) -> np.ndarray:
    honest = quality + bias[raters] + noise[raters] * rng.standard_normal(raters.size)
    scores = np.clip(np.round(honest), 1.0, 5.0) if whole else honest
    chance = rng.integers(1, 6, raters.size).astype(float)
    for rater, cheat in enumerate(design.cheats):
        mine = raters == rater
        if cheat == "random":
            scores[mine] = chance[mine]
        elif cheat == "constant":
            scores[mine] = 3.0
        elif cheat == "always 5":
            scores[mine] = 5.0
        elif cheat == "reversed":
            scores[mine] = 6.0 - scores[mine]
        elif cheat == "half-attentive":
            off = mine & (rng.random(raters.size) < 0.5)
            scores[off] = chance[off]
    return scores
