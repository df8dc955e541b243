"""Scenes to calibrate the mark finder on: drawn rooms, the mark in them whole and harmed, and marks that are not it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import load_library
from evalkit.types import FloatArray


def draw_room(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """Draw a wall with light, grain, and things on it, out of focus or not, RGB."""
    cv2 = load_library("cv2")
    corners = rng.uniform(0, 255, (2, 2, 3)) * 0.5 + rng.uniform(0, 255, 3) * 0.5
    room = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.normal(0, 1, (rng.integers(3, 40), rng.integers(3, 40))).astype(np.float32)
    room = room + rng.uniform(0, 20) * cv2.resize(grain, (width, height))[..., None]
    for _ in range(rng.poisson(6)):
        _draw_thing(rng, room)
    if rng.random() < 0.5:
        room = cv2.GaussianBlur(room, (0, 0), rng.uniform(0.5, 5))
    return np.asarray(np.clip(room, 0, 255), np.uint8)


def _draw_thing(rng: np.random.Generator, room: FloatArray) -> None:
    """Draw one rectangle, disc, polygon, line, shelf or word, in place."""
    cv2 = load_library("cv2")
    height, width = room.shape[:2]
    color = tuple(float(value) for value in rng.uniform(0, 255, 3))
    x, y = (int(value) for value in rng.uniform((0, 0), (width, height)))
    size = int(rng.uniform(0.04, 0.4) * width)
    line = int(rng.integers(1, max(2, width // 80)))
    thickness = -1 if rng.random() < 0.6 else line
    kind = rng.integers(6)
    if kind == 0:
        cv2.rectangle(room, (x, y), (x + size, y + int(size * rng.uniform(0.2, 3))), color, thickness)
    elif kind == 1:
        cv2.circle(room, (x, y), size // 3, color, thickness, cv2.LINE_AA)
    elif kind == 2:
        points = np.array([x, y]) + rng.uniform(-size, size, (int(rng.integers(3, 8)), 2))
        cv2.fillPoly(room, [points.astype(np.int32)], color, cv2.LINE_AA)
    elif kind == 3:
        far = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.line(room, (x, y), far, color, line, cv2.LINE_AA)
    elif kind == 4:
        step = max(3, size // 4)
        for left in range(x, x + size, step):
            cv2.rectangle(room, (left, y), (left + step * 2 // 3, y + size // 2), color, thickness)
    else:
        word = "".join(chr(letter) for letter in rng.integers(65, 123, int(rng.integers(2, 9))))
        scale = max(0.3, rng.uniform(0.3, 1.5) * width / 640)
        cv2.putText(
            room, word, (x, y), int(rng.integers(8)), scale, color, int(rng.integers(1, 4)), cv2.LINE_AA
        )


def draw_mark(rng: np.random.Generator, size_px: int = 128) -> NDArray[np.uint8]:
    """Draw a mark without an owner: letters, stars, rings, stripes and plates, one in or beside another. RGBA."""
    cv2 = load_library("cv2")
    aspect = float(rng.choice([1.0, 1.0, 1.0, 1.6, 3.0]))
    width, height = size_px, max(24, round(size_px / aspect))
    alpha = np.zeros((height, width), np.uint8)
    centre = np.array([width / 2, height / 2])
    radius = height * 0.46
    if rng.random() < 0.45:
        _draw_form(rng, alpha, centre, radius, 255)
    for ink in (0 if alpha.max() else 255, 255):
        place = centre + rng.uniform(-0.3, 0.3, 2) * radius
        _draw_form(rng, alpha, place, radius * rng.uniform(0.4, 0.9), ink)
        if rng.random() < 0.4:
            break
    if rng.random() < 0.6 or aspect > 2:
        word = "".join(chr(letter) for letter in rng.integers(65, 91, max(1, round(aspect * 1.3))))
        face, line = int(rng.integers(5)), int(max(2, height // rng.integers(8, 20)))
        (wide, tall), _ = cv2.getTextSize(word, face, 1.0, line)
        scale = min(width * 0.85 / wide, height * 0.7 / tall)
        at = (int(centre[0] - wide * scale / 2), int(centre[1] + tall * scale / 2))
        if alpha.mean() > 60:
            cv2.putText(alpha, word, at, face, scale, 0, line, cv2.LINE_AA)
        else:
            cv2.putText(alpha, word, at, face, scale, 255, line, cv2.LINE_AA)
    color = rng.uniform(0, 255, 3) if rng.random() < 0.7 else np.full(3, rng.choice([0.0, 255.0]))
    mark = np.empty((height, width, 4), np.uint8)
    mark[..., :3] = color.astype(np.uint8)
    mark[..., 3] = alpha
    return mark if (alpha > 128).mean() > 0.03 else draw_mark(rng, size_px)


def _draw_form(
    rng: np.random.Generator, alpha: NDArray[np.uint8], centre: FloatArray, radius: float, ink: int
) -> None:
    """Draw a disc, ring, polygon, star, arc or stripes, in place."""
    cv2 = load_library("cv2")
    at = (int(centre[0]), int(centre[1]))
    line = int(max(2, radius * rng.uniform(0.1, 0.35)))
    kind = rng.integers(6)
    turn = rng.uniform(0, 2 * np.pi)
    if kind == 0:
        cv2.circle(alpha, at, int(radius), ink, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(alpha, at, int(radius - line / 2), ink, line, cv2.LINE_AA)
    elif kind == 2:
        angles = turn + np.arange(n := int(rng.integers(3, 8))) * 2 * np.pi / n
        points = centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])
        cv2.fillPoly(alpha, [points.astype(np.int32)], ink, cv2.LINE_AA)
    elif kind == 3:
        angles = turn + np.arange(n := 2 * int(rng.integers(3, 8))) * 2 * np.pi / n
        reach = radius * np.where(np.arange(n) % 2, rng.uniform(0.3, 0.7), 1.0)
        points = centre + reach[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
        cv2.fillPoly(alpha, [points.astype(np.int32)], ink, cv2.LINE_AA)
    elif kind == 4:
        span = rng.uniform(90, 300)
        axes = (int(radius - line / 2), int(radius - line / 2))
        cv2.ellipse(alpha, at, axes, np.degrees(turn), 0, span, ink, line, cv2.LINE_AA)
    else:
        n = int(rng.integers(2, 5))
        for index in range(n):
            y = int(centre[1] - radius + 2 * radius * (index + 0.5) / n)
            shift = int(rng.uniform(-0.3, 0.3) * radius)
            start, end = (int(centre[0] - radius) + shift, y), (int(centre[0] + radius) + shift, y)
            cv2.line(alpha, start, end, ink, max(2, int(radius / n)), cv2.LINE_AA)


def place_mark(
    scene: NDArray[np.uint8],
    mark: NDArray[np.uint8],
    *,
    left_px: float,
    top_px: float,
    width_px: float,
    opacity: float = 1.0,
) -> NDArray[np.uint8]:
    """Put a mark (RGBA) into a scene (RGB) at a given place, in the scene's pixels; what lies outside is cut."""
    cv2 = load_library("cv2")
    height_px = width_px * mark.shape[0] / mark.shape[1]
    size = (max(2, round(width_px)), max(2, round(height_px)))
    weighted = mark.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / 255
    how = cv2.INTER_AREA if size[0] < mark.shape[1] else cv2.INTER_CUBIC
    small = np.clip(cv2.resize(weighted, size, interpolation=how), 0, 255)
    shift = np.array([[1, 0, left_px], [0, 1, top_px]], float)
    laid = cv2.warpAffine(small, shift, (scene.shape[1], scene.shape[0]), flags=cv2.INTER_LINEAR)
    cover = laid[..., 3:] / 255 * opacity
    return np.asarray(np.clip(scene * (1 - cover) + laid[..., :3] * opacity, 0, 255), np.uint8)


def turn_hue(mark: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn the hue of an RGB or RGBA picture; greys have none and stay."""
    cv2 = load_library("cv2")
    hsv = cv2.cvtColor(np.ascontiguousarray(mark[..., :3]), cv2.COLOR_RGB2HSV_FULL).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + round(degrees / 360 * 256)) % 256
    turned = mark.copy()
    turned[..., :3] = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)
    return turned


def has_hue(mark: NDArray[np.uint8]) -> bool:
    """Say whether turning the hue changes a mark visibly."""
    drawn = mark[mark[..., 3] > 128][:, :3].astype(float)
    return bool(len(drawn) and np.mean(drawn.max(1) - drawn.min(1)) > 50)


def film(scene: NDArray[np.uint8], rng: np.random.Generator, harm: float = 1.0) -> NDArray[np.uint8]:
    """Return a scene as filmed: light and tint, a mild blur, noise, compression. `harm` 0 leaves all but little."""
    cv2 = load_library("cv2")
    picture = scene.astype(np.float32) * (
        1 + harm * rng.uniform(-0.12, 0.1) + harm * rng.uniform(-0.03, 0.03, 3)
    )
    sigma = harm * rng.uniform(0, 0.9)
    if sigma > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    picture = np.clip(picture + rng.normal(0, 0.5 + 2 * harm, picture.shape), 0, 255).astype(np.uint8)
    quality = int(rng.uniform(95 - 35 * harm, 95))
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
