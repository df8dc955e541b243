"""``NAME=VALUE`` pairs and YAML files that set a generator up, as several commands take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from click import Context, Parameter


def read_pairs(_context: Context, _parameter: Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value is YAML, so numbers are numbers."""
    import yaml

    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise click.BadParameter(f"the value of {pair!r} is no YAML: {error}") from error
    return values


def read_where(pairs: tuple[str, ...]) -> dict[str, Hashable]:
    """Read ``NAME=VALUE`` pairs that choose clips; a value is matched as it is written in the results."""
    wanted: dict[str, Hashable] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{pair!r} is not NAME=VALUE")
        wanted[name] = text
    return wanted


def read_settings(_context: Context, _parameter: Parameter, path: Path | None) -> dict[str, Any]:
    """Read a YAML file of setting names and values."""
    import yaml

    if path is None:
        return {}
    try:
        settings = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.BadParameter(f"{path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise click.BadParameter(f"{path} is no mapping of setting names to values")
    for name in settings:
        if not isinstance(name, str):
            raise click.BadParameter(f"{path}: {name!r} is no name; put it between quotes if it shall be one")
    return settings
