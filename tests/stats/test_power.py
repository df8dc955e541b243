"""Effect size and sample size, against published tables and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.power import effect_size, fewest_pairs, minimum_detectable_effect, n_pairs_needed


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_needed_are_the_textbooks(effect: float, n: int) -> None:
    """G*Power 3.1, "means: difference between two dependent means", two-sided, alpha 0.05, power 0.80."""
    assert n_pairs_needed(1.0, effect) == n
    assert n_pairs_needed(1.0, -effect) == n
    assert n_pairs_needed(10.0, 10 * effect) == n


@pytest.mark.parametrize("n", [5, 34, 400])
def test_detectable_effect_is_the_inverse(n: int) -> None:
    effect = minimum_detectable_effect(2.0, n)
    assert effect is not None
    assert n_pairs_needed(2.0, effect * 1.0001) == max(n, 6)


def test_detectable_effect_is_found_as_often_as_promised() -> None:
    from scipy.stats import ttest_1samp

    effect = minimum_detectable_effect(1.0, 12)
    assert effect is not None
    values = np.random.default_rng(0).normal(effect, 1.0, (4000, 12))
    assert (ttest_1samp(values, 0.0, axis=1).pvalue <= 0.05).mean() == pytest.approx(0.8, abs=0.02)


def test_what_cannot_be_found() -> None:
    assert n_pairs_needed(1.0, 0.0) is None
    assert n_pairs_needed(1.0, 1e-6) is None
    assert minimum_detectable_effect(1.0, 1) is None
    assert minimum_detectable_effect(0.0, 4) == 0.0


def test_never_fewer_than_signs_can_tell() -> None:
    assert n_pairs_needed(0.0, 1.0) == fewest_pairs(0.05) == 6
    assert n_pairs_needed(0.01, 5.0) == 6


def test_effect_size_by_hand() -> None:
    # mean 2, standard deviation 1, three values: 2 · sqrt(2/2) · Γ(1)/Γ(1/2) = 2 / sqrt(pi)
    assert effect_size(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / np.sqrt(np.pi))


def test_effect_size_has_no_bias() -> None:
    rng = np.random.default_rng(1)
    sizes = [effect_size(rng.normal(0.5, 1.0, 6)) for _ in range(4000)]
    assert np.mean([size for size in sizes if size is not None]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, 2.0], [3.0, 3.0, 3.0]])
def test_effect_size_without_spread_has_no_meaning(differences: list[float]) -> None:
    assert effect_size(np.array(differences)) is None
