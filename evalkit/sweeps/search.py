"""A sweep as a race: which videos of a plan are made, so that the best configuration is found without making all of them.

`OptunaProposer` says which configurations enter, `Race` what they do and who is dropped, the budget how much of it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import RATING
from evalkit.analysis.configurations import describe
from evalkit.analysis.direction import loss, loss_bounds
from evalkit.analysis.spending import DEFAULT_PRICE
from evalkit.decisions import DEFAULT_POLICY
from evalkit.decisions.budget import ALPHA
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.formatting import count, three_digits
from evalkit.runs.schema import Defeat, Searched, SearchRecord
from evalkit.runs.search import read_search, write_search
from evalkit.sweeps.feed import Feed
from evalkit.sweeps.proposer import OptunaProposer
from evalkit.sweeps.race import FIRST_BLOCKS, Beaten, Block, Cell, Ending, Fate, Race
from evalkit.sweeps.spending import Spending
from evalkit.visuals.numbers import unit_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from evalkit.decisions.policy import Policy
    from evalkit.runs import Trial
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan
    from evalkit.types import Metric

_AT_ONCE = 8
"""Configurations that are proposed before the first blocks of the others are known, at least."""
_N_PILOT = 4
"""Trials that say what one costs, where hours or money are limited and nothing is done yet."""
_AHEAD = 2
"""Trials for each slot, under way and waiting, so that none is idle before a round of the race is over."""


@dataclass(frozen=True)
class Course:
    """What is searched: the grid of a plan as configurations times blocks.

    Parameters
    ----------
    quality : Metric
        What is raced for.
    given : tuple of str
        Factors whose levels are all that matter, by the policy.
    blocks : tuple of Block
        In the order of the plan.
    params : tuple of dict
        Of the configurations, in the order of the grid: they are known by their place in it.
    trials : dict of Cell to PlannedTrial
    """

    quality: Metric
    given: tuple[str, ...]
    blocks: tuple[Block, ...]
    params: tuple[dict[str, Any], ...]
    trials: dict[Cell, PlannedTrial]
    cells: dict[str, Cell] = field(init=False)

    def __post_init__(self) -> None:
        cells = {trial.id: cell for cell, trial in self.trials.items()}
        object.__setattr__(self, "cells", cells)

    def label(self, place: int, swept: Sequence[str]) -> str:
        """Return what a configuration is called: the parameters that vary."""
        return describe({name: self.params[place][name] for name in swept})


def set_course(plan: SweepPlan) -> Course:
    """Return what a search of a plan is about.

    Raises
    ------
    UsageError
        If there is nothing to choose from, or no evaluator measures the quality of the policy.
    """
    policy = load_policy(plan.config.policy or DEFAULT_POLICY)
    blocks: dict[Block, None] = {}
    params: list[dict[str, Any]] = []
    trials: dict[Cell, PlannedTrial] = {}
    for trial in plan.trials:  # configurations change slowest
        if not params or params[-1] != trial.params:
            params.append(trial.params)
        block = Block(
            None if trial.portrait is None else trial.portrait.content,
            None if trial.speech is None else trial.speech.content,
            trial.seed,
        )
        blocks[block] = None
        trials[Cell(len(params) - 1, block)] = trial
    if len(params) < 2:
        raise UsageError(
            "the grid has one configuration, so there is nothing to search: give parameters with several values under grid, "
            "or use evalkit sweep"
        )
    _check_quality(plan, policy)
    return Course(policy.quality, policy.given, tuple(blocks), tuple(params), trials)


def _check_quality(plan: SweepPlan, policy: Policy) -> None:
    quality = policy.quality.name
    if policy.quality.better == "band":
        raise UsageError(
            f"policy {policy.name!r} searches for the best {quality}, of which neither more nor less is better: name another "
            f"metric as its quality"
        )
    if policy.quality.family == RATING:
        raise UsageError(
            f"policy {policy.name!r} searches for the best {quality}, which people give when the videos are made: name a "
            f"metric that is measured as its quality, or make the whole grid with evalkit sweep"
        )
    if quality not in plan.metrics:
        measured = ", ".join(plan.evaluators) or "no evaluator"
        raise UsageError(
            f"policy {policy.name!r} searches for the best {quality}, which is not measured here ({measured}): add the "
            f"evaluator {policy.quality.family!r}, or name another policy"
        )


class Search(Feed):
    """Says which videos of a plan are made, see `evalkit.sweeps.run.run_sweep`.

    What is decided depends on the values alone, in whatever order they come: who enters, what they do, who is dropped.
    Only where hours or money are limited does it also depend on how long trials take.

    Parameters
    ----------
    plan : SweepPlan
        Its ``config.search`` says how much may be spent.
    folder : Path
        Of the run: what an earlier search decided on there is heeded, and how this one goes is written there.

    Raises
    ------
    UsageError
        If there is nothing to search for, the budget is too small to compare two configurations, or nobody could ever be
        dropped.
    """

    def __init__(self, plan: SweepPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._course = set_course(plan)
        self._budget = _read_budget(plan)
        n_all = len(plan.trials)
        self._limits = {
            name: limit for name, limit in self._budget.items() if name != "trials" or limit < n_all
        }
        earlier = read_search(folder)
        self._earlier = earlier if earlier is not None and earlier.plan == plan.hash else None
        self._never: set[int] = set()
        self._at_once = max(_AT_ONCE, len(plan.slots)) if self._earlier is None else self._earlier.at_once
        self._losses: dict[Cell, float | None] = {}
        self._under_way: set[Cell] = set()
        self._spending = Spending(folder, plan.config.execution.price_per_hour)
        has_same_budget = self._earlier is not None and self._earlier.budget == self._budget
        self._n_affordable = self._earlier.n_affordable if self._earlier and has_same_budget else None
        self._is_pilot = False
        self._race = self._make_race(self._first_number())
        self._written: SearchRecord | None = None

    # what run_sweep asks

    def begin(self, known: Mapping[str, Trial], skipped: Mapping[str, str]) -> Sequence[str]:
        """See `evalkit.sweeps.feed.Feed.begin`. A configuration of which a trial is skipped takes no part."""
        for trial in known.values():
            self._take(trial)
        if skipped:
            self._never = {self._course.cells[trial_id].configuration for trial_id in skipped}
            self._race = self._make_race(self._first_number())
        self._reckon()
        return self._next()

    def hear(self, trial: Trial) -> Sequence[str]:
        """See `evalkit.sweeps.feed.Feed.hear`."""
        self._take(trial)
        return self._next()

    def left_out(self) -> Mapping[str, str]:
        """See `evalkit.sweeps.feed.Feed.left_out`: what nobody is to make any more, with the reason."""
        if self._race.ending is None:
            reasons = {
                one.configuration: self._why(one.configuration)
                for one in self._race.standings
                if one.fate in {Fate.BEATEN, Fate.WITHOUT_VALUES}
            }
        else:
            reasons = {
                place: self._why(place)
                for place in range(len(self._course.params))
                if place not in self._never
            }
        pending = {*self._under_way, *(self._rest_of_leader() if self._has_room() else ())}
        return {
            trial.id: reasons[cell.configuration]
            for cell, trial in self._course.trials.items()
            if cell not in self._losses and cell not in pending and cell.configuration in reasons
        }

    # what a person asks

    @property
    def notes(self) -> list[str]:
        """What a person should know before the work."""
        found = []
        if self._race.why_no_drop:
            found.append(
                f"no configuration can be shown to be beaten, so the budget alone decides who goes on: {self._race.why_no_drop}"
            )
        prices = self._plan.config.execution.price_per_hour
        if "money" in self._budget and DEFAULT_PRICE not in {name.casefold() for name in prices}:
            found.append(
                f"a machine that price_per_hour does not name counts as the dearest, {three_digits(max(prices.values()))} an hour"
            )
        return found

    @property
    def budget(self) -> dict[str, float]:
        """What may be spent, by name."""
        return self._budget

    @property
    def course(self) -> Course:
        """What is searched."""
        return self._course

    @property
    def fewest_trials(self) -> int:
        """The fewest trials after which one can be left."""
        return min(self.most_trials, self._race.fewest_trials)

    @property
    def most_trials(self) -> int:
        """The most trials that are made, those that are there included, as far as trials are limited."""
        n_blocks = len(self._course.blocks)
        n_all = n_blocks * (len(self._course.params) - len(self._never))
        return min(n_all, int(self._budget.get("trials", n_all)))

    # what is known

    def _take(self, trial: Trial) -> None:
        """Note a result."""
        cell = self._course.cells[trial.id]
        self._under_way.discard(cell)
        metric = self._course.quality
        value = trial.metrics.get(metric.name)
        self._losses[cell] = None if value is None or trial.failure is not None else loss(metric, value.value)
        self._spending.add(trial)
        self._race.hear(cell.configuration, cell.block, self._losses[cell])

    # what is done next

    def _next(self) -> list[str]:
        """Return what to make in addition to what is under way."""
        if self._is_pilot and not self._under_way:
            self._reckon()
        chosen = self._choose()
        self._under_way.update(chosen)
        if not self._under_way and self._race.ending is None:
            self._race.stop()
        self._write()
        return [self._course.trials[cell].id for cell in chosen]

    def _choose(self) -> list[Cell]:
        wanted = [cell for cell in self._race.wanted() if cell not in self._under_way]
        if self._is_pilot:
            wanted = wanted[: max(0, _N_PILOT - self._spending.n_trials - len(self._under_way))]
        elif self._race.ending is not None:
            wanted = self._rest_of_leader()
        elif not self._limits:
            n_ahead = _AHEAD * len(self._plan.slots) - len(self._under_way) - len(wanted)
            ahead = (
                cell
                for cell in self._race.ahead()
                if cell not in self._under_way and cell not in self._losses
            )
            wanted += islice(ahead, max(0, n_ahead))
        if self._plan.batches:  # what is made together stays together
            wanted.sort(key=lambda cell: (cell.configuration, str(cell.block.seed)))
        return wanted[: self._spending.room(self._limits, len(self._under_way))]

    def _rest_of_leader(self) -> list[Cell]:
        """Return what the best has not done: so its gates are judged on as many inputs as can be."""
        leader = self._race.leader
        if leader is None:
            return []
        cells = (Cell(leader, block) for block in self._race.blocks)
        return [cell for cell in cells if cell not in self._losses and cell not in self._under_way]

    # how much that may be

    def _has_room(self) -> bool:
        return self._spending.room(self._limits, len(self._under_way)) > 0

    def _first_number(self) -> int | None:
        """Return how many trials the race is planned for before anything of this call is known."""
        return self._n_affordable or (int(self._limits["trials"]) if "trials" in self._limits else None)

    def _reckon(self) -> None:
        """Plan the race for what can be afforded, where hours or money say so and what a trial costs is known."""
        if not self._limits.keys() - {"trials"} or self._n_affordable is not None:
            return
        self._is_pilot = self._spending.n_trials < _N_PILOT
        if self._is_pilot:
            return
        n_known = len(self._losses)
        self._n_affordable = max(
            n_known + self._spending.room(self._limits, 0), 2 * min(FIRST_BLOCKS, len(self._course.blocks))
        )
        self._race = self._make_race(self._n_affordable)

    def _make_race(self, n_affordable: int | None) -> Race:
        course, config = self._course, self._plan.config
        n_configurations = len(course.params)
        if n_configurations - len(self._never) < 2:
            raise UsageError(
                f"of {count(n_configurations, 'configuration')} all but {n_configurations - len(self._never)} cannot fit this "
                f"machine, so there is nothing to search: see evalkit plan"
            )
        earlier = [] if self._earlier is None else self._earlier.configurations
        first = [course.params.index(one.params) for one in earlier if one.fate != "not proposed"]
        proposer = OptunaProposer(config.grid, seed=config.search.seed, first=first, never=self._never)
        if n_affordable is not None and n_affordable >= len(self._plan.trials):
            n_affordable = None  # all of it
        try:
            race = Race(
                course.blocks,
                proposer,
                n_configurations=n_configurations,
                seed=config.search.seed,
                bounds=loss_bounds(course.quality),
                given=course.given,
                n_affordable=n_affordable,
                at_once=self._at_once,
            )
        except ValueError as error:
            raise UsageError(f"this cannot be searched: {error}") from None
        if race.why_no_drop and not (config.search.budget and self._limits):
            raise UsageError(
                f"no configuration could ever be dropped, so this search would make the whole grid: {race.why_no_drop}. Add "
                f"inputs or seeds, limit the search by --budget-trials, or use evalkit sweep"
            )
        for cell, lost in self._losses.items():
            race.hear(cell.configuration, cell.block, lost)
        return race

    # what is said of it

    def record(self) -> SearchRecord:
        """Return how the configurations fare."""
        course, race = self._course, self._race
        standings = {one.configuration: one for one in race.standings}
        searched = []
        for place, one in standings.items():
            beaten = one.beaten
            defeat = None
            if beaten is not None:
                values = self._to_value(beaten.loss), self._to_value(beaten.loss_by)
                defeat = Defeat(course.params[beaten.by], beaten.n_blocks, *values, beaten.least)
            value = None if one.loss is None else self._to_value(one.loss)
            searched.append(Searched(course.params[place], one.fate.value, one.n_blocks, value, defeat))
        searched += [
            Searched(params, "not proposed")
            for place, params in enumerate(course.params)
            if place not in standings
        ]
        return SearchRecord(
            plan=self._plan.hash,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            quality=course.quality.name,
            n_blocks=len(course.blocks),
            alpha=ALPHA,
            budget=self._budget,
            n_affordable=self._n_affordable or self._first_number(),
            at_once=self._at_once,
            ending=self._describe_ending(),
            configurations=searched,
        )

    def _write(self) -> None:
        """Put on record how it goes, where that has changed."""
        record = self.record()
        last = self._written
        if last is None or (last.ending, last.configurations) != (record.ending, record.configurations):
            write_search(self._folder, record)
            self._written = record

    def _why(self, place: int) -> str:
        """Say why the rest of a configuration's trials is not made."""
        one = next((one for one in self._race.standings if one.configuration == place), None)
        budget = self._name_budget()
        spent = f"too little was left of {budget}" if self._has_room() else f"{budget} was spent"
        if one is None:
            return f"not proposed before {spent}"
        match one.fate:
            case Fate.BEATEN if one.beaten is not None:
                return self._describe_defeat(one.beaten)
            case Fate.WITHOUT_VALUES:
                return f"no value of {self._course.quality.name} in the first {count(one.n_blocks, 'block')}"
            case Fate.SET_ASIDE:
                return (
                    f"others were as good or better in the first {count(one.n_blocks, 'block')}, and {spent}"
                )
            case _ if self._race.ending is Ending.WINNER:
                is_found = self._race.winner is not None
                found = f"no configuration had a value of {self._course.quality.name} by then"
                return "the search had found the best by then" if is_found else found
            case _:
                return spent

    def _describe_defeat(self, beaten: Beaten) -> str:
        metric = self._course.quality
        own, other = (three_digits(self._to_value(value)) for value in (beaten.loss, beaten.loss_by))
        unit = unit_suffix(metric.unit)
        return (
            f"beaten by {self._course.label(beaten.by, self._plan.swept)} after {count(beaten.n_blocks, 'block')}: "
            f"{metric.name} {own} against {other}{unit}, worse by {three_digits(beaten.least)}{unit} at least"
        )

    def _to_value(self, lost: float) -> float:
        return -lost if self._course.quality.better == "higher" else lost

    def _describe_ending(self) -> str | None:
        match self._race.ending:
            case Ending.AFFORDED | Ending.STOPPED if self._has_room():
                return "too little was left of the budget for another round"
            case Ending.AFFORDED | Ending.STOPPED:
                return "the budget was spent"
            case ending:
                return None if ending is None else ending.value

    def _name_budget(self) -> str:
        return f"the budget of {name_budget(self._budget)}"


def _read_budget(plan: SweepPlan) -> dict[str, float]:
    """Return what may be spent: half of the grid's trials where nothing is said."""
    budget = plan.config.search.budget or {"trials": float(ceil(len(plan.trials) / 2))}
    if "money" in budget and not plan.config.execution.price_per_hour:
        raise UsageError(
            "a budget of money needs a price: say under execution what an hour of a machine costs, price_per_hour: {default: 1.5}"
        )
    return budget


def name_budget(budget: Mapping[str, float]) -> str:
    """Write a budget for people.

    >>> name_budget({"trials": 100.0, "hours": 8.0}), name_budget({"hours": 1.0})
    ('100 trials or 8 hours', '1 hour')
    """
    words = {
        "trials": lambda limit: count(int(limit), "trial"),
        "hours": lambda limit: f"{three_digits(limit)} {'hour' if limit == 1 else 'hours'}",
        "money": lambda limit: f"{three_digits(limit)} of money",
    }
    return " or ".join(words[name](limit) for name, limit in budget.items())
