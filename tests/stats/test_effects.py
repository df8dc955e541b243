"""Main effects: planted, and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evalkit.stats.effects import main_effects, ordered_levels

GRID = list(itertools.product(["384*256", "688*368"], [2, 3, 4], range(8)))


def grid_values(noise: float) -> np.ndarray:
    """Plant: a step is worth -0.1 (2 to 3) and -0.02 (3 to 4); the size nothing; inputs differ by far more."""
    rng = np.random.default_rng(0)
    of_steps, of_input = {2: 0.5, 3: 0.4, 4: 0.38}, rng.normal(0, 5, 8)
    return np.array([of_steps[steps] + of_input[item] + noise * rng.normal() for _, steps, item in GRID])


def parameters() -> dict[str, list[object]]:
    return {"size": [row[0] for row in GRID], "sample_steps": [row[1] for row in GRID]}


def test_planted_effects_are_found_although_inputs_differ_more() -> None:
    effects = main_effects(grid_values(0.02), parameters(), [row[2] for row in GRID])
    found = {(effect.parameter, effect.before, effect.after): effect for effect in effects}
    assert list(found) == [
        ("size", "384*256", "688*368"),
        ("sample_steps", 2, 3),
        ("sample_steps", 3, 4),
    ]
    for key, truth in zip(found, [0.0, -0.1, -0.02], strict=True):
        interval = found[key].change.interval
        assert interval is not None
        assert found[key].change.value == pytest.approx(truth, abs=0.028)  # four standard errors
        assert interval.high - interval.low < 0.05
    assert [effect.change.n for effect in effects] == [24, 16, 16]


def test_by_hand_with_a_missing_partner() -> None:
    effects = main_effects(
        np.array([4.0, 2.0, 8.0, 7.0, 1.0]), {"steps": [2, 3, 2, 3, 3]}, ["a", "a", "b", "b", "c"]
    )
    assert len(effects) == 1
    # a: 2 - 4 = -2, b: 7 - 8 = -1; c has no partner
    assert effects[0].change.value == -1.5
    assert effects[0].change.interval is None
    assert (effects[0].mean_before, effects[0].n_unpaired) == (6.0, 1)
    assert effects[0].relative_change == -0.25


def test_no_pair_is_a_reason() -> None:
    (effect,) = main_effects(np.array([1.0, 2.0]), {"steps": [2, 3]}, ["a", "b"])
    assert (effect.change.value, effect.change.reason) == (None, "nothing was measured")
    assert effect.relative_change is None


def test_a_single_level_has_no_effect() -> None:
    assert main_effects(np.array([1.0]), {"steps": [2]}, ["a"]) == []


def test_twins_are_refused() -> None:
    with pytest.raises(ValueError, match="two trials have the same parameters"):
        main_effects(np.array([1.0, 2.0]), {"steps": [2, 2]}, ["a", "a"])


def test_levels_keep_their_order_where_they_have_none() -> None:
    assert ordered_levels(["688*368", None, "384*256"]) == ["688*368", None, "384*256"]


def test_numbers_inside_texts_count_as_numbers() -> None:
    assert ordered_levels(["1024*576", "384*256", "384*64"]) == ["384*64", "384*256", "1024*576"]
    assert ordered_levels(["x0.5", "x0.25", "x10", "x"]) == ["x", "x0.25", "x0.5", "x10"]
    assert ordered_levels(["b", "a2", "a10", "2a"]) == ["2a", "a2", "a10", "b"]
    assert ordered_levels([True, False]) == [False, True]
