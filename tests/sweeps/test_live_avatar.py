"""A sweep over Live Avatar's driver: what was made is measured, what cannot be made is a trial that says why."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.runs import Run
from tests.pipeline.adapters.live_avatar.conftest import free_port, left_of, write_portrait
from tests.pipeline.conftest import tone, write_wav

STAND_IN = Path(__file__).parents[1] / "pipeline" / "adapters" / "live_avatar" / "stand_in"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """Give plain data of a sweep over the stand-in."""
    shutil.copytree(STAND_IN, tmp_path / "LiveAvatar", ignore=shutil.ignore_patterns("torch", "__pycache__"))
    variables = {"PYTHONPATH": str(STAND_IN), "STAND_IN_LOADS": str(tmp_path / "loads")}
    settings = {
        "repository": str(tmp_path / "LiveAvatar"),
        "python": sys.executable,
        "master_port": free_port(),
        "lora_path_dmd": "liveavatar/configs/s2v_causal_sft.yaml",
        "environment": variables,
    }
    sounds = [write_wav(tmp_path / f"{seconds}.wav", tone(seconds)) for seconds in (1.0, 1.5, 2.0)]
    return {
        "generator": {"name": "live_avatar", "device": "cuda", "settings": settings},
        "inputs": {
            "portraits": [str(write_portrait(tmp_path / "anchor.png", 720, 400))],
            "speech": [str(sound) for sound in sounds],
        },
        "parameters": {"prompt": "A woman smiles"},
        "grid": {"sample_steps": [4]},
        "seeds": [420],
        "evaluators": ["technical"],
        "execution": {"evidence": False},
    }


def sweep(folder: Path, config: dict[str, Any]) -> int:
    (folder / "sweep.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(main, ["sweep", str(folder / "sweep.yaml"), "--out", str(folder / "run")])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    print(result.output)  # noqa: T201 - shown where the test fails
    return result.exit_code


def n_loads(folder: Path) -> int:
    return len((folder / "loads").read_text().split())


def test_a_sweep_gives_a_report(tmp_path: Path, config: dict[str, Any]) -> None:
    config["inputs"]["speech"] = config["inputs"]["speech"][-1:]
    grid = {"size": ["384*256", "688*368", "832*480"], "sample_steps": [4, 8], "options.fp8": [True]}
    assert sweep(tmp_path, {**config, "grid": grid}) == 1  # some trials failed
    run = Run.open(tmp_path / "run")
    trials = {(trial.params["size"], trial.params["sample_steps"]): trial for trial in run.trials()}
    assert len(trials) == 6
    for size, made in (("384*256", "384*256"), ("688*368", "640*384")):
        trial = trials[size, 4]
        assert trial.status == "ok"
        assert trial.generation is not None
        assert f"{trial.generation['width']}*{trial.generation['height']}" == made
        assert [event["name"] for event in trial.events].count("clip") == 2
        assert any("picture may lead by up to 120 ms" in note for note in trial.notes)
    refused = [trial.failure for trial in trials.values() if trial.failure is not None]
    assert {failure.code for failure in refused} == {"refused"}
    assert len(refused) == 4
    wide = trials["832*480", 4].failure
    assert wide is not None
    assert "condition cache holds 2800" in wide.text
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "688*368" in page
    assert "picture may lead by up to 120 ms" in page
    assert left_of(tmp_path) == []


def test_trials_that_differ_in_inputs_are_made_in_one_run(tmp_path: Path, config: dict[str, Any]) -> None:
    config["generator"]["settings"] |= {"batch": True, "fp8": False}
    assert sweep(tmp_path, {**config, "grid": {"sample_steps": [4, 3]}}) == 0
    assert n_loads(tmp_path) == 2
    run = Run.open(tmp_path / "run")
    trials = run.trials()
    assert len(trials) == 6
    waits_s, made_s = [], []
    for trial in trials:
        assert trial.status == "ok"
        assert trial.metrics["profile.load_s"].value > 0
        assert trial.metrics["profile.total_s"].value == trial.events[-1]["time_s"]
        assert trial.metrics["profile.peak_rss_mib"].value > 10
        assert trial.events[0]["name"] == "began"
        waits_s.append(trial.events[0]["detail"]["since_request_s"])
        made_s.append(trial.events[-1]["time_s"])
        timeline = run.timeline_of(trial.id)
        assert timeline is not None
        assert timeline["duration_s"] == pytest.approx(made_s[-1], abs=1e-3)
    assert [note for note in run.manifest.notes if "configurations are not interleaved" in note]
    # the first of each run begins after it was asked for: the model is loaded; the others go on by themselves
    assert waits_s[0] > 0
    assert waits_s[3] > 0
    assert all(later < first for first, later in ((waits_s[0], waits_s[1]), (waits_s[3], waits_s[4])))
    assert not [path.name for path in (tmp_path / "run" / "videos").iterdir() if path.name.startswith(".")]
    assert left_of(tmp_path) == []


def test_a_page_is_kept_warm_from_trial_to_trial_of_a_configuration(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(scratch))  # of the processes that make the videos
    config["generator"]["settings"]["keep_warm"] = True
    assert sweep(tmp_path, {**config, "grid": {"sample_steps": [4, 3]}, "seeds": [420, 421]}) == 0
    assert n_loads(tmp_path) in {3, 4}  # a configuration may come last with one seed and first with the next
    run = Run.open(tmp_path / "run")
    trials = run.trials()
    assert [trial.status for trial in trials] == ["ok"] * 12
    for trial in trials:
        assert trial.metrics["profile.load_s"].value > 0
        assert trial.metrics["profile.total_s"].value == trial.events[-1]["time_s"]
    waits_s = sorted(trial.events[0]["detail"]["since_request_s"] for trial in trials)
    assert waits_s[-n_loads(tmp_path)] > 0.1  # those that waited for the model
    assert [note for note in run.manifest.notes if "configurations are not interleaved" in note]
    while left_of(tmp_path) or list(scratch.glob("evalkit-live-avatar-*")):  # what cleans up comes last
        time.sleep(0.05)


@pytest.mark.slow
def test_a_page_is_kept_through_two_passes_and_ends_with_a_sweep_that_is_killed(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    config["generator"]["settings"]["keep_warm"] = True
    config["execution"]["separate_profiling_pass"] = True
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config))
    words = ["-m", "evalkit", "sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "run" / "videos").glob("[!.]*/generation.json")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while left_of(tmp_path):  # they notice by themselves
        time.sleep(0.05)
    assert n_loads(tmp_path) == 1
    assert sweep(tmp_path, config) == 0
    assert n_loads(tmp_path) == 2
    assert left_of(tmp_path) == []


@pytest.mark.parametrize(
    ("group", "change", "loads"),
    [
        pytest.param(
            "execution", {"separate_profiling_pass": True}, 4, marks=pytest.mark.slow
        ),  # each is made twice
        ("generator", {"device": "cpu"}, 2),  # what is measured meanwhile would share the device
    ],
)
def test_trials_that_would_disturb_each_other_are_made_alone(
    group: str, change: dict[str, Any], loads: int, tmp_path: Path, config: dict[str, Any]
) -> None:
    config["generator"]["settings"] |= {"batch": True, "fp8": False}
    config["inputs"]["speech"] = config["inputs"]["speech"][:2]
    config[group] |= change
    assert sweep(tmp_path, config) == 0
    assert n_loads(tmp_path) == loads


def test_one_that_fails_costs_one_trial_and_the_others_go_on(tmp_path: Path, config: dict[str, Any]) -> None:
    config["generator"]["settings"] |= {"batch": True, "fp8": False}
    config["generator"]["settings"]["environment"] |= {"STAND_IN": "oom:0,at:2"}
    config["inputs"]["speech"].append(str(write_wav(tmp_path / "last.wav", tone(1.2))))
    assert sweep(tmp_path, config) == 1
    trials = Run.open(tmp_path / "run").trials()
    # the second video of each run fails; of the two left after the first run, the first was made
    assert [trial.status for trial in trials] == ["ok", "failed", "ok", "failed"]
    failure = trials[1].failure
    assert failure is not None
    assert failure.code == "out_of_memory"
    assert left_of(tmp_path) == []


@pytest.mark.slow
def test_another_try_is_another_run_of_what_is_left(tmp_path: Path, config: dict[str, Any]) -> None:
    config["generator"]["settings"] |= {"batch": True, "fp8": False}
    config["generator"]["settings"]["environment"] |= {"STAND_IN": "oom:0,at:2"}
    config["execution"]["retries"] = 1
    assert sweep(tmp_path, config) == 0
    trials = Run.open(tmp_path / "run").trials()
    assert [len(trial.attempts) for trial in trials] == [0, 1, 1]  # each second video of a run failed once
    assert n_loads(tmp_path) == 3


def test_a_kill_in_the_middle_keeps_what_is_done(tmp_path: Path, config: dict[str, Any]) -> None:
    config["generator"]["settings"] |= {"batch": True, "fp8": False}
    calm = tmp_path / "calm"
    faults = {"STAND_IN": "hang,at:2", "STAND_IN_CALM": str(calm)}
    config["generator"]["settings"]["environment"] |= faults
    config["evaluators"] = []
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config))
    trials = tmp_path / "run" / "videos"
    words = [
        sys.executable,
        "-m",
        "evalkit",
        "sweep",
        str(tmp_path / "sweep.yaml"),
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (done := list(trials.glob("[!.]*/generation.json"))):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.read_bytes() for path in done}
    while left_of(tmp_path):  # they notice by themselves
        time.sleep(0.05)
    assert len(before) == 1  # the second hangs
    calm.touch()
    assert sweep(tmp_path, config) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert [trial.status for trial in Run.open(tmp_path / "run").trials()] == ["ok"] * 3
    assert sorted(path.name for path in trials.iterdir()) == sorted(
        Run.open(tmp_path / "run").manifest.planned
    )
    assert n_loads(tmp_path) == 2
