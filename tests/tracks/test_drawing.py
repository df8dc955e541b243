"""A logo becomes a drawing."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.tracks.drawing import SOFTNESS, WORK_PX, trace_logo


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 4), np.uint8)


def draw_two_colors() -> np.ndarray:
    logo = blank(90, 120)
    logo[20:70, 10:70] = (200, 20, 30, 255)
    logo[20:70, 70:100] = (20, 60, 200, 255)
    return logo


def test_a_drawing_is_trimmed_to_where_it_is() -> None:
    drawing = trace_logo(draw_two_colors())
    width, height = drawing.size_px
    assert width / height == pytest.approx(90 / 50, abs=0.05)
    assert np.sqrt(width * height) == pytest.approx(WORK_PX, rel=0.03)


def test_its_flat_colors_come_apart_largest_first() -> None:
    drawing = trace_logo(draw_two_colors())
    assert drawing.colors.round().tolist() == [[200, 20, 30], [20, 60, 200]]
    amounts = drawing.regions.sum((0, 1))
    assert amounts[0] / amounts[1] == pytest.approx(2, rel=0.03)


def test_the_border_color_of_an_opaque_picture_counts_as_transparent() -> None:
    opaque = draw_two_colors()
    opaque[opaque[..., 3] == 0] = 255
    assert np.abs(trace_logo(opaque).regions - trace_logo(draw_two_colors()).regions).mean() < 0.01


def test_an_opaque_picture_without_a_plain_border_is_all_drawing() -> None:
    rng = np.random.default_rng(0)
    picture = np.dstack([rng.integers(0, 256, (40, 40, 3), np.uint8), np.full((40, 40), 255, np.uint8)])
    drawing = trace_logo(picture)
    assert drawing.ink[drawing.margin_px : -drawing.margin_px].max(1).min() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("color", [(0, 0, 0, 0), (255, 255, 255, 0), (255, 255, 255, 255)])
def test_a_logo_that_shows_nothing_is_refused(color: tuple[int, int, int, int]) -> None:
    logo = blank(60, 60)
    logo[:] = color
    with pytest.raises(UsageError, match="the logo shows nothing"):
        trace_logo(logo)


def test_eight_pixels_are_enough_for_a_drawing() -> None:
    logo = blank(8, 8)
    logo[1:7, 1:7] = (0, 0, 0, 255)
    assert trace_logo(logo).size_px == (WORK_PX, WORK_PX)


def test_a_symmetric_mark_has_no_mirror_image() -> None:
    logo = blank(64, 64)
    logo[8:56, 8:56] = (0, 0, 0, 255)
    assert trace_logo(logo).mirrors == ()


def test_a_one_sided_mark_has_mirror_images() -> None:
    logo = blank(64, 64)
    logo[8:56, 8:24] = (0, 0, 0, 255)
    logo[40:56, 8:56] = (0, 0, 0, 255)
    mirrors = trace_logo(logo).mirrors
    assert len(mirrors) == 2
    assert all(len(at_each) == len(SOFTNESS) for at_each in mirrors)
    assert all(0 <= common < 0.9 for at_each in mirrors for _, common in at_each)
