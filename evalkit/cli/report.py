"""``evalkit report``: what a run says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.page_options import language_option

if TYPE_CHECKING:
    from evalkit.views.run import RunView

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--timelines", is_flag=True, help="Draw the memory of every trial, however many there are.")
@click.option(
    "--single-file",
    "single_path",
    type=_FILE,
    help="Write the report as one HTML file with small previews of its videos, to be mailed: less than 25 MB.",
)
@click.option(
    "--zip", "zip_path", type=_FILE, help="Write the report and everything it leads to as one ZIP file."
)
@click.option("--json", "json_path", type=_FILE, help="Write the report as JSON.")
@language_option
def report(
    *,
    run: Path,
    timelines: bool,
    single_path: Path | None,
    zip_path: Path | None,
    json_path: Path | None,
    language: str,
) -> None:
    """Write report.html and report.md of the run folder RUN again.

    Exit code: 0 when written, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.reports.bundle import write_archive
    from evalkit.reports.run_report import HTML_NAME, MARKDOWN_NAME, write_report
    from evalkit.visuals.page import PageFrame

    check_folders(path.parent for path in (single_path, zip_path, json_path) if path is not None)
    page = run / HTML_NAME
    try:
        view = write_report(run, all_timelines=timelines, frame=PageFrame(language))
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"{run} cannot be written: {error.strerror}") from None
    try:
        single = "" if single_path is None else _bundle(page, run, view)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    written = write_outputs((json_path, view.to_json), (single_path, lambda: single))
    name_outputs([*written.paths, run / MARKDOWN_NAME, page])
    if zip_path is not None:
        try:
            zip_path.parent.mkdir(parents=True, exist_ok=True)
            n_files = write_archive(page, run, zip_path)
        except EvalkitError as error:
            raise click.UsageError(str(error)) from None
        except OSError as error:
            raise click.UsageError(f"{zip_path} cannot be written: {error.strerror}") from None
        say(f"wrote {zip_path} ({n_files} files)")
    refuse_unwritten(written)


def _bundle(page: Path, run: Path, view: RunView) -> str:
    """Return the report with previews: of what is recommended and its rival first, then of the clips that are worst."""
    from evalkit.reports.bundle import bundle_page

    wanted = [view.answer.configuration, view.answer.other]
    with_video = [trial for trial in view.trials if trial.video is not None]
    with_video.sort(key=lambda trial: (trial.configuration not in wanted, -len(trial.beyond)))
    first = [run / trial.video for trial in with_video if trial.video is not None]
    bundle = bundle_page(page.read_text("utf-8"), run, [run], first=first)
    if bundle.n_elsewhere:
        say(f"{bundle.n_elsewhere} videos have no room in one file: they are in the run", err=True)
    return bundle.page
