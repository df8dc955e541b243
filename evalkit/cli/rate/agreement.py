"""``evalkit rate agreement``: how far each metric agrees with people, and where they begin to object."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, write_outputs

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path())
@click.option(
    "--policy",
    "policy_name",
    help="Bundled name or file: its limits stand beside what raters say. Default: the one that the first run names.",
)
@click.option("--json", "json_path", type=_FILE, help="Write the agreement as JSON.")
@click.option("--html", "html_path", type=_FILE, help="Write the agreement as a page.")
def agreement(
    *, runs: tuple[str, ...], policy_name: str | None, json_path: Path | None, html_path: Path | None
) -> None:
    """Say how far each metric of RUNS agrees with what people said of the same clips.

    For each metric the rank correlation with the mean opinion, and the value from which on raters object, beside the
    policy's limit. Several runs are pooled, each within itself.

    Exit code: 0 when said, also that nothing is known; 2 for wrong use.
    """
    from rich.console import Console

    from evalkit.api.ratings import rate_agreement
    from evalkit.errors import EvalkitError
    from evalkit.reports.agreement_page import print_agreement, render_agreement

    check_folders(path.parent for path in (json_path, html_path) if path is not None)
    try:
        view = rate_agreement(runs, policy=policy_name)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    written = write_outputs((json_path, view.to_json), (html_path, lambda: render_agreement(view)))
    print_agreement(Console(highlight=False), view)
    name_outputs(written.paths)
    refuse_unwritten(written)
