"""Every world that is raced in, and what is asked of the races."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.analysis.configurations import Configuration
from evalkit.analysis.ranking import rank_first
from evalkit.decisions.budget import ErrorBudget
from evalkit.sweeps.proposer import OptunaProposer
from evalkit.sweeps.race import AtRandom, Race
from evalkit.types import Metric
from tests.search_replay import worlds
from tests.search_replay.make_grids import SWEEPS
from tests.search_replay.worlds import World, drawn_again, levelled, planted, shuffled, stored
from tests.simulation.figures import RISK, share
from tests.simulation.running import Asked, Figure, Scenario
from tests.simulation.worlds import clips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalkit.types import FloatArray
    from tests.simulation.running import Outcomes

    Draw = Callable[[np.random.Generator], World]

LOSS = Metric("avatar.loss", "1", "lower", "what is raced for; may be any number")
FOUND = Asked(0.95, 1.0, "≥ 95 %")
NEVER = Asked(0.0, 0.0, "0 %")

STORED = {
    "reference generator, steps and guidance, distance of the lips": ("steps", "lip_sync.dtw_distance"),
    "reference generator, steps and guidance, lip-sync error (most are 0)": ("steps", "lip_sync.error"),
    "reference generator, steps and guidance, flicker": ("steps", "technical.flicker"),
    "reference generator, size, frame rate and manner, sharpness": ("look", "technical.sharpness"),
    "reference generator, size, frame rate and manner, lip-sync error (half have none)": (
        "look",
        "lip_sync.error",
    ),
    "reference generator, steps and guidance, 8 texts with 3 seeds, distance of the lips": (
        "seeds",
        "lip_sync.dtw_distance",
    ),
    "reference generator, steps and guidance, 8 texts with 3 seeds, confidence": (
        "seeds",
        "lip_sync.confidence",
    ),
}


def race(
    world: World,
    rng: np.random.Generator,
    n_affordable: int | None,
    grid: Mapping[str, Sequence[Any]] | None = None,
) -> Race:
    """Run a race in a world; Optuna proposes where there is a grid, else they come in at random."""
    n = len(world.losses)
    seeds = rng.integers(2**31, size=2).tolist()
    places = {block: place for place, block in enumerate(world.blocks)}
    running = Race(
        world.blocks,
        AtRandom(n, seeds[0]) if grid is None else OptunaProposer(grid, seed=seeds[0]),
        n_configurations=n,
        seed=seeds[1],
        bounds=world.bounds,
        n_affordable=n_affordable,
    )
    while cells := running.wanted():
        for cell in cells:
            value = world.losses[cell.configuration, places[cell.block]]
            running.hear(cell.configuration, cell.block, None if np.isnan(value) else float(value))
    return running


def find_first(world: World) -> set[int]:
    """Return the winner of the full grid and those not distinguishable from it, as a recommendation ranks them."""
    factors = {
        "portrait": [block.portrait for block in world.blocks],
        "speech": [block.speech for block in world.blocks],
        "seed": [block.seed for block in world.blocks],
    }
    there = [place for place, row in enumerate(world.losses) if np.isfinite(row).any()]
    configurations = [
        Configuration({}, tuple(clips({LOSS.name: world.losses[place]}, factors)), {LOSS.name: LOSS})
        for place in there
    ]
    ranking = rank_first(configurations, LOSS, ErrorBudget().claim_alpha)
    return {there[place] for place in ranking.first}


def play_budget(draw: Draw, rng: np.random.Generator, share: float = 0.5) -> Mapping[str, float]:
    """Race with a share of the trials, then with as many as it takes, and hold the answer against the full grid."""
    world = draw(rng)
    n, n_blocks = world.losses.shape
    running = race(world, rng, int(share * world.losses.size))
    first, leader, winner = find_first(world), running.leader, running.winner
    means = world.filled.mean(axis=1)
    order = [world.blocks.index(block) for block in running.blocks[: int(share * n_blocks)]]
    plain = int(world.filled[:, order].mean(axis=1).argmin())
    best = int(world.truth.argmin())
    whole = race(world, rng, None) if share == 0.5 and rng.random() < 0.25 else None
    return {
        "found": leader in first,
        "more": running.n_planned > share * world.losses.size,
        "dropped": _is_beaten(running, best),
        "false winner": winner is not None and not world.are_best[winner],
        "itself": leader is not None and means[leader] == means.min(),
        "plain": means[plain] == means.min(),
        "beaten": _count_beaten(running) / n,
        "whole found": np.nan if whole is None else whole.leader in first,
        "whole dropped": np.nan if whole is None else _is_beaten(whole, best),
        "whole beaten": np.nan if whole is None else _count_beaten(whole) / n,
        "whole trials": np.nan if whole is None else whole.n_planned / world.losses.size,
    }


def play_proposed(
    draw: Draw, rng: np.random.Generator, grid: Mapping[str, Sequence[Any]], share: float
) -> Mapping[str, float]:
    """Race with the same share of the trials in the same order of blocks, proposed by Optuna and at random."""
    world = draw(rng)
    first, means = find_first(world), world.filled.mean(axis=1)
    seed = int(rng.integers(2**31))
    found = {}
    for name, proposed in (("optuna", grid), ("random", None)):
        running = race(world, np.random.default_rng(seed), int(share * world.losses.size), proposed)
        leader = running.leader
        found[f"{name} found"] = leader in first
        found[f"{name} itself"] = leader is not None and means[leader] == means.min()
    return found


def play_pick(draw: Draw, rng: np.random.Generator) -> Mapping[str, float]:
    """Say how many configurations would be the right answer, so how easily one is found."""
    world = draw(rng)
    return {"pick": len(find_first(world)) / len(world.losses)}


def play_unseen(draw: Draw, rng: np.random.Generator) -> Mapping[str, float]:
    """Race with as many trials as it takes where one is best."""
    world = draw(rng)
    return {"dropped": _is_beaten(race(world, rng, None), int(world.truth.argmin()))}


def _is_beaten(running: Race, configuration: int) -> bool:
    return any(one.configuration == configuration and one.beaten is not None for one in running.standings)


def _count_beaten(running: Race) -> int:
    return sum(one.beaten is not None for one in running.standings)


def play_null(draw: Draw, rng: np.random.Generator) -> Mapping[str, float]:
    """Race with half of the trials and with all of them where nothing distinguishes the configurations."""
    world = draw(rng)
    half, whole = (race(world, rng, budget) for budget in (world.losses.size // 2, None))
    return {
        "half": half.winner is not None,
        "whole": whole.winner is not None,
        "beaten": any(one.beaten is not None for one in whole.standings),
    }


def _from_stored(change: Callable[[World, np.random.Generator], World], grid: str, metric: str) -> Draw:
    return lambda rng: change(stored(grid, metric), rng)


def _planted(means: list[float], rng: np.random.Generator, **options: Any) -> World:
    return planted(rng, rng.permutation(means), **options)


def _null(rng: np.random.Generator, *, n: int = 8, **options: Any) -> World:
    return planted(rng, np.zeros(n), **options)


def _unlike(rng: np.random.Generator, *, n: int = 2, noise: worlds.Draw, steady: float = 0.3) -> World:
    """Give half of the configurations noise of another shape, and the others little of it."""
    world = _null(rng, n=n)
    unlike = rng.permutation(n) < n // 2
    own = np.where(
        unlike[:, None], noise(rng, world.losses.shape), steady * worlds.normal(rng, world.losses.shape)
    )
    return replace(world, losses=own)


def _rivals_with_rare_faults(rng: np.random.Generator, *, n: int) -> World:
    """Let all but one ruin a clip in ten: they are better by 0.5 in the others, and worse by 0.1 in the mean."""
    means = rng.permutation([0.0, *[0.1] * (n - 1)])
    world = planted(rng, means)
    are_steady = (means == 0.0)[:, None]
    shape = world.losses.shape
    noise = np.where(are_steady, 0.3 * worlds.normal(rng, shape), worlds.ruined(rng, shape))
    return replace(world, losses=means[:, None] + noise)


def _ties(rng: np.random.Generator) -> World:
    return worlds.rounded(_null(rng))


def _some_fail(rng: np.random.Generator) -> World:
    return worlds.with_failures(_null(rng), rng, 0.2)


def _one_hides(rng: np.random.Generator) -> World:
    return worlds.with_hidden_faults(_null(rng))


def _close_and_failing(rng: np.random.Generator) -> World:
    world = _planted([0.0, 0.2, 0.4, *[1.5] * 9], rng)
    return worlds.with_failures(world, rng, 0.1)


SMOOTH_GRID = {
    "size": [192, 256, 320, 384],
    "sample_steps": [1, 2, 4, 8],
    "sample_guide_scale": [1.0, 2.0, 4.0],
}


def _smooth(rng: np.random.Generator) -> World:
    """Plant a best one anywhere in a grid; the further away by the order of the values, the worse."""
    places = np.array([*np.ndindex(*(len(values) for values in SMOOTH_GRID.values()))])
    best = places[rng.integers(len(places))]
    return planted(rng, 0.35 * ((places - best) ** 2).sum(axis=1), n_texts=20)


def _many_ties(rng: np.random.Generator) -> World:
    return worlds.rounded(_planted([0.0] * 9 + [1.5] * 3, rng))


DEAR = {
    "48 configurations, 5 portraits × 4 texts × 3 seeds": 0.05,
    "steps of 0.2 spreads, 12 configurations, 24 texts": 0.25,
}
PLANTED: Mapping[str, Draw] = {
    "one winner by 1.5 spreads, 12 configurations, 24 texts": partial(_planted, [0.0, *[1.5] * 11]),
    "three within 0.2 spreads, the others 0.5 to 2 worse, 24 texts": partial(
        _planted, [0.0, 0.1, 0.2, *np.linspace(0.5, 2.0, 9)]
    ),
    "steps of 0.2 spreads, 12 configurations, 24 texts": partial(_planted, [*(0.2 * np.arange(12))]),
    "9 of 12 alike, rounded, 24 texts": _many_ties,
    "close, and a tenth of the trials fails, 24 texts": _close_and_failing,
    "steps of 0.3 spreads, 5 portraits × 6 texts that differ in them": partial(
        _planted, [*(0.3 * np.arange(12))], n_portraits=5, n_texts=6, interaction=0.2
    ),
    "48 configurations, 5 portraits × 4 texts × 3 seeds": partial(
        _planted, [*np.linspace(0.0, 3.0, 48)], n_portraits=5, n_texts=4, n_seeds=3, interaction=0.1
    ),
}
NULLS: Mapping[str, Draw] = {
    "2 configurations, normal": partial(_null, n=2),
    "8 configurations, normal": _null,
    "24 configurations, normal": partial(_null, n=24),
    "log-normal": partial(_null, noise=worlds.log_normal),
    "rounded, many ties": _ties,
    "seven in ten differ by nothing but the block": partial(_null, noise=worlds.mostly_zero),
    "a tenth of the clips is ruined": partial(_null, noise=worlds.ruined),
    "two heaps": partial(_null, noise=worlds.heaps),
    "2 configurations, one of them in two heaps": partial(_unlike, noise=worlds.heaps, steady=0.02),
    "4 portraits × 6 texts that differ in them": partial(_null, n_portraits=4, n_texts=6, interaction=0.5),
    "6 portraits × 6 texts that differ in them": partial(_null, n_portraits=6, n_texts=6, interaction=0.5),
    "2 configurations, 5 portraits × 8 texts that differ in them": partial(
        _null, n=2, n_portraits=5, n_texts=8, interaction=0.5
    ),
    "a fifth of the trials fails": _some_fail,
    "one fails where it would be worst": _one_hides,
}

UNLIKE: Mapping[str, Draw] = {
    "2 configurations, one has a long tail": partial(_unlike, noise=worlds.log_normal),
    "8 configurations, half have a long tail": partial(_unlike, n=8, noise=worlds.log_normal),
    "2 configurations, one ruins a clip in ten and is better in the others": partial(
        _unlike, noise=worlds.ruined
    ),
    "8 configurations, half ruin a clip in ten and are better in the others": partial(
        _unlike, n=8, noise=worlds.ruined
    ),
}
RARE: Mapping[str, Draw] = {
    f"{n} configurations, all but the best ruin a clip in ten and are better in the others": partial(
        _rivals_with_rare_faults, n=n
    )
    for n in (2, 12)
}
_UNSEEN = "what is rare and bad looks good until it is seen: nothing but more blocks tells"

_ITSELF: Mapping[str, tuple[str, Asked | None]] = {
    "itself": ("it is the full grid's best by mean", None),
    "plain": ("the same, if all do as many blocks instead", None),
    "beaten": ("configurations that are beaten", None),
}
_ASKED_HALF: Mapping[str, tuple[str, Asked | None]] = {
    "found": ("the full grid's winner, or one not distinguishable from it", FOUND),
    "more": ("more than half of the trials", NEVER),
    "dropped": ("the truly best is dropped", RISK),
    "false winner": ("another than the best is claimed to win", RISK),
    **_ITSELF,
    "whole found": ("without a budget: the winner, or one not distinguishable from it", FOUND),
    "whole dropped": ("without a budget: the truly best is dropped", RISK),
    "whole beaten": ("without a budget: configurations that are beaten", None),
    "whole trials": ("without a budget: share of the trials", None),
}
_ASKED_QUARTER: Mapping[str, tuple[str, Asked | None]] = {
    "found": ("the full grid's winner, or one not distinguishable from it", None),
    "more": ("more than a quarter of the trials", NEVER),
    "dropped": ("the truly best is dropped", RISK),
    "false winner": ("another than the best is claimed to win", RISK),
    **_ITSELF,
}
_ASKED_PROPOSED: Mapping[str, tuple[str, Asked | None]] = {
    "optuna found": ("the full grid's winner, or one not distinguishable from it, Optuna", FOUND),
    "random found": ("the same, at random", FOUND),
    "optuna itself": ("it is the full grid's best by mean, Optuna", None),
    "random itself": ("the same, at random", None),
}
_ASKED_PICK: Mapping[str, tuple[str, Asked | None]] = {
    "pick": ("one picked at random is the full grid's winner, or not distinguishable from it", None),
}
_ASKED_RARE: Mapping[str, tuple[str, Asked | None]] = {
    "dropped": ("the truly best is dropped, as many trials as it takes", RISK),
}
_ASKED_NULL: Mapping[str, tuple[str, Asked | None]] = {
    "half": ("a winner is claimed, half of the trials", RISK),
    "whole": ("a winner is claimed, as many trials as it takes", RISK),
    "beaten": ("any is beaten, as many trials as it takes", None),
}


def _figures(
    asked: Mapping[str, tuple[str, Asked | None]], note: str = ""
) -> Callable[[Outcomes], list[Figure]]:
    def figures(outcomes: Outcomes) -> list[Figure]:
        return [_figure(words, outcomes[name], limit, note) for name, (words, limit) in asked.items()]

    return figures


def _figure(words: str, values: FloatArray, limit: Asked | None, note: str) -> Figure:
    """Return the share of ones, or the mean of what is itself a share."""
    values = values[~np.isnan(values)]
    if np.isin(values, (0.0, 1.0)).all():
        return share(words, values, limit, note)
    error = 1.96 * float(values.std()) / np.sqrt(values.size)
    mean = float(values.mean())
    return Figure(words, mean, mean - error, mean + error, values.size, limit, note)


def _scenarios() -> list[Scenario]:
    again = {case: _from_stored(drawn_again, *grid) for case, grid in STORED.items()}
    found = [
        Scenario(
            f"{title}, {words} of the trials",
            case,
            partial(play_budget, draw, share=part),
            _figures(asked),
            share=DEAR.get(case, 1.0) if part == 0.5 else 0.1,
        )
        for title, cases in (("Stored grids drawn again", again), ("Planted worlds", PLANTED))
        for words, part, asked in (("half", 0.5, _ASKED_HALF), ("a quarter", 0.25, _ASKED_QUARTER))
        for case, draw in cases.items()
    ]
    nulls = dict(NULLS)
    for words, change in (("dealt out at random", shuffled), ("means taken away", levelled)):
        nulls |= {f"{case}: {words}": _from_stored(change, *grid) for case, grid in STORED.items()}
    found += [
        Scenario(
            "Nothing to find",
            case,
            partial(play_null, draw),
            _figures(_ASKED_NULL),
            share=1.0 if case in NULLS else 0.1,
        )
        for case, draw in nulls.items()
    ]
    proposed = {
        f"{case}, {words} of the trials": (
            _from_stored(drawn_again, *STORED[case]),
            SWEEPS[STORED[case][0]]["grid"],
            part,
        )
        for case in list(STORED)[:4:3]
        for words, part in (("half", 0.5), ("a quarter", 0.25))
    }
    proposed["4 × 4 × 3 configurations, smooth, 20 texts, an eighth of the trials"] = (
        _smooth,
        SMOOTH_GRID,
        0.125,
    )
    found += [
        Scenario(
            "Proposed by Optuna and at random",
            case,
            partial(play_proposed, draw, grid=grid, share=part),
            _figures(_ASKED_PROPOSED),
            share=0.05,
        )
        for case, (draw, grid, part) in proposed.items()
    ]
    found += [
        Scenario(
            "Alike in the mean alone",
            case,
            partial(play_null, draw),
            _figures(_ASKED_NULL, _UNSEEN),
            share=0.1,
        )
        for case, draw in UNLIKE.items()
    ]
    found += [
        Scenario(
            "Rivals with rare faults",
            case,
            partial(play_unseen, draw),
            _figures(_ASKED_RARE, _UNSEEN),
            share=0.1,
        )
        for case, draw in RARE.items()
    ]
    return found + [
        Scenario(
            "How easily one is not distinguishable",
            case,
            partial(play_pick, draw),
            _figures(_ASKED_PICK),
            share=DEAR.get(case, 0.1),
        )
        for case, draw in (again | PLANTED).items()
    ]


SCENARIOS = {scenario.name: scenario for scenario in _scenarios()}
