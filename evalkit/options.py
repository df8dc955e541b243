"""Configuration files: YAML that names a key once, read into groups of options.

The groups themselves, their errors and the hash of plain data are `pipeline.options`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from evalkit.errors import UsageError
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Group = TypeVar("Group", bound=PlainData)


class ConfigError(UsageError):
    """A configuration that is not valid."""


def read_group(
    kind: type[Group], data: Mapping[str, Any], source: str, *, context: Mapping[str, Any] | None = None
) -> Group:
    """Check plain data against a group of options, with errors that people can read.

    Parameters
    ----------
    kind : type
        The group.
    data : mapping
        Plain values, paths or dates.
    source : str
        What the data is called in errors.
    context : mapping, optional
        What the group's validators may look things up in.

    Raises
    ------
    ConfigError
        One line per mistake, each with `source` before it.
    """
    return kind.read(data, "option", source=source, error=ConfigError, context=context)


def read_yaml(path: Path, form: str = "a mapping of option names to values") -> dict[str, Any]:
    """Read a YAML file that is a mapping.

    Parameters
    ----------
    path : Path
    form : str
        What is in it, for the error where it is no mapping.

    Raises
    ------
    ConfigError
        If it cannot be read, is not valid YAML or not a mapping, or names a key twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must be {form}, not {type(data).__name__}")
    return data


def parse_yaml(text: str, source: str) -> Any:
    """Read YAML.

    Parameters
    ----------
    text : str
    source : str
        What it is called in errors: a file, a flag.

    Raises
    ------
    ConfigError
        If it is not valid YAML, or a mapping in it names a key twice.
    """
    try:
        return yaml.load(text, _UniqueKeys)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{source} is not valid YAML{place}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {error}") from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets the second of two equal keys win in silence; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            name = str(self.construct_object(key, deep=True))
            if name in names:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is there twice", key.start_mark
                )
            names.add(name)
        return super().construct_mapping(node, deep)
