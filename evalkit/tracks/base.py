"""What a tracker is: it sees every frame (or sample) once, in order, and ends as one small track."""

from __future__ import annotations

from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evalkit.types import Track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evalkit.types import AudioChunk, FrameChunk


_IMPORTING = Lock()


def load_library(name: str) -> Any:
    """Import a heavy module when it is first used, one thread at a time.

    Trackers work in threads beside each other, and a library whose parts import each other in circles (mediapipe's
    do) deadlocks or comes half-made when two threads begin with it at once.
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
    rate_hz: int
    """The sample rate it wants mono sound in, resampled for it; or `evalkit.types.AS_RECORDED_HZ`."""

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples."""
        ...

    def finish(self) -> Track:
        """Return the whole track."""
        ...


class Rows:
    """Grows a track row by row in little memory.

    Parameters
    ----------
    name, columns
        As in `Track`.
    """

    def __init__(self, name: str, columns: tuple[str, ...]) -> None:
        self.name = name
        self.columns = columns
        self._times: list[float] = []
        self._rows: list[NDArray[np.float32]] = []
        self._empty = np.full(len(columns), np.nan, dtype=np.float32)

    def append(self, time_s: float, row: NDArray[np.float32] | None) -> None:
        """Add one moment; ``None`` where nothing was observed."""
        self._times.append(time_s)
        self._rows.append(self._empty if row is None else row.astype(np.float32, copy=False))

    def track(self, facts: dict[str, object] | None = None) -> Track:
        """Return everything added so far."""
        values = np.array(self._rows, dtype=np.float32).reshape(len(self._times), len(self.columns))
        return Track(
            self.name,
            self.columns,
            np.array(self._times, dtype=np.float64),
            values,
            np.array([row is not self._empty for row in self._rows], dtype=bool),
            facts or {},
        )
