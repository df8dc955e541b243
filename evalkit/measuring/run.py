"""Measuring a run: what its videos lack is measured and added to the record. No video is ever made."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.evaluators.load import (
    anchor_settings,
    find_incomplete,
    load_evaluators,
    prepare_evaluators,
    version_of,
)
from evalkit.evaluators.session import require_installed
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.cores import require_jobs
from evalkit.measuring.gaps import find_gaps
from evalkit.measuring.measurer import Here
from evalkit.measuring.pool import BatchProgress, Tally
from evalkit.measuring.video import VideoTask, describe_metrics, put_measurements
from evalkit.runs import Run, RunWriter
from evalkit.runs.identity import machine_key
from evalkit.runs.writer import refuse_legacy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from evalkit.measuring.gaps import Gap
    from evalkit.measuring.measurer import Measurer
    from evalkit.measuring.video import MeasuredVideo
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
    measurer: Measurer | None = None,
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
        Processor cores that measure, in worker processes that are bound to them, see `share_cores`; None for all that this
        process may use.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is ended; that costs its video.
    measurer : Measurer, optional
        Where videos are measured; worker processes of this machine unless given. `jobs` and `stall_limit_s` are theirs.
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
    require_jobs(jobs)
    folder = run.folder if isinstance(run, Run) else Path(run)
    refuse_legacy(Run.open(folder).folder)
    with RunWriter(folder) as writer:
        writer.clear_leftovers()
        measuring = _Measuring(writer, only, settings or {}, retry_failed=retry_failed, evidence=evidence)
        measuring.prepare(on_message or log.info)
        try:
            return measuring.measure(measurer or Here(jobs, stall_limit_s), on_progress)
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
        self, measurer: Measurer, on_progress: Callable[[BatchProgress], None] | None
    ) -> MeasuringOutcome:
        gaps = self._gaps
        problems = {**gaps.unusable, **gaps.failed}
        n_measurements = 0
        if gaps.to_measure:
            self._outdate_tables()
            tally = Tally(len(gaps.to_measure), on_progress)
            under_way: dict[int, VideoTask] = {}
            tasks = self._tasks(under_way)
            with closing(measurer(tasks, len(gaps.to_measure), tally.update)) as outcomes:
                for index, measured in outcomes:
                    gap, task = gaps.to_measure[index], under_way.pop(index)
                    if measured.error is not None:
                        problems[gap.id] = measured.error.text
                    n_measurements += self._put(gap, task, measured)
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

    def _put(self, gap: Gap, task: VideoTask, measured: MeasuredVideo) -> int:
        """Put on disk what was measured; return how many records that made."""
        pictures = None if task.evidence_folder is None else Path(task.evidence_folder)
        machine = self._note_machine(measured.machine)
        n_records = put_measurements(
            self._writer, gap, task.evaluators, measured, machine=machine, evidence=pictures
        )
        if pictures is not None:
            shutil.rmtree(pictures)
        return n_records

    def _outdate_tables(self) -> None:
        """Make the tables older than the manifest, so that a call after one that was killed rebuilds them."""
        self._writer.write_manifest(self._manifest)

    def _note_machine(self, machine: dict[str, Any]) -> str:
        """Return the key of a machine; the manifest names it before any measurement refers to it.

        Empty where no machine measured.
        """
        if not machine:
            return ""
        key = machine_key(machine)
        if key not in self._manifest.machines:
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
        if only is not None:
            return list(dict.fromkeys((*only, *settings)))
        everyone = registry.names(registry.EVALUATORS)
        incomplete = find_incomplete(everyone)
        installed = [name for name in everyone if name not in incomplete]
        known = list(self._manifest.evaluators)
        if not known:
            return list(dict.fromkeys((*installed, *settings)))
        for name in known:
            if name not in installed:
                lacks = f" ({incomplete[name]})" if name in incomplete else ""
                self._notes.append(
                    f"the evaluator {name!r} is not installed here{lacks}: its measurements stay as they are"
                )
        return list(dict.fromkeys((*(name for name in known if name in installed), *settings)))

    def _tasks(self, under_way: dict[int, VideoTask]) -> Iterator[VideoTask]:
        """Make the tasks one by one, and keep each where it is found when it is over."""
        for index, gap in enumerate(self._gaps.to_measure):
            under_way[index] = VideoTask(
                str(gap.path.absolute()),
                gap.content,
                {name: self._versions[name] for name in gap.evaluators},
                {name: self._settings[name] for name in gap.evaluators if name in self._settings},
                gap.intent,
                str(self._writer.new_evidence_folder(gap.id).absolute()) if self._evidence else None,
            )
            yield under_way[index]

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
