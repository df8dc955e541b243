"""What `compare` and `signoff` are given: run folders, or folders of videos that are measured first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from evalkit.analysis.table import ResultTable


def load_table(
    named: str,
    only: str | None,
    jobs: int | None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    stall_limit_s: float = 120.0,
) -> ResultTable:
    """Read a run folder, or measure a folder of videos with settings of evaluators.

    Raises
    ------
    click.UsageError
        If it is neither.
    """
    from evalkit.analysis.table import rows_of_clips, rows_of_run
    from evalkit.cli.brand_options import prepare
    from evalkit.cli.evaluate import ClipTask, expand, measure_all
    from evalkit.evaluators.load import load_evaluators
    from evalkit.runs import Run

    if is_run(named):
        if only is not None:
            raise click.UsageError(
                f"--only chooses what is measured, and {named} is a run that is measured already"
            )
        if settings:
            raise click.UsageError(
                f"--brand says what is measured, and {named} is a run that is measured already"
            )
        return rows_of_run(Run.open(named))
    if not Path(named).is_dir():
        what = "is a file" if Path(named).exists() else "is not there"
        raise click.UsageError(f"{named} {what}; a run folder or a folder of videos is needed")
    names = None if only is None else tuple(name.strip() for name in only.split(",") if name.strip())
    prepare(load_evaluators(names, settings))
    tasks = [ClipTask(path, None, names, None, settings or {}) for path in expand([named])]
    return rows_of_clips(named, measure_all(tasks, jobs or max(1, (os.cpu_count() or 1) // 2), stall_limit_s))


def is_run(named: str) -> bool:
    """Say whether a path is a run folder."""
    return (Path(named) / "run.json").is_file()


def read_where(pairs: tuple[str, ...], table: ResultTable) -> dict[str, Hashable]:
    """Read ``NAME=VALUE`` pairs; a value is matched as it is written in the table."""
    wanted = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{pair!r} is not NAME=VALUE")
        wanted[name] = as_in(table, name, text)
    return wanted


def as_in(table: ResultTable, name: str, text: str) -> Hashable:
    """Return the value of a parameter that is written so; the text itself where none is, to be refused by name."""
    levels = {str(row.params[name]): row.params[name] for row in table.rows if name in row.params}
    return levels.get(text, text)


def write_outputs(*outputs: tuple[Path | None, Callable[[], str]]) -> None:
    """Write each text to its path, where there is one, making its folder, and tell the path."""
    for path, make in outputs:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
        click.echo(f"wrote {path}")
