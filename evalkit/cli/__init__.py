"""The command line: one thin function a command, imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {"generate": "evalkit.cli.generate:generate"}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        module, _, function = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command


@click.command(cls=_Commands)
def main() -> None:
    """Measure talking avatars."""
