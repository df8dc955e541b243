"""``evalkit plan`` from outside: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from evalkit.cli import main

Call = Callable[..., Result]
SCRIPT = ["bash", "run.sh", "{image}", "{audio}", "{size}", "{sample_steps}", "{out}"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Give a function that calls a command, in a folder of its own with two sweeps."""
    from evalkit.testing.media import write_clip

    monkeypatch.chdir(tmp_path)
    write_clip("made.mp4", (np.full((64, 64, 3), 9 * k, np.uint8) for k in range(10)), fps=25)
    Path("copies.py").write_text("import shutil, sys\nshutil.copyfile('made.mp4', sys.argv[1])\n")
    argv = [sys.executable, "-S", "-E", "copies.py", "{out}", "{sample_steps}"]
    copies = {
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": [2, 3]},
        "evaluators": [],
        "execution": {"executor": "in_process"},
    }
    live = {
        "generator": {
            "name": "live_avatar",
            "settings": {"repository": "live", "gpus": [0, 1, 2, 3], "script": SCRIPT},
        },
        "grid": {"size": ["384*256", "688*368", "704*384"], "sample_steps": [3, 4]},
        "evaluators": [],
    }
    for name, data in {"copies": copies, "live": live}.items():
        Path(f"{name}.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return lambda *words: CliRunner().invoke(main, words)


def test_what_cannot_fit_is_marked_with_the_reason(call: Call) -> None:
    result = call("plan", "live.yaml", "--gpu-memory-gb", "22.15")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Each GPU is taken to have 22.15 GB."
    assert sum("✗ does not fit" in line for line in lines) == 7  # six trials and the reason
    said = " ".join(result.stdout.split())
    assert (
        "✗ does not fit (6): load: its shard of the weights 21.48 + gathering the shards 4.17 = 25.65 GB"
        in said
    )
    assert "by the estimates of others, not measured here" in said
    assert "run: all of it at 704*384 20.00–22.00 GB (operators of a variant for GPUs of 24 GB)" in said
    assert "its README: a card sold as 48 GB" in said
    assert lines[-1] == "6 trials, 6 cannot fit"


def test_nothing_known_is_said_and_no_zero(call: Call) -> None:
    result = call("plan", "copies.yaml")
    assert result.stdout.count("not known") >= 6  # memory, fit and time of both
    assert result.stdout.splitlines()[-1] == "2 trials; time of 2 not known"
    assert " 0 s" not in result.stdout


def test_own_trials_tell_what_the_rest_will_take(call: Call) -> None:
    assert call("sweep", "copies.yaml", "--out", "past").exit_code == 0
    result = call("plan", "copies.yaml", "--runs", "past", "--workers", "2", "--json", "plan.json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(Path("plan.json").read_text("utf-8"))
    seconds = [trial["seconds"]["value"] for trial in told["trials"]]
    assert told["total_s"] == pytest.approx(told["start_s"] + sum(seconds) / 2)
    assert [trial["seconds"]["n"] for trial in told["trials"]] == [1, 1]
    assert all(trial["rss_mib"]["value"] > 1 for trial in told["trials"])
    last = result.stdout.splitlines()[-1]
    assert last.startswith("2 trials; 2 take ")
    assert last.endswith(" with 2 workers")


def test_what_is_done_is_not_counted_again(call: Call) -> None:
    assert call("sweep", "copies.yaml").exit_code == 0
    result = call("plan", "copies.yaml")
    assert result.stdout.count(" done") == 3
    assert result.stdout.splitlines()[-1] == "2 trials, 2 done"


def test_the_sweep_skips_it_and_says_so(call: Call) -> None:
    result = call("sweep", "live.yaml", "--skip-infeasible", "--gpu-memory-gb", "22.15")
    assert result.exit_code == 0, result.output
    assert "6 skipped, which cannot fit: load: its shard of the weights 21.48" in result.stderr
    assert result.stdout.splitlines()[0] == "0 of 6 trials done"
    assert "6 planned trials skipped" in Path("runs/live/report.md").read_text("utf-8")
    listed = call("sweep", "live.yaml", "--skip-infeasible", "--gpu-memory-gb", "22.15", "--dry-run").stdout
    assert listed.count("  skip ") == 6
    assert "6 trials, 0 done, 6 skipped, 0 pending" in listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gone.yaml",), "gone.yaml cannot be read"),
        (("copies.yaml", "--runs", "gone"), "gone: there is no such folder"),
        (("copies.yaml", "--runs", "."), "is not a run folder"),
        (("copies.yaml", "--gpu-memory-gb", "0"), "--gpu-memory-gb"),
        (("copies.yaml", "--gpu-memory-gb", "nan"), "nan is not an amount of memory"),
        (("copies.yaml", "--gpu-memory-gb", "inf"), "inf is not an amount of memory"),
        (("copies.yaml", "--workers", "0"), "--workers"),
    ],
)
def test_wrong_use(words: tuple[str, ...], message: str, call: Call) -> None:
    result = call("plan", *words)
    assert result.exit_code == 2
    assert message in result.stderr
