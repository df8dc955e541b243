"""A short name for the content of large files, so that a version can carry it without reading them whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WHOLE_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_N_PIECES = 32
_DIGITS = 12


def fingerprint(files: Iterable[Path]) -> str:
    """Return twelve hexadecimal digits that change with the names, the sizes or the content of files.

    Of a file above 4 MiB it reads 32 pieces of 64 KiB, spread evenly with both ends among them: training, quantising or
    cutting weights changes all of them or their size, which a single changed byte need not.

    Parameters
    ----------
    files : iterable of Path
        In any order; each is told apart by its name without the folder.
    """
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as stream:
            if size <= _WHOLE_BYTES:
                digest.update(stream.read())
                continue
            for number in range(_N_PIECES):
                stream.seek((size - _PIECE_BYTES) * number // (_N_PIECES - 1))
                digest.update(stream.read(_PIECE_BYTES))
    return digest.hexdigest()[:_DIGITS]
