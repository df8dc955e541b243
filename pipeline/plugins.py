"""Plug-ins through entry points. Ours come the same way as anybody's.

Listing names imports nothing; a plug-in is imported when it is loaded. An import that fails is reported as what it is,
never as "not found".
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pipeline.errors import RequestError
from pipeline.options import hint

GENERATORS = "evalkit.generators"
RECOGNISERS = "evalkit.recognisers"
ANSWERERS = "evalkit.answerers"
SPEECH_ENGINES = "evalkit.speech_engines"


class PluginError(RequestError):
    """A plug-in that is installed and cannot be used: it does not load, or two have its name."""


def list_plugins(group: str) -> list[str]:
    """List the names of the plug-ins of an entry-point group, sorted, importing none of them."""
    return sorted({point.name for point in _find(group)})


def load_plugin(group: str, name: str) -> Any:
    """Import one plug-in.

    Parameters
    ----------
    group : str
        Entry-point group; its last part is what the errors call it.
    name : str
        As its entry point is named.

    Raises
    ------
    RequestError
        If no plug-in has that name; the message names the nearest.
    PluginError
        If more than one has that name, or its import fails.
    """
    points = {point.value: point for point in _find(group) if point.name == name}
    kind = group.rpartition(".")[2].removesuffix("s").replace("_", " ")
    if not points:
        known = list_plugins(group)
        raise RequestError(f"no {kind} is named {name!r}{hint(name, known)} (there are: {', '.join(known)})")
    if len(points) > 1:
        raise PluginError(
            f"more than one {kind} is named {name!r}: {', '.join(sorted(points))}; uninstall all but one"
        )
    return _import(kind, *points.values())


def _find(group: str) -> tuple[EntryPoint, ...]:
    folders = [Path(folder) for folder in sys.path]
    return _read(group, tuple((folder, folder.stat().st_mtime_ns) for folder in folders if folder.exists()))


@lru_cache
def _read(group: str, _installed: tuple[tuple[Path, int], ...]) -> tuple[EntryPoint, ...]:
    """Read the entry points once for as long as nothing is installed: it takes 10 ms, and a judge asks often."""
    return tuple(entry_points(group=group))


def _import(kind: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"the {kind} {point.name!r} ({point.value}) does not load: {error}") from error
