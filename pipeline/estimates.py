"""What is known of a generator's memory and time before it ran here: estimates that others gave, each with its source.

They disagree, and are not reconciled: plans show all of them. What a user has measured counts for more.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from pipeline.options import PlainData

MIB_PER_GB = 1e9 / 2**20
"""A card sold as 80 GB holds at least 80e9 bytes."""
MIB_PER_GIB = 1024.0
"""What torch and nvidia-smi print as GB or GiB."""


class MemoryComponent(PlainData):
    """Some memory of one GPU.

    Attributes
    ----------
    name : str
        What it holds.
    low_mib, high_mib : float
        As it was given; equal where one number was.
    source : str
        Who gave it.
    """

    name: str
    low_mib: float = Field(ge=0)
    high_mib: float = Field(ge=0)
    source: str


class MemoryEstimate(PlainData):
    """What a GPU must hold at once, by one reckoning: the sum of its parts.

    Attributes
    ----------
    phase : str
        ``load`` or ``run``. Every phase must fit. Estimates of one phase are rivals.
    parts : tuple of MemoryComponent
        At least one.
    """

    phase: Literal["load", "run"]
    parts: tuple[MemoryComponent, ...] = Field(min_length=1)

    @property
    def low_mib(self) -> float:
        """The least it comes to."""
        return sum(part.low_mib for part in self.parts)

    @property
    def high_mib(self) -> float:
        """The most it comes to."""
        return sum(part.high_mib for part in self.parts)

    @property
    def source(self) -> str:
        """Who says so."""
        return ", ".join(dict.fromkeys(part.source for part in self.parts))


class TimeFactor(PlainData):
    """How much longer a choice makes it; 1 is its plain way."""

    name: str
    factor: float = Field(gt=0)
    source: str


class FrameRate(PlainData):
    """Frames it made in a second, on the machine that the source names."""

    name: str
    frames_per_s: float = Field(gt=0)
    source: str


class ResourceEstimate(PlainData):
    """All that is known of one request before it ran, see `pipeline.generator.Generator.estimate`.

    Attributes
    ----------
    n_gpus : int
        GPUs that it takes, each with the memory given.
    memory : tuple of MemoryEstimate
    time : tuple of TimeFactor
    rates : tuple of FrameRate
    """

    n_gpus: int = Field(default=1, ge=1)
    memory: tuple[MemoryEstimate, ...] = ()
    time: tuple[TimeFactor, ...] = ()
    rates: tuple[FrameRate, ...] = ()

    @property
    def factor(self) -> float:
        """All time factors together; 1 where there are none."""
        return math.prod(choice.factor for choice in self.time)


def estimate_memory(phase: Literal["load", "run"], *parts: tuple[str, float, float, str]) -> MemoryEstimate:
    """Build an estimate from parts, each a name, a range in MiB, and a source."""
    return MemoryEstimate(
        phase=phase,
        parts=tuple(
            MemoryComponent(name=name, low_mib=low_mib, high_mib=high_mib, source=source)
            for name, low_mib, high_mib, source in parts
        ),
    )
