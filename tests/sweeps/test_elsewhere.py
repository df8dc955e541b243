"""A sweep over an executor that finds places itself: places that go away, a pool for measuring, shared devices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from evalkit import registry
from evalkit.execution.executors import LOST, ExecutorError, InProcess
from evalkit.execution.jobs import Finished, GenerateResult, Job, JobFailure, Message, Slot
from evalkit.options import ConfigError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs import Run, Trial
from evalkit.runs.store import read_video
from evalkit.sweeps.config import build_sweep, resolve_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import SweepError, run_sweep
from pipeline.options import PlainData


class Elsewhere(InProcess):
    """Does jobs here, and behaves as if it were a cluster whose places go away as often as a test says."""

    places_slots = True
    losses: ClassVar[Counter[str]] = Counter()
    """Times that a job still loses its place, by stage and number of steps."""
    lost_in: ClassVar[list[str]] = []
    done_in: ClassVar[list[str]] = []
    pool: ClassVar[tuple[Slot, ...]] = ()
    alone: ClassVar[bool] = True
    gone_after: ClassVar[int | None] = None

    @classmethod
    def count_places(cls, settings: PlainData, kind: str) -> int:
        """Say another number for each kind."""
        del settings
        return {"cpu": 2, "cuda": 3}[kind]

    def measuring_pool(self) -> tuple[Slot, ...]:
        """Give what a test says."""
        return self.pool

    def submit(self, job: Job) -> None:
        """Note the job."""
        self._jobs: dict[str, Job] = getattr(self, "_jobs", {})
        self._jobs[job.id] = job
        super().submit(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Say of some jobs that they are lost."""
        if self.gone_after is not None and len(self.done_in) >= self.gone_after:
            raise ExecutorError("the cluster at 10.0.0.1:6379 is gone")
        return [self._changed(message) for message in super().wait(timeout_s)]

    def _changed(self, message: Message) -> Message:
        if not isinstance(message, Finished):
            return message
        job, result = self._jobs[message.job_id], message.result
        place = f"{job.stage} {job.slot.name}"
        if self.losses[job.stage] > 0:
            self.losses[job.stage] -= 1
            self.lost_in.append(place)
            return replace(message, result=JobFailure(job.stage, LOST, "node 10.0.0.7 is gone", spent_s=1.5))
        self.done_in.append(place)
        if isinstance(result, GenerateResult):
            result = replace(result, alone=self.alone)
        return replace(message, result=result)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> type[Elsewhere]:
    class Own(Elsewhere):
        losses: ClassVar[Counter[str]] = Counter()
        lost_in: ClassVar[list[str]] = []
        done_in: ClassVar[list[str]] = []

    load = registry.load
    monkeypatch.setattr(
        registry,
        "load",
        lambda group, name: Own if (group, name) == (registry.EXECUTORS, "elsewhere") else load(group, name),
    )
    return Own


def sweep(folder: Path, data: dict[str, Any], **changes: Any) -> Run:
    return run_sweep(plan_sweep(build_sweep({**data, **changes}, "test")), folder)


def log_of(run: Run, trial: Trial) -> str:
    return (run.folder_of(trial.id) / "log.txt").read_text("utf-8")


ONE = {"grid": {"sample_steps": [2]}, "execution": {"executor": "elsewhere", "retries": 0}}


@pytest.mark.usefixtures("elsewhere")
def test_there_are_as_many_slots_as_the_executor_has_places() -> None:
    data = {"generator": {"name": "reference"}, "inputs": {"speech": [{"text": "Hello"}]}, "evaluators": []}
    plan = plan_sweep(build_sweep({**data, "execution": {"executor": "elsewhere"}}, "test"))
    assert plan.slots == (Slot("cpu-0", own_device=True), Slot("cpu-1", own_device=True))
    assert plan_sweep(plan.config).slots == plan.slots
    data["generator"] = {"name": "reference", "device": "cuda"}
    plan = plan_sweep(build_sweep({**data, "execution": {"executor": "elsewhere"}}, "test"))
    assert [(slot.name, slot.device) for slot in plan.slots] == [(f"cuda-{k}", "cuda") for k in range(3)]
    plan = plan_sweep(build_sweep({**data, "execution": {"executor": "elsewhere", "workers": 2}}, "test"))
    assert [slot.name for slot in plan.slots] == ["cuda-0", "cuda-1"]
    slots = [{"name": "big", "cores": 4}, {}]
    plan = plan_sweep(build_sweep({**data, "execution": {"executor": "elsewhere", "slots": slots}}, "test"))
    assert plan.slots == (Slot("big", "cuda", 4, own_device=True), Slot("cuda-0", "cuda", own_device=True))


@pytest.mark.parametrize(
    ("generator", "slots", "where"),
    [
        ({"device": "cuda:1"}, None, "generator.device"),
        ({"device": "cuda"}, [{}, {"device": "cuda:2"}], "execution.slots.1"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_one_gpu_of_a_machine_cannot_be_named_to_it(
    generator: dict[str, Any], slots: Any, where: str
) -> None:
    data = {
        "generator": {"name": "reference", **generator},
        "evaluators": [],
        "execution": {"executor": "elsewhere", "slots": slots},
    }
    with pytest.raises(
        ConfigError, match=rf"{where} is 'cuda:\d': the executor 'elsewhere' finds .* name 'cuda'"
    ):
        plan_sweep(build_sweep(data, "test"))


def test_a_video_whose_place_goes_away_is_made_in_another_and_no_try_has_failed(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere]
) -> None:
    elsewhere.losses["generate"] = 2
    run = sweep(tmp_path / "run", stand_in, **ONE)
    (trial,) = run.trials()
    assert (trial.status, trial.attempts) == ("ok", [])
    assert trial.metrics[ERROR_RATE.name].value == 0
    assert run.manifest.failures == {}
    assert elsewhere.lost_in == ["generate cpu-0", "generate cpu-1"]
    line = "generate: its place was lost after 1.500 s, tried elsewhere: node 10.0.0.7 is gone\n"
    assert log_of(run, trial).count(line) == 2
    assert [event["name"] for event in trial.events] == ["clip", "first_frame", "saved"]


def test_what_loses_every_place_is_a_failed_trial(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere]
) -> None:
    elsewhere.losses["generate"] = 3
    run = sweep(tmp_path / "run", stand_in, **ONE)
    (trial,) = run.trials()
    assert trial.failure is not None
    assert (trial.failure.stage, trial.failure.code) == ("generate", LOST)
    assert trial.n_attempts == 1
    assert elsewhere.done_in == []
    assert not [path for path in run.folder.rglob(".*") if path.name != ".lock"]
    again = run_sweep(
        plan_sweep(build_sweep({**stand_in, **ONE}, "test")), tmp_path / "run", retry_failed=True
    )
    assert again.trials()[0].status == "ok"


def test_a_try_more_has_three_places_of_its_own(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere]
) -> None:
    elsewhere.losses["generate"] = 5
    execution = {"executor": "elsewhere", "retries": 1}
    (trial,) = sweep(tmp_path / "run", stand_in, grid={"sample_steps": [2]}, execution=execution).trials()
    assert trial.status == "ok"
    assert [attempt.code for attempt in trial.attempts] == [LOST]


@pytest.mark.parametrize(("n_losses", "status"), [(2, "ok"), (3, "failed")])
def test_measuring_that_loses_its_place_goes_on_in_another(
    n_losses: int,
    status: str,
    tmp_path: Path,
    stand_in: dict[str, Any],
    elsewhere: type[Elsewhere],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elsewhere, "pool", (Slot("pool-0"), Slot("pool-1")))
    elsewhere.losses["measure"] = n_losses
    run = sweep(tmp_path / "run", stand_in, **ONE, evaluators=["technical"])
    (trial,) = run.trials()
    assert trial.status == status
    assert elsewhere.lost_in == ["measure pool-0", "measure pool-1", "measure pool-0"][:n_losses]
    assert log_of(run, trial).count("measure: its place was lost after 1.500 s, tried elsewhere: ") == 2
    assert not [path for path in run.folder.rglob(".*") if path.name != ".lock"]
    if trial.failure is not None:
        assert (trial.failure.stage, trial.failure.code) == ("measure", LOST)
    else:
        assert trial.quality is not None


def test_videos_are_measured_in_the_pool_alone(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "pool", (Slot("pool-0"),))
    run = sweep(tmp_path / "run", stand_in, evaluators=["technical"], execution={"executor": "elsewhere"})
    assert all(trial.status == "ok" and trial.alone for trial in run.trials())
    assert {place for place in elsewhere.done_in if place.startswith("measure")} == {"measure pool-0"}


def test_a_place_that_was_shared_after_all_gives_no_times(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "alone", False)
    run = sweep(tmp_path / "run", stand_in, **ONE)
    (trial,) = run.trials()
    assert trial.absent["profile.total_s"] == "shared_device"
    video = read_video(run.folder, trial.id)
    assert video is not None
    assert video.record.alone is False


def test_an_executor_that_cannot_go_on_ends_the_sweep_with_one_sentence_and_loses_nothing(
    tmp_path: Path, stand_in: dict[str, Any], elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "gone_after", 2)
    with pytest.raises(
        SweepError,
        match=r"^the cluster at 10.0.0.1:6379 is gone; what is done is kept, and the same command goes on",
    ):
        sweep(tmp_path / "run", stand_in, execution={"executor": "elsewhere"})
    run = Run.open(tmp_path / "run")
    assert (len(run.trials()), len(run.unfinished())) == (2, 1)
    ids = [trial.id for trial in run.trials()]
    resumed = sweep(tmp_path / "run", stand_in)
    assert len(resumed.trials()) == 3
    assert [trial for trial in resumed.trials() if trial.id in ids] == run.trials()


def test_another_executor_has_none_of_the_settings_of_the_first() -> None:
    given = {"execution": {"executor": {"name": "ray", "settings": {"address": "a", "gpus_per_slot": 2}}}}
    address = {"execution.executor.name": "ray", "execution.executor.settings.address": "b"}
    for data, overrides, expected in (
        (given, address, ("ray", {"address": "b", "gpus_per_slot": 2})),
        (given, {"execution.executor.name": "processes"}, ("processes", {})),
        (given, {"execution.executor.settings.address": "b"}, ("ray", {"address": "b", "gpus_per_slot": 2})),
        ({"execution": {"executor": "ray"}}, address, ("ray", {"address": "b"})),
        ({}, address, ("ray", {"address": "b"})),
        (given, {"execution.executor": "in_process"}, ("in_process", {})),
    ):
        executor = resolve_sweep(data, overrides).execution.executor
        assert (executor.name, executor.settings) == expected
    with pytest.raises(ConfigError, match=r"override execution\.executor\.name: execution is 3"):
        resolve_sweep({"execution": 3}, address)
