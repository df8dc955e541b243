"""What stands in the files of a run folder, as frozen plain data. The dataclasses *are* the format.

A field that joins has a default, so that older files stay readable; any other change is a new `SCHEMA`. Folders of every
schema ever written stay readable, see `evalkit.runs.legacy`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from evalkit.types import Better

SCHEMA = 3
"""1: at first. 2: a run may say which trials were skipped, and why. 3: videos and measurements are records of their own."""

REFUSED = "refused"
"""Code of the failure of a trial whose request the generator did not take: nothing was begun."""
RECORD_LOST = "record_lost"
"""Code of a failed attempt that the manifest counts and no record tells of."""

Json = Any
"""A plain value as JSON knows it."""

Samples = dict[str, dict[str, Json]]
"""Metric, then name of the sample, then (nested) lists of numbers; None for what is not a number."""


class _Strict:
    """Unknown fields are errors: a misspelt one in a file edited by hand is not silently dropped."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Json] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True)
class MomentValue(_Strict):
    """A stretch in which a metric is at its worst.

    Parameters
    ----------
    start_s, end_s, value : float
        As of `evalkit.types.Moment`.
    """

    start_s: float
    end_s: float
    value: float


@dataclass(frozen=True, slots=True)
class MetricValue(_Strict):
    """One measured metric.

    Parameters
    ----------
    value : float
        In `unit`.
    unit : str
        ``"1"`` for a pure number.
    n : int
        Samples behind it.
    coverage : float or None
        Share of the clip, 0 to 1, that could be measured.
    ci95 : tuple of float or None
        95 % interval, low and high.
    moments : tuple of MomentValue
        Its worst stretches, the worst first; empty where nothing in it is bad, and in records that are older than this.
    """

    value: float
    unit: str
    n: int = 0
    coverage: float | None = None
    ci95: tuple[float, float] | None = None
    moments: tuple[MomentValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Input(_Strict):
    """A portrait or a piece of speech that was given to the generator.

    Parameters
    ----------
    name : str
        What people call it; unique among the portraits, or the speech, of a run. Any text.
    content : str
        SHA-256 of the file, or of the text and its language and voice, in hexadecimal.
    path : str or None
        The file, as it was named.
    text : str or None
        The words, where they are spoken, or answered, by the generator.
    """

    name: str
    content: str
    path: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class TrialFailure(_Strict):
    """Why a trial gave no result. Two are equal that differ in how long they took, or where, alone.

    Parameters
    ----------
    stage : {"load", "generate", "measure"}
    code : str
        Stable: ``refused``, ``crashed``, ``raised``, ``stalled``, ``timed_out``, ``out_of_memory``, ``no_output``,
        ``bad_output``, ``record_lost`` (it failed, and its record was taken away) or a generator's own.
    text : str
        For people.
    spent_s : float or None
        How long the attempt took, loading included; None where that was not recorded.
    machine : str
        Key into `RunManifest.machines`; empty where no machine took the job, or it was not recorded.
    """

    stage: Literal["load", "generate", "measure"]
    code: str
    text: str
    spent_s: float | None = field(default=None, compare=False)
    machine: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class MetricResults(_Strict):
    """Numbers of one source, and why others are missing: the same shape for quality and for cost.

    Parameters
    ----------
    metrics : dict of str to MetricValue
        By full name, ``family.quantity``.
    absent : dict of str to str
        Full name to reason code (`evalkit.types.Reason`).
    notes : list of str
        What a person should know: a cut-off file, a GPU almost full.
    versions, weights : dict of str to str
        Versions of what took part, and SHA-256 of the weights.
    """

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Json]:
        """Return it as plain data, as it comes back from JSON."""
        plain = asdict(self)
        for value in plain["metrics"].values():
            value["ci95"] = None if value["ci95"] is None else list(value["ci95"])
            value["moments"] = list(value["moments"])
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Json]) -> MetricResults:
        """Read what `to_dict` gave."""
        metrics = {
            name: MetricValue(
                **{
                    **value,
                    "ci95": None if value["ci95"] is None else tuple(value["ci95"]),
                    "moments": tuple(MomentValue(**moment) for moment in value.get("moments", ())),
                }
            )
            for name, value in data["metrics"].items()
        }
        return cls(**{**data, "metrics": metrics})


@dataclass(frozen=True, slots=True)
class VideoRecord(_Strict):
    """A video that was made, or could not be made: ``videos/ID/generation.json``.

    Parameters
    ----------
    id : str
        See `evalkit.runs.identity.video_id`.
    params : dict
        Parameters of the request, less inputs and seed; ``options.NAME`` for a generator's own.
    portrait, speech : Input or None
        None where the generator was given none.
    seed : int or None
        None where none was given.
    status : {"ok", "failed"}
        ``ok`` when there is a video file.
    failure : TrialFailure or None
        The last failed attempt, exactly where `status` is ``failed``.
    attempts : list of TrialFailure
        Every other attempt that failed, those of earlier calls included, in order.
    generation : dict or None
        The generator's result: request, what came out, events, versions, weights.
    events : list of dict
        ``name``, ``time_s``, ``detail`` of everything the generator reported, also when it failed later; with a
        separate profiling pass, of the pass that was timed.
    started_at : str
        ISO 8601, UTC.
    generate_s : float or None
        How long it took, for people who plan; not a measurement.
    content : str or None
        SHA-256 of the video file; None where it failed.
    machine : str
        Key into `RunManifest.machines`; empty where no machine took the job.
    slot : str
        Name of the slot it was made in.
    alone : bool
        Whether nothing else was at work in that slot, so that times are those of this video.
    n_bytes : int or None
        Size of the video file: one that is gone or of another size is damage. None where it failed, or is not known.
    files : dict of str to str or None
        SHA-256 of each file that `params` name, by its path: they count for the id. None where that was not recorded.
    load_s : float or None
        Part of `generate_s` that loading and warming up took, for this video and those after it in the same process.
        None where it failed, or that was not recorded.
    """

    id: str
    params: dict[str, Json]
    portrait: Input | None
    speech: Input | None
    seed: int | None
    status: Literal["ok", "failed"]
    failure: TrialFailure | None
    attempts: list[TrialFailure]
    generation: dict[str, Json] | None
    events: list[dict[str, Json]]
    started_at: str
    generate_s: float | None
    content: str | None
    machine: str
    slot: str
    alone: bool
    n_bytes: int | None = None
    files: dict[str, str] | None = None
    load_s: float | None = None

    def __post_init__(self) -> None:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError(f"status is {self.status!r} and failure is {self.failure!r}")
        if (self.status == "failed") != (self.content is None):
            raise ValueError(f"status is {self.status!r} and content is {self.content!r}")


@dataclass(frozen=True, slots=True)
class SpillAlarm(_Strict):
    """A jump of the time per step while a GPU was full, as `evalkit.profiling.spill.Spill`.

    Parameters
    ----------
    step : int
        The first slow one, from 0.
    at_s : float
        When it began, seconds since the request.
    factor : float
        How many times as long as before.
    gpu : int
    fullness : float
        Share of its memory in use, 0 to 1.
    """

    step: int
    at_s: float
    factor: float
    gpu: int
    fullness: float


@dataclass(frozen=True, slots=True)
class VideoProfile(_Strict):
    """What making a video cost: ``videos/ID/profile.json``. A failed attempt has costs too.

    Parameters
    ----------
    results : MetricResults
    samples : dict of str to dict
        Raw samples by metric.
    spill : SpillAlarm or None
        Where the driver seems to have moved GPU memory to the host; a note of `results` says it in words.
    """

    results: MetricResults
    samples: Samples = field(default_factory=dict)
    spill: SpillAlarm | None = None


@dataclass(frozen=True, slots=True)
class MeasurementError(_Strict):
    """Why an evaluator could not measure a video at all: it cannot be opened, or the process at work on it crashed."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class MeasurementRecord(_Strict):
    """What one evaluator measured on one video: ``measurements/VIDEO_ID/EVALUATOR@IDENTITY.json``.

    Parameters
    ----------
    video_id : str
    content : str
        SHA-256 of the video file that was measured.
    evaluator : str
    version : str
        Its version, and after a space the identity of the settings that decide its values, where any do.
    identity : str
        See `evalkit.runs.identity.measurement_identity`.
    results : MetricResults or None
        Exactly where `error` is None.
    error : MeasurementError or None
    measured_at : str
        ISO 8601, UTC.
    measure_s : float or None
        Its share of the time the pass over the video took.
    machine : str
        Key into `RunManifest.machines`.
    """

    video_id: str
    content: str
    evaluator: str
    version: str
    identity: str
    results: MetricResults | None
    error: MeasurementError | None
    measured_at: str
    measure_s: float | None
    machine: str

    def __post_init__(self) -> None:
        if (self.results is None) != (self.error is not None):
            raise ValueError("a measurement has either results or an error")


@dataclass(frozen=True, slots=True)
class OutcomeSession(_Strict):
    """What came of one session of a live trial.

    Parameters
    ----------
    session : str
        What it is called; unique within its configuration.
    params : dict
        Those of the configuration that was shown.
    values : dict of str to float
        By full name of the metric.
    """

    session: str
    params: dict[str, Json]
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class OutcomeRecord(_Strict):
    """The outcomes of live trials that one source counted: ``outcomes/SOURCE.json``.

    Parameters
    ----------
    source : str
        Family of its metrics.
    version : str
    metrics : dict of str to MetricInfo
    sessions : list of OutcomeSession
    imported_at : str
        ISO 8601, UTC.
    file, sha256 : str
        Name and content of the file that they were imported from.
    """

    source: str
    version: str
    metrics: dict[str, MetricInfo]
    sessions: list[OutcomeSession]
    imported_at: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Trial(_Strict):
    """One configuration on one pair of inputs with one seed, and what came of it: a video and its measurements.

    This is how a run is read; see `VideoRecord` and `MeasurementRecord` for how it is stored.

    Parameters
    ----------
    id : str
        That of its video.
    params, portrait, speech, seed, generation, events, attempts, started_at, generate_s, load_s
        As of `VideoRecord`.
    status : {"ok", "failed"}
        ``ok`` when there is a video and it could be opened as media. Single metrics may still be absent.
    failure : TrialFailure or None
        Exactly where `status` is ``failed``.
    quality : MetricResults or None
        Of the video, by the evaluators that the manifest names; a metric without a measurement is absent as
        ``not_measured``. None where there is no video, or no evaluator.
    profile : MetricResults
        What it cost. A failed trial has a profile too.
    measure_s : float or None
        How long measuring took.
    content : str or None
        SHA-256 of the video file; None where there is none, or it was not recorded.
    machine : str
        Key into `RunManifest.machines`; empty where no machine took the job, or it was not recorded.
    alone : bool or None
        Whether nothing else was at work in its slot; None where that was not recorded.
    spill : SpillAlarm or None
        As of `VideoProfile`.
    """

    id: str
    params: dict[str, Json]
    portrait: Input | None
    speech: Input | None
    seed: int | None
    status: Literal["ok", "failed"]
    failure: TrialFailure | None
    quality: MetricResults | None
    profile: MetricResults
    generation: dict[str, Json] | None
    events: list[dict[str, Json]]
    attempts: list[TrialFailure]
    started_at: str
    generate_s: float | None
    measure_s: float | None
    content: str | None = None
    machine: str = ""
    alone: bool | None = None
    spill: SpillAlarm | None = None
    load_s: float | None = None

    @property
    def n_failures(self) -> int:
        """Attempts that failed, those of earlier calls included."""
        return len(self.attempts) + (self.failure is not None)

    @property
    def n_attempts(self) -> int:
        """All attempts: those that failed, and the one that did not."""
        return self.n_failures + (self.failure is None)

    @property
    def metrics(self) -> dict[str, MetricValue]:
        """Everything measured, quality and cost, by full name."""
        return {**(self.quality.metrics if self.quality else {}), **self.profile.metrics}

    @property
    def absent(self) -> dict[str, str]:
        """Everything that could not be measured, by full name, with its reason code."""
        return {**(self.quality.absent if self.quality else {}), **self.profile.absent}

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        return [*(self.quality.notes if self.quality else []), *self.profile.notes]


@dataclass(frozen=True, slots=True)
class SkippedTrial(_Strict):
    """A planned trial that was never attempted.

    Parameters
    ----------
    params : dict
        As of a trial.
    reason : str
        Why: it cannot fit, or the search found no use in it.
    """

    params: dict[str, Json]
    reason: str


@dataclass(frozen=True, slots=True)
class MetricInfo(_Strict):
    """What a metric means, so that a run can be read where its evaluators are not installed.

    Parameters
    ----------
    unit, better, meaning
        As of `evalkit.types.Metric`.
    evaluator : str or None
        Name of the evaluator that gives it, or of the tool it was imported from; None for a cost, and where it was not
        recorded.
    bounds : tuple of float or None
        Lowest and highest possible value, None where open; those of what is installed count where it knows the metric.
    """

    unit: str
    better: Better
    meaning: str
    evaluator: str | None = None
    bounds: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class CodeVersion(_Strict):
    """State of the user's own git repository, in which a run was made.

    Parameters
    ----------
    commit : str
    dirty : bool
        Whether files differed from that commit.
    """

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class PlanRecord(_Strict):
    """A plan of a run, as it was fixed before the first of its videos was begun.

    Parameters
    ----------
    hash : str
        See `evalkit.runs.identity.plan_hash`.
    at : str
        ISO 8601, UTC.
    n_trials : int
    seed : int
        Of the order in which the trials are done, see `evalkit.sweeps.order.order_trials`.
    policy : str or None
        SHA-256 of what the policy said then; None where none is named.
    """

    hash: str
    at: str
    n_trials: int
    seed: int
    policy: str | None


@dataclass(frozen=True, slots=True)
class RunManifest(_Strict):
    """What a run is, beside its videos and measurements: ``run.json``.

    Parameters
    ----------
    created_at : str
        ISO 8601, UTC.
    config : dict
        Resolved configuration: nothing left to defaults.
    config_hash : str
        SHA-256 of its canonical JSON.
    generator : dict
        ``name``, ``version``, ``settings``.
    evaluators : dict of str to str
        Name to version, with the identity of settings: the measurements that the tables show.
    measuring : dict of str to dict
        Settings of these evaluators, by name.
    metrics : dict of str to MetricInfo
        Every metric that the trials may carry, by full name, in order.
    swept : list of str
        Parameters with more than one value in the grid.
    policy : str or None
        Name or path of the policy to judge by.
    planned : list of str
        Ids of the videos of the present grid, in order.
    machines : dict of str to dict
        What is known of each machine that took part, by `evalkit.runs.identity.machine_key`.
    code : CodeVersion or None
        The user's own git repository, where there is one.
    versions, weights : dict of str to str
        Of everything that took part in any trial so far.
    notes : list of str
        What a person should know of the run as a whole.
    skipped : dict of str to SkippedTrial
        Planned trials that were never attempted, by id.
    plans : list of PlanRecord
        Every plan that was worked on, the present one last. Empty in a run that is older than this record.
    failures : dict of str to int
        Failed attempts of each video so far, by its id, those of earlier grids included: a second count, so that one
        that is taken out of the folder is not forgotten. One that is not named never failed.
    """

    created_at: str
    config: dict[str, Json]
    config_hash: str
    generator: dict[str, Json]
    evaluators: dict[str, str]
    measuring: dict[str, dict[str, Json]]
    metrics: dict[str, MetricInfo]
    swept: list[str]
    policy: str | None
    planned: list[str]
    machines: dict[str, dict[str, Json]]
    code: CodeVersion | None
    versions: dict[str, str]
    weights: dict[str, str]
    notes: list[str]
    skipped: dict[str, SkippedTrial] = field(default_factory=dict)
    plans: list[PlanRecord] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Defeat(_Strict):
    """What showed a configuration to be worse than another.

    Parameters
    ----------
    by : dict
        Parameters of the better one.
    n_blocks : int
        Compared over the first so many.
    value, value_by : float
        Means of the quality over them.
    at_least : float
        By so much it is worse at least.
    """

    by: dict[str, Json]
    n_blocks: int
    value: float
    value_by: float
    at_least: float


@dataclass(frozen=True, slots=True)
class Searched(_Strict):
    """How a configuration fared.

    Parameters
    ----------
    params : dict
        As of its trials.
    fate : {"racing", "beaten", "without values", "set aside", "not proposed"}
        What became of it when the search ended; *racing* is in the race still.
    n_blocks : int
        Over so many blocks it was looked at.
    value : float or None
        Mean of the quality over them, a missing value as the worst there is; None without any.
    defeat : Defeat or None
        Exactly where it is beaten.
    """

    params: dict[str, Json]
    fate: Literal["racing", "beaten", "without values", "set aside", "not proposed"]
    n_blocks: int = 0
    value: float | None = None
    defeat: Defeat | None = None


@dataclass(frozen=True, slots=True)
class SearchRecord(_Strict):
    """A search, as it was when it ended or was interrupted.

    Parameters
    ----------
    plan : str
        Hash of the plan that it searched, see `evalkit.runs.schema.PlanRecord`.
    at : str
        ISO 8601, UTC.
    quality : str
        Metric that was raced for.
    n_blocks : int
        Of the plan: portraits times speech times seeds.
    alpha : float
        Chance that the best of the grid was dropped.
    budget : dict of str to float
        ``trials``, ``hours``, ``money``, as far as they were given.
    n_affordable : int or None
        Trials that the race was planned for; None without a budget.
    at_once : int
        Configurations that were proposed at once.
    ending : str or None
        Why it is over, in words; None where it was interrupted.
    configurations : list of Searched
        Those that were proposed, in that order, then all others of the grid.
    """

    plan: str
    at: str
    quality: str
    n_blocks: int
    alpha: float
    budget: dict[str, float]
    n_affordable: int | None
    at_once: int
    ending: str | None
    configurations: list[Searched] = field(default_factory=list)
