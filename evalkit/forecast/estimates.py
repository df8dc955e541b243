"""What a generator says of its own memory and time before it ran here: plain data of an optional ``estimate``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from evalkit.errors import EvalkitError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MemoryComponent:
    """Some memory of one GPU: what it holds, a range in MiB, and who says so."""

    name: str
    low_mib: float
    high_mib: float
    source: str


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """One reckoning of what a GPU must hold at once.

    Parameters
    ----------
    phase : {"load", "run"}
        Every phase must fit; accounts of one phase are rivals.
    parts : tuple of Part
    """

    phase: Literal["load", "run"]
    parts: tuple[MemoryComponent, ...]

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


@dataclass(frozen=True, slots=True)
class Factor:
    """How much longer a choice makes it."""

    name: str
    factor: float
    source: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames made in a second, somewhere."""

    name: str
    frames_per_s: float
    source: str


@dataclass(frozen=True, slots=True)
class ResourceEstimate:
    """All that a generator knows of one request.

    Parameters
    ----------
    n_gpus : int
    memory : tuple of Account
    time : tuple of Factor
    rates : tuple of Rate
    """

    n_gpus: int = 1
    memory: tuple[MemoryEstimate, ...] = ()
    time: tuple[Factor, ...] = ()
    rates: tuple[Rate, ...] = field(default=())

    @property
    def factor(self) -> float:
        """All factors together; 1 where there are none."""
        return math.prod(one.factor for one in self.time)


def estimate_resources(generator: Any, request: Mapping[str, Any]) -> ResourceEstimate:
    """Ask a generator what it knows of a request; nothing where it has no ``estimate``.

    Raises
    ------
    EvalkitError
        If what it says has not the shape that is agreed: names, ranges in MiB, factors.
    """
    estimate = getattr(generator, "estimate", None)
    if estimate is None:
        return ResourceEstimate()
    plain = estimate(generator.request(**request))
    try:
        return ResourceEstimate(
            n_gpus=plain.get("n_gpus", 1),
            memory=tuple(
                MemoryEstimate(one["phase"], tuple(MemoryComponent(**part) for part in one["parts"]))
                for one in plain.get("memory", ())
            ),
            time=tuple(Factor(**one) for one in plain.get("time", ())),
            rates=tuple(Rate(**one) for one in plain.get("rates", ())),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise EvalkitError(
            f"generator {generator.name!r} says of its memory and time what cannot be read: {error!r}"
        ) from None
