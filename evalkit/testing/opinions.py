"""What simulated raters think: planted quality, a bias and noise of their own, and ways to cheat.

An honest rater gives ``quality + bias + noise``, rounded to a whole number from 1 to 5. Of a pair, the better one wins with
the chance that Bradley and Terry give it, the difference of the qualities being the difference of the strengths, in logits;
what is within `TIE_WIDTH` counts as no difference (Rao & Kupper 1967).
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from evalkit.runs.ratings.records import HIGHEST, LOWEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BROKEN = 1.0
"""Quality of a clip that was broken on purpose, whatever is asked."""
SHARPNESS = 2.0
"""Logits of preference that one point of quality is worth."""
TIE_WIDTH = 0.4
"""Logits within which a rater sees no difference."""


class Cheat(StrEnum):
    """How a rater answers who does not look."""

    RANDOM = "random"
    """Any answer, each as likely."""
    CONSTANT = "constant"
    """Always the same: 4, or no difference."""
    REVERSED = "reversed"
    """Takes the scale the wrong way round."""
    CLICKER = "clicker"
    """Always the first answer that the page offers."""


@dataclass(frozen=True)
class Temper:
    """What is a rater's own.

    Parameters
    ----------
    bias : float
        Points that this rater gives more than others; negative for a harsh one.
    noise : float
        Standard deviation of what one answer has beside, in points.
    cheat : Cheat or None
        None for an honest rater.
    """

    bias: float = 0.0
    noise: float = 0.0
    cheat: Cheat | None = None


@dataclass(frozen=True)
class Truth:
    """What raters would say if there were ever so many of them.

    Parameters
    ----------
    quality : float
        Of every clip and question, in points, unless said otherwise.
    trials : mapping of str to (mapping of str to float)
        By id of the trial and by question.
    bias : float
        Mean bias of the raters: -0.5 for raters who are half a point harsher.
    bias_sd, noise_sd : float
        Standard deviation between raters, and of one rater's answers.
    cheats : sequence of Cheat
        One rater each, the last ones.
    """

    quality: float
    trials: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bias: float = 0.0
    bias_sd: float = 0.3
    noise_sd: float = 0.5
    cheats: Sequence[Cheat] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a truth from a JSON file that has the fields of this class by name."""
        data = json.loads(path.read_text("utf-8"))
        return cls(**{**data, "cheats": tuple(Cheat(name) for name in data.get("cheats", ()))})

    def of(self, trial: str, question: str) -> float:
        """Return the quality of a clip."""
        return self.trials.get(trial, {}).get(question, self.quality)

    def tempers(self, n: int, seed: int) -> tuple[Temper, ...]:
        """Draw raters, the cheats at the end."""
        drawn = np.random.default_rng(seed).normal(self.bias, self.bias_sd, n)
        n_honest = n - len(self.cheats)
        honest = [Temper(float(bias), self.noise_sd) for bias in drawn[:n_honest]]
        return (*honest, *(Temper(0.0, self.noise_sd, cheat) for cheat in self.cheats))

    def opinions(self, n: int, seed: int) -> list[SimulatedOpinion]:
        """Draw raters with what they will say; no draw of one depends on another's."""
        seeds = np.random.SeedSequence(seed).spawn(n)
        return [
            SimulatedOpinion(self, temper, own)
            for temper, own in zip(self.tempers(n, seed), seeds, strict=True)
        ]


@dataclass(frozen=True)
class Shown:
    """What a rater is shown: the clip of a trial, or one that was broken for a check."""

    trial: str
    is_broken: bool = False


class SimulatedOpinion:
    """The answers of one rater: the same to the n-th showing of a clip, whatever was shown before.

    Parameters
    ----------
    truth : Truth
    temper : Temper
    seed : SeedSequence
    """

    def __init__(self, truth: Truth, temper: Temper, seed: np.random.SeedSequence) -> None:
        self._truth = truth
        self._temper = temper
        self._seed = seed
        self._n_asked: Counter[str] = Counter()

    def score(self, shown: Shown, question: str, offered: Sequence[int]) -> int:
        """Answer a question about a clip with one of the scores that are offered."""
        random = self._draw(f"{question} {shown}")
        cheat = self._temper.cheat
        if cheat is Cheat.RANDOM:
            return int(random.choice(offered))
        if cheat is Cheat.CONSTANT:
            return 4
        if cheat is Cheat.CLICKER:
            return offered[0]
        heard = self._quality(shown, question) + self._temper.bias
        score = round_score(heard + self._temper.noise * random.normal())
        return LOWEST + HIGHEST - score if cheat is Cheat.REVERSED else score

    def choice(self, first: Shown, second: Shown, offered: Sequence[str]) -> str:
        """Say which of two clips is better: ``first``, ``second`` or ``none``."""
        one, other = sorted((first, second), key=str)  # whichever side it is on
        random = self._draw(f"{one} {other}")
        cheat = self._temper.cheat
        if cheat is Cheat.RANDOM:
            return str(random.choice(offered))
        if cheat is Cheat.CONSTANT:
            return "none"
        if cheat is Cheat.CLICKER:
            return offered[0]
        lead = SHARPNESS * (self._quality(one, "overall") - self._quality(other, "overall"))
        lead += random.logistic()
        if abs(lead) < TIE_WIDTH:
            return "none"
        preferred = one if (lead > 0) is not (cheat is Cheat.REVERSED) else other
        return "first" if preferred is first else "second"

    def delay_s(self, mean_s: float) -> float:
        """Draw how long the rater waits; exponentially distributed."""
        return float(self._draw("delay").exponential(mean_s)) if mean_s else 0.0

    def _draw(self, asked: str) -> np.random.Generator:
        self._n_asked[asked] += 1
        what = zlib.crc32(asked.encode()), self._n_asked[asked]
        key = (*self._seed.spawn_key, *what)
        return np.random.default_rng(np.random.SeedSequence(self._seed.entropy, spawn_key=key))

    def _quality(self, shown: Shown, question: str) -> float:
        return BROKEN if shown.is_broken else self._truth.of(shown.trial, question)


def round_score(value: float) -> int:
    """Return the nearest score of the scale; halves go up.

    >>> [round_score(value) for value in (-1.0, 2.5, 3.4, 7.0)]
    [1, 3, 3, 5]
    """
    return min(HIGHEST, max(LOWEST, math.floor(value + 0.5)))


def expected_score(quality: float, spread: float) -> float:
    """Return the mean score of ever so many raters, which rounding and the ends of the scale move.

    Parameters
    ----------
    quality : float
        In points.
    spread : float
        Standard deviation of everything that differs between answers, above 0.

    >>> round(expected_score(3.0, 0.7), 6), round(expected_score(5.0, 0.5), 3)
    (3.0, 4.84)
    """
    bounds = [-math.inf, *(score + 0.5 for score in range(LOWEST, HIGHEST)), math.inf]
    shares = [0.5 * (1 + math.erf((bound - quality) / spread / math.sqrt(2))) for bound in bounds]
    return sum(score * (above - below) for score, (below, above) in enumerate(pairwise(shares), start=LOWEST))


def expected_share(lead: float) -> float:
    """Return the share of wins, a tie being half of one, of a clip that is better by so many points.

    >>> expected_share(0.0), round(expected_share(1.0) + expected_share(-1.0), 12)
    (0.5, 1.0)
    """
    strength = SHARPNESS * lead
    wins = 1 / (1 + math.exp(TIE_WIDTH - strength))
    losses = 1 / (1 + math.exp(TIE_WIDTH + strength))
    return 0.5 * (1 + wins - losses)
