"""Names that a shell completes: of plug-ins, policies and the like, for every option and argument that takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

if TYPE_CHECKING:
    from collections.abc import Callable

_GROUPS = {
    "--generator": "evalkit.generators",
    "--executor": "evalkit.executors",
    "--only": "evalkit.evaluators",
    "--recogniser": "evalkit.recognisers",
    "--reducer": "evalkit.reducers",
}
"""Option to the group of plug-ins whose names it takes."""
_POLICIES = {"--policy", "name_or_file"}
_LISTS = {"--only"}
"""Options that take several names, between commas."""


class _Name(StringParamType):
    """A text of which names are known.

    Parameters
    ----------
    list_names : callable
        Names them; called when a shell asks.
    is_list : bool
        Whether several may be given, between commas.
    """

    def __init__(self, list_names: Callable[[], list[str]], *, is_list: bool = False) -> None:
        self.list_names = list_names
        self.is_list = is_list

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names that begin so; files where none does."""
        before, comma, last = incomplete.rpartition(",") if self.is_list else ("", "", incomplete)
        found = [name for name in self.list_names() if name.startswith(last)]
        if not found:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(f"{before}{comma}{name}") for name in found]


def offer_names(command: click.Command) -> None:
    """Have a shell complete the names that a command and those below it take."""
    for parameter in command.params:
        if isinstance(parameter.type, StringParamType) and not isinstance(parameter.type, _Name):
            for called in (*parameter.opts, str(parameter.name)):
                if (names := _names_for(called)) is not None:
                    parameter.type = _Name(names, is_list=called in _LISTS)
                    break
    for one in getattr(command, "commands", {}).values():
        offer_names(one)


def _names_for(called: str) -> Callable[[], list[str]] | None:
    if called in _POLICIES:
        return _list_policies
    if called in _GROUPS:
        return lambda: _list_plugins(_GROUPS[called])
    return None


def _list_plugins(group: str) -> list[str]:
    from evalkit import registry

    return registry.names(group)


def _list_policies() -> list[str]:
    from evalkit.decisions.policy import bundled_policies

    return bundled_policies()
