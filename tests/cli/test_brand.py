"""A brand on the command line, as a person gives it: the example that comes with the product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from evalkit.brands.guidelines import read_brand
from evalkit.runs import Run
from evalkit.testing.media import write_clip

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "norrvik"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two seconds of a wall with the example's mark on it."""
    logo = read_brand(EXAMPLE / "brand.yaml").logos[0]
    frame = cv2.resize(np.random.default_rng(5).uniform(120, 210, (4, 6, 1)), (480, 270))[
        ..., None
    ] * np.ones(3)
    cover = logo[..., 3:] / 255.0
    drawn = cv2.resize(
        np.concatenate([logo[..., :3] * cover, cover], axis=2), (84, 56), interpolation=cv2.INTER_AREA
    )
    frame[40:96, 40:124] = frame[40:96, 40:124] * (1 - drawn[..., 3:]) + drawn[..., :3]
    return write_clip(tmp_path_factory.mktemp("brand") / "wall.mp4", [np.round(frame).astype(np.uint8)] * 50)


def test_a_brand_is_measured_with_evidence(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))  # calibrated by nobody yet
    done = run(
        "evaluate", clip, "--only", "brand", "--brand", EXAMPLE / "brand.yaml", "--evidence", tmp_path, "--json",
        tmp_path / "result.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("calibrating Norrvik (2 drawings), once for each brand and model") == 1
    (result,) = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert result["metrics"]["brand.fidelity"]["value"] >= 0.85
    assert result["metrics"]["brand.color_delta_e"]["value"] < 2
    assert result["absent"]["brand.prompt_alignment"] == "model_without_language"
    assert "finder" in result["evaluators"]["brand"]
    assert list(result["weights"]) == ["brand/evalkit-marks"]
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert (folder / "brand" / "brand.png").stat().st_size > 10_000
    evidence = json.loads((folder / "brand" / "brand.json").read_text("utf-8"))
    assert evidence["brand"] == "Norrvik"
    assert [frame["time_s"] for frame in evidence["key_frames"]] == [0, 1]
    for frame in evidence["key_frames"]:
        best = frame["places"][frame["best"]]
        assert best["box_px"] == pytest.approx([40, 40, 124, 96], abs=3)
        assert best["seen"]["fjord"] == pytest.approx([11, 79, 138], abs=6)
    assert len(evidence["calibration"]["with_mark"]) > 5


def test_without_a_brand_the_reason_is_told(clip: Path) -> None:
    done = run("evaluate", clip, "--only", "brand")
    assert "no brand was given; see --brand" in done.stdout


@pytest.mark.parametrize("command", ["evaluate", "compare", "signoff", "sweep"])
def test_a_bad_brand_stops_before_any_work(tmp_path: Path, clip: Path, command: str) -> None:
    (tmp_path / "bad.yaml").write_text("name: Bad\nlogos: [gone.svg]\n", "utf-8")
    arguments = {
        "evaluate": [clip, "--json", tmp_path / "result.json"],
        "compare": [clip.parent, clip.parent],
        "signoff": [clip.parent, "--policy", "customer_service"],
        "sweep": ["--out", tmp_path / "run"],
    }[command]
    done = run(command, *arguments, "--brand", tmp_path / "bad.yaml")
    assert done.returncode == 2, done.stderr
    assert "logos.0: there is no file" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "result.json").exists()


def test_a_brand_for_what_is_not_run_is_refused(clip: Path) -> None:
    done = run("evaluate", clip, "--only", "technical", "--brand", EXAMPLE / "brand.yaml")
    assert done.returncode == 2
    assert "there are settings for the evaluator 'brand'" in done.stderr


def test_a_model_without_a_brand_is_refused(clip: Path) -> None:
    done = run("evaluate", clip, "--clip-model", "ViT-B-32")
    assert done.returncode == 2
    assert "is of no use without a brand" in done.stderr


@pytest.mark.slow
def test_a_sweep_over_three_prompts_finds_the_mark_where_it_was_asked_for(tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    done = run(
        "sweep", EXAMPLE / "sweep.yaml", "--out", run_folder, "--only", "brand", "--set", "size=384*256",
        "--set", "sample_steps=1", "--text", "Good morning to you all.",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = Run.open(run_folder).trials()
    assert len(trials) == 3
    for trial in trials:
        asked = "brand mark on the wall" in str(trial.params["prompt"])
        fidelity = trial.metrics["brand.fidelity"].value
        assert fidelity >= 0.85 if asked else fidelity <= 0.5
    facts = json.loads((run_folder / "run.json").read_text("utf-8"))
    assert read_brand(EXAMPLE / "brand.yaml").content[:12] in facts["evaluators"]["brand"]
