"""Evaluators by name, with their settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator
from pipeline.extras import find_obstacle
from pipeline.options import hint


def load_evaluators(
    only: Iterable[str] | None = None, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Evaluator]:
    """Load evaluators.

    Parameters
    ----------
    only : iterable of str, optional
        Their names; all that are installed and complete unless given, see `find_incomplete`.
    settings : mapping of str to mapping, optional
        Settings by the evaluator's name.

    Raises
    ------
    UsageError
        For an unknown evaluator or one that lacks its extra, settings that it does not have or refuses, or that belong
        to none of those loaded.
    PluginError
        If an evaluator does not load, or is not an `Evaluator`.
    """
    incomplete = find_incomplete(registry.names(registry.EVALUATORS) if only is None else only)
    installed = [name for name in registry.names(registry.EVALUATORS) if name not in incomplete]
    wanted = installed if only is None else list(dict.fromkeys(only))
    settings = settings or {}
    for name in incomplete if only is not None else settings.keys() & incomplete.keys():
        raise UsageError(f"the evaluator {name!r} cannot be used: {incomplete[name]}")
    for name in settings.keys() - set(wanted):
        raise UsageError(
            f"there are settings for the evaluator {name!r}, which is not among {', '.join(wanted)}"
        )
    return [make_evaluator(evaluator_class(name), settings.get(name, {})) for name in wanted]


def find_incomplete(names: Iterable[str]) -> dict[str, str]:
    """Say of evaluators that lack the extra with their libraries what is missing and how to get it, by name.

    Raises
    ------
    UsageError, PluginError
        As `evaluator_class`.
    """
    found = {name: find_obstacle(evaluator_class(name)) for name in names}
    return {name: obstacle for name, obstacle in found.items() if obstacle}


def evaluator_class(name: str) -> type[Evaluator]:
    """Return an installed evaluator's class.

    Raises
    ------
    UsageError
        If no evaluator has that name.
    PluginError
        If it does not load, or is not an `Evaluator`.
    """
    kind = registry.load(registry.EVALUATORS, name)
    if not (isinstance(kind, type) and issubclass(kind, Evaluator)):
        raise registry.PluginError(
            f"the evaluator {name!r} is {kind!r}, which does not subclass evalkit.evaluators.base.Evaluator"
        )
    return kind


def make_evaluator(kind: type[Evaluator], settings: Mapping[str, Any]) -> Evaluator:
    """Make an evaluator with its settings.

    Raises
    ------
    UsageError
        For a setting that it does not have, by name, or one that it refuses.
    """
    check_setting_names(kind, settings)
    return kind(**settings)


def check_setting_names(kind: type[Evaluator], settings: Mapping[str, Any]) -> None:
    """Refuse, with a `UsageError`, a setting that an evaluator does not have; none is made."""
    known = kind.setting_names()
    for given in settings.keys() - set(known):
        raise UsageError(
            f"the evaluator {kind.name!r} has no setting {given!r}{hint(given, known)} "
            f"(its settings: {', '.join(known) or 'none'})"
        )


def anchor_settings(settings: Mapping[str, Mapping[str, Any]], base: Path) -> dict[str, dict[str, Any]]:
    """Return settings of evaluators, by name, whose relative paths start at a folder and are stored as absolute ones.

    Raises
    ------
    UsageError
        If no evaluator has one of the names.
    """
    return {name: evaluator_class(name).anchor(given, base.absolute()) for name, given in settings.items()}


def prepare_evaluators(evaluators: Iterable[Evaluator], notify: Callable[[str], None]) -> None:
    """Prepare each evaluator, before workers begin; see `Evaluator.prepare`."""
    for evaluator in evaluators:
        evaluator.prepare(notify)


def version_of(evaluator: Evaluator) -> str:
    """Return an evaluator's version, and after it the identity of settings that decide its values, where any do."""
    return f"{evaluator.version} {evaluator.identity}".rstrip()
