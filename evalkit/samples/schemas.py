"""JSON schemas of the files that people write, made of the models by which they are read.

Pydantic makes them; what the models leave to look up when they are read (names of plug-ins, metrics, settings of
generators and evaluators) is filled in here from what is installed. A name that is not installed here may be elsewhere:
editors are told the known ones, and take others too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from evalkit import registry
from evalkit.analysis.catalogue import known_metrics
from evalkit.brands.written import BrandFile
from evalkit.decisions.policy import Policy, bundled_policies
from evalkit.evaluators.load import evaluator_class
from evalkit.sweeps.config import SweepConfig
from pipeline import plugins
from pipeline.request import GenerationRequest

MADE_BY = "made by evalkit init"
"""Stands in every schema: such a file may be written again."""
Schema = dict[str, Any]
_ATTRIBUTES = re.compile(r"Attributes\n-+\n(.*?)(?:\n\n\S|\Z)", re.DOTALL)
_BACKENDS = {
    "recognisers": plugins.RECOGNISERS,
    "answerers": plugins.ANSWERERS,
    "voices": plugins.SPEECH_ENGINES,
}


def of_sweep() -> Schema:
    """Return the schema of a sweep's file."""
    schema = _schema_of(SweepConfig)
    definitions = schema["$defs"]
    _offer(definitions["GeneratorOptions"]["properties"]["name"], registry.names(registry.GENERATORS))
    _settings_by_name(definitions["GeneratorOptions"], registry.GENERATORS, definitions)
    _offer(definitions["ExecutorOptions"]["properties"]["name"], registry.names(registry.EXECUTORS))
    _settings_by_name(definitions["ExecutorOptions"], registry.EXECUTORS, definitions)
    properties = schema["properties"]
    evaluators = registry.names(registry.EVALUATORS)
    _offer(_list_in(properties["evaluators"])["items"], evaluators)
    properties["measuring"]["properties"] = {name: _settings_of_evaluator(name) for name in evaluators}
    _offer(properties["policy"], bundled_policies())
    parameters = _schema_of(GenerationRequest)["properties"]
    properties["parameters"]["properties"] = parameters
    properties["grid"]["properties"] = {
        name: {
            "type": "array",
            "minItems": 1,
            "items": parameter,
            "description": parameter.get("description", ""),
        }
        for name, parameter in parameters.items()
    }
    return schema


def of_policy() -> Schema:
    """Return the schema of a policy."""
    schema = _schema_of(Policy)
    metrics = known_metrics()
    rule, properties = schema["$defs"]["Rule"]["properties"], schema["properties"]
    for place in (
        rule["metric"],
        properties["quality"],
        properties["primary"]["items"],
        properties["costs"]["items"],
    ):
        _offer(place, metrics)
    _offer(rule["reducer"], registry.names(registry.REDUCERS))
    return schema


def of_brand() -> Schema:
    """Return the schema of a brand."""
    return _schema_of(BrandFile)


def of_conversation() -> Schema:
    """Return the schema of a conversation, which ``generate`` may give the generator behind it."""
    schema = _schema_of(plugins.load_plugin(plugins.GENERATORS, "conversation").Settings)
    definitions, properties = schema["$defs"], schema["properties"]
    schema.pop("required", None)
    _offer(properties["generator"], registry.names(registry.GENERATORS))
    backend = definitions.pop("BackendSettings")
    for kind, group in _BACKENDS.items():
        name = f"One of {kind}"
        definitions[name] = {**backend, "properties": {**backend["properties"]}}
        definitions[name]["properties"]["name"] = dict(backend["properties"]["name"])
        _offer(definitions[name]["properties"]["name"], registry.names(group))
        _settings_by_name(definitions[name], group, definitions)
        properties[kind]["items"] = {"$ref": f"#/$defs/{name}"}
        del properties[kind]["default"]
    return schema


def _schema_of(model: type[BaseModel]) -> Schema:
    """Return pydantic's schema with every option described, and no titles but its own."""
    schema = model.model_json_schema()
    schemas = {model.__name__: schema, **schema.get("$defs", {})}
    for group in _groups_in(model):
        found = schemas.get(group.__name__)
        if found is None:
            continue
        said = _attributes_of(group)
        for name, option in found.get("properties", {}).items():
            option.pop("title", None)
            if "description" not in option and name in said:
                option["description"] = said[name]
        found["description"] = inspect.cleandoc(group.__doc__ or "").partition("\n\n")[0]
    schema.setdefault("$defs", {})
    return schema


def _groups_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give a model and every model in it."""
    seen: set[type[BaseModel]] = set()
    waiting: list[Any] = [model]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one in seen:
                continue
            seen.add(one)
            yield one
            waiting += [field.annotation for field in one.model_fields.values()]
        waiting += getattr(one, "__args__", ())


def _attributes_of(group: type[BaseModel]) -> dict[str, str]:
    """Read what a numpydoc docstring says of each attribute.

    >>> from evalkit.sweeps.config import SearchOptions
    >>> _attributes_of(SearchOptions)["trials"]
    'Trials of the grid.'
    """
    found = _ATTRIBUTES.search(inspect.cleandoc(group.__doc__ or ""))
    said: dict[str, str] = {}
    names: list[str] = []
    for line in (found[1] if found else "").splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        elif line.strip():
            said |= {name: f"{said.get(name, '')} {line.strip()}".strip() for name in names}
    return said


def _offer(place: Schema, names: Iterable[str]) -> None:
    """Have editors offer names where a text is asked for; others are allowed as before."""
    for key in ("type", "anyOf"):
        found = place.pop(key, None)
        if found is not None:
            others = found if key == "anyOf" else [{"type": found, **_take(place, "minLength", "pattern")}]
            place["anyOf"] = [{"enum": list(names)}, *others]
            return
    place["anyOf"] = [{"enum": list(names)}, {"type": "string", "minLength": 1}]


def _take(place: Schema, *keys: str) -> Schema:
    return {key: place.pop(key) for key in keys if key in place}


def _list_in(place: Schema) -> Schema:
    """Return the list among what is allowed in a place."""
    found: Schema = next(option for option in place.get("anyOf", [place]) if option.get("type") == "array")
    return found


def _settings_by_name(place: Schema, group: str, definitions: Schema) -> None:
    """Have the settings beside a name be those of the plug-in of that name, where it says which they are."""
    rules = []
    for name in registry.names(group):
        try:
            settings = getattr(registry.load(group, name), "Settings", None)
        except registry.PluginError:  # it does not load here: nothing is known of its settings
            continue
        if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
            continue
        schema = _schema_of(settings)
        definitions.update(schema.pop("$defs"))
        key = f"settings of {group.rpartition('.')[2]} {name}"
        # A setting that is required may also come from a flag of the command line.
        definitions[key] = {**schema, "required": []}
        rules.append(
            {
                "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                "then": {"properties": {"settings": {"$ref": f"#/$defs/{key}"}}},
            }
        )
    place["allOf"] = rules


def _settings_of_evaluator(name: str) -> Schema:
    try:
        names = evaluator_class(name).setting_names()
    except registry.PluginError:  # it does not load here: nothing is known of its settings
        return {"type": "object"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {setting: {} for setting in names},
    }
