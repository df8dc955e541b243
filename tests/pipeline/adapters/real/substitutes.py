"""Run a real program with some of its modules replaced: its networks, and what only they need.

Nothing of the program is changed. A folder is put in front of Python's path whose ``sitecustomize`` finds the named
modules there before anywhere else; everything else is the program's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.generator import Plan

_FINDER = """
import argparse, importlib.abc, importlib.util, json, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        file = os.path.join(os.path.dirname(__file__), "modules", name + ".py")
        if os.path.isfile(file):
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=[])

sys.meta_path.insert(0, Finder())

if "PARSE_ONLY" in os.environ:
    parse = argparse.ArgumentParser.parse_args

    def parse_and_tell(self, *args):
        print("PARSED " + json.dumps(vars(parse(self, *args))), flush=True)
        os._exit(0)

    argparse.ArgumentParser.parse_args = parse_and_tell
"""


def write_substitutes(folder: Path, modules: Mapping[str, str], first: str = "") -> Path:
    """Write modules that stand in for others of the same full name.

    Parameters
    ----------
    folder : Path
        Where to; not there yet.
    modules : mapping of str to str
        Full name to source.
    first : str
        What is run before the program, as repairs for versions of libraries that it does not know.

    Returns
    -------
    Path
        For ``PYTHONPATH``.
    """
    (folder / "modules").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_FINDER + first)
    for name, source in modules.items():
        (folder / "modules" / f"{name}.py").write_text(source)
    return folder


def their_environment(python: str, path: Path, mode: str, **more: str) -> dict[str, str]:
    """Return the environment of a real program; skip where there is no ffmpeg for it."""
    search = f"{Path(python).parent}:{os.environ['PATH']}"
    if shutil.which("ffmpeg", path=search) is None:
        pytest.skip(f"no ffmpeg beside {python} or on the PATH")
    return {"PATH": search, "PYTHONPATH": str(path), "MODE": mode, "PYTHONDONTWRITEBYTECODE": "1", **more}


def need_modules(python: str, *names: str) -> None:
    """Skip where a Python lacks what the program imports besides its networks."""
    code = (
        "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    )
    missing = run_python(python, code, *names).split()
    if missing:
        pytest.skip(f"{python} has no {', '.join(missing)}")


def run_python(python: str, code: str, *arguments: str) -> str:
    """Run some lines in a Python and return what they print."""
    done = subprocess.run(
        [python, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def parse(plan: Plan) -> dict[str, Any]:
    """Return what the real parser makes of a plan's command line."""
    done = subprocess.run(
        plan.argv,
        cwd=plan.folder if plan.folder and Path(plan.folder).is_dir() else None,
        env={**os.environ, **plan.environment, "PARSE_ONLY": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("PARSED ")]
    parsed: dict[str, Any] = json.loads(line.removeprefix("PARSED "))
    return parsed
