"""Plug-ins that a pipeline is put together from, found through entry points and imported when they are used."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from typing import Any

from pipeline.errors import RequestError

GENERATORS = "evalkit.generators"
RECOGNISERS = "evalkit.recognisers"
ANSWERERS = "evalkit.answerers"
SPEECH_ENGINES = "evalkit.speech_engines"


def load_plugin(group: str, name: str) -> Any:
    """Import one plug-in.

    Raises
    ------
    RequestError
        If none or more than one has that name in the group, or its import fails.
    """
    found = {point.value: point for point in entry_points(group=group, name=name)}
    kind = group.rpartition(".")[2].removesuffix("s").replace("_", " ")
    if not found:
        known = sorted(point.name for point in entry_points(group=group))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RequestError(f"no {kind} is named {name!r}{hint} (there are: {', '.join(known)})")
    if len(found) > 1:
        raise RequestError(f"more than one {kind} is named {name!r}: {', '.join(sorted(found))}")
    (point,) = found.values()
    try:
        return point.load()
    except Exception as error:
        raise RequestError(f"the {kind} {name!r} ({point.value}) does not load: {error}") from error
