"""Videos and clips that are measured by executors: the values of this process, whatever goes away meanwhile."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import evalkit
from evalkit.brands.guidelines import read_brand
from evalkit.errors import EvalkitError, UsageError
from evalkit.evaluators.load import anchor_settings
from evalkit.execution.executors import (
    LOST,
    MOST_LOSSES,
    Executor,
    ExecutorChoice,
    InProcess,
    Limits,
    NoSettings,
)
from evalkit.execution.inputs import list_settings_files
from evalkit.execution.jobs import (
    EVIDENCE_NAME,
    EvaluatorResult,
    Finished,
    Job,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Message,
    Progressed,
    Slot,
    Stage,
)
from evalkit.execution.measurer import Elsewhere
from evalkit.execution.transfer import place_inputs
from evalkit.measuring.gaps import find_gaps
from evalkit.measuring.pool import BatchProgress
from evalkit.measuring.results import Report
from evalkit.measuring.run import measure_run
from evalkit.measuring.video import VideoTask
from evalkit.runs import MetricResults, Run
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.types import ClipIntent
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NORRVIK = Path(__file__).parents[2] / "notebooks" / "norrvik"
MACHINE = {"system": "other"}


# --- the same values ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Return clips that can be measured and files that cannot; two have one content under two names."""
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(folder / "a.mp4", moving_pattern(1.0), sound=tone(1.0), rate_hz=48_000)
    shutil.copy(folder / "a.mp4", folder / "a copy 灰色.mp4")
    write_clip(folder / "silent.mp4", moving_pattern(0.6))
    (folder / "text.mp4").write_text("these are words", "utf-8")
    (folder / "empty.mp4").touch()
    return [*sorted(folder.iterdir()), folder / "gone.mp4"]


def in_words(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=1, sort_keys=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["processes", "in_process", "foreign"])
def test_clips_have_the_values_and_the_evidence_of_this_process(
    clips: list[Path], tmp_path: Path, foreign: dict[str, Any], name: str
) -> None:
    chosen = foreign if name == "foreign" else {"executor": name}
    evaluators = ["technical", "lip_sync"]
    here = evalkit.evaluate(clips, evaluators=evaluators, evidence=tmp_path / "here")
    there = evalkit.evaluate(clips, evaluators=evaluators, evidence=tmp_path / "there", **chosen)
    assert in_words(there) == in_words(here)
    assert there.frame().equals(here.frame())
    assert [clip.error is None for clip in there] == [path.name[0] in "as" for path in clips]
    for mine, theirs in zip(here, there, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert other.metric == one.metric
            assert other.reason == one.reason
            assert {key: values.tolist() for key, values in other.samples} == {
                key: values.tolist() for key, values in one.samples
            }
    written = files_of(tmp_path / "there")
    assert {"technical", "result.json"} <= {Path(file).parts[1] for file in written}
    measured = {
        file for file in files_of(tmp_path / "here") if not file.startswith(("gone", "text", "empty"))
    }
    assert {file for file in written if not file.startswith(("gone", "text", "empty"))} == measured
    assert {file: written[file] for file in measured if file.endswith(".json")} == {
        file: content
        for file, content in files_of(tmp_path / "here").items()
        if file in measured and file.endswith(".json")
    }
    assert not list((tmp_path / "there").glob(".*"))


def test_a_separate_sound_travels(tmp_path: Path, foreign: dict[str, Any]) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_pattern(1.0))
    sound = write_clip(tmp_path / "a.wav", sound=np.clip(tone(1.0, level_dbfs=6.0), -1, 1), rate_hz=48_000)
    here = evalkit.evaluate(clip, audio=sound, evaluators="technical")
    there = evalkit.evaluate(clip, audio=sound, evaluators="technical", **foreign)
    assert here[0]["technical.clipping_ratio"].value
    assert in_words(there) == in_words(here)
    (clip_result,) = evalkit.evaluate(clip, audio=tmp_path / "no.wav", evaluators="technical", **foreign)
    assert clip_result.error is not None
    assert clip_result.error.text == f"{tmp_path / 'no.wav'}: there is no such file"


def test_relative_paths_of_clips_and_settings_are_found(
    tmp_path: Path, foreign: dict[str, Any], monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    write_clip(tmp_path / "a.mp4", sound=tone(1.0), rate_hz=48_000)
    shutil.copytree(NORRVIK, tmp_path / "norrvik")
    monkeypatch.chdir(tmp_path)
    here = evalkit.evaluate("a.mp4", evaluators="brand", brand="norrvik/brand.yaml")
    disk = Path(foreign["executor_settings"]["folder"])
    shutil.copytree(
        cache_folder / "brands", disk / ".cache" / "evalkit" / "brands"
    )  # as if it had been there before
    there = evalkit.evaluate("a.mp4", evaluators="brand", brand="norrvik/brand.yaml", **foreign)
    assert there[0].clip == "a.mp4"
    assert there[0]["brand.fidelity"].reason == evalkit.Reason.NO_VIDEO
    assert "brand" in there[0].evaluators
    assert in_words(there) == in_words(here)


@pytest.mark.slow
def test_a_brand_is_calibrated_where_it_was_never_seen(tmp_path: Path, foreign: dict[str, Any]) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_pattern(1.0, width=320, height=240))
    brand = Path(shutil.copytree(NORRVIK, tmp_path / "norrvik")) / "brand.yaml"
    here = evalkit.evaluate(clip, evaluators="brand", brand=brand)
    there = evalkit.evaluate(clip, evaluators="brand", brand=brand, **foreign)
    assert there[0]["brand.fidelity"].value is not None
    assert in_words(there) == in_words(here)


@pytest.mark.parametrize("layout", [("", ""), ("brand", ""), ("brand", "art"), ("brand", "brand/art")])
def test_the_drawings_of_a_brand_keep_their_places_to_its_file(
    tmp_path: Path, layout: tuple[str, str]
) -> None:
    brand_folder, art = (tmp_path / "here" / part for part in layout)
    for folder in (brand_folder, art):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(NORRVIK / "norrvik.svg", art)
    brand = brand_folder / "brand.yaml"
    logo = os.path.relpath(art / "norrvik.svg", brand_folder)
    brand.write_text(f"name: Norrvik\nlogos: ['{logo}']\n", "utf-8")
    files = list_settings_files({"brand": {"file": str(brand)}})
    places = place_inputs(files, str(tmp_path / "there"))
    assert len(places) == 2
    for here, there in places.items():
        Path(there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here, there)
    expected = read_brand(brand).content
    shutil.rmtree(tmp_path / "here")
    assert read_brand(places[str(brand)]).content == expected


def test_files_of_one_content_with_different_names_are_two_files(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    (file,) = list_settings_files(
        anchor_settings({"brand": {"weights": "weights.pt", "model": "any"}}, tmp_path)
    )
    copy = replace(file, path=str(tmp_path / "copy.pt"))
    assert len(set(place_inputs([file, copy], "/there").values())) == 2


def test_what_only_this_process_knows_is_refused_in_a_sentence(
    tmp_path: Path, foreign: dict[str, Any]
) -> None:
    class Mine(evalkit.Evaluator):
        name, version, metrics = "mine", 1, (evalkit.Metric("mine.x", "1", "band", "any"),)

        def measure(self, facts: Any, tracks: Any) -> evalkit.Measured:
            raise NotImplementedError

    clip = write_clip(tmp_path / "a.mp4", moving_pattern(0.4))
    with pytest.raises(UsageError, match="'mine' is known to this process alone"):
        evalkit.evaluate(clip, evaluators=["technical", Mine], **foreign)
    with pytest.raises(UsageError, match="'mine' is known to this process alone"):
        evalkit.evaluate(clip, evaluators=[Mine()], **foreign)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"executor": "prozesse"}, "prozesse"),
        ({"executor": "processes", "executor_settings": {"color": 1}}, "no option 'color'"),
        ({"executor_settings": {"address": "auto"}}, "name it"),
        ({"executor": "processes", "jobs": 0}, "jobs is 0"),
    ],
)
def test_a_wrong_executor_is_refused(tmp_path: Path, chosen: dict[str, Any], message: str) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_pattern(0.4))
    with pytest.raises(UsageError, match=message):
        evalkit.evaluate(clip, evaluators="technical", **chosen)


def test_a_run_has_the_records_of_this_machine_and_goes_on_with_another_executor(
    write_videos: Callable[[int], Run], tmp_path: Path, foreign: dict[str, Any]
) -> None:
    run = write_videos(4)
    shutil.copytree(run.folder, tmp_path / "other")
    here = evalkit.measure(run, evaluators="technical")
    other = Run.open(tmp_path / "other")
    half = [other.manifest.planned[:2], other.manifest.planned]
    for planned, chosen in zip(half, ({"executor": "processes"}, foreign), strict=True):
        (tmp_path / "other" / "run.json").unlink()
        with evalkit.runs.RunWriter(tmp_path / "other") as writer:
            writer.write_manifest(replace(other.manifest, planned=planned))
        there = evalkit.measure(tmp_path / "other", evaluators="technical", **chosen)
    assert find_gaps(there.folder, there.manifest.planned, there.manifest.evaluators).n_complete == 4
    assert [(trial.metrics, trial.absent) for trial in there.trials()] == [
        (trial.metrics, trial.absent) for trial in here.trials()
    ]

    def apart_from_times(run: Run) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for file, content in files_of(run.folder / "measurements").items():
            found[file] = content
            if file.endswith(".json") and "@" in Path(file).name and ".samples" not in file:
                plain = json.loads(content)
                for name in ("measured_at", "measure_s", "machine", "digest"):
                    plain.pop(name, None)
                    plain.get("measurement", {}).pop(name, None)
                found[file] = plain
        return found

    assert apart_from_times(there) == apart_from_times(here)
    assert not [path for path in there.folder.rglob(".*") if path.name != ".lock"]


# --- what goes away ----------------------------------------------------------------------------------------------------


class Scripted(Executor):
    """Ends each job as a script says, which is a list of codes for each video; an empty one is success."""

    script: dict[str, list[str]]
    places = ("p0", "p1")
    done: list[tuple[str, str]]

    def __init__(self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = "") -> None:
        del settings, work
        assert limits.time_s is None
        self.slots = slots
        self.under_way: deque[MeasureJob] = deque()
        self.closed = False
        type(self).made = self

    def measuring_pool(self) -> tuple[Slot, ...]:
        """Give the places of the script."""
        return tuple(Slot(name) for name in self.places)

    def submit(self, job: Job) -> None:
        """Take a job."""
        assert isinstance(job, MeasureJob)
        assert job.slot.name not in {other.slot.name for other in self.under_way}
        self.under_way.append(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Do the next job as the script says."""
        del timeout_s
        job = self.under_way.popleft()
        name = Path(job.video).stem
        self.done.append((name, job.slot.name))
        assert not list(Path(job.folder).iterdir()), "what a lost place sent is left"
        code = self.script.get(name, []).pop(0) if self.script.get(name) else ""
        (Path(job.folder) / "half.part").touch()
        if code:
            return [Finished(job.id, JobFailure(Stage.MEASURE, code, f"{name} is {code}"))]
        (Path(job.folder) / "half.part").unlink()
        (Path(job.folder) / EVIDENCE_NAME / "any").mkdir(parents=True)
        (Path(job.folder) / EVIDENCE_NAME / "any" / "picture.svg").write_text(name, "utf-8")
        found = tuple(EvaluatorResult(name, MetricResults().to_dict(), {}) for name in job.evaluators)
        return [Progressed(job.id, 1.0, 2.0), Finished(job.id, MeasureResult(found, None, 0.5, MACHINE))]

    def cancel(self, job_id: str) -> None:
        """Never asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Note it."""
        self.closed = True


@pytest.fixture
def scripted() -> type[Scripted]:
    """Give an executor of its own script."""
    return type("Own", (Scripted,), {"script": {}, "done": []})


def measure_with(
    kind: type[Executor], folder: Path, names: str, positions: list[Any] | None = None
) -> dict[str, Any]:
    tasks = []
    for name in names:
        (folder / f"{name}.mp4").write_bytes(name.encode())
        (folder / f"{name}.evidence").mkdir()
        tasks.append(
            VideoTask(
                str(folder / f"{name}.mp4"), None, {}, {}, ClipIntent(), str(folder / f"{name}.evidence")
            )
        )
    measurer = Elsewhere(ExecutorChoice(kind, NoSettings()))
    seen = [] if positions is None else positions
    found = {}
    for index, measured in measurer(iter(tasks), len(tasks), lambda *at: seen.append(at)):
        assert names[index] not in found
        found[names[index]] = None if measured.error is None else (measured.error.code, measured.error.text)
    return found


def test_a_video_whose_place_is_lost_is_measured_in_another(tmp_path: Path, scripted: type[Scripted]) -> None:
    scripted.script = {"a": [LOST], "c": [LOST, LOST]}
    positions: list[Any] = []
    found = measure_with(scripted, tmp_path, "abcd", positions)
    assert found == dict.fromkeys("abcd")
    assert sorted(index for index, _ in positions) == [0, 1, 2, 3]
    assert {position for _, position in positions} == {(1.0, 2.0)}
    places = {name: [place for video, place in scripted.done if video == name] for name in "abcd"}
    assert [len(places[name]) for name in "abcd"] == [2, 1, 3, 1]
    assert set(places["a"]) == set(places["c"]) == set(scripted.places)
    assert sorted(path.read_text("utf-8") for path in tmp_path.glob("*.evidence/any/picture.svg")) == list(
        "abcd"
    )
    assert scripted.made.closed


def test_a_video_that_loses_every_place_is_a_result(tmp_path: Path, scripted: type[Scripted]) -> None:
    scripted.script = {"a": [LOST] * 10, "b": ["crashed"]}
    found = measure_with(scripted, tmp_path, "abc")
    assert found == {"a": (LOST, "a is lost"), "b": ("crashed", "b is crashed"), "c": None}
    assert [video for video, _ in scripted.done].count("a") == MOST_LOSSES


def test_a_single_place_that_is_lost_is_asked_again(tmp_path: Path, scripted: type[Scripted]) -> None:
    scripted.places = ("p0",)
    scripted.script = {"a": [LOST]}
    assert measure_with(scripted, tmp_path, "ab") == {"a": None, "b": None}


def test_a_video_is_taken_when_there_is_a_place_for_it(tmp_path: Path, scripted: type[Scripted]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    taken = []

    def tasks() -> Any:
        for number in range(10):
            taken.append(number)
            yield VideoTask(str(tmp_path / "a.mp4"), None, {}, {}, ClipIntent(), None)

    measurer = Elsewhere(ExecutorChoice(scripted, NoSettings()))
    with closing(measurer(tasks(), 10, lambda *_: None)) as outcomes:
        for n_over, _ in enumerate(outcomes, 1):
            assert len(taken) <= n_over + 2


def test_whoever_stops_early_leaves_nothing_at_work(tmp_path: Path, scripted: type[Scripted]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    task = VideoTask(str(tmp_path / "a.mp4"), None, {}, {}, ClipIntent(), None)
    measurer = Elsewhere(ExecutorChoice(scripted, NoSettings()))
    outcomes = measurer([task] * 5, 5, lambda *_: None)
    next(outcomes)
    assert not scripted.made.closed
    outcomes.close()
    assert scripted.made.closed


def test_a_video_that_is_gone_since_is_said_and_costs_no_place(
    write_videos: Callable[[int], Run], scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_videos(2)
    gone = run.folder / "videos" / run.manifest.planned[0] / "video.mp4"
    is_there = Path.is_file
    seen = []

    def look(path: Path) -> bool:
        if path == gone:
            seen.append(path)
        return is_there(path) and not (path == gone and len(seen) > 1)  # it goes after the gaps were listed

    monkeypatch.setattr(Path, "is_file", look)
    outcome = measure_run(run, only=["technical"], measurer=Elsewhere(ExecutorChoice(scripted, NoSettings())))
    assert "is not there" in outcome.problems[gone.parent.name]
    assert len(scripted.done) == 1


def test_an_executor_that_is_lost_as_a_whole_ends_the_call_and_what_is_measured_stays(
    write_videos: Callable[[int], Run], scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_videos(3)
    wait = scripted.wait

    def die(self: Scripted, timeout_s: float) -> list[Message]:
        if len(self.done) == 2:
            raise EvalkitError("the cluster is gone")
        return wait(self, timeout_s)

    monkeypatch.setattr(scripted, "wait", die)
    with pytest.raises(EvalkitError, match="the cluster is gone"):
        measure_run(run, only=["technical"], measurer=Elsewhere(ExecutorChoice(scripted, NoSettings())))
    assert scripted.made.closed
    assert len(list((run.folder / "measurements").glob("*/technical@*.json"))) == 2
    assert not [path for path in run.folder.rglob(".*") if path.name != ".lock"]


def test_progress_counts_every_clip_once(clips: list[Path]) -> None:
    seen: list[BatchProgress] = []
    evalkit.evaluate(clips, evaluators="technical", executor="in_process", on_progress=seen.append)
    assert [progress.n_over for progress in seen if progress.result is not None] == list(
        range(1, len(clips) + 1)
    )
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_clips_that_were_measured_before_the_executor_was_lost_are_kept(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, n_over = InProcess.wait, 0

    def die(self: InProcess, timeout_s: float) -> list[Message]:
        nonlocal n_over
        if n_over == n_before:
            raise EvalkitError("the cluster is gone")
        messages = wait(self, timeout_s)
        n_over += sum(isinstance(message, Finished) for message in messages)
        return messages

    monkeypatch.setattr(InProcess, "wait", die)
    n_before, evidence = 2, tmp_path / "evidence"
    options = {"evaluators": "technical", "executor": "in_process", "evidence": evidence}
    report = evalkit.evaluate(clips, **options)
    said = [None if clip.error is None else (clip.error.code, clip.error.text) for clip in report]
    lost = ("not_reached", "the cluster is gone")
    assert said == [None, None, *[lost] * (len(clips) - 2)]
    assert not list(evidence.glob(".*"))
    n_before, n_over = 0, 0
    with pytest.raises(EvalkitError, match="the cluster is gone"):
        evalkit.evaluate(clips[:1], **options)
