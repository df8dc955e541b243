"""Command lines with ``{placeholders}``: which parameters they use, and what they become. No shell is involved."""

from __future__ import annotations

import json
from string import Formatter
from typing import TYPE_CHECKING

from pipeline.errors import RequestError
from pipeline.options import PlainData
from pipeline.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import JsonValue

OUT = "out"
"""Placeholder for the file to write."""

WORK = "work"
"""Placeholder for a folder of the run's own."""

_SHOWN_BY = {"size": {"width", "height"}, "text": {"audio"}}
"""Parameters that also reach the program through other placeholders."""


def placeholders(template: str) -> list[str]:
    """List the placeholders of a template; ``{{`` and ``}}`` are literal braces.

    Raises
    ------
    RequestError
        If a brace is unmatched, or there is anything but a name between braces.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise RequestError(
            f"template {template!r}: {error}; write {{{{ and }}}} for literal braces"
        ) from None
    names = [name for _, name, form, conversion in parts if name is not None and not form and not conversion]
    if len(names) != sum(name is not None for _, name, _, _ in parts) or not all(
        name.isidentifier() for name in names
    ):
        raise RequestError(f"template {template!r}: only a name may stand between braces, as in {{size}}")
    return names


def fill(template: str, values: Mapping[str, JsonValue]) -> str:
    """Put values in place of placeholders, each as one piece of text.

    Whole numbers lose a decimal point (``25``), truth is ``True`` or ``False``, lists and mappings are JSON.

    Raises
    ------
    RequestError
        If a value is missing.
    """
    missing = [name for name in placeholders(template) if values.get(name) is None]
    if missing:
        raise RequestError(
            f"the command needs {{{missing[0]}}} in {template!r}, and the request has no {missing[0]}"
        )
    return template.format(**{name: _word(values[name]) for name in placeholders(template)})


def fill_words(template: str, values: Mapping[str, JsonValue]) -> list[str]:
    """Put values in place of placeholders; a list that is all of a template gives a word an element.

    >>> fill_words("{pads}", {"pads": [0, 10]}), fill_words("pads={pads}", {"pads": [0, 10]})
    (['0', '10'], ['pads=[0, 10]'])
    """
    names = placeholders(template)
    value = values.get(names[0]) if names and template == f"{{{names[0]}}}" else None
    return [_word(item) for item in value] if isinstance(value, list) else [fill(template, values)]


def check_used(request: GenerationRequest, used: Iterable[str]) -> None:
    """Refuse a request that asks for what the program would never see.

    Parameters
    ----------
    request : GenerationRequest
        Every parameter that is not at its default must be used, or two different requests would give the same video.
    used : iterable of str
        Placeholders in use.

    Raises
    ------
    RequestError
        Naming the parameter or the option.
    """
    used = set(used)
    spoken = request.text is not None and "audio" in used
    for name, field in GenerationRequest.model_fields.items():
        value = getattr(request, name)
        if name == "options" or value == field.default:
            continue
        if name in {"language", "voice"} and spoken:
            continue
        if not used & {name, *_SHOWN_BY.get(name, ())}:
            raise RequestError(
                f"{name} is {value!r}, but the command has no {{{name}}} and would never see it"
            )
    for name in request.options:
        if name in GenerationRequest.model_fields or name not in used:
            raise RequestError(f"there is no option {name!r}: the command has no {{{name}}}")


def _word(value: JsonValue) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


class OptionalArguments(PlainData):
    """Arguments that are there only when a value is: not missing, not false, not empty; 0 is a value.

    Attributes
    ----------
    when : str
        Name of the placeholder that decides.
    args : tuple of str
        Templates.
    """

    when: str
    args: tuple[str, ...]


def fill_all(items: Sequence[str | OptionalArguments], values: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield the words of a command line, templates filled; optional ones only where their value is there."""
    for item in items:
        if isinstance(item, str):
            yield from fill_words(item, values)
        elif _is_there(values.get(item.when)):
            for template in item.args:
                yield from fill_words(template, values)


def _is_there(value: JsonValue) -> bool:
    """Say whether there is something to give: 0 is."""
    return bool(value) or (value == 0 and value is not False)
