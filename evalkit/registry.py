"""The plug-ins that measuring is put together from, see `pipeline.plugins`; refusals are `EvalkitError` here."""

from __future__ import annotations

from typing import Any

from evalkit.errors import EvalkitError, UsageError
from pipeline import plugins
from pipeline.errors import RequestError
from pipeline.plugins import GENERATORS, RECOGNISERS

__all__ = ["EVALUATORS", "EXECUTORS", "GENERATORS", "RECOGNISERS", "PluginError", "load", "names"]

EVALUATORS = "evalkit.evaluators"
EXECUTORS = "evalkit.executors"


class PluginError(EvalkitError):
    """A plug-in that is installed and cannot be used: it does not load, or two have its name."""


def names(group: str) -> list[str]:
    """List the plug-in names of a group, sorted, importing none of them."""
    return plugins.list_plugins(group)


def load(group: str, name: str) -> Any:
    """Import one plug-in.

    Raises
    ------
    UsageError
        If no plug-in has that name; the message names the nearest.
    PluginError
        If it is installed and cannot be used.
    """
    try:
        return plugins.load_plugin(group, name)
    except plugins.PluginError as error:
        raise PluginError(str(error)) from error
    except RequestError as error:
        raise UsageError(str(error)) from None
