"""The command line: one thin function a command, imported when it is called."""

from __future__ import annotations

import sys
from typing import Any

import click

import evalkit
from evalkit.cli.lazy import LazyGroup
from evalkit.cli.streams import INTERRUPTED, one_interruption, safe_streams
from evalkit.formatting import printable_lines

_COMMANDS = {
    "evaluate": ("evalkit.cli.evaluate:evaluate", "Measure talking-avatar videos."),
    "generate": ("evalkit.cli.generate:generate", "Make one talking video with a generator."),
    "doctor": ("evalkit.cli.doctor:doctor", "Say what would stop a generator, here or on a cluster."),
    "profile": ("evalkit.cli.profile:profile", "Run a program and measure its time, memory and GPUs."),
    "init": ("evalkit.cli.init:init", "Write a sweep, policy, brand or conversation to start from."),
    "sweep": ("evalkit.cli.sweep:sweep", "Find the best configuration: a grid on the same inputs."),
    "search": ("evalkit.cli.search:search", "Find the best configuration without making the whole grid."),
    "measure": ("evalkit.cli.measure:measure", "Measure what the videos of a run lack; make none."),
    "runs": ("evalkit.cli.runs:runs", "List runs: when, how far, and what was found."),
    "plan": ("evalkit.cli.plan:plan", "Say what memory and time a sweep will need, and what cannot fit."),
    "report": ("evalkit.cli.report:report", "Write the report of a sweep again."),
    "serve": ("evalkit.cli.serve:serve", "Show a folder of runs as pages: the list, each run, the trend."),
    "rate": ("evalkit.cli.rate:rate", "Ask people, blind, and say what their answers mean."),
    "compare": ("evalkit.cli.compare:compare", "Say which of two is better, and how sure that is."),
    "signoff": ("evalkit.cli.signoff:signoff", "Judge by a policy whether a release is good enough."),
    "validate": ("evalkit.cli.validate:validate", "Plant faults in your clips; see what the metrics see."),
    "import": (
        "evalkit.cli.import_scores:import_scores",
        "Bring in other tools' scores, and outcomes of live trials.",
    ),
    "export": ("evalkit.cli.export:export", "Put a run where you track experiments: MLflow or W&B."),
    "policy": ("evalkit.cli.policy:policy", "What a release has to pass: show, write or check a policy."),
    "ledger": ("evalkit.cli.ledger:ledger", "Show the verdicts ever given, and check that none was changed."),
    "prompts": ("evalkit.cli.prompts:prompts", "Templates for prompts, and what a prompt leaves out."),
    "list": (
        "evalkit.cli.list:list_plugins",
        "List the installed generators, evaluators with their metrics, and other plug-ins.",
    ),
}


class _Program(LazyGroup):
    """The commands of evalkit, as a program."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be the program: the exit code is the command's, whatever becomes of its terminal."""
        code: str | int | None = 0
        with one_interruption():
            with safe_streams() as problems:
                try:
                    self.main(*args, **kwargs)
                except SystemExit as error:
                    code = error.code
            for problem in problems:
                click.echo(f"Error: {problem}", err=True)
            sys.exit(1 if problems and not code else code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interruption from the keyboard has the exit code that shells give it.

        What an error quotes, a file's name or a program's words, moves no cursor.
        """
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            said = error.format_message()
            if printable_lines(said) == said:
                raise
            click.echo(f"Error: {printable_lines(said)}", err=True)
            ctx.exit(error.exit_code)
        except ModuleNotFoundError as error:
            from pipeline.extras import explain_missing

            if not (said := explain_missing(error)):
                raise
            click.echo(f"Error: {said}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Program, commands_at=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(evalkit.__version__)
def main() -> None:
    """Measure talking avatars: good enough to release, which configuration, which of two."""
