"""Import a module of a library without what its packages import beside it.

Importing a module runs the code of every package around it first, which may import all that the package has:
``import mediapipe`` brings every solution, the tasks, pyplot and microphones, 0.6 s of processor time, of which a landmark
network needs a twentieth; ``import scipy.signal`` brings all of scipy's statistics.
"""

from __future__ import annotations

import builtins
import sys
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec
from threading import RLock, get_ident
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_IMPORTING = RLock()
_LONGEST_WAIT_S = 10.0
_importers: list[int] = []
"""The thread that imports a part, once for each of its imports that is under way."""
_ours: dict[str, ModuleType] = {}
"""What was imported here and is in `sys.modules` only meanwhile, by name."""


_READ_SETTINGS = ("face_mesh", "pose", "holistic")
"""Solutions that import, between them, what reads the settings in every solution's graph. Others rely on that: a setting
that cannot be read is lost without a word, as how ``face_detection`` takes the mean of several finds of one face."""


def load_solution(name: str) -> Any:
    """Import one of mediapipe's solutions, as in ``face_mesh``, and what it needs; raises as `import_part`."""
    package = "mediapipe.python.solutions"
    without = ("mediapipe", "mediapipe.python", package)
    with _IMPORTING:
        for other in _READ_SETTINGS:
            import_part(f"{package}.{other}", without=without)
        return import_part(f"{package}.{name}", without=without)


def import_part(name: str, *, without: tuple[str, ...]) -> Any:
    """Import a module and what it imports itself, one thread at a time.

    Who imports the packages elsewhere, before or afterwards, gets them whole; so does another thread that imports one of
    them meanwhile, as it waits where it first uses a name of it.

    Parameters
    ----------
    name : str
        Of the module.
    without : tuple of str
        Packages around the module whose own code is not run, the outermost first. The module and all that it imports
        from them must do without names that this code defines.

    Raises
    ------
    ImportError
        If there is no such module, or it does not load.
    """
    outermost = without[0]
    with _IMPORTING:
        if outermost in sys.modules:
            import_module(outermost)  # waits for a thread that is in the middle of it
            return import_module(name)
        _importers.append(get_ident())
        sys.modules.update({known: module for known, module in _ours.items() if _is_in(known, outermost)})
        try:
            for package in without:
                if package not in sys.modules:
                    sys.modules[package] = _package_without_its_code(package)
            return import_module(name)
        finally:
            for known in [known for known in list(sys.modules) if _is_in(known, outermost)]:
                if not _loads_once(known) and not _is_loading(known):
                    _ours[known] = sys.modules.pop(known)
            _importers.pop()


def import_alone(name: str, *, unused: Mapping[str, tuple[str, ...]]) -> Any:
    """Run a module's code for us alone, without some modules that it imports and that nothing we call uses.

    `sys.modules` has neither the module nor what stands in for the others, at no time: who imports them, in any thread,
    gets them whole.

    Parameters
    ----------
    name : str
        Of the module; it is plain Python.
    unused : mapping of str to tuple of str
        Modules that it imports, and the names that it takes from each; the names are None for it.

    Raises
    ------
    ImportError
        If there is no such module, or it does not load.
    """
    spec = find_spec(name)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        raise ModuleNotFoundError(f"no module of plain Python is named {name!r}", name=name)

    def import_for_it(
        wanted: str, its_globals: Any = None, its_locals: Any = None, names: Any = (), level: int = 0
    ) -> ModuleType:
        if wanted not in unused:
            return __import__(wanted, its_globals, its_locals, names or (), level)
        stand_in = ModuleType(wanted)
        vars(stand_in).update(dict.fromkeys(unused[wanted]))
        if not names:  # as in ``import a.b as c``, which is given a and takes b from it
            for part in reversed(wanted.split(".")[1:]):
                inner, stand_in = stand_in, ModuleType(wanted)
                setattr(stand_in, part, inner)
        return stand_in

    alone = module_from_spec(spec)
    vars(alone)["__builtins__"] = {**vars(builtins), "__import__": import_for_it}
    code = spec.loader.get_code(name)
    assert code is not None  # noqa: S101 - narrows the type: a module of plain Python has code
    exec(code, vars(alone))  # noqa: S102 - what importing the module would run
    return alone


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


class _Hollow(ModuleType):
    """A package whose code was not run; who meets it in another thread waits, and is given what the whole one has."""

    def __getattr__(self, name: str) -> Any:
        absent = f"module {self.__name__!r} has no attribute {name!r}"
        if get_ident() in _importers or not _IMPORTING.acquire(timeout=_LONGEST_WAIT_S):
            raise AttributeError(absent, name=name, obj=self)
        _IMPORTING.release()
        return getattr(import_module(self.__name__), name)


def _package_without_its_code(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = module_from_spec(spec)
    package.__class__ = _Hollow
    return package


def _is_loading(name: str) -> bool:
    """Say whether another thread is in the middle of importing a module; importing fails if it is taken away."""
    return bool(getattr(sys.modules[name].__spec__, "_initializing", False))


def _loads_once(name: str) -> bool:
    """Say whether a module must stay for everybody: compiled ones, and protobuf's messages."""
    spec = sys.modules[name].__spec__
    return spec is None or not isinstance(spec.loader, SourceFileLoader) or name.endswith("_pb2")
