"""Worst moments of the videos of a run as WebVTT files, in the report's own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.formatting import encodable
from evalkit.measuring.webvtt import SUFFIX, NamedMoment, webvtt
from evalkit.runs.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalkit.views.trial import TrialView

FOLDER = "report/moments"
"""In the run's folder. Nothing else is in it, and it can be written again at any time."""


def write_moment_tracks(run_folder: Path, trials: Sequence[TrialView]) -> Mapping[str, str]:
    """Write a file for each video that has worst moments; files of earlier reports go.

    Returns
    -------
    mapping of str to str
        Its path relative to the run folder, by the trial's id.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = run_folder / FOLDER
    tracks = {
        f"{trial.id}{SUFFIX}": webvtt(
            NamedMoment(one.metric, one.unit, one.start_s, one.end_s, one.value) for one in trial.moments
        )
        for trial in trials
        if trial.moments
    }
    if folder.is_dir():
        for path in folder.glob(f"*{SUFFIX}"):
            if path.name not in tracks:
                path.unlink()
    elif tracks:
        folder.mkdir(parents=True)
    for name, text in tracks.items():
        write_atomically(folder / name, encodable(text))
    return {name.removesuffix(SUFFIX): f"{FOLDER}/{name}" for name in tracks}
