"""``evalkit signoff``: whether it is good enough to release."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.brand_options import brand_options, brand_settings
from evalkit.cli.load import is_run, load_table, read_where, write_outputs

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("run", type=click.Path())
@click.option("--policy", "policy_name", required=True, help="Bundled name (customer_service) or file.")
@click.option(
    "--where", multiple=True, help="NAME=VALUE: the configuration to release, where the run has several."
)
@click.option("--waivers", "waivers_path", type=_FILE, help="YAML file: metric, name, reason, expires.")
@click.option("--only", help="Evaluators to run on a folder of videos, separated by commas.")
@brand_options
@click.option("--jobs", type=click.IntRange(min=1), help="Videos measured at once.")
@click.option("--json", "json_path", type=_FILE, help="Write the verdict as JSON.")
@click.option("--junit", "junit_path", type=_FILE, help="Write the verdict as JUnit XML.")
@click.option("--html", "html_path", type=_FILE, help="Write the verdict as a page.")
@click.option(
    "--ledger", "ledger_path", type=_FILE, help="Ledger to append to; RUN/ledger.jsonl for a run folder."
)
@click.pass_context
def signoff(
    context: click.Context,
    *,
    run: str,
    policy_name: str,
    where: tuple[str, ...],
    waivers_path: Path | None,
    only: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    jobs: int | None,
    json_path: Path | None,
    junit_path: Path | None,
    html_path: Path | None,
    ledger_path: Path | None,
) -> None:
    """Judge RUN, a run folder or a folder of videos, by a policy. What is not known does not pass.

    Exit code: 0 pass, with or without waivers; 1 fail; 2 wrong use or nothing to judge.
    """
    from evalkit.decisions.ledger import append_to_ledger
    from evalkit.decisions.policy import load_policy, load_waivers
    from evalkit.decisions.signoff import Decision, sign_off
    from evalkit.errors import EvalkitError

    settings = brand_settings(brand, clip_model, clip_weights)
    try:
        table = load_table(run, only, jobs, settings) if is_run(run) else None
        policy = load_policy(policy_name, table.metrics.values() if table is not None else ())
        waivers = load_waivers(waivers_path, policy) if waivers_path is not None else ()
        table = table or load_table(run, only, jobs, settings)
        verdict = sign_off(table.where(read_where(where, table)), policy, waivers)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None

    from rich.console import Console

    from evalkit.reports.junit import junit_xml
    from evalkit.reports.signoff_page import render_signoff
    from evalkit.reports.terminal import print_signoff
    from evalkit.views.signoff import signoff_view

    view = signoff_view(verdict)
    print_signoff(Console(highlight=False), view)
    write_outputs(
        (json_path, view.to_json),
        (junit_path, lambda: junit_xml(view)),
        (html_path, lambda: render_signoff(view)),
    )
    if ledger_path is None and is_run(run):
        ledger_path = Path(run) / "ledger.jsonl"
    if ledger_path is not None:
        try:
            append_to_ledger(ledger_path, verdict)
        except EvalkitError as error:
            raise click.UsageError(str(error)) from None
        click.echo(f"appended to {ledger_path}")
    context.exit(1 if verdict.decision is Decision.FAIL else 0)
