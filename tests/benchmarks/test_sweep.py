"""What a sweep itself costs, beside making and measuring. Run with ``make bench``."""

from __future__ import annotations

import csv
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
