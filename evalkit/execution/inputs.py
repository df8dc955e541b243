"""Files that jobs read: with their contents, and where those that name each other go on another machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.evaluators.load import evaluator_class
from evalkit.execution.jobs import InputFile
from evalkit.tracks.cache import content_hash
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any


def list_settings_files(settings: Mapping[str, Mapping[str, Any]]) -> tuple[InputFile, ...]:
    """List the files that evaluators read with their settings.

    Parameters
    ----------
    settings : mapping of str to mapping
        By the evaluator's name, with absolute paths.

    Raises
    ------
    ConfigError
        If a file that names others cannot be read.
    OSError
        If a file is not there.
    """
    found: dict[str, InputFile] = {}
    for name, own in settings.items():
        for group in evaluator_class(name).files_to_carry(own):
            found |= {file.path: file for file in _keep_together(group)}
    return tuple(found.values())


def _keep_together(paths: Sequence[str]) -> Iterator[InputFile]:
    """Give the files of a group places with the same way from each to each other as here."""
    contents = [content_hash(path) for path in paths]
    if len(paths) == 1:
        yield InputFile(paths[0], contents[0])
        return
    whole = [os.path.normpath(path) for path in paths]
    base = os.path.commonpath([os.path.dirname(path) for path in whole])  # noqa: PTH120 - beside commonpath
    names = [Path(path).relative_to(base).as_posix() for path in whole]
    group = hash_of(sorted(zip(names, contents, strict=True)))
    for path, content, name in zip(paths, contents, names, strict=True):
        yield InputFile(path, content, f"{group}/{name}")
