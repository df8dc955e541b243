"""Measuring a run: what its videos lack is measured and added to the record. No video is ever made."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.evaluators.load import anchor_settings, load_evaluators, prepare_evaluators, version_of
from evalkit.evaluators.session import require_installed
from evalkit.isolation import Failure, run_isolated
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.gaps import Gap, find_gaps, intent_of
from evalkit.measuring.pool import BatchProgress, Tally, count_workers
from evalkit.measuring.video import (
    MeasuredVideo,
    MeasureVideo,
    VideoTask,
    describe_metrics,
    put_measurements,
)
from evalkit.profiling.machine import describe_machine
from evalkit.runs import MeasurementError, Run, RunWriter
from evalkit.runs.identity import machine_key
from evalkit.runs.writer import refuse_legacy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evalkit.runs import RunManifest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MeasuringOutcome:
    """What came of measuring a run.

    Parameters
    ----------
    run : Run
        As it is now.
    n_videos, n_measurements : int
        What was measured by this call.
    n_complete : int
        Videos that lacked nothing before.
    n_without_video : int
        Trials that failed before there was a video.
    has_changed : bool
        Whether tables were written, and a report is out of date.
    problems : dict of str to str
        What could not be measured and why, by the video's id.
    notes : list of str
        What a person should know.
    """

    run: Run
    n_videos: int
    n_measurements: int
    n_complete: int
    n_without_video: int
    has_changed: bool
    problems: dict[str, str]
    notes: list[str]


def measure_run(
    run: Run | str | os.PathLike[str],
    *,
    only: Iterable[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> MeasuringOutcome:
    """Measure what the videos of a run lack, and rebuild its tables.

    Every measurement is put on disk when it is made: a call that was ended goes on where it was left. The manifest
    names the new evaluators, versions and settings when all is measured, so that the tables never mix versions;
    measurements of other versions stay in their files.

    Parameters
    ----------
    run : Run or path
    only : iterable of str, optional
        Evaluators to measure with. Unless given: those of the run, or all that are installed where it has none.
    settings : mapping of str to mapping, optional
        Settings of evaluators by name, in place of those that the run recorded; these evaluators measure too.
    retry_failed : bool
        Measure again what failed: a crash of the worker, or a fault in an evaluator.
    evidence : bool
        Keep pictures of what was measured beside the measurements.
    jobs : int or None
        Videos measured at once, each in a process of its own; None for one for every two cores.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is ended; that costs its video.
    on_progress : callable, optional
        Called now and then with a `BatchProgress`.
    on_message : callable, optional
        Called with a line for the person who waits, where an evaluator prepares itself; logged otherwise.

    Raises
    ------
    UsageError
        For an unknown evaluator or setting, `jobs` below 1, a run of schema 1 or 2, or where another process writes.
    OSError
        If something cannot be written; what was measured before stays.
    """
    n_workers = count_workers(jobs)
    folder = run.folder if isinstance(run, Run) else Path(run)
    refuse_legacy(Run.open(folder).folder)
    with RunWriter(folder) as writer:
        writer.clear_leftovers()
        measuring = _Measuring(writer, only, settings or {}, retry_failed=retry_failed, evidence=evidence)
        measuring.prepare(on_message or log.info)
        try:
            return measuring.measure(n_workers, stall_limit_s, on_progress)
        finally:
            writer.clear_leftovers()


class _Measuring:
    """One call of `measure_run`, inside the lock."""

    def __init__(
        self,
        writer: RunWriter,
        only: Iterable[str] | None,
        settings: Mapping[str, Mapping[str, Any]],
        *,
        retry_failed: bool,
        evidence: bool,
    ) -> None:
        self._writer = writer
        self._evidence = evidence
        self._manifest = Run.open(writer.folder).manifest
        self._notes: list[str] = []
        given = anchor_settings(settings, Path.cwd())
        names = self._choose(only, given)
        self._settings = {
            name: settings
            for name, settings in {**self._manifest.measuring, **given}.items()
            if name in names
        }
        require_installed(names)
        self._evaluators = load_evaluators(names, self._settings)
        self._versions = {evaluator.name: version_of(evaluator) for evaluator in self._evaluators}
        self._gaps = find_gaps(
            writer.folder, self._manifest.planned, self._versions, retry_failed=retry_failed
        )

    def prepare(self, on_message: Callable[[str], None]) -> None:
        if self._gaps.to_measure:
            prepare_evaluators(self._evaluators, on_message)

    def measure(
        self, n_workers: int, stall_limit_s: float, on_progress: Callable[[BatchProgress], None] | None
    ) -> MeasuringOutcome:
        gaps = self._gaps
        problems = {**gaps.unusable, **gaps.failed}
        n_measurements = 0
        if gaps.to_measure:
            machine = self._note_machine()
            tally = Tally(len(gaps.to_measure), on_progress)
            tasks = [self._task_of(gap) for gap in gaps.to_measure]
            for index, outcome in run_isolated(
                MeasureVideo(),
                tasks,
                n_workers=n_workers,
                stall_limit_s=stall_limit_s,
                on_progress=tally.update,
            ):
                video, task, measured = gaps.to_measure[index].video, tasks[index], _outcome_of(outcome)
                if measured.error is not None:
                    problems[video.id] = measured.error.text
                pictures = None if task.evidence_folder is None else Path(task.evidence_folder)
                n_measurements += put_measurements(
                    self._writer, video, task.evaluators, measured, machine=machine, evidence=pictures
                )
                if pictures is not None:
                    shutil.rmtree(pictures)
                tally.finish(index)
        has_changed = self._conclude(n_measurements)
        run = Run.open(self._writer.folder)
        return MeasuringOutcome(
            run,
            len(gaps.to_measure),
            n_measurements,
            gaps.n_complete,
            gaps.n_without_video,
            has_changed,
            problems,
            self._notes,
        )

    def _note_machine(self) -> str:
        """Return the key of this machine; the manifest names it before any measurement refers to it.

        That also makes the tables older than the manifest, so that a call after one that was killed rebuilds them.
        """
        machine = describe_machine()
        key = machine_key(machine)
        self._manifest = replace(self._manifest, machines={**self._manifest.machines, key: machine})
        self._writer.write_manifest(self._manifest)
        return key

    def _conclude(self, n_measurements: int) -> bool:
        """Let manifest and tables show what is measured by now; return whether they had to change."""
        manifest = self._completed()
        tables = Run(self._writer.folder, manifest)
        if manifest == self._manifest and not n_measurements and tables.has_tables():
            return False
        versions, weights = dict(manifest.versions), dict(manifest.weights)
        for trial in tables.trials():
            if trial.quality is not None:
                versions |= trial.quality.versions
                weights |= trial.quality.weights
        self._writer.write_manifest(replace(manifest, versions=versions, weights=weights))
        tables.write_tables()
        return True

    def _choose(self, only: Iterable[str] | None, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
        installed = registry.names(registry.EVALUATORS)
        if only is not None:
            return list(dict.fromkeys((*only, *settings)))
        known = list(self._manifest.evaluators)
        if not known:
            return list(dict.fromkeys((*installed, *settings)))
        for name in known:
            if name not in installed:
                self._notes.append(
                    f"the evaluator {name!r} is not installed here: its measurements stay as they are"
                )
        return list(dict.fromkeys((*(name for name in known if name in installed), *settings)))

    def _task_of(self, gap: Gap) -> VideoTask:
        return VideoTask(
            str(gap.path),
            str(gap.video.content),  # a video that could not be made lacks nothing
            {name: self._versions[name] for name in gap.evaluators},
            {name: self._settings[name] for name in gap.evaluators if name in self._settings},
            intent_of(gap.video.generation),
            str(self._writer.new_evidence_folder(gap.video.id)) if self._evidence else None,
        )

    def _completed(self) -> RunManifest:
        """Return the manifest with the evaluators, and their metrics, that are measured now."""
        manifest = self._manifest
        new = describe_metrics(self._evaluators)
        kept = {
            name: info
            for name, info in manifest.metrics.items()
            if info.evaluator not in self._versions and name not in new
        }
        return replace(
            manifest,
            evaluators={**manifest.evaluators, **self._versions},
            measuring={**manifest.measuring, **self._settings},
            metrics={
                **{name: info for name, info in kept.items() if info.evaluator is not None},
                **new,
                **{name: info for name, info in kept.items() if info.evaluator is None},
            },
        )


def _outcome_of(outcome: object) -> MeasuredVideo:
    """Return what a worker gave; a worker that was lost is an error of its video."""
    if isinstance(outcome, Failure):
        return MeasuredVideo({}, MeasurementError(outcome.code, outcome.text), 0.0)
    if not isinstance(outcome, MeasuredVideo):
        raise TypeError(f"a worker returned {outcome!r}")
    return outcome
