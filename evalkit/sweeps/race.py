"""A grid as a race: who is clearly beaten leaves it, and the others go on. Pure: no files, no clock, no order of arrival.

Who takes part does the blocks (what a pair shares: portrait, speech and seed) in one common random order. The race goes in
rounds. What a round consists of, and who is dropped after it, depends on nothing but the values of the rounds before, so
races that are resumed, or shared among many machines, decide alike.

What is claimed
---------------
The policy's quality alone is raced for; gates drop nobody. Of C configurations, one is *beaten* by another where the rule of
`evalkit.stats.sequential` shows at a look that its mean is worse, with an error of alpha / C over all looks of the pair.

- *The best is dropped with a chance of at most alpha*, however the configurations come into the race and whatever makes
  the one that leads lead: to drop it, one of the C - 1 others has to be shown better, which is wrong in each case, and
  each such event, as a function of all values that there could be, has a chance of at most alpha / C.
- *Of C that do not differ a winner is found with a chance of at most alpha*: each is dropped with a chance of at most
  (C - 1) alpha / C, so (C - 1) alpha are expected to be dropped; all but one are dropped, which is C - 1, with a chance of at
  most alpha (Markov). One that leaves for want of values is not among these: it was not compared.

Both are as good as the rule, which is wrong more often where what is rare and large was not seen. Where all but the best ruin
a clip in ten, and are better in the others, the best is dropped in a fifth of the races of two and in two thirds of those of
twelve: see docs/search.md.

A race that goes on, or has a greater budget, spends nothing anew: the looks, their shares and the order of the blocks are
those of the grid and the seed, and the events above are of all looks. Another grid or another seed is another race, with an
error of its own.

Values that are missing
-----------------------
A configuration that fails does not win by what it does not show. Against others each missing value counts as the worst that
there can be (or that was seen, where a metric has no end). Against itself it counts nothing: pairs of which it has no value
are left out when another is to beat it, so what is claimed of it is claimed of the blocks that it has values of. One without
a value in each of its first `MIN_VALUES` blocks leaves the race.

The budget
----------
With a number of trials that can be afforded, the race halves: about half of them bring all configurations through their first
blocks, or up to two thirds as many as they can; then, of those that are not beaten, the best go on, as many as half of what is
left pays for. Those that do not go on are *set aside*, which claims nothing. Without a number, all go on until they are beaten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import compress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from evalkit.decisions.budget import ALPHA
from evalkit.formatting import count_levels
from evalkit.stats.means import MIN_LEVELS, MIN_UNITS, code_levels, independent_factors
from evalkit.stats.sequential import fewest_pairs, least_difference, plan_looks

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

    from evalkit.types import FloatArray

    Bounds = tuple[float | None, float | None]

MIN_VALUES = MIN_UNITS
"""One that gives a value in nearly half of its attempts fails so many times in a row with a chance of 5 % at most: 0.55^5."""
FIRST_BLOCKS = 3
"""With fewer blocks each, configurations are not put in order: rather are fewer of them proposed."""
_EQUAL = 1e-9
"""Losses that differ by less than this share of the larger are equal: it is rounding."""


@dataclass(frozen=True, slots=True)
class Block:
    """What the clips of a pair share.

    Parameters
    ----------
    portrait, speech, seed : hashable
        None where there is none.
    """

    portrait: Hashable
    speech: Hashable
    seed: Hashable = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A trial of the race.

    Parameters
    ----------
    configuration : int
        Its place in the grid.
    block : Block
    """

    configuration: int
    block: Block


class Proposer(Protocol):
    """Says which configuration comes into the race next; the same history has the same answer."""

    def propose(self, history: Mapping[int, float | None]) -> int | None:
        """Return a configuration that is not in the race; None when there is none any more.

        Parameters
        ----------
        history : mapping of int to float or None
            What the first blocks of each one in the race brought, in the order in which they came: the mean loss, over the same
            blocks for all, missing values as the worst there is; None while it is not known, or without any value.
        """


class AtRandom:
    """Proposes all configurations in a random order.

    Parameters
    ----------
    n_configurations : int
    seed : int
    """

    def __init__(self, n_configurations: int, seed: int = 0) -> None:
        self._order = np.random.default_rng(seed).permutation(n_configurations).tolist()

    def propose(self, history: Mapping[int, float | None]) -> int | None:
        """Return the next of them."""
        return next((one for one in self._order if one not in history), None)


class Fate(StrEnum):
    """What became of a configuration."""

    RACING = "racing"
    BEATEN = "beaten"
    WITHOUT_VALUES = "without values"
    SET_ASIDE = "set aside"  # others that are not beaten have done more blocks


class Ending(StrEnum):
    """Why a race is over."""

    WINNER = "one is left"
    NOBODY = "none has a value"
    COMPLETE = "those that are left have done all blocks"
    AFFORDED = "the trials that can be afforded are planned"
    STOPPED = "it was stopped"


@dataclass(frozen=True, slots=True)
class Beaten:
    """One that was dropped, and what showed it.

    Parameters
    ----------
    by : int
        The configuration that is better.
    n_blocks : int
        The first so many blocks, those without a value of it included.
    loss, loss_by : float
        Means of both over the pairs.
    least : float
        By so much it is worse at least, by a bound that is wrong with a chance of at most `alpha`.
    alpha : float
        One-sided, of this pair at this look.
    """

    by: int
    n_blocks: int
    loss: float
    loss_by: float
    least: float
    alpha: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How one stands.

    Parameters
    ----------
    configuration : int
    fate : Fate
    n_blocks : int
        The first so many are done and were looked at.
    loss : float or None
        Mean over them, missing values as the worst there is; None without any value.
    beaten : Beaten or None
    """

    configuration: int
    fate: Fate
    n_blocks: int
    loss: float | None
    beaten: Beaten | None = None


@dataclass(slots=True)
class _Runner:
    place: int
    n_blocks: int = 0
    target: int = 0
    is_in: bool = True
    beaten: Beaten | None = None


class Race:
    """A race of the configurations of a grid.

    Parameters
    ----------
    blocks : sequence of Block
        All of the plan, each once.
    proposer : Proposer
    n_configurations : int
        Of the grid: as many may be proposed.
    seed : int
        Of the order of the blocks.
    bounds : tuple of float or None
        Lowest and highest loss that there can be; None where open.
    given : collection of str
        Factors whose levels are all that matter, as in `evalkit.stats.means.fit_mean`.
    n_affordable : int, optional
        Trials, those that are already there included; None for as many as it takes.
    at_once : int
        So many are proposed before their first blocks are known.
    alpha : float
        Chance that the best is dropped.

    Raises
    ------
    ValueError
        If there is one configuration, no block, a block twice, or too few trials to compare two configurations.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        proposer: Proposer,
        *,
        n_configurations: int,
        seed: int = 0,
        bounds: Bounds = (None, None),
        given: Collection[str] = (),
        n_affordable: int | None = None,
        at_once: int = 8,
        alpha: float = ALPHA,
    ) -> None:
        if n_configurations < 2:
            raise ValueError(f"a race needs two configurations, not {n_configurations}")
        if not blocks or len(set(blocks)) < len(blocks):
            raise ValueError(f"a race needs blocks, each once; these are {len(set(blocks))} in {len(blocks)}")
        fewest = 2 * min(FIRST_BLOCKS, len(blocks))
        if n_affordable is not None and n_affordable < fewest:
            raise ValueError(
                f"a race needs {fewest} trials to compare any two configurations, not {n_affordable}"
            )
        self.blocks = order_blocks(blocks, seed)
        self._factors: dict[str, list[Hashable]] = {
            "portrait": [block.portrait for block in self.blocks],
            "speech": [block.speech for block in self.blocks],
            "seed": [block.seed for block in self.blocks],
        }
        self._places = {block: place for place, block in enumerate(self.blocks)}
        self._proposer = proposer
        self._n_configurations = n_configurations
        self._bounds = bounds
        self._given = given
        self._n_affordable = n_affordable
        self._at_once = at_once
        self._alpha = alpha
        self._looks = {look.n: look.alpha for look in plan_looks(len(blocks), alpha / n_configurations)}
        self._levels = self._plan_levels()
        self._runners: dict[int, _Runner] = {}
        self._losses = np.full((n_configurations, len(blocks)), np.nan)  # inf: heard, and there is no value
        self._n_planned = 0
        self._has_more = True
        self._open: dict[tuple[int, int], Cell] = {}
        self.ending: Ending | None = None
        self._plan_round()

    # what is to be done

    def wanted(self) -> tuple[Cell, ...]:
        """Return the trials of this round that were not heard, block by block; none when the race is over."""
        return tuple(self._open.values()) if self.ending is None else ()

    def ahead(self) -> Iterator[Cell]:
        """Yield what those that are in this round do afterwards if they go on, block by block, as far as it is not heard.

        To keep places busy that have nothing to do before the round ends. No decision depends on whether it is done.
        """
        if self.ending is not None:
            return
        racing = [one for one in self._runners.values() if one.is_in and one.target > one.n_blocks]
        for place in range(max(one.target for one in racing), len(self.blocks)):
            for one in racing:
                if np.isnan(self._losses[one.place, place]):
                    yield Cell(one.place, self.blocks[place])

    def hear(self, configuration: int, block: Block, loss: float | None) -> None:
        """Take a result, whether it was asked for or not; what was heard before keeps its first value.

        Parameters
        ----------
        configuration : int
        block : Block
        loss : float or None
            Lower is better, see `evalkit.analysis.direction.loss`; None where the trial failed or has no value.

        Raises
        ------
        ValueError
            If the loss is not finite.
        """
        if loss is not None and not np.isfinite(loss):
            raise ValueError(f"the loss of configuration {configuration} must be finite, or None, not {loss}")
        place = self._places[block]
        if np.isnan(self._losses[configuration, place]):
            self._losses[configuration, place] = np.inf if loss is None else loss
        self._open.pop((configuration, place), None)
        self._go_on()

    def stop(self) -> None:
        """End the race before its time: what can be spent is spent. Rounds that are not whole change nothing."""
        if self.ending is None:
            self.ending = Ending.STOPPED

    # what came out

    @property
    def why_no_drop(self) -> str:
        """Why nobody can ever be dropped, so that the race is the whole grid; empty where one can."""
        if not self._looks:
            n = fewest_pairs(self._alpha / self._n_configurations)
            return f"{n} blocks are the fewest that can show one of {self._n_configurations} configurations beaten; there are {len(self.blocks)}"
        factors = independent_factors(self._factors, self._given)
        needed = MIN_LEVELS if len(factors) > 1 else MIN_UNITS
        few = [
            count_levels(name, n) for name, codes in factors.items() if (n := int(codes.max()) + 1) < needed
        ]
        if few or not factors:
            return f"what is beaten cannot be known from {' and '.join(few) or 'one input'}: {needed} or more are needed"
        return ""

    @property
    def fewest_trials(self) -> int:
        """The fewest trials of a race that ends with a winner."""
        first = min(self._looks, default=len(self.blocks))
        return self._n_configurations * first

    @property
    def n_planned(self) -> int:
        """Trials of all rounds so far, this one included."""
        return self._n_planned

    @property
    def standings(self) -> tuple[Standing, ...]:
        """All that were proposed, in that order."""
        return tuple(self._stand(one) for one in self._runners.values())

    @property
    def leader(self) -> int | None:
        """The best by mean of those that came farthest and are not beaten; None before any has a value."""
        racing = self._racing()
        farthest = max((one.n_blocks for one in racing), default=0)
        means = {one.place: self._mean(one.place, farthest) for one in racing if one.n_blocks == farthest > 0}
        best = min(means, key=lambda place: means[place], default=None)
        return None if best is None or not np.isfinite(means[best]) else best

    @property
    def winner(self) -> int | None:
        """The one that is left when all others that were proposed are beaten, or had no values; None otherwise."""
        return self.leader if self.ending is Ending.WINNER else None

    @property
    def contenders(self) -> tuple[int, ...]:
        """The leader, and all that are neither beaten nor without values, in the order of the proposals."""
        return tuple(one.place for one in self._racing())

    # rounds

    def _plan_levels(self) -> list[int]:
        """Return after how many blocks who goes on is decided: the looks, all blocks, and before a tight budget's first look."""
        levels = sorted({*self._looks, len(self.blocks)})
        if self._n_affordable is not None:
            share = self._n_affordable // 2 // self._n_configurations
            first = max(FIRST_BLOCKS, share)
            if first < levels[0]:
                levels = [first, *levels]
        return levels

    def _go_on(self) -> None:
        while self.ending is None and not self._open:
            self._end_round()
            self._plan_round()

    def _plan_round(self) -> None:
        """Set the targets of the next round, or end the race."""
        group = self._propose() or self._choose()
        for one in group:
            target = self._level_after(one.n_blocks)
            self._n_planned += target - one.n_blocks
            one.target = target
        for place in range(max((one.target for one in group), default=0)):
            for one in group:
                if place < one.target and np.isnan(self._losses[one.place, place]):
                    self._open[one.place, place] = Cell(one.place, self.blocks[place])

    def _propose(self) -> list[_Runner]:
        """Bring in the next configurations, as many as there are and may be."""
        n_blocks, n_more = self._levels[0], self._at_once
        if self._n_affordable is not None:
            n_in = len(self._runners)
            most = max(2, self._n_affordable * 2 // 3 // n_blocks)
            n_more = min(n_more, most - n_in, self._left() // n_blocks)
        new: list[_Runner] = []
        history = self._history()
        while self._has_more and len(new) < n_more:
            place = self._proposer.propose(history)
            if place is None:
                self._has_more = False
            else:
                new.append(_Runner(place))
                history[place] = None
        self._runners |= {one.place: one for one in new}
        self._has_more &= len(self._runners) < self._n_configurations
        return new

    def _history(self) -> dict[int, float | None]:
        means = {place: self._mean(place, self._levels[0]) for place in self._runners}
        return {place: mean if np.isfinite(mean) else None for place, mean in means.items()}

    def _choose(self) -> list[_Runner]:
        """Return those that go on: of the farthest who are not through, or of those behind one that is alone in front."""
        racing = self._racing()
        if len(racing) < 2:
            self.ending = (
                Ending.NOBODY if not racing else Ending.AFFORDED if self._has_more else Ending.WINNER
            )
            return []
        unfinished = [one for one in racing if one.n_blocks < len(self.blocks)]
        self.ending = Ending.AFFORDED if unfinished else Ending.COMPLETE
        for n in sorted({one.n_blocks for one in unfinished}, reverse=True):
            is_in_front = all(one.n_blocks <= n for one in racing)
            group = sorted(
                [one for one in unfinished if one.n_blocks == n], key=lambda one: self._mean(one.place, n)
            )
            dearness = self._level_after(n) - n
            least = 2 if is_in_front else 1
            n_on = len(group)
            if self._n_affordable is not None:
                n_on = min(n_on, max(least, self._left() // 2 // dearness), self._left() // dearness)
            if n_on >= least:
                self.ending = None
                return group[:n_on]
        return []

    def _left(self) -> int:
        return (self._n_affordable or 0) - self._n_planned

    def _level_after(self, n_blocks: int) -> int:
        return next(level for level in self._levels if level > n_blocks)

    def _end_round(self) -> None:
        """Drop who is beaten, and who has no value."""
        arrived = [one for one in self._runners.values() if one.target > one.n_blocks]
        for one in arrived:
            one.n_blocks = one.target
        for one in self._racing():
            if one.n_blocks >= MIN_VALUES and not np.isfinite(self._losses[one.place, : one.n_blocks]).any():
                one.is_in = False
        for n in sorted({one.n_blocks for one in arrived} & self._looks.keys()):
            self._look(n, self._looks[n])

    def _look(self, n: int, alpha: float) -> None:
        """Compare all that have done the first blocks with the best of them."""
        there = [one for one in self._racing() if one.n_blocks >= n]
        best = min(there, key=lambda one: self._mean(one.place, n), default=None)
        if best is None or not np.isfinite(self._mean(best.place, n)):
            return
        for one in there:
            if one is not best:
                one.beaten = self._compare(one.place, best.place, n, alpha)

    def _compare(self, place: int, by: int, n: int, alpha: float) -> Beaten | None:
        """Say whether one is beaten by another in the first blocks."""
        own = self._losses[place, :n]
        has_value = np.isfinite(own)
        own, other = own[has_value], self._filled(by, n)[has_value]
        difference = own - other
        difference[np.abs(difference) <= _EQUAL * np.maximum(np.abs(own), np.abs(other))] = 0.0
        low, high = self._bounds
        reach = (None, None) if low is None or high is None else (low - high, high - low)
        factors = {name: list(compress(levels, has_value)) for name, levels in self._factors.items()}
        least = least_difference(difference, alpha, factors, given=self._given, bounds=reach)
        if least <= 0.0:
            return None
        return Beaten(by, n, float(own.mean()), float(other.mean()), least, alpha)

    def _mean(self, place: int, n: int) -> float:
        """Return the mean loss over the first blocks; infinite without any value."""
        if not np.isfinite(self._losses[place, :n]).any():
            return np.inf
        return float(self._filled(place, n).mean())

    def _filled(self, place: int, n: int) -> FloatArray:
        """Return the first losses, missing ones as the worst that there can be, or that any has in these blocks."""
        row = self._losses[place, :n]
        if np.isfinite(row).all():
            return row
        worst = self._bounds[1]
        if worst is None:
            there = [one.place for one in self._runners.values() if one.n_blocks >= n]
            seen = self._losses[there, :n]
            worst = float(seen[np.isfinite(seen)].max())
        return np.where(np.isfinite(row), row, worst)

    def _racing(self) -> list[_Runner]:
        return [one for one in self._runners.values() if one.is_in and one.beaten is None]

    def _stand(self, one: _Runner) -> Standing:
        mean = self._mean(one.place, one.n_blocks)
        fate = Fate.RACING
        if one.beaten is not None:
            fate = Fate.BEATEN
        elif not one.is_in:
            fate = Fate.WITHOUT_VALUES
        elif one.target == one.n_blocks < max(other.n_blocks for other in self._racing()):
            fate = Fate.SET_ASIDE
        return Standing(one.place, fate, one.n_blocks, mean if np.isfinite(mean) else None, one.beaten)


def order_blocks(blocks: Sequence[Block], seed: int) -> tuple[Block, ...]:
    """Return blocks in a random order in which the first ones, however many, spread over portraits, speech and seeds.

    Each next one is of those whose portrait, speech and seed were had least, together; which of these is random.

    Parameters
    ----------
    blocks : sequence of Block
    seed : int
    """
    places = np.random.default_rng(seed).permutation(len(blocks))
    shuffled = [blocks[place] for place in places]
    codes = [
        code_levels(levels)
        for levels in (
            [one.portrait for one in shuffled],
            [one.speech for one in shuffled],
            [one.seed for one in shuffled],
        )
    ]
    costs = np.zeros(len(blocks))
    ordered = []
    for _ in shuffled:
        place = int(costs.argmin())
        ordered.append(shuffled[place])
        for code in codes:
            costs[code == code[place]] += 1.0
        costs[place] = np.inf
    return tuple(ordered)
