"""From evidence to fidelity."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu

from evalkit.metrics import brand

N_LINKS = len(brand.EVIDENCE)
LINKS = arrays(float, (1, N_LINKS), elements=st.floats(-20, 20))


@given(links=LINKS, which=st.integers(0, N_LINKS - 1), more=st.floats(0, 10))
def test_the_score_never_falls_when_a_link_gets_better(links: np.ndarray, which: int, more: float) -> None:
    better = links.copy()
    better[0, which] += more
    before, after = (brand.chain_score(item, brand.CHAIN)[0] for item in (links, better))
    assert after >= before - 1e-9 * abs(before)


@given(links=LINKS)
def test_the_score_is_a_finite_number_however_bad_the_evidence(links: np.ndarray) -> None:
    assert np.isfinite(brand.chain_score(links, brand.CHAIN)).all()


def test_one_broken_link_breaks_the_chain() -> None:
    chain = brand.Chain((0.0,) * N_LINKS, (1.0,) * N_LINKS)
    links = np.full((N_LINKS, N_LINKS), 8.0)
    np.fill_diagonal(links, -8.0)
    assert (brand.chain_score(links, chain) < -7.9).all()


def test_no_evidence_has_no_score() -> None:
    assert brand.chain_score(np.empty((0, N_LINKS)), brand.CHAIN).shape == (0,)


def test_a_fitted_chain_finds_the_link_that_tells_right_from_wrong() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.normal(0, 1, (400, N_LINKS))
    right = (np.arange(400) % 2).astype(float)
    evidence[:, 2] = right * 4 + rng.normal(0, 0.5, 400)
    chain = brand.fit_chain(evidence, right)
    scores = brand.chain_score(evidence, chain)
    assert brand.area_under_curve(scores[right > 0.5], scores[right < 0.5]) > 0.99
    assert 0.5 < chain.thresholds[2] < 3.5


def fidelity_at(score: float, mapping: tuple[float, float]) -> float:
    return float(1 / (1 + np.exp(-(mapping[0] * score + mapping[1]))))


def test_the_anchors_of_the_mapping_get_their_fidelities() -> None:
    # the 20th percentile of 2.2..7.2 in steps of 0.05 is 3.2, the 95th of -3.5..1.5 is 1.25
    mapping = brand.fit_mapping(np.linspace(2.2, 7.2, 101), np.linspace(-3.5, 1.5, 101))
    assert fidelity_at(3.2, mapping) == pytest.approx(brand.CLEAN)
    assert fidelity_at(1.25, mapping) == pytest.approx(brand.WRONG)


def test_anchors_the_wrong_way_round_are_taken_apart_evenly() -> None:
    mapping = brand.fit_mapping(np.full(9, 3.0), np.full(9, 4.0))
    assert fidelity_at(3.5 + brand.NEAREST / 2, mapping) == pytest.approx(brand.CLEAN)
    assert fidelity_at(3.5 - brand.NEAREST / 2, mapping) == pytest.approx(brand.WRONG)


def test_a_mark_that_calibration_never_found_does_not_pass_on_poor_evidence() -> None:
    mapping = brand.fit_mapping(np.full(9, -30.0), np.full(9, -3.0))
    assert fidelity_at(brand.LEAST - 1, mapping) < brand.PASS


def test_easy_wrong_scenes_do_not_make_the_mapping_lenient() -> None:
    mapping = brand.fit_mapping(np.full(9, 3.0), np.full(9, -40.0))
    assert fidelity_at(3.0 - brand.FARTHEST, mapping) == pytest.approx(brand.WRONG)


@given(with_mark=st.lists(st.floats(-50, 30), min_size=1), without=st.lists(st.floats(-50, 30), min_size=1))
def test_fidelity_always_rises_with_the_score(with_mark: list[float], without: list[float]) -> None:
    slope, _ = brand.fit_mapping(np.array(with_mark), np.array(without))
    assert slope > 0


def test_a_calibration_survives_json() -> None:
    made = brand.Calibration(
        1.5, 0.2, 0.1, 0.9, (0.9, 0.95), (0.1,), (0.8,), (0.2,), ("drawn mark 3",), (0.1,), 1
    )
    assert brand.Calibration.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_cosines_are_put_between_absent_and_present() -> None:
    assert brand.standardise(np.array([0.2, 0.5, 0.8]), 0.2, 0.8) == pytest.approx([0, 0.5, 1])


def test_a_region_fit_is_the_least_squares_of_numpy() -> None:
    rng = np.random.default_rng(1)
    regions, patch = rng.random((60, 2)), rng.uniform(0, 255, (60, 3)).astype(np.float32)
    share, colors, rest = brand.RegionFit(regions, 0.0)(patch)
    solved, squares, *_ = np.linalg.lstsq(np.column_stack([np.ones(60), regions]), patch, rcond=None)
    assert share == pytest.approx(1 - squares.sum() / ((patch - patch.mean(0)) ** 2).sum(), abs=1e-4)
    assert colors[0] == pytest.approx(solved[0], abs=0.05)
    assert colors[2] == pytest.approx(solved[0] + solved[2], abs=0.05)
    assert (rest**2).sum() == pytest.approx(squares.sum(), rel=1e-4)


def test_a_plain_wall_explains_nothing() -> None:
    fit = brand.RegionFit(np.linspace(0, 1, 50)[:, None], 48.0)
    share, _, _ = fit(np.full((50, 3), 120, np.float32))
    assert share == 0


@given(
    present=st.lists(st.integers(-5, 5), min_size=1, max_size=20),
    absent=st.lists(st.integers(-5, 5), min_size=1, max_size=20),
)
def test_the_area_is_that_of_mann_and_whitney(present: list[int], absent: list[int]) -> None:
    statistic = mannwhitneyu(present, absent, method="asymptotic").statistic
    assert brand.area_under_curve(present, absent) == pytest.approx(statistic / len(present) / len(absent))


@pytest.mark.parametrize(
    ("read", "wanted", "likeness"),
    [
        ("FedEx", "fedex", 1.0),
        ("1-800 CALL-DHL", "DHL", 1.0),  # one of its words
        ("Open Air Bank today", "open air", 1.0),
        ("N O R R V I K", "Norrvik", 1.0),
        ("N0rrv1k", "Norrvik", 1.0),  # letters that look the same
        ("Gogle", "Google", (5 / 6 - 0.6) / 0.4),  # one letter of six is missing
        ("springs", "ring", 0.0),  # a part of a word is no word
        ("Express", "FedEx", 0.0),
        ("", "FedEx", 0.0),
        ("a", "A", 0.0),  # one letter stands everywhere
        ("华为手机", "华为手机", 1.0),
    ],
)
def test_a_line_says_a_word(read: str, wanted: str, likeness: float) -> None:
    assert brand.word_likeness(read, wanted) == pytest.approx(likeness)


@pytest.mark.parametrize(
    ("letters", "likeness"),
    [
        (["W", "B", "M"], 1.0),
        (["M", "B", "M"], 1.0),  # one of them stands on its head
        (["B", "M", "Q", "7"], (2 / 3 - 0.6) / 0.4),
        (["M", "M", "M"], 0.0),
        ([], 0.0),
    ],
)
def test_letters_one_by_one_make_a_word(letters: list[str], likeness: float) -> None:
    assert brand.letters_likeness(letters, "BMW") == pytest.approx(likeness)
