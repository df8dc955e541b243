"""What a sweep will need: known estimates, own trials, and what cannot fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.forecast import needs
from evalkit.forecast.needs import (
    AvailableMemory,
    SweepForecast,
    TrialForecast,
    forecast_trials,
    read_available_memory,
)
from evalkit.reports.run_report import write_report
from evalkit.runs import Input, MetricResults, MetricValue, Run, RunManifest, Trial
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import SweepPlan, plan_sweep
from evalkit.sweeps.run import run_sweep
from evalkit.testing.runs import put_trials
from pipeline.adapters.command.generator import Command
from pipeline.estimates import ResourceEstimate, estimate_memory
from pipeline.gpus import Gpu

GB = 1024.0
CARD_24 = AvailableMemory((22.15 * GB,), 32 * GB, given=True)
CARD_80 = AvailableMemory((81559.0,) * 5, 512 * GB)
SPEECH_S = 4.0


def live_avatar(**changes: Any) -> dict[str, Any]:
    """Give plain data of a sweep of Live Avatar by somebody's own script for four GPUs."""
    script = ["bash", "run.sh", "{image}", "{audio}", "{size}", "{sample_steps}", "{offload_model}", "{out}"]
    return {
        "generator": {
            "name": "live_avatar",
            "settings": {"repository": "live", "gpus": [0, 1, 2, 3], "script": script},
        },
        "inputs": {"speech": [{"text": "Good morning", "name": "greeting"}]},
        "grid": {"size": ["384*256", "704*384"]},
        "evaluators": [],
        **changes,
    }


def prepare(data: dict[str, Any]) -> SweepPlan:
    return plan_sweep(build_sweep(data, "test"))


def forecast_all(plan: SweepPlan, available: AvailableMemory, *runs: Run) -> SweepForecast:
    return forecast_trials(plan.generator, plan.trials, runs, available)


def needs_of(data: dict[str, Any], room: AvailableMemory, *runs: Run) -> list[TrialForecast]:
    return forecast_all(prepare(data), room, *runs).trials


def plant(
    folder: Path,
    plan: SweepPlan,
    took: dict[tuple[str, int], float],
    *,
    gpu_mib: dict[str, float] | None = None,
    rss_mib: float = 900.0,
    speech_s: float = SPEECH_S,
    start_s: float = 0.0,
    **changes: Any,
) -> Run:
    """Write a run in which trials took so many seconds, by size and steps, half of them to measure.

    The first took more, as models were loaded.
    """
    trials = []
    for number, ((size, steps), seconds) in enumerate(took.items()):
        cost = {"profile.peak_rss_mib": MetricValue(rss_mib, "MiB", 9)}
        if gpu_mib is not None:
            cost["profile.peak_vram_mib"] = MetricValue(sum(gpu_mib.values()), "MiB", 9)
        request = {"size": size, "sample_steps": steps, "fps": 25.0, "infer_frames": 48, **changes}
        request = _whole(plan, request)
        trial = Trial(
            id=f"{number:016x}",
            params={"size": size, "sample_steps": steps},
            portrait=None,
            speech=plan.trials[0].speech,
            seed=None,
            status="ok",
            failure=None,
            quality=MetricResults(),
            profile=MetricResults(cost),
            generation={"request": request, "n_frames": 25 * speech_s, "audio_duration_s": speech_s},
            events=[{"name": "saved", "time_s": seconds / 2, "detail": {}}],
            attempts=[],
            started_at=f"2026-11-22T01:{number:02}:00+00:00",
            generate_s=seconds / 2 + (start_s if number == 0 else 0.0),
            measure_s=seconds / 2,
        )
        trials.append(trial)
    facts = RunManifest(
        created_at="2026-11-22T01:00:00+00:00",
        config={},
        config_hash="0" * 64,
        generator=plan.generator,
        evaluators={"technical": "1"},
        metrics={},
        swept=[],
        policy=None,
        planned=[trial.id for trial in trials],
        measuring={},
        machines={},
        code=None,
        versions={},
        weights={},
        notes=[],
    )
    samples = {f"{name}_mib": [value] for name, value in (gpu_mib or {}).items()}
    put_trials(folder, facts, trials, {"profile.peak_vram_mib": samples} if samples else {})
    return Run.open(folder)


def _whole(plan: SweepPlan, request: dict[str, Any]) -> dict[str, Any]:
    from evalkit import registry

    options = plan.config.generator
    generator = registry.load(registry.GENERATORS, options.name)(**options.settings)
    return dict(generator.request(**request).to_dict())


# --- known estimates


def test_a_sharded_load_of_25_65_gb_does_not_fit_22_15() -> None:
    for need in needs_of(live_avatar(), CARD_24):
        assert need.fit == "does not fit"
        assert "21.48 + gathering the shards 4.17 = 25.65 GB" in need.why
        assert need.why.endswith("against 22.15 GB a GPU")
        assert "README" not in need.why  # of the phase that does not fit, not of one that is disputed


def test_it_fits_four_cards_of_80() -> None:
    assert {need.fit for need in needs_of(live_avatar(), CARD_80)} == {"fits"}


def test_rival_figures_are_a_dispute_and_are_all_told() -> None:
    (small, large) = needs_of(live_avatar(), AvailableMemory((30 * GB,), 64 * GB, given=True))
    assert (small.fit, large.fit) == ("disputed", "disputed")
    told = [
        (part.source, part.low_mib / GB, part.high_mib / GB) for one in small.estimates for part in one.parts
    ]
    assert ("operators of a variant for GPUs of 24 GB", 12.0, 15.0) in told
    assert any("its README: a card sold as 48 GB" in source for source, _, _ in told)
    assert any(source == "arithmetic on its code" for source, _, _ in told)


def test_gpus_that_are_not_there() -> None:
    need = needs_of(live_avatar(), AvailableMemory((81559.0,), 64 * GB))[0]
    assert (need.fit, need.why) == ("does not fit", "needs 4 GPUs, 1 here")


def test_the_smallest_of_the_gpus_it_takes_counts() -> None:
    assert AvailableMemory((80.0, 48.0, 24.0), 64.0).of_each(2) == 48.0
    assert AvailableMemory((80.0,), 64.0).of_each(2) is None
    assert AvailableMemory((22.0,), 64.0, given=True).of_each(5) == 22.0


def test_nothing_known_is_not_zero(stand_in: dict[str, Any]) -> None:
    for room in (AvailableMemory((), 16 * GB), CARD_24):
        for need in needs_of(stand_in, room):
            assert need.fit == "not known"
            assert (need.memory, need.rss, need.seconds, need.literature, need.estimates) == (
                None,
                None,
                None,
                None,
                (),
            )


def test_rates_of_others_are_told_as_such(tmp_path: Path) -> None:
    data = live_avatar(
        generator={"name": "live_avatar", "settings": {"repository": "live", "gpus": [0, 1, 2, 3, 4]}}
    )
    data = {**data, "grid": {"size": ["704*384"]}}
    run = plant(tmp_path / "run", prepare(data), {("384*256", 4): 60.0}, prompt="another kind")
    (need,) = needs_of(data, CARD_80, run)
    assert need.seconds is None
    assert need.literature is not None
    # 4 s of speech at 25 fps are 100 frames: 100 / 45.2 and 100 / 18 seconds
    assert need.literature.low == pytest.approx(2.2124, abs=1e-4)
    assert need.literature.high == pytest.approx(5.5556, abs=1e-4)
    assert "five H800, fp8: its paper" in need.literature.how


def test_what_would_be_refused_is_told() -> None:
    (need,) = needs_of(
        live_avatar(grid={"size": ["704*384"]}, parameters={"options.fp8": "perhaps"}), CARD_80
    )
    assert (need.fit, need.why) == (
        "not known",
        "it would be refused: fp8 is 'perhaps'; allowed: true or false",
    )


@pytest.mark.parametrize("given", [None, 22.15])
def test_the_room_is_what_the_driver_says_unless_it_is_given(
    given: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = (Gpu(0, "small", 24564.0, 564.0), Gpu(1, "large", 81559.0, 559.0))
    monkeypatch.setattr(needs, "read_gpus", lambda: (gpus, ""))
    room = read_available_memory(given)
    if given is None:
        assert (room.gpus_mib, room.given) == ((81000.0, 24000.0), False)  # what others use is not free
    else:
        assert (room.gpus_mib, room.given) == ((22.15 * GB,), True)
    assert room.memory_mib > 100


# --- own trials


def test_planted_trials_give_planted_seconds(tmp_path: Path) -> None:
    plan = prepare(live_avatar(grid={"size": ["384*256", "688*368", "704*384"], "sample_steps": [4]}))
    # 20 s of loading, and 2 s for each million of pixels times steps times frames (4 s at 25 fps: 100)
    planted = {
        (size, 4): 20.0 + 2.0 * width * height * 4 * 100 / 1e6
        for size, width, height in (("384*256", 384, 256), ("512*384", 512, 384), ("704*384", 704, 384))
    }
    run = plant(tmp_path / "run", plan, planted)
    small, middle, large = forecast_all(plan, CARD_80, run).trials
    assert small.seconds is not None
    assert small.seconds.value == pytest.approx(planted["384*256", 4])
    assert small.seconds.how == "one trial with the same parameters"
    assert middle.seconds is not None
    assert middle.seconds.value == pytest.approx(20.0 + 2.0 * 688 * 368 * 4 * 100 / 1e6)
    assert middle.seconds.how == "a line through 3 trials"
    assert large.seconds is not None
    assert large.seconds.n == 1


def test_what_loading_took_is_told_apart(tmp_path: Path) -> None:
    plan = prepare(live_avatar(grid={"size": ["384*256", "704*384"]}))
    took = {("384*256", 4): 30.0, ("384*256", 3): 30.0, ("704*384", 4): 30.0}
    run = plant(tmp_path / "run", plan, took, start_s=50.0)
    outlook = forecast_all(plan, CARD_80, run)
    assert [need.seconds.value for need in outlook.trials if need.seconds is not None] == [30.0, 30.0]
    assert outlook.start_s == pytest.approx(50.0)
    assert outlook.total_s(set(), n_workers=1) == pytest.approx(110.0)
    assert outlook.total_s(set(), n_workers=2) == pytest.approx(80.0)
    assert outlook.total_s({outlook.trials[0].trial.id}, n_workers=1) == pytest.approx(80.0)
    assert outlook.total_s({need.trial.id for need in outlook.trials}, n_workers=1) is None


def test_a_known_factor_carries_own_trials_to_another_kind(tmp_path: Path) -> None:
    data = live_avatar(grid={"size": ["704*384"]}, parameters={"offload_model": True})
    data["generator"]["settings"]["gpus"] = [0]
    run = plant(tmp_path / "run", prepare(data), {("704*384", 4): 30.0}, offload_model=False)
    (need,) = needs_of(data, CARD_80, run)
    assert need.seconds is not None
    assert need.seconds.value == pytest.approx(180.0)  # six times as slow
    assert need.seconds.how.endswith("times known factors")


def test_own_memory_counts_for_more_than_known_figures(tmp_path: Path) -> None:
    data = live_avatar(grid={"size": ["704*384"]})
    run = plant(
        tmp_path / "run", prepare(data), {("704*384", 4): 30.0}, gpu_mib={"gpu0": 15 * GB, "gpu1": 21 * GB}
    )
    (need,) = needs_of(data, CARD_24, run)
    assert need.memory is not None
    assert need.memory.value == 21 * GB  # of the fullest GPU, not the sum
    assert need.fit == "fits"
    assert need.why == "21.00 GB against 22.15 GB a GPU: highest of 1 of the same size"
    assert need.estimates != ()  # still told
    (tight,) = needs_of(data, AvailableMemory((20 * GB,), 64 * GB, given=True), run)
    assert tight.fit == "does not fit"


def test_without_a_gpu_the_memory_of_the_machine_counts(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    run = plant(
        tmp_path / "past", prepare(stand_in), {("384*256", steps): 3.0 for steps in (2, 3, 4)}, rss_mib=2048.0
    )
    need = needs_of(stand_in, AvailableMemory((), 16 * GB), run)[0]
    assert (need.fit, need.why) == (
        "fits",
        "2.00 GB against 16.00 GB of memory here: highest of 3 of the same size",
    )
    assert needs_of(stand_in, AvailableMemory((), 1 * GB), run)[0].fit == "does not fit"


def test_trials_of_other_settings_tell_nothing(tmp_path: Path) -> None:
    data = live_avatar(grid={"size": ["704*384"]})
    other = live_avatar(generator={"name": "live_avatar", "settings": {"repository": "elsewhere"}})
    run = plant(tmp_path / "run", prepare(other), {("704*384", 4): 30.0}, gpu_mib={"gpu0": 15 * GB})
    (need,) = needs_of(data, CARD_24, run)
    assert (need.memory, need.seconds) == (None, None)


def test_speech_of_unknown_length_is_taken_from_the_same_parameters(tmp_path: Path) -> None:
    data = live_avatar(grid={"size": ["704*384"]})
    plan = prepare(data)
    said = plan.trials[0].speech
    assert said is not None
    former = replace(plan, trials=[replace(plan.trials[0], speech=Input("other", "f" * 64, text="Else"))])
    run = plant(tmp_path / "run", former, {("704*384", 4): 30.0})
    (need,) = forecast_all(plan, CARD_80, run).trials
    assert need.seconds is not None
    assert (need.seconds.value, need.seconds.how) == (
        30.0,
        "one trial with the same parameters, of other speech",
    )


def test_what_was_really_swept_tells_what_comes(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    run = run_sweep(prepare(stand_in), tmp_path / "run")
    again = needs_of(stand_in, read_available_memory(None), run)
    spent = [(trial.generate_s or 0.0) + (trial.measure_s or 0.0) for trial in run.trials()]
    told = [need.seconds.value for need in again if need.seconds is not None]
    first = min(run.trials(), key=lambda trial: trial.started_at).id  # trials are done in random order
    for trial, told_s, spent_s in zip(run.trials(), told, spent, strict=True):
        if trial.id == first:
            assert 0 < told_s <= spent_s  # less what it loaded
        else:
            assert told_s == pytest.approx(spent_s)
    assert all(need.rss is not None for need in again)


# --- skipping


@pytest.fixture
def greedy(stand_in: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give the sweep of the stand-in with a known figure: four steps need 25.65 GB, fewer 12."""

    def estimate(_self: Command, request: Any) -> ResourceEstimate:
        parts = [("shard", 21.48), ("gather", 4.17)] if request.sample_steps == 4 else [("all", 12.0)]
        told = [(name, gb * GB, gb * GB, "a friend") for name, gb in parts]
        return ResourceEstimate(memory=(estimate_memory("load", *told),))

    monkeypatch.setattr(Command, "estimate", estimate)
    return {
        **stand_in,
        "execution": {"executor": "in_process", "skip_infeasible": True, "gpu_memory_gb": 22.15},
    }


def test_a_sweep_skips_what_cannot_fit_and_says_so(tmp_path: Path, greedy: dict[str, Any], made: Any) -> None:
    run = run_sweep(prepare(greedy), tmp_path / "run")
    assert sorted(made()) == [2, 3]
    assert [trial.params["sample_steps"] for trial in run.trials()] == [2, 3]
    assert Run.open(tmp_path / "run").manifest == run.manifest
    ((trial_id, skipped),) = run.skipped().items()
    assert (trial_id, skipped.params) == (run.manifest.planned[2], {"sample_steps": 4})
    assert "shard 21.48 + gather 4.17 = 25.65 GB (a friend), against 22.15 GB a GPU" in skipped.reason
    assert run.unfinished() == []
    write_report(run.folder)
    for name in ("report.html", "report.md"):
        report = (run.folder / name).read_text("utf-8").replace("\\_", "_")
        assert "1 planned trial skipped (sample_steps 4): load: shard 21.48" in report


def test_skipped_trials_are_no_failures(tmp_path: Path, greedy: dict[str, Any]) -> None:
    from evalkit.analysis.table import rows_of_run

    run = run_sweep(prepare(greedy), tmp_path / "run")
    table = rows_of_run(run)
    assert [row.failure for row in table.rows] == [None, None]
    assert [line for line in table.missing if "was skipped: load: shard 21.48" in line] != []


def test_on_a_larger_card_the_same_sweep_does_them(tmp_path: Path, greedy: dict[str, Any], made: Any) -> None:
    run_sweep(prepare(greedy), tmp_path / "run")
    larger = {**greedy, "execution": {**greedy["execution"], "gpu_memory_gb": 79.6}}
    run = run_sweep(prepare(larger), tmp_path / "run")
    assert sorted(made()) == [2, 3, 4]
    assert run.skipped() == {}


def test_nothing_is_skipped_unless_asked(tmp_path: Path, greedy: dict[str, Any], made: Any) -> None:
    run = run_sweep(
        prepare({**greedy, "execution": {"executor": "in_process", "gpu_memory_gb": 22.15}}), tmp_path / "run"
    )
    assert sorted(made()) == [2, 3, 4]
    assert run.manifest.skipped == {}
