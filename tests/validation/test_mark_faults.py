"""The mark stands in a corner that no face covers, and each dose takes from it what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import ArrayLike

from evalkit.types import FrameChunk
from evalkit.validation import mark_faults
from evalkit.validation.material import POINTS, Material, Unplantable

BRAND = Path(__file__).parents[2] / "notebooks" / "norrvik" / "brand.yaml"
GREY = 90
WIDTH, HEIGHT = 320, 240
CARD = 235

Marked = Callable[..., np.ndarray]


@pytest.fixture
def marked(make_material: Callable[..., Material]) -> Marked:
    """Return what puts a mark into a grey picture, with a face where it is told."""

    def mark(plant: Callable, dose: float, face_at: ArrayLike = (160.0, 120.0)) -> np.ndarray:
        spread = np.linspace(-20, 20, len(POINTS))
        landmarks = {number: np.add(face_at, (k, -k)) for number, k in zip(POINTS, spread, strict=True)}
        material = make_material(n_frames=2, landmarks=landmarks)
        transform = plant(Material(replace(material.survey, brand_file=str(BRAND))), dose)
        frame = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
        (chunk,) = transform(iter([FrameChunk(0, np.zeros(1), [frame])]))
        return np.asarray(chunk.frames[0], float)

    return mark


def place_of(frame: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns of what is no longer grey."""
    rows, columns = (np.flatnonzero((frame != GREY).any(axis=(2, 1 - axis))) for axis in (0, 1))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def ink_of(frame: np.ndarray) -> float:
    """Return how far the mark stands out from its card, over all of it."""
    return float(np.abs(frame[place_of(frame)] - CARD).sum())


def test_the_mark_stands_in_the_corner_that_the_face_covers_least(marked: Marked) -> None:
    for face_at, is_right in (((60.0, 200.0), True), ((260.0, 60.0), False)):
        rows, columns = place_of(marked(mark_faults.as_drawn, 0.0, face_at))
        assert (columns.start > WIDTH / 2) == is_right
        assert columns.stop - columns.start == pytest.approx(mark_faults.MARK_WIDTH * WIDTH * 1.24, abs=2)
        assert rows.start >= 0


def test_hues_are_turned_by_the_dose_and_nothing_else(marked: Marked) -> None:
    drawn, turned = (
        marked(plant, 40.0).astype(np.float32) / 255
        for plant in (mark_faults.as_drawn, mark_faults.turned_in_hue)
    )
    before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2HSV) for frame in (drawn, turned))
    is_ink = before[..., 1] > 0.9  # wholly the mark's own colour
    assert is_ink.sum() > 20
    move = (after - before)[..., 0][is_ink] % 360
    assert move == pytest.approx(40.0, abs=4)
    assert after[..., 2][is_ink] == pytest.approx(before[..., 2][is_ink], abs=0.02)
    assert np.array_equal(place_of(drawn * 255), place_of(turned * 255))


def test_a_larger_share_covered_leaves_less_and_the_left_as_it_was(marked: Marked) -> None:
    drawn = marked(mark_faults.as_drawn, 0.0)
    half = marked(mark_faults.occluded, 50.0)
    rows, columns = place_of(drawn)
    middle = (columns.start + columns.stop) // 2
    assert np.array_equal(half[rows, columns.start : middle - 2], drawn[rows, columns.start : middle - 2])
    assert (half[rows, middle + 2 : columns.stop] == CARD).all()
    inks = [ink_of(marked(mark_faults.occluded, dose)) for dose in (0.0, 20.0, 40.0, 60.0, 80.0)]
    assert inks == sorted(inks, reverse=True)


def test_a_faded_mark_stands_out_by_the_share_that_is_left(marked: Marked) -> None:
    drawn = ink_of(marked(mark_faults.as_drawn, 0.0))
    for dose in (20.0, 60.0, 95.0):
        assert ink_of(marked(mark_faults.faded, dose)) / drawn == pytest.approx(1 - dose / 100, abs=0.03)


def test_no_brand_and_no_picture_are_reasons(make_material: Callable[..., Material]) -> None:
    with pytest.raises(Unplantable, match="no brand"):
        mark_faults.faded(make_material(n_frames=2, landmarks={}), 20.0)
    with pytest.raises(Unplantable, match="no picture"):
        mark_faults.faded(make_material(np.zeros((10, 1))), 20.0)
