"""What a tracker is: it sees every frame (or sample) once, in order, and ends as one small track."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from importlib import import_module
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.types import AudioChunk, FrameChunk, Track

_IMPORTING = Lock()
_BLOCK_ROWS = 1024


def load_library(name: str) -> Any:
    """Import a heavy module when it is first used, one thread at a time.

    Trackers work in threads beside each other, and a library whose parts import each other in circles deadlocks or comes
    half-made when two threads begin with it at once.
    """
    with _IMPORTING:
        return import_module(name)


class FrameTracker(Protocol):
    """Makes a track from frames. Values must not depend on how the frames are cut into chunks."""

    name: str
    version: int
    """Raised whenever a value can change; part of the cache key."""

    def update(self, chunk: FrameChunk) -> Sequence[NDArray[np.float32] | None]:
        """Take the next frames; return, a frame, the points found in pixels, shape (n_points, 2), or None."""
        ...

    def finish(self) -> Track:
        """Return the whole track and release models."""
        ...


class SoundTracker(Protocol):
    """Makes a track from sound. Values must not depend on how the sound is cut into chunks."""

    name: str
    version: int

    @property
    def rate_hz(self) -> int | None:
        """The sample rate it wants mono sound in, resampled for it; None for the file's own rate with every channel."""
        ...

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples."""
        ...

    def finish(self) -> Track:
        """Return the whole track."""
        ...


class TrackBuilder:
    """Grows a track row by row in little memory.

    Parameters
    ----------
    name, columns
        As in `Track`.
    """

    def __init__(self, name: str, columns: tuple[str, ...]) -> None:
        self.name = name
        self.columns = columns
        self._times = array("d")
        self._valid = bytearray()
        self._blocks: list[NDArray[np.float32]] = []

    def append(self, time_s: float, row: NDArray[np.float32] | None) -> None:
        """Add one moment; ``None`` where nothing was observed."""
        place = len(self._times) % _BLOCK_ROWS
        if place == 0:
            self._blocks.append(np.full((_BLOCK_ROWS, len(self.columns)), np.nan, dtype=np.float32))
        if row is not None:
            self._blocks[-1][place] = row
        self._times.append(time_s)
        self._valid.append(row is not None)

    def track(self, facts: dict[str, object] | None = None) -> Track:
        """Return everything added, and keep nothing of it: the tracker lives on while its track is used."""
        times_s = np.array(self._times, dtype=np.float64)
        valid = np.frombuffer(self._valid, dtype=bool).copy()
        values = np.empty((len(times_s), len(self.columns)), dtype=np.float32)
        for first in range(0, len(times_s), _BLOCK_ROWS):
            part = values[first : first + _BLOCK_ROWS]
            part[:] = self._blocks.pop(0)[: len(part)]
        self._times, self._valid = array("d"), bytearray()
        return Track(self.name, self.columns, times_s, values, valid, facts or {})
