"""Checks of what a generator needs on this machine, shared by several drivers; each looks and changes nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pipeline.diagnosis import Diagnosis, fine, stop
from pipeline.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MIB = 1024 * 1024
_POINTER = b"version https://git-lfs"
_POINTER_LIMIT = 1024
_PROBE_LIMIT_S = 60.0
_LIST_MODULES = """
import importlib.metadata, importlib.util, sys
print(".".join(map(str, sys.version_info[:3])))
for name in sys.argv[1:]:
    if importlib.util.find_spec(name) is not None:
        try:
            print(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            print(name, "?")
"""


def check_folder(about: str, folder: str | Path, needed: Sequence[str], cure: str) -> Diagnosis:
    """Check that a folder is there, with certain files in it.

    Parameters
    ----------
    about : str
        What it is.
    folder : path
        Where it should be.
    needed : sequence of str
        Paths of files in it.
    cure : str
        How to get it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "is not there"
        return stop(about, f"{folder} {what}", cure)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        return stop(about, f"{folder} has no {', no '.join(missing)}", cure)
    return fine(about, f"{folder} has {', '.join(needed)}" if needed else f"{folder} is there")


def check_weights(about: str, path: str | Path, cure: str) -> Diagnosis:
    """Check a file of weights, or a folder of them: there, not empty, no git-lfs pointers in their place, all shards.

    A pointer is the small text that git leaves where git-lfs did not fetch the file. The shards are those that an
    ``*.index.json`` in the folder names.

    Parameters
    ----------
    about : str
        What they are.
    path : path
        File or folder.
    cure : str
        How to get them.
    """
    path = Path(path)
    if not path.exists():
        return stop(about, f"{path} is not there", cure)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        return stop(about, f"{path} is empty", cure)
    pointers = [file for file in files if is_lfs_pointer(file)]
    if pointers:
        others = f" and {len(pointers) - 1} more" if len(pointers) > 1 else ""
        return stop(
            about,
            f"{pointers[0]}{others}: a git-lfs pointer is in place of the weights",
            f"run `git lfs install && git lfs pull` in {pointers[0].parent}, or {cure}",
        )
    missing = [file for index in files for file in _missing_shards(index)]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return stop(about, f"{missing[0]}{others}: named in the index and not there", cure)
    size_mib = sum(file.stat().st_size for file in files) / _MIB
    if not size_mib:
        return stop(about, f"{path} holds nothing", cure)
    return fine(about, f"{path}: {_amount(size_mib)} in {count(len(files), 'file')}")


def is_lfs_pointer(file: Path) -> bool:
    """Return whether a file is the small text that git leaves in place of one that git-lfs did not fetch."""
    if file.stat().st_size > _POINTER_LIMIT:
        return False
    with file.open("rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def check_port(port: int) -> Diagnosis:
    """Check that a TCP port can be listened on."""
    about = f"port {port}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one just given back is free
        try:
            listener.bind(("", port))
        except OSError as error:
            return stop(
                about,
                f"cannot be opened for listening: {error.strerror}{_user_of(port)}",
                "end the program that has it, or choose another port",
            )
    return fine(about, "free")


def check_program(name: str, purpose: str, cure: str) -> Diagnosis:
    """Check that a program is on the path and runs.

    Parameters
    ----------
    name : str
        Of the program; it is called with ``-version``.
    purpose : str
        What it is needed for.
    cure : str
        How to get it.
    """
    place = shutil.which(name)
    if place is None:
        return stop(name, f"not on the path; {purpose}", cure)
    status, said = _ask([place, "-version"])
    if status:
        return stop(name, f"{place} does not run: {said}", cure)
    return fine(name, f"{place}: {said}")


def check_python(
    python: str, modules: Sequence[str], folder: str | Path | None, cure: str, *, on_gpu: bool = False
) -> Diagnosis:
    """Check that a Python runs and finds modules, in a process of its own, without importing any of them.

    Parameters
    ----------
    python : str
        The program.
    modules : sequence of str
        Top-level modules it must have.
    folder : path or None
        Where it will run.
    cure : str
        How to get them.
    on_gpu : bool
        Whether a torch that was built without CUDA will not do.
    """
    about = "Python"
    folder = folder if folder is not None and Path(folder).is_dir() else None
    status, said = _ask([python, "-c", _LIST_MODULES, *modules], folder, n_lines=1 + len(modules))
    if status:
        return stop(about, f"{python!r} does not run: {said}", cure)
    version, *lines = said.splitlines()
    found = dict(line.split(" ", 1) for line in lines if " " in line)
    missing = [name for name in modules if name not in found]
    if missing:
        return stop(about, f"{python!r} ({version}) has no {', no '.join(missing)}", cure)
    if on_gpu and found.get("torch", "").endswith("+cpu"):
        return stop(
            about, f"{python!r} ({version}) has torch {found['torch']}, which was built without CUDA", cure
        )
    found_text = ", ".join(f"{name} {what}".removesuffix(" ?") for name, what in found.items())
    return fine(about, f"{python!r} ({version}) has {found_text}")


def check_disk(folder: str | Path, need_mib: float, purpose: str) -> Diagnosis:
    """Check the free space where a folder is or would be.

    Parameters
    ----------
    folder : path
        Where something will be written.
    need_mib : float
        How much of it.
    purpose : str
        What for.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    free_mib = shutil.disk_usage(place).free / _MIB
    found = f"{_amount(free_mib)} free in {place}"
    if free_mib < need_mib:
        return stop(
            "disk", f"{found}, and {purpose} takes {_amount(need_mib)}", f"make room, or move {place}"
        )
    return fine("disk", f"{found}; {purpose} takes {_amount(need_mib)}")


def _missing_shards(index: Path) -> Iterator[Path]:
    """Yield the files that a shard index names and that are not beside it."""
    if not index.name.endswith(".index.json"):
        return
    try:
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return  # no shard index
    yield from (index.parent / name for name in sorted(names) if not (index.parent / name).is_file())


def _user_of(port: int) -> str:
    """Name the program that listens there, as far as the system shows it."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens_at = getattr(connection.laddr, "port", None)
            if connection.status == psutil.CONN_LISTEN and listens_at == port and connection.pid:
                return f" (by {psutil.Process(connection.pid).name()}, process {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _ask(argv: Sequence[str], folder: str | Path | None = None, n_lines: int = 1) -> tuple[int, str]:
    """Run a program that only reports something; return its status and its first lines, or why there are none."""
    try:
        done = subprocess.run(  # noqa: S603 - a program the user named, no shell
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_PROBE_LIMIT_S:g} s"
    except OSError as error:
        return 1, str(error.strerror)
    said = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        last = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        return done.returncode, last[-1] if last else f"exit status {done.returncode}"
    return 0, "\n".join(said[:n_lines])


def _amount(mib: float) -> str:
    """Write an amount of memory for people.

    >>> _amount(0.25), _amount(512.4), _amount(81920)
    ('0.25 MiB', '512 MiB', '80.0 GiB')
    """
    if mib < 1:
        return f"{mib:.2g} MiB"
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"
