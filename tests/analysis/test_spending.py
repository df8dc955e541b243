"""What making took and cost, by hand: loads, failed attempts, several kinds of machine, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.analysis.spending import NO_TIME, NO_VIDEO, Spending, price_of
from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import Policy
from evalkit.decisions.recommend import recommend
from evalkit.options import ConfigError
from evalkit.reports.run_markdown import render_markdown
from evalkit.reports.run_page import render_run
from evalkit.runs import MetricValue, Run, Trial, TrialFailure
from evalkit.runs.identity import machine_key
from evalkit.sweeps.config import build_sweep
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, TOTAL
from evalkit.views.run import RunView, run_view

H200: dict[str, Any] = {
    "processor": "EPYC",
    "n_cores": 16,
    "gpus": [{"name": "NVIDIA H200", "memory_mib": 143771}],
    "driver": "570",
    "host": "a",
}
TWO_T4: dict[str, Any] = {**H200, "gpus": [{"name": "Tesla T4", "memory_mib": 15360}] * 2, "host": "b"}
CPU: dict[str, Any] = {"processor": "AMD EPYC 9654", "n_cores": 16, "host": "c"}
MACHINES = (H200, TWO_T4, CPU)
PRICES = {"h200": 4.0, "T4": 0.5, "epyc": 0.1}


def trial(
    place: int,
    machine: Mapping[str, Any] = H200,
    *,
    making_s: float | None = 360.0,
    video_s: float | None = 30.0,
    attempts: Sequence[TrialFailure] = (),
    failure: str | None = None,
    energy_j: float | None = None,
    steps: int = 4,
    load_s: float | None = None,
) -> Trial:
    made = make_trial(
        params={"steps": steps},
        portrait="p",
        speech=f"s{place}",
        seed=1,
        values={ERROR.name: 0.1, TOTAL.name: 10.0},
        failure=failure,
    )
    if energy_j is not None:
        made.profile.metrics["profile.energy_j"] = MetricValue(energy_j, "J", 2)
    generation = None if failure is not None or video_s is None else {"duration_s": video_s}
    return replace(
        made,
        machine=machine_key(machine),
        generate_s=making_s,
        generation=generation,
        attempts=list(attempts),
        load_s=load_s,
    )


def failed(spent_s: float | None, machine: Mapping[str, Any] | None = H200) -> TrialFailure:
    key = "" if machine is None else machine_key(machine)
    return TrialFailure("generate", "crashed", "crashed", spent_s, key)


def write(folder: Path, trials: Sequence[Trial], prices: Mapping[str, float] | None = None) -> Path:
    prices = PRICES if prices is None else prices
    return write_run(folder / "run", trials, (ERROR, TOTAL), machines=MACHINES, prices=prices)


def table_of(folder: Path, trials: Sequence[Trial], prices: Mapping[str, float] | None = None) -> ResultTable:
    return rows_of_run(Run.open(write(folder, trials, prices)))


def spending_of(folder: Path, *trials: Trial, prices: Mapping[str, float] | None = None) -> Spending:
    return table_of(folder, trials, prices).pooled().spending


def test_a_minute_costs_the_hours_of_making_it(tmp_path: Path) -> None:
    # two videos of half a minute, 0.1 h each on one GPU at 4.0 an hour: 0.2 h, 0.8 for one minute
    spent = spending_of(tmp_path, trial(0), trial(1))
    assert (spent.hours, spent.gpu_hours, spent.minutes) == pytest.approx((0.2, 0.2, 1.0))
    assert (spent.price, spent.price_per_minute) == pytest.approx((0.8, 0.8))
    assert (spent.gpu_hours_per_minute, spent.reason, spent.n_unknown) == (pytest.approx(0.2), None, 0)


def test_failed_attempts_and_failed_trials_cost_and_finish_nothing(tmp_path: Path) -> None:
    retried = trial(0, attempts=[failed(180.0), failed(180.0)])  # 0.1 h and twice 0.05 h
    lost = trial(1, making_s=720.0, failure="out_of_memory")  # 0.2 h
    spent = spending_of(tmp_path, retried, lost)
    assert (spent.hours, spent.minutes) == pytest.approx((0.4, 0.5))
    assert spent.price_per_minute == pytest.approx(0.4 * 4.0 / 0.5)


def test_attempts_of_unknown_length_are_counted_and_not_made_up(tmp_path: Path) -> None:
    old = trial(
        0, attempts=[failed(None, None), failed(180.0, None)]
    )  # as an older record: on the trial's machine
    spent = spending_of(tmp_path, old)
    assert (spent.hours, spent.n_unknown) == (pytest.approx(0.15), 1)
    assert spent.price == pytest.approx(0.6)


def test_all_gpus_that_a_place_keeps_cost(tmp_path: Path) -> None:
    spent = spending_of(tmp_path, trial(0, TWO_T4), trial(1, TWO_T4))
    assert (spent.hours, spent.gpu_hours) == pytest.approx((0.2, 0.4))
    assert spent.price_per_minute == pytest.approx(0.2 * 2 * 0.5)


def test_a_machine_without_gpus_has_the_price_of_its_processor_and_no_gpu_hours(tmp_path: Path) -> None:
    spent = spending_of(tmp_path, trial(0, CPU), trial(1, CPU))
    assert spent.price_per_minute == pytest.approx(0.02)
    assert (spent.gpu_hours, spent.gpu_hours_per_minute) == (0.0, None)


def test_work_on_the_processor_of_a_machine_with_gpus_keeps_none(tmp_path: Path) -> None:
    made = [trial(0), trial(1)]
    for one in made:
        one.profile.absent["profile.peak_vram_mib"] = "gpu_not_used"
    spent = spending_of(tmp_path, *made)
    assert (spent.hours, spent.gpu_hours) == (pytest.approx(0.2), 0.0)
    assert spent.price_per_minute == pytest.approx(0.2 * 0.1)


def test_what_failed_before_it_used_a_gpu_kept_it_all_the_same(tmp_path: Path) -> None:
    failing = trial(1, failure="crashed")
    failing.profile.absent["profile.peak_vram_mib"] = "gpu_not_used"
    spent = spending_of(tmp_path, trial(0), failing)
    assert spent.gpu_hours == pytest.approx(0.2)


def test_kinds_are_not_mixed_in_a_minute(tmp_path: Path) -> None:
    elsewhere = trial(
        2, CPU, making_s=36_000.0, attempts=[failed(360.0)]
    )  # tried on the main kind before: that counts
    spent = spending_of(tmp_path, trial(0), trial(1), elsewhere)
    assert (spent.hours, spent.minutes) == pytest.approx((0.3, 1.0))
    assert spent.price_per_minute == pytest.approx(1.2)


def test_loading_is_shared_out_among_all_that_were_made_there(tmp_path: Path) -> None:
    first = trial(0, steps=2, making_s=360.0 + 3600.0, load_s=3600.0)
    others = [trial(place, steps=steps) for place, steps in ((1, 2), (0, 4), (1, 4))]
    elsewhere = trial(2, CPU, steps=2, making_s=7200.0, load_s=7000.0)
    two, four = table_of(tmp_path, [first, *others, elsewhere]).configurations
    assert two.spending.hours == pytest.approx(four.spending.hours)
    assert two.spending.hours == pytest.approx(0.2 + 0.5)  # half of the one hour each
    assert two.spending.price_per_minute == pytest.approx(0.7 * 4.0)


def test_energy_is_that_of_finished_videos_where_all_tell(tmp_path: Path) -> None:
    both = spending_of(tmp_path / "both", trial(0, energy_j=3600.0), trial(1, energy_j=7200.0))
    assert both.energy_wh_per_minute == pytest.approx(3.0)
    one = spending_of(tmp_path / "one", trial(0, energy_j=3600.0), trial(1))
    assert (one.energy_wh, one.energy_wh_per_minute) == (None, None)


@pytest.mark.parametrize(
    ("trials", "prices", "reason"),
    [
        ([trial(0), trial(1)], {}, "execution.price_per_hour names no price for a GPU of NVIDIA H200"),
        (
            [trial(0), trial(1)],
            {"A100": 2.0},
            "execution.price_per_hour names no price for a GPU of NVIDIA H200",
        ),
        (
            [trial(0, CPU)],
            {"A100": 2.0},
            "execution.price_per_hour names no price for the processor of AMD EPYC 9654",
        ),
        ([trial(0, failure="crashed")], PRICES, NO_VIDEO),
        ([trial(0, video_s=None)], PRICES, NO_VIDEO),
        ([trial(0, making_s=None)], PRICES, NO_TIME),
    ],
)
def test_without_what_it_takes_there_is_no_price_and_a_reason(
    tmp_path: Path, trials: list[Trial], prices: dict[str, float], reason: str
) -> None:
    spent = spending_of(tmp_path, *trials, prices=prices)
    assert spent.price_per_minute is None
    assert (spent.reason or "").startswith(reason)


@pytest.mark.parametrize(
    ("prices", "machine", "price"),
    [
        ({"default": 3.0}, H200, 3.0),
        ({"Default": 3.0}, TWO_T4, 6.0),
        ({"default": 3.0, "t4": 1.0}, TWO_T4, 2.0),
        ({"NVIDIA": 2.0, "nvidia h200": 5.0}, H200, 5.0),
        ({"H20": 2.0, "200": 3.0}, H200, None),  # those are others
        ({"T4": 1.0}, {"gpus": [{"name": "NVIDIA T40"}]}, None),
        ({"H200": 1.0, "default": 3.0}, {"gpus": [{"name": "NVIDIA GH200 480GB"}]}, 3.0),
        ({"A100-SXM4": 1.0}, {"gpus": [{"name": "NVIDIA A100-SXM4-80GB"}]}, 1.0),
        ({"Xeon(R)": 1.0}, {"processor": "Intel(R) Xeon(R) CPU @ 2.20GHz"}, 1.0),
        ({"EPYC": 1.0}, H200, None),  # the price of a processor is none of a GPU
        ({"EPYC": 1.0}, CPU, 1.0),
        ({"default": 0.0}, CPU, 0.0),
        ({}, CPU, None),
        ({"default": 1.0}, {}, 1.0),
    ],
)
def test_which_price_a_machine_has(
    prices: dict[str, float], machine: dict[str, Any], price: float | None
) -> None:
    assert price_of(machine, prices) == price


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"H200": -1.0}, "H200 is -1.0; allowed: .* the price of an hour of one, from 0"),
        ({"H200": float("inf")}, "numbers must be finite"),
        ({"H200": 1.0, "h200": 2.0}, "'h200' has two prices"),
        ({"": 1.0}, "a name in execution.price_per_hour is ''"),
    ],
)
def test_prices_that_cannot_be_are_refused(prices: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_sweep({"execution": {"price_per_hour": prices}}, "here")


def policy() -> Policy:
    rules = [{"metric": ERROR, "at_most": 0.3, "why": "w"}]
    return Policy.model_validate(
        {"name": "p", "title": "P", "quality": ERROR, "costs": [TOTAL], "rules": rules}
    )


def view_of(folder: Path, trials: Sequence[Trial], prices: Mapping[str, float] | None = None) -> RunView:
    return run_view(analyse_run(Run.open(write(folder, trials, prices)), policy()), policy())


def test_report_recommendation_and_json_say_the_same(tmp_path: Path) -> None:
    trials = [trial(place, steps=steps, making_s=90.0 * steps) for steps in (2, 4) for place in range(4)]
    table = table_of(tmp_path, trials)
    view = run_view(analyse_run(Run.open(tmp_path / "run"), policy()), policy())
    found = recommend(table, policy())
    prices = [one.spending.price_per_minute for one in table.configurations]
    assert prices == pytest.approx([2 * 90 / 3600 * 4.0 * 2, 4 * 90 / 3600 * 4.0 * 2])
    assert list(found.frame()["price_per_minute"]) == prices
    assert [one["spending"]["price_per_minute"] for one in view.to_dict()["configurations"]] == prices
    page, markdown = render_run(view), render_markdown(view)
    for text in (page, markdown):
        assert "What a finished minute of video takes" in text
        assert "price a minute" in text
        assert "0.4" in text
    assert found.details[-1] == (
        f"A finished minute of {found.subject.name} takes 0.1 GPU-hours and costs 0.4 by execution.price_per_hour, "
        f"loads and failed attempts included."
    )
    assert found.details[-1] in view.answer.details


def test_without_a_price_the_report_says_how_to_give_one(tmp_path: Path) -> None:
    view = view_of(tmp_path, [trial(0), trial(1)], {})
    page = render_run(view)
    assert "Without a price: execution.price_per_hour names no price for a GPU of NVIDIA H200" in page
    assert "price a minute" not in page
    assert "GPU-hours a minute" in page


def test_each_kind_of_machine_has_its_own_line(tmp_path: Path) -> None:
    trials = [trial(0), trial(1), trial(2, CPU), trial(3, TWO_T4, failure="crashed")]
    view = view_of(tmp_path, trials)
    assert [(one.is_main, one.n_trials, one.n_failed, one.hosts) for one in view.kinds] == [
        (True, 2, 0, {"a": 2}),
        (False, 1, 0, {"c": 1}),
        (False, 1, 1, {"b": 1}),
    ]
    assert [one.spending.price for one in view.kinds] == pytest.approx([0.8, 0.01, 0.1])
    page, markdown = render_run(view), render_markdown(view)
    line = "Times and memory are of NVIDIA H200 (140 GiB), driver 570, EPYC, 16 cores; 2 trials made on other kinds"
    assert line in page
    assert line in markdown.replace("\\", "")
    assert "AMD EPYC 9654, 16 cores" in page
    assert "on NVIDIA H200 (140 GiB), driver 570, EPYC, 16 cores and 2 other kinds of machine ·" in page
    assert [trial.machine for trial in view.trials][2:] == [
        "AMD EPYC 9654, 16 cores (c)",
        "2 × Tesla T4 (15 GiB), driver 570, EPYC, 16 cores (b)",
    ]
    assert [trial.is_elsewhere for trial in view.trials] == [False, False, True, True]
    assert any("in no figure of a configuration" in note for note in view.trials[2].notes)


def test_a_run_without_times_of_making_has_no_such_table(tmp_path: Path) -> None:
    view = view_of(tmp_path, [trial(0, making_s=None), trial(1, making_s=None)])
    assert "What a finished minute" not in render_run(view)
    assert "What a finished minute" not in render_markdown(view)
