"""Plug-ins through entry points. Ours come the same way as anybody's.

Listing names imports nothing; a plug-in is imported when it is loaded. An import that fails is reported as
what it is, never as "not found".
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from evalkit.errors import EvalkitError, UsageError

EVALUATORS = "evalkit.evaluators"
GENERATORS = "evalkit.generators"
EXECUTORS = "evalkit.executors"
RECOGNISERS = "evalkit.recognisers"
REDUCERS = "evalkit.reducers"


class PluginError(EvalkitError):
    """A plug-in that is installed but does not load, or two of one name."""


def names(group: str) -> list[str]:
    """List the plug-in names of a group, sorted, importing none of them."""
    return sorted(_by_name(group))


def load(group: str, name: str) -> Any:
    """Import one plug-in.

    Raises
    ------
    UsageError
        If no plug-in has that name; the message names the nearest.
    PluginError
        If it is installed but its import fails.
    """
    found = _by_name(group)
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        kind = group.rpartition(".")[2].removesuffix("s")
        raise UsageError(f"no {kind} is named {name!r}{hint} (there are: {', '.join(sorted(found))})")
    try:
        return found[name].load()
    except Exception as error:
        raise PluginError(f"plug-in {name!r} ({found[name].value}) does not load: {error}") from error


def _by_name(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        known = found.get(point.name)
        if known is not None and known.value != point.value:
            raise PluginError(
                f"two plug-ins are named {point.name!r} in {group}: {known.value} and {point.value}; "
                f"uninstall one of them"
            )
        found[point.name] = point
    return found
