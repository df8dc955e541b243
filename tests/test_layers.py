"""Who may import whom: read from the source, so that an import inside a function counts too."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from evalkit.testing.imports import imported_modules

ROOT = Path(__file__).parents[1]

# From the bottom up: a package imports those of lower rows, none of its own row.
ROWS = (
    {"types", "errors", "formatting", "frames", "plot_style"},
    {"arguments", "delimited", "stats", "registry", "options", "isolation"},
    {"words"},
    {"brands", "media", "metrics", "models", "prompts", "visuals"},
    {"tracks"},
    {"evaluators", "profiling", "runs"},
    {"measuring"},
    {"execution", "analysis"},
    {"decisions", "forecast", "rating", "scores", "validation"},
    {"sweeps"},
    {"samples", "views"},
    {"reports"},
    {"exporters"},
    {"api", "app"},
    {"cli", "pytest_plugin"},
)
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}

# What generators and evalkit say to each other; evalkit may import these modules of pipeline and no other.
VOCABULARY_ROWS = (
    {"chatter", "errors", "formatting", "gpus", "languages", "partial_import", "phonemes", "process_token"},
    {"extras", "options", "process", "recogniser"},
    {"diagnosis", "estimates", "events", "pinned", "plugins", "request", "tether"},
    {"result"},
    {"generator"},
)
VOCABULARY = {module for row in VOCABULARY_ROWS for module in row}
PIPELINE_ROWS = (
    *VOCABULARY_ROWS,
    {
        "beliefs",
        "diagnosis_checks",
        "endpoint",
        "faces",
        "fingerprint",
        "gpu_checks",
        "reach",
        "sound",
        "video",
    },
    {"fallback", "python_checks", "weights_checks"},
    {"speech"},
    {"adapters", "dialogue", "reference"},
)
PIPELINE_ROW_OF = {module: row for row, modules in enumerate(PIPELINE_ROWS) for module in modules}
FRONT_DOOR = {"__init__", "__main__"}  # hand out names of any package; python -m evalkit is the cli
FOR_TESTS = {"testing"}  # in both packages: may use everything, nothing may use it

NO_BUSINESS_OF_METRICS = {"av", "cv2", "click", "mediapipe", "open_clip", "openvino", "pydantic", "torch"}
HEAVY = ("mediapipe", "openvino", "torch", "cv2", "open_clip", "matplotlib", "pandas", "scipy")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    return imported_modules(path.read_text("utf-8"), ".".join(path.parent.relative_to(ROOT).parts))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "evalkit").parts[0].removesuffix(".py")


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parts_of_the_pipeline_used_by(path: Path) -> set[str]:
    """Name the modules and folders right under ``pipeline`` that a source imports."""
    own = (
        path.relative_to(ROOT).parts[1].removesuffix(".py") if path.is_relative_to(ROOT / "pipeline") else ""
    )
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("pipeline.")}
    return (names & {module_of(other) for other in sources("pipeline")}) - {own}


def module_of(path: Path) -> str:
    return path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources("evalkit"), ids=label)
def test_evalkit_imports_nothing_of_the_pipeline_but_the_vocabulary(path: Path) -> None:
    if room_of(path) not in FOR_TESTS:
        assert parts_of_the_pipeline_used_by(path) - VOCABULARY == set()


@pytest.mark.parametrize("path", sources("pipeline"), ids=label)
def test_the_pipeline_imports_only_downward(path: Path) -> None:
    module = module_of(path)
    if module in FOR_TESTS | {"__init__"}:
        return
    row = PIPELINE_ROW_OF[module]
    used = parts_of_the_pipeline_used_by(path)
    assert sorted(name for name in used if PIPELINE_ROW_OF.get(name, len(PIPELINE_ROWS)) >= row) == []


@pytest.mark.parametrize("folder", ["adapters", "dialogue", "reference", "speech"])
def test_modules_of_a_folder_of_the_pipeline_import_each_other_in_no_circle(folder: str) -> None:
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources(f"pipeline/{folder}")
    }
    graph = {name: imports_of(path) & paths.keys() - {name} for name, path in paths.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(graph)  # raises CycleError on a circle


@pytest.mark.parametrize("path", sources("pipeline/adapters"), ids=label)
def test_a_driver_knows_no_other_driver(path: Path) -> None:
    shared = {"command", "http_service", "preset", "series", "template"}
    own = path.relative_to(ROOT / "pipeline" / "adapters").parts[0].removesuffix(".py")
    used = {name.split(".")[2] for name in imports_of(path) if name.startswith("pipeline.adapters.")}
    assert used - shared - {own} == set()


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
    upward = sorted(used for used in rooms_used_by(path) if ROW_OF.get(used, len(ROWS)) >= row)
    assert upward == [], f"{room} is in row {row}"


def test_rooms_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {room: set() for room in ROW_OF}
    for path in sources("evalkit"):
        if room_of(path) in graph:
            graph[room_of(path)] |= rooms_used_by(path) - FOR_TESTS
    assert set(TopologicalSorter(graph).static_order()) == set(graph)  # raises CycleError on a circle


@pytest.mark.parametrize("path", sources("evalkit/metrics"), ids=label)
def test_metrics_import_only_plain_data_and_statistics(path: Path) -> None:
    assert rooms_used_by(path) <= {"types", "errors", "stats"}


def test_every_room_has_a_place() -> None:
    rooms = {room_of(path) for path in sources("evalkit")}
    assert rooms - ROW_OF.keys() - FRONT_DOOR - FOR_TESTS == set()


@pytest.mark.parametrize("path", sources("evalkit/metrics"), ids=label)
def test_metric_mathematics_knows_no_files_models_or_frameworks(path: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(path)} & NO_BUSINESS_OF_METRICS == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    import pipeline.request", {"pipeline.request"}),
        ("if TYPE_CHECKING:\n    from pipeline import request", {"pipeline", "pipeline.request"}),
        ("from . import cli", {"evalkit.media", "evalkit.media.cli"}),
        ("def f():\n    torch = load_library('torch')", {"torch"}),
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
