"""What a sweep itself costs, beside making and measuring. Run with ``make bench``."""

from __future__ import annotations

import csv
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.runs import Run
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep
from evalkit.testing.media import write_clip

N_TRIALS = 1000


@pytest.fixture
def thousand(tmp_path: Path) -> dict[str, Any]:
    """Give a sweep of a thousand finished videos."""
    clip = write_clip(tmp_path / "clip.mp4", (np.full((64, 64, 3), k, np.uint8) for k in range(25)), fps=25)
    grid = {"sample_steps": list(range(1, 101)), "sample_guide_scale": [float(k) for k in range(10)]}
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", *grid])
        rows.writerows(
            [clip, steps, scale] for steps in grid["sample_steps"] for scale in grid["sample_guide_scale"]
        )
    settings = {"table": str(tmp_path / "table.csv")}
    return {"generator": {"name": "precomputed", "settings": settings}, "grid": grid, "evaluators": []}


@pytest.mark.parametrize("executor", ["processes", "in_process"])
def test_overhead_of_a_trial(benchmark: Any, tmp_path: Path, thousand: dict[str, Any], executor: str) -> None:
    """Print the time of a trial less what the generator itself took; wanted: below 50 ms."""
    config = build_sweep({**thousand, "execution": {"executor": executor}}, "benchmark")
    run: Run = benchmark.pedantic(
        lambda: run_sweep(plan_sweep(config), tmp_path / "run"), rounds=1, iterations=1
    )
    trials = run.trials()
    assert [trial.status for trial in trials] == ["ok"] * N_TRIALS
    generator_s = sum(trial.events[-1]["time_s"] for trial in trials)
    benchmark.extra_info["overhead_ms_per_trial"] = 1000 * (benchmark.stats["mean"] - generator_s) / N_TRIALS
    print(f"overhead {benchmark.extra_info['overhead_ms_per_trial']:.1f} ms a trial")  # noqa: T201 - a figure


def test_two_workers(tmp_path: Path, benchmark: Any) -> None:
    """Print how much faster two workers are where a program works elsewhere for a second; wanted: at least 1.8."""
    clip = write_clip(tmp_path / "clip.mp4", (np.full((64, 64, 3), k, np.uint8) for k in range(25)), fps=25)
    argv = ["sh", "-c", 'sleep 1; : "$2"; cp "$0" "$1"', str(clip), "{out}", "{sample_steps}"]
    data = {
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": list(range(1, 41))},
        "evaluators": [],
    }
    spent_s = {}

    def both() -> None:
        for workers in (1, 2):
            config = build_sweep({**data, "execution": {"workers": workers}}, "benchmark")
            start_s = time.perf_counter()
            run = run_sweep(plan_sweep(config), tmp_path / f"run_{workers}")
            spent_s[workers] = time.perf_counter() - start_s
            assert len(run.trials()) == 40

    benchmark.pedantic(both, rounds=1, iterations=1)
    benchmark.extra_info["speed_up"] = spent_s[1] / spent_s[2]
    print(f"two workers are {spent_s[1] / spent_s[2]:.2f} times as fast")  # noqa: T201 - a figure


BUSY = """
import shutil, sys, time
for k in range(int(sys.argv[3])):
    k * k
shutil.copyfile(sys.argv[1], sys.argv[2])
with open(sys.argv[4], "a") as log:
    log.write(f"{time.process_time()}\\n")
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_slots_of_one_core_each_are_timed_as_one_is(tmp_path: Path, benchmark: Any) -> None:
    """Print the times of a program that keeps a core busy, in one slot and in two at once; wanted: within 5 %.

    Sweeps with one slot and with two take turns. Where other programs keep the machine busy, the clock tells of them:
    the processor time of the same work is printed beside it, and alone is held to the limit.
    """
    clip = write_clip(tmp_path / "clip.mp4", (np.full((64, 64, 3), k, np.uint8) for k in range(25)), fps=25)
    (tmp_path / "busy.py").write_text(BUSY)
    words = [sys.executable, "-S", "-E", str(tmp_path / "busy.py"), str(clip), "{out}", "20_000_000"]
    clock_s: dict[int, list[float]] = {1: [], 2: []}
    load = os.getloadavg()[0]

    def take_turns() -> None:
        for turn in range(5):
            for n_slots in (1, 2):
                argv = [*words, str(tmp_path / f"cpu_{n_slots}"), "{sample_steps}"]
                data = {
                    "generator": {"name": "command", "settings": {"argv": argv}},
                    "grid": {"sample_steps": list(range(1, 5))},
                    "evaluators": [],
                    "execution": {"slots": [{"cores": 1}] * n_slots},
                }
                run = run_sweep(
                    plan_sweep(build_sweep(data, "benchmark")), tmp_path / f"run {turn} {n_slots}"
                )
                clock_s[n_slots] += [trial.metrics["profile.total_s"].value for trial in run.trials()]

    benchmark.pedantic(take_turns, rounds=1, iterations=1)
    work_s = {k: [float(line) for line in (tmp_path / f"cpu_{k}").read_text().split()] for k in clock_s}
    ratios = {}
    for name, times_s in (("clock", clock_s), ("processor", work_s)):
        one_s, two_s = (float(np.median(times_s[n_slots])) for n_slots in (1, 2))
        ratios[name] = two_s / one_s
        print(f"{name}: {one_s:.3f} s in one slot, {two_s:.3f} s in each of two: {two_s / one_s:.3f}")  # noqa: T201
    print(f"medians of {len(clock_s[1])}; load {load:.1f}")  # noqa: T201 - figures
    benchmark.extra_info.update(ratios, load=load)
    assert ratios["clock" if load < 1 else "processor"] == pytest.approx(1.0, abs=0.05)
