"""The run in the repository is one that every command accepts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import evalkit

SAMPLE = Path(__file__).parents[1] / "reports" / "sample_run"


@pytest.fixture
def run(tmp_path: Path) -> evalkit.Run:
    """Give a copy of the sample run."""
    return evalkit.Run.open(shutil.copytree(SAMPLE, tmp_path / "run"))


def test_every_trial_has_its_video_and_its_measurements(run: evalkit.Run) -> None:
    assert run.damage() == []
    assert [trial.status for trial in run.trials()] == ["ok", "ok"]
    for trial in run.trials():
        assert "not_measured" not in trial.absent.values()
        assert trial.metrics["lip_sync.error"].value < 0.3


def test_every_decision_takes_it(run: evalkit.Run) -> None:
    assert len(evalkit.recommend(run).candidates) == 2
    assert evalkit.compare(run, split={"sample_steps": (1, 4)}).n_pairs == 1
    assert evalkit.signoff(run, "customer_service", where={"sample_steps": 4}).decision == "FAIL"
