"""Where each pixel of a picture was before the head moved: head, neck and shoulders turn as one smooth body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology
from pipeline.reference.alignment import head_rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.face import Expression
    from pipeline.reference.portrait import Framed

    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_GRID_PX = 4
_MAX_ANGLES_DEG = np.array([16.0, 12.0, 12.0])
_MAX_TRAVEL = np.array([0.22, 0.22])
_MAX_ZOOM = 0.1
_BODY_GOES_ALONG = (0.3, 0.15)  # share of the head's travel, sideways and down
_CARRIED = (0.04, 0.34)  # face heights beside the person within which a background goes along, and fades out

_STRETCHED = (0.3, 0.8)  # face heights inside a border that stretch, at least and at most


class PoseField:
    """Moves one person.

    Parameters
    ----------
    portrait : Framed
        The portrait at the picture size.
    carry_background : bool
        Let the background beside the person go along a little, so that nothing opens between the two; otherwise
        everything moves, as it may where only the person is taken from the picture.
    """

    def __init__(self, portrait: Framed, *, carry_background: bool) -> None:
        height, width = portrait.picture.shape[:2]
        rows, columns = -(-height // _GRID_PX) + 1, -(-width // _GRID_PX) + 1
        self._size = (width, height)
        self._ys, self._xs = np.mgrid[:rows, :columns].astype(np.float32) * _GRID_PX
        self._pixel_xs = np.arange(width, dtype=np.float32)[None, :]
        self._pixel_ys = np.arange(height, dtype=np.float32)[:, None]
        self._unit = portrait.pose.scale  # pixels per eye distance
        self._centre = portrait.points[topology.RIGID].mean(0)
        self._depth = _depth_on_grid(portrait, self._xs.shape) - np.float32(self._centre[2])
        # The head goes along whole down to the chin, the shoulders hardly; the neck in between.
        face = portrait.face_height_px
        below_chin = (self._ys - portrait.points[topology.CHIN, 1]) / face
        self._with_head = 1 - _ease((below_chin + 0.05) / 0.95)
        self._carried = self._near_person(portrait) if carry_background else np.ones_like(self._xs)
        self._held = self._hold_borders(portrait, carry_background=carry_background)

    def trace_back(self, expression: Expression) -> tuple[Float32Array, Float32Array]:
        """Return, for every pixel, the x and the y it had before the head moved, each (height, width)."""
        import cv2

        field = self._travel(expression)
        back = -field
        for _ in range(4):  # the fixed point of p - field(q) = q
            at_x, at_y = (self._xs + back[..., 0]) / _GRID_PX, (self._ys + back[..., 1]) / _GRID_PX
            back = -cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        finer = np.array([[_GRID_PX, 0, 0], [0, _GRID_PX, 0]], float)
        flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
        full = cv2.warpAffine(back, finer, self._size, **flags)
        return full[..., 0] + self._pixel_xs, full[..., 1] + self._pixel_ys

    def _travel(self, expression: Expression) -> Float32Array:
        """Return how far each point of the grid goes to the right and down, pixels."""
        angles = _soft_limit(expression.angles_deg, _MAX_ANGLES_DEG)
        right, down = _soft_limit(expression.travel, _MAX_TRAVEL) * self._unit
        growth = np.exp(np.clip(expression.zoom, -_MAX_ZOOM, _MAX_ZOOM))
        turn = (growth * head_rotation(*angles)).astype(np.float32)
        place = np.dstack([self._xs - self._centre[0], self._ys - self._centre[1], self._depth]).astype(
            np.float32
        )
        head = place @ turn[:2].T - place[..., :2] + np.array([right, down], np.float32)
        along_x, along_y = _BODY_GOES_ALONG
        body = np.array([along_x * right, along_y * down - expression.breath * self._unit], np.float32)
        share = self._with_head[..., None]
        moved = (share * head + (1 - share) * body) * self._carried[..., None]
        travel: Float32Array = moved.astype(np.float32)
        from_left, from_top, from_right, from_bottom = self._held
        travel[..., 0] *= np.where(travel[..., 0] > 0, from_left, from_right)
        travel[..., 1] *= np.where(travel[..., 1] > 0, from_top, from_bottom)
        return travel

    def _near_person(self, portrait: Framed) -> Float32Array:
        """Return, on the grid, 1 at the person and 0 away from it."""
        import cv2

        border = {"borderMode": cv2.BORDER_REPLICATE}
        mine = cv2.remap(portrait.matte, self._xs, self._ys, cv2.INTER_LINEAR, **border)
        away = cv2.distanceTransform((mine < 0.3).astype(np.uint8), cv2.DIST_L2, 5) * _GRID_PX
        near, width = _CARRIED
        return 1 - _ease((away / portrait.face_height_px - near) / width)

    def _hold_borders(self, portrait: Framed, *, carry_background: bool) -> tuple[Float32Array, ...]:
        """Return, on the grid, the share of the way inwards from the left, the top, the right and the bottom.

        Beyond its borders a portrait shows nothing. What is at a border and would leave it stays there, and what is
        between it and the face stretches; on the other side of a border nothing has to be invented.
        """
        height, width = portrait.picture.shape[:2]
        least, most = (share * portrait.face_height_px for share in _STRETCHED)
        oval = portrait.points[topology.FACE_OVAL, :2]
        low, high = oval.min(0), oval.max(0)
        right, bottom = width - 1 - self._xs, height - 1 - self._ys
        rooms = (low[0], low[1], width - 1 - high[0], height - 1 - high[1])
        shares = []
        for away, room in zip((self._xs, self._ys, right, bottom), rooms, strict=True):
            reach = np.float32(min(max(float(room), least), most))
            shares.append(np.clip(away / reach, 0, 1))
        if not carry_background:  # only where the person goes on beyond the border
            shares = [
                1 - there * (1 - s)
                for there, s in zip(self._person_at_borders(portrait), shares, strict=True)
            ]
        return tuple(shares)

    def _person_at_borders(self, portrait: Framed) -> list[Float32Array]:
        """Return how much of the border is person, for every row or column of the grid: left, top, right, bottom."""
        import cv2

        matte = portrait.matte
        sides = []
        for border, places in (
            (matte[:, 0], self._ys[:, 0]),
            (matte[0], self._xs[0]),
            (matte[:, -1], self._ys[:, 0]),
            (matte[-1], self._xs[0]),
        ):
            smooth = cv2.GaussianBlur(border[None], (0, 0), 2 * _GRID_PX, borderType=cv2.BORDER_REPLICATE)[0]
            sides.append(
                np.clip(2 * np.interp(places, np.arange(len(smooth)), smooth), 0, 1).astype(np.float32)
            )
        left, top, right, bottom = sides
        return [left[:, None], top[None], right[:, None], bottom[None]]


def _depth_on_grid(portrait: Framed, shape: tuple[int, ...]) -> Float32Array:
    """Return a smooth depth, pixels: that of the mesh on the face, falling back around it as a head does."""
    import cv2

    points, face = portrait.points, portrait.face_height_px
    oval = points[topology.FACE_OVAL]
    middle = oval[:, :2].mean(0)
    known = [(points, 1.0)]
    for share, deeper in ((1.35, 0.10), (1.7, 0.15), (2.2, 0.15)):
        ring = np.column_stack([middle + share * (oval[:, :2] - middle), oval[:, 2] + deeper * face])
        known.append((ring, 4.0))
    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for spots, weight in known:
        cells = np.clip(np.round(spots[:, :2] / _GRID_PX).astype(int), 0, [shape[1] - 1, shape[0] - 1])
        at = (cells[:, 1], cells[:, 0])
        np.add.at(total, at, (weight * spots[:, 2]).astype(np.float32))
        np.add.at(count, at, weight)
    sigma = max(1.0, 0.06 * face / _GRID_PX)
    depth = np.full(shape, float(oval[:, 2].mean() + 0.15 * face), np.float32)
    for times in (16, 8, 4, 2, 1):  # from far to near, the nearer where it knows something
        known_here = cv2.GaussianBlur(count, (0, 0), sigma * times)
        value = cv2.GaussianBlur(total, (0, 0), sigma * times) / np.maximum(known_here, 1e-9)
        trust = np.clip(known_here * 40 * times, 0, 1)
        depth = depth * (1 - trust) + value * trust
    smooth: Float32Array = cv2.GaussianBlur(depth, (0, 0), sigma)
    return smooth


def _ease(x: FloatArray | Float32Array) -> Float32Array:
    """Go smoothly from 0, at 0 and below, to 1, at 1 and above."""
    inside = np.clip(x, 0, 1).astype(np.float32)
    eased: Float32Array = inside * inside * (3 - 2 * inside)
    return eased


def _soft_limit(values: object, limits: FloatArray) -> FloatArray:
    """Leave small values nearly alone and let none pass its limit."""
    limited: FloatArray = limits * np.tanh(np.asarray(values, float) / limits)
    return limited
