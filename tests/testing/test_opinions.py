"""Simulated raters answer as their truth says: what is drawn is held to what is worked out by hand or by counting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evalkit.testing.opinions import (
    Cheat,
    Shown,
    SimulatedOpinion,
    Temper,
    Truth,
    expected_score,
    expected_share,
)

SCALE = (1, 2, 3, 4, 5)
SIDES = ("first", "second", "none")
SEED = np.random.SeedSequence(1)
TRUTH = Truth(3.0, {"good": {"overall": 4.4, "motion": 2.0}})


def scores(temper: Temper, trial: str = "good", question: str = "overall", n: int = 4000) -> np.ndarray:
    opinion = SimulatedOpinion(TRUTH, temper, SEED)
    return np.array([opinion.score(Shown(trial), question, SCALE) for _ in range(n)])


def test_an_honest_rater_gives_what_was_planted_and_a_harsh_one_less() -> None:
    honest, harsh = scores(Temper(noise=0.5)), scores(Temper(bias=-0.5, noise=0.5))
    for found, centre in ((honest, 4.4), (harsh, 3.9)):
        assert found.mean() == pytest.approx(
            expected_score(centre, 0.5), abs=4 * found.std() / np.sqrt(found.size)
        )
    assert set(scores(Temper(), question="motion")) == {2}
    assert set(scores(Temper(), trial="any other")) == {3}


def test_the_expected_score_is_what_counting_gives() -> None:
    drawn = np.random.default_rng(0).normal(4.4, 0.8, 400_000)
    counted = np.clip(np.rint(drawn), 1, 5).mean()
    assert expected_score(4.4, 0.8) == pytest.approx(counted, abs=0.005)


def test_a_broken_clip_is_bad_whoever_made_it() -> None:
    opinion = SimulatedOpinion(TRUTH, Temper(), SEED)
    assert opinion.score(Shown("good", is_broken=True), "overall", SCALE) == 1


def test_of_two_the_better_wins_as_often_as_bradley_and_terry_say() -> None:
    opinion = SimulatedOpinion(Truth(3.0, {"better": {"overall": 3.5}}), Temper(), SEED)
    said = [opinion.choice(Shown("better"), Shown("worse"), SIDES) for _ in range(4000)]
    share = (said.count("first") + said.count("none") / 2) / len(said)
    assert share == pytest.approx(expected_share(0.5), abs=0.03)
    assert 0 < said.count("none") < said.count("second")
    # half a point is one logit: wins 1/(1+e^(0.4-1)) = 0.6457, losses 1/(1+e^(0.4+1)) = 0.1978, (1 + 0.6457 - 0.1978) / 2
    assert expected_share(0.5) == pytest.approx(0.7239, abs=1e-4)


def test_the_side_and_what_was_shown_before_change_no_answer() -> None:
    pairs = [(Shown(f"a{number}"), Shown(f"b{number}")) for number in range(50)]
    forth, back = (SimulatedOpinion(TRUTH, Temper(), SEED) for _ in range(2))
    said = [forth.choice(first, second, SIDES) for first, second in pairs]
    turned = [back.choice(second, first, SIDES) for first, second in reversed(pairs)][::-1]
    other = {"first": "second", "second": "first", "none": "none"}
    assert said == [other[side] for side in turned]
    assert set(said) == set(SIDES)


def test_cheats_do_not_look() -> None:
    assert set(scores(Temper(cheat=Cheat.RANDOM))) == {1, 2, 3, 4, 5}
    assert set(scores(Temper(cheat=Cheat.CONSTANT))) == {4}
    assert set(scores(Temper(cheat=Cheat.CLICKER))) == {1}
    assert set(scores(Temper(cheat=Cheat.REVERSED), question="motion")) == {4}
    pair = (Shown("good"), Shown("worse"))
    assert SimulatedOpinion(TRUTH, Temper(cheat=Cheat.CONSTANT), SEED).choice(*pair, SIDES) == "none"
    assert SimulatedOpinion(TRUTH, Temper(cheat=Cheat.CLICKER), SEED).choice(*pair, SIDES) == "first"


def test_raters_differ_by_their_bias_and_the_last_ones_cheat() -> None:
    truth = Truth(4.0, bias=-0.5, bias_sd=0.3, cheats=(Cheat.RANDOM, Cheat.CONSTANT))
    tempers = truth.tempers(402, seed=0)
    biases = np.array([temper.bias for temper in tempers[:400]])
    assert biases.mean() == pytest.approx(-0.5, abs=0.05)
    assert biases.std() == pytest.approx(0.3, abs=0.04)
    assert [temper.cheat for temper in tempers[399:]] == [None, Cheat.RANDOM, Cheat.CONSTANT]
    assert truth.tempers(402, seed=0) == tempers


def test_a_truth_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"quality": 4.2, "trials": {"a": {"overall": 2}}, "cheats": ["clicker"]}))
    assert Truth.read(path) == Truth(4.2, {"a": {"overall": 2}}, cheats=(Cheat.CLICKER,))
