"""What a program needs of its Python: modules, and the versions of them with which its code works.

A driver declares each `Module` with the reason that its program's source gives. The Python of the program is asked in a
process of its own, where nothing is imported, so that it may be an old one and a wrong library cannot break the check.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.diagnosis_checks import ask_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.gpus import Gpu

_MARK = "found: "
_FIRST_CUDA = (((8, 0), 110), ((9, 0), 118), ((10, 0), 128))
"""Compute capability, and the CUDA times ten that first builds for it: Ampere, Hopper, Blackwell (its release notes)."""
# Runs in any Python from 3.6. A namespace package, as any folder beside the program is one, is no module.
_PROBE = (
    """
import io, json, os, sys
from importlib.util import find_spec
asked = json.loads(sys.argv[1])

def locate(name):
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin in (None, "namespace"):
        return None
    return spec

def read_version(names):
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:
        try:
            from pkg_resources import DistributionNotFound as PackageNotFoundError, get_distribution
        except ImportError:
            return None
        version = lambda name: get_distribution(name).version
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return None

modules = {}
for name, distributions in asked["modules"].items():
    spec = locate(name)
    if spec is not None:
        modules[name] = {"version": read_version(distributions), "file": spec.origin}
texts = []
for module, file, text in asked["texts"]:
    spec = locate(module)
    path = os.path.join(os.path.dirname(spec.origin), file) if spec is not None else ""
    says = None
    if os.path.isfile(path):
        with io.open(path, encoding="utf-8", errors="replace") as stream:
            says = text in stream.read()
    texts.append(says)
"""
    f"""print({_MARK!r} + json.dumps(
    {{"python": ".".join(map(str, sys.version_info[:3])), "modules": modules, "texts": texts}}))
"""
)


@dataclass(frozen=True, slots=True)
class Text:
    """A few words of source on which a need rests: where they are gone, so is the need.

    Parameters
    ----------
    file : str
        From the root of the checkout, or from the folder of `module`.
    text : str
        A few words of one line.
    module : str
        The installed module that has the file; ``""`` for the program's own checkout.
    """

    file: str
    text: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A module that a program imports on the way to a video.

    Parameters
    ----------
    name : str
        As it is imported.
    versions : str
        Those that do, as in ``>=0.9,<0.10``; ``""`` for any.
    why : str
        What goes wrong with another version, or without it.
    where : Text or None
        The source that goes wrong; where that file is there and says something else, the need is gone.
    beside : str
        ``name`` or ``name<version`` of another module, as in ``librosa<0.10``: unless that one is there and known to be of
        such a version, the need is gone.
    instead : tuple of str
        Modules of which each does as well.
    installed_as : tuple of str
        What it is called where it is installed; `name` unless given.
    is_certain : bool
        Whether the program was seen to fail of another version; else only its own list of requirements says so.
    """

    name: str
    versions: str = ""
    why: str = ""
    where: Text | None = None
    beside: str = ""
    instead: tuple[str, ...] = ()
    installed_as: tuple[str, ...] = ()
    is_certain: bool = True

    @property
    def distributions(self) -> tuple[str, ...]:
        """What it may be called where it is installed; the first is the one to install."""
        return self.installed_as or (self.name,)


TORCH = (
    Module("torch"),
    Module(
        "numpy",
        "<2",
        "torch before 2.3 was built for numpy 1: `RuntimeError: Numpy is not available`",
        beside="torch<2.3",
    ),
)
"""torch, and what its older releases need."""
CV2 = (
    Module(
        "cv2",
        installed_as=(
            "opencv-python",
            "opencv-contrib-python",
            "opencv-python-headless",
            "opencv-contrib-python-headless",
        ),
    ),
    Module(
        "numpy",
        "<2",
        "OpenCV before 4.10.0.84 was built for numpy 1: `numpy.core.multiarray failed to import`",
        beside="cv2<4.10.0.84",
    ),
)
"""OpenCV, and what its older releases need."""
LIBROSA = (
    Module("librosa"),
    Module(
        "numpy",
        "<1.24",
        "librosa before 0.9 uses np.complex, which numpy 1.24 no longer has",
        Text("core/constantq.py", "dtype=np.complex,", "librosa"),
        beside="librosa<0.9",
    ),
    Module(
        "pkg_resources",
        "<82",
        "librosa before 0.10 imports it, and setuptools 82 no longer has it",
        Text("util/files.py", "from pkg_resources import", "librosa"),
        beside="librosa<0.10",
        installed_as=("setuptools",),
    ),
)
"""librosa, and what its older releases need (read in 0.8.1 and 0.9.2)."""
IMAGEIO_FFMPEG = Module(
    "imageio_ffmpeg", why="imageio writes the frames with it", installed_as=("imageio-ffmpeg",)
)


def check_python(
    python: str,
    modules: Sequence[Module],
    folder: str | Path | None,
    cure: str,
    *,
    environment: Mapping[str, str] | None = None,
    versions: str = "",
    gpus: Sequence[Gpu] = (),
    needs_gpu: bool = False,
) -> list[Diagnosis]:
    """Check that a Python runs and has modules in the versions that do, in a process that imports none of them.

    Parameters
    ----------
    python : str
        The program.
    modules : sequence of Module
        What it must have; a module may stand there several times, for several reasons.
    folder : path or None
        The program's checkout, where it will run.
    cure : str
        How to get an environment that does.
    environment : mapping, optional
        Variables set for it beside the inherited ones.
    versions : str
        Versions of Python that do; ``""`` for any.
    gpus : sequence of Gpu
        Those that it would use.
    needs_gpu : bool
        Whether a torch that was built without CUDA will not do at all.

    Returns
    -------
    list of Diagnosis
        One on Python and what is missing in it; one for each module of another version than does.
    """
    about = "Python"
    home = Path(folder) if folder is not None and Path(folder).is_dir() else None
    texts = [module.where for module in modules if module.where is not None and module.where.module]
    asked = {
        "modules": dict(_names(modules)),
        "texts": [(text.module, text.file, text.text) for text in texts],
    }
    program = python if Path(python).name == python else str(Path(python).absolute())
    status, said = ask_program([program, "-c", _PROBE, json.dumps(asked)], home, environment)
    answers = [line.removeprefix(_MARK) for line in said.splitlines() if line.startswith(_MARK)]
    if status or not answers:
        last = said.strip().splitlines()[-1:] or ["it says nothing"]
        return [stop(about, f"{python!r} does not run: {last[0]}", cure)]
    answer = json.loads(answers[-1])
    environ = _Environment(
        home, answer["python"], answer["modules"], dict(zip(texts, answer["texts"], strict=True))
    )
    called = f"{python!r} ({environ.python})"
    asked_for = [module for module in modules if environ.asks_for(module)]
    if versions and not _is_among(environ.python, versions):
        return [stop(about, f"{called}: its code needs Python {versions}", cure)]
    found = [_check_present(python, called, environ, asked_for, cure)]
    found += _check_cuda(called, environ.version("torch") or "", gpus, cure, needs_gpu=needs_gpu)
    return [*found, *_check_versions(python, environ, asked_for)]


@dataclass(frozen=True, slots=True)
class _Environment:
    """A Python as it answered."""

    checkout: Path | None
    python: str
    found: dict[str, dict[str, Any]]
    texts: dict[Text, bool | None]

    def version(self, name: str) -> str | None:
        version: str | None = self.found.get(name, {}).get("version")
        return version

    def present(self, module: Module) -> list[str]:
        return [name for name in (module.name, *module.instead) if name in self.found]

    def asks_for(self, module: Module) -> bool:
        """Return whether the need holds here: what it rests on is there, or cannot be looked at."""
        if module.beside:
            name, _, _ = module.beside.partition("<")
            bound = module.beside.removeprefix(name)
            version = self.version(name)
            if name not in self.found or (bound and (version is None or not _is_among(version, bound))):
                return False
        return module.where is None or self._says(module.where) is not False

    def _says(self, text: Text) -> bool | None:
        if text.module:
            return self.texts[text]
        if self.checkout is None:
            return None
        try:
            return text.text in (self.checkout / text.file).read_text("utf-8", "replace")
        except OSError:
            return None


def _names(modules: Sequence[Module]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for module in modules:
        yield module.name, module.distributions
        yield from ((name, (name,)) for name in module.instead)


def _check_cuda(
    called: str, torch: str, gpus: Sequence[Gpu], cure: str, *, needs_gpu: bool
) -> Iterable[Diagnosis]:
    """Say where its torch, by what stands behind the plus sign of its version, can use none of the GPUs."""
    _, _, built = torch.partition("+")
    has = f"{called} has torch {torch}, which was built"
    if built == "cpu" and needs_gpu:
        yield stop("CUDA", f"{has} without CUDA", cure)
    elif built == "cpu" and gpus:
        yield warning("CUDA", f"{has} without CUDA: the GPUs here are not used", cure)
    cuda = int(built[2:]) if built.startswith("cu") and built[2:].isdecimal() else None
    needed = [_cuda_for(gpu) for gpu in gpus]
    if cuda is not None and needed and cuda < min(needed):
        names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
        found = f"{has} for CUDA {cuda / 10:g}, and {names} is known since {min(needed) / 10:g}"
        yield stop("CUDA", f"{found}: `no kernel image is available`", f"install a newer torch, or {cure}")


def _cuda_for(gpu: Gpu) -> int:
    """Return the CUDA whose programs first ran on a GPU, times ten; 0 where it is not known."""
    known = [cuda for capability, cuda in _FIRST_CUDA if (gpu.compute_capability or (0, 0)) >= capability]
    return max(known, default=0)


def _check_present(
    python: str, called: str, environ: _Environment, modules: Sequence[Module], cure: str
) -> Diagnosis:
    """Say which modules it has, or which it lacks."""
    missing = [module for module in modules if not environ.present(module)]
    if not missing:
        present = dict.fromkeys(name for module in modules for name in environ.present(module))
        listed = ", ".join(f"{name} {environ.version(name) or ''}".rstrip() for name in present)
        return fine("Python", f"{called} has {listed}" if listed else f"{called} runs")
    names = dict.fromkeys(" and no ".join((module.name, *module.instead)) for module in missing)
    reasons = dict.fromkeys(f"{module.name}: {module.why}" for module in missing if module.why)
    told = f" ({'; '.join(reasons)})" if reasons else ""
    return stop(
        "Python", f"{called} has no {', no '.join(names)}{told}", f"{_install(python, missing)}, or {cure}"
    )


def _install(python: str, modules: Sequence[Module]) -> str:
    """Return the command that installs modules in versions that do."""
    wanted: dict[str, dict[str, None]] = {}
    for module in modules:
        wanted.setdefault(module.distributions[0], {}).update(dict.fromkeys(filter(None, [module.versions])))
    words = [shlex.quote(name + ",".join(versions)) for name, versions in wanted.items()]
    return f"{shlex.quote(python)} -m pip install {' '.join(words)}"


def _check_versions(python: str, environ: _Environment, modules: Sequence[Module]) -> Iterable[Diagnosis]:
    """Yield a finding for each module whose version is none of those that do."""
    wrong: dict[str, list[Module]] = {}
    for module in modules:
        version = environ.version(module.name)
        if module.versions and version is not None and not _is_among(version, module.versions):
            wrong.setdefault(module.name, []).append(module)
    for name, needs in wrong.items():
        reasons = "; ".join(dict.fromkeys(f"{need.why} (it needs {need.versions})" for need in needs))
        level = stop if any(need.is_certain for need in needs) else warning
        yield level(name, f"{environ.version(name)}: {reasons}", _install(python, needs))


def _is_among(version: str | None, versions: str) -> bool:
    """Return whether a version is one of those; one that cannot be read is.

    >>> _is_among("0.11.0", "<0.10"), _is_among("2.8.0+cu128", ">=2.5"), _is_among("unknown", "<1"), _is_among(None, "<1")
    (False, True, True, True)
    """
    try:
        return version is None or SpecifierSet(versions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True
