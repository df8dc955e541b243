"""The built wheel, installed in an environment of its own and used away from the sources."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from evalkit.testing.talking_face import TalkingFace

ROOT = Path(__file__).parents[1]
CODE_SUFFIXES = {".py", ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the interpreter of an environment that holds the wheel, and borrows what it depends on."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-deps"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (packages,) = (folder / "lib").glob("python3*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))}
    (packages / "zz_borrowed.pth").write_text("\n".join([*sorted(borrowed), ""]))
    return interpreter


def ask(python: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [python, "-P", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_every_file_that_the_packages_read(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "evalkit", "pipeline"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    data = {name for name in tracked if Path(name).suffix not in CODE_SUFFIXES}
    if not data:
        pytest.skip("the sources are no git checkout: what belongs to them is not known")
    with ZipFile(wheel) as archive:
        assert data <= set(archive.namelist())


def test_it_is_the_wheel_that_is_used(python: Path, tmp_path: Path) -> None:
    place = ask(python, tmp_path, "-c", "import evalkit; print(evalkit.__file__)").strip()
    assert Path(place).is_relative_to(python.parents[1])


def test_the_command_line_lists_what_is_installed(python: Path, tmp_path: Path) -> None:
    program = python.with_name("evalkit")
    listed = subprocess.run(
        [program, "list", "metrics"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "lip_sync.error" in listed.stdout


def test_it_measures_a_clip(python: Path, tmp_path: Path, talking_face: TalkingFace) -> None:
    code = (
        "import sys, evalkit\n"
        "report = evalkit.evaluate(sys.argv[1])\n"
        "import json; print(json.dumps({m.metric.name: m.value for m in report.clips[0].measurements}))"
    )
    values = json.loads(ask(python, tmp_path, "-c", code, str(talking_face.path)).splitlines()[-1])
    assert values["lip_sync.error"] < 0.3
    assert values["technical.width"] == 256


def test_it_plans_the_bundled_sweep(python: Path, tmp_path: Path) -> None:
    program = python.with_name("evalkit")
    planned = subprocess.run(
        [program, "sweep", "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "20 pending" in planned.stdout
