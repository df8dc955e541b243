"""The command line: one thin function a command, imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

import evalkit

_COMMANDS = {
    "evaluate": ("evalkit.cli.evaluate:evaluate", "Measure talking-avatar videos."),
    "generate": ("evalkit.cli.generate:generate", "Make one talking video with a generator."),
    "doctor": ("evalkit.cli.doctor:doctor", "Say what would stop a generator on this machine."),
    "profile": ("evalkit.cli.profile:profile", "Run a program and measure its time, memory and GPUs."),
    "sweep": ("evalkit.cli.sweep:sweep", "Find the best configuration: a grid on the same inputs."),
    "measure": ("evalkit.cli.measure:measure", "Measure what the videos of a run lack; make none."),
    "runs": ("evalkit.cli.runs:runs", "List runs: when, how far, and what was found."),
    "plan": ("evalkit.cli.plan:plan", "Say what memory and time a sweep will need, and what cannot fit."),
    "report": ("evalkit.cli.report:report", "Write the report of a sweep again."),
    "compare": ("evalkit.cli.compare:compare", "Say which of two is better, and how sure that is."),
    "signoff": ("evalkit.cli.signoff:signoff", "Judge by a policy whether a release is good enough."),
    "policy": ("evalkit.cli.policy:policy", "What a release has to pass: show, write or check a policy."),
    "ledger": ("evalkit.cli.ledger:ledger", "Show the verdicts ever given, and check that none was changed."),
    "prompts": ("evalkit.cli.prompts:prompts", "Templates for prompts, and what a prompt leaves out."),
    "list": (
        "evalkit.cli.list:list_plugins",
        "List the installed generators, evaluators with their metrics, and other plug-ins.",
    ),
}


_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """Names and one-line helps are known without importing any command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interruption from the keyboard has the exit code that shells give it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(_INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(evalkit.__version__)
def main() -> None:
    """Measure talking avatars: good enough to release, which configuration, which of two."""
