"""What a command writes: checked before the work, written after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def check_folders(folders: Iterable[Path]) -> None:
    """Refuse, before the work, folders that its results could not be written into; they may still be missing.

    Raises
    ------
    click.UsageError
        If one cannot be made or may not be written into.
    """
    for folder in folders:
        there = folder.absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise click.UsageError(f"cannot make the folder {folder}: {there} is a file")
        if not os.access(there, os.W_OK):
            raise click.UsageError(f"cannot write into the folder {there}; check its permissions")


def write_outputs(*outputs: tuple[Path | None, Callable[[], str]]) -> list[Path]:
    """Write each text to its path, where there is one, making its folder; return the paths.

    Raises
    ------
    click.UsageError
        If one cannot be written.
    """
    written = []
    for path, make in outputs:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
        written.append(path)
    return written


def name_outputs(paths: Iterable[Path]) -> None:
    """Say what was written: the last lines of a command."""
    for path in paths:
        click.echo(f"wrote {path}")
