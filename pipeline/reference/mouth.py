"""What is seen between open lips: teeth that belong to the upper jaw, a dark cavity, a tongue.

Everything is drawn in millimetres of the person's own mouth and lit by the person's own light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference import topology
from pipeline.reference.background import fill_from_outside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]
    Picture = NDArray[np.uint8]

MOUTH_WIDTH_MM = 50.0
_ARCH_RADIUS_MM = 24.0
_UPPER_TEETH_MM = (8.6, 6.6, 7.6, 7.0, 6.8)  # from the middle outwards
_LOWER_TEETH_MM = (5.4, 5.9, 6.8, 7.0, 7.0)
_TOOTH_HEIGHT_MM = (9.5, 7.5)
_EDGE_BELOW_LIP_MM = 1.2  # how far the upper teeth reach below the line where the lips meet
_LOWER_TEETH_SEEN_MM = 2.6  # at most, above the lower lip
_LOWER_LIP = int(np.flatnonzero(topology.INNER_LIPS == 14)[0])  # its middle, among the inner lips
_PIXELS_PER_MM = 3.0
_TOOTH_LIGHT, _TOOTH_REDNESS = 0.55, 0.8  # of well-lit skin: at least, at most
_TEETH_SEEN_MM2 = 12.0  # at least, for a portrait to show its teeth
_HIDDEN_TEETH_MM = 4.0  # of a tooth, above what is seen
_IVORY = np.array([1.0, 0.95, 0.87])
_WARMTH = np.array([0.15, -0.05, -0.13], np.float32)  # what lies in shadow is warmer
_TONGUE = np.array([0.62, 0.30, 0.29])
_CHEEK = np.array([0.40, 0.18, 0.17])  # inside of the cheeks, that ends the cavity at the corners
_THROAT = np.array([0.17, 0.07, 0.07])


@dataclass(frozen=True)
class MouthFrame:
    """Where the mouth of a portrait is, closed: middle of the lip line, axis to the right, scale."""

    middle: FloatArray
    right: FloatArray
    px_per_mm: float

    @property
    def down(self) -> FloatArray:
        """Axis from the upper to the lower lip."""
        return np.array([-self.right[1], self.right[0]])


def locate_mouth(points: FloatArray) -> MouthFrame:
    """Find the mouth among face points whose lips are closed, shape (478, 3)."""
    left, right = points[topology.LEFT_CORNER, :2], points[topology.RIGHT_CORNER, :2]
    across = right - left
    width = float(np.linalg.norm(across))
    middle = points[topology.UPPER_INNER_LIP[5], :2]
    return MouthFrame(middle.copy(), across / width, width / MOUTH_WIDTH_MM)


@dataclass(frozen=True)
class OwnTeeth:
    """The upper teeth that a portrait shows between its lips.

    Attributes
    ----------
    drawn : float32 array, shape (height, width, 4)
        RGB from 0 to 255 and coverage from 0 to 1, at the portrait's size.
    colour : FloatArray, shape (3,)
        Of well-lit teeth, 0 to 255.
    edge_mm : float
        How far they reach below the line where the lips meet.
    """

    drawn: Float32Array
    colour: FloatArray
    edge_mm: float


def find_own_teeth(
    picture: Picture, points: FloatArray, frame: MouthFrame, light: FloatArray
) -> OwnTeeth | None:
    """Cut out the teeth that a portrait shows; ``None`` where it shows none.

    Teeth are told from lips, tongue and shadow: nearly as bright as well-lit skin, and less red than that.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    points : FloatArray, shape (478, 3)
        Face points, pixels.
    frame : MouthFrame
        Of the closed mouth.
    light : FloatArray, shape (3,)
        Colour of well-lit skin, 0 to 255.
    """
    import cv2

    between = np.zeros(picture.shape[:2], np.uint8)
    lips = points[topology.INNER_LIPS, :2]
    cv2.fillPoly(between, [np.round(lips * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    colours = picture.astype(np.float32)
    redness = (colours[..., 0] - colours[..., 1]) / np.maximum(colours[..., 0], 1)
    teeth = (between > 127) & (colours.sum(2) > _TOOTH_LIGHT * light.sum())
    teeth &= redness < _TOOTH_REDNESS * (light[0] - light[1]) / light[0]
    if teeth.sum() < _TEETH_SEEN_MM2 * frame.px_per_mm**2:
        return None
    row = np.zeros(picture.shape[:2], np.uint8)  # with the gaps between the teeth
    ys, xs = np.nonzero(cv2.medianBlur(teeth.astype(np.uint8), 3))
    if len(ys) < 3:
        return None
    cv2.fillConvexPoly(row, cv2.convexHull(np.column_stack([xs, ys]).astype(np.int32)), 1)
    row &= between > 127
    filled = fill_from_outside(picture, 1 - row.astype(np.float32)).astype(np.float32)
    whole = row.copy()
    raised = max(1, round(_HIDDEN_TEETH_MM * frame.px_per_mm))
    for x in np.flatnonzero(row.any(0)):  # above what is seen, every tooth goes on as it is there
        top = int(row[:, x].argmax())
        first = max(0, top - raised)
        darker = np.linspace(0.6, 1, top - first, dtype=np.float32)[:, None]
        filled[first:top, x] = filled[min(top + 1, len(row) - 1), x] * darker
        whole[first:top, x] = 1
    cover = cv2.GaussianBlur(whole.astype(np.float32), (0, 0), max(0.5, 0.3 * frame.px_per_mm))
    ys, xs = np.nonzero(row)
    from_middle = np.column_stack([xs, ys]) - frame.middle
    central = np.abs(from_middle @ frame.right) < 10 * frame.px_per_mm
    below = from_middle[central if central.any() else slice(None)] @ frame.down / frame.px_per_mm
    seen = colours[teeth]
    best = np.argsort(seen.sum(1))[-max(1, len(seen) // 4) :]
    return OwnTeeth(
        np.dstack([filled, cover]).astype(np.float32),
        seen[best].mean(0).astype(np.float64),
        max(_EDGE_BELOW_LIP_MM, float(np.quantile(below, 0.95))),
    )


class MouthInterior:
    """Draws the inside of one person's mouth.

    Parameters
    ----------
    frame : MouthFrame
        Of the closed mouth.
    light : FloatArray, shape (3,)
        Colour of well-lit skin, 0 to 255: what white would be tinted to is guessed from it.
    own : OwnTeeth or None
        The teeth that the portrait shows. They stay where they are, on the upper jaw.
    """

    def __init__(self, frame: MouthFrame, light: FloatArray, own: OwnTeeth | None) -> None:
        self._frame = frame
        self._own = own
        brightness = float(np.clip(light.max() * 0.98, 60, 235))
        tint = 0.35 * light / light.max() + 0.65
        self._white = brightness * tint
        self._tooth_white = self._white if own is None else own.colour / _IVORY
        self._upper = _tooth_row(_UPPER_TEETH_MM, _TOOTH_HEIGHT_MM[0], curve=1.6)
        self._lower = _tooth_row(_LOWER_TEETH_MM, _TOOTH_HEIGHT_MM[1], curve=-5.0)[::-1]

    def draw(
        self, lips: FloatArray, jaw_drop_px: float, origin: tuple[int, int], size: tuple[int, int], scale: int
    ) -> Float32Array:
        """Draw the inside as seen through the lips.

        Parameters
        ----------
        lips : FloatArray, shape (20, 2)
            Inner lips around the opening, picture pixels.
        jaw_drop_px : float
            How far the lower jaw has come down from closed.
        origin, size : (int, int)
            Left and top, width and height of the patch to draw, picture pixels.
        scale : int
            Samples a pixel along each side.

        Returns
        -------
        float32 array, shape (height * scale, width * scale, 4)
            RGB from 0 to 255 and coverage from 0 to 1.
        """
        import cv2

        frame = self._frame
        wide, high = size[0] * scale, size[1] * scale
        to_patch = np.array(
            [[scale, 0, (0.5 - origin[0]) * scale - 0.5], [0, scale, (0.5 - origin[1]) * scale - 0.5]]
        )
        outline = lips @ to_patch[:, :2].T + to_patch[:, 2]
        mask = np.zeros((high, wide), np.uint8)
        cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        inside = mask.astype(np.float32) / 255
        unit = frame.px_per_mm * scale

        depth = cv2.GaussianBlur(inside, (0, 0), max(0.8, 1.6 * unit))
        along, below = _places_mm(frame, origin, (wide, high), scale)
        drop_mm = jaw_drop_px / frame.px_per_mm
        picture = self._draw_cavity(along, below)
        self._put_tongue(picture, along, below - drop_mm)
        lower_lip = (lips[_LOWER_LIP] - frame.middle) @ frame.down / frame.px_per_mm
        lower_edge = max(drop_mm + 1.0, lower_lip - _LOWER_TEETH_SEEN_MM)
        self._put_row(
            picture, self._lower, to_patch, edge_mm=lower_edge, anchor=0.0, brightness=0.72, unit=unit
        )
        self._put_row(
            picture,
            self._upper,
            to_patch,
            edge_mm=_EDGE_BELOW_LIP_MM if self._own is None else self._own.edge_mm,
            anchor=1.0,
            brightness=1.0,
            unit=unit,
        )
        shade = 0.55 + 0.45 * np.clip((depth - 0.35) / 0.5, 0, 1)
        # The upper lip throws a shadow on what is right below it.
        from_above = np.roll(inside, max(1, round(1.3 * unit)), axis=0)
        shade *= 0.7 + 0.3 * cv2.GaussianBlur(from_above * inside, (0, 0), max(0.8, 0.8 * unit))
        picture *= shade * (1 + (1 - shade) * _in_planes(_WARMTH))
        if self._own is not None:
            own = np.stack(cv2.split(cv2.warpAffine(self._own.drawn, to_patch, (wide, high))))
            picture += own[3] * (own[:3] * (0.5 + 0.5 * shade) - picture)
        drawn: Float32Array = cv2.merge([*picture, inside])
        return drawn

    def _put_row(
        self,
        picture: Float32Array,
        row: Float32Array,
        to_patch: FloatArray,
        *,
        edge_mm: float,
        anchor: float,
        brightness: float,
        unit: float,
    ) -> None:
        import cv2

        frame = self._frame
        height, width = row.shape[:2]
        step = frame.px_per_mm / _PIXELS_PER_MM
        start = frame.middle + frame.down * edge_mm * frame.px_per_mm
        start = start - step * (width / 2 * frame.right + anchor * height * frame.down)
        axes = np.column_stack([frame.right * step, frame.down * step])
        matrix = np.column_stack([to_patch[:, :2] @ axes, to_patch[:, :2] @ start + to_patch[:, 2]])
        flags = cv2.INTER_AREA if unit < _PIXELS_PER_MM else cv2.INTER_LINEAR
        placed = np.stack(cv2.split(cv2.warpAffine(row, matrix, picture.shape[:0:-1], flags=flags)))
        picture *= 1 - placed[3]
        picture += placed[:3] * _in_planes(self._tooth_white) * brightness

    def _draw_cavity(self, along: Float32Array, below: Float32Array) -> Float32Array:
        """Return what is behind the teeth, in planes: the throat in the middle, the cheeks at the corners."""
        deep = np.exp(-((along / 13) ** 2) - ((below - 5) / 8) ** 2)
        cheek, throat = (_in_planes(self._white * colour) for colour in (_CHEEK, _THROAT))
        cavity: Float32Array = cheek + deep * (throat - cheek)
        return cavity

    def _put_tongue(self, picture: Float32Array, along: Float32Array, below: Float32Array) -> None:
        """Put the tongue on the floor of the mouth: round, lit from above and in front, with a groove along its middle."""
        x, y = along / 15, (below - 3) / 8
        away = x**2 + y**2
        cover = np.clip((1 - away) * 2.2, 0, 1)
        rise = np.sqrt(np.clip(1 - away, 0, 1))
        light = 0.45 + 0.62 * np.clip(0.75 * rise + 0.45 * y, 0, 1)
        light *= 1 - 0.16 * np.exp(-((x / 0.12) ** 2))
        picture *= 1 - cover
        picture += cover * light * _in_planes(self._white * _TONGUE)


def _in_planes(colour: Float32Array | FloatArray) -> Float32Array:
    """Return a colour that goes with pictures in three planes, one after the other: rows of one colour are soon done."""
    return colour.astype(np.float32)[:, None, None]


def _tint(light: Float32Array | FloatArray) -> Float32Array | FloatArray:
    """Return light from 0 to 1 in three colours."""
    share = light[..., None]
    return share * (1 + (1 - share) * _WARMTH)


def _places_mm(
    frame: MouthFrame, origin: tuple[int, int], size: tuple[int, int], scale: int
) -> tuple[Float32Array, Float32Array]:
    """Return how far to the right of, and below, the middle of the closed lips each sample is, millimetres."""
    wide, high = size
    xs = (np.arange(wide, dtype=np.float32) + 0.5) / scale - 0.5 + origin[0] - np.float32(frame.middle[0])
    ys = (np.arange(high, dtype=np.float32) + 0.5) / scale - 0.5 + origin[1] - np.float32(frame.middle[1])
    along, below = (
        (ys[:, None] * np.float32(axis[1]) + xs * np.float32(axis[0])) / np.float32(frame.px_per_mm)
        for axis in (frame.right, frame.down)
    )
    return along, below


def _tooth_row(widths_mm: tuple[float, ...], height_mm: float, curve: float) -> Float32Array:
    """Draw a row of teeth whose cutting edge is at the bottom: premultiplied RGB in [0, 1] and coverage."""
    n_high, n_wide = round((height_mm + 2) * _PIXELS_PER_MM), round(MOUTH_WIDTH_MM * 1.02 * _PIXELS_PER_MM)
    x = (np.arange(n_wide) + 0.5 - n_wide / 2) / _PIXELS_PER_MM
    y = ((np.arange(n_high) + 0.5) / _PIXELS_PER_MM - 2)[:, None]  # mm below the gum line
    along = (
        _ARCH_RADIUS_MM * 1.15 * np.arcsin(np.clip(np.abs(x) / (_ARCH_RADIUS_MM * 1.15), 0, 1))
    )  # on the arch
    borders = np.concatenate([[0.0], np.cumsum(widths_mm)])
    which = np.clip(np.searchsorted(borders, along, side="right") - 1, 0, len(widths_mm) - 1)
    width = np.array(widths_mm)[which]
    within = np.clip((along - borders[which]) / width, 0, 1)  # 0 at the inner, 1 at the outer side of a tooth
    bulge = 1 - np.abs(2 * within - 1) ** 3.5
    shorter = np.array([0.0, 0.7, 0.3, 1.0, 1.6])[which]
    edge = height_mm - curve * (x / 20) ** 2 - shorter * 0.6 - (1 - bulge) * 0.9
    cover = np.clip((edge - y) * 1.6, 0, 1) * np.clip((along < borders[-1]) * 1.0, 0, 1)
    turned = np.cos(np.clip(along / (_ARCH_RADIUS_MM * 1.15), 0, 1.35))
    light = (0.30 + 0.70 * turned**1.2) * (0.86 + 0.14 * bulge)
    rounded = 0.94 + 0.06 * np.clip(y / height_mm, 0, 1) - 0.10 * np.clip(y - edge + 0.8, 0, 1)
    gum = np.clip((1.2 - y) / 2.0, 0, 1)[..., None]
    colour = _IVORY * (1 - gum) + gum * np.array([0.66, 0.36, 0.36])
    rows = colour * _tint(light * rounded) * cover[..., None]
    return np.dstack([rows, cover]).astype(np.float32)
