"""Evaluators by name, with their settings."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evalkit.evaluators.base import Evaluator
    from evalkit.types import FrameChunk

    Progress = Callable[[float, float | None], None]
    """Called now and then with the seconds of the clip done, and of the whole clip where known."""
    FrameWatcher = Callable[[FrameChunk, Mapping[str, Sequence[Any]]], None]
    """Called with each chunk of frames and the points each tracker found in them."""


def load_evaluators(
    only: Iterable[str] | None = None, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Evaluator]:
    """Load evaluators.

    Parameters
    ----------
    only : iterable of str, optional
        Their names; all that are installed unless given.
    settings : mapping of str to mapping, optional
        Settings by the evaluator's name.

    Raises
    ------
    UsageError
        For an unknown evaluator, settings that it does not have or refuses, or that belong to none of those loaded.
    """
    wanted = registry.names(registry.EVALUATORS) if only is None else list(dict.fromkeys(only))
    settings = settings or {}
    for name in settings.keys() - set(wanted):
        raise UsageError(
            f"there are settings for the evaluator {name!r}, which is not among {', '.join(wanted)}"
        )
    return [_make_evaluator(name, settings.get(name, {})) for name in wanted]


def _make_evaluator(name: str, settings: Mapping[str, Any]) -> Evaluator:
    kind = registry.load(registry.EVALUATORS, name)
    known = signature(kind).parameters
    for given in settings.keys() - known.keys():
        there = ", ".join(known) or "none"
        raise UsageError(f"the evaluator {name!r} has no setting {given!r} (its settings: {there})")
    evaluator: Evaluator = kind(**settings)
    return evaluator


def version_of(evaluator: Evaluator) -> str:
    """Return an evaluator's version, and after it the identity of settings that decide its values, where any do."""
    identity = getattr(evaluator, "identity", "")
    return f"{evaluator.version} {identity}".rstrip()
