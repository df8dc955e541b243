"""Colour distance against the published pairs, and light that is planted and taken out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics.color import (
    estimate_light,
    lab_of,
    linear_of,
    nearest_color,
    rgb_of,
    take_out_light,
)
from evalkit.metrics.color_difference import delta_e

# G. Sharma, W. Wu, E. N. Dalal, Color Research & Application 30(1), 2005, table 1: L*, a*, b* of both, and ΔE00.
PAIRS = (
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615),
    (50.0, 2.8361, -74.0200, 50.0, 0.0, -82.7485, 3.4412),
    (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, -1.1848, -84.8006, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, -0.9009, -85.5211, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
    (50.0, -1.0, 2.0, 50.0, 0.0, 0.0, 2.3669),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0009, 7.1792),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0010, 7.1792),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0011, 7.2195),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0012, 7.2195),
    (50.0, -0.0010, 2.4900, 50.0, 0.0009, -2.4900, 4.8045),
    (50.0, -0.0010, 2.4900, 50.0, 0.0010, -2.4900, 4.8045),
    (50.0, -0.0010, 2.4900, 50.0, 0.0011, -2.4900, 4.7461),
    (50.0, 2.5, 0.0, 50.0, 0.0, -2.5, 4.3065),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 61.0, -5.0, 29.0, 22.8977),
    (50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030),
    (50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535),
    (50.0, 2.5, 0.0, 50.0, 3.1736, 0.5854, 1.0000),
    (50.0, 2.5, 0.0, 50.0, 3.2972, 0.0, 1.0000),
    (50.0, 2.5, 0.0, 50.0, 1.8634, 0.5757, 1.0000),
    (50.0, 2.5, 0.0, 50.0, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
)
WARM = np.array([1.15, 1.0, 0.7])
LEVELS = st.floats(0, 255)
COLOURS = st.tuples(LEVELS, LEVELS, LEVELS)


def test_delta_e_agrees_with_the_published_pairs() -> None:
    table = np.array(PAIRS)
    assert np.abs(delta_e(table[:, :3], table[:, 3:6]) - table[:, 6]).max() < 1e-4
    assert np.abs(delta_e(table[:, 3:6], table[:, :3]) - table[:, 6]).max() < 1e-4


def test_delta_e_agrees_with_scikit_image() -> None:
    from skimage.color import deltaE_ciede2000

    random = np.random.default_rng(0)
    one, other = (random.uniform((0, -100, -100), (100, 100, 100), (20_000, 3)) for _ in range(2))
    near = one + random.normal(0, 2, one.shape)
    for second in (other, near):
        assert np.abs(delta_e(one, second) - deltaE_ciede2000(one, second)).max() < 1e-9


def test_lab_of_the_primaries_is_what_the_standard_gives() -> None:
    # IEC 61966-2-1 primaries and D65: values as published by B. Lindbloom's calculator
    expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    assert np.allclose(lab_of(255 * np.eye(3)), expected, atol=0.02)


def test_each_colour_has_the_nearest() -> None:
    brand = lab_of([[255, 0, 0], [0, 0, 255]])
    nearest, distances = nearest_color(lab_of([[250, 5, 5], [0, 10, 240], [255, 0, 0]]), brand)
    assert nearest.tolist() == [0, 1, 0]
    assert distances[2] == 0


def scene(seed: int = 0) -> np.ndarray:
    """Return grey things and some coloured ones of all hues."""
    random = np.random.default_rng(seed)
    grey = random.uniform(40, 200, (2000, 1)) * np.ones(3)
    coloured = random.uniform(20, 190, (400, 3))
    return np.concatenate([grey, coloured])


def under(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return colours under a light that leaves the luminance of grey as it is."""
    return rgb_of(linear_of(rgb) * light / (light @ (0.2126, 0.7152, 0.0722)))


def test_a_warm_light_is_found_and_taken_out() -> None:
    marks = np.array([[11.0, 79, 138], [200, 30, 40], [120, 120, 120]])
    seen = under(marks, WARM)
    light = estimate_light(under(scene(), WARM))
    assert light == pytest.approx(WARM / WARM.mean(), rel=0.05)
    assert delta_e(lab_of(seen), lab_of(marks)).max() > 8
    assert delta_e(lab_of(take_out_light(seen, light)), lab_of(marks)).max() < 2


def test_a_wrong_colour_stays_wrong_without_the_light() -> None:
    wanted, wrong = np.array([[11.0, 79, 138]]), np.array([[120.0, 40, 138]])
    light = estimate_light(under(scene(), WARM))
    before = delta_e(lab_of(wrong), lab_of(wanted))
    after = delta_e(lab_of(take_out_light(under(wrong, WARM), light)), lab_of(wanted))
    assert after == pytest.approx(before, rel=0.15)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1000, 3)),
        np.full((1000, 3), 255.0),
        np.full((4, 3), (90.0, 80, 70)),
        np.empty((0, 3)),
        np.full((1000, 3), (200.0, 30, 30)),
    ],
    ids=["black", "white", "few", "none", "red_room"],
)
def test_what_tells_nothing_of_the_light_leaves_it_white(pixels: np.ndarray) -> None:
    assert estimate_light(pixels).tolist() == [1.0, 1.0, 1.0]


@given(COLOURS)
def test_white_light_changes_nothing(colour: tuple[float, float, float]) -> None:
    assert np.allclose(take_out_light(np.array(colour), np.ones(3)), colour, atol=1e-6)


@given(COLOURS, COLOURS)
def test_distance_is_symmetric_and_zero_for_the_same(
    one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    first, second = lab_of(one), lab_of(other)
    assert delta_e(first, second) == pytest.approx(delta_e(second, first), abs=1e-9)
    assert delta_e(first, first) == 0
