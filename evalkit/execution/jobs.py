"""Jobs, messages and results: frozen plain data that survives JSON, so that work can be carried to another machine.

A job is complete: whoever gets it needs nothing else but the files that it names. No process id and no clock reading
is in any of it; times are durations, or count from the moment that their description says.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from evalkit.types import ClipIntent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

Json = Any
"""A plain value as JSON knows it."""

VIDEO_NAME = "video.mp4"
"""Name of the video in the folder of its job."""
EVIDENCE_NAME = "evidence"
"""Folder of pictures in the folder of a `MeasureJob`; one folder an evaluator in it."""


class Stage(StrEnum):
    """What a job was doing when it failed."""

    LOAD = "load"
    GENERATE = "generate"
    MEASURE = "measure"


class _Plain:
    __slots__ = ()
    __pydantic_config__: ClassVar[Json] = {"extra": "forbid", "allow_inf_nan": False}

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON-able data."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Self:
        """Read what `to_dict` gave, through JSON or not.

        Raises
        ------
        pydantic.ValidationError
            If it is something else.
        """
        read: Self = _adapter(cls).validate_json(json.dumps(data), strict=True)  # type: ignore[arg-type]
        return read


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@dataclass(frozen=True, slots=True)
class Slot(_Plain):
    """A place where one video at a time is made.

    Parameters
    ----------
    name : str
        Unique in a sweep.
    device : str
        ``cpu``, ``cuda`` for whichever GPU the program takes, or ``cuda:N`` for one GPU.
    cores : int or None
        Processor cores that its processes are bound to; None for all.
    first_core : int
        Place of the first of them among the cores of the machine.
    own_device : bool
        Whether the executor finds it a device that no other slot has, on whatever machine: see
        `evalkit.execution.executors.Executor.places_slots`.
    """

    name: str
    device: str = "cpu"
    cores: int | None = None
    first_core: int = 0
    own_device: bool = False

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``."""
        return self.device.partition(":")[0]

    @property
    def gpu(self) -> int | None:
        """Index of its GPU; None where it has none of its own."""
        index = self.device.partition(":")[2]
        return int(index) if index else None


@dataclass(frozen=True, slots=True)
class InputFile(_Plain):
    """A file that a job reads.

    Parameters
    ----------
    path : str
        As it stands in the job.
    content : str
        Its SHA-256 in hexadecimal.
    place : str
        Where it goes among the files of another machine, relative and with forward slashes, so that files that name each
        other keep their places; a folder named by its content unless given.
    """

    path: str
    content: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class GeneratorSpec(_Plain):
    """Which generator to load.

    Parameters
    ----------
    name : str
    settings : dict
    takes_device : bool
        Whether it has a setting ``device``, which then is the slot's.
    version : str or None
        What it must have where it works; None for any.
    """

    name: str
    settings: dict[str, Json]
    takes_device: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class GenerateJob(_Plain):
    """Make one video.

    Parameters
    ----------
    id : str
        Unique in a sweep.
    slot : Slot
    generator : GeneratorSpec
    request : dict
        Parameters of the request.
    folder : str
        Where `VIDEO_NAME` goes; it exists and is empty.
    files : tuple of InputFile
        Files that `request` and `upcoming` name.
    upcoming : tuple of dict
        Requests that come next in this slot and differ in the inputs alone: a generator may make them together.
    warm_up : bool
        Make a clip for nothing after loading.
    separate_profiling_pass : bool
        Make the video twice: first undisturbed, for its times; then watched, for its memory.
    """

    id: str
    slot: Slot
    generator: GeneratorSpec
    request: dict[str, Json]
    folder: str
    files: tuple[InputFile, ...] = ()
    upcoming: tuple[dict[str, Json], ...] = ()
    warm_up: bool = True
    separate_profiling_pass: bool = False
    kind: Literal["generate_job"] = "generate_job"

    @property
    def stage(self) -> Stage:
        """What it does."""
        return Stage.GENERATE


@dataclass(frozen=True, slots=True)
class MeasureJob(_Plain):
    """Measure one video.

    Parameters
    ----------
    id : str
        Unique in a sweep.
    slot : Slot
    video : str
        Path of the video.
    evaluators : dict of str to str
        Name to the version that is to measure, see `evalkit.evaluators.load.version_of`.
    settings : dict of str to dict
        Settings of evaluators, by name.
    intent : ClipIntent
    folder : str
        An existing folder, for `EVIDENCE_NAME`.
    files : tuple of InputFile
        The video, and the files that `settings` name.
    evidence : bool
        Draw what was measured.
    audio : str or None
        Path of a separate sound file that replaces the video's own; among `files` too.
    """

    id: str
    slot: Slot
    video: str
    evaluators: dict[str, str]
    settings: dict[str, dict[str, Json]]
    intent: ClipIntent
    folder: str
    files: tuple[InputFile, ...] = ()
    evidence: bool = True
    audio: str | None = None
    kind: Literal["measure_job"] = "measure_job"

    @property
    def stage(self) -> Stage:
        """What it does."""
        return Stage.MEASURE


Job = GenerateJob | MeasureJob


@dataclass(frozen=True, slots=True)
class GenerateResult(_Plain):
    """A video was made.

    Parameters
    ----------
    generation : dict
        The generator's result: request, what came out, events, versions, weights. ``video`` is `VIDEO_NAME`.
    events : list of dict
        ``name``, ``time_s`` since the request, ``detail``; of the pass that was timed.
    profile : dict or None
        Plain data of an `evalkit.profiling.profile.Profile` of the work, loading apart; None where nothing was sampled.
    generate_s : float
        From taking the job to the end, loading included, on the worker's clock.
    machine : dict
        Facts of the machine that did it, see `evalkit.profiling.machine.describe_machine`.
    files : tuple of str
        Files in the job's folder, relative to it.
    alone : bool
        False where the place turned out to share its device with something else: its times are then told by nobody.
    load_s : float
        Part of `generate_s` that loading and warming up took; 0 where the generator was loaded already.
    """

    generation: dict[str, Json]
    events: list[dict[str, Json]]
    profile: dict[str, Json] | None
    generate_s: float
    machine: dict[str, Json]
    files: tuple[str, ...] = (VIDEO_NAME,)
    alone: bool = True
    load_s: float = 0.0
    kind: Literal["generate_result"] = "generate_result"


@dataclass(frozen=True, slots=True)
class EvaluatorResult(_Plain):
    """What one evaluator measured on a video.

    Parameters
    ----------
    evaluator : str
    results : dict
        Plain data of an `evalkit.runs.MetricResults`.
    samples : dict of str to dict
        Raw samples by metric.
    """

    evaluator: str
    results: dict[str, Json]
    samples: dict[str, dict[str, Json]]


@dataclass(frozen=True, slots=True)
class MeasureResult(_Plain):
    """A video was measured, or could not be opened.

    Parameters
    ----------
    measured : tuple of EvaluatorResult
    error : dict or None
        ``code`` and ``text`` where the video could not be measured at all; `measured` is then empty.
    measure_s : float
        On the worker's clock.
    machine : dict
        As of `GenerateResult`.
    files : tuple of str
        Files in the job's folder, relative to it.
    """

    measured: tuple[EvaluatorResult, ...]
    error: dict[str, str] | None
    measure_s: float
    machine: dict[str, Json]
    files: tuple[str, ...] = ()
    kind: Literal["measure_result"] = "measure_result"


@dataclass(frozen=True, slots=True)
class JobFailure(_Plain):
    """A job gave no result.

    Parameters
    ----------
    stage : Stage
    code : str
        Stable: ``refused``, ``crashed``, ``raised``, ``stalled``, ``timed_out``, ``out_of_memory``, ``disk_full``,
        ``cancelled``, ``lost`` (its place went away, through no fault of the job), or a generator's own.
    text : str
        For people.
    profile : dict or None
        As of `GenerateResult`, up to the failure.
    spent_s : float
        From taking the job to the failure.
    machine : dict
        As of `GenerateResult`; empty where no machine took the job.
    trace : str
        Traceback of a fault in a program.
    """

    stage: Stage
    code: str
    text: str
    profile: dict[str, Json] | None = None
    spent_s: float = 0.0
    machine: dict[str, Json] = field(default_factory=dict)
    trace: str = ""
    kind: Literal["failure"] = "failure"


Result = GenerateResult | MeasureResult | JobFailure


@dataclass(frozen=True, slots=True)
class Started(_Plain):
    """A worker has taken the job."""

    job_id: str
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class WorkBegun(_Plain):
    """Loading and warming up are over: from here on the time limit counts anew."""

    job_id: str
    kind: Literal["work_begun"] = "work_begun"


@dataclass(frozen=True, slots=True)
class EventReported(_Plain):
    """A generator reported an event: ``name``, ``time_s`` since the request, ``detail``."""

    job_id: str
    event: dict[str, Json]
    kind: Literal["event"] = "event"


@dataclass(frozen=True, slots=True)
class Progressed(_Plain):
    """So many seconds of a video are measured, of so many where that is known."""

    job_id: str
    measured_s: float
    length_s: float | None = None
    kind: Literal["progressed"] = "progressed"


@dataclass(frozen=True, slots=True)
class Finished(_Plain):
    """A job is over.

    Parameters
    ----------
    job_id : str
    result : GenerateResult, MeasureResult or JobFailure
    log : str
        What was written to output and error output meanwhile.
    """

    job_id: str
    result: Result
    log: str = ""
    kind: Literal["finished"] = "finished"


Message = Started | WorkBegun | EventReported | Progressed | Finished


@dataclass(frozen=True, slots=True)
class _Envelope(_Plain):
    """Reads anything of the above by its ``kind``."""

    content: Job | Result | Message


def read_plain(data: Mapping[str, Json]) -> Job | Result | Message:
    """Read any job, result or message from what its ``to_dict`` gave.

    Raises
    ------
    pydantic.ValidationError
        If it is none.
    """
    return _Envelope.from_dict({"content": data}).content
