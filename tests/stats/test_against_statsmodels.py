"""Corrections and power, against statsmodels: a development dependency alone."""

from __future__ import annotations

from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.power import (
    clips_to_pass,
    fewest_pairs,
    minimum_detectable_effect,
    n_pairs_needed,
    power_to_find,
    power_to_pass,
)
from evalkit.stats.randomisation import holm

multitest = pytest.importorskip("statsmodels.stats.multitest")
power = pytest.importorskip("statsmodels.stats.power")


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_holm(p_values: list[float]) -> None:
    theirs = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(theirs.tolist(), abs=1e-12)


@pytest.mark.parametrize("n", [6, 12, 40, 300])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 40])
def test_the_detectable_effect_has_the_power_it_says(n: int, alpha: float) -> None:
    effect = minimum_detectable_effect(2.0, n, alpha=alpha)
    assert effect is not None
    assert power.TTestPower().power(effect / 2.0, n, alpha) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("effect", np.geomspace(0.05, 1.5, 8).tolist())
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 40])
def test_the_number_of_pairs(effect: float, alpha: float) -> None:
    theirs = power.TTestPower().solve_power(effect_size=effect, alpha=alpha, power=0.8)
    assert n_pairs_needed(1.0, effect, alpha=alpha) == max(fewest_pairs(alpha), ceil(theirs - 1e-6))


@pytest.mark.parametrize("n", [2, 20, 57])
@pytest.mark.parametrize("effect", [0.1, 0.5, 2.0])
def test_the_chance_to_find_a_difference(n: int, effect: float) -> None:
    """Theirs counts a find with the wrong sign too: that is what Student's other tail adds."""
    other = power.TTestPower().power(-effect, n, 0.02, alternative="larger")
    theirs = power.TTestPower().power(effect, n, 0.04)
    assert power_to_find(1.0, effect, n, alpha=0.04) == pytest.approx(theirs - other, abs=1e-6)


@pytest.mark.parametrize("mean", [0.2, 0.25, 0.28])
def test_the_chance_to_pass_a_gate(mean: float) -> None:
    ratio = (0.30 - mean) / 0.07
    theirs = power.TTestPower().power(ratio, 25, 0.025, alternative="larger")
    assert power_to_pass((-inf, 0.30), mean, 0.07, 25) == pytest.approx(theirs, abs=1e-6)
    n = power.TTestPower().solve_power(ratio, alpha=0.025, power=0.9, alternative="larger")
    assert clips_to_pass((-inf, 0.30), mean, 0.07) == ceil(n - 1e-6)
