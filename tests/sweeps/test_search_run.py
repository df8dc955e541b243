"""A search as a sweep: the run it leaves, what goes on with it, and what is said of it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evalkit
from evalkit import registry
from evalkit.decisions.recommendation import Outcome
from evalkit.evaluators.session import evaluator
from evalkit.reports.run_report import HTML_NAME, MARKDOWN_NAME
from evalkit.runs import Run
from evalkit.runs.search import read_search
from evalkit.sweeps.run import Progress
from evalkit.testing.planted import MARK, Planted

PROGRAM = f"""
import random, sys
out, steps, text, video = sys.argv[1:]
with open(video + ".log", "a") as log:
    log.write(steps + chr(10))
error = 0.5 * abs(int(steps) - 4) + random.Random(text).random() + random.Random(text + steps).gauss(0, 0.05)
data = {MARK!r} + b"%.6f" % error
open(out, "wb").write(open(video, "rb").read() + (8 + len(data)).to_bytes(4, "big") + b"free" + data)
"""
POLICY = """
name: planted
title: The planted error
quality: planted.error
costs: [profile.total_s]
rules:
  - metric: planted.error
    at_most: 3.0
    judged_by: interval
    why: a test
"""
N_TEXTS = 20
BUDGET = 48


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SESSION", {})
    evaluator(Planted)


@pytest.fixture
def searched(tmp_path: Path, clip: Path) -> dict[str, Any]:
    """Give plain data of a search: 4 configurations on 20 texts, of which 4 steps are best."""
    program, video, policy = (tmp_path / name for name in ("program.py", "made.mp4", "policy.yaml"))
    program.write_text(textwrap.dedent(PROGRAM), "utf-8")
    video.write_bytes(clip.read_bytes())
    policy.write_text(POLICY, "utf-8")
    argv = [sys.executable, "-S", "-E", str(program), "{out}", "{sample_steps}", "{text}", str(video)]
    return {
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": [2, 3, 4, 5]},
        "inputs": {"speech": [{"text": f"word {k}"} for k in range(N_TEXTS)]},
        "evaluators": ["planted"],
        "policy": str(policy),
        "search": {"trials": BUDGET},
        "execution": {"executor": "in_process", "price_per_hour": {"default": 2.0}},
    }


def figures(run: Run) -> dict[str, Any]:
    """Return what a run holds, times apart."""
    return {trial.id: (trial.params, trial.quality) for trial in run.trials()}


def test_a_search_ends_with_a_run_like_any_other_that_names_the_best(
    tmp_path: Path, searched: dict[str, Any], made: Callable[[], list[int]]
) -> None:
    folder = tmp_path / "run"
    run = evalkit.search(searched, folder)
    n_made = len(made())
    assert len(run.trials()) == n_made <= BUDGET
    assert made().count(4) == N_TEXTS
    assert run.unfinished() == []
    assert len(run.skipped()) == 4 * N_TEXTS - n_made
    assert all(skipped.reason for skipped in run.skipped().values())
    found = evalkit.recommend(run)
    assert (found.outcome, found.subject.name) == (Outcome.RECOMMENDED, "sample_steps 4")
    assert found.headline.startswith(
        "Use sample_steps 4: the only configuration that the search kept, and it passes every gate ("
    )
    assert (
        "This was a search for the best planted.error: of 4 configurations 3 were clearly beaten"
        in found.answer
    )
    signoff = evalkit.signoff(run, policy=searched["policy"], where={"sample_steps": 4})
    assert signoff.decision == "PASS"
    assert evalkit.signoff(run, policy=searched["policy"], where={"sample_steps": 2}).decision != "PASS"
    page, markdown = ((folder / name).read_text("utf-8") for name in (HTML_NAME, MARKDOWN_NAME))
    assert "sample_steps 4 beat all 3 others in planted.error" in page
    assert "still in at 8" in page
    assert page.count("What the search dropped has fewer clips") == 2  # at the front and the maps
    assert f"{n_made} of {4 * N_TEXTS} trials were made" in markdown
    assert "making cost" in markdown
    again = evalkit.search(searched, folder)  # nothing more is made
    assert (figures(again), len(made())) == (figures(run), n_made)


def test_an_interrupted_search_goes_on_and_a_sweep_completes_it(
    tmp_path: Path, searched: dict[str, Any], made: Callable[[], list[int]]
) -> None:
    whole = evalkit.search(searched, tmp_path / "whole")
    n_whole = len(made())

    def interrupt(progress: Progress) -> None:
        if progress.n_over == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evalkit.search(searched, tmp_path / "run", on_progress=interrupt)
    assert Run.open(tmp_path / "run").skipped() == {}
    assert Run.open(tmp_path / "run").unfinished()
    resumed = evalkit.search(searched, tmp_path / "run")
    assert figures(resumed) == figures(whole)
    assert resumed.skipped() == whole.skipped()
    assert len(made()) == 2 * n_whole  # each once in each folder
    swept = evalkit.sweep(searched, tmp_path / "run")
    assert (len(swept.trials()), swept.skipped()) == (4 * N_TEXTS, {})
    assert len(made()) == n_whole + 4 * N_TEXTS
    assert swept.search() is None  # from here on it is a swept grid
    assert read_search(tmp_path / "run") is not None
    assert "This was a search" not in evalkit.recommend(swept).answer
    assert "The search" not in (tmp_path / "run" / MARKDOWN_NAME).read_text("utf-8")


def test_a_swept_run_can_be_searched(
    tmp_path: Path, searched: dict[str, Any], made: Callable[[], list[int]]
) -> None:
    swept = evalkit.sweep(searched, tmp_path / "run")
    found = evalkit.search(searched, tmp_path / "run")
    assert figures(found) == figures(swept)
    assert len(made()) == 4 * N_TEXTS
    record = read_search(tmp_path / "run")
    assert record is not None
    assert [one.params["sample_steps"] for one in record.configurations if one.fate == "racing"] == [4]


def test_a_search_needs_optuna_and_says_where_it_is(
    tmp_path: Path, searched: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.extras._is_installed", lambda name: name != "optuna")
    with pytest.raises(evalkit.UsageError, match=r'optuna is not installed: pip install "evalkit\[search\]"'):
        evalkit.search(searched, tmp_path / "run")
    assert not (tmp_path / "run").exists()
