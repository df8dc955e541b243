"""``evalkit evaluate``: measure videos, from the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from evalkit.cli.executor_options import chosen_executor, executor_options, refuse
from evalkit.cli.measuring_options import batch_options, brand_options, brand_settings, split_names
from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.settings import take_pairs

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("clips", nargs=-1, required=True)
@click.option("--audio", type=click.Path(), help="A separate sound file, for a single clip.")
@click.option("--only", help="Evaluators to run, separated by commas (see `evalkit list`).")
@click.option("--script", help="The words that should be said, or @FILE with them.")
@click.option("--language", help="The language of the script, as in en or cmn.")
@click.option(
    "--recogniser", help="Who writes the sound down for `speech` (default: the best that is installed)."
)
@click.option(
    "--recogniser-set",
    "recogniser_settings",
    multiple=True,
    callback=take_pairs,
    help="NAME=VALUE, a setting of the recogniser.",
)
@click.option("--prompt", help="What the pictures were asked to show, where a metric needs it.")
@brand_options
@click.option("--out", type=_FOLDER, help="Folder for results.json and results.csv.")
@click.option("--json", "json_path", type=_FILE, help="Write the results as JSON.")
@click.option("--csv", "csv_path", type=_FILE, help="Write the results as a table.")
@click.option("--evidence", type=_FOLDER, help="Folder for pictures of what was seen.")
@batch_options
@executor_options
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    *,
    clips: tuple[str, ...],
    audio: str | None,
    only: str | None,
    script: str | None,
    language: str | None,
    recogniser: str | None,
    recogniser_settings: dict[str, Any],
    prompt: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    out: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
    evidence: Path | None,
    jobs: int | None,
    stall_limit: float,
    executor: str | None,
    ray_address: str | None,
) -> None:
    """Measure CLIPS: video files, folders of them, or patterns such as 'videos/*.mp4'.

    Exit code: 0 when every clip could be measured, 1 when some could not or an evaluator failed, 2 for wrong use,
    130 when interrupted: what was measured by then is shown and written.
    """
    from evalkit.isolation import worker_ahead

    if (
        len(clips) == 1 and jobs is None and executor is None and ray_address is None
    ):  # a worker that has all cores; it imports what it needs while this process does
        context.with_resource(worker_ahead("evalkit.measuring.ready:get_ready"))

    from evalkit.api import clips as api
    from evalkit.cli.progress import clip_progress
    from evalkit.cli.streams import INTERRUPTED
    from evalkit.cli.table import show
    from evalkit.errors import EvalkitError
    from evalkit.formatting import count
    from evalkit.frames import csv_text
    from evalkit.measuring.pool import UNWRITTEN
    from evalkit.types import Reason

    if recogniser_settings and recogniser is None:
        raise click.UsageError("--recogniser-set belongs to --recogniser, who writes the sound down")
    name, executor_settings = chosen_executor(executor, ray_address)
    settings = brand_settings(brand, clip_model, clip_weights)
    if recogniser is not None:
        settings["speech"] = {"recogniser": recogniser, "settings": recogniser_settings}
    json_paths = [path for path in (json_path, out and out / "results.json") if path]
    csv_paths = [path for path in (csv_path, out and out / "results.csv") if path]
    check_folders([*(path.parent for path in (*json_paths, *csv_paths)), *([evidence] if evidence else [])])
    interruption: api.InterruptedBatch | None = None
    try:
        with clip_progress() as on_progress:
            report = api.evaluate(
                clips,
                evaluators=split_names(only),
                settings=settings,
                audio=audio,
                script=Path(script[1:]) if script and script.startswith("@") else script,
                language=language,
                prompt=prompt,
                evidence=evidence,
                jobs=jobs,
                isolate=True,
                stall_limit_s=stall_limit,
                executor=name,
                executor_settings=executor_settings,
                on_progress=on_progress,
                on_message=partial(say, err=True),
            )
    except EvalkitError as error:
        refuse(error)
    except api.InterruptedBatch as error:
        interruption, report = error, error.report
    written = write_outputs(
        *((path, report.to_json) for path in json_paths),
        *((path, lambda: csv_text(report.frame())) for path in csv_paths),
    )
    show(report.clips if interruption is None else interruption.measured)
    name_outputs([*written.paths, *([evidence] if evidence else [])])
    refuse_unwritten(written)
    unwritten = [note for result in report.clips for note in result.notes if note.startswith(UNWRITTEN)]
    if unwritten:
        say(f"Error: {evidence} lacks {count(len(unwritten), 'clip')}, first: {unwritten[0]}", err=True)
    if interruption is not None:
        say(
            f"interrupted: {len(interruption.measured)} of {count(len(report), 'clip')} were measured",
            err=True,
        )
        context.exit(INTERRUPTED)
    measured = all(any(m.value is not None for m in result.measurements) for result in report.clips)
    failed = any(m.reason == Reason.EVALUATOR_FAILED for result in report.clips for m in result.measurements)
    context.exit(0 if measured and not failed and not unwritten else 1)
