"""``NAME=VALUE`` pairs and YAML files of settings, as several commands take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from pathlib import Path

    from click import Context, Parameter

    from evalkit.options import Document

Value = TypeVar("Value")


def split_pairs(
    texts: Iterable[str], read: Callable[[str], Value], *, form: str = "NAME=VALUE", flag: str | None = None
) -> dict[str, Value]:
    """Read ``NAME=VALUE`` texts of a flag, see `pipeline.options.read_pairs`; a mistake is wrong use."""
    from pipeline.options import read_pairs

    try:
        return read_pairs(texts, read, form=form)
    except RequestError as error:
        raise click.BadParameter(str(error), param_hint=flag) from None


def read_flag(text: str, read: Callable[[str], Value], flag: str) -> Value:
    """Read the text of a flag; a mistake is wrong use."""
    try:
        return read(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint=flag) from None


def read_value(text: str) -> Any:
    """Read a value that is YAML, so that numbers are numbers.

    Raises
    ------
    ValueError
        If it is not valid YAML.
    """
    from evalkit.options import ConfigError, parse_yaml

    try:
        return parse_yaml(text, "the value")
    except ConfigError as error:
        raise ValueError(str(error)) from None


def read_values(text: str) -> list[Any]:
    """Read values between commas, or a YAML list; errors as `read_value`."""
    if text.lstrip().startswith("["):
        return list(read_value(text))
    return [read_value(item) for item in text.split(",") if item.strip()]


def read_where(texts: Iterable[str]) -> dict[str, Hashable]:
    """Read ``NAME=VALUE`` texts that choose clips; a value is matched as it is written in the results."""
    wanted: dict[str, Hashable] = {}
    wanted |= split_pairs(texts, str, flag="--where")
    return wanted


def take_pairs(_context: Context, _parameter: Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    """Read the ``NAME=VALUE`` texts of an option of click; a value is YAML."""
    return split_pairs(texts, read_value)


def take_settings(_context: Context, _parameter: Parameter, path: Path | None) -> Document:
    """Read the YAML file of setting names and values that an option of click names."""
    from evalkit.options import ConfigError, Document, read_yaml

    if path is None:
        return Document()
    try:
        settings = read_yaml(path)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    for name in list[Any](settings):
        if not isinstance(name, str):
            line = settings.lines.get((str(name),))
            raise click.BadParameter(
                f"{path}: {name!r} is not a name; write it in quotes if it should be one"
                + (f" (line {line})" if line else "")
            )
    return settings
