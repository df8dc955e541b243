"""``evalkit signoff``: whether it is good enough to release."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.measuring_options import brand_options, brand_settings, split_names
from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.page_options import language_option, page_with_videos, single_file_option
from evalkit.cli.settings import read_where

if TYPE_CHECKING:
    from evalkit.views.signoff import SignoffView

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("run", type=click.Path())
@click.option("--policy", "policy_name", required=True, help="Bundled name (customer_service) or file.")
@click.option(
    "--where", multiple=True, help="NAME=VALUE: the configuration to release, where the run has several."
)
@click.option(
    "--waivers",
    "waivers_path",
    type=_FILE,
    help="YAML file: waivers: and under it a list of metric, run, policy, value, name, reason, expires.",
)
@click.option(
    "--waiver-form",
    "form_path",
    type=_FILE,
    help="Write waivers of all gates that do not pass, to be signed: name, reason and expires are left open.",
)
@click.option(
    "--baseline",
    type=click.Path(),
    help="The last release, a run folder or a folder of videos: what became worse is a warning, even where the gate passes.",
)
@click.option(
    "--baseline-fails", is_flag=True, help="What became worse than the --baseline fails the release."
)
@click.option("--only", help="Evaluators to run on a folder of videos, separated by commas.")
@brand_options
@click.option("--jobs", type=click.IntRange(min=1), help="Processor cores that measure (default: all).")
@click.option("--json", "json_path", type=_FILE, help="Write the verdict as JSON.")
@click.option("--junit", "junit_path", type=_FILE, help="Write the verdict as JUnit XML.")
@click.option(
    "--sarif", "sarif_path", type=_FILE, help="Write the verdict as SARIF, for the code host's annotations."
)
@click.option(
    "--summary",
    "summary_path",
    type=_FILE,
    help='Append the verdict as Markdown, for the summary of a job: --summary "$GITHUB_STEP_SUMMARY".',
)
@click.option("--html", "html_path", type=_FILE, help="Write the verdict as a page.")
@single_file_option
@language_option
@click.option(
    "--ledger",
    "ledger_path",
    type=_FILE,
    help="Ledger to append to; RUN/decisions/ledger.jsonl for a run folder.",
)
@click.option(
    "--anchor",
    "anchor_path",
    type=_FILE,
    help="File, kept elsewhere, with the head of the ledger: the ledger has to continue it, and it gets the new head.",
)
@click.pass_context
def signoff(
    context: click.Context,
    *,
    run: str,
    policy_name: str,
    where: tuple[str, ...],
    waivers_path: Path | None,
    form_path: Path | None,
    baseline: str | None,
    baseline_fails: bool,
    only: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    jobs: int | None,
    json_path: Path | None,
    junit_path: Path | None,
    sarif_path: Path | None,
    summary_path: Path | None,
    html_path: Path | None,
    single_file: bool,
    language: str,
    ledger_path: Path | None,
    anchor_path: Path | None,
) -> None:
    """Judge RUN, a run folder or a folder of videos, by a policy. What is not known does not pass.

    The ledger is checked before anything is judged, and nothing is written where it is broken. Its head proves all its
    lines to whoever keeps it elsewhere (`evalkit ledger verify`).

    With --baseline all metrics of the policy are compared with the last release: over the clips of the same inputs, as
    `evalkit compare` does, or else by intervals that do not overlap. What became worse is a warning; with --baseline-fails it
    fails, and no waiver lifts it. Values of different versions of an evaluator are not compared. The gates are judged as without it.

    Exit code: 0 pass, with or without waivers; 1 fail; 2 wrong use, nothing to judge, or a broken ledger.
    """
    from rich.console import Console

    from evalkit.api import verdicts as api
    from evalkit.cli.progress import clip_progress
    from evalkit.decisions.ledger import (
        append_to_ledger,
        check_before_appending,
        ledger_of_run,
        note_on_place,
    )
    from evalkit.decisions.signoff import Decision
    from evalkit.errors import EvalkitError
    from evalkit.reports.job_summary import job_summary
    from evalkit.reports.junit import junit_xml
    from evalkit.reports.signoff_page import render_signoff
    from evalkit.reports.terminal import print_signoff
    from evalkit.views.signoff import signoff_view

    if baseline_fails and baseline is None:
        raise click.UsageError("--baseline-fails belongs to --baseline, the last release")
    if ledger_path is None and api.is_run_folder(run):
        ledger_path = ledger_of_run(Path(run))
        if (note := note_on_place(Path(run))) is not None:
            say(f"note: {note}", err=True)
    if anchor_path is not None and ledger_path is None:
        raise click.UsageError(
            "--anchor is of a ledger, and a folder of videos has none: name it with --ledger"
        )
    check_folders(
        path.parent
        for path in (json_path, junit_path, sarif_path, summary_path, html_path)
        if path is not None
    )
    try:
        if ledger_path is not None:
            check_before_appending(ledger_path, anchor_path)
        with clip_progress() as on_progress:
            verdict = api.signoff(
                run,
                policy_name,
                where=read_where(where),
                waivers=waivers_path,
                baseline=baseline,
                baseline_fails=baseline_fails,
                evaluators=split_names(only),
                settings=brand_settings(brand, clip_model, clip_weights),
                jobs=jobs,
                isolate=True,
                on_progress=on_progress,
                on_message=partial(say, err=True),
            )
        head = None if ledger_path is None else append_to_ledger(ledger_path, verdict, anchor_path)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    view = signoff_view(verdict)
    written = write_outputs(
        (json_path, view.to_json),
        (junit_path, lambda: junit_xml(view)),
        (
            html_path,
            lambda: page_with_videos(
                lambda frame: render_signoff(view, frame=frame),
                html_path or Path(),
                language,
                [one.clip.video for one in view.failing] if single_file else None,
            ),
        ),
        (sarif_path, lambda: _sarif(view, policy_name, run)),
        (summary_path, lambda: _so_far(summary_path) + job_summary(view)),
        (form_path, lambda: view.waiver_form),
    )
    print_signoff(Console(highlight=False), view)
    if head is not None:
        say(f"ledger head {head}")
        say(f"appended line {head.n_lines} to {ledger_path}")
    name_outputs(written.paths)
    refuse_unwritten(written)
    context.exit(1 if verdict.decision is Decision.FAIL else 0)


def _sarif(view: SignoffView, policy: str, run: str) -> str:
    from evalkit import __version__
    from evalkit.reports.sarif import place_of, sarif_text

    where, lines = place_of(policy, run)
    return sarif_text(view, where=where, version=__version__, lines=lines)


def _so_far(path: Path | None) -> str:
    """Return what earlier steps of a job wrote into its summary, such that what follows begins a line, and no list or table goes on."""
    if path is None or not path.is_file():
        return ""
    before = path.read_text("utf-8", errors="replace").rstrip("\n")
    return f"{before}\n\n" if before else ""
