"""How far a run is that is being made, and how long it still takes: from its folder alone, by whoever looks on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.runs.files import LOCK_NAME
from evalkit.runs.layout import LEGACY_TRIALS_FOLDER, VIDEOS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_STARTED_LATER_S = 2.0
"""A process that began so long after the lock was written cannot hold it: its number was given anew."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Parameters
    ----------
    n_planned, n_done : int
        Trials of the plan that are to be made, and how many of them have a result, ok or failed.
    is_running : bool
        Whether a process of this machine writes into the folder now.
    n_lately : int
        Results since that process began.
    lately_s : float or None
        How long ago that was; None where nobody writes.
    left_s : float or None
        What is left of making videos, at the pace of this process; None where nothing is known of it.
    n_skipped : int
        Further trials of the plan that will not be made.
    """

    n_planned: int
    n_done: int
    is_running: bool = False
    n_lately: int = 0
    lately_s: float | None = None
    left_s: float | None = None
    n_skipped: int = 0


def read_progress(
    folder: Path, planned: Collection[str], skipped: Collection[str] = (), *, now: float | None = None
) -> RunProgress:
    """Read how far a run is; no record is opened.

    Parameters
    ----------
    folder : Path
        Of the run.
    planned, skipped : collection of str
        Ids of the trials of the plan, and of those that will not be made.
    now : float, optional
        Seconds since 1970; the present moment unless given.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    wanted = set(planned)
    since = writing_since(folder)
    done = {entry.name: entry for entry in _results(folder) if entry.name in wanted}
    n_skipped = len((set(skipped) & wanted) - done.keys())
    n_planned = len(wanted) - n_skipped
    if since is None:
        return RunProgress(n_planned, len(done), n_skipped=n_skipped)
    n_lately = sum(_changed_at(entry) >= since for entry in done.values())
    lately_s = max(0.0, (time.time() if now is None else now) - since)
    n_left = n_planned - len(done)
    left_s = lately_s / n_lately * n_left if n_lately and n_left > 0 else None
    return RunProgress(n_planned, len(done), True, n_lately, lately_s, left_s, n_skipped)


def _changed_at(entry: os.DirEntry[str]) -> float:
    """Return when a result was written, in seconds since 1970; -inf where it is being replaced at this moment."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return float("-inf")


def writing_since(folder: Path) -> float | None:
    """Return since when a process of this machine writes into a folder, in seconds since 1970; None where none does.

    The lock is looked at and not tried: who tries it could keep out a process that is about to begin.
    """
    import psutil

    path = folder / LOCK_NAME
    try:
        text = path.read_text("ascii").strip()
        since = path.stat().st_mtime
        if not text.isdigit():
            return None
        started = psutil.Process(int(text)).create_time()
    except (OSError, ValueError, OverflowError, psutil.Error):
        return None
    return since if started <= since + _STARTED_LATER_S else None


def _results(folder: Path) -> list[os.DirEntry[str]]:
    """List the results of a run: a folder each, also in schema 1 and 2."""
    for name in (VIDEOS_FOLDER, LEGACY_TRIALS_FOLDER):
        try:
            with os.scandir(folder / name) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            continue
    return []
