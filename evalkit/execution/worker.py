"""What is done with a job: a video is made, watched and timed, or measured. Runs wherever an executor puts it.

Videos are made and measured by different processes, so that the memory that a video cost is not that of the
evaluators.
"""

from __future__ import annotations

import errno
import time
import traceback
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import EvalkitError
from evalkit.execution.jobs import (
    EVIDENCE_NAME,
    VIDEO_NAME,
    EvaluatorResult,
    EventReported,
    GenerateJob,
    GenerateResult,
    GeneratorSpec,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Progressed,
    Stage,
    WorkBegun,
)
from evalkit.execution.slots import find_device, find_gpu
from evalkit.execution.watch import Watch
from evalkit.profiling.machine import describe_machine
from evalkit.profiling.out_of_memory import is_out_of_memory
from evalkit.profiling.torch_watch import TorchWatch
from evalkit.runs.schema import REFUSED
from pipeline.errors import GenerationError, RequestError
from pipeline.events import BEGAN
from pipeline.generator import load_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.execution.jobs import Job, Message, Result, Slot
    from evalkit.measuring.video import MeasureVideo

    Report = Callable[[Message], None]

DISK_FULL = "disk_full"
OUT_OF_MEMORY = "out_of_memory"
RAISED = "raised"
_WARM_UP_WORTH_S = 0.05
"""A generator that loads faster has nothing that could be cold."""


class Work(ABC):
    """Does jobs one after the other in one process; what it loads stays loaded until `close`."""

    @abstractmethod
    def __call__(self, job: Job, report: Report) -> Result:
        """Do a job.

        Parameters
        ----------
        job : Job
        report : callable
            Called with each message on the way.

        Returns
        -------
        Result
            A `JobFailure` where the job was refused or failed; a fault in a program is raised.
        """

    def close(self) -> None:
        """Release what was loaded."""
        return


VIDEO_WORK = "evalkit.execution.worker:VideoWork"
"""Name of the work of a sweep, see `load_work`."""


def load_work(name: str) -> Work:
    """Make the work of a name ``module:class``: so it can be named to a process on another machine."""
    module, _, attribute = name.partition(":")
    work: Work = getattr(import_module(module), attribute)()
    return work


@dataclass
class _Pass:
    """One pass of a generator over a request, on this process's clock."""

    generation: dict[str, Any]
    events: list[dict[str, Any]]
    profile: dict[str, Any] | None


class _Refusal(Exception):  # noqa: N818 - an answer, not an error
    """The generator refused the job, or failed."""

    def __init__(self, code: str, text: str, profile: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.profile = code, text, profile


@dataclass
class VideoWork(Work):
    """Makes videos and measures them."""

    _generator: Any = field(default=None, init=False, repr=False)
    _spec: GeneratorSpec | None = field(default=None, init=False, repr=False)
    _measure_video: MeasureVideo | None = field(default=None, init=False, repr=False)
    _watch: Watch | None = field(default=None, init=False, repr=False)
    _stage: Stage = field(default=Stage.LOAD, init=False, repr=False)

    def __call__(self, job: Job, report: Report) -> Result:
        """Make a video, or measure one; whatever is raised is the failure of the job."""
        start_s = time.monotonic()
        self._stage = job.stage
        profile, trace = None, ""
        try:
            if isinstance(job, MeasureJob):
                return self._measure(job, report)
            return self._generate(job, report, start_s)
        except _Refusal as refusal:
            if refusal.code == OUT_OF_MEMORY:
                self._release()
            code, text, profile = refusal.code, refusal.text, refusal.profile
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's result
            code, text = _explain_fault(error)
            trace = traceback.format_exc()
        if isinstance(job, GenerateJob) and self._watch is not None:
            profile = profile or self._watch.slice()
        spent_s = time.monotonic() - start_s
        return JobFailure(self._stage, code, text, profile, spent_s, describe_machine(), trace)

    def close(self) -> None:
        """Release the generator, and end the watching."""
        self._release()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _release(self) -> None:
        generator, self._generator, self._spec = self._generator, None, None
        if generator is not None:
            generator.close()

    def _generate(self, job: GenerateJob, report: Report, start_s: float) -> Result:
        watch = self._watch = self._watch or _watch(job.slot)
        watch.attach()
        load_s = 0.0
        if self._spec != job.generator:
            self._stage = Stage.LOAD
            self._release()
            self._load(job)
            self._stage = Stage.GENERATE
            load_s = time.monotonic() - start_s
        request = self._announce(job)
        report(WorkBegun(job.id))
        timed = None
        if job.separate_profiling_pass:
            watch.pause()
            timed = self._make(job, request, report, None)
            (Path(job.folder) / VIDEO_NAME).unlink()
            report(WorkBegun(job.id))
            watch.attach()
        watched = self._make(job, request, report, watch)
        return GenerateResult(
            watched.generation,
            (timed or watched).events,
            watched.profile,
            time.monotonic() - start_s,
            describe_machine(),
            _list_files(Path(job.folder)),
            load_s=load_s,
        )

    def _make(self, job: GenerateJob, request: Any, report: Report, watch: Watch | None) -> _Pass:
        """Make the video once, watched or not."""
        clock = _RequestClock(lambda event: report(EventReported(job.id, event)))
        torch = TorchWatch()
        if watch is not None:
            watch.begin()
        try:
            with _translating(self._generator), torch:
                result = self._generator.generate(
                    request, Path(job.folder) / VIDEO_NAME, clock.hear
                ).to_dict()
        except _Refusal as refusal:
            if watch is not None:
                refusal.profile = watch.slice(clock.began_s, torch=torch.use)
            raise
        events = [clock.convert(event) for event in result.get("events", ())]
        end_s = clock.began_s + events[-1]["time_s"] if clock.began_s is not None and events else None
        profile = watch.slice(clock.began_s, end_s, torch=torch.use) if watch is not None else None
        return _Pass({**result, "events": events, "video": VIDEO_NAME}, clock.events, profile)

    def _announce(self, job: GenerateJob) -> Any:
        """Read the request; announce what comes after it."""
        with _translating(self._generator):
            request = self._generator.request(**job.request)
            if job.upcoming:
                coming = [self._generator.request(**other) for other in job.upcoming]
                self._generator.announce_upcoming([request, *coming], Path(job.folder).parent)
        return request

    def _load(self, job: GenerateJob) -> None:
        settings = dict(job.generator.settings)
        if job.generator.takes_device:
            settings["device"] = find_device(job.slot)
        with _translating(None):
            generator = load_generator(job.generator.name, settings)
            _check_version(generator, job.generator)
            if (gpu := find_gpu(job.slot)) is not None:
                generator.take_gpu(gpu)
            start_s = time.monotonic()
            generator.load()
            loading_s = time.monotonic() - start_s
        self._generator, self._spec = generator, job.generator
        if job.warm_up and loading_s > _WARM_UP_WORTH_S:
            video = Path(job.folder) / f"warm_up-{VIDEO_NAME}"
            short = {"num_clip": 1} if "num_clip" in generator.describe().parameters else {}
            with _translating(generator):
                generator.generate(generator.request(**{**job.request, **short}), video, None)
            video.unlink()

    def _measure(self, job: MeasureJob, report: Report) -> MeasureResult:
        from evalkit.measuring.video import MeasureVideo, VideoTask

        (video,) = (file for file in job.files if file.path == job.video)
        folder = Path(job.folder)
        task = VideoTask(
            job.video,
            video.content,
            job.evaluators,
            job.settings,
            job.intent,
            str(folder / EVIDENCE_NAME) if job.evidence else None,
            job.audio,
        )
        self._measure_video = self._measure_video or MeasureVideo()
        found = self._measure_video(task, lambda position: report(Progressed(job.id, *position)))
        return MeasureResult(
            tuple(
                EvaluatorResult(name, results.to_dict(), samples)
                for name, (results, samples) in found.measured.items()
            ),
            None if found.error is None else asdict(found.error),
            found.measure_s,
            describe_machine(),
            _list_files(folder),
        )


class _RequestClock:
    """Notes the events of a request. Where the work had begun before, its times count from then.

    Attributes
    ----------
    events : list of dict
    began_s : float or None
        When the work began, on this process's clock, where the generator says that; None where it was at the request.
    """

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self.events: list[dict[str, Any]] = []
        self.began_s: float | None = None
        self._asked_s = time.monotonic()
        self._report = report

    def hear(self, event: Any) -> None:
        """Note an event of the generator."""
        plain = event.to_dict()
        if not self.events and plain["name"] == BEGAN:
            self.began_s = plain["detail"]["monotonic_s"]
        plain = self.convert(plain)
        self.events.append(plain)
        self._report(plain)

    def convert(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event without a reading of this process's clock: seconds since the request instead."""
        detail = dict(event["detail"])
        if event["name"] != BEGAN or "monotonic_s" not in detail:
            return event
        detail["since_request_s"] = detail.pop("monotonic_s") - self._asked_s
        return {**event, "detail": detail}


def _check_version(generator: Any, spec: GeneratorSpec) -> None:
    if spec.version is not None and str(generator.version) != spec.version:
        raise _Refusal(
            REFUSED,
            f"the generator {spec.name!r} has version {generator.version} where it was to work, and {spec.version} was "
            f"planned: install the same on both, then give --retry-failed",
        )


class _translating:  # noqa: N801 - reads as what it does
    """Turns a generator's refusal or failure into a `_Refusal`; faults in a program stay what they are."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, EvalkitError):
            raise _Refusal(REFUSED, str(error)) from error
        if isinstance(error, (ValueError, RuntimeError, MemoryError)):
            code = _code_of(error)
            if code is not None:
                raise _Refusal(code, str(error) or type(error).__name__) from error


def _code_of(error: Exception) -> str | None:
    """Return the code of a refusal or a failure of the generator; None for a fault in a program."""
    if isinstance(error, (RequestError, GenerationError)):
        return error.kind
    return OUT_OF_MEMORY if is_out_of_memory(f"{type(error).__name__}: {error}") else None


def _explain_fault(error: Exception) -> tuple[str, str]:
    """Return code and text of an exception that is a fault in a program."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DISK_FULL, str(error)
    text = f"{type(error).__name__}: {error}"
    return OUT_OF_MEMORY if is_out_of_memory(text) else RAISED, text


def _watch(slot: Slot) -> Watch:
    gpu = find_gpu(slot)
    return Watch(None if gpu is None else [gpu])


def _list_files(folder: Path) -> tuple[str, ...]:
    return tuple(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())
