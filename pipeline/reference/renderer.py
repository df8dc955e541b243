"""Pictures of a talking person from one portrait.

Two maps are composed and the portrait is sampled once through both: the *expression* moves the triangles of the face
mesh where they stand, with the inside of the mouth drawn between the lips; the *pose* turns head, neck and shoulders
as a smooth body before a background that stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology
from pipeline.reference.face import Expression, FaceModel, FacePoints
from pipeline.reference.lids import Lids
from pipeline.reference.mesh import FaceMesh
from pipeline.reference.mouth import MouthInterior, find_own_teeth, locate_mouth
from pipeline.reference.patch import Patch, find_inside
from pipeline.reference.pose import PoseField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

_WELL_LIT = np.array([50, 280, 205, 425, 6, 197, 117, 346])  # cheeks and nose bridge


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
        self._pose = PoseField(portrait, carry_background=scene is None, face=self._mesh.region)
        self._picture = portrait.picture if scene is None else portrait.person
        mouth, light = locate_mouth(self._points.closed), self._skin_light()
        own_teeth = find_own_teeth(portrait.picture, portrait.points, mouth, light)
        self._mouth = MouthInterior(mouth, light, own_teeth)
        self._lids = Lids(portrait)

    def render(self, expression: Expression) -> Picture:
        """Draw one picture, shape (height, width, 3), RGB."""
        import cv2

        points = self._points.move(expression)
        places = self._pose.trace_back(expression)
        left, top, wide, high = self._mesh.region
        face = find_inside(places, left, top, left + wide, top + high)
        before = places[face].copy()  # in the portrait's picture, before its expression changed
        offsets = self._mesh.find_offsets(points)
        places[face] += cv2.remap(offsets, before - np.array([left, top], np.float32), None, cv2.INTER_LINEAR)
        picture = self._picture.copy()
        person = picture[self._pose.part]
        for band in self._pose.bands:
            cv2.remap(
                self._picture,
                places[band],
                None,
                cv2.INTER_CUBIC,
                dst=person[band],
                borderMode=cv2.BORDER_REPLICATE,
            )
        for patch in (self._draw_mouth(points), *self._lids.draw(points, expression.blink)):
            patch.lay_over(person[face], before)
        if self._scene is None:
            return picture
        cover = cv2.remap(
            self._portrait.matte, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        blended: Picture = cv2.blendLinear(picture, self._scene, cover, 1 - cover)
        return blended

    def _draw_mouth(self, points: FloatArray) -> Patch:
        """Draw the inside of the mouth between the lips."""
        import cv2

        lips = points[topology.INNER_LIPS, :2]
        low = np.floor(lips.min(0)).astype(int) - 3
        wide, high = (np.ceil(lips.max(0)).astype(int) + 4 - low).tolist()
        scale = 3 if wide < 45 else 2 if wide < 180 else 1
        drop = float(
            (points[topology.CHIN, :2] - self._points.closed[topology.CHIN, :2]) @ self._points.mouth_down
        )
        drawn = self._mouth.draw(lips, max(0.0, drop), (int(low[0]), int(low[1])), (wide, high), scale)
        if scale > 1:
            drawn = cv2.resize(drawn, (wide, high), interpolation=cv2.INTER_AREA)
        return Patch(int(low[0]), int(low[1]), drawn)

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
