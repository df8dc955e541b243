"""kill -9 at any moment: after resuming, every trial is there once and is that of an undisturbed sweep."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from evalkit.runs import MetricResults, Run, Trial
from evalkit.runs.files import only_writer
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.order import order_trials, seed_of_order
from evalkit.sweeps.prepare import plan_sweep

N_TRIALS = 8


def timeless(trial: Trial) -> Trial:
    """Return a trial less the times in it and what was sampled."""
    assert trial.generation is not None
    generation = {**trial.generation, "events": []}
    events = [{**event, "time_s": 0.0} for event in trial.events]
    return replace(
        trial,
        profile=MetricResults(),
        generation=generation,
        events=events,
        started_at="",
        generate_s=None,
        load_s=None,
        measure_s=None,
    )


def finished(out: Path) -> dict[Path, bytes]:
    """Read the records under their final names; one under a hidden name is still being written."""
    paths = [*out.glob("videos/[!.]*/generation.json"), *out.glob("measurements/*/[!.]*.json")]
    return {path: path.read_bytes() for path in paths}


def start(config: Path, out: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "evalkit", "sweep", str(config), "--out", str(out)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("n_kills", "seed"), [(3, 1), pytest.param(20, 2, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_a_killed_sweep_ends_like_an_undisturbed_one(
    tmp_path: Path, stand_in: dict[str, Any], n_kills: int, seed: int
) -> None:
    config = tmp_path / "sweep.yaml"
    n_values = max(N_TRIALS, 2 * n_kills)
    data = {
        **stand_in,
        "evaluators": ["technical"],
        "execution": {"evidence": False},
        "grid": {"sample_steps": [*range(1, 11), *range(21, 11 + n_values)][:n_values]},
    }
    config.write_text(yaml.safe_dump(data), "utf-8")
    assert start(config, tmp_path / "undisturbed").wait() == 0
    undisturbed = Run.open(tmp_path / "undisturbed")
    assert len(undisturbed.trials()) == n_values

    out, chance = tmp_path / "killed", np.random.default_rng(seed)
    n_killed_at_work = 0
    for _ in range(n_kills):
        before = finished(out)
        process = start(config, out)
        wanted = len(before) + int(chance.integers(4))
        while process.poll() is None and len(finished(out)) < wanted:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4 if out.exists() else 2.5))
        process.send_signal(signal.SIGKILL)
        n_killed_at_work += process.wait() == -signal.SIGKILL
        assert before.items() <= finished(out).items()  # what was there is as it was
    assert n_killed_at_work > 0
    wait_until_alone(out)
    assert start(config, out).wait() == 0
    run = Run.open(out)
    assert run.damage() == []
    assert [timeless(trial) for trial in run.trials()] == [timeless(trial) for trial in undisturbed.trials()]
    for place in ("videos", "measurements"):
        assert sorted(path.name for path in (out / place).iterdir()) == sorted(run.manifest.planned)
    for trial_id in run.manifest.planned:
        names = [path.name for path in (out / "measurements" / trial_id).iterdir()]
        assert len([name for name in names if not name.endswith(".samples.json")]) == 1, names
    for trial in run.trials():
        video, same = run.video_of(trial.id), undisturbed.video_of(trial.id)
        assert video is not None
        assert same is not None
        assert video.read_bytes() == same.read_bytes()


def test_an_interrupt_ends_cleanly_with_130(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    config, out = tmp_path / "sweep.yaml", tmp_path / "interrupted"
    data = {**stand_in, "execution": {}, "grid": {"sample_steps": hang_last(stand_in)}}
    config.write_text(yaml.safe_dump(data), "utf-8")
    process = start(config, out)
    while not finished(out):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert len(Run.open(out).trials()) == 1
    assert [path.name for path in (out / "videos").iterdir() if path.name.startswith(".")] == []
    assert (out / "results.csv").is_file()


def hang_last(stand_in: dict[str, Any]) -> list[int]:
    """Return a grid of a video that is made and one that hangs, in which the order of doing has that one last."""
    for steps in ([2, 12], [12, 2]):
        plan = plan_sweep(build_sweep({**stand_in, "execution": {}, "grid": {"sample_steps": steps}}, "test"))
        last = order_trials(plan.trials, seed_of_order(plan.ids))[-1]
        if last.params["sample_steps"] == 12:
            return steps
    raise AssertionError("the order of doing did not turn with that of the plan")


def wait_until_alone(out: Path) -> None:
    """Wait until the workers of the killed sweep have noticed."""
    if out.exists():
        with only_writer(out):  # free at once: the kernel lets go with the process
            pass
    needle = f"{out}/videos"  # the whole path: others may run the same test
    while any(
        needle in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ):
        time.sleep(0.05)
