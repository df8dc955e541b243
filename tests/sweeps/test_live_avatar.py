"""A sweep over Live Avatar's driver: what was made is measured, what cannot be made is a trial that says why."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.runs import Run

STAND_IN = Path(__file__).parents[1] / "pipeline" / "adapters" / "live_avatar" / "stand_in"


def test_a_sweep_gives_a_report(tmp_path: Path) -> None:
    from PIL import Image

    from tests.pipeline.adapters.live_avatar.conftest import free_port
    from tests.pipeline.conftest import tone, write_wav

    shutil.copytree(STAND_IN, tmp_path / "LiveAvatar", ignore=shutil.ignore_patterns("torch", "__pycache__"))
    Image.new("RGB", (720, 400), (200, 160, 140)).save(tmp_path / "anchor.png")
    write_wav(tmp_path / "hello.wav", tone(2.0))
    config = {
        "generator": {
            "name": "live_avatar",
            "device": "cuda",
            "settings": {
                "repository": str(tmp_path / "LiveAvatar"),
                "python": sys.executable,
                "master_port": free_port(),
                "lora_path_dmd": "liveavatar/configs/s2v_causal_sft.yaml",
                "environment": {"PYTHONPATH": str(STAND_IN)},
            },
        },
        "inputs": {"portraits": [str(tmp_path / "anchor.png")], "speech": [str(tmp_path / "hello.wav")]},
        "parameters": {"prompt": "A woman smiles"},
        "grid": {"size": ["384*256", "688*368", "832*480"], "sample_steps": [4, 8], "options.fp8": [True]},
        "seeds": [420],
        "evaluators": ["technical"],
        "execution": {"evidence": False},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(main, ["sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "run")])
    assert result.exit_code == 1, result.output  # some trials failed
    trials = {
        (trial.params["size"], trial.params["sample_steps"]): trial
        for trial in Run.open(tmp_path / "run").trials()
    }
    assert len(trials) == 6
    for size, made in (("384*256", "384*256"), ("688*368", "640*384")):
        trial = trials[size, 4]
        assert trial.status == "ok"
        assert trial.generation is not None
        assert f"{trial.generation['width']}*{trial.generation['height']}" == made
        assert [event["name"] for event in trial.events].count("clip") == 2
    refused = [trial.failure for trial in trials.values() if trial.failure is not None]
    assert {failure.code for failure in refused} == {"refused"}
    assert len(refused) == 4
    wide = trials["832*480", 4].failure
    assert wide is not None
    assert "condition cache holds 2800" in wide.text
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "688*368" in page
