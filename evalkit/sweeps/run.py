"""Doing a sweep: what is done stays done, what fails is a result, and nothing disturbs a video that is timed."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.errors import EvalkitError
from evalkit.execution.costs import Watch, measure_costs, with_torch
from evalkit.execution.executors import Finished, Job, Limits, Started
from evalkit.execution.worker import DISK_FULL, GENERATE, MEASURE, OUT_OF_MEMORY, Stages, request_made
from evalkit.isolation import Failure
from evalkit.profiling.machine import describe_machine
from evalkit.profiling.out_of_memory import is_out_of_memory
from evalkit.runs import (
    MeasurementRecord,
    MetricResults,
    Run,
    RunManifest,
    RunWriter,
    Trial,
    TrialFailure,
    VideoProfile,
    VideoRecord,
)
from evalkit.runs.identity import machine_key, measurement_identity
from evalkit.runs.layout import VIDEO_FILE
from evalkit.runs.store import StoredVideo, make_trial
from evalkit.sweeps.infeasible import find_infeasible
from evalkit.sweeps.status import former_facts, load_run_status
from evalkit.tracks.cache import content_hash
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from evalkit.execution.executors import Executor, Message
    from evalkit.profiling.profile import Profile
    from evalkit.runs.schema import Samples
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan

_N_WAITING_VIDEOS = 2
"""Videos that may wait to be measured before no further one is made."""
_WAIT_S = 0.5


class SweepError(EvalkitError):
    """A sweep that cannot go on. What was done before stays."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    n_to_do, n_over : int
        Trials of this call: all of them, and those that have a result by now.
    trial : Trial or None
        The one that has just got its result.
    at_work : tuple of str
        What goes on: stage and configuration.
    """

    n_to_do: int
    n_over: int
    trial: Trial | None
    at_work: tuple[str, ...]


def run_sweep(
    preparation: SweepPlan,
    folder: Path,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Do what is to be done of a sweep and write its tables.

    Parameters
    ----------
    preparation : SweepPlan
    folder : Path
        Made if it is not there.
    retry_failed : bool
        Do failed trials again.
    on_progress : callable, optional
        Called when something begins or ends.

    Raises
    ------
    UsageError
        If another sweep writes there, or it is no run folder.
    SweepError
        If the results cannot be written.
    KeyboardInterrupt
        When interrupted; the tables are written, work under way is given up and leaves nothing.
    """
    load_run_status(preparation, folder)
    try:
        with RunWriter(folder) as writer:
            return _Sweep(preparation, writer, retry_failed, on_progress).run()
    except OSError as error:
        raise SweepError(
            f"{folder} cannot be written: {error.strerror or error}; what is done is kept, and the same command goes on "
            f"when that is mended"
        ) from error


@dataclass
class _Active:
    """A trial under way."""

    planned: PlannedTrial
    folder: Path
    started_at: str
    stage: str = GENERATE
    begun_s: float = 0.0
    stage_began_s: float = 0.0
    has_begun: bool = False
    profile: Profile | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)
    generation: dict[str, Any] | None = None
    timed: bool = False
    quality: dict[str, Any] | None = None
    samples: Samples = field(default_factory=dict)
    attempts: list[TrialFailure] = field(default_factory=list)
    spent_s: dict[str, float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What goes on, for people."""
        words = [f"{name}={value}" for name, value in self.planned.params.items()]
        inputs = [given.name for given in (self.planned.portrait, self.planned.speech) if given is not None]
        return f"{self.stage} {' '.join([*words, *inputs])}"


@dataclass
class _Lane:
    """One video at a time is made in it, and one measured."""

    watch: Watch
    making: _Active | None = None
    measuring: _Active | None = None
    waiting: list[_Active] = field(default_factory=list)

    @property
    def at_work(self) -> list[_Active]:
        return [active for active in (self.making, self.measuring) if active is not None]


class _Sweep:
    """One call of `run_sweep`, inside the lock."""

    def __init__(
        self,
        preparation: SweepPlan,
        writer: RunWriter,
        retry_failed: bool,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._preparation = preparation
        self._writer = writer
        self._folder = folder = writer.folder
        self._machine = describe_machine()
        self._execution = preparation.config.execution
        self._on_progress = on_progress
        writer.clear_leftovers()
        to_do = load_run_status(preparation, folder).to_do(retry_failed=retry_failed)
        self._skipped = find_infeasible(preparation, folder, to_do)
        self._to_do = [trial for trial in to_do if trial.id not in self._skipped]
        self._pending = list(self._to_do)
        self._n_over = 0
        self._lanes: list[_Lane] = []
        # One lane on the device that also measures: making and measuring take turns, so that a time is that of the
        # work alone. More lanes are in each other's company anyway, and their times are not told.
        self._overlaps = preparation.config.generator.device != "cpu" or self._execution.workers > 1
        self._is_alone = self._execution.workers == 1

    def run(self) -> Run:
        facts = self._facts()
        self._writer.write_manifest(facts)
        run = Run(self._folder, facts)
        try:
            if self._pending:
                self._work()
        finally:
            run = Run(self._folder, _completed(facts, run.trials()))
            self._writer.write_manifest(run.manifest)
            run.write_tables()
            self._writer.clear_leftovers()
        return run

    def _work(self) -> None:
        config = self._preparation.config
        stages = Stages(
            {"name": config.generator.name, "settings": config.generator.settings},
            list(config.evaluators or []),
            dict(config.measuring),
            self._execution.warm_up,
            self._execution.evidence,
        )
        limits = Limits(self._execution.time_limit_s, self._execution.stall_limit_s)
        executor: Executor = registry.load(registry.EXECUTORS, self._execution.executor)(stages, limits)
        self._lanes = [_Lane(Watch()) for _ in range(min(self._execution.workers, len(self._pending)))]
        try:
            while self._pending or any(lane.at_work or lane.waiting for lane in self._lanes):
                for index, lane in enumerate(self._lanes):
                    self._fill(index, lane, executor)
                for message in executor.wait(_WAIT_S):
                    self._hear(message, executor)
        finally:
            executor.close()
            for lane in self._lanes:
                lane.watch.close()

    def _fill(self, index: int, lane: _Lane, executor: Executor) -> None:
        """Give a lane what it may do now; what waits to be measured goes first."""
        if lane.waiting and lane.measuring is None and (self._overlaps or lane.making is None):
            lane.measuring = lane.waiting.pop(0)
            self._submit(index, lane.measuring, MEASURE, executor)
        free = lane.making is None and len(lane.waiting) < _N_WAITING_VIDEOS
        if self._pending and free and (self._overlaps or lane.measuring is None):
            planned = self._pending.pop(0)
            folder = self._writer.new_video_folder(planned.id)
            lane.making = _Active(planned, folder, _now())
            self._submit(index, lane.making, GENERATE, executor)

    def _submit(self, index: int, active: _Active, stage: str, executor: Executor) -> None:
        active.stage = stage
        active.stage_began_s = active.begun_s = time.monotonic()
        request = request_made({"request": active.planned.request, **(active.generation or {})})
        task: dict[str, Any] = {"stage": stage, "folder": str(active.folder.absolute()), "request": request}
        if stage == GENERATE:
            task["next"] = self._coming(active.planned)
            active.events, active.has_begun = [], False
        executor.submit(Job(index, task))
        self._tell(None)

    def _coming(self, planned: PlannedTrial) -> list[dict[str, Any]]:
        """List the requests that come next and differ in the inputs alone: a generator may make them together.

        None where trials would disturb each other: beside measuring on the same device, beside another lane, or where
        each is made twice.
        """
        if not (self._overlaps and self._is_alone) or self._execution.careful:
            return []
        alike = takewhile(
            lambda other: (other.params, other.seed) == (planned.params, planned.seed), self._pending
        )
        return [other.request for other in alike]

    def _hear(self, message: Message, executor: Executor) -> None:
        lane = self._lanes[message.job.lane]
        generating = message.job.task["stage"] == GENERATE
        active = lane.making if generating else lane.measuring
        if active is None:
            return
        if isinstance(message, Started):
            if generating and self._execution.careful and not active.timed:
                lane.watch.rest()
            elif generating:
                lane.watch.follow(message.pid)
        elif isinstance(message, Finished):
            self._finish_stage(message, lane, active, executor)
        elif "event" in message.value:
            active.events.append(message.value["event"])
        elif "begun" in message.value:
            active.begun_s, active.has_begun = message.value["begun"], True

    def _finish_stage(self, message: Finished, lane: _Lane, active: _Active, executor: Executor) -> None:
        generating = active.stage == GENERATE
        if generating:
            ended_s = message.outcome.get("ended_s") if isinstance(message.outcome, dict) else None
            active.profile = lane.watch.cut(active.begun_s, ended_s)
        spent_s = time.monotonic() - active.stage_began_s
        active.spent_s[active.stage] = active.spent_s.get(active.stage, 0.0) + spent_s
        failure = _failure_of(message, active)
        active.log += _log_lines(active, message, failure)
        if failure is not None:
            if failure.code == DISK_FULL:
                raise SweepError(
                    f"{self._folder}: the disk is full ({failure.text}); make room, and the same command goes on"
                )
            active.attempts.append(failure)
            if len(active.attempts) <= self._execution.retries and failure.code != "refused":
                _empty(active.folder, keep="video.mp4" if not generating else None)
                self._submit(message.job.lane, active, active.stage, executor)
                return
            self._free(lane, active)
            self._finish(active, failure)
            return
        outcome = message.outcome
        assert isinstance(outcome, dict)  # noqa: S101 - for the type checker: a Failure was dealt with above
        if generating and self._execution.careful and not active.timed:
            active.timed, active.timing = True, active.events
            _empty(active.folder, keep=None)
            self._submit(message.job.lane, active, GENERATE, executor)
            return
        self._free(lane, active)
        if generating:
            active.events = active.timing or active.events
            active.profile = with_torch(active.profile, outcome["torch"])
            active.generation = outcome["generation"]
            if self._preparation.config.evaluators:
                lane.waiting.append(active)
                return
        else:
            active.quality, active.samples = outcome["quality"], outcome["samples"]
        self._finish(active, None)

    def _free(self, lane: _Lane, active: _Active) -> None:
        if lane.making is active:
            lane.making = None
        else:
            lane.measuring = None

    def _finish(self, active: _Active, failure: TrialFailure | None) -> None:
        """Write a trial's files and give its folder its name: from then on it is there."""
        n_failed = len(active.attempts)
        costs = measure_costs(
            active.profile,
            active.events,
            active.generation,
            alone=self._is_alone,
            n_failed=n_failed,
            n_attempted=n_failed + (failure is None),
        )
        planned = active.planned
        machine = machine_key(self._machine)
        record = VideoRecord(
            id=planned.id,
            params=planned.params,
            portrait=planned.portrait,
            speech=planned.speech,
            seed=planned.seed,
            status="ok" if failure is None else "failed",
            failure=failure,
            attempts=active.attempts if failure is None else active.attempts[:-1],
            generation=active.generation,
            events=active.events,
            started_at=active.started_at,
            generate_s=active.spent_s.get(GENERATE),
            content=content_hash(str(active.folder / VIDEO_FILE)) if failure is None else None,
            machine=machine,
            slot="local",
            alone=self._is_alone,
        )
        measurements = self._measured(active, record) if active.quality is not None else []
        if failure is not None:
            (active.folder / VIDEO_FILE).unlink(missing_ok=True)
        self._writer.put_video(
            record,
            active.folder,
            profile=costs.profile,
            samples=costs.samples,
            timeline=active.profile.to_dict() if active.profile is not None else None,
            log="\n".join([*active.log, ""]),
        )
        preparation = self._preparation
        trial = make_trial(
            StoredVideo(record, VideoProfile(costs.profile)),
            measurements,
            preparation.deciders.evaluators,
            preparation.metrics,
        )
        self._n_over += 1
        self._tell(trial)

    def _measured(self, active: _Active, video: VideoRecord) -> list[MeasurementRecord]:
        """Store what was measured, one record per evaluator; the video that makes it count comes after it."""
        assert active.quality is not None  # noqa: S101 - for the type checker
        assert video.content is not None  # noqa: S101 - for the type checker
        quality = MetricResults.from_dict(active.quality)
        evaluators, metrics = self._preparation.deciders.evaluators, self._preparation.metrics
        records = []
        for evaluator, version in evaluators.items():
            own = {name for name, info in metrics.items() if info.evaluator == evaluator}
            record = MeasurementRecord(
                video_id=video.id,
                content=video.content,
                evaluator=evaluator,
                version=version,
                identity=measurement_identity(video.content, evaluator, version),
                results=replace(
                    quality,
                    metrics={name: value for name, value in quality.metrics.items() if name in own},
                    absent={name: code for name, code in quality.absent.items() if name in own},
                ),
                error=None,
                measured_at=_now(),
                measure_s=active.spent_s[MEASURE] / len(evaluators),
                machine=video.machine,
            )
            self._writer.put_measurement(
                record, {name: values for name, values in active.samples.items() if name in own}
            )
            records.append(record)
        return records

    def _tell(self, trial: Trial | None) -> None:
        if self._on_progress is not None:
            labels = tuple(active.label for lane in self._lanes for active in lane.at_work)
            self._on_progress(Progress(len(self._to_do), self._n_over, trial, labels))

    def _facts(self) -> RunManifest:
        preparation = self._preparation
        former = former_facts(self._folder)
        plain = preparation.config.to_dict()
        return RunManifest(
            created_at=former.created_at if former is not None else _now(),
            config=plain,
            config_hash=hash_of(plain),
            generator=preparation.deciders.generator,
            evaluators=dict(preparation.deciders.evaluators),
            measuring=dict(preparation.config.measuring),
            metrics=preparation.metrics,
            swept=preparation.swept,
            policy=preparation.config.policy,
            planned=[trial.id for trial in preparation.trials],
            machines={machine_key(self._machine): self._machine},
            code=None,
            versions={},
            weights={},
            notes=preparation.notes,
            skipped=self._skipped,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _failure_of(message: Finished, active: _Active) -> TrialFailure | None:
    """Return why a stage gave nothing; None where it gave something."""
    outcome = message.outcome
    if isinstance(outcome, Failure):
        stage = "load" if active.stage == GENERATE and not active.has_begun else active.stage
        n_oom_kills = active.profile.n_oom_kills if active.profile is not None else None
        words = f"{outcome.text}\n{outcome.log}"
        code = OUT_OF_MEMORY if is_out_of_memory(words, n_oom_kills) else outcome.code
        return TrialFailure(stage, code, outcome.text)  # type: ignore[arg-type]  # stages are few
    if "failure" in outcome:
        return TrialFailure(**outcome["failure"])
    return None


def _log_lines(active: _Active, message: Finished, failure: TrialFailure | None) -> list[str]:
    """Say what happened in a stage."""
    lines = [f"{active.stage}: {active.spent_s[active.stage]:.3f} s"]
    if active.stage == GENERATE:
        lines += [
            f"  {event['time_s']:9.3f} s  {event['name']} {event['detail'] or ''}" for event in active.events
        ]
    if failure is not None:
        lines.append(f"  failed while it did {failure.stage!r}: {failure.code}: {failure.text}")
    return lines + [f"  | {line}" for line in message.log.splitlines()]


def _empty(folder: Path, keep: str | None) -> None:
    for path in folder.iterdir():
        if path.name == keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _completed(facts: RunManifest, trials: Iterable[Trial]) -> RunManifest:
    """Add versions and weights of everything that took part."""
    versions: dict[str, str] = {}
    weights: dict[str, str] = {}
    for trial in trials:
        for source in (trial.generation or {}, trial.quality.to_dict() if trial.quality else {}):
            versions |= source.get("versions", {})
            weights |= source.get("weights", {})
    return replace(facts, versions=versions, weights=weights)
