"""``evalkit profile -- CMD…``: what any program costs, watched from outside."""

from __future__ import annotations

import os
import shlex
import textwrap
from pathlib import Path

import click

from evalkit.cli.outputs import say
from pipeline.options import json_text

_PICTURES = (".png", ".svg", ".pdf")
_FILE = click.Path(path_type=Path, dir_okay=False)
_NOT_RUNNABLE, _NOT_FOUND = 126, 127  # as shells say it


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("--json", "json_path", type=_FILE, help="Write the figures and the whole timeline as JSON.")
@click.option("--plot", "plot_path", type=_FILE, help="Draw the timeline: FILE.png, .svg or .pdf.")
@click.option(
    "--interval",
    "interval_ms",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    help="Milliseconds between two looks.",
)
@click.pass_context
def profile(
    context: click.Context,
    command: tuple[str, ...],
    json_path: Path | None,
    plot_path: Path | None,
    interval_ms: float,
) -> None:
    """Run CMD and measure its time, memory and GPUs, all its child processes included.

    CMD runs as without evalkit: no shell, its own input and output. The figures go to the error output.

    Exit code: that of CMD (128 + the signal that ended it); 127 no such program, 126 no program, 2 for wrong use.
    """
    from evalkit.cli.table import show_measurements
    from evalkit.errors import EvalkitError
    from evalkit.profiling.program import ProgramNotFoundError, ProgramNotRunnableError, profile_program

    _check_targets(json_path, plot_path)
    try:
        cost = profile_program(command, interval_s=interval_ms / 1000)
    except EvalkitError as error:
        say(f"Error: {error}", err=True)
        not_found = isinstance(error, ProgramNotFoundError)
        not_runnable = isinstance(error, ProgramNotRunnableError)
        context.exit(_NOT_FOUND if not_found else _NOT_RUNNABLE if not_runnable else 1)
    if json_path is not None:
        json_path.write_text(json_text(cost.to_dict(), indent=None), "utf-8")
    if plot_path is not None:
        from evalkit.reports.timeline_plot import draw_timeline

        draw_timeline(cost.timeline).savefig(plot_path)
    title = textwrap.shorten(shlex.join(command), 76, placeholder=" …")
    show_measurements(title, cost.measurements, cost.notes, stderr=True)
    for path in filter(None, (json_path, plot_path)):
        say(f"wrote {path}", err=True)
    context.exit(cost.exit_code if cost.exit_code >= 0 else 128 - cost.exit_code)


def _check_targets(json_path: Path | None, plot_path: Path | None) -> None:
    """Check, before the program is run, that what is seen of it can be written."""
    for option, path in (("--json", json_path), ("--plot", plot_path)):
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            raise click.UsageError(f"{option} {path}: there is no folder {folder}; make it first")
        if not os.access(folder, os.W_OK):
            raise click.UsageError(f"{option} {path}: nothing may be written into {folder}")
    if plot_path is not None and plot_path.suffix.lower() not in _PICTURES:
        raise click.UsageError(f"--plot {plot_path}: a picture ends in {', '.join(_PICTURES)}")
