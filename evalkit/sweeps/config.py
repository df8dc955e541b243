"""A sweep's configuration: YAML and flags become frozen option groups."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    Field,
    JsonValue,
    PrivateAttr,
    field_validator,
    model_validator,
)

from evalkit.arguments import read_mapping, wrong_argument
from evalkit.evaluators.load import anchor_settings, evaluator_class
from evalkit.formatting import label
from evalkit.measuring import STALL_LIMIT_S
from evalkit.options import ConfigError, Document, Origin, read_group, read_yaml
from evalkit.runs.identity import FILE_PARAMETERS
from pipeline.options import PlainData, also_text, canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAID = ("path", "text", "question", "question_audio")


_TAKEN = {"image": "inputs.portraits", "base_seed": "seeds"} | dict.fromkeys(
    ("audio", "text", "question", "question_audio"), "inputs.speech"
)


DEVICE = r"^(cpu|cuda(:[0-9]+)?)$"


class GeneratorOptions(PlainData):
    """Who makes the videos.

    Attributes
    ----------
    name : str
        As in ``evalkit.generators``.
    settings : dict
        The generator's own. Paths in them are relative to where evalkit runs.
    device : str or None
        Where it works: ``cpu``, ``cuda`` or ``cuda:N``. On ``cpu`` nothing is measured while a video is made, so that
        its timing is undisturbed; on a GPU, a video is measured while the next one is made. None for the setting
        ``device`` of the generator, else ``cpu``. `Execution.slots` may name one for each slot.
    """

    name: str = Field(default="reference", min_length=1, description="name of a generator")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="setting names to plain values")
    device: str | None = Field(default=None, pattern=DEVICE, description="cpu, cuda or cuda:N")


class Portrait(PlainData):
    """A picture of a speaker."""

    path: str = Field(min_length=1, description="path of a picture")
    name: str = Field(default="", description="what to call it; the file's name unless given")


class Speech(PlainData):
    """What is said: a sound file or words; or what is asked, for a generator that answers."""

    path: str | None = Field(default=None, min_length=1, description="path of a sound file")
    text: str | None = Field(default=None, min_length=1, description="words to speak")
    question: str | None = Field(default=None, min_length=1, description="a question in words")
    question_audio: str | None = Field(default=None, min_length=1, description="path of a spoken question")
    language: str | None = Field(default=None, min_length=1, description="language of the words, as in en")
    voice: str | None = Field(default=None, min_length=1, description="voice for the words")
    name: str = Field(default="", description="what to call it; the file's name or the words unless given")

    @field_validator("text", "question")
    @classmethod
    def _is_composed(cls, words: str | None) -> str | None:
        return None if words is None else _composed(words)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in _SAID) != 1:
            raise ValueError("give path, text, question or question_audio, one of them")
        if self.path is not None and (self.language is not None or self.voice is not None):
            raise ValueError("language and voice belong to text, not to a sound file")
        return self

    @property
    def file(self) -> str | None:
        """Path of the sound file, said or asked."""
        return self.path or self.question_audio


class Inputs(PlainData):
    """What is put in front of every configuration."""

    portraits: list[Portrait] = Field(
        default_factory=list, description="a list of pictures", json_schema_extra=also_text
    )
    speech: list[Speech] = Field(
        default_factory=list, description="a list of sound files or texts", json_schema_extra=also_text
    )

    @field_validator("portraits", "speech", mode="before")
    @classmethod
    def _a_text_is_a_path(cls, items: Any) -> Any:
        return (
            [{"path": item} if isinstance(item, str) else item for item in items]
            if isinstance(items, list)
            else items
        )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, items in (("portraits", self.portraits), ("speech", self.speech)):
            called = [name_of(item) for item in items]
            twice = [name for name in called if called.count(name) > 1]
            if twice:
                raise ValueError(
                    f"two {kind} are called {twice[0]!r}; give each a name of its own with name: …"
                )
        return self


class SlotOptions(PlainData):
    """Where one video at a time is made. Unless something else uses the device, it is timed there."""

    name: str = Field(default="", description="what to call it; its device unless given")
    device: str | None = Field(
        default=None, pattern=DEVICE, description="cpu, cuda or cuda:N; the generator's unless given"
    )
    cores: int | None = Field(
        default=None,
        ge=1,
        description="a whole number of processor cores of its own, from 1; all unless given",
    )


class ExecutorOptions(PlainData):
    """Who does the work."""

    name: str = Field(default="processes", min_length=1, description="name of an executor")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="setting names to plain values")

    @staticmethod
    def named(given: Any) -> Any:
        """Return it as a group where it is given as a name alone.

        >>> ExecutorOptions.named("processes")
        {'name': 'processes'}
        """
        return {"name": given} if isinstance(given, str) else given


class Execution(PlainData):
    """How the work is done. Nothing of it decides an outcome."""

    executor: ExecutorOptions = Field(
        default_factory=ExecutorOptions,
        description="name of an executor, or its name and settings",
        json_schema_extra=also_text,
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="a whole number of videos made at once on the generator's device, from 1",
    )
    slots: list[SlotOptions] | None = Field(
        default=None, min_length=1, max_length=256, description="a list of slots: name, device, cores"
    )
    time_limit_s: float = Field(
        default=3600.0, gt=0, description="seconds, above 0, for each load, video and measurement"
    )
    stall_limit_s: float = Field(
        default=STALL_LIMIT_S, gt=0, description="seconds, above 0, that measuring may be silent"
    )
    retries: int = Field(
        default=0, ge=0, le=100, description="a whole number of further tries of a trial that fails"
    )
    warm_up: bool = Field(
        default=True, description="true or false: one clip for nothing after a model was loaded"
    )
    separate_profiling_pass: bool = Field(
        default=False,
        description="true or false: make each video twice, once for its times, once for its memory",
    )
    evidence: bool = Field(default=True, description="true or false: pictures of what was measured")
    skip_infeasible: bool = Field(
        default=False, description="true or false: leave out, and say so, trials that cannot fit the GPUs"
    )
    gpu_memory_gb: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="GB of 1024 MiB that each GPU has; what the driver says unless given",
    )
    price_per_hour: dict[
        Annotated[str, Field(min_length=1)], Annotated[float, Field(ge=0, allow_inf_nan=False)]
    ] = Field(
        default_factory=dict,
        description="whole words of the names of GPUs or processors, or default, to the price of an hour of one, from 0; "
        "slots that share one cost it each",
    )

    @field_validator("executor", mode="before")
    @classmethod
    def _a_text_is_a_name(cls, executor: Any) -> Any:
        return ExecutorOptions.named(executor)

    @field_validator("price_per_hour")
    @classmethod
    def _prices_are_said_once(cls, prices: dict[str, float]) -> dict[str, float]:
        names = [name.casefold() for name in prices]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} has two prices: upper and lower case are the same here")
        return prices

    @model_validator(mode="after")
    def _slots_are_said_once(self) -> Self:
        if self.slots is not None and self.workers not in {None, len(self.slots)}:
            raise ValueError(
                f"workers is {self.workers}, and slots lists {len(self.slots)}: give one of the two options"
            )
        return self


class SearchOptions(PlainData):
    """How much ``evalkit search`` may spend, in all; what was done before counts too. A sweep heeds none of it.

    Attributes
    ----------
    trials : int or None
        Trials of the grid.
    hours : float or None
        Hours that slots are at work: the time of every trial, made and measured, failed attempts too.
    money : float or None
        Hours of making times the price of the machine, see ``execution.price_per_hour``.
    seed : int
        Of what is proposed, and of the order of the blocks. With another one the race may drop the best anew.
    """

    trials: int | None = Field(default=None, ge=1, description="a whole number of trials, from 1")
    hours: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="hours of slots at work, above 0"
    )
    money: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="an amount of money, above 0"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="a whole number from 0")

    @property
    def budget(self) -> dict[str, float]:
        """What is limited, by name."""
        limits = {"trials": self.trials, "hours": self.hours, "money": self.money}
        return {name: float(limit) for name, limit in limits.items() if limit is not None}


Values = Annotated[list[JsonValue], Field(min_length=1)]


class SweepConfig(PlainData):
    """A sweep: one generator, inputs, a grid of parameters, seeds, evaluators, a policy."""

    generator: GeneratorOptions = Field(default_factory=GeneratorOptions, description="a group")
    inputs: Inputs = Field(default_factory=Inputs, description="a group")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="names to plain values, the same in every trial"
    )
    grid: dict[str, Values] = Field(
        default_factory=dict, description="parameter names to lists of at least one value"
    )
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] | None = Field(
        default=None, min_length=1, description="a list of whole numbers from 0"
    )
    evaluators: list[str] | None = Field(
        default=None, description="a list of evaluators; all that are installed unless given"
    )
    measuring: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="names of evaluators to their settings"
    )
    policy: str | None = Field(default=None, min_length=1, description="name or path of a policy")
    execution: Execution = Field(default_factory=Execution, description="a group")
    search: SearchOptions = Field(default_factory=SearchOptions, description="a group")
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @field_validator("parameters", "grid")
    @classmethod
    def _is_composed(cls, named: dict[str, Any]) -> dict[str, Any]:
        return {name: value if name in FILE_PARAMETERS else _composed(value) for name, value in named.items()}

    @model_validator(mode="after")
    def _each_parameter_comes_from_one_place(self) -> Self:
        for name in (*self.grid, *self.parameters):
            if name in _TAKEN:
                raise ValueError(f"{name} is not a parameter of the grid: give it under {_TAKEN[name]}")
        for name in self.grid:
            if name in self.parameters:
                raise ValueError(f"{name} is in grid and in parameters; leave one of them out")
        lists: dict[str, list[Any]] = {**self.grid, "seeds": self.seeds or []}
        for name, values in lists.items():
            plain = [canonical_json(value) for value in values]
            twice = [value for value in plain if plain.count(value) > 1]
            if twice:
                raise ValueError(f"{name} has the value {twice[0]} twice")
        return self

    @property
    def origin(self) -> Origin:
        """Where it was read."""
        return self._origin

    def read_from(self, document: Document) -> SweepConfig:
        """Return it with the place where it was read."""
        config = self.model_copy()
        config._origin = Origin(document)  # noqa: SLF001 - its own
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, nothing left out."""
        return self.model_dump(mode="json")


def name_of(item: Portrait | Speech) -> str:
    """Return what an input is called, as `evalkit.formatting.label`: its name, else its file's, else its words."""
    file = item.path if isinstance(item, Portrait) else item.file
    if item.name or file:
        return label(item.name or Path(str(file)).stem)
    words = item.text or item.question if isinstance(item, Speech) else None
    return label(str(words))


def _composed(value: Any) -> Any:
    """Return words with composed accents (NFC), alone or in a list: two systems write one text in two ways."""
    if isinstance(value, list):
        return [_composed(item) for item in value]
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def read_sweep(path: str | Path) -> SweepConfig:
    """Read a sweep's YAML file. Paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        If it cannot be read or is not valid; one line for each mistake.
    """
    path = Path(path)
    return build_sweep(read_yaml(path), str(path), base=path.parent)


QUICKSTART = Path(__file__).parent / "quickstart.yaml"
"""The sweep that is done where none is given."""


def resolve_sweep(
    config: str | Path | Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None
) -> SweepConfig:
    """Put a configuration and what shall be otherwise together.

    Parameters
    ----------
    config : path or mapping, optional
        A sweep's YAML file, whose paths are relative to its folder; or the same as plain data; the bundled quickstart
        unless given.
    overrides : mapping, optional
        Values by dotted name: ``generator.name``, ``grid.sample_steps``, ``execution.retries``. A parameter is either in
        ``grid`` or in ``parameters``: where an override puts it counts. Another generator or executor has none of the
        settings that the first one had, nor the quickstart's grid. Paths are relative to the current folder.

    Raises
    ------
    ConfigError
        If it cannot be read or is not valid; one line for each mistake.
    """
    overrides = read_mapping(overrides, "overrides")
    data: dict[str, Any]
    if isinstance(config, str | Path):
        read = read_sweep(config)
        where, data = str(config), Document(read.to_dict(), str(config), read.origin.document.lines)
    elif config is not None and not isinstance(config, Mapping):
        raise wrong_argument(
            "config", config, "the path of a sweep's YAML file, or a mapping that says the same,"
        )
    else:
        where = "quickstart" if config is None else "config"
        data = dict(read_yaml(QUICKSTART) if config is None else config)
        if (
            config is None
            and overrides.get("generator.name", data["generator"]["name"]) != data["generator"]["name"]
        ):
            data["grid"] = {}
    if not overrides:
        return build_sweep(data, where)
    changed = override_sweep(data, overrides)
    lines = data.lines if isinstance(data, Document) else {}
    given = Document(changed, where, lines, {tuple(_split(dotted)) for dotted in overrides})
    return build_sweep(changed, f"{where} and overrides").read_from(given)


def override_sweep(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data of a sweep with some values in place of its own; see `resolve_sweep`.

    >>> override_sweep({"parameters": {"size": "a"}, "seeds": [1]}, {"grid.size": ["b", "c"], "seeds": [2]})
    {'parameters': {}, 'seeds': [2], 'grid': {'size': ['b', 'c']}}
    """
    changed: dict[str, Any] = copy.deepcopy(dict(data))
    generator = changed.get("generator", {}).get("name")
    if overrides.get("generator.name", generator) != generator:
        changed["generator"] = {}
    if any(dotted.startswith(_EXECUTOR) for dotted in overrides):
        _open_executor(changed, overrides)
    for dotted, value in overrides.items():
        *groups, name = _split(dotted)
        place = changed
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise ConfigError(f"override {dotted}: {group} is {place!r}, not a group of options")
        place[name] = value
        for other in {"grid": ["parameters"], "parameters": ["grid"]}.get(groups[0] if groups else "", []):
            changed.get(other, {}).pop(name, None)
    return changed


def _open_executor(changed: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Make the executor a group, an empty one where the overrides name another."""
    execution = changed.setdefault("execution", {})
    if not isinstance(execution, dict):
        return
    executor = ExecutorOptions.named(execution.get("executor", {}))
    name = executor.get("name") if isinstance(executor, dict) else None
    execution["executor"] = executor if overrides.get(f"{_EXECUTOR}name", name) == name else {}


_EXECUTOR = "execution.executor."
_TWO_LEVELS = ("generator.settings.", "measuring.", _EXECUTOR)
"""Groups in groups: what follows is a group's name, then a name in it, which may have dots of its own."""


def _split(dotted: str) -> list[str]:
    """Return the groups and the name that a dotted name consists of.

    >>> _split("execution.executor.settings.address"), _split("parameters.options.mode")
    (['execution', 'executor', 'settings', 'address'], ['parameters', 'options.mode'])
    """
    n_groups = 3 if dotted.startswith(f"{_EXECUTOR}settings.") else 2 if dotted.startswith(_TWO_LEVELS) else 1
    return dotted.split(".", n_groups)


def build_sweep(data: Mapping[str, Any], where: str, *, base: Path | None = None) -> SweepConfig:
    """Build a sweep of plain data.

    Parameters
    ----------
    data : mapping
    where : str
        What to call its place in errors.
    base : Path, optional
        Folder that relative paths start from; the current one unless given.

    Raises
    ------
    ConfigError
        A line a mistake.
    """
    config = read_group(SweepConfig, data, where)
    if isinstance(data, Document):
        config = config.read_from(data)
    config = _anchored(config, base) if base is not None else config
    measuring: dict[str, dict[str, Any]] = {}
    for name, settings in config.measuring.items():
        with config.origin.blaming("measuring", name):
            measuring |= anchor_settings({name: settings}, base or Path.cwd())
    config = config.model_copy(update={"measuring": measuring})
    missing = [
        f"{where}: {'.'.join(map(str, place))}: there is no file {path}{config.origin.document.line_of(place)}"
        for place, path in _files(config)
        if not Path(path).is_file()
    ]
    if missing:
        raise ConfigError("\n".join(missing))
    return config


def _files(config: SweepConfig) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Give the place and the path of every file that the sweep needs."""
    for number, portrait in enumerate(config.inputs.portraits):
        yield ("inputs", "portraits", number), portrait.path
    for number, speech in enumerate(config.inputs.speech):
        if speech.file is not None:
            yield ("inputs", "speech", number), speech.file
    for name in FILE_PARAMETERS:
        for number, value in enumerate(config.grid.get(name, [])):
            if isinstance(value, str):
                yield ("grid", name, number), value
        if isinstance(given := config.parameters.get(name), str):
            yield ("parameters", name), given
    for evaluator, settings in config.measuring.items():
        for name, path in evaluator_class(evaluator).files_of(settings).items():
            yield ("measuring", evaluator, name), path


def _anchored(config: SweepConfig, base: Path) -> SweepConfig:
    """Return it with every path starting from `base`, but those of evaluators."""

    def anchor(path: JsonValue) -> Any:
        return str(base / path) if isinstance(path, str) else path

    inputs = Inputs(
        portraits=[
            item.model_copy(update={"path": anchor(item.path), "name": name_of(item)})
            for item in config.inputs.portraits
        ],
        speech=[
            item.model_copy(
                update={
                    "path": anchor(item.path),
                    "question_audio": anchor(item.question_audio),
                    "name": name_of(item),
                }
            )
            for item in config.inputs.speech
        ],
    )
    parameters = {
        name: anchor(value) if name in FILE_PARAMETERS else value for name, value in config.parameters.items()
    }
    grid = {
        name: [anchor(value) for value in values] if name in FILE_PARAMETERS else values
        for name, values in config.grid.items()
    }
    policy = config.policy
    if policy is not None and (base / policy).is_file():
        policy = anchor(policy)
    return config.model_copy(
        update={
            "inputs": inputs,
            "parameters": parameters,
            "grid": grid,
            "policy": policy,
        }
    )
