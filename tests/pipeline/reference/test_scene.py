"""Drawn scenes and brand marks in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import RequestError
from pipeline.reference.scene import SCENES, draw_scene, place_mark

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", sorted(SCENES))
def test_scene_is_a_picture_that_stays_the_same(name: str) -> None:
    picture = draw_scene(name, 160, 90)
    assert picture.shape == (90, 160, 3)
    assert 15 < picture.mean() < 240
    np.testing.assert_array_equal(picture, draw_scene(name, 160, 90))


def test_mark_hangs_in_the_corner_that_the_person_leaves_free(tmp_path: Path) -> None:
    mark = tmp_path / "mark.png"
    Image.new("RGBA", (60, 60), (220, 10, 20, 255)).save(mark)
    scene = np.full((120, 200, 3), 128, np.uint8)
    matte = np.zeros((120, 200), np.float32)
    matte[:, :120] = 1
    placed = place_mark(scene, mark, matte)
    red = np.argwhere(np.all(placed == (220, 10, 20), axis=2))
    assert len(red) == 24 * 24  # a fifth of the height
    assert red[:, 1].min() > 120
    assert np.all(placed[60:] == 128)


def test_transparent_parts_of_a_mark_show_the_scene(tmp_path: Path) -> None:
    mark = tmp_path / "mark.png"
    Image.new("RGBA", (60, 60), (220, 10, 20, 0)).save(mark)
    scene = np.full((120, 200, 3), 128, np.uint8)
    np.testing.assert_array_equal(place_mark(scene, mark, np.zeros((120, 200), np.float32)), scene)


def test_mark_that_nobody_would_see_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark.png"
    Image.new("RGB", (60, 60)).save(mark)
    with pytest.raises(RequestError, match="would hide it"):
        place_mark(np.zeros((120, 200, 3), np.uint8), mark, np.ones((120, 200), np.float32))
