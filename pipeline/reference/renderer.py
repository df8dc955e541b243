"""Pictures of a talking person from one portrait.

Two maps are composed and the portrait is sampled once through both: the *expression* moves the triangles of the face
mesh where they stand, with the inside of the mouth drawn between the lips; the *pose* turns head, neck and shoulders
as a smooth body before a background that stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.reference import topology
from pipeline.reference.face import Expression, FaceModel, FacePoints
from pipeline.reference.mesh import FaceMesh
from pipeline.reference.mouth import MouthInterior, locate_mouth
from pipeline.reference.portrait import fill_from_outside
from pipeline.reference.pose import PoseField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_WELL_LIT = np.array([50, 280, 205, 425, 6, 197, 117, 346])  # cheeks and nose bridge


class _Patch(NamedTuple):
    """RGB (0 to 255) and coverage (0 to 1), shape (height, width, 4), and where its left top pixel is."""

    left: int
    top: int
    drawn: Float32Array


class Renderer:
    """Draws one portrait with any expression.

    Parameters
    ----------
    portrait : Framed
        The portrait at the picture size.
    face : FaceModel
        Mean face and directions.
    scene : uint8 array, shape (height, width, 3), optional
        What to put behind the person instead of the portrait's own background.
    """

    def __init__(self, portrait: Framed, face: FaceModel, scene: Picture | None = None) -> None:
        self._portrait = portrait
        self._scene = scene
        self._height, self._width = portrait.picture.shape[:2]
        self._unit = portrait.pose.scale  # pixels per eye distance
        self._points = FacePoints(portrait, face)
        self._mesh = FaceMesh(portrait.points, (self._width, self._height))
        self._pose = PoseField(portrait, carry_background=scene is None)
        self._person = portrait.picture
        if scene is not None:  # no colour of the old background along the outline
            self._person = fill_from_outside(portrait.picture, (portrait.matte < 0.97).astype(np.float32))
        self._mouth = MouthInterior(locate_mouth(self._points.closed), self._skin_light())
        self._own_teeth = self._find_own_teeth()
        self._lash_colour = self._find_lash_colour()

    def render(self, expression: Expression) -> Picture:
        """Draw one picture, shape (height, width, 3), RGB."""
        import cv2

        points = self._points.move(expression)
        x, y = self._pose.trace_back(expression)
        part = self._find_region(x, y)
        at_x, at_y = (
            x[part].copy(),
            y[part].copy(),
        )  # in the portrait's picture, before its expression changed
        left, top = self._mesh.region[:2]
        offsets = cv2.remap(
            self._mesh.find_offsets(points), at_x - np.float32(left), at_y - np.float32(top), cv2.INTER_LINEAR
        )
        x[part] += offsets[..., 0]
        y[part] += offsets[..., 1]
        person: Picture = cv2.remap(self._person, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for patch in (self._draw_mouth(points), *self._draw_lashes(points, expression.blink)):
            _lay_over(patch, person[part], at_x, at_y)
        if self._scene is None:
            return person
        cover = cv2.remap(self._portrait.matte, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        picture: Picture = cv2.blendLinear(person, self._scene, cover, 1 - cover)
        return picture

    def _find_region(self, x: Float32Array, y: Float32Array) -> tuple[slice, slice]:
        """Return the rows and columns that show the region of the mesh; none where it has left the picture."""
        left, top, wide, high = self._mesh.region
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
        return _span(inside.any(1)), _span(inside.any(0))

    def _draw_mouth(self, points: FloatArray) -> _Patch:
        """Draw the inside of the mouth between the lips."""
        import cv2

        lips = points[topology.INNER_LIPS, :2]
        low = np.floor(lips.min(0)).astype(int) - 3
        wide, high = (np.ceil(lips.max(0)).astype(int) + 4 - low).tolist()
        scale = 3 if wide < 90 else 2 if wide < 180 else 1
        drop = float(
            (points[topology.CHIN, :2] - self._points.closed[topology.CHIN, :2]) @ self._points.mouth_down
        )
        drawn = self._mouth.draw(lips, max(0.0, drop), (int(low[0]), int(low[1])), (wide, high), scale)
        if scale > 1:
            drawn = cv2.resize(drawn, (wide, high), interpolation=cv2.INTER_AREA)
        self._show_own_teeth(drawn, low, (wide, high))
        return _Patch(int(low[0]), int(low[1]), drawn)

    def _draw_lashes(self, points: FloatArray, blink: float) -> list[_Patch]:
        """Draw the line where the lids meet; nothing while the eyes are open."""
        import cv2

        strength = 0.7 * float(np.clip((blink - 0.55) / 0.35, 0, 1))
        if strength == 0:
            return []
        patches = []
        thickness = max(1.0, 0.016 * self._unit)
        for upper in topology.UPPER_LIDS:
            lid = points[upper[1:-1], :2]
            low = np.floor(lid.min(0)).astype(int) - 4
            wide, high = (np.ceil(lid.max(0)).astype(int) + 5 - low).tolist()
            line = np.zeros((high * 4, wide * 4), np.uint8)
            path = np.round(((lid - low) * 4 + 1.5) * 16).astype(np.int32)
            cv2.polylines(
                line,
                [path],
                isClosed=False,
                color=255,
                thickness=round(4 * thickness),
                lineType=cv2.LINE_AA,
                shift=4,
            )
            cover = cv2.resize(line, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            drawn = np.empty((high, wide, 4), np.float32)
            drawn[..., :3] = self._lash_colour
            drawn[..., 3] = strength * cover
            patches.append(_Patch(int(low[0]), int(low[1]), drawn))
        return patches

    def _show_own_teeth(self, patch: Float32Array, low: NDArray[np.int64], size: tuple[int, int]) -> None:
        """Where the portrait shows its teeth, they stay where they are, on the upper jaw."""
        if self._own_teeth is None:
            return
        import cv2

        matrix = np.array([[1.0, 0, -low[0]], [0, 1.0, -low[1]]])
        own = cv2.warpAffine(self._own_teeth, matrix, size)
        cover = own[..., 3:]
        patch[..., :3] = patch[..., :3] * (1 - cover) + own[..., :3] * cover

    def _find_own_teeth(self) -> Float32Array | None:
        """Cut out what the portrait shows between its lips, if they are open enough to show anything."""
        import cv2

        points = self._portrait.points
        upper, lower = topology.UPPER_INNER_LIP[3:-3], topology.LOWER_INNER_LIP[3:-3]
        gap = ((points[lower, :2] - points[upper, :2]) @ self._points.mouth_down).mean()
        if gap < 0.035 * self._unit:
            return None
        mask = np.zeros((self._height, self._width), np.uint8)
        lips = points[topology.INNER_LIPS, :2]
        cv2.fillPoly(mask, [np.round(lips * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(0.6, 0.1 * gap))
        soft = np.clip(soft * 1.3 - 0.15, 0, 1)
        return np.dstack([self._portrait.picture.astype(np.float32), soft])

    def _find_lash_colour(self) -> FloatArray:
        """Take a dark colour along the upper lids."""
        colours = self._colours_at(np.concatenate([lid[2:-2] for lid in topology.UPPER_LIDS]))
        colour: FloatArray = np.quantile(colours, 0.25, axis=0)
        return colour

    def _skin_light(self) -> FloatArray:
        """Take the colour of the well-lit part of cheeks and nose bridge."""
        colours = self._colours_at(_WELL_LIT)
        light: FloatArray = colours[np.argsort(colours.sum(1))[-4:]].mean(0)
        return light

    def _colours_at(self, points: NDArray[np.int64]) -> FloatArray:
        at = np.round(self._portrait.points[points, :2]).astype(int)
        xs, ys = np.clip(at, 0, [self._width - 1, self._height - 1]).T
        colours: FloatArray = self._portrait.picture[ys, xs].astype(np.float64)
        return colours


def _lay_over(patch: _Patch, person: Picture, at_x: Float32Array, at_y: Float32Array) -> None:
    """Lay a patch drawn in portrait pixels over a part of the picture that shows portrait pixels ``at``."""
    import cv2

    high, wide = patch.drawn.shape[:2]
    x, y = at_x - np.float32(patch.left), at_y - np.float32(patch.top)
    ys, xs = np.nonzero((x > -1) & (x < wide) & (y > -1) & (y < high))
    if not len(ys):
        return
    rows, columns = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
    seen = cv2.remap(patch.drawn, x[rows, columns], y[rows, columns], cv2.INTER_LINEAR)
    view, cover = person[rows, columns], seen[..., 3:]
    view[:] = np.clip(view * (1 - cover) + seen[..., :3] * cover, 0, 255).astype(np.uint8)


def _span(chosen: NDArray[np.bool_]) -> slice:
    """Return the shortest slice that holds all that is chosen."""
    places = np.flatnonzero(chosen)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
