"""Effect size and sample size, against published tables and by simulation."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from evalkit.stats.power import (
    attempts_to_show,
    attempts_to_stay_below,
    clips_to_pass,
    effect_size,
    fewest_pairs,
    minimum_detectable_effect,
    n_pairs_needed,
    power_to_find,
    power_to_pass,
    power_to_stay_below,
)


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


@pytest.mark.parametrize("n", [20, 34, 80])
def test_a_difference_is_found_as_often_as_promised_at_the_first_look(n: int) -> None:
    from scipy.stats import ttest_1samp

    effect = minimum_detectable_effect(0.08, n, alpha=0.04)
    assert effect is not None
    values = np.random.default_rng(n).normal(effect, 0.08, (4000, n))
    found = (ttest_1samp(values, 0.0, axis=1).pvalue <= 0.04).mean()
    assert found == pytest.approx(power_to_find(0.08, -effect, n, alpha=0.04), abs=0.02)


@pytest.mark.parametrize(("mean", "n"), [(0.25, 20), (0.27, 40), (0.30, 30), (0.33, 19)])
def test_a_release_passes_a_gate_as_often_as_promised(mean: float, n: int) -> None:
    """The one-sided end of Student's interval of 4,000 releases; right at the limit 2.5 % pass."""
    from scipy.stats import t

    values = np.random.default_rng(n).normal(mean, 0.07, (4000, n))
    end = values.mean(axis=1) + t.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    assert (end <= 0.30).mean() == pytest.approx(power_to_pass((-inf, 0.30), mean, 0.07, n), abs=0.02)


def test_a_band_is_passed_at_both_ends() -> None:
    from scipy.stats import t

    values = np.random.default_rng(0).normal(5.0, 4.0, (4000, 30))
    half = t.ppf(0.975, 29) * values.std(axis=1, ddof=1) / np.sqrt(30)
    inside = (values.mean(axis=1) - half >= 3.0) & (values.mean(axis=1) + half <= 7.0)
    assert inside.mean() == pytest.approx(power_to_pass((3.0, 7.0), 5.0, 4.0, 30), abs=0.02)
    assert power_to_pass((3.0, inf), 5.0, 4.0, 30) > inside.mean() + 0.1


@pytest.mark.parametrize("alpha", [0.025, 0.025 / 9])
@pytest.mark.parametrize("mean", [0.2, 0.25, 0.29])
def test_clips_to_pass_are_the_fewest_with_that_chance(mean: float, alpha: float) -> None:
    n = clips_to_pass((-inf, 0.30), mean, 0.07, alpha=alpha)
    assert n is not None
    assert power_to_pass((-inf, 0.30), mean, 0.07, n, alpha=alpha) >= 0.9
    assert power_to_pass((-inf, 0.30), mean, 0.07, n - 1, alpha=alpha) < 0.9


def test_clips_to_pass_where_nothing_or_everything_passes() -> None:
    assert clips_to_pass((-inf, 0.30), 0.30, 0.07) is None
    assert clips_to_pass((-inf, 0.30), 0.4, 0.07) is None
    assert clips_to_pass((-inf, 0.30), 0.2999999, 0.07) is None
    assert clips_to_pass((-inf, 0.30), 0.1, 0.0, fewest=19) == 19
    assert power_to_pass((-inf, 0.30), 0.1, 0.07, 1) == 0.0


@pytest.mark.parametrize(("share", "n"), [(0.005, 598), (0.1, 29), (0.15, 19), (0.5, 5)])
def test_attempts_that_show_a_share(share: float, n: int) -> None:
    """By hand: the chance of no failure, (1 - share) to the n, falls below 5 % at n."""
    assert attempts_to_show(share) == n
    assert (1 - share) ** n <= 0.05 < (1 - share) ** (n - 1)
    assert attempts_to_stay_below(share, 0.0) == n


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, float("nan")])
def test_no_number_of_attempts_shows_that_none_ever_fails(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        attempts_to_show(share)


@pytest.mark.parametrize(("limit", "share"), [(0.1, 0.02), (0.15, 0.05), (0.3, 0.2), (0.05, 0.049)])
def test_a_share_is_shown_by_the_first_number_that_clopper_and_pearson_grant(
    limit: float, share: float
) -> None:
    """Every n is tried, with the bound of scipy's own interval."""
    from scipy.stats import binom, binomtest

    def chance(n: int) -> float:
        allowed = -1
        while binomtest(allowed + 1, n, alternative="less").proportion_ci(0.95).high <= limit:
            allowed += 1
        return float(binom.cdf(allowed, n, share))

    most = 90
    tried = [chance(n) for n in range(1, most)]
    assert [power_to_stay_below(limit, share, n) for n in range(1, most)] == pytest.approx(tried)
    first = next((n for n, found in enumerate(tried, 1) if found >= 0.9), None)
    needed = attempts_to_stay_below(limit, share)
    assert needed == first if first is not None else needed is None or needed >= most


def test_a_share_at_its_limit_is_never_shown() -> None:
    assert attempts_to_stay_below(0.005, 0.005) is None
    assert attempts_to_stay_below(0.3, 0.29999) is None  # more than a million
    assert power_to_stay_below(0.005, 0.005, 2000) <= 0.05
