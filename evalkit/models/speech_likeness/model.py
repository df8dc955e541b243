"""The weights that tell speech from other sounds (card.md says what they were fitted to)."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import NamedTuple, Self

import numpy as np

from evalkit.types import FloatArray

FARTHEST = 3.0
"""A measure farther from the usual than this, in standard deviations, counts as this far."""


class SpeechLikeness(NamedTuple):
    """A quadratic form on `evalkit.metrics.speech_likeness.MEASURES`.

    Parameters
    ----------
    usual, spread : FloatArray, shape (n,)
        Mean and standard deviation of each measure over what the weights were fitted to.
    constant : float
    linear : FloatArray, shape (n,)
    quadratic : FloatArray, shape (n, n)
    threshold : float
        Log odds from which on a sound is speech.
    sha256 : str
        Of the file.
    """

    usual: FloatArray
    spread: FloatArray
    constant: float
    linear: FloatArray
    quadratic: FloatArray
    threshold: float
    sha256: str

    @classmethod
    def load(cls) -> Self:
        """Read the shipped file."""
        content = (files(__package__) / "weights.json").read_bytes()
        stored = json.loads(content)
        names = ("usual", "spread", "linear", "quadratic")
        arrays = {name: np.array(stored[name], dtype=np.float64) for name in names}
        return cls(
            **arrays,
            constant=stored["constant"],
            threshold=stored["threshold"],
            sha256=hashlib.sha256(content).hexdigest(),
        )

    def log_odds(self, measures: FloatArray) -> float:
        """Return the log odds that a sound is speech.

        Parameters
        ----------
        measures : FloatArray, shape (n,)
            From `evalkit.metrics.speech_likeness.measure_likeness`.
        """
        unusual = np.clip((measures - self.usual) / self.spread, -FARTHEST, FARTHEST)
        return float(self.constant + unusual @ self.linear + unusual @ self.quadratic @ unusual)
