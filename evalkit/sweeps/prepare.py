"""From a configuration to a plan: ask the generator and the evaluators, read the inputs, list trials and slots."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.evaluators.load import (
    check_setting_names,
    evaluator_class,
    find_incomplete,
    load_evaluators,
    version_of,
)
from evalkit.execution.executors import load_executor
from evalkit.execution.inputs import list_settings_files
from evalkit.execution.jobs import GeneratorSpec, InputFile, Slot
from evalkit.execution.scheduler import disturb_each_other
from evalkit.execution.slots import count_gpus, make_slots
from evalkit.formatting import count
from evalkit.measuring.video import describe_metrics
from evalkit.options import ConfigError
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.runs import Input, MetricInfo
from evalkit.runs.identity import FILE_PARAMETERS, plan_hash
from evalkit.sweeps.config import SlotOptions, name_of
from evalkit.sweeps.plan import PlannedInput, PlannedTrial, expand_grid, make_request, plan_trials
from evalkit.tracks.cache import content_hash
from pipeline.errors import Mistake, RequestError
from pipeline.extras import find_obstacle
from pipeline.generator import Generator, build_generator
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalkit.decisions.policy import Policy
    from evalkit.evaluators.base import Evaluator
    from evalkit.execution.executors import ExecutorChoice
    from evalkit.sweeps.config import Portrait, Speech, SweepConfig
    from pipeline.generator import Description


@dataclass(frozen=True, slots=True, repr=False)
class SweepPlan:
    """Everything there is to know before the work.

    Parameters
    ----------
    config : SweepConfig
        With the evaluators and the slots named.
    trials : list of PlannedTrial
    generator : dict
        ``name``, ``version``, ``settings``: what decides, with the request, what a video shows.
    spec : GeneratorSpec
        How to load the generator.
    evaluators : dict of str to str
        Name to version, see `evalkit.evaluators.load.version_of`.
    measuring_files : tuple of InputFile
        Files that settings of evaluators name.
    slots : tuple of Slot
    metrics : dict of str to MetricInfo
        Every metric that a trial may carry.
    notes : list of str
        What a person should know.
    policy_hash : str or None
        SHA-256 of what the policy says; None where none is named.
    batches : bool
        Whether the generator makes trials together that differ in the inputs alone: where it can, nothing would disturb
        that, and none is made twice.
    """

    config: SweepConfig
    trials: list[PlannedTrial]
    generator: dict[str, Any]
    spec: GeneratorSpec
    evaluators: dict[str, str]
    measuring_files: tuple[InputFile, ...]
    slots: tuple[Slot, ...]
    metrics: dict[str, MetricInfo]
    notes: list[str]
    policy_hash: str | None
    batches: bool

    def __repr__(self) -> str:
        """Say how much is planned, not all of it."""
        n_params = len({str(trial.params) for trial in self.trials})
        return (
            f"SweepPlan({count(len(self.trials), 'trial')} of {count(n_params, 'configuration')} of "
            f"{self.generator['name']}, {count(len(self.slots), 'slot')})"
        )

    @property
    def swept(self) -> list[str]:
        """Parameters with more than one value."""
        return [name for name, values in self.config.grid.items() if len(values) > 1]

    @property
    def ids(self) -> list[str]:
        """Ids of the trials, in the order of the plan."""
        return [trial.id for trial in self.trials]

    @property
    def hash(self) -> str:
        """See `evalkit.runs.identity.plan_hash`."""
        return plan_hash(self.ids, self.generator, self.config.evaluators or (), self.policy_hash)


def plan_sweep(config: SweepConfig) -> SweepPlan:
    """Plan a sweep. Loads no model and makes no video.

    Raises
    ------
    ConfigError
        If the generator refuses its settings or a parameter.
    UsageError
        If a generator, an evaluator or an executor is unknown, or the policy cannot be used.
    """
    blaming = config.origin.blaming
    with blaming("execution", "executor"):
        executor = find_executor(config)
    with blaming("generator", "name"):
        factory = registry.load(registry.GENERATORS, config.generator.name)
    with blaming("generator", "settings", where=f"generator {config.generator.name!r}"):
        generator = build_generator(factory, config.generator.name, config.generator.settings)
    described = generator.describe()
    for name, settings in config.measuring.items():
        with blaming("measuring", name):
            check_setting_names(evaluator_class(name), settings)
    for number, name in enumerate(config.evaluators or ()):
        with blaming("evaluators", number):
            evaluator_class(name)
    evaluators = load_evaluators(config.evaluators, config.measuring)
    policy = _find_policy(config)
    settings = config.generator.settings
    slots = plan_slots(config, generator, executor)
    identity = {
        "name": generator.name,
        "version": str(generator.version),
        "settings": {**settings, "device": slots[0].kind} if described.takes_device else dict(settings),
    }
    trials = _plan_trials(config, generator, described.to_dict(), identity)
    batches = (
        generator.makes_batches
        and not disturb_each_other(slots)
        and not config.execution.separate_profiling_pass
    )
    return SweepPlan(
        config=_resolve(config, [evaluator.name for evaluator in evaluators], slots),
        trials=trials,
        generator=identity,
        spec=GeneratorSpec(generator.name, dict(settings), described.takes_device, str(generator.version)),
        evaluators={evaluator.name: version_of(evaluator) for evaluator in evaluators},
        measuring_files=list_settings_files(config.measuring),
        slots=slots,
        metrics=_describe_metrics(evaluators),
        notes=[
            *(_list_left_out() if config.evaluators is None else ()),
            *_list_without_effect(config, described.parameters),
            *(_note_unused_gpus(config) if described.takes_device and not described.default_device else ()),
            *(_note_batches(trials) if batches else ()),
        ],
        policy_hash=None if policy is None else policy.content_hash,
        batches=batches,
    )


def _find_policy(config: SweepConfig) -> Policy | None:
    """Read its policy; what is wrong in the policy's own file is told of that file."""
    if config.policy is None or Path(config.policy).is_file():
        return None if config.policy is None else load_policy(config.policy)
    with config.origin.blaming("policy"):
        return load_policy(config.policy)


def _list_left_out() -> list[str]:
    """Name the evaluators that do not measure because their libraries are not installed."""
    incomplete = find_incomplete(registry.names(registry.EVALUATORS))
    return [f"the evaluator {name!r} does not measure: {why}" for name, why in incomplete.items()]


def find_refusals(plan: SweepPlan, trials: Iterable[PlannedTrial]) -> dict[str, str]:
    """Return why the generator refuses trials that it would be given, by id. No model is loaded.

    Nothing is known of trials that another executor would do elsewhere: what is there may not be here.
    """
    if plan.config.execution.executor.name not in HERE:
        return {}
    factory = registry.load(registry.GENERATORS, plan.config.generator.name)
    generator = build_generator(factory, plan.config.generator.name, plan.config.generator.settings)
    if obstacle := find_obstacle(generator):
        return {trial.id: obstacle for trial in trials}
    refused = {}
    for trial in trials:
        try:
            generator.check(generator.request(**trial.request))
        except RequestError as error:
            refused[trial.id] = str(error)
    return refused


HERE = ("processes", "in_process")
"""Executors whose work is done on this machine, with what is installed here."""


def find_executor(config: SweepConfig) -> ExecutorChoice:
    """Return what makes the executor of slots and limits; raise as `load_executor`."""
    executor = config.execution.executor
    return load_executor(executor.name, executor.settings, "execution.executor.settings")


def plan_slots(config: SweepConfig, generator: Generator, executor: ExecutorChoice) -> tuple[Slot, ...]:
    """Return the slots that a configuration asks for.

    Without ``slots`` there are as many as ``workers`` says, all on the generator's device (its default where none is
    given). With neither there is one; on a machine with several GPUs, one for each, where the generator is on ``cuda``
    and goes by the GPUs that it sees. An executor that finds devices itself is asked how many there are.

    Parameters
    ----------
    config : SweepConfig
    generator : Generator
        It may have a setting ``device``.
    executor : ExecutorChoice

    Raises
    ------
    ConfigError
        If devices contradict each other, or one GPU is named to an executor that finds devices itself.
    UsageError
        If the executor cannot say how many places there are.
    """
    execution, places_slots = config.execution, executor.kind.places_slots
    described = generator.describe()
    own = config.generator.settings.get("device") if described.takes_device else None
    places = {"generator.device": config.generator.device, "generator.settings.device": own}
    stated = {where: device for where, device in places.items() if isinstance(device, str)}
    base = next(iter(stated.values()), _default_device(described))
    wanted: list[tuple[str, str, int | None]]
    if execution.slots is not None:
        wanted = [(slot.name, slot.device or base, slot.cores) for slot in execution.slots]
        stated |= {f"execution.slots.{place}": device for place, (_, device, _) in enumerate(wanted)}
    elif execution.workers is None and places_slots:
        wanted = [("", base, None)] * max(1, executor.count_places(base.partition(":")[0]))
    elif (
        execution.workers is None
        and base == "cuda"
        and generator.follows_gpus
        and (n_gpus := executor.count_places("cuda")) > 1
    ):
        wanted = [("", f"cuda:{index}", None) for index in range(n_gpus)]
    else:
        wanted = [("", base, None)] * (execution.workers or 1)
    kinds = {device.partition(":")[0]: where for where, device in reversed(stated.items())}
    if len(kinds) > 1:
        raise ConfigError(
            f"{' and '.join(f'{where} is {stated[where]!r}' for where in kinds.values())}: "
            f"what is made on different kinds of device cannot be compared; let all of them be of one kind"
        )
    single = [device for _, device, _ in wanted if ":" in device]
    if places_slots and single:
        named = (where for where, device in stated.items() if device == single[0])
        where = next(named, "the generator's own device")
        raise ConfigError(
            f"{where} is {single[0]!r}: the executor {config.execution.executor.name!r} finds each slot a GPU itself; "
            f"name 'cuda'"
        )
    return make_slots(wanted, own_device=places_slots)


def _default_device(described: Description) -> str:
    """Return the device of slots where nothing says another: the generator's own default, else the processor."""
    default = described.default_device or ""
    return default if default.partition(":")[0] in {"cpu", "cuda"} else "cpu"


def _plan_trials(
    config: SweepConfig, generator: Any, description: dict[str, Any], identity: dict[str, Any]
) -> list[PlannedTrial]:
    portraits = [_plan_portrait(item) for item in config.inputs.portraits]
    speech = [_plan_speech(item) for item in config.inputs.speech]
    seeds: Sequence[int | None] = config.seeds or [None]
    _check_options([*config.parameters, *config.grid], description)
    portrait, said = (items[0] if items else None for items in (portraits, speech))
    params = [
        _as_understood(config, generator, given, make_request(given, portrait, said, seeds[0]))
        for given in ({**config.parameters, **values} for values in expand_grid(config.grid))
    ]
    contents = {path: content_hash(path) for path in _parameter_files(config)}
    trials = plan_trials(params, portraits, speech, seeds, generator=identity, contents=contents)
    for trial in trials[: len(trials) // len(params)]:
        _as_understood(config, generator, {}, trial.request)
    if len({trial.id for trial in trials}) < len(trials):
        raise ConfigError(
            "two trials would be the same: two inputs have the same content, or two values mean one"
        )
    return trials


def _resolve(config: SweepConfig, evaluators: list[str], slots: tuple[Slot, ...]) -> SweepConfig:
    """Return a configuration with nothing left to defaults."""
    named = [SlotOptions(name=slot.name, device=slot.device, cores=slot.cores) for slot in slots]
    execution = config.execution.model_copy(update={"slots": named, "workers": len(slots)})
    generator = config.generator.model_copy(update={"device": slots[0].kind})
    return config.model_copy(
        update={"evaluators": evaluators, "execution": execution, "generator": generator}
    )


def _describe_metrics(evaluators: list[Evaluator]) -> dict[str, MetricInfo]:
    return describe_metrics(evaluators) | {
        metric.name: MetricInfo(metric.unit, metric.better, metric.meaning) for metric in PROFILE_METRICS
    }


def _as_understood(
    config: SweepConfig, generator: Generator, params: dict[str, Any], request: dict[str, Any]
) -> dict[str, Any]:
    """Return parameters as the generator reads them: 25 and 25.0 are one value."""
    try:
        read = generator.request(**request).to_dict()
    except RequestError as error:
        for mistake in error.mistakes or (Mistake((), str(error)),):
            place = _place_of(config, params, mistake)
            with config.origin.blaming(*place, where="grid" if place[:1] == ("grid",) else "parameters"):
                raise UsageError(mistake.text) from None
        raise
    return {name: read.get(name, value) for name, value in params.items()}


def _place_of(config: SweepConfig, params: dict[str, Any], mistake: Mistake) -> tuple[int | str, ...]:
    """Say where in a sweep a parameter stands that is refused."""
    name = mistake.place[0] if mistake.place else ""
    if name in config.grid:
        values = config.grid[str(name)]
        given = params.get(str(name))
        return ("grid", name, values.index(given)) if given in values else ("grid", name)
    return ("parameters", name) if name in config.parameters else ()


def _plan_portrait(item: Portrait) -> PlannedInput:
    given = Input(name_of(item), content_hash(item.path), path=item.path)
    return PlannedInput(given, {"image": item.path}, (InputFile(item.path, given.content),))


def _plan_speech(item: Speech) -> PlannedInput:
    if item.path is not None:
        given = Input(name_of(item), content_hash(item.path), path=item.path)
        return PlannedInput(given, {"audio": item.path}, (InputFile(item.path, given.content),))
    names = ("text", "question", "question_audio", "language", "voice")
    request = {name: value for name in names if (value := getattr(item, name)) is not None}
    what, files = dict(request), tuple[InputFile, ...]()
    if item.question_audio is not None:
        what["question_audio"] = content_hash(item.question_audio)
        files = (InputFile(item.question_audio, what["question_audio"]),)
    given = Input(name_of(item), hash_of(what), path=item.question_audio, text=item.text or item.question)
    return PlannedInput(given, request, files)


def _parameter_files(config: SweepConfig) -> Iterable[str]:
    for name in FILE_PARAMETERS:
        for value in config.grid.get(name, [config.parameters.get(name)]):
            if isinstance(value, str):
                yield value


def _check_options(names: Sequence[str], description: dict[str, Any]) -> None:
    """Refuse ``options.NAME`` that the generator does not have."""
    known = list(description["options"].get("properties", {}))
    for name in names:
        group, dot, own = name.partition(".")
        if dot and (group != "options" or own not in known):
            near = difflib.get_close_matches(name, [f"options.{option}" for option in known], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            there = ", ".join(f"options.{option}" for option in known) or "none"
            raise ConfigError(
                f"generator {description['name']!r} has no parameter {name!r}{hint} (its own: {there})"
            )


def _list_without_effect(config: SweepConfig, effective: dict[str, str]) -> Iterable[str]:
    for name, values in config.grid.items():
        if len(values) > 1 and effective and "." not in name and name not in effective:
            yield f"{name} makes no difference to the generator {config.generator.name!r}"


def _note_batches(trials: Sequence[PlannedTrial]) -> Iterator[str]:
    """Say that configurations are not interleaved: a batch stands for a moment of the machine."""
    if len({str(trial.params) for trial in trials}) > 1:
        yield (
            "trials of one configuration are made together, so that the model is loaded once: configurations are not "
            "interleaved, and a machine that drifts can look like a difference of their times"
        )


def _note_unused_gpus(config: SweepConfig) -> Iterator[str]:
    """Say that a generator that could use a GPU works on the CPU.

    That is what it does unless a device is named: the device counts for the identity of a video, so that a plan that
    followed the machine would be another plan on each.
    """
    named = [config.generator.device, config.generator.settings.get("device")]
    named += [slot.device for slot in config.execution.slots or ()]
    if not any(named) and (n_gpus := count_gpus()):
        there = "there is a GPU" if n_gpus == 1 else f"there are {n_gpus} GPUs"
        yield (
            f"the generator {config.generator.name!r} works on the CPU, since no device is named, and "
            f"{there} here: name it with --setting device=cuda, or generator.device in the file"
        )
