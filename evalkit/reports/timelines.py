"""Timelines of memory and GPUs, drawn once a trial and kept with its evidence."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from evalkit.profiling.profile import Profile, ProfileError
from evalkit.runs.files import write_atomically
from evalkit.runs.layout import EVIDENCE_FOLDER, TIMELINE_FILE
from evalkit.runs.records import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalkit.runs import Run, Trial

TIMELINE_PICTURE = "timeline.svg"
N_AT_ONCE = 60
"""Timelines drawn without being asked to: each takes about 0.15 s."""


def draw_timelines(run: Run, trials: Sequence[Trial], *, everything: bool) -> int:
    """Draw the timelines that are not drawn yet, of `N_AT_ONCE` trials at most unless `everything` is wanted.

    Returns
    -------
    int
        How many were left undrawn.
    """
    waiting = [trial for trial in trials if _is_waiting(run.folder_of(trial.id))]
    for trial in waiting if everything else waiting[:N_AT_ONCE]:
        _draw(run, trial)
    return 0 if everything else max(0, len(waiting) - N_AT_ONCE)


def _is_waiting(folder: Path) -> bool:
    data, picture = folder / TIMELINE_FILE, folder / EVIDENCE_FOLDER / TIMELINE_PICTURE
    return data.is_file() and not (picture.is_file() and picture.stat().st_mtime >= data.stat().st_mtime)


def _draw(run: Run, trial: Trial) -> None:
    """Draw one; a timeline that cannot be read has no picture, its numbers are in the trial's own file."""
    from evalkit.reports.timeline_plot import draw_timeline

    try:
        plain = run.timeline_of(trial.id)
        profile = Profile.from_dict(plain) if plain is not None else None
    except (DamagedFileError, ProfileError, KeyError, TypeError, ValueError):
        return
    if profile is None:
        return
    folder = run.folder_of(trial.id) / EVIDENCE_FOLDER
    folder.mkdir(exist_ok=True)
    text = io.BytesIO()
    draw_timeline(profile, trial.events).savefig(text, format="svg", metadata={"Date": None})
    write_atomically(folder / TIMELINE_PICTURE, text.getvalue())
