"""The plug-ins that measuring is put together from, see `pipeline.plugins`; refusals are `EvalkitError` here.

A script or a notebook can add a plug-in for its own process, see `add`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from evalkit.errors import EvalkitError, UsageError
from pipeline import plugins
from pipeline.errors import RequestError
from pipeline.plugins import GENERATORS, RECOGNISERS

__all__ = [
    "EVALUATORS",
    "EXECUTORS",
    "EXPORTERS",
    "GENERATORS",
    "RECOGNISERS",
    "REDUCERS",
    "PluginError",
    "add",
    "is_session_only",
    "load",
    "names",
]

EVALUATORS = "evalkit.evaluators"
EXECUTORS = "evalkit.executors"
EXPORTERS = "evalkit.exporters"
REDUCERS = "evalkit.reducers"

_SESSION: dict[str, dict[str, Any]] = {}
"""Plug-ins of this process alone, by group and name: the one state here, and what `add` is for."""


class PluginError(EvalkitError):
    """A plug-in that is installed and cannot be used: it does not load, or two have its name."""


def names(group: str) -> list[str]:
    """List the plug-in names of a group, sorted, importing none of them."""
    return sorted({*plugins.list_plugins(group), *_SESSION.get(group, {})})


def load(group: str, name: str) -> Any:
    """Import one plug-in.

    Raises
    ------
    UsageError
        If no plug-in has that name; the message names the nearest.
    PluginError
        If it is installed and cannot be used.
    """
    session = _SESSION.get(group, {})
    if name in session:
        return session[name]
    try:
        return plugins.load_plugin(group, name)
    except plugins.PluginError as error:
        raise PluginError(str(error)) from error
    except RequestError as error:
        own = f"; registered in this process: {', '.join(sorted(session))}" if session else ""
        raise UsageError(f"{error}{own}") from None


def add(group: str, name: str, plugin: type) -> None:
    """Make a plug-in known to this process, until it ends.

    A class that is defined again (a notebook's cell that is run a second time) replaces its earlier definition.

    Raises
    ------
    UsageError
        If another plug-in has that name.
    """
    known = _SESSION.setdefault(group, {}).get(name)
    taken = [point.value for point in entry_points(group=group, name=name)]
    if known is not None and _origin(known) != _origin(plugin):
        taken.append(_origin(known))
    if taken:
        raise UsageError(f"the name {name!r} is taken in {group} by {taken[0]}; choose another")
    _SESSION[group][name] = plugin


def is_session_only(group: str, name: str) -> bool:
    """Say whether a plug-in is known to this process alone."""
    return name in _SESSION.get(group, {})


def _origin(plugin: type) -> str:
    return f"{plugin.__module__}:{plugin.__qualname__}"
