"""Plug-ins through entry points. Ours come the same way as anybody's.

Listing names imports nothing; a plug-in is imported when it is loaded. An import that fails is reported as
what it is, never as "not found". A script or a notebook can add a plug-in for its own process; see `add`.
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


class PluginError(EvalkitError):
    """A plug-in that is installed but does not load, or two of one name."""


_SESSION: dict[str, dict[str, Any]] = {}
"""Plug-ins of this process alone, by group and name: the one state here, and what `add` is for."""


def names(group: str) -> list[str]:
    """List the plug-in names of a group, sorted, importing none of them."""
    return sorted({*_by_name(group), *_SESSION.get(group, {})})


def add(group: str, name: str, plugin: Any) -> None:
    """Make a plug-in known to this process, until it ends.

    A class that is defined again (a notebook's cell that is run a second time) takes the place of its former self.

    Raises
    ------
    UsageError
        If another plug-in has that name.
    """
    known = _SESSION.setdefault(group, {}).get(name)
    again = known is not None and _origin(known) == _origin(plugin)
    if not again and name in names(group):
        taken = _by_name(group)[name].value if known is None else ".".join(_origin(known))
        raise UsageError(f"the name {name!r} is taken in {group} by {taken}; choose another")
    _SESSION[group][name] = plugin


def is_session_only(group: str, name: str) -> bool:
    """Say whether a plug-in is known to this process alone."""
    return name in _SESSION.get(group, {})


def load(group: str, name: str) -> Any:
    """Import one plug-in.

    Raises
    ------
    UsageError
        If no plug-in has that name; the message names the nearest.
    PluginError
        If it is installed but its import fails.
    """
    if is_session_only(group, name):
        return _SESSION[group][name]
    found = _by_name(group)
    if name not in found:
        known = names(group)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        kind = group.rpartition(".")[2].removesuffix("s")
        raise UsageError(f"no {kind} is named {name!r}{hint} (there are: {', '.join(known)})")
    try:
        return found[name].load()
    except Exception as error:
        raise PluginError(f"plug-in {name!r} ({found[name].value}) does not load: {error}") from error


def _origin(plugin: Any) -> tuple[str, str]:
    return plugin.__module__, plugin.__qualname__


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
