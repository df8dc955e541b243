"""``evalkit validate``: plant faults in one's own clips, and see what the metrics see."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from evalkit.cli.executor_options import refuse
from evalkit.cli.measuring_options import batch_options, brand_options, brand_settings, split_names
from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.decisions import DEFAULT_POLICY

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("clips", nargs=-1, required=True)
@click.option(
    "--faults", help="Faults to plant, separated by commas (default: all); harmless changes always."
)
@click.option("--script", help="The words that are said, or @FILE with them.")
@click.option("--language", help="The language of the script, as in en or cmn.")
@brand_options
@click.option("--keep", type=_FOLDER, help="Folder that gets every planted clip, to be looked at.")
@click.option("--json", "json_path", type=_FILE, help="Write the card as JSON.")
@click.option("--html", "html_path", type=_FILE, help="Write the card as a page.")
@click.option(
    "--policy",
    "policy_name",
    default=DEFAULT_POLICY,
    show_default=True,
    help="Policy that --write-policy widens.",
)
@click.option(
    "--write-policy", "policy_path", type=_FILE, help="Write the policy with the dead bands found here."
)
@batch_options
@click.pass_context
def validate(
    context: click.Context,
    *,
    clips: tuple[str, ...],
    faults: str | None,
    script: str | None,
    language: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    keep: Path | None,
    json_path: Path | None,
    html_path: Path | None,
    policy_name: str,
    policy_path: Path | None,
    jobs: int | None,
    stall_limit: float,
) -> None:
    """Plant faults of known dose in CLIPS, measure them, and say what the metrics surely see.

    A fault is planted in five doses, from just noticeable to gross. Beside them harmless changes are made, another encoder or
    a crop: what these move a metric by is its dead band. A clip of 10 s takes a few minutes.

    Exit code: 0 when every fault that could be measured is followed by the metric that is meant to see it, 1 when one is
    not or nothing could be measured, 2 for wrong use, 130 when interrupted: what was measured by then is shown and written.
    """
    from rich.console import Console

    from evalkit.api.validate import InterruptedValidation
    from evalkit.api.validate import validate as plant_and_measure
    from evalkit.cli.progress import clip_progress
    from evalkit.cli.streams import INTERRUPTED
    from evalkit.decisions.dead_bands import widen_dead_bands
    from evalkit.decisions.policy import load_policy, policy_text
    from evalkit.errors import EvalkitError
    from evalkit.reports.validation_page import print_validation, render_validation

    folders = [path.parent for path in (json_path, html_path, policy_path) if path is not None]
    check_folders([*folders, *([keep] if keep else [])])
    interrupted = False
    try:
        if policy_path is not None:
            load_policy(policy_name)
        with clip_progress("planting and measuring", "dose") as on_progress:
            validation = plant_and_measure(
                clips,
                faults=split_names(faults),
                settings=brand_settings(brand, clip_model, clip_weights),
                script=Path(script[1:]) if script and script.startswith("@") else script,
                language=language,
                keep=keep,
                jobs=jobs,
                stall_limit_s=stall_limit,
                on_progress=on_progress,
                on_message=partial(say, err=True),
            )
    except EvalkitError as error:
        refuse(error)
    except InterruptedValidation as error:
        interrupted, validation = True, error.validation
    widened = None
    if policy_path is not None:
        widened = widen_dead_bands(policy_text(policy_name), load_policy(policy_name), validation.dead_bands)
    written = write_outputs(
        (json_path, validation.to_json),
        (html_path, partial(render_validation, validation)),
        (policy_path, lambda: widened.text if widened else ""),
    )
    print_validation(Console(highlight=False), validation)
    if widened is not None:
        unchanged = "no dead band of the policy has to be wider"
        if not validation.steadiness:
            unchanged = "the policy keeps its dead bands: of no clip all harmless changes were measured"
        for line in widened.changes or (unchanged,):
            say(line)
        for line in widened.doubts:
            say(f"warning: {line}", err=True)
    name_outputs([*written.paths, *([keep] if keep else [])])
    refuse_unwritten(written)
    if interrupted:
        say(f"interrupted: {validation.n_measured} of {validation.n_planned} doses were measured", err=True)
        context.exit(INTERRUPTED)
    context.exit(0 if validation.passes else 1)
