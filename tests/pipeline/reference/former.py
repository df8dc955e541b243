"""How pictures were drawn before it was made faster: every pixel at once, a colour beside the other. Slow, and simple."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline.reference import mouth as mouths
from pipeline.reference import topology
from pipeline.reference.face import FacePoints
from pipeline.reference.lids import Lids
from pipeline.reference.mesh import _STEEP, FaceMesh, _planes
from pipeline.reference.mouth import MouthInterior, find_own_teeth, locate_mouth
from pipeline.reference.pose import _GRID_PX, PoseField
from pipeline.reference.renderer import _WELL_LIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.face import Expression, FaceModel
    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Array = NDArray[Any]


def render(portrait: Framed, face: FaceModel, expression: Expression, scene: Picture | None) -> Picture:
    """Draw one picture."""
    height, width = portrait.picture.shape[:2]
    face_points = FacePoints(portrait, face)
    points = face_points.move(expression)
    mesh = FaceMesh(portrait.points, (width, height))
    pose = PoseField(portrait, carry_background=scene is None, face=mesh.region)
    x, y = trace_back(pose, expression, (width, height))
    left, top, wide, high = mesh.region
    inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
    part = _span(inside.any(1)), _span(inside.any(0))
    at_x, at_y = x[part].copy(), y[part].copy()
    offsets = cv2.remap(
        find_offsets(mesh, points), at_x - np.float32(left), at_y - np.float32(top), cv2.INTER_LINEAR
    )
    x[part] += offsets[..., 0]
    y[part] += offsets[..., 1]
    source = portrait.picture if scene is None else portrait.person
    person = cv2.remap(source, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lids = Lids(portrait).draw(points, expression.blink)
    for place, drawn in (
        _draw_mouth(portrait, face_points, points),
        *(((p.left, p.top), p.drawn) for p in lids),
    ):
        _lay_over(person[part], at_x - np.float32(place[0]), at_y - np.float32(place[1]), drawn)
    if scene is None:
        return np.asarray(person)
    cover = cv2.remap(portrait.matte, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blendLinear(person, scene, cover, 1 - cover))


def trace_back(pose: PoseField, expression: Expression, size: tuple[int, int]) -> tuple[Array, Array]:
    """Return the x and the y that every pixel of the picture had before the head moved."""
    width, height = size
    field = pose._travel(expression)
    back = -field
    for _ in range(4):
        at_x, at_y = (pose._xs + back[..., 0]) / _GRID_PX, (pose._ys + back[..., 1]) / _GRID_PX
        back = -cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    finer = np.array([[_GRID_PX, 0, 0], [0, _GRID_PX, 0]], float)
    full = cv2.warpAffine(back, finer, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    xs, ys = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    return full[..., 0] + xs, full[..., 1] + ys


def find_offsets(mesh: FaceMesh, points: FloatArray) -> Array:
    """Return how far away each pixel of the region has its colour."""
    left, top, wide, high = mesh.region
    target = mesh._move_rings(points[: topology.N_SKIN_POINTS, :2])
    moved = target - [left, top]
    changed = np.flatnonzero(np.abs(target - mesh._source).max(1)[mesh._triangles].max(1) > 0.02)
    triangles = mesh._triangles[changed]
    planes = np.zeros((len(changed) + 1, 3, 2), np.float32)
    travel = (mesh._source - target)[triangles]
    planes[1:] = _planes(moved[triangles], travel)
    least, most = np.zeros((2, len(changed) + 1, 2), np.float32)
    least[1:], most[1:] = travel.min(1), travel.max(1)
    drawn = mesh._draw(moved, triangles, (high, wide))
    ys, xs = np.nonzero(drawn)
    which = drawn[ys, xs]
    plane = planes[which]
    found = plane[:, 0] * xs[:, None] + plane[:, 1] * ys[:, None] + plane[:, 2]
    steep = np.flatnonzero((np.abs(planes[:, :2]).max((1, 2)) > _STEEP)[which])
    found[steep] = np.clip(found[steep], least[which[steep]], most[which[steep]])
    offsets = np.zeros((high, wide, 2), np.float32)
    offsets[ys, xs] = found
    return offsets


def _draw_mouth(
    portrait: Framed, face_points: FacePoints, points: FloatArray
) -> tuple[tuple[int, int], Array]:
    frame = locate_mouth(face_points.closed)
    height, width = portrait.picture.shape[:2]
    at = np.clip(np.round(portrait.points[_WELL_LIT, :2]).astype(int), 0, [width - 1, height - 1]).T
    colours = portrait.picture[at[1], at[0]].astype(np.float64)
    light = colours[np.argsort(colours.sum(1))[-4:]].mean(0)
    inside_of = MouthInterior(frame, light, find_own_teeth(portrait.picture, portrait.points, frame, light))
    lips = points[topology.INNER_LIPS, :2]
    low = np.floor(lips.min(0)).astype(int) - 3
    wide, high = (np.ceil(lips.max(0)).astype(int) + 4 - low).tolist()
    scale = 3 if wide < 45 else 2 if wide < 180 else 1
    chin = points[topology.CHIN, :2] - face_points.closed[topology.CHIN, :2]
    drop_mm = max(0.0, float(chin @ face_points.mouth_down)) / frame.px_per_mm
    origin = (int(low[0]), int(low[1]))
    drawn = _draw_inside(inside_of, lips, drop_mm, origin, (wide * scale, high * scale), scale)
    if scale > 1:
        drawn = cv2.resize(drawn, (wide, high), interpolation=cv2.INTER_AREA)
    return origin, drawn


def _draw_inside(
    mouth: MouthInterior,
    lips: FloatArray,
    drop_mm: float,
    origin: tuple[int, int],
    size: tuple[int, int],
    scale: int,
) -> Array:
    frame, (wide, high) = mouth._frame, size
    to_patch = np.array(
        [[scale, 0, (0.5 - origin[0]) * scale - 0.5], [0, scale, (0.5 - origin[1]) * scale - 0.5]]
    )
    outline = lips @ to_patch[:, :2].T + to_patch[:, 2]
    mask = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    inside = mask.astype(np.float32) / 255
    unit = frame.px_per_mm * scale
    depth = cv2.GaussianBlur(inside, (0, 0), max(0.8, 1.6 * unit))
    x, y = mouths._places_mm(frame, origin, (wide, high), scale)
    deep = np.exp(-((x / 13) ** 2) - ((y - 5) / 8) ** 2)[..., None]
    cheek, throat = ((mouth._white * c).astype(np.float32) for c in (mouths._CHEEK, mouths._THROAT))
    picture = cheek + deep * (throat - cheek)
    x, y = x / 15, (y - drop_mm - 3) / 8
    away = x**2 + y**2
    cover = np.clip((1 - away) * 2.2, 0, 1)[..., None]
    rise = np.sqrt(np.clip(1 - away, 0, 1))
    light = 0.45 + 0.62 * np.clip(0.75 * rise + 0.45 * y, 0, 1)
    light *= 1 - 0.16 * np.exp(-((x / 0.12) ** 2))
    picture *= 1 - cover
    picture += cover * light[..., None] * (mouth._white * mouths._TONGUE).astype(np.float32)
    lower_lip = (lips[mouths._LOWER_LIP] - frame.middle) @ frame.down / frame.px_per_mm
    edges = (
        max(drop_mm + 1.0, lower_lip - mouths._LOWER_TEETH_SEEN_MM),
        mouths._EDGE_BELOW_LIP_MM if mouth._own is None else mouth._own.edge_mm,
    )
    for row, edge_mm, anchor, brightness in zip(
        (mouth._lower, mouth._upper), edges, (0.0, 1.0), (0.72, 1.0), strict=True
    ):
        tall, broad = row.shape[:2]
        step = frame.px_per_mm / mouths._PIXELS_PER_MM
        start = frame.middle + frame.down * edge_mm * frame.px_per_mm
        start = start - step * (broad / 2 * frame.right + anchor * tall * frame.down)
        axes = np.column_stack([frame.right * step, frame.down * step])
        matrix = np.column_stack([to_patch[:, :2] @ axes, to_patch[:, :2] @ start + to_patch[:, 2]])
        flags = cv2.INTER_AREA if unit < mouths._PIXELS_PER_MM else cv2.INTER_LINEAR
        placed = cv2.warpAffine(row, matrix, (wide, high), flags=flags)
        picture *= 1 - placed[..., 3:]
        picture += placed[..., :3] * mouth._tooth_white.astype(np.float32) * brightness
    shade = 0.55 + 0.45 * np.clip((depth - 0.35) / 0.5, 0, 1)
    from_above = np.roll(inside, max(1, round(1.3 * unit)), axis=0)
    shade *= 0.7 + 0.3 * cv2.GaussianBlur(from_above * inside, (0, 0), max(0.8, 0.8 * unit))
    picture *= mouths._tint(shade)
    if mouth._own is not None:
        own = cv2.warpAffine(mouth._own.drawn, to_patch, (wide, high))
        picture += own[..., 3:] * (own[..., :3] * (0.5 + 0.5 * shade[..., None]) - picture)
    return np.dstack([picture, inside]).astype(np.float32)


def _lay_over(person: Picture, x: Array, y: Array, drawn: Array) -> None:
    seen = cv2.remap(drawn, x, y, cv2.INTER_LINEAR)
    cover = seen[..., 3:]
    person[:] = np.clip(person * (1 - cover) + seen[..., :3] * cover, 0, 255).astype(np.uint8)


def _span(chosen: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(chosen)
    return slice(int(places[0]), int(places[-1]) + 1)
