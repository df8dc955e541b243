"""Speech sounds and when they are heard: what voices report, and what aligning a script with its sound finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Phoneme(NamedTuple):
    """One speech sound.

    ``symbol`` is IPA as the engine writes it, ``""`` for a pause; ``start_s`` and ``end_s`` are seconds from the
    first sample.
    """

    symbol: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """A script that was laid over the sound in which it is spoken.

    Parameters
    ----------
    phonemes : tuple of Phoneme
        In order, without the pauses; empty where the script is not what is said.
    misfit : float or None
        How badly its speech sounds fit the sound, on the aligner's own scale; lower is better, None where nothing was
        laid over.
    """

    phonemes: tuple[Phoneme, ...]
    misfit: float | None = None
