"""The plan held against a run folder: what is done, what is left, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.runs.layout import RUN_FILE, VIDEOS_FOLDER
from evalkit.runs.records import DamagedFileError
from evalkit.runs.run import read_manifest
from evalkit.runs.store import make_trial, read_measurements, read_video
from evalkit.runs.writer import refuse_legacy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalkit.runs import RunManifest, Trial
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The plan held against a run folder.

    Parameters
    ----------
    done, failed, damaged, new : list of PlannedTrial
        With an ok result; with a failed one; with one that cannot be read; without.
    """

    done: list[PlannedTrial]
    failed: list[PlannedTrial]
    damaged: list[PlannedTrial]
    new: list[PlannedTrial]

    def to_do(self, *, retry_failed: bool) -> list[PlannedTrial]:
        """List what a sweep would do now: never what is done, and what failed only on request."""
        wanted = {trial.id for trial in (*self.new, *self.damaged, *(self.failed if retry_failed else ()))}
        everything = (*self.done, *self.failed, *self.damaged, *self.new)
        return [trial for trial in everything if trial.id in wanted]


def load_run_status(preparation: SweepPlan, folder: Path) -> RunStatus:
    """Hold the plan against a folder; one that is not there holds nothing.

    Raises
    ------
    UsageError
        If the folder is something else than a run, or a newer evalkit wrote it.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a run is a folder")
    inside = (
        [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    )
    if inside and not {RUN_FILE, VIDEOS_FOLDER} & set(inside):
        raise UsageError(
            f"{folder} is no run folder and not empty ({inside[0]} is in it): name another with --out"
        )
    former_facts(folder)
    refuse_legacy(folder)
    todo = RunStatus([], [], [], [])
    for trial in preparation.trials:
        try:
            found = _read_trial(preparation, folder, trial.id)
        except DamagedFileError:
            todo.damaged.append(trial)
            continue
        place = todo.new if found is None else todo.done if found.status == "ok" else todo.failed
        place.append(trial)
    return todo


def expected_s(preparation: SweepPlan, folder: Path, to_do: Sequence[PlannedTrial]) -> float | None:
    """Guess how long the rest takes from the trials that are done; None where none is.

    A trial is expected to take as long as the mean of those with the same parameters, else of all.
    """
    spent: dict[str, list[float]] = {}
    for trial in preparation.trials:
        try:
            found = _read_trial(preparation, folder, trial.id)
        except DamagedFileError:
            continue
        if found is not None and found.status == "ok":
            spent.setdefault(str(trial.params), []).append(
                (found.generate_s or 0.0) + (found.measure_s or 0.0)
            )
    everything = [seconds for values in spent.values() for seconds in values]
    if not everything:
        return None
    guesses = [spent.get(str(trial.params), everything) for trial in to_do]
    return sum(sum(values) / len(values) for values in guesses) / preparation.config.execution.workers


def former_facts(folder: Path) -> RunManifest | None:
    """Read what an earlier call wrote; None where there is nothing, or nothing that can be read: it is written anew.

    Raises
    ------
    UsageError
        If a newer evalkit wrote it.
    """
    path = folder / RUN_FILE
    try:
        return read_manifest(path)[0] if path.is_file() else None
    except DamagedFileError:
        return None


def _read_trial(preparation: SweepPlan, folder: Path, trial_id: str) -> Trial | None:
    video = read_video(folder, trial_id)
    if video is None:
        return None
    evaluators = preparation.deciders.evaluators
    measurements = read_measurements(folder, video.record, evaluators)
    return make_trial(video, measurements, evaluators, preparation.metrics)
