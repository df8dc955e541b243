"""The base of every view: frozen data that becomes valid JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from pipeline.options import json_text

Plain = str | int | float | bool | None
"""What the value of a parameter may be."""


@dataclass(frozen=True)
class View:
    """A record that can be shown as a page, in a terminal, or as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: mappings, lists, texts, numbers, None.

        Raises
        ------
        TypeError
            If a field holds something that JSON does not know.
        """
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def to_json(self) -> str:
        """Return `to_dict` as JSON, as ``--json`` writes it.

        Raises
        ------
        ValueError
            If a number is not finite.
        """
        return json_text(self.to_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, View):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    kind = "a dataclass that is not a view" if is_dataclass(value) else type(value).__name__
    raise TypeError(f"a view holds plain data, not {kind}: {value!r}")


def plain_param(value: Any) -> Plain:
    """Return the value of a parameter as a table can hold it: lists and mappings as JSON."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    plain: Plain = value
    return plain
