"""Making and measuring a video, with a generator that says what is done with it."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalkit import registry
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.evaluators.load import load_evaluators, version_of
from evalkit.execution import worker as worker_module
from evalkit.execution.jobs import (
    EventReported,
    GenerateJob,
    GenerateResult,
    GeneratorSpec,
    InputFile,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Result,
    Slot,
    WorkBegun,
)
from evalkit.execution.worker import VideoWork
from evalkit.profiling.profile import Profile
from evalkit.testing.media import write_clip
from evalkit.tracks.cache import content_hash
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
    version: str = "1"
    heeds: tuple[str, ...] = ("num_clip",)
    settings: dict[str, Any] = field(default_factory=dict)
    gpu: int | None = None

    def take_gpu(self, index: int) -> None:
        """Note which it has."""
        assert self.done == []
        self.gpu = index

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
        return Plain({"video": str(out_path), "n_frames": 1, "events": []})


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Generator:
    """Give the generator that is loaded, whichever name is asked for, and takes its time to load."""
    made = Generator()

    def make(_name: str, settings: dict[str, Any]) -> Generator:
        made.settings = settings
        return made

    monkeypatch.setattr(worker_module, "load_generator", make)
    monkeypatch.setattr(worker_module, "_WARM_UP_WORTH_S", -1.0)
    return made


@pytest.fixture
def work() -> Iterator[VideoWork]:
    """Give the work, and close it."""
    made = VideoWork()
    yield made
    made.close()


SPEC = GeneratorSpec("any", {})
CPU = Slot("cpu")


def job(folder: Path, *, spec: GeneratorSpec = SPEC, slot: Slot = CPU, **request: Any) -> GenerateJob:
    return GenerateJob("1", slot, spec, request, str(folder), warm_up=False)


def made(result: Result) -> GenerateResult:
    assert isinstance(result, GenerateResult), result
    return result


def failure(result: Result) -> JobFailure:
    assert isinstance(result, JobFailure), result
    return result


def test_a_model_is_loaded_once_for_all_videos_and_warmed_up_apart(
    tmp_path: Path, generator: Generator, work: VideoWork
) -> None:
    messages: list[Any] = []
    for steps in (2, 3):
        result = work(replace(job(tmp_path, sample_steps=steps), warm_up=True), messages.append)
        assert made(result).generation == {"video": "video.mp4", "n_frames": 1, "events": []}
        assert made(result).files == ("video.mp4",)
    work.close()
    assert generator.done == [
        "load",
        "generate {'sample_steps': 2, 'num_clip': 1}",
        "generate {'sample_steps': 2}",
        "generate {'sample_steps': 3}",
        "close",
    ]
    assert [type(message) for message in messages] == [WorkBegun, EventReported] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_another_generator_or_other_settings_are_loaded_in_its_place(
    tmp_path: Path, generator: Generator, work: VideoWork
) -> None:
    for spec in (SPEC, GeneratorSpec("any", {"a": 1}), GeneratorSpec("any", {"a": 1})):
        made(work(job(tmp_path, spec=spec), lambda _: None))
    assert [one for one in generator.done if "generate" not in one] == ["load", "close", "load"]
    assert generator.settings == {"a": 1}


@pytest.mark.parametrize(
    ("visible", "takes_device", "expected"),
    [(None, True, "cuda:1"), ("1", True, "cuda:0"), ("0,1", True, "cuda:1"), ("1", False, None)],
)
def test_the_device_of_the_generator_is_that_of_the_slot(
    visible: str | None,
    takes_device: bool,
    expected: str | None,
    tmp_path: Path,
    generator: Generator,
    work: VideoWork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    spec = GeneratorSpec("any", {}, takes_device=takes_device)
    made(work(job(tmp_path, spec=spec, slot=Slot("gpu", "cuda:1")), lambda _: None))
    assert generator.settings.get("device") == expected
    assert generator.gpu == 1


def test_a_generator_without_a_gpu_of_its_own_is_told_of_none(
    tmp_path: Path, generator: Generator, work: VideoWork
) -> None:
    made(work(job(tmp_path, slot=Slot("gpu", "cuda")), lambda _: None))
    assert generator.gpu is None


def test_what_knows_no_single_clip_is_warmed_up_with_a_whole_video(
    tmp_path: Path, generator: Generator, work: VideoWork
) -> None:
    generator.heeds = ("sample_steps",)
    work(replace(job(tmp_path, sample_steps=2), warm_up=True), lambda _: None)
    assert generator.done == ["load", *["generate {'sample_steps': 2}"] * 2]


def test_what_loads_at_once_is_not_warmed_up(
    tmp_path: Path, generator: Generator, work: VideoWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_WARM_UP_WORTH_S", 60.0)
    work(replace(job(tmp_path, sample_steps=2), warm_up=True), lambda _: None)
    assert generator.done == ["load", "generate {'sample_steps': 2}"]


def test_a_no_is_an_answer_and_the_model_stays(tmp_path: Path, generator: Generator, work: VideoWork) -> None:
    generator.fail = TiredError("not today")
    answer = failure(work(job(tmp_path), lambda _: None))
    assert (answer.stage, answer.code, answer.text) == ("generate", "tired", "not today")
    assert answer.profile is not None
    generator.fail = None
    made(work(job(tmp_path), lambda _: None))
    assert generator.done.count("load") == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_out_of_memory_is_told_and_the_memory_given_back(
    tmp_path: Path, generator: Generator, work: VideoWork, error: BaseException
) -> None:
    generator.fail = error
    answer = failure(work(job(tmp_path), lambda _: None))
    assert answer.code == "out_of_memory"
    assert answer.text
    assert generator.done[-1] == "close"
    generator.fail = None
    made(work(job(tmp_path), lambda _: None))
    assert generator.done.count("load") == 2


def test_a_full_disk_is_told_as_such(tmp_path: Path, generator: Generator, work: VideoWork) -> None:
    generator.fail = OSError(errno.ENOSPC, "No space left on device")
    assert failure(work(job(tmp_path), lambda _: None)).code == "disk_full"


def test_a_fault_in_a_program_is_told_with_its_traceback(
    tmp_path: Path, generator: Generator, work: VideoWork
) -> None:
    generator.fail = ValueError("a bug")
    answer = failure(work(job(tmp_path), lambda _: None))
    assert (answer.code, answer.text) == ("raised", "ValueError: a bug")
    assert "raise self.fail" in answer.trace
    assert answer.profile is not None


def test_a_failure_to_load_is_told_as_such(tmp_path: Path, generator: Generator, work: VideoWork) -> None:
    def refuse() -> None:
        raise TiredError("no weights")

    generator.load = refuse  # type: ignore[method-assign]
    answer = failure(work(job(tmp_path), lambda _: None))
    assert (answer.stage, answer.code, answer.text) == ("load", "tired", "no weights")


IN_A_SMALL_PROCESS = """
import json, sys, time
from pathlib import Path
from types import SimpleNamespace

import psutil

from evalkit.execution import worker
from evalkit.execution.jobs import GenerateJob, GeneratorSpec, Slot

held, rss_before = [], []

class Generator:
    version, settings = "1", {}

    def load(self):
        block = b"x" * 120_000_000
        time.sleep(0.1)

    def generate(self, request, out_path, on_event):
        rss_before.append(psutil.Process().memory_info().rss)
        held.append(b"x" * 40_000_000)
        time.sleep(0.2)
        out_path.write_bytes(b"video")
        return SimpleNamespace(to_dict=lambda: {"events": []})

    def describe(self):
        return SimpleNamespace(parameters={})

    def request(self, **parameters):
        return SimpleNamespace(**parameters)

    def close(self):
        return

worker.load_generator = lambda name, settings: Generator()
work = worker.VideoWork()
job = GenerateJob("1", Slot("cpu"), GeneratorSpec("any", {}), {}, sys.argv[1], warm_up=False)
result = work(job, lambda report: None)
work.close()
print(json.dumps([result.profile, rss_before[0] / 2**20, result.generate_s], allow_nan=False))
"""


def test_the_profile_is_of_making_the_video_and_of_this_process(tmp_path: Path) -> None:
    """In a process of its own: of this one, which is large, a kernel may take pages away at any time."""
    words = [sys.executable, "-c", IN_A_SMALL_PROCESS, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    plain, before_mib, generate_s = json.loads(done.stdout)
    profile = Profile.from_dict(plain)
    assert 0.2 < profile.duration_s < generate_s - 0.1
    assert profile.rss_mib.peak is not None
    assert profile.rss_mib.peak - before_mib == pytest.approx(38, abs=10)


def test_with_a_separate_profiling_pass_times_are_of_the_first_and_memory_of_the_second(
    tmp_path: Path, generator: Generator, work: VideoWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    for name in ("attach", "begin", "pause"):
        method = getattr(worker_module.Watch, name)
        monkeypatch.setattr(
            worker_module.Watch,
            name,
            lambda watch, method=method, name=name: (looks.append(name), method(watch))[1],
        )
    times_s = iter([1.5, 2.5])

    def generate(_request: Plain, out_path: Path, on_event: Callable[[Plain], None]) -> Plain:
        looks.append("generate")
        assert not out_path.exists()
        out_path.write_bytes(b"video")
        event = {"name": "saved", "time_s": next(times_s), "detail": {}}
        on_event(Plain(event))
        return Plain({"events": [event]})

    generator.generate = generate  # type: ignore[assignment,method-assign]
    messages: list[Any] = []
    result = made(work(replace(job(tmp_path), separate_profiling_pass=True), messages.append))
    assert [event["time_s"] for event in result.events] == [1.5]
    assert [event["time_s"] for event in result.generation["events"]] == [2.5]
    assert result.profile is not None
    assert looks == ["attach", "begin", "pause", "generate", "attach", "begin", "begin", "generate"]
    assert [type(message) for message in messages] == [WorkBegun, EventReported] * 2


def measure_job(folder: Path, *evaluators: str, **options: Any) -> MeasureJob:
    options = {"settings": {}, "intent": ClipIntent(), "evidence": False, **options}
    video = str(folder / "video.mp4")
    files = (InputFile(video, content_hash(video)),)
    versions = {made.name: version_of(made) for made in load_evaluators(evaluators, options["settings"])}
    return MeasureJob("1", CPU, video, versions, folder=str(folder / "out"), files=files, **options)


def test_a_generator_of_another_version_makes_nothing(
    generator: Generator, tmp_path: Path, work: VideoWork
) -> None:
    result = work(job(tmp_path, spec=GeneratorSpec("any", {}, version="2")), lambda _: None)
    assert isinstance(result, JobFailure)
    assert (result.stage, result.code, generator.done) == ("load", "refused", [])
    assert "has version 1 where it was to work, and 2 was planned: install the same" in result.text
    made(work(job(tmp_path, spec=GeneratorSpec("any", {}, version="1")), lambda _: None))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Give the folder of a measurement."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_video_is_measured_and_drawn(talking_face: Any, tmp_path: Path, out: Path, work: VideoWork) -> None:
    shutil.copyfile(talking_face.path, tmp_path / "video.mp4")
    messages: list[Any] = []
    result = work(measure_job(tmp_path, "technical", "lip_sync", evidence=True), messages.append)
    assert isinstance(result, MeasureResult), result
    assert MeasureResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
    technical, lip_sync = result.measured
    assert (technical.evaluator, lip_sync.evaluator) == ("technical", "lip_sync")
    assert technical.results["metrics"]["technical.width"]["value"] == 256
    assert lip_sync.results["metrics"]["lip_sync.error"]["value"] < 0.1
    assert not set(technical.results["metrics"]) & set(lip_sync.results["metrics"])
    assert set(lip_sync.samples["lip_sync.error"]) == {"window_start_s", "rank"}
    assert {path.name for path in out.rglob("*.*")} >= {"frames.jpg", "lip_sync.png"}
    assert {str(out / name) for name in result.files} == {str(path) for path in out.rglob("*.*")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "video.mp4"]
    assert messages


def test_what_is_no_video_says_so(tmp_path: Path, out: Path, work: VideoWork) -> None:
    (tmp_path / "video.mp4").write_bytes(b"text")
    result = work(measure_job(tmp_path, "technical", evidence=True), lambda _: None)
    assert isinstance(result, MeasureResult)
    assert result.error is not None
    assert (result.error["code"], result.measured) == ("not_media", ())
    assert list(out.iterdir()) == []


def test_an_evaluator_of_another_version_measures_nothing(
    talking_face: Any, tmp_path: Path, out: Path, work: VideoWork
) -> None:
    shutil.copyfile(talking_face.path, tmp_path / "video.mp4")
    planned = replace(measure_job(tmp_path, "technical"), evaluators={"technical": "0"})
    result = work(planned, lambda _: None)
    assert isinstance(result, MeasureResult)
    assert result.error is not None
    assert (result.error["code"], result.measured, list(out.iterdir())) == ("other_version", (), [])
    assert "and '0' was planned: install the same version" in result.error["text"]


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (ClipIntent("Hi", "en", "A man."), ClipIntent("Hi", "en", "A man.")),
    ],
)
def test_what_was_asked_reaches_the_evaluators(
    intent: ClipIntent,
    expected: ClipIntent,
    tmp_path: Path,
    out: Path,
    work: VideoWork,
    monkeypatch: pytest.MonkeyPatch,
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
    work(
        measure_job(tmp_path, "curious", settings={"curious": {"colour": "blue"}}, intent=intent),
        lambda _: None,
    )
    assert out.is_dir()
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


def began(before_s: float) -> dict[str, Any]:
    return {"name": "began", "time_s": 0.0, "detail": {"monotonic_s": time.monotonic() - before_s}}


SAVED = {"name": "saved", "time_s": 1.5, "detail": {}}


@pytest.mark.parametrize(
    ("events", "lasts_s"),
    [([began, SAVED], 1.5), ([SAVED, began], 0.0), ([SAVED], 0.0)],
    ids=["before it was asked", "a beginning in the middle is none", "when it was asked"],
)
def test_work_that_had_begun_before_it_was_asked_for(
    events: list[Any], lasts_s: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, work: VideoWork
) -> None:
    told = [event(300.0) if callable(event) else event for event in events]
    monkeypatch.setattr(worker_module, "load_generator", lambda _name, _settings: Ahead(events=told))
    messages: list[Any] = []
    result = made(work(job(tmp_path), messages.append))
    assert result.profile is not None
    assert lasts_s <= result.profile["duration_s"] < lasts_s + 200
    assert "monotonic" not in json.dumps([message.to_dict() for message in messages])
    assert "monotonic" not in json.dumps(result.to_dict())
    for events_ in (result.events, result.generation["events"]):
        assert [event["name"] for event in events_] == [event["name"] for event in told]
        for event in events_:
            if event["name"] == "began":
                assert -400 < event["detail"]["since_request_s"] < -299.9


@pytest.mark.parametrize(("coming", "expects"), [(({"a": 2}, {"a": 3}), True), ((), False)])
def test_a_generator_is_told_what_comes_next(
    coming: tuple[dict[str, Any], ...],
    expects: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    work: VideoWork,
) -> None:
    generator = Ahead()
    monkeypatch.setattr(worker_module, "load_generator", lambda _name, _settings: generator)
    folder = tmp_path / "videos" / "one"
    folder.mkdir(parents=True)
    made(work(replace(job(folder, a=1), upcoming=coming), lambda _: None))
    told = ["expects [{'a': 1}, {'a': 2}, {'a': 3}] in videos"] if expects else []
    assert [one for one in generator.done if one.startswith("expects")] == told
