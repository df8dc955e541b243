"""``evalkit report``: what a run says."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import name_outputs, refuse_unwritten, write_outputs
from evalkit.cli.page_options import language_option


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--timelines", is_flag=True, help="Draw the memory of every trial, however many there are.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON."
)
@language_option
def report(run: Path, timelines: bool, json_path: Path | None, language: str) -> None:
    """Write report.html and report.md of the run folder RUN again.

    Exit code: 0 when written, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.reports.run_report import HTML_NAME, MARKDOWN_NAME, write_report
    from evalkit.visuals.page import PageFrame

    try:
        view = write_report(run, all_timelines=timelines, frame=PageFrame(language))
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"{run} cannot be written: {error.strerror}") from None
    written = write_outputs((json_path, view.to_json))
    name_outputs([*written.paths, run / MARKDOWN_NAME, run / HTML_NAME])
    refuse_unwritten(written)
