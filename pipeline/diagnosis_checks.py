"""Checks of what a generator needs on this machine, shared by several drivers; each looks and changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pipeline.diagnosis import Diagnosis, fine, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MIB = 1024 * 1024
_PROBE_LIMIT_S = 60.0


def ask_program(
    argv: Sequence[str], folder: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program that only reports something.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments; no shell sees them.
    folder : path or None
        Where it runs.
    environment : mapping, optional
        Variables set for it beside the inherited ones.

    Returns
    -------
    int
        Its exit status; 1 where it could not be started or did not answer within a minute.
    str
        What it printed; where it failed, the last line of that, or the reason.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a program the user named, no shell
            argv,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_PROBE_LIMIT_S:g} s"
    except (OSError, ValueError) as error:
        return 1, str(error.strerror if isinstance(error, OSError) else error)
    if done.returncode:
        return done.returncode, _last_line(done.stderr, done.stdout) or f"exit status {done.returncode}"
    return 0, (done.stdout or done.stderr).decode("utf-8", "replace")


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


def check_writable(folder: Path, purpose: str) -> list[Diagnosis]:
    """Say where a program may not write into a folder in which it writes; nothing where it may, or there is no folder.

    Parameters
    ----------
    folder : Path
        The folder.
    purpose : str
        What it writes, as in "it joins picture and sound there".
    """
    if not folder.is_dir() or os.access(folder, os.W_OK):
        return []
    cure = f"give the user who runs evalkit the right to write into {folder}"
    return [stop("right to write", f"nothing may be written into {folder}, and {purpose}", cure)]


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


def check_program(
    name: str,
    purpose: str,
    cure: str,
    *,
    encoders: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    also_in: Path | None = None,
) -> Diagnosis:
    """Check that a program is on the path and runs.

    Parameters
    ----------
    name : str
        Of the program; it is called with ``-version``.
    purpose : str
        What it is needed for.
    cure : str
        How to get it.
    encoders : sequence of str
        What an ffmpeg must have been built with.
    environment : mapping, optional
        Variables set beside the inherited ones for the program that calls it.
    also_in : Path or None
        A folder in which that program looks where the path has none.
    """
    path = {**os.environ, **(environment or {})}.get("PATH")
    place = shutil.which(name, path=path) or (also_in and shutil.which(name, path=str(also_in)))
    if not place:
        return stop(name, f"not on the path; {purpose}", cure)
    status, said = ask_program([place, "-version"], None, environment)
    first, *_ = said.strip().splitlines() or [""]
    if status:
        return stop(name, f"{place} does not run: {said}", cure)
    missing = _missing_encoders(place, encoders, environment) if encoders else []
    if missing:
        listed = ", ".join(missing)
        return stop(
            name,
            f"{place} ({first}) was built without the encoder {listed}; {purpose}",
            f"install an ffmpeg with {listed}, as most distributions have it",
        )
    return fine(name, f"{place}: {first}")


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
    found = f"{tell_amount(free_mib)} free in {place}"
    if free_mib < need_mib:
        return stop(
            "disk", f"{found}, and {purpose} takes {tell_amount(need_mib)}", f"make room, or move {place}"
        )
    return fine("disk", f"{found}; {purpose} takes {tell_amount(need_mib)}")


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


def _missing_encoders(
    ffmpeg: str, encoders: Sequence[str], environment: Mapping[str, str] | None
) -> list[str]:
    """Name the encoders that an ffmpeg does not list; none where it lists nothing."""
    _, listed = ask_program([ffmpeg, "-hide_banner", "-encoders"], None, environment)
    if "Encoders:" not in listed:
        return []
    known = {words[1] for words in map(str.split, listed.splitlines()) if len(words) > 1}
    return [encoder for encoder in encoders if encoder not in known]


def _last_line(*outputs: bytes) -> str:
    lines = [output.decode("utf-8", "replace").strip().splitlines() for output in outputs]
    return next((said[-1] for said in lines if said), "")


def tell_amount(mib: float) -> str:
    """Write an amount of memory for people.

    >>> tell_amount(0.25), tell_amount(512.4), tell_amount(81920)
    ('0.25 MiB', '512 MiB', '80.0 GiB')
    """
    if mib < 1:
        return f"{mib:.2g} MiB"
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"
