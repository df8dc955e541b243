"""What every executor must keep, as a test class to subclass: ours and those of plug-ins pass the same one."""

# ruff: noqa: S101 - these are pytest's asserts

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evalkit.errors import UsageError
from evalkit.execution.executors import LOST, Executor, Limits
from evalkit.execution.jobs import (
    VIDEO_NAME,
    EventReported,
    Finished,
    GenerateJob,
    GenerateResult,
    GeneratorSpec,
    InputFile,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Slot,
    Started,
    WorkBegun,
    read_plain,
)
from evalkit.options import read_group
from evalkit.types import ClipIntent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from evalkit.execution.jobs import Job, Message, Result

LIMITS = Limits(time_s=120.0, stall_s=120.0)
WORK = "evalkit.testing.tasks:Counting"
_PATIENCE_S = 300.0


def generate_job(
    folder: Path, name: str = "1", slot: str = "one", files: Sequence[InputFile] = (), **request: Any
) -> GenerateJob:
    """Return a job for `evalkit.testing.tasks.Counting`, with a folder of its own for what it makes."""
    (folder / name).mkdir()
    return GenerateJob(name, Slot(slot), GeneratorSpec("any", {}), request, str(folder / name), tuple(files))


def measure_job(folder: Path, name: str = "m", slot: str = "one", **task: Any) -> MeasureJob:
    """Return a job for `evalkit.testing.tasks.Counting`, with a folder of its own for what it makes."""
    (folder / name).mkdir()
    video = str(folder / VIDEO_NAME)
    settings = {"do": task} if task else {}
    return MeasureJob(name, Slot(slot), video, {"counting": "1"}, settings, ClipIntent(), str(folder / name))


def do_jobs(executor: Executor, *jobs: Job) -> list[Message]:
    """Do jobs at once and return every message, in order."""
    for job in jobs:
        executor.submit(job)
    messages: list[Message] = []
    give_up_s = time.monotonic() + _PATIENCE_S
    while sum(isinstance(message, Finished) for message in messages) < len(jobs):
        assert time.monotonic() < give_up_s, f"no end of {jobs}"
        messages += executor.wait(0.2)
    return messages


def results_of(messages: Sequence[Message]) -> dict[str, Result]:
    """Return how jobs ended, by their ids."""
    return {message.job_id: message.result for message in messages if isinstance(message, Finished)}


class ExecutorContract:
    """Subclass it under a name that begins with ``Test``, with a fixture ``kind``: the class of the executor."""

    settings: Mapping[str, Any] = {}
    """What stands under ``execution.executor.settings``."""

    lose_place: Callable[[Executor, Slot], None] | None = None
    """Ends the place where a slot's job is done, as a machine that goes away does. A method, where the work is done on
    another machine."""

    @pytest.fixture
    def executor(self, kind: type[Executor]) -> Any:
        """Give one with two slots and `Counting` for work."""
        made = kind(
            [Slot("one"), Slot("two")], LIMITS, read_group(kind.Settings, self.settings, "test"), WORK
        )
        yield made
        made.close()

    def test_a_job_is_started_reported_on_and_finished(self, executor: Executor, tmp_path: Path) -> None:
        """The messages of a job come in that order and survive JSON."""
        messages = do_jobs(executor, generate_job(tmp_path, do="return", value=1))
        assert [type(message) for message in messages] == [Started, WorkBegun, EventReported, Finished]
        assert {message.job_id for message in messages} == {"1"}
        for message in messages:
            assert read_plain(json.loads(json.dumps(message.to_dict(), allow_nan=False))) == message

    def test_what_is_loaded_stays_loaded_for_the_next_job_of_the_slot(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """The same work, with its state, does the next job of a slot and kind."""
        found = []
        for name in "123":
            result = results_of(do_jobs(executor, generate_job(tmp_path, name)))[name]
            assert isinstance(result, GenerateResult)
            found.append(result.generation["n_before"])
        assert found == [0, 1, 2]

    def test_both_kinds_of_job_are_done_in_every_slot(self, executor: Executor, tmp_path: Path) -> None:
        """Each ends with its own kind of result."""
        jobs = [generate_job(tmp_path, "a", "one"), generate_job(tmp_path, "b", "two")]
        (tmp_path / VIDEO_NAME).write_bytes(b"video")
        found = results_of(do_jobs(executor, *jobs, measure_job(tmp_path, "c", "two")))
        kinds = {name: type(result) for name, result in found.items()}
        assert kinds == {"a": GenerateResult, "b": GenerateResult, "c": MeasureResult}

    def test_a_video_is_measured_in_every_part_of_a_slot_at_once(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Jobs name a part as they name a slot; work that loads something loads it for each."""
        (tmp_path / VIDEO_NAME).write_bytes(b"video")
        parts = executor.measuring_slots(Slot("one"))
        jobs = [replace(measure_job(tmp_path, part.name), slot=part) for part in parts]
        found = results_of(do_jobs(executor, *jobs))
        assert found.keys() == {part.name for part in parts}
        assert all(isinstance(result, MeasureResult) for result in found.values())

    def test_a_video_is_measured_in_every_place_of_the_pool_at_once(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Where there is a pool, jobs name its slots; none of them is a slot where videos are made."""
        (tmp_path / VIDEO_NAME).write_bytes(b"video")
        pool = executor.measuring_pool()
        assert len({"one", "two", *(slot.name for slot in pool)}) == 2 + len(pool)
        jobs = [replace(measure_job(tmp_path, slot.name), slot=slot) for slot in pool]
        found = results_of(do_jobs(executor, *jobs, generate_job(tmp_path)))
        assert found.keys() == {"1", *(slot.name for slot in pool)}
        assert not any(isinstance(result, JobFailure) for result in found.values())

    def test_a_job_whose_place_goes_away_is_lost_and_the_slot_goes_on(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """It ends with the code that says so, and the next job of the slot is done."""
        if self.lose_place is None:
            pytest.skip("its work is done on this machine")
        job = generate_job(tmp_path, do="hang")
        executor.submit(job)
        messages: list[Message] = []
        while not any(isinstance(message, EventReported) for message in messages):
            messages += executor.wait(0.2)
        self.lose_place(executor, job.slot)
        while not results_of(messages):
            messages += executor.wait(0.2)
        (failure,) = results_of(messages).values()
        assert isinstance(failure, JobFailure)
        assert (failure.stage, failure.code) == ("generate", LOST)
        (result,) = results_of(do_jobs(executor, generate_job(tmp_path, "2"))).values()
        assert isinstance(result, GenerateResult)

    def test_there_is_a_place_on_the_processor(self, kind: type[Executor]) -> None:
        """Asked without a slot: that is what a plan does that says nothing of slots."""
        assert kind.count_places(read_group(kind.Settings, self.settings, "test"), "cpu") >= 1

    def test_files_are_read_and_what_is_made_is_in_the_folder(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """A job reads the files that it names; its result names files that are where the job said."""
        contents = [b"a picture", b"", b"sound" * 500_000]
        files = []
        for number, content in enumerate(contents):
            path = tmp_path / f"input {number}"
            path.write_bytes(content)
            files.append(InputFile(str(path), hashlib.sha256(content).hexdigest()))
        job = generate_job(tmp_path, files=files, image=files[0].path, prompt="a man")
        (result,) = results_of(do_jobs(executor, job)).values()
        assert isinstance(result, GenerateResult)
        assert result.generation["request"] == {"image": files[0].path, "prompt": "a man"}
        assert (tmp_path / "1" / VIDEO_NAME).read_bytes() == b"".join(contents)
        assert sorted(path.name for path in (tmp_path / "1").iterdir()) == [VIDEO_NAME]

    def test_an_exception_is_the_failure_of_its_job_alone(self, executor: Executor, tmp_path: Path) -> None:
        """Its words are reported, and the next job is done."""
        raising = generate_job(tmp_path, do="raise", value="no luck")
        (failure,) = results_of(do_jobs(executor, raising)).values()
        assert isinstance(failure, JobFailure)
        assert (failure.stage, failure.code, failure.text) == ("generate", "raised", "ValueError: no luck")
        (result,) = results_of(do_jobs(executor, generate_job(tmp_path, "2"))).values()
        assert isinstance(result, GenerateResult)

    def test_a_job_that_is_cancelled_ends_as_such(self, executor: Executor, tmp_path: Path) -> None:
        """And the next job is done; cancelling what is over does nothing."""
        job = generate_job(tmp_path, do="hang")
        executor.submit(job)
        executor.cancel(job.id)
        messages: list[Message] = []
        while not results_of(messages):
            messages += executor.wait(0.2)
        (failure,) = results_of(messages).values()
        assert isinstance(failure, JobFailure)
        assert failure.code == "cancelled"
        executor.cancel(job.id)
        (result,) = results_of(do_jobs(executor, generate_job(tmp_path, "2"))).values()
        assert isinstance(result, GenerateResult)

    def test_an_unknown_setting_is_refused_with_those_there_are(self, kind: type[Executor]) -> None:
        """As every other option of a sweep."""
        with pytest.raises(UsageError, match=r"no option 'not_a_setting'.*there are: "):
            read_group(kind.Settings, {**self.settings, "not_a_setting": 1}, "test")

    def test_closing_twice_is_once(self, executor: Executor, tmp_path: Path) -> None:
        """Neither complains the second time, whatever was done before."""
        do_jobs(executor, generate_job(tmp_path))
        executor.close()
        executor.close()
