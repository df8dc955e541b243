"""Carrying files for an executor without a shared folder: in pieces, checked, and whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.errors import EvalkitError
from evalkit.execution.jobs import GenerateJob, GenerateResult, JobFailure, MeasureJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalkit.execution.jobs import InputFile, Result

AnyJob = TypeVar("AnyJob", GenerateJob, MeasureJob, GenerateJob | MeasureJob)

PIECE_BYTES = 1 << 20
_PART = ".part"


class TransferError(EvalkitError):
    """A file that did not arrive as it was sent, or may not be written where it wants to be."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a file, as plain data.

    Parameters
    ----------
    name : str
        Of the file, relative to its folder, with forward slashes.
    offset : int
        Where the piece begins, bytes.
    data : str
        The bytes in base64.
    content : str or None
        SHA-256 of the whole file in hexadecimal, with the last piece; None with the others.
    """

    name: str
    offset: int
    data: str
    content: str | None = None


def pack(folder: Path, names: Iterable[str], piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """Read files in pieces; an empty file is one piece.

    Parameters
    ----------
    folder : Path
    names : iterable of str
        Relative to the folder.
    piece_bytes : int
        Length of a piece at most.

    Raises
    ------
    OSError
        If a file cannot be read to its end.
    """
    for name in names:
        digest = hashlib.sha256()
        with (folder / name).open("rb") as file:
            n_bytes, offset = os.fstat(file.fileno()).st_size, 0
            while True:
                data = file.read(piece_bytes)
                digest.update(data)
                is_last = offset + len(data) >= n_bytes
                if not (data or is_last):
                    raise OSError(errno.EIO, "became shorter while it was read", str(folder / name))
                yield Piece(
                    name, offset, b64encode(data).decode("ascii"), digest.hexdigest() if is_last else None
                )
                offset += len(data)
                if is_last:
                    break


class Unpacker:
    """Writes files from pieces, which come in order, file by file. A file has its name only when it is whole.

    A first piece begins its file anew: whoever was sending it before has given up.

    Parameters
    ----------
    folder : Path
        It exists; folders in it are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, tuple[Path, Any]] = {}

    def write(self, piece: Piece) -> bool:
        """Write a piece; return whether its file is whole by now.

        Raises
        ------
        TransferError
            If the name leads out of the folder, a piece is missing, or the file is not what was sent.
        """
        path = PurePosixPath(piece.name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise TransferError(f"a file wants to be written to {piece.name!r}, outside of its folder")
        place = self._folder / path
        if piece.offset == 0 or piece.name not in self._parts:
            if piece.name in self._parts:
                self._parts[piece.name][0].unlink(missing_ok=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".{uuid.uuid4().hex}{_PART}")
            part.touch()
            self._parts[piece.name] = part, hashlib.sha256()
        part, digest = self._parts[piece.name]
        if part.stat().st_size != piece.offset:
            raise TransferError(
                f"{piece.name}: a piece begins at byte {piece.offset}, and {part.stat().st_size} bytes are there"
            )
        data = b64decode(piece.data, validate=True)
        digest.update(data)
        with part.open("ab") as file:
            file.write(data)
            if piece.content is not None:
                file.flush()
                os.fsync(file.fileno())
        if piece.content is None:
            return False
        del self._parts[piece.name]
        if digest.hexdigest() != piece.content:
            part.unlink()
            raise TransferError(f"{piece.name} is not what was sent: its SHA-256 differs")
        part.replace(place)
        return True

    def close(self) -> None:
        """Remove what is not whole."""
        for part, _ in self._parts.values():
            part.unlink(missing_ok=True)
        self._parts.clear()


def place_inputs(files: Iterable[InputFile], folder: str) -> dict[str, str]:
    """Say where the files of a job go in a folder of another machine: path there by path here.

    The content is in the name of the place, so that a file is carried once however many jobs read it.
    """
    return {
        file.path: str(PurePosixPath(folder, file.place or f"{file.content}/{PurePosixPath(file.path).name}"))
        for file in files
    }


def move_job(job: AnyJob, places: Mapping[str, str], folder: str) -> AnyJob:
    """Return a job whose files are at other places, and whose results go to another folder."""
    files = tuple(replace(file, path=places[file.path]) for file in job.files)
    if isinstance(job, MeasureJob):
        return replace(
            job,
            video=places.get(job.video, job.video),
            audio=None if job.audio is None else places.get(job.audio, job.audio),
            settings=_replace_paths(job.settings, places),
            files=files,
            folder=folder,
        )
    upcoming = tuple(_replace_paths(request, places) for request in job.upcoming)
    return replace(
        job, request=_replace_paths(job.request, places), upcoming=upcoming, files=files, folder=folder
    )


def move_result(result: Result, places: Mapping[str, str]) -> Result:
    """Return a result of a moved job as the job's sender knows the files."""
    back = {there: here for here, there in places.items()}
    if isinstance(result, GenerateResult):
        return replace(
            result,
            generation=_replace_paths(result.generation, back),
            events=_replace_paths(result.events, back),
        )
    if isinstance(result, JobFailure):
        return replace(result, text=_replace_in_words(result.text, back))
    if result.error is not None:
        return replace(result, error={**result.error, "text": _replace_in_words(result.error["text"], back)})
    return result


def _replace_in_words(text: str, places: Mapping[str, str]) -> str:
    """Return words for people in which the paths of `places` are those they stand for.

    >>> _replace_in_words("/there/b.png is no picture", {"/there/b.png": "/a/b.png"})
    '/a/b.png is no picture'
    >>> _replace_in_words("/there/b.png.txt", {"/there/b.png": "/a/b.png", "/there/b.png.txt": "/c.txt"})
    '/c.txt'
    """
    for there in sorted(places, key=len, reverse=True):
        text = text.replace(there, places[there])
    return text


def _replace_paths(plain: Any, places: Mapping[str, str]) -> Any:
    """Return plain data in which every text that is a path of `places` is the path it stands for.

    >>> _replace_paths({"image": "/a/b.png", "prompt": "a man"}, {"/a/b.png": "/there/b.png"})
    {'image': '/there/b.png', 'prompt': 'a man'}
    """
    if isinstance(plain, str):
        return places.get(plain, plain)
    if isinstance(plain, Mapping):
        return {name: _replace_paths(value, places) for name, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_replace_paths(value, places) for value in plain]
    return plain
