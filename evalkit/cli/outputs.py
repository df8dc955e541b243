"""What a command writes: checked before the work, written after it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from evalkit.formatting import printable_lines

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


@dataclass(frozen=True)
class Written:
    """What could be written of the outputs of a command, and why the rest could not."""

    paths: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def write_outputs(*outputs: tuple[Path | None, Callable[[], str]]) -> Written:
    """Write each text to its path, where there is one, making its folder; one that fails keeps no other back."""
    paths, problems = [], []
    for path, make in outputs:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            problems.append(f"{path} cannot be written: {error.strerror}")
        else:
            paths.append(path)
    return Written(tuple(paths), tuple(problems))


def name_outputs(paths: Iterable[Path]) -> None:
    """Say what was written."""
    for path in paths:
        say(f"wrote {path}")


def refuse_unwritten(written: Written) -> None:
    """End a command that has said everything and could not write something.

    Raises
    ------
    click.UsageError
        With what, and why.
    """
    if written.problems:
        raise click.UsageError("\n".join(written.problems))


def say(text: str, *, err: bool = False) -> None:
    """Print text. What it quotes, a file's name or a program's words, moves no cursor."""
    click.echo(printable_lines(text), err=err)
