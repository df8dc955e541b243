"""``evalkit evaluate``: measure videos, from the command line."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.brand_options import brand_options, brand_settings, prepare
from evalkit.cli.settings import read_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.results import ClipResult
    from evalkit.types import ClipIntent

_SUFFIXES = {".mp4", ".mov", ".m4v", ".avi", ".mpg", ".mpeg", ".webm", ".mkv", ".ts", ".wmv", ".flv"}


@click.command()
@click.argument("clips", nargs=-1, required=True)
@click.option("--audio", type=click.Path(), help="A separate sound file, for a single clip.")
@click.option("--only", help="Evaluators to run, separated by commas (see `evalkit list`).")
@click.option("--script", help="The words that should be said, or @FILE with them.")
@click.option("--language", help="The language of the script, as in en or cmn.")
@click.option("--recogniser", help="Who writes the sound down for `speech` (default: pocketsphinx).")
@click.option(
    "--recogniser-set",
    "recogniser_settings",
    multiple=True,
    callback=read_pairs,
    help="NAME=VALUE, a setting of the recogniser.",
)
@click.option("--prompt", help="What the pictures were asked to show, where a metric needs it.")
@brand_options
@click.option("--out", type=click.Path(file_okay=False), help="Folder for results.json and results.csv.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Write the results as JSON.")
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False), help="Write the results as a table.")
@click.option("--evidence", type=click.Path(file_okay=False), help="Folder for pictures of what was seen.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Clips measured at once (default: one for every two cores)."
)
@click.option(
    "--stall-limit",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Give a clip up after this many seconds without progress.",
)
@click.pass_context
def evaluate(  # noqa: PLR0917 - click passes them by name
    context: click.Context,
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
    out: str | None,
    json_path: str | None,
    csv_path: str | None,
    evidence: str | None,
    jobs: int | None,
    stall_limit: float,
) -> None:
    """Measure CLIPS: video files, folders of them, or patterns such as 'videos/*.mp4'.

    Exit code: 0 when every clip could be measured, 1 when some could not, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.evaluators.load import load_evaluators
    from evalkit.measuring.results import Report
    from evalkit.types import ClipIntent

    if recogniser_settings and recogniser is None:
        raise click.UsageError("--recogniser-set belongs to --recogniser, who writes the sound down")
    settings = brand_settings(brand, clip_model, clip_weights)
    if recogniser is not None:
        settings["speech"] = {"recogniser": recogniser, "settings": recogniser_settings}
    try:
        paths = expand(clips)
        if audio is not None and len(paths) != 1:
            raise click.UsageError(f"--audio belongs to a single clip, and there are {len(paths)}")
        names = None if only is None else tuple(name.strip() for name in only.split(",") if name.strip())
        evaluators = load_evaluators(names, settings)
        targets = _targets(out, json_path, csv_path, evidence)
        prepare(evaluators)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    intent = ClipIntent(_read_script(script, language), language, prompt)
    tasks = [ClipTask(path, audio, names, evidence, settings, intent) for path in paths]
    results = measure_all(tasks, jobs or max(1, (os.cpu_count() or 1) // 2), stall_limit)

    from evalkit.cli.table import show

    show(results)
    report = Report(tuple(results))
    for kind, target in targets:
        text = report.to_json() + "\n" if kind == "json" else report.frame().to_csv(index=False)
        target.write_text(text, encoding="utf-8")
        click.echo(f"wrote {target}")
    if evidence is not None:
        click.echo(f"wrote {evidence}")
    measured = [any(m.value is not None for m in result.measurements) for result in results]
    context.exit(0 if all(measured) else 1)


def _read_script(script: str | None, language: str | None) -> str | None:
    """Return the words of a script, or of the file it names."""
    if script is None:
        if language is not None:
            raise click.UsageError("--language belongs to --script, the words that should be said")
        return None
    if language is None:
        raise click.UsageError("--script needs --language, as in --language en")
    if script.startswith("@"):
        path = Path(script[1:])
        try:
            script = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--script: {path} cannot be read as text: {error}") from None
    if not script.strip():
        raise click.UsageError("--script is empty; give the words that should be said")
    return script


@dataclass(frozen=True)
class ClipTask:
    """One clip, as plain data for a worker."""

    path: str
    audio_path: str | None
    only: tuple[str, ...] | None
    evidence: str | None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    intent: ClipIntent | None = None


def run_task(task: ClipTask, report: Callable[[Any], None]) -> ClipResult:
    """Measure one clip in a worker process."""
    from evalkit.measuring.runner import try_measure
    from evalkit.options import canonical_json

    options: dict[str, Any] = {
        "audio_path": task.audio_path,
        "intent": task.intent,
        "progress": lambda *done: report(done),
    }
    evaluators = _evaluators(task.only, canonical_json(task.settings))
    if task.evidence is None:
        return try_measure(task.path, evaluators, **options)

    from evalkit.measuring.evidence import EvidenceWriter, clip_folder

    folder = clip_folder(Path(task.evidence), task.path)
    result = try_measure(task.path, evaluators, observer=EvidenceWriter(folder), **options)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(result.to_json() + "\n", encoding="utf-8")
    return result


@cache
def _evaluators(only: tuple[str, ...] | None, settings: str) -> list[Evaluator]:
    from evalkit.evaluators.load import load_evaluators

    return load_evaluators(only, json.loads(settings))


def measure_all(tasks: Sequence[ClipTask], jobs: int, stall_limit_s: float) -> list[ClipResult]:
    """Measure clips in worker processes, with a bar on a terminal; results in the order of the tasks."""
    from evalkit.errors import ClipError
    from evalkit.isolation import Failure, run_isolated
    from evalkit.measuring.results import ClipResult

    results: dict[int, ClipResult] = {}
    with _progress(len(tasks)) as (tell, done):
        for index, outcome in run_isolated(
            run_task, tasks, n_workers=jobs, stall_limit_s=stall_limit_s, on_progress=tell
        ):
            path = tasks[index].path
            failed = isinstance(outcome, Failure)
            results[index] = (
                ClipResult(path, error=ClipError(outcome.code, path, outcome.text)) if failed else outcome
            )
            done(index)
    return [results[index] for index in range(len(tasks))]


@contextlib.contextmanager
def _progress(n_clips: int) -> Iterator[tuple[Callable[[int, Any], None], Callable[[int], None]]]:
    """Show a bar on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shares: dict[int, float] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        whole = bar.add_task(f"measuring {n_clips} clip{'s' * (n_clips != 1)}", total=n_clips)

        def tell(index: int, at: tuple[float, float | None]) -> None:
            position_s, length_s = at
            if length_s:
                shares[index] = max(shares.get(index, 0.0), min(0.99, position_s / length_s))
                bar.update(whole, completed=sum(shares.values()))

        def done(index: int) -> None:
            shares[index] = 1.0
            bar.update(whole, completed=sum(shares.values()))

        yield tell, done


def expand(named: Sequence[str]) -> list[str]:
    """Turn folders and patterns into files, in a stable order, each once."""
    paths: list[str] = []
    for name in named:
        if Path(name).is_dir():
            inside = sorted(str(p) for p in Path(name).rglob("*") if p.suffix.lower() in _SUFFIXES)
            if not inside:
                raise click.UsageError(f"the folder {name} holds no video ({', '.join(sorted(_SUFFIXES))})")
            paths += inside
        elif Path(name).exists() or not glob.has_magic(name):
            paths.append(name)  # a missing file is reported beside the others
        else:
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matches:
                raise click.UsageError(f"nothing matches {name}")
            paths += matches
    return list(dict.fromkeys(paths))


def _targets(
    out: str | None, json_path: str | None, csv_path: str | None, evidence: str | None
) -> list[tuple[str, Path]]:
    """Check, before the work, that its results can be written."""
    targets = [("json", Path(json_path))] if json_path else []
    targets += [("csv", Path(csv_path))] if csv_path else []
    if out:
        targets += [("json", Path(out) / "results.json"), ("csv", Path(out) / "results.csv")]
    folders = [target.parent for _, target in targets] + ([Path(evidence)] if evidence else [])
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"cannot make the folder {folder}: {error.strerror}") from None
        if not os.access(folder, os.W_OK):
            raise click.UsageError(f"cannot write into the folder {folder}; check its permissions")
    return targets
