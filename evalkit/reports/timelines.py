"""Timelines of memory and GPUs, drawn once a trial into the report's own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evalkit.plot_style import svg_of
from evalkit.profiling.profile import Profile, ProfileError
from evalkit.runs.files import write_atomically
from evalkit.runs.layout import TIMELINE_FILE
from evalkit.runs.records import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalkit.runs import Run, Trial

FOLDER = "report/timelines"
"""In the run's folder. Nothing else is in it, and it can be drawn again at any time."""
N_AT_ONCE = 60
"""Timelines drawn without being asked to: each takes about 0.05 s."""


class Timelines(NamedTuple):
    """Drawings of memory and GPUs over time.

    Parameters
    ----------
    paths : mapping of str to str
        Relative to the run folder, by trial.
    n_undrawn : int
        Timelines that were left undrawn.
    """

    paths: Mapping[str, str]
    n_undrawn: int


NO_TIMELINES = Timelines({}, 0)


def draw_timelines(run: Run, trials: Sequence[Trial], *, everything: bool) -> Timelines:
    """Draw the timelines that are not drawn yet, of `N_AT_ONCE` trials at most unless `everything` is wanted."""
    waiting = [trial for trial in trials if _is_waiting(run, trial)]
    for trial in waiting if everything else waiting[:N_AT_ONCE]:
        _draw(run, trial)
    folder = run.folder / FOLDER
    drawn = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    paths = {trial.id: _name(trial) for trial in trials if f"{trial.id}.svg" in drawn}
    return Timelines(paths, 0 if everything else max(0, len(waiting) - N_AT_ONCE))


def _is_waiting(run: Run, trial: Trial) -> bool:
    data, picture = run.folder_of(trial.id) / TIMELINE_FILE, _picture(run, trial)
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
    picture = _picture(run, trial)
    picture.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(picture, svg_of(draw_timeline(profile, trial.events)))


def _picture(run: Run, trial: Trial) -> Path:
    return run.folder / _name(trial)


def _name(trial: Trial) -> str:
    return f"{FOLDER}/{trial.id}.svg"
