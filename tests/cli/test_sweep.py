"""``evalkit sweep`` from outside: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from evalkit.cli import main
from evalkit.runs import Run
from evalkit.stats.means import MIN_UNITS
from evalkit.sweeps.config import resolve_sweep

COPIES = """
import shutil, sys
if sys.argv[2] == "9": sys.exit(3)
if sys.argv[2] == "8": print("loading the model"); sys.exit("ValueError: no weights")
shutil.copyfile("made.mp4", sys.argv[1])
"""
Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Give a function that calls the command with a stand-in generator, in a folder of its own."""
    from evalkit.testing.media import write_clip

    monkeypatch.chdir(tmp_path)
    write_clip("made.mp4", (np.full((64, 64, 3), 9 * k, np.uint8) for k in range(10)), fps=25)
    Path("copies.py").write_text(textwrap.dedent(COPIES))
    argv = [
        sys.executable,
        "-S",
        "-E",
        "copies.py",
        "{out}",
        "{sample_steps}",
        {"when": "image", "args": ["{image}"]},
    ]
    data = {
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": [2, 3]},
        "evaluators": [],
        "execution": {"executor": "in_process"},
    }
    Path("odd.yaml").write_text(
        "name: odd\ntitle: Odd\nquality: lip_sync.error\ncosts: [profile.total_s]\nrules:\n  - {metric: lip_sync.eror, at_most: 1, judged_by: value, why: odd}\n",
        "utf-8",
    )
    Path("copies.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return lambda *words: CliRunner().invoke(main, ["sweep", *words])


def test_a_sweep_ends_with_the_path_of_its_run(call: Call) -> None:
    result = call("copies.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["2 of 2 trials done", "runs/copies/report.html"]
    lines = [line.split(":")[0].split("  ") for line in result.stderr.splitlines()]
    assert [line[0] for line in lines] == ["1/2", "2/2"]
    assert sorted(line[1] for line in lines) == ["sample_steps=2", "sample_steps=3"]
    assert len(Run.open("runs/copies").trials()) == 2
    assert Path("runs/copies/report.html").stat().st_size > 1000
    assert Path("runs/copies/report.md").is_file()


def test_flags_change_the_grid_and_failures_are_1_and_told(call: Call) -> None:
    result = call("copies.yaml", "--set", "sample_steps=2,9", "--out", "here")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["1 of 2 trials done", "here/report.html"]
    assert re.search(r"1 failed \(generate: crashed\): .* failed with exit status 3", result.stderr)
    assert re.search(r"see here/videos/\w+/log\.txt; --retry-failed", result.stderr)


def test_a_failing_program_is_told_with_its_last_line(call: Call) -> None:
    done = call("copies.yaml", "--out", "run", "--set", "sample_steps=8")
    told = re.findall(r"failed \(generate: crashed\): (.*)", done.stderr)
    assert len(told) == 2  # as it happens, and at the end
    assert all(line.endswith("exit status 1; it said at last: ValueError: no weights") for line in told)
    assert "it said at last: ValueError: no weights" in Path("run/report.md").read_text("utf-8")


def test_a_dry_run_says_what_is_done_and_how_long_the_rest_takes(call: Call) -> None:
    before = call("copies.yaml", "--dry-run")
    assert before.exit_code == 0
    lines = before.stdout.splitlines()
    assert lines[2] == "2 trials, 0 done, 2 pending"
    assert lines[-2:] == ["expected time: not known until a first trial is done", "runs/copies"]
    assert not Path("runs").exists()
    call("copies.yaml", "--set", "sample_steps=2,9")
    lines = call("copies.yaml", "--set", "sample_steps=2,9,4", "--dry-run").stdout.splitlines()
    assert [re.sub(r"^\w{16}", "ID", line) for line in lines[:3]] == [
        "ID  done     sample_steps=2",
        "ID  failed   sample_steps=9",
        "ID  pending  sample_steps=4",
    ]
    assert lines[3] == "3 trials, 1 done, 1 failed, 1 pending"
    assert re.fullmatch(r"expected time: \d+ s", lines[-2])


def test_a_dry_run_says_what_its_n_can_show(call: Call) -> None:
    few = call("copies.yaml", "--text", "Hello.", "--text", "Good morning.", "--dry-run").stdout
    said = " ".join(few.split())
    assert "what this can show: 2 clips for each of 2 configurations (1 portrait x 2 pieces of speech" in said
    assert "nothing can be known beyond these inputs" in said
    assert "gates can pass with so many; needed are 19 clips" in said
    assert max(len(line) for line in few.splitlines() if not re.match(r"\w{16} ", line)) <= 80
    texts = [word for k in range(30) for word in ("--text", f"Sentence {k}.")]
    said = " ".join(call("copies.yaml", *texts, "--dry-run").stdout.split())
    assert "lip_sync.error: two configurations that differ by 0.57 spreads are told apart in 80 %" in said


def test_names_are_data(call: Call) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save("<script>alert(1)<script>.png")
    result = call("copies.yaml", "--portrait", "<script>alert(1)<script>.png", "--set", "sample_steps=2")
    assert result.exit_code == 0, result.output
    (trial,) = Run.open("runs/copies").trials()
    assert trial.portrait is not None
    assert trial.portrait.name == "<script>alert(1)<script>"
    assert "<script>alert(1)" not in Path("runs/copies/report.html").read_text("utf-8")
    assert re.fullmatch(r"[0-9a-f]{16}", trial.id)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.yaml"], "gone.yaml cannot be read"),
        (["copies.yaml", "--set", "sample_steps"], "is not NAME=VALUE"),
        (["copies.yaml", "--set", "sample_steps="], r"grid.sample_steps is \[\]"),
        (["copies.yaml", "--set", "sample_step=2"], "did you mean 'sample_steps'"),
        (["copies.yaml", "--set", "fps=1", "--set", "fps=2"], "'fps' is given twice"),
        (["copies.yaml", "--set", "size=a{"], "did you mean|allowed"),
        (["copies.yaml", "--setting", "argv"], "is not NAME=VALUE"),
        (["copies.yaml", "--setting", "argv=[a"], "is not valid YAML"),
        (["copies.yaml", "--portrait", "gone.png"], "there is no file gone.png"),
        (["copies.yaml", "--speech", "gone.wav"], "there is no file gone.wav"),
        (["copies.yaml", "--seeds", "a"], "seeds.0 is 'a'"),
        (["copies.yaml", "--only", "lipsync"], "did you mean 'lip_sync'"),
        (["copies.yaml", "--policy", "customer_servic"], "did you mean 'customer_service'"),
        (["copies.yaml", "--policy", "odd.yaml"], "unknown metric 'lip_sync.eror'"),
        (["copies.yaml", "--workers", "0"], "execution.workers is 0"),
        (["copies.yaml", "--out", "copies.py"], "is a file; a run is a folder"),
        (["copies.yaml", "--generator", "comand"], "did you mean 'command'"),
    ],
)
def test_what_is_refused_is_2_and_writes_nothing(words: list[str], message: str, call: Call) -> None:
    before = sorted(Path().rglob("*"))
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert re.search(message, result.stderr), result.stderr
    assert sorted(Path().rglob("*")) == before


def test_a_full_disk_is_1_and_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    from evalkit.runs import files

    fsync = os.fsync

    def full(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name == "generation.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    result = call("copies.yaml")
    assert result.exit_code == 1
    assert "runs/copies cannot be written: No space left on device; what is done is kept" in result.stderr
    assert Run.open("runs/copies").unfinished() == Run.open("runs/copies").manifest.planned


def test_a_run_of_a_newer_schema_is_left_alone(call: Call) -> None:
    call("copies.yaml")
    path = Path("runs/copies/run.json")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"schema": 99}), "utf-8")
    result = call("copies.yaml")
    assert result.exit_code == 2
    assert "written by a newer one" in result.stderr


def test_a_name_may_stand_for_a_list_or_many_values(call: Call) -> None:
    words = ["--set", "size=384*256,688*368", "--set", "prompt=['a, b', c]", "--text", "Hello, you."]
    result = call("copies.yaml", *words, "--seeds", "1,2", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    trials = [line.split(maxsplit=2)[2] for line in lines if re.match(r"\w{16}  pending ", line)]
    assert len(trials) == 2 * 2 * 2 * 2  # sample_steps of the file, sizes, prompts, seeds
    assert trials[0] == "sample_steps=2 size=384*256 prompt=a, b Hello, you. seed 1"
    assert trials[-1] == "sample_steps=3 size=688*368 prompt=c Hello, you. seed 2"


def test_the_quickstart_is_large_enough_to_tell_something() -> None:
    config = resolve_sweep()
    assert config.generator.name == "reference"
    assert [len(config.grid[name]) >= 2 for name in ("size", "sample_steps")] == [True, True]
    assert len(config.inputs.speech) >= MIN_UNITS


def test_another_generator_does_not_inherit_settings(call: Call) -> None:
    result = call("copies.yaml", "--generator", "precomputed", "--dry-run")
    assert result.exit_code == 2
    assert "give the setting folder or the setting table" in result.stderr


def test_a_dry_run_tells_what_the_generator_refuses(call: Call) -> None:
    words = ("copies.yaml", "--set", "prompt=calm", "--text", "Hello there.")
    told = call(*words, "--dry-run")
    assert told.exit_code == 0, told.output
    said = " ".join(told.stdout.split())
    assert "2 of the pending will be refused by the generator: " in said
    assert "expected time" not in said
    ran = " ".join(call(*words).stderr.split())
    assert "2 failed (generate: refused): " in ran
    reason = said.partition("refused by the generator: ")[2].split(" copies")[0].split(" runs/")[0]
    assert reason[:60] in ran
    assert "refused" not in call("copies.yaml", "--dry-run").stdout


def test_a_dry_run_tells_why_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(
        'inputs: {speech: [{text: "你好", language: xx}, {text: "Good morning.", language: en}]}\nevaluators: []\n', "utf-8"
    )  # fmt: skip
    result = CliRunner().invoke(main, ["sweep", "s.yaml", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "1 of the pending will be refused by the generator: " in " ".join(result.stdout.split())
    assert "'xx'" in result.stdout


def test_another_generator_has_not_the_grid_of_the_quickstart(call: Call) -> None:
    argv = json.dumps([sys.executable, "copies.py", "{out}", "{sample_steps}"])
    words = (
        "--generator",
        "command",
        "--setting",
        f"argv={argv}",
        "--set",
        "sample_steps=1,2",
        "--only",
        "technical",
    )
    result = call(*words, "--text", "Hello there.", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 trials" in result.stdout
    assert "size=" not in result.stdout


def test_a_sweep_can_be_begun_from_what_init_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = CliRunner().invoke(main, ["init", "mine.yaml"])
    assert begun.exit_code == 0, begun.output
    told = CliRunner().invoke(main, ["sweep", "mine.yaml", "--dry-run"])
    assert told.exit_code == 0, told.output
    assert "4 trials, 0 done, 4 pending" in told.stdout
    again = CliRunner().invoke(main, ["init", "mine.yaml"])
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_the_schema_is_that_of_the_sample() -> None:
    schema = json.loads(CliRunner().invoke(main, ["init", "--schema"]).stdout)
    assert {"generator", "inputs", "grid", "seeds", "execution"} <= schema["properties"].keys()


def test_a_generator_that_is_given_as_a_word_says_how_it_is_written(call: Call) -> None:
    Path("word.yaml").write_text("generator: reference\n", "utf-8")
    result = call("word.yaml", "--dry-run")
    assert result.exit_code == 2
    assert "as in generator: {name: reference}" in result.stderr
