"""Two pictures of the same mark: on other backgrounds, in other sizes, tints, poses, materials and compressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from data import draw_scene, encode_roughly

if TYPE_CHECKING:
    from data import Mark
    from numpy.typing import NDArray

VIEW_PX = 64


class Views:
    """Draws views of marks on a stock of scenery.

    Parameters
    ----------
    seed
        Of everything drawn.
    n_scenes
        Scenes in stock.
    """

    def __init__(self, seed: int, n_scenes: int = 400) -> None:
        self.rng = np.random.default_rng(seed)
        self.scenes = [draw_scene(self.rng, 320, 240) for _ in range(n_scenes)]

    def scenery(self, hardness: float) -> NDArray[np.float32]:
        """Return a background, plain where it is easy, shape (VIEW_PX, VIEW_PX, 3)."""
        rng = self.rng
        if rng.random() > 0.15 + 0.65 * hardness:
            color = (
                rng.uniform(0, 255, 3) if rng.random() < 0.6 else np.full(3, rng.choice([0, 20, 235, 255]))
            )
            return np.broadcast_to(color.astype(np.float32), (VIEW_PX, VIEW_PX, 3)).copy()
        scene = self.scenes[rng.integers(len(self.scenes))]
        size = int(rng.integers(32, 200))
        top, left = rng.integers(scene.shape[0] - size), rng.integers(scene.shape[1] - size)
        crop = cv2.resize(
            scene[top : top + size, left : left + size], (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_AREA
        )
        return crop.astype(np.float32)

    def pose(self, shape: tuple[int, int], hardness: float) -> NDArray[np.float32]:
        """Return the homography that puts a drawing of a shape (height, width) into a view."""
        rng = self.rng
        height, width = shape
        long_side = VIEW_PX * rng.uniform(0.80 - 0.2 * hardness, 0.90 + 0.08 * hardness)
        scale = long_side / max(shape)
        stretch = np.exp(rng.normal(0, 0.10 * hardness, 2))
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - [width / 2, height / 2]
        corners = corners * scale * stretch
        angle = np.deg2rad(rng.normal(0, 2 + 8 * hardness))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = corners @ turn + VIEW_PX / 2 + rng.normal(0, VIEW_PX * (0.01 + 0.035 * hardness), 2)
        corners = corners + rng.normal(0, VIEW_PX * 0.04 * hardness, (4, 2))
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return cv2.getPerspectiveTransform(start, corners.astype(np.float32))

    def paint(self, mark: Mark, background: NDArray[np.float32], hardness: float) -> NDArray[np.float32]:
        """Return a colour for the mark that can be told from the background."""
        rng = self.rng
        behind = background[VIEW_PX // 5 : -VIEW_PX // 5, VIEW_PX // 5 : -VIEW_PX // 5].mean((0, 1))
        for _ in range(8):
            kind = rng.random()
            if kind < 0.4:
                color = np.array(mark.color, np.float32)
            elif kind < 0.75:
                color = np.full(3, rng.choice([0, 15, 240, 255]), np.float32)
            else:
                color = rng.uniform(0, 255, 3).astype(np.float32)
            if np.abs(color - behind).max() > 120 - 60 * hardness:
                return color
        return np.full(3, 255.0 if behind.mean() < 128 else 0.0, np.float32)

    def draw(self, mark: Mark, mirrored: bool, hardness: float) -> NDArray[np.uint8]:
        """Draw one view of a mark, RGB, (VIEW_PX, VIEW_PX, 3); hardness from 0 (plain) to 1 (as bad as a street)."""
        rng = self.rng
        drawing = mark.alpha[:, ::-1] if mirrored else mark.alpha
        if rng.random() < 0.12 * hardness:  # only its outline
            drawing = cv2.morphologyEx(
                drawing, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3))
            )
        drawing = np.pad(drawing, 4)
        pose = self.pose(drawing.shape, hardness)
        alpha = (
            cv2.warpPerspective(drawing, pose, (VIEW_PX, VIEW_PX), flags=cv2.INTER_AREA).astype(np.float32)
            / 255
        )
        view = self.scenery(hardness)
        if rng.random() < 0.25:  # a plate behind it
            self.lay_plate(view, drawing.shape, pose)
        color = np.broadcast_to(self.paint(mark, view, hardness), view.shape)
        if rng.random() < 0.15 + 0.2 * hardness:  # several colours, or a sheen
            color = self.vary(color, hardness)
        if rng.random() < 0.3 * hardness:  # thickness or shadow
            self.cast_shadow(view, alpha)
        opacity = 1 - 0.35 * hardness * rng.random() ** 2
        view = view + (color - view) * (alpha * opacity)[..., None]
        return self.photograph(view, hardness)

    def lay_plate(self, view: NDArray[np.float32], shape: tuple[int, int], pose: NDArray[np.float32]) -> None:
        """Lay a plain plate under where the mark comes, in place."""
        rng = self.rng
        plate = np.full(shape, 255, np.uint8)
        if rng.random() < 0.3:
            plate[:] = 0
            centre, axes = (shape[1] // 2, shape[0] // 2), (shape[1] * 5 // 8, shape[0] * 5 // 8)
            cv2.ellipse(plate, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        cover = cv2.warpPerspective(plate, pose, (VIEW_PX, VIEW_PX)).astype(np.float32)[..., None] / 255
        if rng.random() < 0.7:
            cover = cv2.dilate(cover, np.ones((7, 7), np.uint8))[..., None]
        view += (rng.uniform(0, 255, 3).astype(np.float32) - view) * cover

    def vary(self, color: NDArray[np.float32], hardness: float) -> NDArray[np.float32]:
        """Return a colour that changes over the mark."""
        rng = self.rng
        field = rng.normal(0, 1, (rng.integers(2, 4), rng.integers(2, 4), 3)).astype(np.float32)
        how = cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_NEAREST
        spread = 15 + 45 * hardness * rng.random()
        return color + spread * cv2.resize(field, (VIEW_PX, VIEW_PX), interpolation=how)

    def cast_shadow(self, view: NDArray[np.float32], alpha: NDArray[np.float32]) -> None:
        """Darken or lighten the background beside the mark, in place."""
        rng = self.rng
        shift = rng.integers(-3, 4, 2)
        shadow = np.roll(alpha, tuple(shift), (0, 1))
        shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(0.3, 2.5))[..., None]
        view += (rng.choice([0.0, 0.0, 255.0]) - view) * shadow * rng.uniform(0.2, 0.7)

    def photograph(self, view: NDArray[np.float32], hardness: float) -> NDArray[np.uint8]:
        """Apply light, something in front, blur, few pixels, noise and compression."""
        rng = self.rng
        if rng.random() < 0.6 * hardness:
            light = cv2.resize(rng.normal(0, 1, (2, 2)).astype(np.float32), (VIEW_PX, VIEW_PX))[..., None]
            view = view * (1 + 0.18 * hardness * light) * rng.uniform(0.9, 1.1, 3) + rng.normal(
                0, 8 * hardness
            )
        if rng.random() < 0.25 * hardness:
            width, height = rng.integers(VIEW_PX // 12, VIEW_PX // 3, 2)
            left, top = rng.integers(VIEW_PX - width), rng.integers(VIEW_PX - height)
            view[top : top + height, left : left + width] = rng.uniform(0, 255, 3)
        if rng.random() < 0.7 * hardness:
            view = cv2.GaussianBlur(view, (0, 0), 0.3 + 1.2 * hardness * rng.random())
        if rng.random() < 0.7 * hardness:
            few = int(rng.uniform(VIEW_PX * (1 - 0.65 * hardness), VIEW_PX))
            view = cv2.resize(view, (few, few), interpolation=cv2.INTER_AREA)
            view = cv2.resize(view, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_LINEAR)
        view = view + rng.normal(0, 1 + 6 * hardness * rng.random(), view.shape)
        picture = np.clip(view, 0, 255).astype(np.uint8)
        if rng.random() < 0.7 * hardness:
            picture = encode_roughly(picture, int(rng.integers(35, 95)))
        return picture
