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
_BAND_PX = 32
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
    face : (int, int, int, int)
        Left, top, width and height of a part of the picture in which the face itself moves.

    Attributes
    ----------
    part : (slice, slice)
        Rows and columns of the picture in which anything moves; what is outside stays as it is, always.
    bands : list of (slice, slice)
        Pieces of `part`, counted from its corner, with little in them that always stays.
    """

    def __init__(self, portrait: Framed, *, carry_background: bool, face: tuple[int, int, int, int]) -> None:
        height, width = portrait.picture.shape[:2]
        rows, columns = -(-height // _GRID_PX) + 1, -(-width // _GRID_PX) + 1
        self._ys, self._xs = np.mgrid[:rows, :columns].astype(np.float32) * _GRID_PX
        self._grid = np.dstack([self._xs, self._ys])
        self._unit = portrait.pose.scale  # pixels per eye distance
        centre = portrait.points[topology.RIGID].mean(0)
        depth = _depth_on_grid(portrait, self._xs.shape) - np.float32(centre[2])
        self._place = np.dstack([self._xs - centre[0], self._ys - centre[1], depth]).astype(np.float32)
        # The head goes along whole down to the chin, the shoulders hardly; the neck in between.
        height_px = portrait.face_height_px
        below_chin = (self._ys - portrait.points[topology.CHIN, 1]) / height_px
        self._with_head = 1 - _ease((below_chin + 0.05) / 0.95)
        self._carried = self._near_person(portrait) if carry_background else np.ones_like(self._xs)
        self._held = self._hold_borders(portrait, carry_background=carry_background)
        self.part, self.bands = _find_moving(self._carried > 0, face, (width, height))
        down, right = self.part
        ys, xs = np.mgrid[down, right].astype(np.float32)
        self._pixels = np.dstack([xs, ys])

    def trace_back(self, expression: Expression) -> Float32Array:
        """Return, for every pixel of `part`, the x and the y it had before the head moved, (height, width, 2)."""
        import cv2

        field = self._travel(expression)
        back = -field
        for _ in range(4):  # the fixed point of p - field(q) = q
            at = (self._grid + back) / _GRID_PX
            back = -cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        down, right = self.part
        finer = np.array([[_GRID_PX, 0, -right.start], [0, _GRID_PX, -down.start]], float)
        size = (right.stop - right.start, down.stop - down.start)
        places: Float32Array = cv2.warpAffine(
            back, finer, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        places += self._pixels
        return places

    def _travel(self, expression: Expression) -> Float32Array:
        """Return how far each point of the grid goes to the right and down, pixels."""
        import cv2

        angles = _soft_limit(expression.angles_deg, _MAX_ANGLES_DEG)
        right, down = _soft_limit(expression.travel, _MAX_TRAVEL) * self._unit
        growth = np.exp(np.clip(expression.zoom, -_MAX_ZOOM, _MAX_ZOOM))
        turn = (growth * head_rotation(*angles)).astype(np.float32)
        turned = self._place @ turn[:2].T
        along_x, along_y = _BODY_GOES_ALONG
        body = np.array([along_x * right, along_y * down - expression.breath * self._unit], np.float32)
        way = np.array([right, down], np.float32)
        from_left, from_top, from_right, from_bottom = self._held
        travels = []
        for axis, (before, beyond) in enumerate(((from_left, from_right), (from_top, from_bottom))):
            head = turned[..., axis] - self._place[..., axis] + way[axis]
            travel = (self._with_head * head + (1 - self._with_head) * body[axis]) * self._carried
            travels.append(travel * np.where(travel > 0, before, beyond))
        field: Float32Array = cv2.merge(travels)
        return field

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


def _find_moving(
    moves: NDArray[np.bool_], face: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[tuple[slice, slice], list[tuple[slice, slice]]]:
    """Return `PoseField.part` and `PoseField.bands`: pixels between two points of the grid of which one moves, and the face."""
    width, height = size
    left, top, wide, high = face
    moving = np.zeros((height, width), bool)
    moving[top : top + high, left : left + wide] = True
    cells = moves[1:, 1:] | moves[1:, :-1] | moves[:-1, 1:] | moves[:-1, :-1]
    moving |= cells.repeat(_GRID_PX, 0).repeat(_GRID_PX, 1)[:height, :width]
    part = span(moving.any(1)), span(moving.any(0))
    inside = moving[part]
    bands: list[tuple[slice, slice]] = []
    for first in range(0, len(inside), _BAND_PX):
        rows = slice(first, min(first + _BAND_PX, len(inside)))
        columns = span(inside[rows].any(0))
        if bands and bands[-1][1] == columns:
            rows = slice(bands.pop()[0].start, rows.stop)
        bands.append((rows, columns))
    return part, bands


def span(chosen: NDArray[np.bool_]) -> slice:
    """Return the shortest slice that holds all that is chosen."""
    places = np.flatnonzero(chosen)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


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
