"""``evalkit evaluate``: measure videos, from the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.executor_options import chosen_executor, executor_options, refuse
from evalkit.cli.measuring_options import batch_options, brand_options, brand_settings, split_names
from evalkit.cli.outputs import check_folders, name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.page_options import frame_beside
from evalkit.cli.settings import take_pairs
from evalkit.words.language import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.decisions.policy import Policy
    from evalkit.measuring.results import Report

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
@click.option(
    "--policy", "policy_name", help="Bundled name (customer_service) or file: a verdict for each clip."
)
@click.option(
    "--html",
    "html_path",
    type=_FILE,
    help="Write a page, the worst clip first; pictures go beside it unless --evidence says where.",
)
@click.option(
    "--page-language",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Of the page and of the sentences.",
)
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
    policy_name: str | None,
    html_path: Path | None,
    page_language: str,
    jobs: int | None,
    stall_limit: float,
    executor: str | None,
    ray_address: str | None,
) -> None:
    """Measure CLIPS: video files, folders of them, or patterns such as 'videos/*.mp4'.

    With --policy each clip has a verdict. Of the policy's rules those are held against it that speak of a single clip; what needs
    many clips, attempts or people is said not to apply. What was not measured does not pass. Without --policy there is no verdict:
    what stands out is named beside what is usual, mostly of real speakers.

    Exit code: 0 when every clip could be measured, 1 when some could not or an evaluator failed, 2 for wrong use,
    130 when interrupted: what was measured by then is shown and written. With --policy also 1 when a clip does not pass
    a hard rule, or that cannot be told; a warning passes.
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
    from evalkit.decisions.policy import load_policy
    from evalkit.errors import EvalkitError
    from evalkit.formatting import count
    from evalkit.frames import csv_text
    from evalkit.measuring.pool import UNWRITTEN
    from evalkit.reports.clips_page import render_clips
    from evalkit.views.clips import clips_view

    if recogniser_settings and recogniser is None:
        raise click.UsageError("--recogniser-set belongs to --recogniser, who writes the sound down")
    name, executor_settings = chosen_executor(executor, ray_address)
    settings = brand_settings(brand, clip_model, clip_weights)
    if recogniser is not None:
        settings["speech"] = {"recogniser": recogniser, "settings": recogniser_settings}
    json_paths = [path for path in (json_path, out and out / "results.json") if path]
    csv_paths = [path for path in (csv_path, out and out / "results.csv") if path]
    if html_path is not None and evidence is None:
        evidence = html_path.with_name(f"{html_path.stem}_evidence")
    pages = [html_path] if html_path is not None else []
    check_folders(_output_folders([*json_paths, *csv_paths, *pages], evidence))
    interruption: api.InterruptedBatch | None = None
    try:
        policy = None if policy_name is None else load_policy(policy_name)
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
    shown = report.clips if interruption is None else interruption.measured
    view = clips_view(shown, policy, language=page_language, evidence=evidence)
    written = write_outputs(
        *((path, partial(_json, report, policy)) for path in json_paths),
        *((path, lambda: csv_text(report.frame())) for path in csv_paths),
        *((path, partial(render_clips, view, frame=frame_beside(path, page_language))) for path in pages),
    )
    show(shown, view)
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
    context.exit(0 if _is_fine(report, policy) and not unwritten else 1)


def _is_fine(report: Report, policy: Policy | None) -> bool:
    """Say whether everything was measured, and passes where there is a policy."""
    from evalkit.decisions.clip_verdicts import judge_result
    from evalkit.types import Reason

    measured = all(any(m.value is not None for m in result.measurements) for result in report.clips)
    failed = any(m.reason == Reason.EVALUATOR_FAILED for result in report.clips for m in result.measurements)
    passed = policy is None or all(judge_result(policy, result).is_passed for result in report.clips)
    return measured and not failed and passed


def _output_folders(files: Iterable[Path], evidence: Path | None) -> list[Path]:
    return [*(path.parent for path in files), *([evidence] if evidence is not None else [])]


def _json(report: Report, policy: Policy | None) -> str:
    """Return the results as JSON; with a policy each clip has its ``verdict``."""
    if policy is None:
        return report.to_json()
    from evalkit.decisions.clip_verdicts import judge_result
    from pipeline.options import json_text

    return json_text(
        [result.to_dict() | {"verdict": judge_result(policy, result).to_dict()} for result in report.clips]
    )
