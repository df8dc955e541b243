"""The race: who goes on and who leaves, in any order of arrival; missing values, budgets and what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evalkit.decisions.budget import ALPHA
from evalkit.stats.sequential import Look, plan_looks
from evalkit.sweeps.race import AtRandom, Block, Cell, Ending, Fate, Race, order_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalkit.types import FloatArray

BLOCKS = [Block("ann", f"text {number}", 1) for number in range(20)]


class InOrder:
    """Proposes the configurations as they stand in the grid, and keeps the histories that it was shown."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.histories: list[dict[int, float | None]] = []

    def propose(self, history: Mapping[int, float | None]) -> int | None:
        """Propose the next one."""
        self.histories.append(dict(history))
        return len(history) if len(history) < self.n else None


def steps(n: int, apart: float, seed: int = 0, n_blocks: int = 20) -> FloatArray:
    """Return losses, shape (n, n_blocks), each configuration worse than the one before by `apart` spreads."""
    return np.random.default_rng(seed).normal(size=(n, n_blocks)) + apart * np.arange(n)[:, None]


def play(
    losses: FloatArray,
    pick: Callable[[Sequence[Cell]], Cell] = lambda cells: cells[0],
    *,
    blocks: Sequence[Block] = BLOCKS,
    **options: object,
) -> Race:
    """Run a race over a full grid, not a number where a trial has no value; `pick` says what is done next."""
    places = {block: place for place, block in enumerate(blocks)}
    race = Race(blocks, InOrder(len(losses)), n_configurations=len(losses), **options)  # type: ignore[arg-type]
    while cells := race.wanted():
        cell = pick(cells)
        value = losses[cell.configuration, places[cell.block]]
        race.hear(cell.configuration, cell.block, None if np.isnan(value) else float(value))
    return race


def played(race: Race) -> list[Cell]:
    """Return the trials of a race that is over."""
    return [Cell(one.configuration, block) for one in race.standings for block in race.blocks[: one.n_blocks]]


def test_one_that_is_far_better_wins_and_the_others_are_beaten_early() -> None:
    losses = steps(6, 0.0)
    losses[3] -= 8.0
    race = play(losses)
    assert (race.winner, race.ending) == (3, Ending.WINNER)
    for standing in race.standings:
        if standing.configuration != 3:
            assert standing.fate is Fate.BEATEN
            assert standing.beaten is not None
            assert standing.beaten.by == 3
            assert standing.beaten.n_blocks == standing.n_blocks < 10
            first = [BLOCKS.index(block) for block in race.blocks[: standing.n_blocks]]
            own, best = (losses[number][first].mean() for number in (standing.configuration, 3))
            assert (standing.beaten.loss, standing.beaten.loss_by) == pytest.approx((own, best))
            assert 0.0 < standing.beaten.least < own - best
    assert race.n_planned == race.fewest_trials < losses.size / 2


def test_those_that_do_not_differ_do_all_blocks_and_none_wins() -> None:
    race = play(steps(5, 0.0))
    assert (race.winner, race.ending, race.n_planned) == (None, Ending.COMPLETE, 100)
    assert race.contenders == tuple(range(5))
    assert race.leader == steps(5, 0.0).mean(axis=1).argmin()


@pytest.mark.parametrize("n_affordable", [None, 40, 120])
def test_the_order_of_arrival_changes_nothing(n_affordable: int | None) -> None:
    losses = steps(12, 0.5)
    losses[2, 5] = losses[7, :] = np.nan
    expected = play(losses, n_affordable=n_affordable)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        race = play(losses, lambda cells: cells[int(rng.integers(len(cells)))], n_affordable=n_affordable)  # noqa: B023
        assert race.standings == expected.standings
        assert (race.ending, race.n_planned) == (expected.ending, expected.n_planned)


def test_what_is_done_ahead_changes_nothing_and_is_not_asked_again() -> None:
    losses = steps(6, 0.7)
    expected = play(losses)
    race = Race(BLOCKS, InOrder(6), n_configurations=6)
    asked = set()
    while race.ending is None:
        for cell in [*race.wanted(), *list(race.ahead())[:4]]:
            assert cell not in asked
            asked.add(cell)
            place = BLOCKS.index(cell.block)
            race.hear(cell.configuration, cell.block, losses[cell.configuration, place])
    assert race.standings == expected.standings


@pytest.mark.parametrize("n_affordable", [None, 80])
def test_a_race_that_hears_known_values_first_goes_on_where_it_was(n_affordable: int | None) -> None:
    losses = steps(8, 0.5)
    whole = play(losses, n_affordable=n_affordable)
    known = [cell for cell in played(whole) if cell.block in BLOCKS[::2]]
    race = Race(BLOCKS, InOrder(8), n_configurations=8, n_affordable=n_affordable)
    for cell in known:
        race.hear(cell.configuration, cell.block, losses[cell.configuration, BLOCKS.index(cell.block)])
    n_new = 0
    while cells := race.wanted():
        assert cells[0] not in known
        n_new += 1
        race.hear(
            cells[0].configuration,
            cells[0].block,
            losses[cells[0].configuration, BLOCKS.index(cells[0].block)],
        )
    assert race.standings == whole.standings
    assert n_new == whole.n_planned - len(known)


# missing values


def test_one_does_not_win_by_what_it_does_not_show() -> None:
    """The first fails wherever it would have been bad: by the values that it has it is the best, and far."""
    losses = steps(3, 0.0, seed=1)
    losses[1:] += 0.5
    losses[0] = np.where(np.arange(20) % 2, np.nan, -1.0)
    race = play(losses)
    assert race.winner is None
    assert race.leader != 0
    assert not any(one.beaten is not None and one.beaten.by == 0 for one in race.standings)


def test_one_that_fails_now_and_then_can_be_beaten_by_its_values() -> None:
    losses = steps(2, 8.0)
    losses[1, ::7] = np.nan
    race = play(losses)
    beaten = race.standings[1].beaten
    assert beaten is not None
    assert race.winner == 0


def test_a_bounded_metric_takes_its_worst_for_what_is_missing() -> None:
    losses = np.clip(steps(2, 0.0) * 0.05 + 0.2, 0.0, 1.0)
    losses[0, 3] = np.nan
    standing = play(losses, bounds=(0.0, 1.0)).standings[0]
    assert standing.loss == pytest.approx((np.nansum(losses[0]) + 1.0) / 20)


def test_one_without_any_value_leaves_soon_and_a_race_of_none_says_so() -> None:
    losses = steps(4, 0.0)
    losses[2] = np.nan
    gone = play(losses).standings[2]
    assert (gone.fate, gone.loss) == (Fate.WITHOUT_VALUES, None)
    assert gone.n_blocks < 20
    nobody = play(np.full((3, 20), np.nan))
    assert (nobody.ending, nobody.leader, nobody.winner) == (Ending.NOBODY, None, None)


# the budget


@pytest.mark.parametrize("n_affordable", [6, 7, 25, 60, 119, 120, 200, 239, 240, 1000])
def test_no_more_is_planned_than_can_be_afforded(n_affordable: int) -> None:
    race = play(steps(12, 0.3), n_affordable=n_affordable)
    assert race.n_planned <= min(n_affordable, 240)
    assert race.leader is not None
    assert race.ending is not None


def test_with_half_the_trials_the_best_go_on_and_the_others_are_set_aside() -> None:
    race = play(steps(12, 0.4), n_affordable=120)
    by_blocks = {n: [] for n in sorted({one.n_blocks for one in race.standings})}  # type: ignore[var-annotated]
    for one in race.standings:
        by_blocks[one.n_blocks].append(one.configuration)
    assert len(by_blocks) > 2
    assert 0 in by_blocks[max(by_blocks)]
    means = [np.mean(numbers) for numbers in by_blocks.values()]
    assert all(later < earlier for earlier, later in pairwise(means))
    assert race.winner is None


@pytest.mark.parametrize(
    ("n_affordable", "n_in"), [(240, 12), (120, 12), (54, 12), (53, 11), (27, 6), (6, 2)]
)
def test_all_come_in_where_two_thirds_of_the_budget_pay_for_their_first_blocks(
    n_affordable: int, n_in: int
) -> None:
    assert len(play(steps(12, 0.3), n_affordable=n_affordable).standings) == n_in


def test_a_late_one_beats_by_its_first_blocks_those_that_have_done_more() -> None:
    losses = steps(30, 0.0) + 9.0
    losses[:5] -= 9.0
    losses[28] -= 30.0
    race = play(losses, n_affordable=540, at_once=30)
    assert race.leader == 28
    fates = {one.configuration: one.fate for one in race.standings}
    assert fates[28] is Fate.RACING
    assert {fates[place] for place in range(5)} == {Fate.BEATEN}


@pytest.mark.parametrize("n_affordable", [60, 120, None])
def test_a_greater_budget_spends_the_same_error_at_the_same_looks(n_affordable: int | None) -> None:
    race = play(steps(8, 1.5), n_affordable=n_affordable)
    looks = [Look(one.beaten.n_blocks, one.beaten.alpha) for one in race.standings if one.beaten is not None]
    assert looks or n_affordable == 60
    assert set(looks) <= set(plan_looks(20, ALPHA / 8))
    assert race.blocks == order_blocks(BLOCKS, 0)


def test_one_that_is_left_of_all_has_won_though_nothing_more_can_be_afforded() -> None:
    losses = steps(6, 0.0, n_blocks=20)
    losses[0] -= 12.0
    race = play(losses, n_affordable=70)
    assert (race.ending, race.winner) == (Ending.WINNER, 0)


def test_the_proposer_is_shown_what_came_of_the_ones_before() -> None:
    losses = steps(5, 1.0)
    losses[4] = np.nan
    proposer = InOrder(5)
    race = Race(BLOCKS, proposer, n_configurations=5, at_once=2)
    while cells := race.wanted():
        value = losses[cells[0].configuration, BLOCKS.index(cells[0].block)]
        race.hear(cells[0].configuration, cells[0].block, None if np.isnan(value) else value)
    first = [BLOCKS.index(block) for block in race.blocks[: min(one.n_blocks for one in race.standings[:4])]]
    means: dict[int, float | None] = dict(enumerate(losses[:, first].mean(axis=1)))
    expected = [{}, {0: None}, {0: means[0], 1: means[1]}, {0: means[0], 1: means[1], 2: None}]
    assert [list(history) for history in proposer.histories[:5]] == [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    for history, known in zip(proposer.histories, expected, strict=False):
        assert history == {
            place: mean if mean is None else pytest.approx(mean) for place, mean in known.items()
        }


def test_at_random_all_come_in_once() -> None:
    orders = []
    for seed in (1, 1, 2):
        proposer, history = AtRandom(9, seed), {}
        while (place := proposer.propose(history)) is not None:
            history[place] = None
        orders.append(list(history))
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(9))


def test_a_race_that_is_stopped_keeps_what_was_decided() -> None:
    race = Race(BLOCKS, InOrder(3), n_configurations=3)
    for cell in race.wanted()[:7]:
        race.hear(cell.configuration, cell.block, 1.0)
    race.stop()
    assert race.ending is Ending.STOPPED
    assert race.wanted() == ()
    assert list(race.ahead()) == []
    assert (race.leader, race.winner) == (None, None)


def test_one_that_is_stopped_in_its_first_blocks_is_not_set_aside_for_better_ones() -> None:
    race = Race(BLOCKS, InOrder(6), n_configurations=6, at_once=4)
    losses = steps(6, 0.1)
    while len(race.standings) == 4:
        cell = race.wanted()[0]
        race.hear(cell.configuration, cell.block, losses[cell.configuration, BLOCKS.index(cell.block)])
    cell = race.wanted()[0]
    race.hear(cell.configuration, cell.block, 0.0)
    race.stop()
    late = race.standings[4:]
    assert [(one.fate, one.n_blocks) for one in late] == [(Fate.RACING, 0)] * 2
    assert race.leader in range(4)


# blocks


def test_early_blocks_spread_over_portraits_and_speech() -> None:
    blocks = [Block(p, s, seed) for p in "abcd" for s in range(5) for seed in (1, 2, 3)]
    for seed in range(20):
        ordered = order_blocks(blocks, seed)
        assert sorted(ordered, key=blocks.index) == blocks
        for n in range(1, 60):
            for levels in (
                [block.portrait for block in ordered[:n]],
                [block.speech for block in ordered[:n]],
                [block.seed for block in ordered[:n]],
            ):
                counts = [levels.count(level) for level in set(levels)]
                assert max(counts) - min(counts) <= 3
        assert {block.portrait for block in ordered[:4]} == set("abcd")
        assert {block.speech for block in ordered[:5]} == set(range(5))
    assert order_blocks(blocks, 1) == order_blocks(blocks, 1) != order_blocks(blocks, 2)


# what is refused


def test_a_race_that_can_drop_nobody_says_why() -> None:
    few = Race(BLOCKS[:7], InOrder(12), n_configurations=12)
    assert few.why_no_drop.startswith("8 blocks are the fewest that can show one of 12 configurations beaten")
    portraits = [Block(p, s) for p in "abc" for s in range(8)]
    assert "3 portraits: 4 or more" in Race(portraits, InOrder(4), n_configurations=4).why_no_drop
    given = Race(portraits, InOrder(4), n_configurations=4, given=("portrait",))
    assert given.why_no_drop == Race(BLOCKS, InOrder(4), n_configurations=4).why_no_drop == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_configurations": 1}, "two configurations, not 1"),
        ({"blocks": []}, "needs blocks"),
        ({"blocks": [BLOCKS[0], BLOCKS[0]]}, "each once"),
        ({"n_affordable": 5}, "needs 6 trials"),
    ],
)
def test_a_race_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    options: dict[str, object] = {"blocks": BLOCKS, "n_configurations": 3} | change
    blocks = options.pop("blocks")
    with pytest.raises(ValueError, match=words):
        Race(blocks, InOrder(3), **options)  # type: ignore[arg-type]


def test_a_result_that_cannot_be_is_refused() -> None:
    race = Race(BLOCKS, InOrder(3), n_configurations=3)
    with pytest.raises(ValueError, match="must be finite"):
        race.hear(0, BLOCKS[0], float("nan"))
