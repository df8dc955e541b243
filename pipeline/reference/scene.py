"""Rooms to put behind a person: drawn, then thrown out of focus as a portrait lens would."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Float32Array = NDArray[np.float32]
    Colour = tuple[float, float, float] | NDArray[np.float64]

_MARK_SHARE = (0.2, 0.2)  # of the picture's width and height that a brand mark may take
_MARGIN = 0.05
_MOST_HIDDEN = 0.5
_CONTRAST = 0.4  # unrest of the wall that one of contrast makes up for
_MARK_BLUR = 0.0022  # of the picture's height
_MARK_LIGHT = (0.93, 1.04)
_SHADOW_DROP, _SHADOW_DEPTH = 0.006, 0.4  # of the picture's height; of the light on the wall


class _Canvas:
    """A picture with places from 0 to 1 along each side; colours from 0 to 1."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.pixels: Float32Array = np.zeros((height, width, 3), np.float32)
        self.random = np.random.default_rng(seed)

    def fade(self, above: Colour, below: Colour) -> None:
        """Fill from one colour at the top to another at the bottom."""
        share = np.linspace(0, 1, self.pixels.shape[0], dtype=np.float32)[:, None, None]
        self.pixels[:] = np.array(above, np.float32) * (1 - share) + np.array(below, np.float32) * share

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        height, width = self.pixels.shape[:2]
        rows = slice(round(top * height), round(bottom * height))
        self.pixels[rows, round(left * width) : round(right * width)] = colour

    def glow(self, x: float, y: float, radius: float, colour: Colour, power: float = 1.0) -> None:
        """Add soft light; the radius is a share of the height."""
        height, width = self.pixels.shape[:2]
        ys, xs = np.ogrid[:height, :width]
        distance = np.hypot(xs - x * width, ys - y * height) / (radius * height)
        self.pixels += (power * np.exp(-(distance**2)))[..., None].astype(np.float32) * np.array(
            colour, np.float32
        )

    def disc(self, x: float, y: float, radius: float, colour: Colour, cover: float) -> None:
        """Lay a disc of light over, as points out of focus are."""
        height, width = self.pixels.shape[:2]
        ys, xs = np.ogrid[:height, :width]
        distance = np.hypot(xs - x * width, ys - y * height) / (radius * height)
        mask = (cover * np.clip((1 - distance) * 12, 0, 1))[..., None].astype(np.float32)
        self.pixels = self.pixels * (1 - mask) + np.array(colour, np.float32) * mask


def draw_scene(name: str, width: int, height: int) -> Picture:
    """Draw a scene of `SCENES`, shape (height, width, 3), RGB; always the same for a name and a size."""
    import cv2

    canvas = _Canvas(width, height, zlib.crc32(name.encode()))
    softness = SCENES[name](canvas)
    blurred = cv2.GaussianBlur(canvas.pixels, (0, 0), max(0.6, softness * height))
    ys, xs = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    blurred *= (1 - 0.13 * (xs**2 + ys**2))[..., None].astype(np.float32)
    grain = canvas.random.normal(0, 0.006, (height, width, 1)).astype(np.float32)
    picture: Picture = np.clip((blurred + grain) * 255, 0, 255).astype(np.uint8)
    return picture


def place_mark(scene: Picture, mark_path: Path, matte: Float32Array) -> Picture:
    """Hang a brand mark on the wall behind the person, where the wall is calm and the person hides it least.

    It is lit as the wall is, nearly as far out of focus, and throws a soft shadow.

    Raises
    ------
    RequestError
        If the mark cannot be read, or the person leaves no room for it.
    """
    import cv2

    mark = _read_mark(mark_path)
    height, width = scene.shape[:2]
    factor = min(_MARK_SHARE[0] * width / mark.shape[1], _MARK_SHARE[1] * height / mark.shape[0])
    wide, high = max(1, round(mark.shape[1] * factor)), max(1, round(mark.shape[0] * factor))
    small = cv2.resize(mark, (wide, high), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    x, y = _find_place(scene, matte, small)
    if _hidden(matte, x, y, wide, high) > _MOST_HIDDEN:
        raise RequestError(
            f"brand_mark {str(mark_path)!r}: the person fills the picture and would hide it; use a wider size or a "
            f"portrait with room beside the head"
        )
    layer = np.zeros((height, width, 4), np.float32)
    layer[y : y + high, x : x + wide] = np.clip(small, 0, 255)
    layer = cv2.GaussianBlur(layer, (0, 0), max(_MARK_BLUR * height, 0.35))
    drop = np.array([[1, 0, _SHADOW_DROP * height], [0, 1, 1.6 * _SHADOW_DROP * height]])
    shadow = cv2.warpAffine(layer[..., 3], drop, (width, height))
    shadow = cv2.GaussianBlur(shadow, (0, 0), 2 * _SHADOW_DROP * height) * (_SHADOW_DEPTH / 255)
    wall = cv2.GaussianBlur(
        scene.astype(np.float32).mean(2), (0, 0), 0.5 * high, borderType=cv2.BORDER_REPLICATE
    )
    around = wall[y : y + high, x : x + wide]
    light = np.clip(wall / max(float(around.mean()), 1.0), *_MARK_LIGHT)[..., None]
    cover = layer[..., 3:] / 255
    behind = scene * (1 - shadow[..., None])
    placed: Picture = np.clip(np.round(behind * (1 - cover) + layer[..., :3] * light), 0, 255).astype(
        np.uint8
    )
    return placed


def _read_mark(path: Path) -> Float32Array:
    """Return a mark, shape (height, width, 4): RGB, as much of it as covers, and coverage, from 0 to 255."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            mark = np.asarray(file.convert("RGBA")).astype(np.float32)
    except (OSError, ValueError, SyntaxError) as error:
        raise RequestError(f"brand_mark {str(path)!r} cannot be read as a picture: {error}") from error
    mark[..., :3] *= mark[..., 3:] / 255
    return mark


def _find_place(scene: Picture, matte: Float32Array, mark: Float32Array) -> tuple[int, int]:
    """Return left and top of a place in the upper half: clear of the person, on a calm wall, and well seen there."""
    height, width = scene.shape[:2]
    high, wide = mark.shape[:2]
    margin = round(_MARGIN * min(width, height)) + 1
    columns = np.linspace(margin, max(margin, width - margin - wide), 25).round().astype(int)
    rows = np.linspace(margin, max(margin, height // 2 - high - margin), 5).round().astype(int)
    colour = mark[..., :3].sum((0, 1)) / max(float(mark[..., 3].sum()) / 255, 1e-6)

    def cost(place: tuple[int, int]) -> tuple[float, float]:
        x, y = place
        wall = scene[
            max(0, y - margin // 2) : y + high + margin // 2, max(0, x - margin // 2) : x + wide + margin // 2
        ]
        near = _hidden(matte, max(0, x - 2 * margin), y, wide + 4 * margin, high + margin)
        contrast = float(np.linalg.norm(wall.mean((0, 1)) - colour))
        return round(near, 2), float(wall.std((0, 1)).sum()) - _CONTRAST * contrast

    return min(((int(x), int(y)) for y in rows for x in columns), key=cost)


def _hidden(matte: Float32Array, x: int, y: int, wide: int, high: int) -> float:
    """Return the share of a place that the person covers."""
    return float((matte[y : y + high, x : x + wide] > 0.05).mean())


def _plain(canvas: _Canvas) -> float:
    canvas.fade((0.78, 0.79, 0.81), (0.66, 0.67, 0.70))
    canvas.glow(0.5, 0.4, 0.7, (0.16, 0.16, 0.15))
    return 0.02


def _studio(canvas: _Canvas) -> float:
    canvas.fade((0.13, 0.15, 0.20), (0.07, 0.08, 0.11))
    canvas.glow(0.22, 0.35, 0.55, (0.16, 0.24, 0.38))
    canvas.glow(0.85, 0.25, 0.45, (0.34, 0.22, 0.12))
    canvas.box(0.08, 0.0, 0.085, 0.75, (0.75, 0.85, 1.0))
    canvas.box(0.93, 0.1, 0.935, 0.9, (1.0, 0.8, 0.55))
    return 0.018


def _office(canvas: _Canvas) -> float:
    canvas.fade((0.80, 0.80, 0.78), (0.70, 0.69, 0.67))
    canvas.box(0.04, 0.06, 0.36, 0.66, (0.86, 0.93, 0.98))
    for x in canvas.random.uniform(0.05, 0.35, 9):
        top = float(canvas.random.uniform(0.30, 0.55))
        canvas.box(float(x) - 0.02, top, float(x) + 0.025, 0.66, (0.62, 0.70, 0.77))
    for x in (0.04, 0.145, 0.25, 0.355):
        canvas.box(x, 0.06, x + 0.006, 0.66, (0.95, 0.95, 0.95))
    canvas.glow(0.2, 0.3, 0.45, (0.14, 0.15, 0.16))
    canvas.box(0.64, 0.10, 0.97, 0.74, (0.52, 0.41, 0.31))
    for row, top in enumerate((0.12, 0.34, 0.55)):
        canvas.box(0.65, top, 0.96, top + 0.18, (0.36, 0.28, 0.22))
        x = 0.655
        while x < 0.93:
            wide = float(canvas.random.uniform(0.010, 0.022))
            tall = float(canvas.random.uniform(0.09, 0.16))
            hue = canvas.random.uniform(0.25, 0.75, 3) * (0.85, 0.9, 1.0)
            if canvas.random.random() < 0.8 - 0.15 * row:
                canvas.box(x, top + 0.18 - tall, x + wide, top + 0.18, hue)
            x += wide + 0.003
    canvas.box(0.0, 0.82, 1.0, 1.0, (0.45, 0.34, 0.26))
    canvas.disc(0.46, 0.70, 0.10, (0.25, 0.42, 0.24), 0.9)
    canvas.disc(0.43, 0.62, 0.08, (0.31, 0.50, 0.28), 0.9)
    return 0.014


def _bank(canvas: _Canvas) -> float:
    canvas.fade((0.83, 0.80, 0.74), (0.68, 0.62, 0.54))
    canvas.box(0.0, 0.0, 1.0, 0.09, (0.93, 0.92, 0.88))
    for x in (0.10, 0.34, 0.66, 0.90):
        canvas.glow(x, 0.05, 0.10, (0.5, 0.45, 0.35))
    for x in (0.02, 0.27, 0.52, 0.77):
        canvas.box(x, 0.16, x + 0.21, 0.62, (0.66, 0.75, 0.80))
        canvas.box(x + 0.01, 0.18, x + 0.07, 0.60, (0.76, 0.84, 0.88))
        canvas.box(x, 0.16, x + 0.21, 0.18, (0.60, 0.50, 0.38))
    canvas.box(0.0, 0.62, 1.0, 0.68, (0.90, 0.88, 0.84))
    canvas.box(0.0, 0.68, 1.0, 1.0, (0.43, 0.31, 0.21))
    for x in np.linspace(0.0, 1.0, 13):
        canvas.box(float(x), 0.69, float(x) + 0.004, 1.0, (0.34, 0.24, 0.16))
    return 0.015


def _shop(canvas: _Canvas) -> float:
    canvas.fade((0.90, 0.86, 0.80), (0.74, 0.68, 0.62))
    for top in (0.10, 0.32, 0.54, 0.76):
        canvas.box(0.0, top, 1.0, top + 0.19, (0.80, 0.74, 0.67))
        x = 0.0
        while x < 1:
            wide = float(canvas.random.uniform(0.02, 0.05))
            tall = float(canvas.random.uniform(0.08, 0.16))
            hue = 0.5 + 0.3 * canvas.random.random(3) * (1.2, 1.0, 0.8)
            canvas.box(x, top + 0.18 - tall, x + wide, top + 0.18, hue)
            x += wide + float(canvas.random.uniform(0.004, 0.02))
        canvas.box(0.0, top + 0.18, 1.0, top + 0.20, (0.62, 0.52, 0.42))
    for x in (0.15, 0.5, 0.85):
        canvas.glow(x, 0.0, 0.25, (0.35, 0.30, 0.22))
    return 0.02


def _home(canvas: _Canvas) -> float:
    canvas.fade((0.82, 0.77, 0.70), (0.70, 0.63, 0.55))
    canvas.box(0.70, 0.12, 0.90, 0.42, (0.93, 0.91, 0.87))
    canvas.box(0.715, 0.15, 0.885, 0.39, (0.55, 0.62, 0.60))
    canvas.box(0.0, 0.66, 0.62, 1.0, (0.42, 0.46, 0.48))
    canvas.box(0.05, 0.60, 0.28, 0.80, (0.70, 0.52, 0.38))
    canvas.box(0.115, 0.30, 0.125, 0.66, (0.35, 0.28, 0.22))
    canvas.box(0.06, 0.18, 0.18, 0.34, (1.0, 0.90, 0.70))
    canvas.glow(0.12, 0.28, 0.45, (0.36, 0.26, 0.12))
    canvas.disc(0.93, 0.72, 0.14, (0.30, 0.42, 0.27), 0.9)
    return 0.018


def _library(canvas: _Canvas) -> float:
    canvas.fade((0.30, 0.21, 0.14), (0.22, 0.15, 0.10))
    for top in (0.02, 0.22, 0.42, 0.62, 0.82):
        x = 0.0
        while x < 1:
            wide = float(canvas.random.uniform(0.008, 0.02))
            tall = float(canvas.random.uniform(0.12, 0.17))
            base = np.array(((0.48, 0.20, 0.16), (0.22, 0.28, 0.36), (0.52, 0.42, 0.26), (0.24, 0.34, 0.24)))
            hue = base[canvas.random.integers(4)] * canvas.random.uniform(0.7, 1.25)
            canvas.box(x, top + 0.18 - tall, x + wide, top + 0.18, hue)
            x += wide + 0.001
        canvas.box(0.0, top + 0.18, 1.0, top + 0.20, (0.40, 0.28, 0.18))
    canvas.glow(0.8, 0.2, 0.5, (0.22, 0.16, 0.09))
    return 0.016


def _outdoors(canvas: _Canvas) -> float:
    canvas.fade((0.66, 0.80, 0.92), (0.42, 0.56, 0.30))
    for _ in range(70):
        x, y = canvas.random.random(), canvas.random.uniform(0.25, 1.0)
        hue = np.array((0.30, 0.48, 0.20)) * canvas.random.uniform(0.6, 1.7)
        canvas.disc(float(x), float(y), float(canvas.random.uniform(0.03, 0.12)), hue, 0.45)
    canvas.glow(0.75, 0.15, 0.4, (0.30, 0.27, 0.15))
    return 0.02


def _city(canvas: _Canvas) -> float:
    canvas.fade((0.10, 0.12, 0.22), (0.14, 0.11, 0.14))
    for x in np.linspace(0, 1, 14):
        top = float(canvas.random.uniform(0.2, 0.6))
        canvas.box(float(x) - 0.04, top, float(x) + 0.03, 1.0, (0.09, 0.10, 0.16))
    for _ in range(60):
        x, y = canvas.random.random(), canvas.random.uniform(0.25, 0.95)
        warm = ((1.0, 0.76, 0.42), (0.95, 0.55, 0.40), (0.55, 0.75, 1.0))[canvas.random.integers(3)]
        canvas.disc(float(x), float(y), float(canvas.random.uniform(0.015, 0.045)), warm, 0.5)
    return 0.008


def _newsroom(canvas: _Canvas) -> float:
    canvas.fade((0.06, 0.12, 0.26), (0.04, 0.07, 0.15))
    for x in (0.04, 0.37, 0.70):
        canvas.box(x, 0.14, x + 0.26, 0.52, (0.12, 0.30, 0.58))
        canvas.box(x + 0.01, 0.16, x + 0.25, 0.50, (0.17, 0.42, 0.72))
        canvas.glow(x + 0.13, 0.33, 0.16, (0.18, 0.22, 0.22))
    canvas.box(0.0, 0.60, 1.0, 0.612, (0.45, 0.75, 1.0))
    canvas.box(0.0, 0.80, 1.0, 1.0, (0.10, 0.16, 0.28))
    return 0.014


SCENES: dict[str, Callable[[_Canvas], float]] = {
    "plain": _plain,
    "studio": _studio,
    "office": _office,
    "bank": _bank,
    "shop": _shop,
    "home": _home,
    "library": _library,
    "outdoors": _outdoors,
    "city": _city,
    "newsroom": _newsroom,
}
"""Name to what draws it; each returns how far it is out of focus, as a share of the height."""
