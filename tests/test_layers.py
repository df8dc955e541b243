"""Who may import whom: read from the source, so that an import inside a function counts too."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up: a room may import rooms of its own row and below, and never in a circle.
ROWS = (
    {"types", "errors", "formatting", "plot_style"},
    {"brands", "media", "metrics", "registry", "options", "isolation", "prompts", "stats", "visuals"},
    {"tracks", "runs", "models"},
    {"evaluators", "profiling"},
    {"measuring"},
    {"execution", "analysis"},
    {"decisions"},
    {"forecast", "sweeps"},
    {"views"},
    {"reports"},
    {"cli"},
)
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
FRONT_DOOR = {
    "__init__",
    "__main__",
    "api",
}  # the package hands out names of any room; python -m evalkit is the cli
FOR_TESTS = {"testing"}  # may use everything, nothing may use it

NO_BUSINESS_OF_METRICS = {"av", "cv2", "click", "mediapipe", "open_clip", "pydantic", "torch"}
HEAVY = ("mediapipe", "torch", "cv2", "open_clip", "matplotlib", "pandas", "scipy")


def imported_modules(source: str, package: str) -> set[str]:
    """Name every module that a source imports anywhere, relative ones in full."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    return imported_modules(path.read_text("utf-8"), ".".join(path.parent.relative_to(ROOT).parts))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "evalkit").parts[0].removesuffix(".py")


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources("evalkit"), ids=label)
def test_evalkit_imports_nothing_of_the_pipeline(path: Path) -> None:
    assert [name for name in imports_of(path) if name.split(".")[0] == "pipeline"] == []


@pytest.mark.parametrize("path", sources("pipeline"), ids=label)
def test_the_pipeline_imports_nothing_of_evalkit(path: Path) -> None:
    assert [name for name in imports_of(path) if name.split(".")[0] == "evalkit"] == []


def rooms_used_by(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("evalkit.")}
    known = ROW_OF.keys() | FOR_TESTS
    return (names & known) - {room_of(path)}


@pytest.mark.parametrize("path", sources("evalkit"), ids=label)
def test_a_room_imports_only_downward(path: Path) -> None:
    room = room_of(path)
    if room in FRONT_DOOR | FOR_TESTS:
        return
    row = ROW_OF.get(room, 0)
    upward = sorted(used for used in rooms_used_by(path) if ROW_OF.get(used, len(ROWS)) > row)
    assert upward == [], f"{room} is in row {row}"


def test_rooms_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {room: set() for room in ROW_OF}
    for path in sources("evalkit"):
        if room_of(path) in graph:
            graph[room_of(path)] |= rooms_used_by(path) - FOR_TESTS
    assert set(TopologicalSorter(graph).static_order()) == set(graph)  # raises CycleError on a circle


@pytest.mark.parametrize("path", sources("evalkit/metrics"), ids=label)
def test_metrics_import_only_plain_data(path: Path) -> None:
    assert rooms_used_by(path) <= {"types", "errors"}


def test_every_room_has_a_place() -> None:
    rooms = {room_of(path) for path in sources("evalkit")}
    assert rooms - ROW_OF.keys() - FRONT_DOOR - FOR_TESTS - {"models"} == set()


@pytest.mark.parametrize("path", sources("evalkit/metrics"), ids=label)
def test_metric_mathematics_knows_no_files_models_or_frameworks(path: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(path)} & NO_BUSINESS_OF_METRICS == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    import pipeline.request", {"pipeline.request"}),
        ("if TYPE_CHECKING:\n    from pipeline import request", {"pipeline", "pipeline.request"}),
        ("from . import cli", {"evalkit.media", "evalkit.media.cli"}),
        ("from ..runner import evaluate", {"evalkit.runner", "evalkit.runner.evaluate"}),
    ],
)
def test_every_way_to_import_is_seen(source: str, expected: set[str]) -> None:
    assert imported_modules(source, "evalkit.media") == expected


@pytest.mark.parametrize(
    "module",
    ["evalkit", "evalkit.cli", "evalkit.cli.generate"]
    + [point.module for point in entry_points(group="evalkit.generators")],
)
def test_importing_is_instant(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
