"""What a command imports, what each extra brings, and what works without the extras. No stopwatch: see tests/benchmarks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evalkit.testing.imports import imported_modules
from evalkit.testing.runs import write_grid
from evalkit.testing.talking_face import TalkingFace
from pipeline.extras import MODULES

ROOT = Path(__file__).parents[1]
GROUPS = (
    "evaluators",
    "generators",
    "recognisers",
    "answerers",
    "speech_engines",
    "executors",
    "exporters",
    "reducers",
)
EXTRA_MODULES = {module for modules in MODULES.values() for module in modules}
WITHOUT_EXTRA = {"command", "musetalk", "sadtalker", "wav2lip"}
"""Drivers that are complete without an extra: espeak-ng is asked for where there is text to speak."""


# --- what a command imports --------------------------------------------------------------------------------------------

LIGHT = {
    "numpy",
    "pydantic",
    "yaml",
    "rich",
    "av",
    "scipy",
    "cv2",
    "matplotlib",
    "pandas",
    "mediapipe",
} | EXTRA_MODULES
HEAVY = {
    "cv2",
    "jinja2",
    "matplotlib",
    "mediapipe",
    "pandas",
    "pyAudioAnalysis",
    "pyarrow",
    "numba",
} | EXTRA_MODULES
STATISTICS = {
    f"scipy.{part}" for part in ("interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats")
}


ONE = ("--where", "size=384*256", "--where", "sample_steps=4")
"""The options that choose a configuration of the run below."""


def run(program: str, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in ok, done.stderr
    return done.stdout


def imports_of_command(*arguments: str) -> set[str]:
    """Name every module that this process has imported when a command is over."""
    program = (
        "import sys\nfrom evalkit.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as error:\n    assert not error.code, error.code\n"
        "print('IMPORTED', *sys.modules)"
    )
    return set(run(program, *arguments).rpartition("IMPORTED ")[2].split())


@pytest.mark.parametrize("module", ["evalkit", "pipeline", "evalkit.cli", "evalkit.isolation"])
def test_importing_imports_nothing(module: str) -> None:
    assert set(run(f"import sys, {module}\nprint(*sys.modules)").split()) & LIGHT == set()


def test_help_imports_nothing() -> None:
    assert imports_of_command("--help") & LIGHT == set()
    assert imports_of_command("evaluate", "--help") & LIGHT == set()


def test_list_imports_no_library_of_any_plugin() -> None:
    for words in (("list",), ("list", "generators"), ("list", "--json"), ("list", "metrics")):
        assert imports_of_command(*words) & (HEAVY | STATISTICS) == set()


@pytest.fixture
def made_run(tmp_path: Path) -> Path:
    """Return the folder of a run that is read and never measured."""
    return write_grid(tmp_path / "runs" / "grid")


@pytest.fixture(scope="module")
def cache(talking_face: TalkingFace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that holds the tracks of the talking face."""
    folder = tmp_path_factory.mktemp("cache")
    program = (
        "import os, sys\nos.environ['EVALKIT_CACHE_DIR'] = sys.argv[2]\nimport evalkit\n"
        "evalkit.evaluate(sys.argv[1])\nprint(*sys.modules)"
    )
    imported = set(run(program, str(talking_face.path), str(folder)).split())
    assert "cv2" in imported  # it was not cached, and so this sees what measuring imports
    unused = {
        "matplotlib",
        "pandas",
        "jax",
        "sounddevice",
        "mediapipe.tasks",
        "pyAudioAnalysis.ShortTermFeatures",
        "scipy.stats",
    }
    assert (
        imported & (unused | EXTRA_MODULES - set(MODULES["speech-quality"])) == set()
    )  # how the voice sounds
    return folder


def test_a_cached_clip_needs_no_pictures_no_networks_and_no_statistics(
    talking_face: TalkingFace, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the process that measures; a worker is such a one."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(cache))
    program = (
        "import sys\nfrom evalkit.evaluators.load import load_evaluators\nfrom evalkit.measuring import runner\n"
        "found = runner.measure(sys.argv[1], load_evaluators())\n"
        "assert sum(m.value is not None for m in found.measurements) > 20\nprint(*sys.modules)"
    )
    imported = set(run(program, str(talking_face.path)).split())
    assert imported & (HEAVY | STATISTICS | {"openvino", "rich", "click"}) == set()
    assert not any(name.startswith("mediapipe") for name in imported)


def test_the_command_leaves_decoding_and_mathematics_to_its_worker(
    talking_face: TalkingFace, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(cache))
    imported = imports_of_command("evaluate", str(talking_face.path))
    assert imported & (HEAVY | STATISTICS | {"av", "scipy"}) == set()


@pytest.mark.parametrize(
    "command", [("runs",), ("signoff", *ONE, "--policy", "customer_service"), ("report",)]
)
def test_a_run_is_judged_without_what_measures(command: tuple[str, ...], made_run: Path) -> None:
    name, *options = command
    program = (
        "import sys\nfrom evalkit.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as error:\n    assert error.code in (0, 1), error.code\n"
        "print('IMPORTED', *sys.modules)"
    )
    said = run(program, name, str(made_run), *options)
    imported = set(said.rpartition("IMPORTED ")[2].split())
    assert imported & (EXTRA_MODULES | {"cv2", "mediapipe"}) == set()


# --- what each extra brings ----------------------------------------------------------------------------------------------


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {
    _name(path): path for package in ("evalkit", "pipeline") for path in (ROOT / package).rglob("*.py")
}
IMPORTS = {
    name: imported_modules(path.read_text("utf-8"), ".".join(path.parent.relative_to(ROOT).parts))
    for name, path in SOURCES.items()
}


def reached_from(*roots: str) -> set[str]:
    """Name every source that is imported from some, directly or not, anywhere in them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for imported in IMPORTS[name]:
            parts = imported.split(".")
            ways = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
            waiting += [way for way in ways if way in SOURCES]
    return found


def libraries_of(*roots: str) -> set[str]:
    """Name the libraries that sources import, directly or not."""
    names = {name.split(".")[0] for source in reached_from(*roots) for name in IMPORTS[source]}
    return names - set(sys.stdlib_module_names) - {"evalkit", "pipeline", "_typeshed"}


def plugins() -> list[EntryPoint]:
    return [
        point
        for group in GROUPS
        for point in entry_points(group=f"evalkit.{group}")
        if point.module.split(".")[0] in {"evalkit", "pipeline"}
    ]


def extra_of(point: EntryPoint) -> str:
    extra = getattr(point.load(), "extra", "")
    assert isinstance(extra, str)
    return extra


CORE = sorted(
    {
        name
        for name in SOURCES
        if name.startswith(("evalkit.cli", "evalkit.api")) or name in {"evalkit", "pipeline"}
    }
    | {point.module for point in plugins() if not extra_of(point)}
)


def declared(extra: str | None = None) -> set[str]:
    """Name the distributions of the core, or of an extra with all that it includes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    found: set[str] = set()
    for requirement in map(Requirement, texts):
        if requirement.name == "evalkit":
            found |= {name for other in requirement.extras for name in declared(other)}
        else:
            found.add(canonicalize_name(requirement.name))
    return found


DISTRIBUTIONS = {
    module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
} | {
    "faster_whisper": {"faster-whisper"},  # not among what `make setup` installs
    "mlflow": {"mlflow-skinny"},
    "wandb": {"wandb"},
    "transformers": {"transformers"},
}


def test_the_core_imports_only_what_it_declares() -> None:
    with_others = {"markupsafe", "pydantic_core", "typing_extensions"}  # of jinja2 and pydantic
    asked_for = {
        "espeakng_loader",
        *MODULES["search"],
        *MODULES["rate"],
    }  # where it is used: see `WITHOUT_EXTRA`, `require_optuna`, `explain_missing`
    used = libraries_of(*CORE) - with_others - asked_for
    core = declared()
    assert sorted(name for name in used if not DISTRIBUTIONS[name] & core) == []
    unused = core - {name for module in used for name in DISTRIBUTIONS[module]}
    assert unused == {
        "mediapipe",
        "pyaudioanalysis",
        "pyarrow",
    }  # imported by its parts, see `pipeline.partial_import`; pandas' own, for parquet


@pytest.mark.parametrize("point", plugins(), ids=lambda point: f"{point.group}-{point.name}")
def test_a_plugin_names_the_extra_that_brings_what_it_imports(point: EntryPoint) -> None:
    with_commands = {
        *MODULES["rate"],
        *MODULES["serve"],
        *MODULES["search"],
    }  # `evalkit rate` and `evalkit.search` ask for them
    needed = libraries_of(point.module) & EXTRA_MODULES - with_commands
    if point.name in WITHOUT_EXTRA:
        needed -= {"espeakng_loader"}
    if point.group == "evalkit.answerers":
        needed -= set(MODULES["conversation"])  # nothing else asks for answers
    if point.name == "brand":
        needed -= set(MODULES["clip"])  # for models that are named
    if point.name == "speech":
        needed -= set(MODULES["speech-quality"])  # has a reason of its own where it is missing
    assert needed <= set(MODULES.get(extra_of(point), ()))


USERS = {
    "clip": ["evalkit.tracks.clip"],
    "rate": ["evalkit.app.serve", "evalkit.stats.reliability"],
    "serve": ["evalkit.app.live.server", "evalkit.app.serve"],
    "search": ["evalkit.sweeps.proposer"],
    "speech-quality": ["evalkit.tracks.speech_quality"],
}
"""What imports an extra that no plug-in names."""


@pytest.mark.parametrize("extra", MODULES)
def test_an_extra_brings_what_its_plugins_import_and_no_more(extra: str) -> None:
    """Recognisers and voices are chosen by name, so what a plug-in of the extra asks for is not seen in its imports."""
    installed = declared(extra) | declared()
    assert [name for name in MODULES[extra] if not DISTRIBUTIONS[name] & installed] == []
    brought = {name for module in MODULES[extra] for name in DISTRIBUTIONS[module]}
    brought |= declared("brand") if extra == "clip" else set()
    assert declared(extra) - brought == set()
    users = [point.module for point in plugins() if extra_of(point) == extra] or USERS[extra]
    by_name = {
        "clip": {"torchvision"},
        "conversation": {"cn2an", "jiwer", "opencc", "pocketsphinx", "whisper_normalizer"},
        "speech-quality": {"speechmos"},
    }  # open_clip's; of `speech`; files alone
    assert set(MODULES[extra]) - libraries_of(*users) - by_name.get(extra, set()) == set()


def test_everything_is_what_needs_no_weights_of_ones_own() -> None:
    extras = set(MODULES) - {"faster-whisper", "mlflow", "transformers", "wandb"}
    assert declared("all") == {name for extra in extras for name in declared(extra)}
    assert declared("all") <= declared("dev")


# --- without the extras --------------------------------------------------------------------------------------------------

BARE = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(EXTRA_MODULES)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def bare(*arguments: str, ok: tuple[int, ...] = (0,)) -> str:
    """Run a command where no module of an extra can be imported; return what it says on both streams."""
    program = f"{BARE}\nfrom evalkit.cli import main\nsys.stderr = sys.stdout\nmain(sys.argv[1:])"
    said = run(program, *arguments, ok=ok)
    assert "Traceback" not in said
    return " ".join(said.split())


def test_a_clip_is_measured_without_the_extras(talking_face: TalkingFace, tmp_path: Path) -> None:
    """In one process, so that the worker lacks them too."""
    program = (
        f"{BARE}\nimport os\nos.environ['EVALKIT_CACHE_DIR'] = sys.argv[2]\nimport evalkit\n"
        "(clip,) = evalkit.evaluate(sys.argv[1]).clips\n"
        "for m in clip.measurements:\n    print(m.metric.name, m.value, m.reason and m.reason.text, sep='|')"
    )
    lines = [line.split("|") for line in run(program, str(talking_face.path), str(tmp_path)).splitlines()]
    found = {name: (value, reason) for name, value, reason in lines}
    assert float(found["lip_sync.error"][0]) < 0.3
    assert found["motion.amount_deg_s"][0] != "None"
    for metric, extra in (("brand.fidelity", "brand"), ("speech.word_error_rate", "speech")):
        value, reason = found[metric]
        assert value == "None"
        assert f'pip install "evalkit[{extra}]"' in reason
    assert not any("failed" in reason for _, reason in found.values())


def test_the_command_says_what_it_leaves_out(talking_face: TalkingFace) -> None:
    said = bare("evaluate", str(talking_face.path))
    assert 'pip install "evalkit[brand]": brand.fidelity' in said


@pytest.mark.parametrize(
    ("arguments", "code", "cure"),
    [
        (("evaluate", "CLIP", "--only", "brand"), 2, "brand"),
        (("evaluate", "CLIP", "--only", "speech"), 2, "speech"),
        (("generate", "--generator", "reference", "--text", "Hello.", "--out", "OUT"), 2, "generate"),
        (("generate", "--generator", "reference", "--question", "When?", "--out", "OUT"), 2, "conversation"),
        (("doctor", "--generator", "reference"), 1, "generate"),
        (("sweep", "--out", "OUT"), 2, "generate"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else None,
)
def test_what_needs_an_extra_says_so_and_how_to_get_it(
    arguments: tuple[str, ...], code: int, cure: str, talking_face: TalkingFace, tmp_path: Path
) -> None:
    places = {"CLIP": str(talking_face.path), "OUT": str(tmp_path / "out.mp4")}
    said = bare(*(places.get(argument, argument) for argument in arguments), ok=(code,))
    assert f'pip install "evalkit[{cure}]"' in said


def test_list_names_what_cannot_be_used_and_why() -> None:
    said = " ".join(bare("list").split())
    for extra, plugin in (("brand", "evaluator brand"), ("generate", "generator reference")):
        (line,) = [part for part in said.split("cannot be used: ") if f'"evalkit[{extra}]"' in part]
        assert plugin in line


def test_runs_are_planned_compared_reported_and_signed_off_without_the_extras(
    made_run: Path, tmp_path: Path
) -> None:
    folder = str(made_run)
    assert "pending" in bare("sweep", "--dry-run", "--out", str(tmp_path / "run"))
    bare("report", folder)
    bare("runs", str(made_run.parent))
    bare("compare", folder, folder, ok=(0, 1))
    bare("signoff", folder, *ONE, "--policy", "customer_service", ok=(0, 1))
