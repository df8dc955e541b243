"""What would stop work where this process runs: a generator, its libraries, GPUs, the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.execution.slots import count_gpus
from evalkit.options import Document, explain_mistakes
from pipeline.diagnosis import fine, stop, warning
from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.diagnosis import Diagnosis

_MIB = 1024 * 1024
_LITTLE_SPACE_MIB = 1024
"""A sweep of short clips takes less, a sweep of long ones more."""


def diagnose_generator(
    name: str, settings: Mapping[str, Any], *, own_checks: bool = True
) -> Iterator[Diagnosis]:
    """Set a generator up and have it look at what it needs; nothing is loaded.

    Parameters
    ----------
    name : str
    settings : mapping
    own_checks : bool
        Whether it looks itself: not where it only takes part in planning.

    Raises
    ------
    RequestError
        If there is no such generator.
    """
    from pipeline import plugins
    from pipeline.extras import find_obstacle, how_to_install
    from pipeline.generator import build_generator

    try:
        factory = plugins.load_plugin(plugins.GENERATORS, name)
    except plugins.PluginError as error:
        yield stop("plug-in", str(error), "install what it misses, or install it again")
        return
    try:
        generator = build_generator(factory, name, settings)
    except plugins.PluginError as error:
        yield stop("plug-in", str(error), "install a version of it that fits this evalkit")
        return
    except RequestError as error:
        read_from = (settings,) if isinstance(settings, Document) else ()
        yield stop(
            "settings",
            explain_mistakes(error, *read_from),
            "give them with --settings FILE or --set NAME=VALUE",
        )
        return
    described = generator.describe()
    if obstacle := find_obstacle(generator):
        yield stop("libraries", obstacle, how_to_install(generator.extra))
    yield fine("plug-in", f"{described.name} {described.version} loads: {described.summary}")
    yield fine("settings", ", ".join(sorted(settings)) or "none given, none needed")
    if not own_checks:
        return
    try:
        own = list(generator.diagnose())
    except Exception as error:  # noqa: BLE001 - whatever it is, the other findings stand
        own = [
            warning(
                "own checks",
                f"they broke off: {type(error).__name__}: {error}",
                f"report it to the authors of {described.name}",
            )
        ]
    yield from own
    if not own:
        yield fine("own checks", "it has none: only what holds for every generator was looked at")


def diagnose_gpus() -> Diagnosis:
    """Say which GPUs the driver lists, and whether CUDA_VISIBLE_DEVICES hides or invents some."""
    from pipeline.gpus import read_gpus

    gpus, why = read_gpus()
    about = "GPUs here"
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(f"{gpu.index} {gpu.name}" for gpu in gpus)
    seen = names or f"none seen ({why})"
    if given is None:
        return fine(about, seen)
    found = f"{seen}; CUDA_VISIBLE_DEVICES is {given!r}"
    unknown = [word for word in given.split(",") if word.strip().isdecimal() and int(word) >= len(gpus)]
    if unknown:
        cure = "unset it, or name GPUs that are there" if names else "unset it, or mend the NVIDIA driver"
        return warning(about, f"{found}, and there is no GPU {', '.join(unknown)}", cure)
    if names and not count_gpus():
        return warning(about, f"{found}: all are hidden", "unset it, or name those to use")
    return fine(about, found)


def diagnose_run_folder() -> Diagnosis:
    """Say whether videos and results can be written where evalkit runs."""
    about, cure = "this folder", "give --out a folder elsewhere"
    folder = Path.cwd()
    if not os.access(folder, os.W_OK):
        return warning(about, f"nothing may be written into {folder}", cure)
    free_mib = shutil.disk_usage(folder).free / _MIB
    found = f"{free_mib / 1024:.1f} GiB free in {folder}"
    if free_mib < _LITTLE_SPACE_MIB:
        return warning(about, found, f"make room, or {cure}")
    return fine(about, found)


def diagnose_temporary_folder() -> Diagnosis:
    """Say whether what a job reads and makes can be kept where this process has its temporary files."""
    about = "temporary files"
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile() as file:
            file.write(bytes(_MIB))
            file.flush()
            os.fsync(file.fileno())
        free_mib = shutil.disk_usage(folder).free / _MIB
    except OSError as error:
        return stop(about, f"none can be written: {error}", "make room, or set TMPDIR to another folder")
    found = f"{free_mib / 1024:.1f} GiB free in {folder}"
    if free_mib < _LITTLE_SPACE_MIB:
        return warning(about, found, "make room, or set TMPDIR to another folder")
    return fine(about, found)
