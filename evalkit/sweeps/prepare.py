"""From a configuration to a plan: ask the generator and the evaluators, read the inputs, list the trials."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.decisions.policy import load_policy
from evalkit.evaluators.load import load_evaluators, version_of
from evalkit.options import ConfigError
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.runs import Input, MetricInfo
from evalkit.sweeps.config import FILE_PARAMETERS, name_of
from evalkit.sweeps.plan import PlannedInput, PlannedTrial, TrialIdentity, expand_grid, plan_trials
from evalkit.tracks.cache import content_hash
from pipeline.errors import RequestError
from pipeline.generator import Generator, build_generator
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalkit.sweeps.config import Portrait, Speech, SweepConfig


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Everything there is to know before the work.

    Parameters
    ----------
    config : SweepConfig
        With the evaluators named.
    trials : list of PlannedTrial
    deciders : TrialIdentity
    metrics : dict of str to MetricInfo
        Every metric that a trial may carry.
    notes : list of str
        What a person should know.
    """

    config: SweepConfig
    trials: list[PlannedTrial]
    deciders: TrialIdentity
    metrics: dict[str, MetricInfo]
    notes: list[str]

    @property
    def swept(self) -> list[str]:
        """Parameters with more than one value."""
        return [name for name, values in self.config.grid.items() if len(values) > 1]


def plan_sweep(config: SweepConfig) -> SweepPlan:
    """Plan a sweep. Loads no model and makes no video.

    Raises
    ------
    ConfigError
        If the generator refuses its settings or a parameter.
    UsageError
        If a generator, an evaluator or an executor is unknown, or the policy cannot be used.
    """
    registry.load(registry.EXECUTORS, config.execution.executor)
    factory = registry.load(registry.GENERATORS, config.generator.name)
    with _refusing(f"generator {config.generator.name!r}"):
        generator = build_generator(factory, config.generator.name, config.generator.settings)
    description = generator.describe().to_dict()
    evaluators = load_evaluators(config.evaluators, config.measuring)
    if config.policy is not None:
        load_policy(config.policy)
    config = config.model_copy(update={"evaluators": [evaluator.name for evaluator in evaluators]})
    portraits = [_plan_portrait(item) for item in config.inputs.portraits]
    speech = [_plan_speech(item) for item in config.inputs.speech]
    _check_options([*config.parameters, *config.grid], description)
    params = [{**config.parameters, **given} for given in expand_grid(config.grid)]
    deciders = TrialIdentity(
        generator={
            "name": generator.name,
            "version": str(generator.version),
            "settings": dict(config.generator.settings),
        },
        evaluators={evaluator.name: version_of(evaluator) for evaluator in evaluators},
        contents={path: content_hash(path) for path in _parameter_files(config)},
    )
    seeds: Sequence[int | None] = config.seeds or [None]
    requests = [
        trial.request for trial in plan_trials(params, portraits[:1], speech[:1], seeds[:1], deciders)
    ]
    params = [
        _as_understood(generator, given, request) for given, request in zip(params, requests, strict=True)
    ]
    for trial in plan_trials(params[:1], portraits, speech, seeds, deciders):
        _as_understood(generator, {}, trial.request)
    trials = plan_trials(params, portraits, speech, seeds, deciders)
    if len({trial.id for trial in trials}) < len(trials):
        raise ConfigError(
            "two trials would be the same: two inputs have the same content, or two values mean one"
        )
    metrics = {
        metric.name: MetricInfo(metric.unit, metric.better, metric.meaning, evaluator.name)
        for evaluator in evaluators
        for metric in evaluator.metrics
    }
    metrics |= {
        metric.name: MetricInfo(metric.unit, metric.better, metric.meaning) for metric in PROFILE_METRICS
    }
    return SweepPlan(config, trials, deciders, metrics, list(_unheeded(config, description["parameters"])))


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Turn a generator's refusal into a `ConfigError`."""
    try:
        yield
    except RequestError as error:
        lines = "\n".join(f"{where}: {line}" for line in str(error).splitlines())
        raise ConfigError(lines) from None


def _as_understood(generator: Generator, params: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as the generator reads them: 25 and 25.0 are one value."""
    with _refusing("parameters"):
        read = generator.request(**request).to_dict()
    return {name: read.get(name, value) for name, value in params.items()}


def _plan_portrait(item: Portrait) -> PlannedInput:
    given = Input(name_of(item), content_hash(item.path), path=item.path)
    return PlannedInput(given, {"image": item.path})


def _plan_speech(item: Speech) -> PlannedInput:
    if item.path is not None:
        return PlannedInput(
            Input(name_of(item), content_hash(item.path), path=item.path), {"audio": item.path}
        )
    names = ("text", "question", "question_audio", "language", "voice")
    request = {name: value for name in names if (value := getattr(item, name)) is not None}
    what = dict(request)
    if item.question_audio is not None:
        what["question_audio"] = content_hash(item.question_audio)
    given = Input(name_of(item), hash_of(what), path=item.question_audio, text=item.text or item.question)
    return PlannedInput(given, request)


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


def _unheeded(config: SweepConfig, heeded: dict[str, str]) -> Iterable[str]:
    for name, values in config.grid.items():
        if len(values) > 1 and heeded and "." not in name and name not in heeded:
            yield f"{name} makes no difference to the generator {config.generator.name!r}"
