"""Files of weights: there, whole, as large as such a file can be, and what they are called; nothing of them is loaded."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.diagnosis_checks import check_folder, tell_amount
from pipeline.formatting import count
from pipeline.reach import find_no_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MIB = 1024 * 1024
_POINTER = b"version https://git-lfs"
_POINTER_LIMIT = 1024
_TENSORS = (".safetensors",)
_ARCHIVES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
_LENGTH_BYTES = 8
_HEADER_LIMIT = 100_000_000
"""Bytes of the header of a file of safetensors; its library refuses a longer one."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def check_weights(about: str, path: str | Path, cure: str, *, least_mib: float = 0.0) -> Diagnosis:
    """Check a file of weights, or a folder of them: there, whole, large enough, no git-lfs pointers, all shards.

    A pointer is the small text that git leaves where git-lfs did not fetch the file. The shards are those that an
    ``*.index.json`` in the folder names. Where a size is given it is also looked at whether the files begin as their names
    say, and whether the end of safetensors and of zip archives is there.

    Parameters
    ----------
    about : str
        What they are.
    path : path
        File or folder.
    cure : str
        How to get them.
    least_mib : float
        What is less is no such weights, MiB, of all files together.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return _judge(about, path, files, cure, least_mib)


def check_fetched_weights(
    about: str,
    places: Sequence[Path],
    url: str,
    *,
    least_mib: float,
    environment: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Check a file of weights that a program fetches by itself where it is not there yet.

    Where it is missing it is tried whether the host answers: a connection is opened and closed, nothing is fetched.

    Parameters
    ----------
    about : str
        What it is.
    places : sequence of Path
        Where the program looks for it; the first is where it should be put.
    url : str
        Where it comes from.
    least_mib : float
        What is less is no such file, MiB.
    environment : mapping, optional
        Variables set for the program beside the inherited ones.
    """
    cure = f"fetch {url} to {places[0]}"
    there = next((place for place in places if place.exists()), None)
    if there is not None:
        return check_weights(about, there, f"fetch {url} to {there}", least_mib=least_mib)
    found = f"{places[0]} is not there, and its code fetches it at the start"
    why_not = find_no_way(url, environment)
    if why_not:
        return stop(about, f"{found}: {why_not}", cure)
    return warning(about, f"{found}, {tell_amount(least_mib)} or more", f"{cure} before it is needed")


def check_model_folder(
    about: str,
    folder: Path,
    needed: Sequence[str],
    weights: Sequence[str],
    cure: str,
    *,
    least_mib: float,
) -> Diagnosis:
    """Check a folder of a model as Hugging Face's libraries read it: its configuration, and its weights in one form.

    Parameters
    ----------
    about : str
        What it is.
    folder : Path
        Where it should be.
    needed : sequence of str
        Files that must be in it.
    weights : sequence of str
        Names of the weights, the one that is taken first at the front; each may be cut into shards with an index.
    cure : str
        How to get it.
    least_mib : float
        What is less is no such weights, MiB.
    """
    complete = check_folder(about, folder, needed, cure)
    if complete.level != "fine":
        return complete
    broken = [name for name in needed if name.endswith(".json") and not is_json(folder / name)]
    if broken:
        return stop(about, f"{folder / broken[0]} is no JSON", f"remove it and {cure}")
    for name in weights:
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = [shard for shard in _list_shards(index) if shard.is_file()]
            return _judge(about, folder, [index, *shards], cure, least_mib)
        if (folder / name).is_file():
            return check_weights(about, folder / name, cure, least_mib=least_mib)
    return stop(about, f"{folder} has neither {' nor '.join(weights)}", cure)


def check_json(about: str, path: Path, cure: str) -> Diagnosis:
    """Check a file of configuration: there, and JSON.

    Parameters
    ----------
    about : str
        What it is.
    path : Path
        Where it should be.
    cure : str
        How to get it.
    """
    found = check_weights(about, path, cure)
    if found.level == "fine" and not is_json(path):
        return stop(about, f"{path} is no JSON", f"remove it and {cure}")
    return found


def is_json(path: Path) -> bool:
    """Return whether a file can be read as JSON."""
    try:
        json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def check_s3fd(place: Path, environment: Mapping[str, str] | None = None) -> Diagnosis:
    """Check the weights of the face finder S3FD, which several programs fetch into torch's cache where they lack them.

    Parameters
    ----------
    place : Path
        Where the program looks first.
    environment : mapping, optional
        Variables set for it beside the inherited ones.
    """
    url = "https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth"
    cached = _torch_cache(environment) / "s3fd-619a316812.pth"
    return check_fetched_weights(place.name, [place, cached], url, least_mib=40, environment=environment)


def is_lfs_pointer(file: Path) -> bool:
    """Return whether a file is the small text that git leaves in place of one that git-lfs did not fetch."""
    if file.stat().st_size > _POINTER_LIMIT:
        return False
    with file.open("rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def _judge(about: str, path: Path, files: Sequence[Path], cure: str, least_mib: float) -> Diagnosis:
    size_mib = sum(file.stat().st_size for file in files) / _MIB
    trouble = next(_find_troubles(path, files, size_mib, cure, least_mib), None)
    if trouble is not None:
        return stop(about, *trouble)
    odd = next((file for file in files if not _begins_well(file)), None) if least_mib else None
    if odd is not None:
        return warning(about, f"{odd} does not begin as weights do", f"remove it and {cure}")
    return fine(about, f"{path}: {tell_amount(size_mib)} in {count(len(files), 'file')}")


def _torch_cache(environment: Mapping[str, str] | None) -> Path:
    """Return where torch keeps what it fetches (torch/hub.py: ``get_dir``)."""
    variables = {**os.environ, **(environment or {})}
    cache = variables.get("XDG_CACHE_HOME") or Path(variables.get("HOME") or Path.home()) / ".cache"
    return Path(variables.get("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"


def _find_troubles(
    path: Path, files: Sequence[Path], size_mib: float, cure: str, least_mib: float
) -> Iterator[tuple[str, str]]:
    """Yield what makes weights unusable, with the cure, what is nearest first."""
    if not path.exists():
        yield f"{path} is not there", cure
    elif not size_mib:
        yield f"{path} holds nothing" if files else f"{path} is empty", cure
    pointers = [file for file in files if is_lfs_pointer(file)]
    if pointers:
        found = f"{_first_of(pointers)}: a git-lfs pointer is in place of the weights"
        yield found, f"run `git lfs install && git lfs pull` in {pointers[0].parent}, or {cure}"
    missing = [shard for index in files for shard in _list_shards(index) if not shard.is_file()]
    if missing:
        yield f"{_first_of(missing)}: named in the index and not there", cure
    again = f"remove it and {cure}"
    if size_mib < least_mib:
        least = tell_amount(least_mib)
        yield f"{path} holds {tell_amount(size_mib)}, and such weights have {least} at the least", again
    for file in files if least_mib else ():
        fault = _find_fault(file)
        if fault is not None:
            yield f"{file} {fault}", again


def _first_of(files: Sequence[Path]) -> str:
    return f"{files[0]} and {len(files) - 1} more" if len(files) > 1 else str(files[0])


def _list_shards(index: Path) -> list[Path]:
    """List the files that a shard index names; none where it is no shard index."""
    if not index.name.endswith(".index.json"):
        return []
    try:
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return [index.parent / name for name in sorted(names)]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


def _find_fault(file: Path) -> str | None:
    """Say why a file cannot be read, as far as its head and its end tell."""
    if file.suffix not in _TENSORS + _ARCHIVES:
        return None
    with file.open("rb") as stream:
        head = stream.read(256)
    if head.lstrip().lower().startswith(_PAGES):
        return "is a page of the web, as a link to a viewer gives"
    if file.suffix in _TENSORS:
        announced, size = _announced_size(file), file.stat().st_size
        is_whole = announced in {None, size}
        return (
            None if is_whole else f"is cut off or damaged: {size} bytes, and its header announces {announced}"
        )
    return _find_fault_of_zip(file) if head.startswith(_ZIP) else None


def _find_fault_of_zip(file: Path) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "is cut off: the directory at the end of the archive is missing"
    is_script = any(name.endswith("/constants.pkl") for name in names)
    return (
        "is a TorchScript archive, and its code looks for the dictionary of a checkpoint"
        if is_script
        else None
    )


def _begins_well(file: Path) -> bool:
    """Return whether a file begins as its name says: safetensors, or what ``torch.save`` writes or once wrote."""
    if file.suffix in _TENSORS:
        return _announced_size(file) is not None
    if file.suffix not in _ARCHIVES:
        return True
    with file.open("rb") as stream:
        head = stream.read(len(_ZIP))
    return head.startswith((_ZIP, _PICKLE)) or tarfile.is_tarfile(file)


def _announced_size(file: Path) -> int | None:
    """Return the size that the header of safetensors announces (https://huggingface.co/docs/safetensors), if it is one."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > _HEADER_LIMIT:
            return None
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return _LENGTH_BYTES + length + int(max(ends, default=0))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None
