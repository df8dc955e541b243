"""Other tools' scores, and outcomes of live trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalkit.arguments import read_path
from evalkit.reports.run_report import HTML_NAME, write_report
from evalkit.runs import Run
from evalkit.scores import Definitions, ImportedScores
from evalkit.scores import import_scores as import_file


def import_scores(
    run: Run | str | Path,
    file: str | Path,
    *,
    definitions: Definitions | None = None,
    format: str = "auto",  # noqa: A002 - the flag's name
    clips: Sequence[str] | None = None,
    replace_all: bool = False,
    dry_run: bool = False,
) -> ImportedScores:
    """Bring the scores in a file into a run, and write its report again where it has one.

    Parameters
    ----------
    run : Run or path
    file : path
        VBench's, fastvideo.eval's or SyncNet's, or a table.
    definitions, format, clips, replace_all, dry_run
        As of `evalkit.scores.import_scores`.

    Raises
    ------
    UsageError
        If the file cannot be read as scores of this run: nothing is stored then.
    OSError
        If something cannot be written.
    """
    folder = run.folder if isinstance(run, Run) else Path(read_path(run, "run"))
    imported = import_file(
        folder,
        Path(read_path(file, "file")),
        definitions=definitions,
        format=format,
        clips=clips,
        replace_all=replace_all,
        dry_run=dry_run,
    )
    if not dry_run and (folder / HTML_NAME).is_file():
        write_report(folder)
    return imported
