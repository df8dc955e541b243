"""Watching the process that makes videos, from inside it: a sampler beside it sees its memory and its GPUs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from evalkit.isolation import worker_folder
from evalkit.profiling.profile import ProfileError
from evalkit.profiling.profiler import Profiler
from evalkit.profiling.record import read_last_piece

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from evalkit.profiling.profile import Profile, TorchUse

_RECORD_NAME = "profile.jsonl"
_LAST_WORDS_S = 2.0


class Watch:
    """Watches this process and all that it starts, piece of work by piece of work.

    Made before anything is loaded, since GPU memory counts from there. The sampler does not watch itself.

    Parameters
    ----------
    gpus : collection of int or None
        Indices of the GPUs that are ours alone; readings of others are left out. None for all.
    """

    def __init__(self, gpus: Collection[int] | None = None) -> None:
        self._gpus = gpus
        self._attached = False
        self._begun_s = time.monotonic()
        folder = worker_folder()
        self._profiler: Profiler | None = Profiler(path=folder / _RECORD_NAME if folder is not None else None)
        try:
            self._profiler.start()
        except ProfileError:
            self._profiler = None

    def attach(self) -> None:
        """Look from now on, until `pause`, and begin a piece of work."""
        if self._profiler is not None and not self._attached:
            self._profiler.watch(os.getpid())
            self._attached = True
        self.begin()

    def begin(self) -> None:
        """Begin a piece of work: what was before does not count."""
        self._begun_s = time.monotonic()
        if self._profiler is not None:
            self._profiler.mark()

    def pause(self) -> None:
        """Look at nothing until the next `attach`: for a stretch that nothing must disturb."""
        if self._profiler is not None:
            self._profiler.pause()
        self._attached = False

    def slice(
        self, start_s: float | None = None, end_s: float | None = None, *, torch: TorchUse | None = None
    ) -> dict[str, Any] | None:
        """Return what was seen of a piece of work as plain data; None where nothing was sampled.

        Parameters
        ----------
        start_s, end_s : float or None
            On ``time.monotonic()`` of this process; None for the last `begin`, and for now.
        torch : TorchUse or None
            What torch says of the same work.
        """
        if self._profiler is None:
            return None
        try:
            profile = self._profiler.slice(self._begun_s if start_s is None else start_s, end_s)
        except ProfileError:
            self._profiler = None
            return None
        if self._gpus is not None:
            profile = profile.restricted_to(self._gpus)
        return profile.with_torch(torch).to_dict()

    def close(self) -> None:
        """End the watching."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None


def read_of_dead_worker(folder: Path, gpus: Collection[int] | None = None) -> Profile | None:
    """Read what was seen of the piece of work at which a worker died.

    Parameters
    ----------
    folder : Path
        Of the worker, on this machine.
    gpus : collection of int or None
        As of `Watch`.
    """
    try:
        profile = read_last_piece(folder / _RECORD_NAME, wait_s=_LAST_WORDS_S)
    except ProfileError:
        return None
    return profile if profile is None or gpus is None else profile.restricted_to(gpus)
