"""Python and the command line are one product: on the same folder they give the same JSON."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import evalkit
from evalkit.analysis.table import rows_of_run
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.decisions.waivers import waiver_lines
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, OFFSET, TOTAL
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view

TIMES = ("profile.", "failure_text")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give two folders of videos, a and b, of other suffixes than mp4 too, and a broken file."""
    folder = tmp_path_factory.mktemp("videos")
    for side, level in (("a", 0.3), ("b", 0.05)):
        (folder / side / "deep").mkdir(parents=True)
        clip = write_clip(
            tmp_path_factory.mktemp(side) / "clip.mp4", moving_pattern(1), sound=level * tone(1)
        )
        for name in ("one.mov", "deep/two.m4v"):
            shutil.copy(clip, folder / side / name)
        (folder / side / "broken.webm").write_text("these are words")
    return folder


def command(*words: object, code: int = 0) -> None:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_evaluate(videos: Path, tmp_path: Path) -> None:
    command("evaluate", videos, "--only", "technical", "--json", tmp_path / "r.json", code=1)
    by_command = read(tmp_path / "r.json")
    assert len(by_command) == 6
    assert sum("error" in clip for clip in by_command) == 2
    for options in ({}, {"jobs": 2}):
        report = evalkit.evaluate(videos, evaluators=["technical"], **options)
        assert json.loads(report.to_json()) == by_command


def test_evaluate_with_settings_and_a_script(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("good morning", "utf-8")
    command(
        *("evaluate", videos / "a" / "one.mov", "--only", "speech", "--language", "en"),
        *(
            "--script",
            f"@{tmp_path / 'words.txt'}",
            "--recogniser",
            "pocketsphinx",
            "--json",
            tmp_path / "r.json",
        ),
    )
    report = evalkit.evaluate(
        videos / "a" / "one.mov",
        evaluators=["speech"],
        settings={"speech": {"recogniser": "pocketsphinx"}},
        script=tmp_path / "words.txt",
        language="en",
    )
    assert json.loads(report.to_json()) == read(tmp_path / "r.json")


def write(folder: Path, *, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    trials = [
        make_trial(
            params={"sample_steps": steps, "size": "384*256"},
            portrait=f"ann {index}",
            speech="words",
            seed=7,
            values={
                "lip_sync.error": 0.2 + 0.05 * (4 - steps) + 0.01 * rng.normal(),
                "lip_sync.offset_ms": 5 + rng.normal(),
                "profile.total_s": 5.0 * steps + 0.1 * rng.normal(),
            },
        )
        for steps in (4, 3)
        for index in range(9)
    ]
    return write_run(folder, trials, (ERROR, OFFSET, TOTAL))


def test_compare_of_runs(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", seed=1), write(tmp_path / "b", seed=2)
    out = tmp_path / "r.json"
    command("compare", a, b, "--where", "sample_steps=4", "--margin", "lip_sync.error=0.02", "--json", out)
    found = evalkit.compare(a, b, where={"sample_steps": 4}, margins={"lip_sync.error": 0.02})
    assert comparison_view(found).to_dict() == read(out)
    command("compare", a, "--split", "sample_steps=4,3", "--json", out)
    split = evalkit.compare(a, split={"sample_steps": (4, 3)})
    assert comparison_view(split).to_dict() == read(out)


def test_compare_of_videos(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    command("compare", videos / "a", videos / "b", "--only", "technical", "--json", out)
    found = evalkit.compare(videos / "a", str(videos / "b"), evaluators=["technical"])
    assert comparison_view(found).to_dict() == read(out)
    assert found["technical.loudness_lufs"].difference.value == pytest.approx(
        -15.6, abs=0.2
    )  # 20 log10(.05/.3)


def timeless(view: dict[str, Any]) -> dict[str, Any]:
    """Return a view without the second in which it was made."""
    assert view["judged_at"]
    return view | {"judged_at": None}


def test_signoff_of_a_run(tmp_path: Path) -> None:
    run, out = write(tmp_path / "a", seed=1), tmp_path / "r.json"
    expires = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
    (tmp_path / "waivers.yaml").write_text(
        "waivers:\n  - metric: rating.mos\n"
        + waiver_lines(load_policy("customer_service"), rows_of_run(evalkit.Run.open(run)).run_id, None)
        + f"\n    name: Ann\n    reason: pilot\n    expires: {expires}\n",
        "utf-8",
    )
    words = ("--where", "sample_steps=4", "--waivers", tmp_path / "waivers.yaml")
    command("signoff", run, "--policy", "customer_service", *words, "--json", out, code=1)
    verdict = evalkit.signoff(
        run, "customer_service", where={"sample_steps": 4}, waivers=tmp_path / "waivers.yaml"
    )
    assert signoff_view(verdict).to_dict() == read(out) | {"judged_at": mock.ANY}


def test_signoff_of_videos(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    words = ("--policy", "customer_service", "--only", "technical", "--json", out)
    command("signoff", videos / "a", *words, code=1)
    verdict = evalkit.signoff(videos / "a", "customer_service", evaluators=["technical"], jobs=None)
    assert signoff_view(verdict).to_dict() == read(out) | {"judged_at": mock.ANY}


def test_sweep(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(stand_in), "utf-8")
    command(
        *("sweep", tmp_path / "sweep.yaml", "--set", "sample_steps=2,4,11", "--retries", "1"),
        *("--only", "technical", "--out", tmp_path / "by_command"),
        code=1,
    )
    overrides = {
        "grid.sample_steps": [2, 4, 11],
        "execution.retries": 1,
        "evaluators": ["technical"],
    }
    run = evalkit.sweep(tmp_path / "sweep.yaml", tmp_path / "by_python", overrides=overrides)
    by_command = evalkit.Run.open(tmp_path / "by_command").frame()
    columns = [name for name in by_command.columns if not name.startswith(TIMES)]
    assert by_command["status"].tolist() == ["ok", "ok", "failed"]
    assert by_command[columns].to_json() == run.frame()[columns].to_json()


def test_every_option_of_a_sweep_can_be_said_in_both_ways(stand_in: dict[str, Any], tmp_path: Path) -> None:
    from evalkit.cli.sweep import sweep
    from evalkit.cli.sweep_options import read_overrides

    shutil.copy(Path(__file__).parents[1] / "notebooks" / "norrvik" / "norrvik.png", tmp_path / "face.png")
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(stand_in | {"grid": {"sample_steps": [1]}}), "utf-8")
    words = {
        "--set": "sample_steps=2,3",
        "--setting": "timeout_s=5",
        "--portrait": str(tmp_path / "face.png"),
        "--text": "Hello.",
        "--seeds": "3",
        "--only": "technical",
        "--policy": "customer_service",
        "--workers": "2",
        "--retries": "3",
        "--time-limit": "9",
    }
    context = sweep.make_context("sweep", [str(path), *(word for pair in words.items() for word in pair)])
    overrides = read_overrides(context.params)
    assert overrides == {
        "grid.sample_steps": [2, 3],
        "generator.settings.timeout_s": 5,
        "inputs.portraits": [str(tmp_path / "face.png")],
        "inputs.speech": [{"text": "Hello."}],
        "seeds": [3],
        "evaluators": ["technical"],
        "policy": "customer_service",
        "execution.workers": 2,
        "execution.retries": 3,
        "execution.time_limit_s": 9.0,
    }
    assert not {name for name in context.params if name.startswith("_")}
