"""The plan held against a run folder: what is done, what is left, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.formatting import count
from evalkit.measuring.gaps import is_missing, read_measured
from evalkit.runs.layout import RUN_FILE, VIDEOS_FOLDER
from evalkit.runs.records import DamagedFileError
from evalkit.runs.run import read_manifest
from evalkit.runs.schema import REFUSED
from evalkit.runs.store import list_videos, make_trial, read_video, read_video_records
from evalkit.runs.writer import refuse_legacy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalkit.runs import MeasurementRecord, RunManifest, Trial, TrialFailure, VideoRecord
    from evalkit.runs.store import StoredVideo
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The plan held against a run folder.

    Parameters
    ----------
    trials : list of PlannedTrial
        All that are planned.
    found : dict of str to Trial
        Those with a video, or a failure to make one, by id.
    damaged : set of str
        Ids of those whose video cannot be read.
    videos : dict of str to VideoRecord
        Of `found`.
    tried : dict of str to list of TrialFailure
        Every failed attempt to make a video, in order, by its id: also of one that is gone or was altered since.
    measured : dict of str to dict
        Measurements of a video that is there, by its id and the evaluator's name; None for one that is not there or
        cannot be read.
    retries : int
        Further tries that a trial has when it fails.
    """

    trials: list[PlannedTrial]
    found: dict[str, Trial] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    videos: dict[str, VideoRecord] = field(default_factory=dict)
    tried: dict[str, list[TrialFailure]] = field(default_factory=dict)
    measured: dict[str, dict[str, MeasurementRecord | None]] = field(default_factory=dict)
    retries: int = 0

    def to_make(self, *, retry_failed: bool) -> list[PlannedTrial]:
        """List the trials whose video is to be made.

        Never one that is there; one that failed on request, or where an earlier call ended before its last try.
        """
        return [trial for trial in self.trials if self._is_to_make(trial.id, retry_failed)]

    def _is_to_make(self, video_id: str, retry_failed: bool) -> bool:
        video = self.videos.get(video_id)
        if video is None:
            return True
        n_tries = len(list_failures(video))
        return video.status == "failed" and (retry_failed or has_tries_left(video, n_tries, self.retries))

    def to_measure(self, *, retry_failed: bool) -> dict[str, list[str]]:
        """Return the evaluators that are to measure videos that are there, by the id of the video."""
        wanted = {
            video_id: [
                name for name, record in measured.items() if is_missing(record, retry_failed=retry_failed)
            ]
            for video_id, measured in self.measured.items()
        }
        return {video_id: evaluators for video_id, evaluators in wanted.items() if evaluators}

    def state_of(self, trial: PlannedTrial) -> str:
        """Return ``done``, ``failed``, ``damaged``, ``measure`` or ``pending``."""
        if trial.id in self.damaged:
            return "damaged"
        if trial.id not in self.found:
            return "pending"
        if self.found[trial.id].status == "failed":
            return "failed"
        return "measure" if None in self.measured.get(trial.id, {}).values() else "done"


def list_failures(video: VideoRecord) -> list[TrialFailure]:
    """List every failed attempt to make a video, in order."""
    return [*video.attempts, *([video.failure] if video.failure is not None else [])]


def has_tries_left(video: VideoRecord, n_tries: int, retries: int) -> bool:
    """Return whether a video is to be tried again after so many tries; what was refused would be refused again."""
    return video.failure is not None and video.failure.code != REFUSED and n_tries <= retries


def check_folder(folder: Path) -> None:
    """Check that a sweep may write to a folder; one that is not there may be made.

    Raises
    ------
    UsageError
        If it is something else than a run, a newer evalkit wrote it, or an older one whose runs can only be read.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a run is a folder")
    inside = (
        [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    )
    if inside and not {RUN_FILE, VIDEOS_FOLDER} & set(inside):
        raise UsageError(
            f"{folder} is not a run folder and not empty ({inside[0]} is in it): name another with --out"
        )
    refuse_legacy(folder)


def load_run_status(plan: SweepPlan, folder: Path) -> RunStatus:
    """Hold the plan against a folder; one that is not there holds nothing. Each file is read once.

    Raises
    ------
    UsageError
        As `check_folder`.
    """
    check_folder(folder)
    status = RunStatus(plan.trials, retries=plan.config.execution.retries)
    for trial in plan.trials:
        try:
            video = read_video(folder, trial.id)
        except DamagedFileError:
            status.damaged.add(trial.id)
            status.tried[trial.id] = _read_failures(folder, trial.id)
            continue
        if video is None:
            continue
        status.tried[trial.id] = list_failures(video.record)
        measured = read_measured(folder, video.record, plan.evaluators)
        status.videos[trial.id] = video.record
        status.found[trial.id] = _to_trial(plan, video, measured)
        if video.record.status == "ok":
            status.measured[trial.id] = measured
    return status


def _read_failures(folder: Path, video_id: str) -> list[TrialFailure]:
    """Read the failed attempts of a video that is damaged, as far as its record can be read."""
    try:
        video = read_video_records(folder, video_id)
    except DamagedFileError:
        return []
    return [] if video is None else list_failures(video.record)


def read_trial(plan: SweepPlan, folder: Path, video_id: str) -> Trial:
    """Read one trial that has just been written."""
    video = read_video(folder, video_id)
    if video is None:
        raise DamagedFileError(f"{folder / VIDEOS_FOLDER / video_id} is gone")
    return _to_trial(plan, video, read_measured(folder, video.record, plan.evaluators))


def check_plan(plan: SweepPlan, folder: Path, *, replan: bool) -> RunManifest | None:
    """Check that a plan may be done in a folder, and return what an earlier call wrote there.

    A plan that only adds to the one of the folder is the same run going on.

    Raises
    ------
    UsageError
        As `check_folder`; or, unless `replan`, if finished trials of the folder are not in the plan.
    """
    check_folder(folder)
    manifest = _read_manifest(folder)
    if manifest is None or replan:
        return manifest
    gone = set(list_videos(folder)) & set(manifest.planned) - {trial.id for trial in plan.trials}
    orphans = [trial_id for trial_id in sorted(gone) if _was_attempted(folder, trial_id)]
    if orphans:
        raise UsageError(
            f"{folder}: {count(len(orphans), 'attempted trial')} of the grid that this run was made with would be in no "
            f"table any more, as the new grid has not got them: name another folder with --out, or give --replan to keep "
            f"them in the folder and out of the tables (their attempts go on counting in the error rate)"
        )
    return manifest


def _was_attempted(folder: Path, trial_id: str) -> bool:
    """Return whether anything was made or tried: a request that the generator refused was not."""
    try:
        video = read_video(folder, trial_id)
    except DamagedFileError:
        return True
    return video is not None and (video.record.failure is None or video.record.failure.code != REFUSED)


def expected_s(plan: SweepPlan, status: RunStatus, to_make: Sequence[PlannedTrial]) -> float | None:
    """Guess how long making and measuring takes from the trials that are done; None where none is.

    A trial is expected to take as long as the mean of those with the same parameters, else of all.
    """
    spent: dict[str, list[float]] = {}
    for trial in status.found.values():
        if trial.status == "ok":
            spent.setdefault(str(trial.params), []).append(
                (trial.generate_s or 0.0) + (trial.measure_s or 0.0)
            )
    everything = [seconds for values in spent.values() for seconds in values]
    if not everything:
        return None
    guesses = [spent.get(str(trial.params), everything) for trial in to_make]
    return sum(sum(values) / len(values) for values in guesses) / len(plan.slots)


def _read_manifest(folder: Path) -> RunManifest | None:
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


def _to_trial(plan: SweepPlan, video: StoredVideo, measured: Mapping[str, MeasurementRecord | None]) -> Trial:
    there = [record for record in measured.values() if record is not None]
    return make_trial(video, there, plan.evaluators, plan.metrics)
