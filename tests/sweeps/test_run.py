"""A sweep from outside: what is done stays done, what fails is a result, nothing is left behind."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from evalkit import registry
from evalkit.analysis.table import rows_of_run
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.execution.jobs import Slot
from evalkit.execution.slots import split_cores
from evalkit.isolation import Worker
from evalkit.measuring.run import measure_run
from evalkit.options import ConfigError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs import Run, Trial
from evalkit.runs.store import read_video
from evalkit.runs.writer import RunWriter
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.order import order_trials
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import Progress, SweepError, run_sweep
from evalkit.sweeps.status import expected_s, load_run_status
from evalkit.testing.foreign_host import ForeignHost
from tests.fixtures.processes import command_line

Made = Callable[[], list[int]]
NORRVIK = Path(__file__).parents[2] / "notebooks" / "norrvik"


def sweep(
    folder: Path, data: dict[str, Any], *, retry_failed: bool = False, replan: bool = False, **changes: Any
) -> Run:
    """Run a sweep of plain data."""
    plan = plan_sweep(build_sweep({**data, **changes}, "test"))
    return run_sweep(plan, folder, retry_failed=retry_failed, replan=replan)


def by_steps(run: Run) -> dict[int, Trial]:
    return {trial.params["sample_steps"]: trial for trial in run.trials()}


def left_running(tmp_path: Path) -> list[psutil.Process]:
    """List the stand-in's processes."""
    program = str(tmp_path / "program.py")
    return [
        process for process in psutil.process_iter(["cmdline"]) if program in (process.info["cmdline"] or [])
    ]


def test_a_run_holds_every_trial_with_its_video_and_its_cost(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    run = sweep(tmp_path / "run", stand_in)
    assert Run.open(tmp_path / "run").manifest == run.manifest
    assert [trial.params for trial in run.trials()] == [{"sample_steps": steps} for steps in (2, 3, 4)]
    assert run.manifest.swept == ["sample_steps"]
    for trial in run.trials():
        assert (trial.status, trial.failure, trial.attempts) == ("ok", None, [])
        assert run.video_of(trial.id) is not None
        assert trial.generation is not None
        assert (trial.generation["video"], trial.generation["n_frames"]) == ("video.mp4", 25)
        assert [event["name"] for event in trial.events] == ["clip", "first_frame", "saved"]
        assert trial.metrics["profile.total_s"].value == trial.events[-1]["time_s"]
        assert trial.metrics["profile.peak_rss_mib"].value > 10
        assert trial.metrics["profile.error_rate"].value == 0
        assert trial.absent["profile.load_s"] == "not_reported"
        assert "saved" in (run.folder_of(trial.id) / "log.txt").read_text("utf-8")
        assert run.timeline_of(trial.id) is not None
    assert set(run.manifest.metrics) >= set(run.trials()[0].metrics)
    assert (run.folder / "results.csv").read_text("utf-8").count("\n") == 4
    assert (run.folder / "results.parquet").is_file()
    assert sorted(path.name for path in run.folder.iterdir()) == [
        ".lock",
        "measurements",
        "results.csv",
        "results.parquet",
        "run.json",
        "videos",
    ]
    assert sorted(path.name for path in (run.folder / "videos").iterdir()) == sorted(run.manifest.planned)
    assert {path.name for path in run.folder_of(run.trials()[0].id).iterdir()} == {
        "generation.json",
        "log.txt",
        "profile.json",
        "timeline.json",
        "video.mp4",
    }


def test_only_the_first_video_of_a_process_is_made_after_loading(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    run = sweep(tmp_path / "run", stand_in)
    *others, first = sorted(run.trials(), key=lambda trial: trial.load_s or 0.0)
    assert [trial.load_s for trial in others] == [0.0, 0.0]
    assert 0.0 < (first.load_s or 0.0) < (first.generate_s or 0.0)
    assert first.started_at == min(trial.started_at for trial in run.trials())
    assert {
        Run.open(tmp_path / "run").manifest.machines[trial.machine]["host"] for trial in run.trials()
    } == {platform.node()}
    assert f" s on {platform.node()}" in (run.folder_of(first.id) / "log.txt").read_text("utf-8")


def test_what_is_done_is_not_done_again_and_a_grid_that_grew_does_what_is_new(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    first = sweep(tmp_path / "run", stand_in)
    assert sorted(made()) == [2, 3, 4]
    again = sweep(tmp_path / "run", stand_in)
    assert again.trials() == first.trials()
    assert again.manifest.created_at == first.manifest.created_at
    grown = sweep(tmp_path / "run", stand_in, grid={"sample_steps": [1, 2, 3, 4]})
    assert (sorted(made()[:3]), made()[3:]) == ([2, 3, 4], [1])
    assert list(by_steps(grown)) == [1, 2, 3, 4]
    with pytest.raises(UsageError, match=r"3 attempted trials of the grid .* name another folder with --out"):
        sweep(tmp_path / "run", stand_in, grid={"sample_steps": [3]})
    assert Run.open(tmp_path / "run").manifest == grown.manifest
    shrunk = sweep(tmp_path / "run", stand_in, replan=True, grid={"sample_steps": [3]})
    assert (sorted(made()[:3]), made()[3:]) == ([2, 3, 4], [1])
    assert list(by_steps(shrunk)) == [3]
    assert len(shrunk.orphaned()) == 3
    again = sweep(tmp_path / "run", stand_in, grid={"sample_steps": [3, 2]})  # what comes back is found
    assert (sorted(made()[:3]), made()[3:]) == ([2, 3, 4], [1])
    assert (list(by_steps(again)), len(again.orphaned())) == ([3, 2], 2)


def test_nothing_is_measured_beside_a_timed_video_and_then_every_core_measures(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    plan = plan_sweep(build_sweep({**stand_in, "evaluators": ["technical"], "execution": {}}, "test"))
    seen: list[list[str]] = []

    def note(progress: Progress) -> None:
        seen.append([label.split()[0] for label in progress.at_work])

    run = run_sweep(plan, tmp_path / "run", on_progress=note)
    assert all(trial.quality is not None for trial in run.trials())
    assert [stages for stages in seen if "generate" in stages and len(stages) > 1] == []
    n_at_once = min(3, len(split_cores(Slot("cpu"))))
    assert max(stages.count("measure") for stages in seen) == n_at_once


def test_what_was_never_done_may_leave_the_grid(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    plan = plan_sweep(build_sweep({**stand_in, "execution": {}}, "test"))

    def interrupt(progress: Progress) -> None:
        if progress.n_over == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan, tmp_path / "run", on_progress=interrupt)
    (done,) = by_steps(Run.open(tmp_path / "run"))
    assert list(by_steps(sweep(tmp_path / "run", stand_in, grid={"sample_steps": [done]}))) == [done]


def test_another_evaluator_makes_no_video_and_measures_what_is_missing(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    before = sweep(tmp_path / "run", stand_in, execution={"evidence": False, "executor": "in_process"})
    assert before.trials()[0].quality is None
    videos = {path: path.read_bytes() for path in (tmp_path / "run").glob("videos/*/[!l]*")}
    measured = sweep(tmp_path / "run", stand_in, evaluators=["technical"])
    assert sorted(made()) == [2, 3, 4]
    assert {path: path.read_bytes() for path in videos} == videos
    for trial in measured.trials():
        assert trial.metrics["technical.width"].value == 64
        assert trial.measure_s is not None
        assert "measure: " in (measured.folder_of(trial.id) / "log.txt").read_text("utf-8")
    records = {path: path.read_bytes() for path in (tmp_path / "run").glob("measurements/*/technical@*.json")}
    assert len([path for path in records if "samples" not in path.name]) == 3
    more = sweep(tmp_path / "run", stand_in, evaluators=["technical", "lip_sync"])
    assert sorted(made()) == [2, 3, 4]
    assert {path: path.read_bytes() for path in records} == records
    assert {trial.absent["lip_sync.error"] for trial in more.trials()} == {"no_face"}
    assert more.manifest.evaluators.keys() == {"technical", "lip_sync"}
    assert not [path for path in (tmp_path / "run").rglob(".*") if path.name != ".lock"]


@pytest.mark.usefixtures("probe")
def test_another_setting_or_version_of_an_evaluator_makes_no_video(
    tmp_path: Path, stand_in: dict[str, Any], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths, versions = [], []
    for settings, version in (({}, 1), ({"factor": 2.0}, 1), ({"factor": 2.0}, 2), ({}, 1)):
        monkeypatch.setattr("probe_plug_in.Probe.version", version)
        run = sweep(
            tmp_path / "run",
            stand_in,
            evaluators=["probe"],
            measuring={"probe": settings},
            execution={"executor": "in_process", "evidence": False},
        )
        widths.append({trial.metrics["probe.width_px"].value for trial in run.trials()})
        versions.append(run.manifest.evaluators["probe"])
    assert sorted(made()) == [2, 3, 4]
    assert widths == [{64}, {128}, {128}, {64}]
    assert versions == ["1", "1 x2", "2 x2", "1"]
    records = [path.name for path in (tmp_path / "run").glob("measurements/*/probe@*.json")]
    assert len(records) == 9  # what was measured first is found again


@pytest.mark.slow
@pytest.mark.usefixtures("probe")
def test_a_run_grows_by_evaluators_a_colour_and_a_version_and_no_video_is_made_again(
    tmp_path: Path, stand_in: dict[str, Any], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = Path(shutil.copytree(NORRVIK, tmp_path / "norrvik")) / "brand.yaml"
    monkeypatch.chdir(brand.parent)
    changes = {"grid": {"sample_steps": [2]}, "execution": {"executor": "in_process", "evidence": False}}
    run = sweep(tmp_path / "run", stand_in, evaluators=["probe"], **changes)
    (video,) = (run.folder / "videos").iterdir()
    before = {path: path.read_bytes() for path in video.iterdir() if path.name != "log.txt"}
    measuring = {"brand": {"file": "brand.yaml"}}
    added = sweep(run.folder, stand_in, evaluators=["probe", "brand"], measuring=measuring, **changes)
    assert added.manifest.measuring["brand"] == {"file": str(brand)}
    brand.write_text(brand.read_text("utf-8").replace("#0b4f8a", "#8a0b4f"), "utf-8")
    monkeypatch.chdir(tmp_path)  # what the run recorded is found from anywhere
    recoloured = measure_run(run.folder).run
    monkeypatch.setattr("probe_plug_in.Probe.version", 2)
    raised = sweep(
        run.folder,
        stand_in,
        evaluators=["probe", "brand"],
        measuring={"brand": {"file": str(brand)}},
        **changes,
    )
    assert made() == [2]
    assert {path: path.read_bytes() for path in before} == before
    versions = [shown.manifest.evaluators for shown in (added, recoloured, raised)]
    assert [shown["probe"] for shown in versions] == ["1", "1", "2"]
    assert versions[0]["brand"] != versions[1]["brand"] == versions[2]["brand"]
    names = [path.name for path in run.folder.glob("measurements/*/*.json") if ".samples." not in path.name]
    assert sorted(name.partition("@")[0] for name in names) == ["brand", "brand", "probe", "probe"]
    (trial,) = raised.trials()
    assert trial.failure is None
    assert {"probe.width_px", "brand.fidelity"} <= {*trial.metrics, *trial.absent}


def test_pictures_of_what_was_measured_are_beside_it(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    run = sweep(tmp_path / "run", stand_in, evaluators=["technical"], grid={"sample_steps": [2]})
    (trial,) = run.trials()
    assert [(item.evaluator, item.path.name) for item in run.evidence_of(trial.id)] == [
        ("technical", "frames.jpg")
    ]


@pytest.mark.parametrize("other", [b"another video", None], ids=["of another size", "removed"])
def test_a_video_that_is_gone_or_of_another_size_is_made_again(
    tmp_path: Path, stand_in: dict[str, Any], made: Made, other: bytes | None
) -> None:
    changes = {"grid": {"sample_steps": [2]}, "evaluators": ["technical"]}
    sweep(tmp_path / "run", stand_in, grid={"sample_steps": [2]})
    (video,) = (tmp_path / "run").glob("videos/*/video.mp4")
    video.unlink()
    if other is not None:
        video.write_bytes(other)
    (damage,) = Run.open(tmp_path / "run").damage()
    assert str(video) in damage.text
    run = sweep(tmp_path / "run", stand_in, **changes)
    assert run.trials()[0].metrics["technical.width"].value == 64
    assert (made(), run.damage()) == ([2, 2], [])


def test_a_video_of_the_same_size_that_was_altered_is_not_measured_and_that_is_said(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    changes = {"grid": {"sample_steps": [2]}, "evaluators": ["technical"]}
    sweep(tmp_path / "run", stand_in, grid={"sample_steps": [2]})
    (video,) = (tmp_path / "run").glob("videos/*/video.mp4")
    whole = video.read_bytes()
    video.write_bytes(bytes(len(whole)))
    run = sweep(tmp_path / "run", stand_in, **changes)
    assert run.trials()[0].absent["technical.width"] == "not_measured"
    assert any("its content was altered" in line for line in run.manifest.notes)
    video.write_bytes(whole)
    run = sweep(tmp_path / "run", stand_in, **changes)
    assert run.trials()[0].metrics["technical.width"].value == 64
    assert made() == [2]


def test_a_measurement_that_failed_is_made_again_on_request(
    tmp_path: Path, stand_in: dict[str, Any], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise MemoryError("no room")

    changes = {"grid": {"sample_steps": [2]}, "evaluators": ["technical"]}
    with monkeypatch.context() as patch:
        patch.setattr("evalkit.measuring.video.try_measure", no_memory)
        (trial,) = sweep(tmp_path / "run", stand_in, **changes).trials()
    assert trial.failure is not None
    assert (trial.failure.stage, trial.failure.code) == ("measure", "out_of_memory")
    assert "no room" in Run.open(tmp_path / "run").folder_of(trial.id).joinpath("log.txt").read_text("utf-8")
    (trial,) = sweep(tmp_path / "run", stand_in, **changes).trials()
    assert trial.status == "failed"
    (trial,) = sweep(tmp_path / "run", stand_in, retry_failed=True, **changes).trials()
    assert trial.status == "ok"
    assert made() == [2]


def test_what_measured_a_run_before_goes_on_being_shown(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    changes = {"grid": {"sample_steps": [2]}}
    sweep(tmp_path / "run", stand_in, evaluators=["technical"], **changes)
    run = sweep(tmp_path / "run", stand_in, evaluators=[], **changes)
    assert run.manifest.evaluators.keys() == {"technical"}
    assert run.trials()[0].metrics["technical.width"].value == 64


@pytest.mark.parametrize(
    ("steps", "code", "text"),
    [
        (11, "crashed", "exit status 3"),
        (13, "out_of_memory", "CUDA out of memory"),
        (14, "bad_output", "ended without an error, but"),
        (15, "no_output", "ended without an error, but"),
    ],
)
def test_a_failure_is_a_result_with_its_reason_and_the_rest_goes_on(
    tmp_path: Path, stand_in: dict[str, Any], steps: int, code: str, text: str
) -> None:
    found = by_steps(sweep(tmp_path / "run", stand_in, grid={"sample_steps": [steps, 2]}, execution={}))
    failed = found[steps]
    assert failed.status == "failed"
    assert failed.failure is not None
    assert (failed.failure.stage, failed.failure.code) == ("generate", code)
    assert text in failed.failure.text
    assert failed.metrics["profile.error_rate"].value == 1
    assert failed.metrics["profile.peak_rss_mib"].value > 10
    assert failed.absent["profile.total_s"] == "not_finished"
    assert [event["name"] for event in failed.events] == ["clip"]
    assert found[2].status == "ok"
    assert left_running(tmp_path) == []


def test_a_killed_worker_costs_one_trial_and_leaves_nothing_running(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    found = by_steps(sweep(tmp_path / "run", stand_in, grid={"sample_steps": [16, 2]}, execution={}))
    assert found[16].failure is not None
    assert found[16].failure.code == "crashed"
    assert "SIGKILL" in found[16].failure.text
    assert found[16].metrics["profile.peak_rss_mib"].value > 10
    assert found[2].status == "ok"
    assert left_running(tmp_path) == []


def test_a_hang_is_ended_with_everything_it_started(
    tmp_path: Path, stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour passes while the program hangs: in a short limit a slow machine would not even load what makes videos."""
    listen = Worker.listen

    def listen_an_hour_later(worker: Worker, *options: Any, **more: Any) -> object:
        if any(" 12 " in command_line(process) for process in left_running(tmp_path)):
            worker._began_s -= 3600
        return listen(worker, *options, **more)

    monkeypatch.setattr(Worker, "listen", listen_an_hour_later)
    execution = {"time_limit_s": 600}
    found = by_steps(sweep(tmp_path / "run", stand_in, grid={"sample_steps": [12, 2]}, execution=execution))
    assert found[12].failure is not None
    assert (found[12].failure.code, found[12].failure.text) == (
        "timed_out",
        "not done within 600 s; given up",
    )
    assert found[2].status == "ok"
    assert left_running(tmp_path) == []


def test_a_separate_profiling_pass_makes_each_video_twice(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    (trial,) = sweep(
        tmp_path / "run", stand_in, grid={"sample_steps": [2]}, execution={"separate_profiling_pass": True}
    ).trials()
    assert made() == [2, 2]
    assert trial.generation is not None
    assert trial.events != trial.generation["events"]
    assert trial.metrics["profile.total_s"].value == trial.events[-1]["time_s"]
    assert trial.metrics["profile.peak_rss_mib"].value > 10


def test_a_failed_trial_is_tried_again_only_on_request(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    grid = {"sample_steps": [17, 2]}
    assert by_steps(sweep(tmp_path / "run", stand_in, grid=grid))[17].status == "failed"
    assert by_steps(sweep(tmp_path / "run", stand_in, grid=grid))[17].status == "failed"
    assert made() == [2]
    retried = by_steps(sweep(tmp_path / "run", stand_in, grid=grid, retry_failed=True))
    assert retried[17].status == "ok"
    assert made() == [2, 17]
    (crashed,) = retried[17].attempts
    assert crashed.code == "crashed"
    assert (crashed.spent_s or 0.0) > 0.0
    assert crashed.machine == retried[17].machine  # said by who started the worker, and by the worker itself
    assert retried[17].metrics["profile.error_rate"].value == 0.5


def test_no_attempt_is_forgotten(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    changes = {"grid": {"sample_steps": [11]}, "execution": {"executor": "in_process", "retries": 1}}
    for n_attempts in (2, 4, 6):
        (trial,) = sweep(tmp_path / "run", stand_in, retry_failed=True, **changes).trials()
        assert trial.failure is not None
        assert len(trial.attempts) + 1 == n_attempts
        rate = trial.metrics["profile.error_rate"]
        assert (rate.value, rate.n) == (1, n_attempts)


def test_no_attempt_is_forgotten_when_the_sweep_is_ended_between_two_tries(
    tmp_path: Path, stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"grid": {"sample_steps": [17]}, "execution": {"executor": "in_process", "retries": 2}}

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("evalkit.execution.scheduler.Scheduler.repeat", end)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path / "run", stand_in, **changes)
    (trial,) = Run.open(tmp_path / "run").trials()
    assert (trial.status, trial.metrics["profile.error_rate"].value) == ("failed", 1)
    (trial,) = sweep(tmp_path / "run", stand_in, **changes).trials()
    assert (trial.status, [attempt.code for attempt in trial.attempts]) == ("ok", ["crashed"])
    assert trial.metrics["profile.error_rate"].value == 0.5


def test_tries_of_an_earlier_call_count(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    for retries, n_attempts in ((0, 1), (2, 3), (2, 3), (1, 3)):
        execution = {"executor": "in_process", "retries": retries}
        (trial,) = sweep(
            tmp_path / "run", stand_in, grid={"sample_steps": [11]}, execution=execution
        ).trials()
        assert len(trial.attempts) + 1 == n_attempts


def error_rate_of(run: Run) -> tuple[float | None, int]:
    """Return the error rate of a run with one configuration, as every report and verdict has it; and its attempts."""
    summary = rows_of_run(Run.open(run.folder)).pooled().summary(ERROR_RATE)
    assert set(run.frame()["profile.error_rate"]) == {summary.value}
    return summary.value, summary.n


def test_a_failed_trial_that_was_deleted_goes_on_counting(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    grid = {"sample_steps": [17]}
    run = sweep(tmp_path / "run", stand_in, grid=grid)
    assert (error_rate_of(run), run.manifest.failures) == ((1.0, 1), {run.manifest.planned[0]: 1})
    shutil.rmtree(run.folder_of(run.manifest.planned[0]))
    (line,) = [line for line in rows_of_run(Run.open(run.folder)).missing if "run.json counts" in line]
    assert line.endswith("1 failed attempt more than its record")
    again = sweep(tmp_path / "run", stand_in, grid=grid)
    (trial,) = again.trials()
    assert (trial.status, [attempt.code for attempt in trial.attempts]) == ("ok", ["record_lost"])
    assert (error_rate_of(again), again.forgotten()) == ((0.5, 2), {})


def test_a_killed_sweep_forgets_no_failure(
    tmp_path: Path, stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"sample_steps": [17]}
    with (
        monkeypatch.context() as patch
    ):  # what a kill leaves: the record, and a manifest that does not know of it
        patch.setattr("evalkit.sweeps.run._Sweep._note_failures", lambda *_: None)
        assert sweep(tmp_path / "run", stand_in, grid=grid).manifest.failures == {}
    run = sweep(tmp_path / "run", stand_in, grid=grid)
    assert run.manifest.failures == {run.manifest.planned[0]: 1}


def test_a_video_that_is_made_again_keeps_the_failures_of_the_first(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    grid = {"sample_steps": [17]}
    sweep(tmp_path / "run", stand_in, grid=grid)
    run = sweep(tmp_path / "run", stand_in, grid=grid, retry_failed=True)
    assert error_rate_of(run) == (0.5, 2)
    video = run.video_of(run.manifest.planned[0])
    assert video is not None
    video.unlink()
    (trial,) = sweep(tmp_path / "run", stand_in, grid=grid).trials()
    assert (trial.status, [attempt.code for attempt in trial.attempts]) == ("ok", ["crashed"])


def test_failures_of_an_earlier_grid_count_for_the_same_parameters(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    both = {"grid": {"sample_steps": [2]}, "seeds": [1, 2]}
    argv = [*stand_in["generator"]["settings"]["argv"], "{base_seed}"]
    program = Path(stand_in["generator"]["settings"]["argv"][3])
    failing = 'import sys\nif sys.argv[4] == "2": sys.exit(3)\n'
    program.write_text(failing + program.read_text("utf-8"), "utf-8")
    data = {**stand_in, "generator": {"name": "command", "settings": {"argv": argv}}}
    assert error_rate_of(sweep(tmp_path / "run", data, **both)) == (0.5, 2)
    with pytest.raises(UsageError, match="their attempts go on counting in the error rate"):
        sweep(tmp_path / "run", data, grid={"sample_steps": [2]}, seeds=[1])
    good = sweep(tmp_path / "run", data, replan=True, grid={"sample_steps": [2]}, seeds=[1])
    assert [trial.status for trial in good.trials()] == ["ok"]
    assert error_rate_of(good) == (0.5, 2)


def test_a_plan_is_on_record_before_its_first_video_is_begun(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    seen = []

    def look(_: Progress) -> None:
        run = Run.open(tmp_path / "run")
        seen.append((len(run.plans), run.plans[-1].hash == run.planned_hash(), len(run.trials())))

    def do(**changes: Any) -> Run:
        seen.clear()
        return run_sweep(
            plan_sweep(build_sweep({**stand_in, **changes}, "test")), tmp_path / "run", on_progress=look
        )

    first = do()
    assert seen[0] == (1, True, 0)
    (plan,) = first.plans
    assert (plan.n_trials, plan.policy, plan.hash) == (3, None, first.planned_hash())
    assert plan.at <= min(trial.started_at for trial in first.trials())
    assert do().plans == (plan,)  # the same plan is the same plan
    grown = do(grid={"sample_steps": [1, 2, 3, 4]})
    assert seen[0] == (2, True, 3)
    assert (grown.plans[0], grown.plans[1].n_trials) == (plan, 4)
    judged = do(grid={"sample_steps": [1, 2, 3, 4]}, policy="customer_service")
    assert judged.plans[2].policy == load_policy("customer_service").content_hash
    assert judged.plans[2].hash != judged.plans[1].hash
    assert judged.plans[2].seed == judged.plans[1].seed
    assert judged.misnamed() == []


def test_trials_are_done_in_the_order_of_the_seed_also_after_an_interrupt(
    tmp_path: Path, stand_in: dict[str, Any], made: Made
) -> None:
    argv = [*stand_in["generator"]["settings"]["argv"], "{base_seed}"]
    data = {
        **stand_in,
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": [2, 3, 4, 5, 6]},
        "seeds": [1, 2],
    }
    plan = plan_sweep(build_sweep(data, "test"))

    def interrupt(progress: Progress) -> None:
        if progress.n_over == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan, tmp_path / "run", on_progress=interrupt)
    run = run_sweep(plan, tmp_path / "run")
    ordered = order_trials(plan.trials, run.plans[0].seed)
    assert made() == [trial.params["sample_steps"] for trial in ordered]
    assert len({trial.seed for trial in ordered[:5]}) == 1
    assert run.manifest.planned == [trial.id for trial in plan.trials]


def test_a_retry_is_told(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    execution = {"executor": "in_process", "retries": 1}
    (trial,) = sweep(tmp_path / "run", stand_in, grid={"sample_steps": [17]}, execution=execution).trials()
    assert trial.status == "ok"
    assert [attempt.code for attempt in trial.attempts] == ["crashed"]
    assert trial.metrics["profile.error_rate"].value == 0.5


def test_a_generator_that_dies_every_time_gives_a_run_of_failures(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    run = sweep(tmp_path / "run", stand_in, grid={"sample_steps": [11]})
    assert [trial.status for trial in run.trials()] == ["failed"]
    assert run.frame()["failure"].tolist() == ["crashed"]


def test_a_damaged_trial_is_done_again(tmp_path: Path, stand_in: dict[str, Any], made: Made) -> None:
    run = sweep(tmp_path / "run", stand_in)
    spoilt = run.trials()[1].id
    (run.folder_of(spoilt) / "generation.json").write_text("{", "utf-8")
    assert [trial.id for trial in sweep(tmp_path / "run", stand_in).trials()] == run.manifest.planned
    assert (sorted(made()[:3]), made()[3:]) == ([2, 3, 4], [3])


def test_what_a_killed_sweep_left_is_cleared(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    left = tmp_path / "run" / "videos" / ".abc.def.part"
    left.mkdir(parents=True)
    (left / "video.mp4").write_bytes(b"half")
    sweep(tmp_path / "run", stand_in)
    assert not left.exists()


def test_workers_beside_each_other_give_the_same_trials_and_no_times(
    tmp_path: Path, stand_in: dict[str, Any]
) -> None:
    one = sweep(tmp_path / "one", stand_in, execution={})
    two = sweep(tmp_path / "two", stand_in, execution={"workers": 2})
    assert [trial.id for trial in two.trials()] == [trial.id for trial in one.trials()]
    assert {trial.absent["profile.total_s"] for trial in two.trials()} == {"shared_device"}
    assert all(trial.metrics["profile.peak_rss_mib"].value > 10 for trial in two.trials())


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_slots_with_cores_of_their_own_are_timed(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    run = sweep(tmp_path / "run", stand_in, execution={"slots": [{"cores": 1}, {"cores": 1}]})
    assert all(trial.metrics["profile.total_s"].value > 0 for trial in run.trials())
    videos = [read_video(run.folder, trial.id) for trial in run.trials()]
    assert {video.record.slot for video in videos if video is not None} == {"cpu-0", "cpu-1"}
    assert all(video is not None and video.record.alone for video in videos)


def test_another_machine_gives_the_same_trials(
    tmp_path: Path, stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = registry.load

    def load_foreign(group: str, name: str) -> Any:
        return ForeignHost if (group, name) == (registry.EXECUTORS, "foreign") else load(group, name)

    monkeypatch.setattr(registry, "load", load_foreign)
    disk = tmp_path / "disk"
    picture = tmp_path / "face.png"
    picture.write_bytes(b"a picture")
    data = {
        **stand_in,
        "inputs": {"portraits": [str(picture)]},
        "evaluators": ["technical"],
        "grid": {"sample_steps": [2, 11, 16]},
    }
    argv = [*data["generator"]["settings"]["argv"], "{image}"]
    data["generator"] = {"name": "command", "settings": {**data["generator"]["settings"], "argv": argv}}
    here = sweep(tmp_path / "here", data, execution={})
    there = sweep(
        tmp_path / "there",
        data,
        execution={"executor": {"name": "foreign", "settings": {"folder": str(disk)}}},
    )
    assert [trial.id for trial in there.trials()] == [trial.id for trial in here.trials()]
    for mine, theirs in zip(here.trials(), there.trials(), strict=True):
        videos = read_video(here.folder, mine.id), read_video(there.folder, theirs.id)
        assert videos[0] is not None
        assert videos[1] is not None
        assert videos[1].record.content == videos[0].record.content
        assert (theirs.status, theirs.failure) == (mine.status, mine.failure)
        assert theirs.quality == mine.quality
        if mine.params["sample_steps"] != 16:  # what a killed process still reported is chance
            assert theirs.metrics.keys() == mine.metrics.keys()
            assert theirs.absent == mine.absent
        assert theirs.metrics["profile.peak_rss_mib"].value > 10
        assert theirs.generation is None or theirs.generation["request"]["image"] == str(picture)
        assert there.timeline_of(theirs.id) is not None
    assert by_steps(there)[2].metrics["profile.total_s"].value < 60
    assert by_steps(there)[16].failure is not None
    assert str(disk) not in "".join(
        path.read_text("utf-8") for path in there.folder.glob("videos/*/generation.json")
    )
    assert not [path for path in there.folder.rglob(".*") if path.name != ".lock"]


def test_a_full_disk_stops_the_sweep_and_loses_nothing(
    tmp_path: Path, stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_video = RunWriter.put_video
    trial_ids = plan_sweep(build_sweep(stand_in, "test")).ids
    written: list[str] = []

    def filling(writer: RunWriter, record: Any, *arguments: Any, **options: Any) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), record.id)
        written.append(record.id)
        put_video(writer, record, *arguments, **options)

    monkeypatch.setattr(RunWriter, "put_video", filling)
    with pytest.raises(SweepError, match="No space left on device; what is done is kept"):
        sweep(tmp_path / "run", stand_in)
    assert [trial.id for trial in Run.open(tmp_path / "run").trials()] == sorted(written, key=trial_ids.index)
    monkeypatch.undo()
    assert list(by_steps(sweep(tmp_path / "run", stand_in))) == [2, 3, 4]


def test_an_interrupt_ends_cleanly(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    plan = plan_sweep(build_sweep({**stand_in, "execution": {}}, "test"))

    def interrupt(progress: Progress) -> None:
        if progress.n_over == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan, tmp_path / "run", on_progress=interrupt)
    run = Run.open(tmp_path / "run")
    assert len(by_steps(run)) == 1
    assert len(run.unfinished()) == 2
    assert (run.folder / "results.csv").read_text("utf-8").count("\n") == 2
    assert left_running(tmp_path) == []


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder.write_text("x"), "is a file; a run is a folder"),
        (
            lambda folder: (folder.mkdir(), (folder / "thesis.txt").write_text("x")),
            r"not a run folder and not empty \(thesis.txt is in it\)",
        ),
    ],
)
def test_what_is_no_run_folder_is_left_alone(
    tmp_path: Path, stand_in: dict[str, Any], prepare: Callable[[Path], Any], message: str
) -> None:
    prepare(tmp_path / "run")
    with pytest.raises(UsageError, match=message):
        sweep(tmp_path / "run", stand_in)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"sample_stepss": [1]}}, "no parameter 'sample_stepss'; did you mean 'sample_steps'"),
        ({"grid": {"sample_steps": ["many"]}}, "sample_steps is 'many'; allowed: a whole number"),
        ({"grid": {"sample_steps": [2, "2"]}}, "sample_steps is '2'; allowed"),
        ({"grid": {"options.colour": [2]}}, "has no parameter 'options.colour'"),
        ({"generator": {"name": "comand"}}, "did you mean 'command'"),
        (
            {"generator": {"name": "command", "settings": {"argvs": []}}},
            "no setting 'argvs'; did you mean 'argv'",
        ),
        ({"evaluators": ["lipsync"]}, "did you mean 'lip_sync'"),
        ({"grid": {"fps": [25, 25.0], "sample_steps": [2]}}, "two trials would be the same"),
        ({"execution": {"executor": "processe"}}, "did you mean 'processes'"),
        (
            {"execution": {"executor": {"name": "processes", "settings": {"nodes": 2}}}},
            r"execution\.executor\.settings: there is no option 'nodes'",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_is_done(
    tmp_path: Path, stand_in: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, UsageError), match=message):
        sweep(tmp_path / "run", stand_in, **changes)
    assert not (tmp_path / "run").exists()


def test_a_parameter_that_makes_no_difference_is_told(stand_in: dict[str, Any]) -> None:
    plan = plan_sweep(build_sweep({**stand_in, "grid": {"fps": [24, 25]}}, "test"))
    assert plan.notes == ["fps makes no difference to the generator 'command'"]


def test_the_rest_is_expected_to_take_as_long_as_its_likes(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    plan = plan_sweep(build_sweep(stand_in, "test"))
    status = load_run_status(plan, tmp_path / "run")
    assert expected_s(plan, status, plan.trials) is None
    run = run_sweep(plan, tmp_path / "run")
    for trial, seconds in zip(run.trials(), (2.0, 4.0, 9.0), strict=True):
        path = run.folder_of(trial.id) / "generation.json"
        path.write_text(
            json.dumps(json.loads(path.read_text("utf-8")) | {"generate_s": seconds, "digest": None}), "utf-8"
        )
    assert expected_s(plan, load_run_status(plan, run.folder), plan.trials[1:]) == 13.0
    shutil.rmtree(run.folder_of(run.trials()[2].id))
    assert expected_s(plan, load_run_status(plan, run.folder), plan.trials[2:]) == 3.0


BEHIND = {"generator": "reference", "generator_settings": {"device": "cuda"}}


@pytest.mark.parametrize(
    ("generator", "execution", "n_gpus", "expected"),
    [
        ({}, {}, 2, ["cpu"]),
        ({"device": "cuda"}, {}, 0, ["cuda"]),
        ({"device": "cuda"}, {}, 1, ["cuda"]),
        ({"device": "cuda"}, {}, 2, ["cuda:0", "cuda:1"]),
        ({"settings": {"device": "cuda"}}, {}, 2, ["cuda:0", "cuda:1"]),
        ({"device": "cuda"}, {"workers": 1}, 2, ["cuda"]),
        ({"device": "cuda:1"}, {}, 2, ["cuda:1"]),
        ({"device": "cuda"}, {"workers": 2}, 2, ["cuda", "cuda"]),
        ({"device": "cuda"}, {"slots": [{"device": "cuda:1"}, {}]}, 0, ["cuda:1", "cuda"]),
        ({}, {"slots": [{"device": "cuda:1"}]}, 0, ["cuda:1"]),
        ({"name": "conversation", "settings": BEHIND}, {}, 0, ["cuda"]),
        ({"name": "conversation", "settings": BEHIND}, {}, 2, ["cuda:0", "cuda:1"]),
        ({"name": "conversation", "settings": BEHIND, "device": "cpu"}, {}, 2, ["cpu"]),
    ],
)
def test_there_are_as_many_slots_as_were_asked_for_or_as_there_are_gpus(
    generator: dict[str, Any],
    execution: dict[str, Any],
    n_gpus: int,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(n_gpus))))
    data = {
        "generator": {"name": "reference", **generator},
        "inputs": {"speech": [{"text": "Hello"}]},
        "evaluators": [],
        "execution": execution,
    }
    plan = plan_sweep(build_sweep(data, "test"))
    assert [slot.device for slot in plan.slots] == expected
    kind = expected[0].partition(":")[0]
    assert plan.generator["settings"]["device"] == kind
    assert plan.config.execution.workers == len(expected)
    notes = [note for note in plan.notes if "works on the CPU" not in note]  # of a plan that names no device
    assert plan_sweep(plan.config) == replace(plan, notes=notes)
    assert (len(notes) < len(plan.notes)) == (not generator and not execution)


@pytest.mark.parametrize(
    ("generator", "n_gpus", "note"),
    [
        ({"name": "reference"}, 1, "there is a GPU here: name it with --setting device=cuda"),
        ({"name": "reference"}, 2, "there are 2 GPUs here"),
        ({"name": "reference"}, 0, None),
        ({"name": "reference", "device": "cpu"}, 2, None),
        ({"name": "reference", "settings": {"device": "cpu"}}, 2, None),
    ],
)
def test_a_gpu_that_is_not_used_is_noted(
    generator: dict[str, Any], n_gpus: int, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(n_gpus))))
    plan = plan_sweep(build_sweep({"generator": generator, "evaluators": []}, "test"))
    assert [note in line for line in plan.notes] == ([True] if note is not None else [])


def test_a_plan_is_short_in_words(stand_in: dict[str, Any]) -> None:
    plan = plan_sweep(build_sweep(stand_in, "test"))
    assert repr(plan) == "SweepPlan(3 trials of 3 configurations of command, 1 slot)"


@pytest.mark.parametrize(
    ("generator", "execution", "message"),
    [
        (
            {"device": "cuda", "settings": {"device": "cpu"}},
            {},
            r"generator.settings.device is 'cpu' and generator.device is 'cuda': .* different kinds",
        ),
        ({"device": "cpu"}, {"slots": [{"device": "cuda:0"}]}, r"execution.slots.0 is 'cuda:0'"),
        ({}, {"slots": [{"device": "cuda:0"}, {"device": "cpu"}]}, "cannot be compared"),
    ],
)
def test_devices_that_contradict_each_other_are_refused(
    generator: dict[str, Any], execution: dict[str, Any], message: str
) -> None:
    data = {"generator": {"name": "reference", **generator}, "evaluators": [], "execution": execution}
    with pytest.raises(ConfigError, match=message):
        plan_sweep(build_sweep(data, "test"))
