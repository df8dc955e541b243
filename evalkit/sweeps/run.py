"""Doing a sweep: what is done stays done, what fails is a result, and nothing disturbs a video that is timed."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import EvalkitError
from evalkit.execution.costs import measure_costs
from evalkit.execution.executors import LOST, MOST_LOSSES, ExecutorError, Limits
from evalkit.execution.jobs import (
    EVIDENCE_NAME,
    VIDEO_NAME,
    EventReported,
    Finished,
    GenerateJob,
    GenerateResult,
    InputFile,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Stage,
)
from evalkit.execution.measurer import to_measured
from evalkit.execution.scheduler import Scheduler
from evalkit.execution.slots import is_alone
from evalkit.execution.worker import DISK_FULL
from evalkit.measuring.gaps import intent_of
from evalkit.measuring.video import put_measurements
from evalkit.profiling.machine import describe_machine
from evalkit.profiling.profile import Profile
from evalkit.runs import (
    PlanRecord,
    Run,
    RunManifest,
    RunWriter,
    SkippedTrial,
    TrialFailure,
    VideoRecord,
)
from evalkit.runs.code import read_code_version
from evalkit.runs.files import remove
from evalkit.runs.identity import machine_key
from evalkit.runs.layout import LOG_FILE, VIDEOS_FOLDER
from evalkit.runs.schema import RECORD_LOST
from evalkit.sweeps.infeasible import find_infeasible
from evalkit.sweeps.order import order_trials, seed_of_order
from evalkit.sweeps.prepare import find_executor
from evalkit.sweeps.status import check_plan, has_tries_left, list_failures, load_run_status, read_trial
from evalkit.tracks.cache import content_hash
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evalkit.execution.executors import Executor
    from evalkit.execution.jobs import Job, Message, Result
    from evalkit.execution.scheduler import Task
    from evalkit.runs import Trial
    from evalkit.sweeps.feed import Feed
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan

_WAIT_S = 0.5


class SweepError(EvalkitError):
    """A sweep that cannot go on. What was done before stays."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    n_trials, n_over : int
        Trials of this call: all of them, as far as they are chosen, and those that have a result by now.
    trial : Trial or None
        The one that has just got its result.
    at_work : tuple of str
        What goes on: stage and configuration.
    """

    n_trials: int
    n_over: int
    trial: Trial | None
    at_work: tuple[str, ...]


def run_sweep(
    plan: SweepPlan,
    folder: Path,
    *,
    retry_failed: bool = False,
    replan: bool = False,
    feed: Feed | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Make the videos of a sweep that are missing, measure what is not measured, and write the tables.

    Parameters
    ----------
    plan : SweepPlan
    folder : Path
        Made if it is not there.
    retry_failed : bool
        Try again what failed; what failed before stays in the record.
    replan : bool
        Whether finished trials of the folder may be left out of the new plan; they stay in the folder.
    feed : Feed, optional
        Chooses the videos that are made, while the sweep goes on; all that are missing unless given. Videos that are
        there are measured in any case.
    on_progress : callable, optional
        Called when something begins or ends.

    Raises
    ------
    UsageError
        If another sweep writes there, it is not a run folder, or the plan leaves out finished trials.
    SweepError
        If the results cannot be written, or the executor cannot go on.
    KeyboardInterrupt
        When interrupted; the tables are written, work under way is given up and leaves nothing.
    """
    earlier = check_plan(plan, folder, replan=replan)
    try:
        with RunWriter(folder) as writer:
            writer.clear_leftovers()
            sweep = _Sweep(
                plan, writer, earlier, retry_failed=retry_failed, feed=feed, on_progress=on_progress
            )
            return sweep.run()
    except ExecutorError as error:
        raise SweepError(
            f"{error}; what is done is kept, and the same command goes on, also with another executor"
        ) from error
    except OSError as error:
        raise SweepError(
            f"{folder} cannot be written: {error.strerror or error}; what is done is kept, and the same command goes on "
            f"when that is mended"
        ) from error


@dataclass
class _Video:
    """A video under way: being made, or being measured."""

    planned: PlannedTrial
    folder: Path
    started_at: str
    attempts: list[TrialFailure]
    n_tries: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A job, and what it is for."""

    task: Task
    job: Job


class _Sweep:
    """One call of `run_sweep`, inside the lock."""

    def __init__(
        self,
        plan: SweepPlan,
        writer: RunWriter,
        earlier: RunManifest | None,
        *,
        retry_failed: bool,
        feed: Feed | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._plan = plan
        self._writer = writer
        self._folder = writer.folder
        self._execution = plan.config.execution
        self._on_progress = on_progress
        self._feed = feed
        self._planned = {trial.id: trial for trial in plan.trials}
        status = load_run_status(plan, writer.folder)
        to_make = status.to_make(retry_failed=retry_failed)
        skipped = find_infeasible(plan, writer.folder, to_make)
        self._manifest = _describe(plan, earlier, skipped)
        self._missing = {trial.id for trial in to_make} - skipped.keys()
        """Ids of the videos that this call may make and has not begun to ask for."""
        self._tried = _known_failures(status.tried, self._manifest.failures)
        self._to_measure = status.to_measure(retry_failed=retry_failed)
        self._videos = {name: status.videos[name] for name in self._to_measure}
        """Videos that are there and to be measured: what is over is on disk, and kept nowhere else."""
        if feed is None:
            ordered = order_trials(plan.trials, self._manifest.plans[-1].seed, batches=plan.batches)
            wanted: Iterable[str] = [trial.id for trial in ordered if trial.id in self._missing]
        else:
            done = status.found.keys() - {trial.id for trial in to_make} - self._to_measure.keys()
            known = {name: trial for name, trial in status.found.items() if name in done}
            wanted = feed.begin(known, {name: trial.reason for name, trial in skipped.items()})
        self._n_trials = len(self._to_measure)
        self._to_make = self._ask_for(wanted)
        self._n_over = 0
        self._making: dict[str, _Video] = {}
        self._measuring_tries: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        """Places that the job of a video has lost, one after the other."""
        self._under_way: dict[str, _UnderWay] = {}
        self._numbers = itertools.count()
        for video in status.videos.values():
            if len(list_failures(video)) > self._manifest.failures.get(video.id, 0):
                self._note_failures(video)  # a sweep that was killed did not
        for trial in status.found.values():
            self._note_versions(trial.generation or {})
            self._note_versions(trial.quality.to_dict() if trial.quality else {})

    def run(self) -> Run:
        self._writer.write_manifest(self._manifest)
        try:
            if self._n_trials:
                self._work()
        finally:
            if self._feed is not None:
                self._note_left_out(self._feed.left_out())
            self._writer.write_manifest(self._manifest)
            run = Run(self._folder, self._manifest)
            run.write_tables()
            self._writer.clear_leftovers()
        return run

    def _work(self) -> None:
        limits = Limits(self._execution.time_limit_s, self._execution.stall_limit_s)
        executor = find_executor(self._plan.config)(self._plan.slots, limits)
        try:
            self._scheduler = Scheduler(
                self._plan.slots,
                self._to_make,
                self._to_measure,
                executor.measuring_slots,
                executor.measuring_pool(),
            )
            while not self._scheduler.is_over:
                for task in self._scheduler.next_tasks():
                    self._submit(task, executor)
                for message in executor.wait(_WAIT_S):
                    self._hear(message)
        finally:
            executor.close()

    def _submit(self, task: Task, executor: Executor) -> None:
        job_id = f"{task.video_id}-{task.stage}-{next(self._numbers)}"
        job = (
            self._generate_job(job_id, task)
            if task.stage is Stage.GENERATE
            else self._measure_job(job_id, task)
        )
        self._under_way[job_id] = _UnderWay(task, job)
        executor.submit(job)
        self._report(None)

    def _generate_job(self, job_id: str, task: Task) -> GenerateJob:
        planned = self._planned[task.video_id]
        if planned.id not in self._making:
            folder = self._writer.new_video_folder(planned.id)
            attempts = self._tried.get(planned.id, [])
            # within the retries that it has, an earlier call's tries count; beyond them, it was asked for anew
            n_tries = len(attempts) if len(attempts) <= self._execution.retries else 0
            self._making[planned.id] = _Video(planned, folder, _now(), attempts, n_tries)
        video = self._making[planned.id]
        video.events = []
        upcoming = self._upcoming(planned)
        files = [file for trial in (planned, *upcoming) for file in trial.files]
        return GenerateJob(
            job_id,
            task.slot,
            self._plan.spec,
            planned.request,
            str(video.folder.absolute()),
            tuple(dict.fromkeys(files)),
            tuple(trial.request for trial in upcoming),
            self._execution.warm_up,
            self._execution.separate_profiling_pass,
        )

    def _upcoming(self, planned: PlannedTrial) -> list[PlannedTrial]:
        """List the trials that come next and differ in the inputs alone: the generator makes them together."""
        if not self._plan.batches:
            return []
        waiting = (self._planned[video_id] for video_id in self._scheduler.waiting)
        return list(
            takewhile(lambda other: (other.params, other.seed) == (planned.params, planned.seed), waiting)
        )

    def _measure_job(self, job_id: str, task: Task) -> MeasureJob:
        video = self._videos[task.video_id]
        path = str((self._folder / VIDEOS_FOLDER / video.id / VIDEO_NAME).absolute())
        return MeasureJob(
            job_id,
            task.slot,
            path,
            {name: self._plan.evaluators[name] for name in self._to_measure[video.id]},
            {
                name: settings
                for name, settings in self._plan.config.measuring.items()
                if name in self._to_measure[video.id]
            },
            intent_of(video.generation),
            str(self._writer.new_evidence_folder(video.id).absolute()),
            (InputFile(path, str(video.content)), *self._plan.measuring_files),
            self._execution.evidence,
        )

    def _hear(self, message: Message) -> None:
        under_way = self._under_way[message.job_id]
        task = under_way.task
        if isinstance(message, EventReported):
            self._making[task.video_id].events.append(message.event)
        elif isinstance(message, Finished):
            del self._under_way[message.job_id]
            if isinstance(message.result, JobFailure) and message.result.code == DISK_FULL:
                raise SweepError(
                    f"a disk is full ({message.result.text}); make room, and the same command goes on with {self._folder}"
                )
            if self._is_to_move(message.result, task):
                self._move(under_way, message)
            elif task.stage is Stage.GENERATE:
                self._finish_video(task, message)
            else:
                self._finish_measuring(under_way, message)

    def _is_to_move(self, result: Result, task: Task) -> bool:
        """Return whether a job lost its place, and not so often that this may be its own doing."""
        if not isinstance(result, JobFailure) or result.code != LOST:
            del self._losses[task.video_id]
            return False
        self._losses[task.video_id] = (self._losses[task.video_id] + 1) % MOST_LOSSES
        return self._losses[task.video_id] > 0

    def _move(self, under_way: _UnderWay, message: Finished) -> None:
        """Have a job done elsewhere: no try of it has failed."""
        task, job, result = under_way.task, under_way.job, message.result
        assert isinstance(result, JobFailure)  # noqa: S101 - for the type checker
        line = (
            f"{result.stage}: its place was lost after {result.spent_s:.3f} s, tried elsewhere: {result.text}"
        )
        if isinstance(job, GenerateJob):
            video = self._making[task.video_id]
            _empty(video.folder)
            video.log.append(line)
        else:
            remove(Path(job.folder))
            self._write_to_log(task.video_id, [line])
        self._scheduler.move(task)

    def _finish_video(self, task: Task, message: Finished) -> None:
        video, result = self._making[task.video_id], message.result
        assert not isinstance(result, MeasureResult)  # noqa: S101 - for the type checker: see `_hear`
        video.n_tries += 1
        failure = _to_record(result) if isinstance(result, JobFailure) else None
        if failure is not None:
            _empty(video.folder)
        made = result if isinstance(result, GenerateResult) else None
        events = made.events if made is not None else video.events
        video.log += _log_lines(result, events, message.log)
        record = self._put_video(video, task, result, events)
        self._note_failures(record)
        if has_tries_left(record, video.n_tries, self._execution.retries):
            video.attempts = [*record.attempts, *([failure] if failure is not None else [])]
            video.folder = self._writer.new_video_folder(record.id)
            self._scheduler.repeat(task)
            return
        del self._making[task.video_id]
        is_measured = failure is None and bool(self._plan.evaluators)
        if is_measured:
            self._videos[record.id] = record
            self._to_measure[record.id] = list(self._plan.evaluators)
        self._scheduler.finish(task, measure=is_measured)
        if made is not None:
            self._note_versions(made.generation)
        self._report(None if is_measured else record.id)

    def _put_video(
        self, video: _Video, task: Task, result: GenerateResult | JobFailure, events: list[dict[str, Any]]
    ) -> VideoRecord:
        """Store a video, or why there is none."""
        made = result if isinstance(result, GenerateResult) else None
        failure = _to_record(result) if isinstance(result, JobFailure) else None
        alone = is_alone(task.slot, self._plan.slots) and (made is None or made.alone)
        n_failed = len(video.attempts) + (failure is not None)
        profile = None if result.profile is None else Profile.from_dict(result.profile)
        costs = measure_costs(
            profile,
            events,
            made.generation if made is not None else None,
            alone=alone,
            n_failed=n_failed,
            n_attempted=n_failed + (failure is None),
        )
        planned = video.planned
        record = VideoRecord(
            id=planned.id,
            params=planned.params,
            portrait=planned.portrait,
            speech=planned.speech,
            seed=planned.seed,
            status="ok" if failure is None else "failed",
            failure=failure,
            attempts=video.attempts,
            generation=made.generation if made is not None else None,
            events=events,
            started_at=video.started_at,
            generate_s=result.generate_s if isinstance(result, GenerateResult) else result.spent_s,
            content=content_hash(str(video.folder / VIDEO_NAME)) if failure is None else None,
            machine=self._note_machine(result.machine),
            slot=task.slot.name,
            alone=alone,
            n_bytes=(video.folder / VIDEO_NAME).stat().st_size if failure is None else None,
            files=planned.parameter_files,
            load_s=made.load_s if made is not None else None,
        )
        self._writer.put_video(
            record,
            video.folder,
            profile=costs.profile,
            samples=costs.samples,
            spill=costs.spill,
            timeline=result.profile,
            log="\n".join([*video.log, ""]),
        )
        return record

    def _finish_measuring(self, under_way: _UnderWay, message: Finished) -> None:
        task, job, result = under_way.task, under_way.job, message.result
        assert isinstance(job, MeasureJob)  # noqa: S101 - for the type checker
        assert not isinstance(result, GenerateResult)  # noqa: S101 - as above
        self._measuring_tries[task.video_id] += 1
        n_tries = self._measuring_tries[task.video_id]
        is_last_try = not isinstance(result, JobFailure) or n_tries > self._execution.retries
        if is_last_try:
            self._put_measurements(job, self._videos[task.video_id], result)
        remove(Path(job.folder))
        self._write_to_log(task.video_id, _log_lines(result, [], message.log))
        if is_last_try:
            for of_video in (self._videos, self._to_measure, self._measuring_tries):
                del of_video[task.video_id]
            self._scheduler.finish(task)
            self._report(task.video_id)
        else:
            self._scheduler.repeat(task)

    def _write_to_log(self, video_id: str, lines: Iterable[str]) -> None:
        with (self._folder / VIDEOS_FOLDER / video_id / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write("\n".join([*lines, ""]))

    def _put_measurements(
        self, job: MeasureJob, video: VideoRecord, result: MeasureResult | JobFailure
    ) -> None:
        """Store what each evaluator measured, or why it could not."""
        measured = to_measured(result)
        if measured.error is not None and not measured.is_of_video:
            self._manifest = replace(self._manifest, notes=[*self._manifest.notes, measured.error.text])
        put_measurements(
            self._writer,
            video,
            job.evaluators,
            measured,
            machine=self._note_machine(result.machine),
            evidence=Path(job.folder) / EVIDENCE_NAME,
        )
        for results, _ in measured.measured.values():
            self._note_versions(results.to_dict())

    def _note_machine(self, machine: dict[str, Any]) -> str:
        """Return the key of a machine; the manifest names it before anything refers to it.

        Empty where no machine took the job.
        """
        if not machine:
            return ""
        key = machine_key(machine)
        if key not in self._manifest.machines:
            self._manifest = replace(self._manifest, machines={**self._manifest.machines, key: machine})
            self._writer.write_manifest(self._manifest)
        return key

    def _note_failures(self, video: VideoRecord) -> None:
        """Count the failed attempts of a video once more, in the manifest; on disk when the sweep ends."""
        if n_failed := len(list_failures(video)):
            self._manifest.failures[video.id] = n_failed

    def _note_versions(self, source: dict[str, Any]) -> None:
        """Add versions and weights of what took part; the manifest has them when the sweep ends."""
        self._manifest = replace(
            self._manifest,
            versions={**self._manifest.versions, **source.get("versions", {})},
            weights={**self._manifest.weights, **source.get("weights", {})},
        )

    def _report(self, over: str | None) -> None:
        """Tell whoever watches that something begins, or that a trial is over."""
        self._n_over += over is not None
        listens = self._feed is not None or self._on_progress is not None
        trial = read_trial(self._plan, self._folder, over) if over is not None and listens else None
        if self._feed is not None and trial is not None:
            self._scheduler.add(self._ask_for(self._feed.hear(trial)))
        if self._on_progress is not None:
            labels = tuple(_label(task, self._planned[task.video_id]) for task in self._scheduler.at_work)
            self._on_progress(Progress(self._n_trials, self._n_over, trial, labels))

    def _ask_for(self, video_ids: Iterable[str]) -> list[str]:
        """Return those of the videos that are still to be made, once each; from here on they count.

        Raises
        ------
        ValueError
            If one is not planned.
        """
        wanted = list(dict.fromkeys(video_ids))
        unknown = [name for name in wanted if name not in self._planned]
        if unknown:
            raise ValueError(f"the feed asks for {unknown[0]!r}, which is no trial of the plan")
        wanted = [name for name in wanted if name in self._missing]
        self._missing.difference_update(wanted)
        self._n_trials += len(wanted)
        return wanted

    def _note_left_out(self, left_out: Mapping[str, str]) -> None:
        """Put on record why planned trials were not made."""
        reasons = {
            name: SkippedTrial(dict(self._planned[name].params), reason)
            for name, reason in left_out.items()
            if name in self._missing
        }
        self._manifest = replace(self._manifest, skipped={**reasons, **self._manifest.skipped})


def _describe(plan: SweepPlan, earlier: RunManifest | None, skipped: dict[str, SkippedTrial]) -> RunManifest:
    """Describe the run; what measured it before goes on being shown."""
    plain = plan.config.to_dict()
    here = describe_machine()
    manifest = RunManifest(
        created_at=_now(),
        config=plain,
        config_hash=hash_of(plain),
        generator=plan.generator,
        evaluators=plan.evaluators,
        measuring=plan.config.measuring,
        metrics=plan.metrics,
        swept=plan.swept,
        policy=plan.config.policy,
        planned=[trial.id for trial in plan.trials],
        machines={machine_key(here): here},
        code=read_code_version(Path.cwd()),
        versions={},
        weights={},
        notes=plan.notes,
        skipped=skipped,
    )
    if earlier is None or not earlier.plans or earlier.plans[-1].hash != plan.hash:
        made = PlanRecord(plan.hash, _now(), len(plan.trials), seed_of_order(plan.ids), plan.policy_hash)
        plans = [*(earlier.plans if earlier is not None else ()), made]
    else:
        plans = earlier.plans
    manifest = replace(manifest, plans=plans)
    if earlier is None:
        return manifest
    return replace(
        manifest,
        created_at=earlier.created_at,
        evaluators={**earlier.evaluators, **manifest.evaluators},
        measuring={**earlier.measuring, **manifest.measuring},
        metrics={**earlier.metrics, **manifest.metrics},
        machines={**earlier.machines, **manifest.machines},
        versions=earlier.versions,
        weights=earlier.weights,
        failures=dict(earlier.failures),
    )


def _known_failures(
    tried: Mapping[str, list[TrialFailure]], counted: Mapping[str, int]
) -> dict[str, list[TrialFailure]]:
    """Return the failed attempts by video; one that the manifest counts and no record has is one of unknown cause."""
    lost = TrialFailure("generate", RECORD_LOST, "a failed attempt whose record was taken out of the folder")
    ids = {**tried, **counted}
    known = {video_id: list(tried.get(video_id, ())) for video_id in ids}
    return {
        video_id: [*[lost] * (counted.get(video_id, 0) - len(failures)), *failures]
        for video_id, failures in known.items()
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _label(task: Task, planned: PlannedTrial) -> str:
    """Say what goes on, for people."""
    words = [f"{name}={value}" for name, value in planned.params.items()]
    inputs = [given.name for given in (planned.portrait, planned.speech) if given is not None]
    return " ".join([task.stage, *words, *inputs])


def _to_record(failure: JobFailure) -> TrialFailure:
    machine = machine_key(failure.machine) if failure.machine else ""
    return TrialFailure(failure.stage.value, failure.code, failure.text, failure.spent_s, machine)


def _log_lines(
    result: GenerateResult | MeasureResult | JobFailure, events: list[dict[str, Any]], log: str
) -> list[str]:
    """Say what happened in a stage."""
    match result:
        case GenerateResult():
            lines = [f"{Stage.GENERATE}: {result.generate_s:.3f} s{_on(result.machine)}"]
        case MeasureResult():
            lines = [f"{Stage.MEASURE}: {result.measure_s:.3f} s{_on(result.machine)}"]
        case JobFailure():
            lines = [
                f"{result.stage}: failed after {result.spent_s:.3f} s{_on(result.machine)}: {result.code}: {result.text}",
            ]
    lines += [f"  {event['time_s']:9.3f} s  {event['name']} {event['detail'] or ''}" for event in events]
    return lines + [f"  | {line}" for line in log.splitlines()]


def _on(machine: dict[str, Any]) -> str:
    return f" on {machine['host']}" if "host" in machine else ""


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        remove(path)
