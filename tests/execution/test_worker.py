"""The two stages of a trial, on a generator that says what is done with it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalkit import registry
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.execution import worker as stages_module
from evalkit.execution.worker import Stages
from evalkit.testing.media import write_clip
from evalkit.types import ClipFacts, ClipIntent
from pipeline.errors import GenerationError


class TiredError(GenerationError):
    """A failure of a generator."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "tired")


@dataclass
class Plain:
    """Plain data with ``to_dict``."""

    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it."""
        return self.data


@dataclass
class Generator:
    """Notes what is done with it; ``fail`` is raised instead of a video."""

    done: list[str] = field(default_factory=list)
    fail: BaseException | None = None
    heeds: tuple[str, ...] = ("num_clip",)

    def describe(self) -> SimpleNamespace:
        """Say what makes a difference."""
        return SimpleNamespace(parameters=dict.fromkeys(self.heeds, "heeded"))

    def load(self) -> None:
        """Load."""
        self.done.append("load")

    def close(self) -> None:
        """Close."""
        self.done.append("close")

    def request(self, **parameters: Any) -> Plain:
        """Return the parameters."""
        return Plain(parameters)

    def generate(self, request: Plain, out_path: Path, on_event: Callable[[Plain], None] | None) -> Plain:
        """Write a file and tell one event."""
        self.done.append(f"generate {request.data}")
        if self.fail is not None:
            raise self.fail
        out_path.write_bytes(b"video")
        if on_event is not None:
            on_event(Plain({"name": "saved", "time_s": 1.0, "detail": {}}))
        return Plain({"video": str(out_path), "n_frames": 1})


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Generator:
    """Give the generator that is loaded, whichever name is asked for, and takes its time to load."""
    made = Generator()
    monkeypatch.setattr(stages_module, "load_generator", lambda _name, _settings: made)
    monkeypatch.setattr(stages_module, "_WARM_UP_WORTH_S", -1.0)
    return made


def stages(*, warm_up: bool = False) -> Stages:
    return Stages({"name": "any", "settings": {}}, [], {}, warm_up=warm_up, evidence=False)


def task(folder: Path, **request: Any) -> dict[str, Any]:
    return {"stage": "generate", "folder": str(folder), "request": request}


def test_a_model_is_loaded_once_for_all_trials_and_warmed_up_apart(
    tmp_path: Path, generator: Generator
) -> None:
    work, told = stages(warm_up=True), []
    for steps in (2, 3):
        outcome = work(task(tmp_path, sample_steps=steps), told.append)
        assert outcome == {"generation": {"video": "video.mp4", "n_frames": 1}, "torch": None}
    work.close()
    assert generator.done == [
        "load",
        "generate {'sample_steps': 2, 'num_clip': 1}",
        "generate {'sample_steps': 2}",
        "generate {'sample_steps': 3}",
        "close",
    ]
    assert [next(iter(value)) for value in told] == ["begun", "event", "begun", "event"]
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_what_knows_no_single_clip_is_warmed_up_with_a_whole_video(
    tmp_path: Path, generator: Generator
) -> None:
    generator.heeds = ("sample_steps",)
    stages(warm_up=True)(task(tmp_path, sample_steps=2), lambda _: None)
    assert generator.done == ["load", *["generate {'sample_steps': 2}"] * 2]


def test_what_loads_at_once_is_not_warmed_up(
    tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_module, "_WARM_UP_WORTH_S", 60.0)
    stages(warm_up=True)(task(tmp_path, sample_steps=2), lambda _: None)
    assert generator.done == ["load", "generate {'sample_steps': 2}"]


def test_a_no_is_an_answer_and_the_model_stays(tmp_path: Path, generator: Generator) -> None:
    work = stages()
    generator.fail = TiredError("not today")
    outcome = work(task(tmp_path), lambda _: None)
    assert outcome["failure"] == {"stage": "generate", "code": "tired", "text": "not today"}
    generator.fail = None
    assert "generation" in work(task(tmp_path), lambda _: None)
    assert generator.done.count("load") == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_out_of_memory_is_told_and_the_memory_given_back(
    tmp_path: Path, generator: Generator, error: BaseException
) -> None:
    work = stages()
    generator.fail = error
    outcome = work(task(tmp_path), lambda _: None)
    assert outcome["failure"]["code"] == "out_of_memory"
    assert outcome["failure"]["text"]
    assert generator.done[-1] == "close"
    generator.fail = None
    assert "generation" in work(task(tmp_path), lambda _: None)
    assert generator.done.count("load") == 2


def test_a_full_disk_is_told_as_such(tmp_path: Path, generator: Generator) -> None:
    generator.fail = OSError(errno.ENOSPC, "No space left on device")
    assert stages()(task(tmp_path), lambda _: None)["failure"]["code"] == "disk_full"


def test_a_fault_in_a_program_is_no_answer(tmp_path: Path, generator: Generator) -> None:
    generator.fail = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        stages()(task(tmp_path), lambda _: None)


def test_a_failure_to_load_is_told_as_such(tmp_path: Path, generator: Generator) -> None:
    def refuse() -> None:
        raise TiredError("no weights")

    generator.load = refuse  # type: ignore[method-assign]
    outcome = stages()(task(tmp_path), lambda _: None)
    assert outcome["failure"] == {"stage": "load", "code": "tired", "text": "no weights"}


def test_a_video_is_measured_and_drawn(talking_face: Any, tmp_path: Path) -> None:
    import json
    import shutil

    shutil.copyfile(talking_face.path, tmp_path / "video.mp4")
    work = Stages({}, ["technical", "lip_sync"], {}, warm_up=False, evidence=True)
    told: list[Any] = []
    outcome = work({"stage": "measure", "folder": str(tmp_path), "request": {}}, told.append)
    assert json.loads(json.dumps(outcome, allow_nan=False)) == outcome
    assert outcome["quality"]["metrics"]["technical.width"]["value"] == 256
    assert outcome["quality"]["metrics"]["lip_sync.error"]["value"] < 0.1
    assert set(outcome["samples"]["lip_sync.error"]) == {"window_start_s", "rank"}
    written = (path for path in (tmp_path / "evidence").rglob("*") if path.is_file())
    assert sorted(path.relative_to(tmp_path / "evidence").as_posix() for path in written) == [
        "lip_sync/index.json",
        "lip_sync/lip_sync.png",
        "technical/frames.jpg",
        "technical/index.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence", "video.mp4"]
    assert told


def test_what_is_no_video_is_a_failure_to_measure(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"text")
    work = Stages({}, ["technical"], {}, warm_up=False, evidence=True)
    outcome = work({"stage": "measure", "folder": str(tmp_path), "request": {}}, lambda _: None)
    assert (outcome["failure"]["stage"], outcome["failure"]["code"]) == ("measure", "not_media")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"text": "Hi", "language": "en", "prompt": "A man."}, ClipIntent("Hi", "en", "A man.")),
        ({"audio": "hi.wav", "language": "en", "prompt": ""}, ClipIntent()),
    ],
)
def test_what_was_asked_reaches_the_evaluators(
    request_: dict[str, Any], expected: ClipIntent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Curious(Evaluator):
        name, version, metrics, tracks = "curious", 1, (), ()

        def __init__(self, *, colour: str = "red") -> None:
            self.colour = colour

        def measure(self, facts: ClipFacts, tracks: object) -> Measured:
            del tracks
            seen.append((self.colour, facts.intent))
            return Measured(())

    write_clip(tmp_path / "video.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    monkeypatch.setattr(registry, "load", lambda _group, _name: Curious)
    work = Stages({}, ["curious"], {"curious": {"colour": "blue"}}, warm_up=False, evidence=False)
    work({"stage": "measure", "folder": str(tmp_path), "request": request_}, lambda _: None)
    assert seen == [("blue", expected)]


@dataclass
class Ahead(Generator):
    """One that wants to know what comes next and may have begun before."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def announce_upcoming(self, requests: list[Plain], folder: Path) -> None:
        """Note what comes."""
        self.done.append(f"expects {[request.data for request in requests]} in {folder.name}")

    def generate(self, request: Plain, out_path: Path, on_event: Callable[[Plain], None] | None) -> Plain:
        """Tell the events."""
        del request
        out_path.write_bytes(b"video")
        assert on_event is not None
        for event in self.events:
            on_event(Plain(event))
        return Plain({"events": self.events})


BEGAN = {"name": "began", "time_s": 0.0, "detail": {"monotonic_s": 100.0}}
SAVED = {"name": "saved", "time_s": 7.0, "detail": {}}


@pytest.mark.parametrize(
    ("events", "begun", "ended_s"),
    [([BEGAN, SAVED], [100.0], 107.0), ([SAVED, BEGAN], [], None), ([SAVED], [], None)],
    ids=["before it was asked", "a beginning in the middle is none", "when it was asked"],
)
def test_work_that_had_begun_before_it_was_asked_for(
    events: list[dict[str, Any]],
    begun: list[float],
    ended_s: float | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(stages_module, "load_generator", lambda _name, _settings: Ahead(events=events))
    told: list[Any] = []
    task = {"stage": "generate", "folder": str(tmp_path), "request": {}}
    outcome = stages()(task, told.append)
    assert [value["begun"] for value in told if "begun" in value][1:] == begun
    assert outcome.get("ended_s") == ended_s


@pytest.mark.parametrize(("coming", "expects"), [([{"a": 2}, {"a": 3}], True), ([], False)])
def test_a_generator_is_told_what_comes_next(
    coming: list[dict[str, Any]], expects: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generator = Ahead()
    monkeypatch.setattr(stages_module, "load_generator", lambda _name, _settings: generator)
    folder = tmp_path / "trials" / "one"
    folder.mkdir(parents=True)
    stages()(
        {"stage": "generate", "folder": str(folder), "request": {"a": 1}, "next": coming}, lambda _: None
    )
    told = ["expects [{'a': 1}, {'a': 2}, {'a': 3}] in trials"] if expects else []
    assert [one for one in generator.done if one.startswith("expects")] == told
