"""Which configuration comes into a race next."""

from __future__ import annotations

from itertools import product

import numpy as np

from evalkit.sweeps.proposer import OptunaProposer
from evalkit.sweeps.race import AtRandom, Block, Proposer, Race

GRID = {"sample_steps": [16, 2, 4, 8], "size": ["a", "b", "c"], "guidance": [1.0, 2.5, 5.0]}
POINTS = list(product(*GRID.values()))


def loss_of(place: int) -> float:
    """Return a smooth loss whose best is at 8 steps, size b and a guidance of 2.5."""
    steps, size, guidance = POINTS[place]
    return abs(np.log2(steps) - 3) + 0.5 * (size != "b") + abs(guidance - 2.5) / 2.5


def propose_all(proposer: Proposer) -> list[int]:
    history: dict[int, float | None] = {}
    while (place := proposer.propose(history)) is not None:
        history[place] = float(loss_of(place))
    return list(history)


def test_every_configuration_is_proposed_once() -> None:
    assert sorted(propose_all(OptunaProposer(GRID, seed=1))) == list(range(len(POINTS)))


def test_the_same_history_has_the_same_answer() -> None:
    history = {place: float(loss_of(place)) for place in range(15)} | {20: None}
    answers = {OptunaProposer(GRID, seed=3).propose(history) for _ in range(3)}
    assert len(answers) == 1
    assert answers.isdisjoint(history)
    assert OptunaProposer(GRID, seed=3).propose(dict(list(history.items())[:12])) not in range(12)


def test_the_first_ones_cover_every_value() -> None:
    proposer = OptunaProposer(GRID, seed=0)
    history: dict[int, float | None] = {}
    for _ in range(4):
        place = proposer.propose(history)
        assert place is not None
        history[place] = None
    for values in zip(*(POINTS[place] for place in history), strict=True):
        assert len(set(values)) >= 3


def test_what_was_proposed_before_comes_first_and_what_is_barred_never() -> None:
    proposer = OptunaProposer(GRID, seed=0, first=[7, 3, 30], never=[3, 11])
    found = propose_all(proposer)
    assert found[:2] == [7, 30]
    assert set(range(len(POINTS))) - set(found) == {3, 11}


def test_with_a_tight_budget_the_best_is_found_more_often_than_at_random() -> None:
    """Of 80 configurations on 24 inputs there is budget for a tenth of the trials: 32 configurations enter."""
    grid = {"steps": [2, 4, 8, 16], "size": ["s", "m", "l", "xl"], "guidance": [1.0, 2.0, 3.0, 4.0, 5.0]}
    points = np.array(list(product(range(4), range(4), range(5))))

    def finds_best(proposer: Proposer, seed: int) -> bool:
        rng = np.random.default_rng(seed)
        away = np.abs(points - rng.integers([4, 4, 5]))
        truth = 0.2 * away[:, 0] + 0.3 * (away[:, 1] > 0) + 0.15 * away[:, 2]
        blocks = [Block(None, k) for k in range(24)]
        values = truth[:, None] + rng.normal(0, 0.3, 24) + rng.normal(0, 0.15, (80, 24))
        race = Race(blocks, proposer, n_configurations=80, n_affordable=192, seed=seed)
        while cells := race.wanted():
            for cell in cells:
                loss = float(values[cell.configuration, blocks.index(cell.block)])
                race.hear(cell.configuration, cell.block, loss)
        return race.leader == truth.argmin()

    led = [finds_best(OptunaProposer(grid, seed=seed), seed) for seed in range(8)]
    at_random = [finds_best(AtRandom(80, seed), seed) for seed in range(100)]
    assert np.mean(led) >= np.mean(at_random) + 0.2
