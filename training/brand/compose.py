"""Scenes with a mark as it should be, harmed, another one or none: for fitting the chain of evidence and for figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evalkit.tracks.mark_scenes import film, has_hue, place_mark, turn_hue

if TYPE_CHECKING:
    from collections.abc import Callable

    from data import Mark
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
WRONG = ("none", "other", "alike", "hue", "mirrored", "cropped")


LEAST_TALL_PX = 8.0
"""No mark, and no letters of one, are less tall: nobody reads fewer pixels, whatever share of the width they take."""


@dataclass(frozen=True)
class Scene:
    """A filmed scene: what was done, and where the mark is (None where there is none)."""

    kind: str
    picture: NDArray[np.uint8]
    box: Box | None
    amount: float = 0.0


def as_logo(mark: Mark, color: tuple[int, int, int] | None = None) -> NDArray[np.uint8]:
    """Return a drawing as RGBA in a colour, its brand's unless told."""
    logo = np.empty((*mark.alpha.shape, 4), np.uint8)
    logo[..., :3] = mark.color if color is None else color
    logo[..., 3] = mark.alpha
    return logo


def is_mirror_symmetric(logo: NDArray[np.uint8]) -> bool:
    """Say whether a mirrored logo is (nearly) the logo."""
    alpha = cv2.GaussianBlur(logo[..., 3], (0, 0), 1.0).astype(float)
    return bool(np.corrcoef(alpha.ravel(), alpha[:, ::-1].ravel())[0, 1] > 0.97)


def is_visible(
    scene: NDArray[np.uint8], box: Box, logo: NDArray[np.uint8], least: float = 70.0, busiest: float = 60.0
) -> bool:
    """Say whether a logo's colour differs enough from what is where it would come, and that is not too busy."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in box)
    behind = scene[y0:y1, x0:x1].reshape(-1, 3).astype(float)
    drawn = logo[logo[..., 3] > 128][:, :3].astype(float)
    apart = np.abs(np.median(behind, 0) - np.median(drawn, 0)).max() > least
    return bool(apart and behind.std(0).max() < busiest)


def choose_place(
    rng: np.random.Generator,
    scene: NDArray[np.uint8],
    logo: NDArray[np.uint8],
    share: tuple[float, float],
    *,
    sides: bool,
    least_tall_px: float = LEAST_TALL_PX,
) -> Box:
    """Choose where a logo goes: of a share of the width, beside a person in the middle if told, not less tall than is told."""
    height, width = scene.shape[:2]
    aspect = logo.shape[1] / logo.shape[0]
    wide = width * rng.uniform(*share)
    wide = max(wide, min(least_tall_px * aspect, 0.24 * width))
    wide = min(wide, 0.5 * height * aspect)
    tall = wide / aspect
    if sides:
        span = max(0.26 * width - wide, 4)
        left = rng.uniform(3, 3 + span)
        left = width - wide - left if rng.random() < 0.5 else left
        top = rng.uniform(3, max(4, 0.6 * height - tall))
    else:
        left, top = rng.uniform(3, width - wide - 3), rng.uniform(3, height - tall - 3)
    return left, top, left + wide, top + tall


def show(
    scene: NDArray[np.uint8], logo: NDArray[np.uint8], box: Box, opacity: float = 1.0
) -> NDArray[np.uint8]:
    """Put a logo into a box of a scene."""
    return place_mark(scene, logo, left_px=box[0], top_px=box[1], width_px=box[2] - box[0], opacity=opacity)


def crop_away(rng: np.random.Generator, logo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a logo with half of its ink (by area) cut off at one side."""
    cut = logo.copy()
    side = int(rng.integers(4))
    axis = side % 2
    amounts = np.cumsum(logo[..., 3].sum(axis).astype(float))
    at = int(np.searchsorted(amounts, amounts[-1] / 2))
    keep = slice(at, None) if side < 2 else slice(None, at)
    gone = np.ones(logo.shape[1 - axis], bool)
    gone[keep] = False
    if axis == 0:
        cut[:, gone, 3] = 0
    else:
        cut[gone, :, 3] = 0
    return cut


def compose(
    rng: np.random.Generator,
    draw: Callable[[], NDArray[np.uint8]],
    logo: NDArray[np.uint8],
    others: list[tuple[str, NDArray[np.uint8]]],
    *,
    n_right: int = 4,
    n_none: int = 2,
    sides: bool = False,
    share: tuple[float, float] = (0.05, 0.15),
    least_tall_px: float = LEAST_TALL_PX,
) -> list[Scene]:
    """Compose scenes for one logo: right, none, others, hue-shifted, mirrored (unless symmetric) and cropped away."""

    def room(shown: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Box]:
        for _ in range(12):
            scene = draw()
            box = choose_place(rng, scene, shown, share, sides=sides, least_tall_px=least_tall_px)
            if is_visible(scene, box, shown):
                return scene, box
        x0, y0, x1, y1 = (round(value) for value in box)  # a plain plate behind it
        drawn = np.median(shown[shown[..., 3] > 128][:, :3].astype(float), 0)
        pad = round(0.15 * (y1 - y0)) + 2
        scene[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad] = 240 if drawn.mean() < 128 else 20
        return scene, box

    scenes = []
    for _ in range(n_right):
        scene, box = room(logo)
        scenes.append(Scene("right", film(show(scene, logo, box), rng), box))
    scenes += [Scene("none", film(draw(), rng), None) for _ in range(n_none)]
    harmed = list(others)
    if has_hue(logo):
        harmed += [("hue", turn_hue(logo, rng.uniform(60, 300))) for _ in range(2)]
    if not is_mirror_symmetric(logo):
        harmed.append(("mirrored", np.ascontiguousarray(logo[:, ::-1])))
    harmed += [("cropped", crop_away(rng, logo)) for _ in range(2)]
    for kind, shown in harmed:
        scene, box = room(shown)
        scenes.append(Scene(kind, film(show(scene, shown, box), rng), box))
    return scenes
