"""The same empty grid done by evalkit, by Hydra's multirun and by Ray Tune, side by side. Run with ``make bench``.

``EVALKIT_RIVALS`` names the Python of an environment with hydra-core, hydra-joblib-launcher and ray[tune]. A trial of a
rival writes one file of the same content into a folder of its own; ours does what it always does: a process apart,
profiler, records, everything on disk before it counts. Each is done with few trials and with many, and what a further
trial costs is the difference, so that starting counts for nobody.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RIVALS = os.environ.get("EVALKIT_RIVALS", "")
pytestmark = pytest.mark.skipif(not RIVALS, reason="EVALKIT_RIVALS names no Python with Hydra and Ray Tune")

ROOT = Path(__file__).parents[2]
FEW, MANY, N_ROUNDS = 40, 240, 3
N_CONFIGURATIONS = 20

HYDRA = """
import os, hydra

@hydra.main(version_base=None, config_path=".", config_name="grid")
def make(config):
    with open("video.mp4", "wb") as file:
        file.write(b"0" * 500)

make()
"""
HYDRA_CONFIG = "steps: 4\nscale: 1.0\nseed: 0\nhydra: {job: {chdir: true}}\n"
TUNE = """
import sys, ray
from ray import tune

def make(config):
    with open("video.mp4", "wb") as file:
        file.write(b"0" * 500)
    tune.report({"one": 1.0})

n_seeds, n_slots, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ray.init(num_cpus=n_slots, include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=sys.argv[4])
space = {
    "steps": tune.grid_search([4, 8, 16, 32]),
    "scale": tune.grid_search([1.0, 2.0, 3.0, 4.0, 5.0]),
    "seed": tune.grid_search(list(range(n_seeds))),
}
tuner = tune.Tuner(
    make,
    param_space=space,
    tune_config=tune.TuneConfig(reuse_actors=True),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
)
assert len(tuner.fit()) == 20 * n_seeds
ray.shutdown()
"""

PROGRAMS = {"hydra_grid.py": HYDRA, "grid.yaml": HYDRA_CONFIG, "tune_grid.py": TUNE}


def _commands(folder: Path, n_trials: int, n_slots: int) -> dict[str, list[str]]:
    """Return the command of each way to do so many trials in so many slots."""
    n_seeds = n_trials // N_CONFIGURATIONS
    ours = [
        sys.executable,
        "-m",
        "tests.empty_grid",
        "--trials",
        str(n_trials),
        "--slots",
        str(n_slots),
        "--json",
    ]
    grid = ["steps=4,8,16,32", "scale=1.0,2.0,3.0,4.0,5.0", f"seed=range(0,{n_seeds})"]
    hydra = [RIVALS, str(folder / "hydra_grid.py"), "-m", *grid, f"hydra.sweep.dir={folder / 'multirun'}"]
    if n_slots > 1:
        hydra += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={n_slots}"]
    temporary = Path("/tmp") / f"rt{os.getpid()}"  # noqa: S108 - a socket's path must be short
    tune = [
        RIVALS,
        str(folder / "tune_grid.py"),
        str(n_seeds),
        str(n_slots),
        str(folder / "tune"),
        str(temporary),
    ]
    return {"evalkit": ours, "hydra": hydra, "tune": tune}


def _spend(command: list[str]) -> float:
    variables = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    start_s = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    spent_s = time.perf_counter() - start_s
    assert done.returncode == 0, done.stderr[-3000:]
    return spent_s


@pytest.mark.parametrize("n_slots", [1, 2])
def test_a_trial_costs_less_than_elsewhere(tmp_path: Path, benchmark: Any, n_slots: int) -> None:
    """Print what a further trial takes of the clock, the median of rounds in which they take turns; wanted: the least."""
    trial_ms: dict[str, list[float]] = {}

    def take_turns() -> None:
        for turn in range(N_ROUNDS):
            folder = tmp_path / str(turn)
            folder.mkdir()
            for name, text in PROGRAMS.items():
                (folder / name).write_text(text)
            names = list(_commands(folder, FEW, n_slots))
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                few_s, many_s = (
                    _spend(_commands(folder, n_trials, n_slots)[name]) for n_trials in (FEW, MANY)
                )
                trial_ms.setdefault(name, []).append(1000 * (many_s - few_s) / (MANY - FEW))

    benchmark.pedantic(take_turns, rounds=1, iterations=1)
    medians = {name: statistics.median(values) for name, values in trial_ms.items()}
    for name, values in trial_ms.items():
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"{name} in {n_slots}: {medians[name]:.1f} ms a trial ({each})")  # noqa: T201 - figures
    print(f"load {os.getloadavg()[0]:.1f}")  # noqa: T201 - figures
    benchmark.extra_info.update(medians)
    assert medians["evalkit"] < min(medians["hydra"], medians["tune"])
