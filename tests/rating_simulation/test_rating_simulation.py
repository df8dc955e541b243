"""A small trial of what `docs/rating_statistics.md` shows in full: the truth is held, cheats are screened, honest raters stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.rating_simulation import figures as f
from tests.rating_simulation.__main__ import main
from tests.rating_simulation.choices import PairDesign, true_shares
from tests.rating_simulation.figures import Figure, planned_and_found, play_choices, play_scores
from tests.rating_simulation.page import write_page
from tests.rating_simulation.worlds import CHEATS, Design, expected_scores, score_clips


def _by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.what: figure for figure in figures}


@pytest.mark.parametrize("design", [Design(20), Design(20, share=0.5)])
def test_intervals_hold_the_truth(design):
    found = _by_name(play_scores("", design, reps=25, seed=3))
    for name in (f.CLIP, f.QUALITY, f.BIAS, f.INCONSISTENCY):
        assert 0.92 <= found[name].value <= 0.985, name
    for name in (f.CONFIGURATION, f.QUALITIES):  # of 100, which share 25 studies
        assert found[name].value >= 0.88, name
    assert found[f.ALPHA].value >= 0.8
    assert found[f.HONEST].value <= 0.05


def test_cheats_are_screened_and_the_truth_is_held():
    found = _by_name(play_scores("", Design(20, n_inputs=12, cheats=CHEATS), reps=25, seed=4))
    for cheat in CHEATS[:4]:
        assert found[f"found: {cheat}"].is_met, cheat
    assert found[f.HONEST].is_met
    assert 0.92 <= found[f.CLIP].value <= 0.985
    assert 0.92 <= found[f.QUALITY].value <= 0.985


def test_shares_of_pairs_hold_the_truth():
    found = _by_name(play_choices("", PairDesign(20), reps=25, seed=5))
    assert found[f.SHARE].value >= 0.88
    assert found[f.HONEST].is_met


def test_the_true_scores_are_those_of_very_many_raters():
    quality = np.array([1.5, 3.0, 4.6])
    many = score_clips(quality, 100_000, np.random.default_rng(0))
    assert expected_scores(quality) == pytest.approx(many.mean(axis=0), abs=0.015)
    assert sum(true_shares((3.0, 3.6))) == pytest.approx(1.0)


def test_an_interval_that_misses_is_counted_as_missing():
    assert not f.holds((3.0, 4.0), 4.1)
    assert not f.holds(None, 3.5)
    missed = Figure("case", f.CLIP, 90, 100, (0.93, 0.97))
    assert not missed.is_met
    page = write_page({"Scores": [missed]}, [("case", *planned_and_found(Design(8), 2, 0))], "the command")
    assert "**0 of 1 figures are as asked.**" in page
    assert "| MOS of a clip holds the truth | 93–97 % | **90.0 %** |" in page


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path: Path):
    out = tmp_path / "page.md"
    result = CliRunner().invoke(main, ["--reps", "2", "--out", str(out), "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert out.read_text(encoding="utf-8").startswith("# What raters' answers are worth")
