"""``evalkit measure``: measure what the videos of a run lack, from the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.executor_options import chosen_executor, executor_options, refuse
from evalkit.cli.measuring_options import batch_options, brand_options, brand_settings, split_names
from evalkit.cli.outputs import name_outputs, say
from evalkit.cli.streams import INTERRUPTED

if TYPE_CHECKING:
    from evalkit.measuring.run import MeasuringOutcome


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--only", help="Evaluators to measure with, separated by commas (default: those that the run has)."
)
@click.option("--all", "everything", is_flag=True, help="Measure with every installed evaluator.")
@brand_options
@click.option("--retry-failed", is_flag=True, help="Measure again what crashed or failed.")
@click.option(
    "--evidence/--no-evidence", default=True, help="Keep pictures of what was measured (default: yes)."
)
@batch_options
@executor_options
@click.pass_context
def measure(  # noqa: PLR0917 - click passes them by name
    context: click.Context,
    run: Path,
    only: str | None,
    everything: bool,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    retry_failed: bool,
    evidence: bool,
    jobs: int | None,
    stall_limit: float,
    executor: str | None,
    ray_address: str | None,
) -> None:
    """Measure what the videos of the run folder RUN lack, and write its tables and report again.

    No video is made. What is measured stays measured: the same command again goes on where it was ended.

    Exit code: 0 when every video could be measured, 1 when some could not, 2 for wrong use, 130 interrupted.
    """
    from evalkit import registry
    from evalkit.api import runs as api
    from evalkit.cli.progress import clip_progress
    from evalkit.errors import EvalkitError

    if everything and only is not None:
        raise click.UsageError("--all and --only exclude each other")
    name, executor_settings = chosen_executor(executor, ray_address)
    settings = brand_settings(brand, clip_model, clip_weights)
    try:
        with clip_progress() as show:
            outcome = api.fill_gaps(
                run,
                evaluators=registry.names(registry.EVALUATORS) if everything else split_names(only),
                settings=settings,
                retry_failed=retry_failed,
                evidence=evidence,
                jobs=jobs,
                stall_limit_s=stall_limit,
                executor=name,
                executor_settings=executor_settings,
                on_progress=show,
                on_message=partial(say, err=True),
            )
    except EvalkitError as error:
        refuse(error, kept="what is measured is kept, and the same command goes on")
    except OSError as error:
        say(f"Error: {run} cannot be written: {error.strerror}; what is measured is kept", err=True)
        context.exit(1)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on", err=True)
        context.exit(INTERRUPTED)
    _print_outcome(outcome)
    context.exit(1 if outcome.problems else 0)


def _print_outcome(outcome: MeasuringOutcome) -> None:
    from evalkit.formatting import count
    from evalkit.reports.run_report import HTML_NAME

    for note in outcome.notes:
        say(f"note: {note}", err=True)
    for video_id, text in outcome.problems.items():
        say(f"  {video_id}: {text}", err=True)
    if outcome.problems:
        say("  --retry-failed measures again what failed", err=True)
    versions = ", ".join(f"{name} {version}" for name, version in outcome.run.manifest.evaluators.items())
    if outcome.n_without_video:
        say(f"{count(outcome.n_without_video, 'trial')} without a video, which failed", err=True)
    measured, complete = count(outcome.n_measurements, "measurement"), outcome.n_complete
    if outcome.n_videos:
        videos = count(outcome.n_videos, "video")
        say(f"{measured} of {videos}; {complete} lacked nothing ({versions})")
    elif outcome.problems:
        videos = count(len(outcome.problems), "video")
        say(f"nothing could be measured of {videos}; {complete} lacked nothing ({versions})")
    else:
        say(f"nothing is missing: {count(complete, 'video')} measured ({versions})")
    if outcome.has_changed:
        name_outputs([outcome.run.folder / HTML_NAME])
