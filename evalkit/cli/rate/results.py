"""``evalkit rate results``: what people said of a run."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, write_outputs

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--policy", help="Bundled name or file, for its limits (default: the run's own).")
@click.option("--json", "json_path", type=_FILE, help="Write the results as JSON.")
@click.option("--html", "html_path", type=_FILE, help="Write the results as a page.")
def results(run: Path, policy: str | None, json_path: Path | None, html_path: Path | None) -> None:
    """Say what people think of the configurations of RUN, and how far they can be believed.

    Mean opinions after screening with 95 % intervals, the estimate of maximum likelihood beside them, preferences, how far
    raters agree, who was screened out and why, and how many more raters are needed.

    Exit code: 0, also where nobody was asked yet; 2 for wrong use.
    """
    from rich.console import Console

    from evalkit.api.ratings import rate_results
    from evalkit.errors import EvalkitError
    from evalkit.reports.ratings_page import print_ratings, render_ratings

    check_folders(path.parent for path in (json_path, html_path) if path is not None)
    try:
        view = rate_results(run, policy=policy)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    written = write_outputs((json_path, view.to_json), (html_path, lambda: render_ratings(view)))
    print_ratings(Console(highlight=False), view)
    name_outputs(written.paths)
    refuse_unwritten(written)
