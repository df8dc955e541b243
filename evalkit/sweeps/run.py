"""Doing a sweep: what is done stays done, what fails is a result, and nothing disturbs a video that is timed."""

from __future__ import annotations

import shutil
import time
import uuid
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
from evalkit.runs import MetricResults, Run, RunManifest, Trial, TrialFailure
from evalkit.runs.files import only_writer, sync_folder
from evalkit.runs.run import (
    LOG_FILE,
    RUN_FILE,
    SAMPLES_FILE,
    TIMELINE_FILE,
    TRIAL_FILE,
    TRIALS_FOLDER,
    write_file,
    write_json,
)
from evalkit.sweeps.infeasible import find_infeasible
from evalkit.sweeps.status import former_facts, load_run_status
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from evalkit.execution.executors import Executor, Message
    from evalkit.profiling.profile import Profile
    from evalkit.runs.measured import Samples
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
        (folder / TRIALS_FOLDER).mkdir(parents=True, exist_ok=True)
        with only_writer(folder):
            return _Sweep(preparation, folder, retry_failed, on_progress).run()
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
        folder: Path,
        retry_failed: bool,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._preparation = preparation
        self._folder = folder
        self._trials_folder = folder / TRIALS_FOLDER
        self._execution = preparation.config.execution
        self._on_progress = on_progress
        _clear(self._trials_folder)
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
        write_file(self._folder / RUN_FILE, facts)
        run = Run(self._folder, facts)
        try:
            if self._pending:
                self._work()
        finally:
            run = Run(self._folder, _completed(facts, run.trials()))
            write_file(self._folder / RUN_FILE, run.facts)
            run.write_tables()
            _clear(self._trials_folder)
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
            folder = self._trials_folder / f".{planned.id}.{uuid.uuid4().hex}.part"
            folder.mkdir()
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
        trial = Trial(
            id=planned.id,
            params=planned.params,
            portrait=planned.portrait,
            speech=planned.speech,
            seed=planned.seed,
            status="ok" if failure is None else "failed",
            failure=failure,
            quality=None if active.quality is None else MetricResults.from_dict(active.quality),
            profile=costs.profile,
            generation=active.generation,
            events=active.events,
            attempts=active.attempts if failure is None else active.attempts[:-1],
            started_at=active.started_at,
            generate_s=active.spent_s.get(GENERATE),
            measure_s=active.spent_s.get(MEASURE),
        )
        (active.folder / LOG_FILE).write_text("\n".join([*active.log, ""]), "utf-8")
        samples = {**active.samples, **costs.samples}
        if samples:
            write_json(active.folder / SAMPLES_FILE, {"samples": samples}, indent=None)
        if active.profile is not None:
            write_json(active.folder / TIMELINE_FILE, {"profile": active.profile.to_dict()}, indent=None)
        write_file(active.folder / TRIAL_FILE, trial)
        _put_in_place(active.folder, self._trials_folder / planned.id)
        self._n_over += 1
        self._tell(trial)

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
            metrics=preparation.metrics,
            swept=preparation.swept,
            policy=preparation.config.policy,
            planned=[trial.id for trial in preparation.trials],
            machine=describe_machine(),
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


def _put_in_place(part: Path, place: Path) -> None:
    """Give a finished folder its name; an older result of the same trial goes when the new one is whole."""
    if place.exists():
        old = place.with_name(f".{place.name}.{uuid.uuid4().hex}.part")
        place.rename(old)
        part.rename(place)
        shutil.rmtree(old)
    else:
        part.rename(place)
    sync_folder(place.parent)


def _clear(trials_folder: Path) -> None:
    """Take away what a killed sweep left half done."""
    for path in trials_folder.glob(".*.part"):
        shutil.rmtree(path, ignore_errors=True)


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
