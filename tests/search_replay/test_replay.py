"""A small part of the replays, with bounds that a fault breaks; all of them: docs/search.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evalkit.stats import sequential
from evalkit.sweeps import race as racing
from evalkit.sweeps.plan import expand_grid
from tests.search_replay.make_grids import FOLDER, SWEEPS
from tests.search_replay.scenarios import NULLS, SCENARIOS, STORED
from tests.search_replay.worlds import drawn_again, levelled, planted, shuffled, stored
from tests.simulation.running import play

if TYPE_CHECKING:
    from evalkit.types import FloatArray

HALF = "Stored grids drawn again, half of the trials: "
NOTHING = "Nothing to find: "


def rates(name: str, n: int = 60) -> dict[str, float]:
    return {outcome: float(values.mean()) for outcome, values in play(SCENARIOS[name], range(n)).items()}


@pytest.mark.parametrize("case", STORED)
def test_half_of_a_stored_grid_finds_what_the_whole_finds(case: str) -> None:
    found = rates(HALF + case)
    assert found["found"] >= 0.95
    assert found["more"] == 0.0
    assert found["dropped"] <= 0.05
    assert found["false winner"] <= 0.05


def test_to_set_aside_finds_the_best_more_often_than_to_do_half_of_everything() -> None:
    found = rates(HALF + "reference generator, steps and guidance, flicker")
    assert found["itself"] >= found["plain"] + 0.2


@pytest.mark.parametrize("case", NULLS)
def test_of_those_that_do_not_differ_none_wins(case: str) -> None:
    found = rates(NOTHING + case, 50)
    assert found["half"] <= 0.1
    assert found["whole"] <= 0.1


# faults that the nulls find


def test_portraits_that_are_taken_as_clips_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def every_clip_its_own(differences: FloatArray, alpha: float, _: object, **options: Any) -> float:
        return sequential.least_difference(differences, alpha, **options)

    monkeypatch.setattr(racing, "least_difference", every_clip_its_own)
    assert rates(NOTHING + "2 configurations, 5 portraits × 8 texts that differ in them")["whole"] >= 0.2


def test_a_rule_without_its_signs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_signs(_: FloatArray) -> float:
        return 0.0

    name = NOTHING + "2 configurations, one of them in two heaps"
    assert rates(name, 300)["half"] <= 0.03
    monkeypatch.setattr(sequential, "sign_flip_tail", no_signs)
    monkeypatch.setattr(sequential, "fewest_pairs", lambda _: 5)
    assert rates(name, 300)["half"] >= 0.06


def test_the_whole_error_at_every_look_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [sequential.Look(n, 0.05) for n in range(6, 25)]
    monkeypatch.setattr(racing, "plan_looks", lambda *_: looks)
    assert rates(NOTHING + "2 configurations, normal", 100)["whole"] >= 0.15


def test_one_that_is_seen_by_its_values_alone_wins_and_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_the_mean(race: racing.Race, place: int, n: int) -> FloatArray:
        row = race._losses[place, :n]
        return np.where(np.isfinite(row), row, row[np.isfinite(row)].mean())

    name = NOTHING + "one fails where it would be worst"
    assert rates(name)["beaten"] <= 0.2
    monkeypatch.setattr(racing.Race, "_filled", take_the_mean)
    assert rates(name)["beaten"] >= 0.3


# the worlds


@pytest.mark.parametrize("grid", STORED.values())
def test_a_grid_that_is_drawn_again_keeps_its_means(grid: tuple[str, str]) -> None:
    world = stored(*grid)
    rng = np.random.default_rng(0)
    again = np.mean([drawn_again(world, rng).filled.mean(axis=1) for _ in range(600)], axis=0)
    spread = world.filled.std()
    assert np.abs(again - world.truth).max() <= 0.1 * spread
    assert drawn_again(world, rng).losses.shape == world.losses.shape


def test_stored_grids_are_whole() -> None:
    shapes = {name: stored(name, "technical.flicker").losses.shape for name in ("steps", "look", "seeds")}
    assert shapes == {"steps": (12, 20), "look": (12, 20), "seeds": (8, 24)}
    assert np.isnan(stored("look", "lip_sync.error").losses).all(axis=1).sum() == 6


@pytest.mark.parametrize("grid", ["steps", "look", "seeds"])
def test_the_rows_of_a_stored_grid_are_in_the_order_of_the_plan(grid: str) -> None:
    table = pd.read_csv(FOLDER / f"{grid}.csv")
    keys = list(SWEEPS[grid]["grid"])
    rows = table[[f"param.{key}" for key in keys]].drop_duplicates().to_dict("split")["data"]
    assert rows == [list(point.values()) for point in expand_grid(SWEEPS[grid]["grid"])]


def test_nothing_distinguishes_what_is_dealt_out_or_levelled() -> None:
    world, rng = stored("steps", "lip_sync.dtw_distance"), np.random.default_rng(1)
    for change in (shuffled, levelled):
        means = np.mean([change(world, rng).losses.mean(axis=1) for _ in range(400)], axis=0)
        assert np.ptp(means) <= 0.1 * np.ptp(world.truth)


def test_planted_means_are_those_of_many_blocks() -> None:
    rng = np.random.default_rng(2)
    means = np.array([0.0, 1.0, 3.0])
    world = planted(rng, means, n_portraits=30, n_texts=60, interaction=0.2)
    found = world.losses.mean(axis=1)
    assert found - found[0] == pytest.approx(means, abs=0.5)


# the machinery


@pytest.mark.parametrize("section", dict.fromkeys(scenario.section for scenario in SCENARIOS.values()))
def test_every_case_can_be_played(section: str) -> None:
    if "Optuna" in section:
        pytest.importorskip("optuna")
    for scenario in SCENARIOS.values():
        if scenario.section == section:
            figures = scenario.figures(play(scenario, range(2)))
            assert figures
            assert all(figure.n <= 2 for figure in figures)


def test_the_table_in_the_documentation_has_every_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        *(["## Missed"] if "## Missed" in page else []),
        *dict.fromkeys(f"## {scenario.section}" for scenario in SCENARIOS.values()),
    ]
    assert all(f"| {scenario.case} |" in page for scenario in SCENARIOS.values())
