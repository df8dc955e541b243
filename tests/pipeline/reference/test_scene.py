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


def test_mark_hangs_where_the_person_leaves_room(tmp_path: Path) -> None:
    mark = tmp_path / "mark.png"
    Image.new("RGBA", (60, 60), (220, 10, 20, 255)).save(mark)
    scene = np.full((120, 200, 3), 128, np.uint8)
    matte = np.zeros((120, 200), np.float32)
    matte[:, :120] = 1
    placed = place_mark(scene, mark, matte)
    red = np.argwhere(np.abs(placed.astype(int) - (220, 10, 20)).max(2) < 60)
    assert 22 * 22 <= len(red) <= 24 * 24  # a fifth of the height, its outline a little soft
    assert red[:, 1].min() > 120
    assert np.all(placed[60:] == 128)


def test_mark_hangs_on_a_calm_wall_and_throws_a_shadow(tmp_path: Path) -> None:
    """A mark that lies sharp and unlit over whatever is there looks like a sticker on the lens."""
    mark = tmp_path / "mark.png"
    Image.new("RGBA", (60, 60), (220, 10, 20, 255)).save(mark)
    scene = np.full((240, 400, 3), 150, np.uint8)
    scene[::4, :200] = 90  # shelves on the left
    placed = place_mark(scene, mark, np.zeros((240, 400), np.float32)).astype(int)
    ys, xs = np.nonzero(placed[..., 0] - placed[..., 1] > 150)
    assert xs.min() > 200
    edge = placed[(ys.min() + ys.max()) // 2, xs.min() - 3 : xs.min() + 4, 1]
    assert np.unique(edge).size >= 4  # no hard cut
    under = placed[ys.max() + 2 : ys.max() + 5, xs.min() + 5 : xs.max()].mean()
    assert 100 < under < 145


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
