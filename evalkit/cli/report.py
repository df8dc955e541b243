"""``evalkit report``: tell again what a run says, from the command line."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--timelines", is_flag=True, help="Draw the memory of every trial, however many there are.")
def report(run: Path, timelines: bool) -> None:
    """Write report.html and report.md of the run folder RUN again.

    Exit code: 0 when written, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.reports.run_report import HTML_NAME, MARKDOWN_NAME, write_report

    try:
        write_report(run, all_timelines=timelines)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"{run} cannot be written: {error.strerror}") from None
    for name in (MARKDOWN_NAME, HTML_NAME):
        click.echo(f"wrote {run / name}")
