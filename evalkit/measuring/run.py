"""Measuring a run: what its videos lack is measured and added to the record. No video is ever made."""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.evaluators.load import load_evaluators, prepare_evaluators, version_of
from evalkit.evaluators.session import require_installed
from evalkit.isolation import Failure, run_isolated
from evalkit.measuring.evidence import EvidenceWriter
from evalkit.measuring.gaps import Gap, Gaps, find_gaps, intent_of
from evalkit.measuring.runner import try_measure
from evalkit.profiling.machine import describe_machine
from evalkit.runs import (
    MeasurementError,
    MeasurementRecord,
    MetricInfo,
    MetricResults,
    Run,
    RunWriter,
    Samples,
)
from evalkit.runs.identity import machine_key, measurement_identity
from evalkit.runs.measured import store_measurements
from evalkit.runs.writer import refuse_legacy
from evalkit.tracks.cache import content_hash
from evalkit.types import ClipIntent
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.results import ClipResult
    from evalkit.runs import RunManifest

log = logging.getLogger(__name__)

_STALL_LIMIT_S = 120.0
ALTERED = "altered"
"""Code of the error of a video that is not the one that was made: it says nothing of that one, and is not stored."""


@dataclass(frozen=True, slots=True)
class MeasuringProgress:
    """How far measuring a run is.

    Parameters
    ----------
    n_videos, n_over : int
        Videos that lack measurements: all of them, and those that are done by now.
    share : float
        Of the whole work that is done, 0 to 1, as far as the lengths of the videos are known.
    """

    n_videos: int
    n_over: int
    share: float


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
    has_changed: bool
    problems: dict[str, str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One video to measure, as plain data for a worker.

    Parameters
    ----------
    path : str
    content : str
        SHA-256 that the file should have.
    evaluators : tuple of str
        Names.
    settings : dict of str to dict
        Settings of these evaluators, by name.
    intent : ClipIntent
    evidence_folder : str or None
        Gets a folder for each evaluator that shows anything, by its name; None for no pictures.
    """

    path: str
    content: str
    evaluators: tuple[str, ...]
    settings: dict[str, dict[str, Any]]
    intent: ClipIntent
    evidence_folder: str | None


@dataclass(frozen=True, slots=True)
class MeasuredVideo:
    """What evaluators measured on a video.

    Parameters
    ----------
    measured : dict of str to tuple
        `MetricResults` and raw samples by the evaluator's name; empty where there is an error.
    error : MeasurementError or None
        Why the video could not be measured at all.
    measure_s : float
    """

    measured: dict[str, tuple[MetricResults, Samples]]
    error: MeasurementError | None
    measure_s: float


def measure_run(
    run: Run | str | os.PathLike[str],
    *,
    only: Iterable[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = _STALL_LIMIT_S,
    on_progress: Callable[[MeasuringProgress], None] | None = None,
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
    jobs : int, optional
        Videos measured at once, each in a process of its own; one for every two cores unless given.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is ended; that costs its video.
    on_progress : callable, optional
        Called with a `MeasuringProgress`.
    on_message : callable, optional
        Called with a line for the person who waits, where an evaluator prepares itself; logged otherwise.

    Raises
    ------
    UsageError
        For an unknown evaluator or setting, a run of schema 1 or 2, or where another process writes.
    OSError
        If something cannot be written; what was measured before stays.
    """
    folder = run.folder if isinstance(run, Run) else Path(run)
    refuse_legacy(Run.open(folder).folder)
    with RunWriter(folder) as writer:
        writer.clear_leftovers()
        measuring = _Measuring(writer, only, settings or {}, retry_failed=retry_failed, evidence=evidence)
        measuring.prepare(on_message or log.info)
        return measuring.measure(jobs or max(1, (os.cpu_count() or 1) // 2), stall_limit_s, on_progress)


def measure_video(task: VideoTask, report: Callable[[Any], None]) -> MeasuredVideo:
    """Measure one video in a worker process."""
    start_s = time.monotonic()
    altered = check_content(task.path, task.content)
    if altered is not None:
        return MeasuredVideo({}, altered, 0.0)
    evaluators = _load(task.evaluators, canonical_json(task.settings))
    result = try_measure(
        task.path,
        evaluators,
        intent=task.intent,
        observer=EvidenceWriter(Path(task.evidence_folder)) if task.evidence_folder is not None else None,
        progress=lambda *position: report(position),
    )
    spent_s = time.monotonic() - start_s
    if result.error is not None:
        return MeasuredVideo({}, MeasurementError(result.error.code, result.error.text), spent_s)
    return MeasuredVideo(split_by_evaluator(result, evaluators), None, spent_s)


def check_content(path: str, content: str) -> MeasurementError | None:
    """Return an error where a file has another content than was recorded."""
    if content_hash(path) == content:
        return None
    return MeasurementError(ALTERED, f"{path} is not the video that was made: its content was altered")


def split_by_evaluator(
    result: ClipResult, evaluators: Sequence[Evaluator]
) -> dict[str, tuple[MetricResults, Samples]]:
    """Return what each evaluator measured, with its raw samples, as it is stored."""
    by_metric = {measurement.metric.name: measurement for measurement in result.measurements}
    return {
        evaluator.name: store_measurements(
            [by_metric[metric.name] for metric in evaluator.metrics],
            notes=result.notes,
            versions=result.versions,
            weights=result.weights,
        )
        for evaluator in evaluators
    }


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
        self._manifest = manifest = Run.open(writer.folder).manifest
        self._machine = describe_machine()
        self._notes: list[str] = []
        names = self._choose(only, settings)
        self._settings = {
            name: dict(settings.get(name, manifest.measuring.get(name, {})))
            for name in names
            if name in settings or name in manifest.measuring
        }
        require_installed(names)
        self._evaluators = load_evaluators(names, self._settings)
        self._versions = {evaluator.name: version_of(evaluator) for evaluator in self._evaluators}
        self._gaps = find_gaps(writer.folder, manifest.planned, self._versions, retry_failed=retry_failed)

    def prepare(self, tell: Callable[[str], None]) -> None:
        if self._gaps.to_measure:
            prepare_evaluators(self._evaluators, tell)

    def measure(
        self, jobs: int, stall_limit_s: float, on_progress: Callable[[MeasuringProgress], None] | None
    ) -> MeasuringOutcome:
        gaps: Gaps = self._gaps
        problems = dict(gaps.unusable)
        tally = _Tally(len(gaps.to_measure), on_progress)
        tasks = [self._task_of(gap) for gap in gaps.to_measure]
        seen_versions, seen_weights = dict(self._manifest.versions), dict(self._manifest.weights)
        n_measurements = 0
        for index, outcome in run_isolated(
            measure_video, tasks, n_workers=jobs, stall_limit_s=stall_limit_s, on_progress=tally.hear
        ):
            gap = gaps.to_measure[index]
            measured = _outcome_of(outcome)
            if measured.error is not None:
                problems[gap.video.id] = measured.error.text
            pictures = tasks[index].evidence_folder
            if measured.error is None or measured.error.code != ALTERED:
                n_measurements += self._put(gap, measured, pictures)
            if pictures is not None:
                shutil.rmtree(pictures)
            for results, _ in measured.measured.values():
                seen_versions |= results.versions
                seen_weights |= results.weights
            tally.finish(index)
        manifest = self._completed(seen_versions, seen_weights)
        has_changed = manifest != self._manifest or n_measurements > 0
        if has_changed:
            self._writer.write_manifest(manifest)
        run = Run.open(self._writer.folder)
        if has_changed:
            run.write_tables()
        return MeasuringOutcome(
            run, len(tasks), n_measurements, gaps.n_complete, has_changed, problems, self._notes
        )

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
        content = gap.video.content
        assert content is not None  # noqa: S101 - a video that failed lacks nothing
        return VideoTask(
            str(gap.path),
            content,
            gap.evaluators,
            {name: self._settings[name] for name in gap.evaluators if name in self._settings},
            intent_of(gap.video.generation),
            str(self._writer.new_evidence_folder(gap.video.id)) if self._evidence else None,
        )

    def _put(self, gap: Gap, measured: MeasuredVideo, pictures: str | None) -> int:
        """Put the measurements of a video on disk, and return how many they are."""
        content = gap.video.content
        assert content is not None  # noqa: S101 - as above
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for name in gap.evaluators:
            version = self._versions[name]
            results, samples = measured.measured.get(name, (None, {}))
            record = MeasurementRecord(
                video_id=gap.video.id,
                content=content,
                evaluator=name,
                version=version,
                identity=measurement_identity(content, name, version),
                results=results,
                error=measured.error,
                measured_at=now,
                measure_s=measured.measure_s / len(gap.evaluators),
                machine=machine_key(self._machine),
            )
            shown = Path(pictures, name) if pictures is not None and record.error is None else None
            self._writer.put_measurement(
                record, samples, shown if shown is not None and shown.is_dir() else None
            )
        return len(gap.evaluators)

    def _completed(self, versions: dict[str, str], weights: dict[str, str]) -> RunManifest:
        """Return the manifest with what is measured now."""
        manifest = self._manifest
        new = {
            metric.name: MetricInfo(metric.unit, metric.better, metric.meaning, evaluator.name)
            for evaluator in self._evaluators
            for metric in evaluator.metrics
        }
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
            machines=manifest.machines
            if not self._gaps.to_measure
            else {**manifest.machines, machine_key(self._machine): self._machine},
            versions=versions,
            weights=weights,
        )


class _Tally:
    """Turns what workers report of single videos into the progress of the whole."""

    def __init__(self, n_videos: int, on_progress: Callable[[MeasuringProgress], None] | None) -> None:
        self._n_videos = n_videos
        self._on_progress = on_progress
        self._n_over = 0
        self._shares: dict[int, float] = {}

    def hear(self, index: int, position: tuple[float, float | None]) -> None:
        at_s, length_s = position
        if length_s:
            self._shares[index] = max(self._shares.get(index, 0.0), min(0.99, at_s / length_s))
            self._show()

    def finish(self, index: int) -> None:
        self._shares[index] = 1.0
        self._n_over += 1
        self._show()

    def _show(self) -> None:
        if self._on_progress is not None:
            share = sum(self._shares.values()) / self._n_videos
            self._on_progress(MeasuringProgress(self._n_videos, self._n_over, share))


def _outcome_of(outcome: object) -> MeasuredVideo:
    """Return what a worker gave; a worker that was lost is an error of its video."""
    if isinstance(outcome, Failure):
        return MeasuredVideo({}, MeasurementError(outcome.code, outcome.text), 0.0)
    if not isinstance(outcome, MeasuredVideo):
        raise TypeError(f"a worker returned {outcome!r}")
    return outcome


@cache
def _load(names: tuple[str, ...], settings: str) -> list[Evaluator]:
    import json

    return load_evaluators(names, json.loads(settings))
