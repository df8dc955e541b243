"""The public library: what a script and a notebook see and call."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import evalkit
from evalkit import registry
from evalkit.measuring.pool import BatchProgress
from evalkit.options import ConfigError
from evalkit.testing.media import write_clip
from evalkit.testing.runs import make_trial, write_grid, write_run
from evalkit.testing.tables import ERROR, TOTAL
from evalkit.types import ClipFacts, ClipIntent, Measurement, Metric, Track

FRAMES = Metric("mine.n_frames", "1", "band", "number of frames")


class Mine(evalkit.Evaluator):
    """An evaluator that counts frames."""

    name, version, metrics, tracks = "mine", 1, (FRAMES,), ("picture",)

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> evalkit.Measured:  # noqa: ARG002
        """Count."""
        n = len(tracks["picture"])
        return evalkit.Measured((Measurement(FRAMES, float(n), n=n),))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what was registered."""
    monkeypatch.setattr(registry, "_SESSION", {})


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [np.full((64, 64, 3), 90 + k, dtype=np.uint8) for k in range(12)]
    return write_clip(tmp_path_factory.mktemp("clips") / "grey.mp4", frames)


def python(code: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script as people do: no main guard, no package."""
    (folder / "script.py").write_text(textwrap.dedent(code), "utf-8")
    command = [sys.executable, "script.py"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, timeout=120, **options
    )


# What is there


def test_every_public_name_is_in_dir_and_can_be_used() -> None:
    assert dir(evalkit) == evalkit.__all__ == sorted(evalkit.__all__)
    for name in evalkit.__all__:
        assert getattr(evalkit, name) is not None
    wanted = "evaluate measure sweep compare signoff recommend profile Run Report Metric Measurement Interval"
    wanted += " Reason Track ClipIntent Evaluator evaluator register UsageError"
    assert set(wanted.split()) <= set(dir(evalkit))


def test_every_public_name_is_imported_for_type_checkers() -> None:
    source = inspect.getsource(evalkit)
    checked = source.split("if TYPE_CHECKING:")[1].split("__version__ =")[0]
    for name in set(evalkit.__all__) - {"__version__"}:
        assert name in checked, name
    for home, names in evalkit._HOMES.items():
        for name in names.split():
            assert getattr(importlib.import_module(home), name) is getattr(evalkit, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        evalkit.evalute  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(evalkit.__all__) - {"__version__"}))
def test_type_hints_resolve_at_run_time(name: str) -> None:
    thing = getattr(evalkit, name)
    hints = typing.get_type_hints(thing)
    if inspect.isfunction(thing):
        assert set(inspect.signature(thing).parameters) <= set(hints)


CLASSES = [name for name in evalkit.__all__ if isinstance(getattr(evalkit, name), type)]


@pytest.mark.parametrize("name", CLASSES)
def test_type_hints_of_methods_resolve_at_run_time(name: str) -> None:
    mine = [kind for kind in getattr(evalkit, name).__mro__ if kind.__module__.startswith("evalkit")]
    for member in (member for kind in mine for member in vars(kind).values()):
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        function = getattr(function, "func", function)  # of a cached property
        if inspect.isfunction(function) and function.__code__.co_filename != "<string>":
            hints = typing.get_type_hints(function)
            assert function.__name__ != "frame" or hints["return"] is pd.DataFrame


# Which files


def test_a_path_a_folder_a_pattern_and_lists_of_them_are_taken(
    tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.mov", "a.MP4", "deep/er/c.webm", ".hidden.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(grey, path)
    (tmp_path / "folder.mp4").mkdir()

    def names(given: Any) -> list[str]:
        report = evalkit.evaluate(given, evaluators=["technical"])
        return [Path(clip.clip).relative_to(tmp_path).as_posix() for clip in report.clips]

    everything = ["a.MP4", "b.mov", "deep/er/c.webm"]
    assert names(tmp_path) == names(str(tmp_path)) == everything
    assert names(tmp_path / "b.mov") == ["b.mov"]
    assert names(f"{tmp_path}/*.mov") == ["b.mov"]
    assert names([tmp_path / "b.mov", str(tmp_path), f"{tmp_path}/deep/**/*.webm"]) == [
        "b.mov",
        "a.MP4",
        "deep/er/c.webm",
    ]
    monkeypatch.chdir(tmp_path)
    clips = evalkit.evaluate(["./b.mov", "b.mov", tmp_path / "b.mov"], evaluators=["technical"]).clips
    assert [clip.clip for clip in clips] == ["./b.mov"]  # however it is written


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no clip was given"),
        ("{empty}", "holds no video"),
        (
            None,
            r"clips is None; a path of a video, a folder of them or a pattern, or a list of these, is needed",
        ),
        (3, "clips is 3; a path of a video"),
        (b"x.mp4", "clips is b'x.mp4'; a path of a video"),
        (["a.mp4", None], r"clips\[1\] is None; a path of a video"),
        ({"a.mp4": 1}, "clips is {'a.mp4': 1}; a path of a video"),
        ("{empty}/*.mp4", "nothing matches"),
    ],
)
def test_nothing_to_measure_is_refused(tmp_path: Path, given: Any, message: str) -> None:
    given = given.format(empty=tmp_path) if isinstance(given, str) else given
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.evaluate(given)


# Evaluators of one's own


def test_objects_classes_and_names_measure_beside_each_other(grey: Path) -> None:
    for own in (Mine, Mine()):
        (clip,) = evalkit.evaluate(grey, evaluators=["technical", own]).clips
        assert clip["mine.n_frames"].value == 12
        assert clip["technical.fps"].value == pytest.approx(25)
        (clip,) = evalkit.evaluate(grey, evaluators=own).clips
        assert [one.metric for one in clip] == [FRAMES]


def test_a_registered_evaluator_is_known_by_its_name(grey: Path, session: None) -> None:  # noqa: ARG001
    assert evalkit.evaluator(Mine) is Mine
    (clip,) = evalkit.evaluate(grey, evaluators=["mine"]).clips
    assert clip["mine.n_frames"].value == 12
    assert "mine" in registry.names(registry.EVALUATORS)
    evalkit.register(Mine)  # a cell that is run again
    again = type("Mine", (Mine,), {"version": 2, "__module__": Mine.__module__, "__qualname__": "Mine"})
    evalkit.register(again)
    assert registry.load(registry.EVALUATORS, "mine") is again


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            type("Other", (Mine,), {"name": "technical"}),
            "'technical' is taken in evalkit.evaluators by evalkit",
        ),
        (
            type("Other", (Mine,), {"metrics": (ERROR,)}),
            "'lip_sync.error' .* of the evaluator 'lip_sync' already",
        ),
        (type("Other", (), {"name": "other"}), "is not a subclass of evalkit.Evaluator"),
        (
            type("Other", (evalkit.Evaluator,), {"name": "a"}),
            "is not complete: it has no version, metrics, measure",
        ),
        (
            Mine(),
            "is not a subclass of evalkit.Evaluator; an object of one is given where evaluators are named",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused(kind: Any, message: str, session: None) -> None:  # noqa: ARG001
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.register(kind)


def test_a_name_registered_by_another_class_is_taken(session: None) -> None:  # noqa: ARG001
    evalkit.register(Mine)
    with pytest.raises(evalkit.UsageError, match=r"'mine' is taken in evalkit.evaluators by .*Mine"):
        evalkit.register(type("Other", (Mine,), {}))


@pytest.mark.parametrize(
    ("evaluators", "settings", "message"),
    [
        (["lipsync"], None, "did you mean 'lip_sync'"),
        ([3], None, "3 is not an evaluator: give its name, its class"),
        ([Mine(), Mine], None, "two of the evaluators are named 'mine'"),
        (
            [Mine()],
            {"mine": {"a": 1}},
            "settings for 'mine', an object that was made with its settings already",
        ),
        ([Mine], {"mine": {"a": 1}}, "'mine' has no setting 'a'"),
        ([Mine], {"technical": {}}, "settings for the evaluator 'technical', which is not among mine"),
        (3, None, "evaluators is 3; a name, as evalkit list shows it, or a list of them is needed"),
        (b"mine", None, "evaluators is b'mine'; a name"),
        ([Mine], ["mine"], r"settings is \['mine'\]; a mapping of names to values is needed"),
        ([Mine], {"mine": 3}, r"settings\['mine'\] is 3; a mapping of names to values is needed"),
    ],
)
def test_evaluators_that_make_no_sense_are_refused(
    grey: Path, evaluators: Any, settings: Any, message: str
) -> None:
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.evaluate(grey, evaluators=evaluators, settings=settings)


NOTEBOOK = """
import sys
import evalkit
FRAMES = evalkit.Metric("mine.n_frames", "1", "band", "number of frames")

@evalkit.evaluator
class Mine(evalkit.Evaluator):
    name, version, metrics, tracks = "mine", 1, (FRAMES,), ("picture",)
    def measure(self, facts, tracks):
        return evalkit.Measured((evalkit.Measurement(FRAMES, float(len(tracks["picture"]))),))

print("begins")
report = evalkit.evaluate(sys.argv[1], evaluators=["mine"], jobs=JOBS)
print(report.clips[0]["mine.n_frames"].value)
"""


def test_an_evaluator_of_the_script_measures_in_its_process_and_is_refused_in_workers(
    tmp_path: Path, grey: Path
) -> None:
    code = NOTEBOOK.replace("sys.argv[1]", repr(str(grey)))
    done = python(code.replace("JOBS", "1"), tmp_path)
    assert done.stdout.splitlines() == ["begins", "12.0"], done.stderr
    done = python(code.replace("JOBS", "2"), tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["begins"]
    assert done.stderr.splitlines()[-1].startswith(
        "evalkit.errors.UsageError: the evaluator 'mine' cannot be sent to a worker process ("
    )
    assert done.stderr.rstrip().endswith(
        "define it in a module that can be imported, or work in this process"
    )


# Isolation and progress


def test_workers_give_the_same_as_this_process_and_tell_how_far_they_are(tmp_path: Path, grey: Path) -> None:
    for name in "abc":
        shutil.copy(grey, tmp_path / f"{name}.mp4")
    seen: list[BatchProgress] = []
    apart = evalkit.evaluate(tmp_path, evaluators=["technical", Mine], jobs=2, on_progress=seen.append)
    here = evalkit.evaluate(tmp_path, evaluators=["technical", Mine])
    assert apart.to_json() == here.to_json()
    assert [one.n_over for one in seen if one.result is not None] == [1, 2, 3]
    assert [one.share for one in seen] == sorted(one.share for one in seen)
    assert seen[-1].share == 1


class Crashing(Mine):
    """Ends its process on one file."""

    name = "crashing"

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> evalkit.Measured:
        """Count, or crash."""
        if "b.mp4" in facts.path:
            os._exit(3)
        return super().measure(facts, tracks)


def test_a_crash_in_a_worker_costs_one_clip(tmp_path: Path, grey: Path) -> None:
    code = inspect.getsource(Mine) + "\n\n" + inspect.getsource(Crashing)
    head = "import os\nfrom collections.abc import *\nimport evalkit\nfrom evalkit.types import *\n"
    head += "FRAMES = Metric('mine.n_frames', '1', 'band', 'frames')\n\n\n"
    (tmp_path / "crashes.py").write_text(head + code, "utf-8")
    for name in "abc":
        shutil.copy(grey, tmp_path / f"{name}.mp4")
    script = """
    import evalkit
    from crashes import Crashing
    report = evalkit.evaluate(".", evaluators=[Crashing], isolate=True)
    print([(clip.clip, clip.error.code if clip.error else clip["mine.n_frames"].value) for clip in report.clips])
    """
    done = python(script, tmp_path)
    assert done.stdout == "[('a.mp4', 12.0), ('b.mp4', 'crashed'), ('c.mp4', 12.0)]\n", done.stderr


@pytest.mark.parametrize(
    ("jobs", "message"),
    [(0, "jobs is 0"), *((jobs, rf"jobs is {jobs!r}; a whole number, or None") for jobs in ("2", 2.0, True))],
)
def test_a_number_of_workers_that_makes_no_sense_is_refused(grey: Path, jobs: Any, message: str) -> None:
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.evaluate(grey, jobs=jobs)


# What clips were asked to be


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"script": "hello"}, "a script needs a language"),
        ({"language": "en"}, "the language 'en' belongs to a script"),
        ({"script": " ", "language": "en"}, "the script is empty"),
        ({"script": Path("no.txt"), "language": "en"}, "no.txt cannot be read as text"),
        ({"intent": ClipIntent(), "prompt": "a face"}, "either intent, or script"),
        ({"intent": "hello"}, r"intent is 'hello'; an evalkit\.ClipIntent is needed"),
        ({"script": 3, "language": "en"}, "script is 3; the words as text, or the Path of a file"),
        ({"audio": 3}, "audio is 3; a path, as text or as a Path, is needed"),
        ({"brand": 3}, "brand is 3; a path"),
        ({"evidence": b"out"}, "evidence is b'out'; a path"),
    ],
)
def test_what_a_clip_cannot_be_measured_with_is_refused(
    grey: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.evaluate(grey, **given)


class Echo(Mine):
    """Counts the words of the script."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> evalkit.Measured:  # noqa: ARG002
        """Count the words."""
        n = len((facts.intent.text or "").split())
        return evalkit.Measured((Measurement(FRAMES, float(n), n=n),))


def test_a_script_reaches_the_evaluators_however_it_is_given(tmp_path: Path, grey: Path) -> None:
    (tmp_path / "words.txt").write_text("one two three", "utf-8")
    ways: list[dict[str, Any]] = [
        {"script": "one two three", "language": "en"},
        {"script": tmp_path / "words.txt", "language": "en"},
        {"intent": ClipIntent("one two three", "en")},
    ]
    for way in ways:
        assert evalkit.evaluate(grey, evaluators=[Echo], **way).clips[0]["mine.n_frames"].value == 3


def test_two_brands_are_refused(grey: Path) -> None:
    with pytest.raises(evalkit.UsageError, match=r"two brands are given: a\.yaml and b\.yaml"):
        evalkit.evaluate(grey, brand="a.yaml", settings={"brand": {"file": "b.yaml"}})


# Runs


def test_measuring_a_run_fills_its_gaps_and_makes_no_video(
    tmp_path: Path, stand_in: dict[str, Any], made: Callable[[], list[int]]
) -> None:
    run = evalkit.sweep(stand_in, tmp_path / "run")
    assert "technical.fps" not in run.frame().columns
    messages: list[str] = []
    measured = evalkit.measure(run, evaluators=["technical"], jobs=1, on_message=messages.append)
    assert measured.frame()["technical.fps"].tolist() == [25.0, 25.0, 25.0]
    assert "technical.fps" in (tmp_path / "run" / "report.html").read_text("utf-8").replace("<wbr>", "")
    assert evalkit.measure(str(tmp_path / "run")).frame().equals(measured.frame())
    assert sorted(made()) == [2, 3, 4]
    assert messages == []


def test_a_registered_evaluator_cannot_measure_a_run(
    tmp_path: Path,
    stand_in: dict[str, Any],
    session: None,  # noqa: ARG001
) -> None:
    run = evalkit.sweep(stand_in, tmp_path / "run")
    evalkit.register(Mine)
    with pytest.raises(evalkit.UsageError, match="'mine' is known to this process alone"):
        evalkit.measure(run, evaluators=["mine"])


def test_a_run_is_measured_with_a_single_name_or_an_installed_class(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    technical = registry.load(registry.EVALUATORS, "technical")
    for name, evaluators in (("by name", "technical"), ("by class", technical)):
        run = evalkit.sweep(stand_in, tmp_path / name)
        measured = evalkit.measure(run, evaluators=evaluators, jobs=1)
        assert measured.frame()["technical.fps"].tolist() == [25.0, 25.0, 25.0]


@pytest.mark.parametrize("evaluators", [Mine, [Mine], Mine(), ["technical", Mine()]])
def test_an_evaluator_that_is_not_installed_cannot_measure_a_run(tmp_path: Path, evaluators: Any) -> None:
    with pytest.raises(
        evalkit.UsageError, match=r"'mine' is known to this process alone.* install it as a plug-in"
    ):
        evalkit.measure(tmp_path, evaluators=evaluators)


@pytest.mark.parametrize(
    ("evaluators", "message"),
    [
        (3, "evaluators is 3; a name, as evalkit list shows it"),
        ([3], "3 is not an evaluator: give its name"),
        (
            registry.load(registry.EVALUATORS, "technical")(),
            r"'technical' is given as an object, .*settings=\{'technical': \{…\}\}",
        ),
    ],
)
def test_evaluators_that_a_run_cannot_be_measured_with_are_refused(
    tmp_path: Path, evaluators: Any, message: str
) -> None:
    with pytest.raises(evalkit.UsageError, match=message):
        evalkit.measure(tmp_path, evaluators=evaluators)


A_RUN = "a run, or the path of its folder, is needed"
A_SOURCE = "a run, a report, or a path of a run folder, a video or a folder of videos, or a list of such paths, is needed"
NO_CLIP = "is a report without a clip: there is nothing to compare or to judge"
EMPTY = evalkit.Report(())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evalkit.measure(None), f"run is None; {A_RUN}"),  # type: ignore[arg-type]
        (lambda: evalkit.measure(EMPTY), "run is Report.*; a run, or the path"),  # type: ignore[arg-type]
        (lambda: evalkit.recommend(None), f"run is None; {A_RUN}"),  # type: ignore[arg-type]
        (lambda: evalkit.recommend(["run"]), rf"run is \['run'\]; {A_RUN}"),  # type: ignore[arg-type]
        (lambda: evalkit.recommend(EMPTY), "a report has no configurations.*evalkit.signoff"),  # type: ignore[arg-type]
        (lambda: evalkit.compare(None, "b"), f"a is None; {A_SOURCE}"),  # type: ignore[arg-type]
        (lambda: evalkit.compare("a", 3), f"b is 3; {A_SOURCE}"),  # type: ignore[arg-type]
        (lambda: evalkit.compare("a", split=3), "split is 3; a mapping"),  # type: ignore[arg-type]
        (lambda: evalkit.compare("a", split={"steps": 4}), "steps is split by 4; two different values"),  # type: ignore[dict-item]
        (lambda: evalkit.compare("a", "b", margins=0.1), "margins is 0.1; a mapping"),  # type: ignore[arg-type]
        (lambda: evalkit.compare(EMPTY, "b"), f"a {NO_CLIP}"),
        (lambda: evalkit.signoff(EMPTY, "customer_service"), f"run {NO_CLIP}"),
        (lambda: evalkit.signoff(b"run", "customer_service"), f"run is b'run'; {A_SOURCE}"),  # type: ignore[arg-type]
        (lambda: evalkit.signoff("run", 3), "policy is 3; the name of a bundled policy or the path"),  # type: ignore[arg-type]
        (lambda: evalkit.plan(4), "config is 4; the path of a sweep's YAML file, or a mapping"),  # type: ignore[arg-type]
        (lambda: evalkit.plan(b"x.yaml"), "config is b'x.yaml'; the path of"),  # type: ignore[arg-type]
        (lambda: evalkit.plan(overrides=3), "overrides is 3; a mapping"),  # type: ignore[arg-type]
        (lambda: evalkit.sweep(4, "run"), "config is 4; the path of"),  # type: ignore[arg-type]
        (lambda: evalkit.sweep(None, 4), "out is 4; a path"),  # type: ignore[arg-type]
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_with_what_is_needed(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(evalkit.UsageError, match=message):
        call()


# Decisions


def write(folder: Path, *, worse: float = 0.0) -> Path:
    rng = np.random.default_rng(3)
    trials = [
        make_trial(
            params={"sample_steps": steps},
            portrait=f"ann {index}",
            speech="words",
            seed=7,
            values={
                "lip_sync.error": 0.2 + worse + 0.01 * rng.random() + 0.05 * (steps == 2),
                "profile.total_s": 2.0 * steps + 0.1 * rng.random(),
            },
        )
        for steps in (2, 4)
        for index in range(8)
    ]
    return write_run(folder, trials, (ERROR, TOTAL), evaluators={"lip_sync": 1})


def test_runs_folders_and_reports_can_be_compared_and_judged(tmp_path: Path, grey: Path) -> None:
    folder = write(tmp_path / "run")
    run = evalkit.Run.open(folder)
    by_folder = evalkit.compare(folder, split={"sample_steps": (2, 4)})
    by_run = evalkit.compare(run, split={"sample_steps": ("2", "4")})
    assert by_folder.frame().equals(by_run.frame())
    assert by_folder.n_pairs == 8
    where = {"sample_steps": 4}
    assert (
        evalkit.signoff(run, "customer_service", where=where).decision
        == evalkit.signoff(str(folder), "customer_service", where=where).decision
        == "FAIL"
    )
    for side in "ab":
        (tmp_path / side).mkdir()
        shutil.copy(grey, tmp_path / side / "clip.mov")
    report = evalkit.evaluate(tmp_path / "a", evaluators=["technical"])
    mixed = evalkit.compare(report, tmp_path / "b", evaluators=None)
    assert mixed.n_pairs == 1


def test_both_sides_are_measured_with_evaluators_that_come_one_by_one(tmp_path: Path, grey: Path) -> None:
    for side in "ab":
        (tmp_path / side).mkdir()
        shutil.copy(grey, tmp_path / side / "clip.mp4")
    found = evalkit.compare(tmp_path / "a", tmp_path / "b", evaluators=(kind for kind in (Mine,)))
    assert (found["mine.n_frames"].a.value, found["mine.n_frames"].b.value) == (12.0, 12.0)


def test_a_policy_may_name_metrics_that_only_the_compared_run_describes(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run",
        [
            make_trial(
                params={"sample_steps": steps},
                portrait="ann",
                speech="hello",
                seed=1,
                values={FRAMES.name: 12.0},
            )
            for steps in (2, 4)
        ],
        (FRAMES,),
        evaluators={"mine": 1},
    )
    policy = tmp_path / "policy.yaml"
    rule = {"metric": FRAMES.name, "at_least": 10, "at_most": 20, "margin": 1, "why": "a test"}
    policy.write_text(
        yaml.safe_dump(
            {"name": "p", "title": "p", "quality": FRAMES.name, "costs": [TOTAL.name], "rules": [rule]}
        ),
        "utf-8",
    )
    for source in (folder, evalkit.Run.open(folder)):
        found = evalkit.compare(source, split={"sample_steps": (2, 4)}, policy=policy)
        assert found[FRAMES.name].margin == 1


def test_what_is_measured_already_cannot_be_measured_otherwise(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    with pytest.raises(evalkit.UsageError, match=f"the run {folder} is measured already; evaluators cannot"):
        evalkit.compare(folder, folder, evaluators=["technical"])
    with pytest.raises(evalkit.UsageError, match="is measured already; brand cannot"):
        evalkit.signoff(evalkit.Run.open(folder), "customer_service", brand="brand.yaml")


def test_a_wrong_policy_is_told_before_videos_are_measured(grey: Path) -> None:
    with pytest.raises(evalkit.UsageError, match="did you mean 'customer_service'"):
        evalkit.signoff(grey, "costumer_service", evaluators=[_never()])


def _never() -> Mine:
    class Never(Mine):
        def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> evalkit.Measured:
            raise AssertionError((facts, tracks))

    return Never()


def test_two_videos_of_one_name_on_one_side_are_refused_before_they_are_measured(
    tmp_path: Path, grey: Path
) -> None:
    for name in ("x.mp4", "x.mkv"):
        shutil.copy(grey, tmp_path / name)
    report = evalkit.evaluate(tmp_path, evaluators=["technical"])
    for source in (tmp_path, report):
        with pytest.raises(
            evalkit.UsageError, match=r"x\.mkv and .*x\.mp4 have one name.*: rename one of them"
        ):
            evalkit.compare(source, grey, evaluators=[_never()])


def test_a_recommendation_is_shown_in_short(tmp_path: Path) -> None:
    found = evalkit.recommend(write(tmp_path / "run"))
    assert "sample_steps" in repr(found)
    assert len(repr(found)) <= 160 < len(found.answer)


def test_a_run_is_opened_and_not_made_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(evalkit.UsageError, match=r"is opened with evalkit\.Run\.open\('run'\)"):
        evalkit.Run("run")  # type: ignore[call-arg]
    run = evalkit.Run.open(write(tmp_path / "run"))
    assert copy.copy(run) == pickle.loads(pickle.dumps(run)) == run  # noqa: S301 - our own


def test_recommend_takes_a_run_or_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    assert evalkit.recommend(folder).answer == evalkit.recommend(evalkit.Run.open(folder)).answer
    with pytest.raises(evalkit.UsageError, match="no such folder"):
        evalkit.recommend(tmp_path / "none")


# Sweeps


def test_a_file_and_its_plain_data_give_the_same_trials(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(stand_in), "utf-8")
    by_file = evalkit.sweep(tmp_path / "sweep.yaml", tmp_path / "file")
    by_data = evalkit.sweep(stand_in, tmp_path / "data")
    assert by_file.frame()["trial"].tolist() == by_data.frame()["trial"].tolist()
    assert by_file.frame()["param.sample_steps"].tolist() == [2, 3, 4]


def test_a_mistake_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'grid'"):
        evalkit.sweep({"gird": {}}, tmp_path / "run")


def test_overrides_change_what_is_swept(
    tmp_path: Path, stand_in: dict[str, Any], made: Callable[[], list[int]]
) -> None:
    stand_in["parameters"] = {"size": "64*64"}
    overrides = {"grid.sample_steps": [5], "grid.size": ["64*64", "128*128"], "seeds": [1]}
    planned = evalkit.plan(stand_in, overrides=overrides)
    assert [trial.params for trial in planned.trials] == [
        {"sample_steps": 5, "size": "64*64"},
        {"sample_steps": 5, "size": "128*128"},
    ]
    assert {trial.seed for trial in planned.trials} == {1}
    planned = evalkit.plan({**stand_in, "parameters": {}}, overrides={"grid.sample_steps": [5, 6]})
    run = evalkit.sweep(planned, tmp_path / "run")
    assert [trial.failure for trial in run.trials()] == [None, None]
    assert sorted(made()) == [5, 6]
    with pytest.raises(evalkit.UsageError, match="a plan is made already"):
        evalkit.sweep(planned, tmp_path / "run", overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"gird.size": [1]}, "there is no option 'gird'; did you mean 'grid'"),
        ({"execution.wokers": 2}, "did you mean 'workers'"),
        ({"seeds.first": 2}, r"override seeds.first: seeds is \[1\], not a group"),
        ({"grid.sample_steps": 3}, "grid.sample_steps is 3"),
    ],
)
def test_overrides_that_make_no_sense_are_refused(
    stand_in: dict[str, Any], overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        evalkit.plan({**stand_in, "seeds": [1]}, overrides=overrides)


def test_another_generator_has_none_of_the_first_ones_settings(stand_in: dict[str, Any]) -> None:
    planned = evalkit.plan(stand_in, overrides={"generator.name": "reference"})
    assert planned.config.generator.settings == {}
    same = evalkit.plan(stand_in, overrides={"generator.name": "command"})
    assert same.config.generator.settings == stand_in["generator"]["settings"]


def test_a_configuration_without_a_name_needs_a_folder(stand_in: dict[str, Any]) -> None:
    with pytest.raises(evalkit.UsageError, match="say where the run goes"):
        evalkit.sweep(stand_in)


def test_a_sweep_in_a_plain_script_works(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    stand_in["execution"] = {"executor": "processes"}
    (tmp_path / "sweep.json").write_text(json.dumps(stand_in), "utf-8")
    script = """
    import json, evalkit
    print("begins")
    run = evalkit.sweep(json.load(open("sweep.json")), "run")
    print(run.frame()["status"].tolist())
    """
    done = python(script, tmp_path)
    assert done.stdout.splitlines() == ["begins", "['ok', 'ok', 'ok']"], done.stderr


def test_a_registered_evaluator_sweeps_in_this_process_alone(
    tmp_path: Path,
    stand_in: dict[str, Any],
    session: None,  # noqa: ARG001
) -> None:
    evalkit.register(Mine)
    stand_in["evaluators"] = ["mine"]
    run = evalkit.sweep(stand_in, tmp_path / "here")
    assert run.frame()["mine.n_frames"].tolist() == [25, 25, 25]
    with pytest.raises(evalkit.UsageError, match="'mine' is known to this process alone"):
        evalkit.sweep(stand_in, tmp_path / "there", overrides={"execution.executor": "processes"})
    assert not (tmp_path / "there").exists()


def test_two_jobs_in_a_plain_script_work(tmp_path: Path, grey: Path) -> None:
    for name in "ab":
        shutil.copy(grey, tmp_path / f"{name}.mp4")
    script = """
    import evalkit
    print("begins")
    print([clip["technical.fps"].value for clip in evalkit.evaluate(".", evaluators=["technical"], jobs=2).clips])
    """
    done = python(script, tmp_path)
    assert done.stdout.splitlines() == ["begins", "[25.0, 25.0]"], done.stderr


# Costs


def test_a_block_can_be_shown_before_it_is_over() -> None:
    cost = evalkit.profile()
    assert "not begun" in repr(cost)
    assert "not begun" in cost._repr_html_()
    with cost:
        assert "under way" in repr(cost)
        assert "&lt;profile: under way&gt;" in cost._repr_html_()


def test_a_block_is_profiled() -> None:
    with evalkit.profile() as cost:
        block = bytearray(b"x") * (80 << 20)
        with pytest.raises(evalkit.EvalkitError, match="the work is not over"):
            cost.total_s  # noqa: B018
    del block
    measured = {one.metric.name: one for one in cost.measurements}
    assert measured["profile.total_s"].value == cost.total_s > 0
    peak = measured["profile.peak_rss_mib"]
    assert peak.value == pytest.approx(max(cost.timeline.rss_mib.values))
    assert peak.value is not None
    assert peak.value > 80
    table = cost.frame()
    assert isinstance(table, pd.DataFrame)
    assert table.set_index("metric").loc["profile.peak_rss_mib", "value"] == peak.value
    assert json.loads(json.dumps(cost.to_dict()))["metrics"]["profile.peak_rss_mib"]["value"] == peak.value
    assert "total_s" in repr(cost)
    assert "profile.peak_rss_mib" in cost._repr_html_()


def test_a_recommendation_is_by_the_run_s_own_policy_unless_another_is_named(tmp_path: Path) -> None:
    policy = tmp_path / "own.yaml"
    policy.write_text(
        "name: own\ntitle: Own\nquality: lip_sync.error\ncosts: [profile.total_s]\n"
        "rules:\n  - {metric: lip_sync.error, at_most: 0.9, judged_by: value, why: a test}\n"
    )
    folder = write_grid(tmp_path / "run", policy=str(policy))
    assert evalkit.recommend(folder).unmeasured == ()
    assert "rating.mos" in evalkit.recommend(folder, "customer_service").unmeasured


@pytest.mark.parametrize("limit_s", [0, -1.0, float("nan"), "120"])
def test_a_limit_that_no_clip_or_every_clip_would_meet_is_refused(grey: Path, limit_s: Any) -> None:
    words = "stall_limit_s is .*; a number of seconds above 0 is needed"
    with pytest.raises(evalkit.UsageError, match=words):
        evalkit.evaluate(grey, isolate=True, stall_limit_s=limit_s)
