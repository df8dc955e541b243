"""What the bundled model is trained and judged on: drawings drawn here, never the icons themselves."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import matplotlib as mpl
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "training" / "brand"
MODULES = ("data", "views", "compose", "wordmarks")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Import the scripts as they import each other: by bare names, from their own folder."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield {name: import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


def make_mark(training: dict[str, Any]) -> Any:
    alpha = np.zeros((112, 80), np.uint8)
    cv2.circle(alpha, (40, 40), 36, 255, -1)
    cv2.rectangle(alpha, (4, 80), (40, 108), 255, -1)
    return training["data"].Mark("drawn", "Drawn", (210, 30, 40), alpha)


@pytest.mark.parametrize(
    "slug", ["adidas", "apple", "applemusic", "bmw", "dhl", "fedex", "ferrari", "googlechrome"]
)
def test_the_brands_of_the_photographs_are_never_trained_on(training: dict[str, Any], slug: str) -> None:
    assert training["data"].is_held_out(slug)


def test_about_a_tenth_is_held_out_and_always_the_same(training: dict[str, Any]) -> None:
    names = [f"brand {number}" for number in range(2000)]
    held_out = [name for name in names if training["data"].is_held_out(name)]
    assert 0.08 < len(held_out) / len(names) < 0.12
    assert held_out[:3] == ["brand 4", "brand 6", "brand 10"]


def test_an_easy_view_shows_the_drawing_and_a_hard_one_differs(training: dict[str, Any]) -> None:
    views, mark = training["views"].Views(0, 5), make_mark(training)
    easy = [views.draw(mark, False, 0.0).astype(float).mean(2) for _ in range(8)]
    plain = cv2.resize(np.pad(mark.alpha, ((0, 0), (16, 16))), (64, 64)).astype(float)
    likeness = [abs(np.corrcoef(view.ravel(), plain.ravel())[0, 1]) for view in easy]
    hard = [views.draw(mark, False, 1.0).astype(float).mean(2) for _ in range(8)]
    likeness_of_hard = [abs(np.corrcoef(view.ravel(), plain.ravel())[0, 1]) for view in hard]
    assert np.median(likeness) > 0.6
    assert np.median(likeness_of_hard) < np.median(likeness)


def test_composed_scenes_have_one_of_each_kind(training: dict[str, Any]) -> None:
    compose, rng = training["compose"], np.random.default_rng(0)
    logo = compose.as_logo(make_mark(training))
    other = np.zeros((60, 60, 4), np.uint8)
    other[10:50, 10:50] = (10, 10, 200, 255)
    walls = lambda: np.full((180, 320, 3), 225, np.uint8)  # noqa: E731 - a wall is a wall
    scenes = compose.compose(rng, walls, logo, [("other", other)], n_right=1, n_none=1, sides=True)
    assert [scene.kind for scene in scenes] == [
        "right", "none", "other", "hue", "hue", "mirrored", "cropped", "cropped",
    ]  # fmt: skip
    x0, y0, x1, y1 = (round(value) for value in scenes[0].box)
    inside = scenes[0].picture[y0:y1, x0:x1].reshape(-1, 3).astype(float)
    assert np.abs(np.median(inside[inside[:, 1] < 120], 0) - (210, 30, 40)).max() < 45
    assert scenes[1].box is None
    assert 0.05 * 320 - 1 <= x1 - x0 <= 0.15 * 320 + 1


def test_a_cropped_mark_has_lost_half_of_its_ink(training: dict[str, Any]) -> None:
    compose = training["compose"]
    logo = compose.as_logo(make_mark(training))
    for seed in range(6):
        cut = compose.crop_away(np.random.default_rng(seed), logo)
        assert 0.4 < cut[..., 3].sum() / logo[..., 3].sum() < 0.6


def test_typefaces_of_figures_are_not_those_of_fits(training: dict[str, Any]) -> None:
    wordmarks = training["wordmarks"]
    assert not set(wordmarks.FIT) & set(wordmarks.FIGURES)


@pytest.mark.parametrize("kind", ["word", "lockup", "oval", "frame", "plate"])
def test_a_wordmark_is_its_word_and_what_stands_around_it(training: dict[str, Any], kind: str) -> None:
    mark = make_mark(training)
    font = Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    draw = training["wordmarks"].draw_wordmark
    drawn, plain = (draw(np.random.default_rng(4), mark, [font], what) for what in (kind, "word"))
    found, logo, share = drawn
    assert found == kind
    height, width = logo.shape[:2]
    tall, wide = plain[1].shape[:2]
    assert share == pytest.approx(tall / height, rel=0.02)
    cover = (logo[..., 3] > 128).mean()
    if kind == "word":
        assert (width, height, share) == (wide, tall, 1.0)
    elif kind == "lockup":
        assert width > wide + 0.5 * tall  # the sign stands before it
        top = (height - tall) // 2
        assert np.array_equal(logo[top : top + tall, -wide:, 3], plain[1][..., 3])
    else:
        assert width > wide
        assert height > 1.5 * tall
        assert (cover > 0.6) == (kind == "plate")
    assert logo[logo[..., 3] > 128][:, :3].tolist().count([210, 30, 40]) > 0


def test_no_mark_is_too_small_to_read(training: dict[str, Any]) -> None:
    compose, rng = training["compose"], np.random.default_rng(0)
    long = np.full((20, 160, 4), 255, np.uint8)
    for least in (8.0, 14.0):
        box = compose.choose_place(
            rng, np.zeros((368, 688, 3), np.uint8), long, (0.05, 0.06), sides=True, least_tall_px=least
        )
        assert box[3] - box[1] == pytest.approx(least)
