"""``evalkit import``: other tools' scores, and outcomes of live trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from evalkit.scores import Definitions, ImportedScores

_FILE = click.Path(path_type=Path)


Bounds = tuple[float | None, float | None]


def _read_bounds(context: click.Context, param: click.Parameter, value: str | None) -> Bounds | None:
    """Read ``LOW:HIGH``, either of them empty where it is open."""
    if value is None:
        return None
    low, colon, high = value.partition(":")
    try:
        ends = [float(end) if end.strip() else None for end in (low, high)]
    except ValueError:
        ends = []
    if not colon or not ends:
        raise click.BadParameter(
            f"{value!r} is not LOW:HIGH, as in 0:1, or 0: where it is open", context, param
        )
    return ends[0], ends[1]


@click.command("import")
@click.argument("run", type=_FILE)
@click.argument("file", type=_FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["auto", "csv", "vbench", "fastvideo", "syncnet"]),
    default="auto",
    show_default=True,
    help="What wrote the file; auto finds it by the content.",
)
@click.option("--metric", "name", help="TOOL.QUANTITY: what the scores of a table are called here.")
@click.option("--better", type=click.Choice(["lower", "higher", "zero", "band"]), help="Of --metric.")
@click.option("--unit", default="1", show_default=True, help="Of --metric; 1 for a pure number.")
@click.option("--meaning", help="Of --metric, in a line.")
@click.option(
    "--bounds",
    callback=_read_bounds,
    metavar="LOW:HIGH",
    help="Of --metric: what it can be, as in 0:1, or 0: where it is open.",
)
@click.option("--column", help="Of --metric, where it is not called so in the table.")
@click.option("--metrics", "definitions_file", type=_FILE, help="YAML: what several metrics mean, see below.")
@click.option("--clip", help="Column that names the video.")
@click.option("--session", help="Column that names the session of a live trial.")
@click.option(
    "--clips",
    "clips_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Text file with the videos' names in the order of the lines, for SyncNet's all_scores.txt.",
)
@click.option("--tool-version", "version", help="Of the tool; scores of two versions are not compared.")
@click.option("--replace", "replace_all", is_flag=True, help="Forget other metrics of the same tool.")
@click.option("--dry-run", is_flag=True, help="Read and check; store nothing.")
def import_scores(  # noqa: PLR0917 - click passes them by name
    run: Path,
    file: Path,
    format_: str,
    name: str | None,
    better: str | None,
    unit: str,
    meaning: str | None,
    bounds: Bounds | None,
    column: str | None,
    definitions_file: Path | None,
    clip: str | None,
    session: str | None,
    clips_file: Path | None,
    version: str | None,
    replace_all: bool,
    dry_run: bool,
) -> None:
    """Bring the scores in FILE into the run folder RUN: they are metrics like our own from then on.

    FILE is VBench's …_eval_results.json, the JSON of `fastvideo eval run`, SyncNet's all_scores.txt, or a table (CSV) with a
    line for each video. Videos are found by the ids of their trials, by paths that have such an id in them, or by
    the parameters, portrait, speech and seed in columns of these names. A table with a column `session` holds outcomes of a
    live trial, each of a configuration that the columns of the swept parameters name.

    What a table does not say of itself is said by options, or for several metrics in a file (--metrics):

    \b
      version: "1.2"
      metrics:
        vbench.imaging_quality: {column: imaging, better: higher, bounds: [0, 100], meaning: free of blur and noise}
        live.minutes_watched: {unit: min, better: higher, bounds: [0, null], meaning: how long people stayed}
      clips: {demo_03: 0123456789ab}      # names of videos to ids of trials

    A file with a line that cannot be used is refused whole. The same file again changes nothing.

    Exit code: 0 when imported; 2 for wrong use, and where something cannot be used.
    """  # noqa: D301 - a backspace is how click is told to leave lines as they are
    from evalkit.api.scores import import_scores as import_file
    from evalkit.errors import EvalkitError

    try:
        definitions = _definitions(
            definitions_file,
            name,
            {
                "better": better,
                "unit": unit,
                "meaning": meaning,
                "bounds": None if bounds is None else list(bounds),
                "column": column,
            },
            {"version": version, "clip": clip, "session": session},
        )
        clips = None if clips_file is None else clips_file.read_text("utf-8").splitlines()
        imported = import_file(
            run,
            file,
            definitions=definitions,
            format=format_,
            clips=None if clips is None else [line.strip() for line in clips if line.strip()],
            replace_all=replace_all,
            dry_run=dry_run,
        )
    except UnicodeDecodeError:
        raise click.UsageError(f"{clips_file} is not UTF-8") from None
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    _say(imported, file, run, dry_run=dry_run)


def _definitions(
    file: Path | None, name: str | None, of_metric: dict[str, object], others: dict[str, str | None]
) -> Definitions:
    """Return what the options say, on top of what the file of definitions does."""
    from evalkit.options import read_group
    from evalkit.scores import Definitions

    said = {} if file is None else Definitions.load(file).model_dump(mode="json", exclude_unset=True)
    said |= {key: value for key, value in others.items() if value is not None}
    if name is not None:
        for needed in ("better", "meaning"):
            if of_metric[needed] is None:
                raise click.UsageError(f"--metric needs --{needed}: nobody else says what {name} is")
        own = {key: value for key, value in of_metric.items() if value is not None}
        said["metrics"] = {**said.get("metrics", {}), name: own}
    elif any(of_metric[key] is not None for key in ("better", "meaning", "bounds", "column")):
        raise click.UsageError("--better, --meaning, --bounds and --column are of a --metric")
    return read_group(Definitions, said, "the options")


def _say(imported: ImportedScores, file: Path, run: Path, *, dry_run: bool) -> None:
    from evalkit.formatting import count

    for note in imported.notes:
        say(f"note: {note}")
    metrics = ", ".join(imported.metrics)
    of_what = (
        f"of {count(imported.n_sessions, 'session')}"
        if imported.n_sessions
        else f"of {count(imported.n_clips, 'video')}"
    )
    if imported.n_without:
        of_what += f"; {count(imported.n_without, 'video')} without"
    told = (
        f"{count(imported.n_scores, 'value')} of {metrics} {of_what} ({imported.source} {imported.version})"
    )
    if dry_run:
        say(f"{file} holds {told}; nothing was stored: this was a dry run")
    else:
        say(f"imported {told} into {run}")
