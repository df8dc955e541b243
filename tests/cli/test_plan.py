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
    assert "6 skipped: load: its shard of the weights 21.48" in result.stderr
    assert result.stdout.splitlines()[0] == "0 of 6 trials done"
    assert "6 planned trials skipped" in Path("runs/live/report.md").read_text("utf-8")
    listed = call("sweep", "live.yaml", "--skip-infeasible", "--gpu-memory-gb", "22.15", "--dry-run").stdout
    assert listed.count("  skip ") == 6
    assert "6 trials, 0 done, 6 skipped, 0 pending" in listed


def test_without_a_sweep_it_says_how_many_inputs_a_question_needs(call: Call) -> None:
    """26 pairs: TTestPower().solve_power(0.05 / 0.08, alpha=0.04, power=0.8) of statsmodels is 23.66, and two more."""
    asked = (
        "--effect",
        "0.05",
        "--power",
        "0.8",
        "--spread",
        "0.08",
        "--quality",
        "0.25",
        "--json",
        "n.json",
    )
    result = call("plan", *asked)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "lip_sync.error: a difference of 0.05 is found in 80 % of comparisons with 26 inputs" in said
    assert "lip_sync.error at most 0.3: a release of 0.25 passes in 90 % with 31 clips" in said
    assert max(map(len, result.stdout.splitlines())) <= 80
    told = json.loads(Path("n.json").read_text("utf-8"))["evidence"]
    assert (told["design"], told["difference"]["n_needed"], told["gates"][0]["n_needed"]) == (None, 26, 31)
    unknown = " ".join(call("plan", "--metric", "lip_sync.error").stdout.split())
    assert "differences of 0.2, 0.5, 0.8 spreads are found in 80 % of comparisons with 214, 38, 20" in unknown


def test_with_a_sweep_it_says_what_the_planned_n_can_show(call: Call) -> None:
    texts = [{"text": f"Sentence {k}.", "language": "en"} for k in range(40)]
    data = yaml.safe_load(Path("copies.yaml").read_text("utf-8")) | {"inputs": {"speech": texts}}
    Path("many.yaml").write_text(yaml.safe_dump(data), "utf-8")
    asked = (
        "--spread",
        "0.1",
        "--quality",
        "0.25",
        "--json",
        "plan.json",
    )
    result = call("plan", "many.yaml", *asked)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "what this can show: 40 clips for each of 2 configurations" in said
    assert "told apart in 80 % (0.0484)" in said
    assert "the planned 40 find it in 83 %" in said
    told = json.loads(Path("plan.json").read_text("utf-8"))
    evidence = told["evidence"]
    assert evidence["design"] | {"given": ()} == {
        "n_configurations": 2,
        "portraits": 1,
        "speech": 40,
        "seeds": 1,
        "given": (),
    }
    rate = next(gate for gate in evidence["gates"] if gate["name"] == "profile.error_rate")
    assert (rate["n_planned"], rate["can_pass"]) == (40, False)
    assert len(told["trials"]) == 80
    assert result.stdout.splitlines()[-1] == "80 trials; time of 80 not known"


def test_the_spread_is_that_of_finished_runs(call: Call, tmp_path: Path) -> None:
    from evalkit.testing.runs import write_grid

    speech = [f"text {k}" for k in range(12)]
    write_grid(tmp_path / "past", sizes=["384*256"], steps=[2, 4], portraits=["ann"], speech=speech)
    said = " ".join(call("plan", "--effect", "0.05", "--runs", "past").stdout.split())
    assert "a difference of 0.05 is found in 80 % of comparisons with 20 inputs" in said
    assert "from 24 clips of past" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--effect", "0"), "0 is not a number above 0"),
        (("--spread", "nan"), "nan is not a number above 0"),
        (("--spread", "-1"), "-1 is not a number above 0"),
        (("--effect", "0.1", "--power", "1"), "--power"),
        (("--quality", "good"), "'good' is not VALUE or GATE=VALUE"),
        (("--quality", "lip_sync.eror=0.2"), "no rule for 'lip_sync.eror'"),
        (("--metric", "lip_sync.eror"), "did you mean 'lip_sync.error'"),
        (("--policy", "custmer_service"), "no policy 'custmer_service'"),
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


def test_a_run_that_teaches_nothing_is_told_with_the_reason(call: Call) -> None:
    assert call("sweep", "copies.yaml", "--out", "past").exit_code == 0
    other = yaml.safe_load(Path("copies.yaml").read_text("utf-8"))
    other["generator"]["settings"]["time_limit_s"] = 7.0
    Path("other.yaml").write_text(yaml.safe_dump(other), "utf-8")
    said = call("plan", "other.yaml", "--runs", "past").stderr
    assert (
        "note: nothing is learned from past: other settings of the generator: time_limit_s is None there, 7.0"
        in said
    )
    said = call("plan", "live.yaml", "--runs", "past").stderr
    assert "note: nothing is learned from past: its generator is 'command'" in said
    assert "nothing is learned" not in call("plan", "copies.yaml", "--runs", "past").stderr
