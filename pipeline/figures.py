"""What is known of a generator's memory and time before it ran here: figures that others gave, each with its source.

They disagree, and are not reconciled: whoever plans sees all of them. What a user has measured counts for more.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.request import PlainData

MIB_PER_GB = 1e9 / 2**20
"""A card sold as 80 GB holds at least 80e9 bytes."""
MIB_PER_GIB = 1024.0
"""What torch and nvidia-smi print as GB or GiB."""


class MemoryPart(PlainData):
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


class MemoryAccount(PlainData):
    """One reckoning of what a GPU must hold at once: the sum of its parts.

    Attributes
    ----------
    phase : str
        ``load`` or ``run``. Every phase must fit. Accounts of one phase are rival reckonings of the same.
    parts : tuple of MemoryPart
        At least one.
    """

    phase: Literal["load", "run"]
    parts: tuple[MemoryPart, ...] = Field(min_length=1)


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


class Figures(PlainData):
    """All that is known of one request, as `Generator` hands it out in its optional ``estimate``.

    Attributes
    ----------
    n_gpus : int
        That it takes, each with the memory said.
    memory : tuple of MemoryAccount
    time : tuple of TimeFactor
    rates : tuple of FrameRate
    """

    n_gpus: int = Field(default=1, ge=1)
    memory: tuple[MemoryAccount, ...] = ()
    time: tuple[TimeFactor, ...] = ()
    rates: tuple[FrameRate, ...] = ()


def account(phase: Literal["load", "run"], *parts: tuple[str, float, float, str]) -> MemoryAccount:
    """Return an account of parts, each a name, a range in MiB, and a source."""
    return MemoryAccount(
        phase=phase,
        parts=tuple(
            MemoryPart(name=name, low_mib=low_mib, high_mib=high_mib, source=source)
            for name, low_mib, high_mib, source in parts
        ),
    )
