"""What speaks for a mark where it may be: shape, worst part, mirror image, colours and CLIP embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import load_library
from evalkit.tracks.clip import ClipModel
from evalkit.tracks.drawing import NOISE_VARIANCE, Drawing, trace_logo
from evalkit.tracks.mark_place import Box, choose_view, propose, register, warp
from evalkit.types import FloatArray

COARSE_PX, FINE_PX = 512, 1280
"""Long side of the frame for proposals, and at most for everything after."""
FILLED = 0.86
"""Share of an embedded square that the long side of the mark fills."""
SQUARE_PX = 96
N_MIXTURES = 8
"""Steps between a drawing's own colour and the palest mixture with the background that is still that colour."""
LIGHTNESS_COUNTS = 0.5
"""Of a difference in lightness, beside one in hue or chroma: light on a wall varies, paint does not."""


@dataclass(frozen=True)
class Shape:
    """One shape of a mark, with all versions of it: their numbers, their colours, and the embedding of the drawing."""

    drawing: Drawing
    versions: tuple[int, ...]
    colors: tuple[FloatArray, ...]
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Gathered:
    """Evidence at n places of a frame.

    Parameters
    ----------
    drawings, versions
        Which drawing was laid there, and which logo's colours are nearest.
    to_frame : list of affine maps, (3, 3)
        From the drawing's pixels to the frame's.
    links : FloatArray, shape (n, 4)
        Shape, ink, mirror and color of `evalkit.metrics.brand.EVIDENCE`.
    cosines : FloatArray, shape (n,)
        Of the embeddings, raw.
    """

    drawings: list[Drawing]
    versions: list[int]
    to_frame: list[FloatArray]
    links: FloatArray
    cosines: FloatArray


class MarkSeeker:
    """Gathers evidence for one brand's mark: everything before calibration.

    Parameters
    ----------
    logos
        The versions of the mark, RGBA, (height, width, 4).
    model
        Embeds what was found.
    """

    def __init__(self, logos: Sequence[NDArray[np.uint8]], model: ClipModel) -> None:
        self.model = model
        self.shapes = _group(logos, model)

    def gather(self, frame: NDArray[np.uint8]) -> Gathered:
        """Propose, register and compare in a frame, RGB, (height, width, 3)."""
        fine = _shrink(frame, FINE_PX)
        coarse = _shrink(fine, COARSE_PX)
        to_fine = _enlarge(coarse, fine)
        places = [
            (index, to_fine @ proposed)
            for index, shape in enumerate(self.shapes)
            for proposed in propose(shape.drawing, coarse)
        ]
        return self._compare_at(fine, _enlarge(fine, frame), places)

    def gather_at(self, frame: NDArray[np.uint8], places: Sequence[tuple[int, FloatArray]]) -> Gathered:
        """Register and compare where somebody else proposes: the number of a shape, and the affine map to the frame."""
        fine = _shrink(frame, FINE_PX)
        to_frame = _enlarge(fine, frame)
        to_fine = np.linalg.inv(to_frame)
        return self._compare_at(fine, to_frame, [(index, to_fine @ place) for index, place in places])

    def cosine_of(self, frame: NDArray[np.uint8], box: Box) -> float:
        """Return the cosine of a box of a frame, whatever lies in it, to the shape that it is nearest to."""
        x0, y0, x1, y1 = box
        side = max(x1 - x0, y1 - y0, 2.0) / FILLED
        step = side / SQUARE_PX
        corner = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
        square = np.array([[step, 0, corner[0]], [0, step, corner[1]], [0, 0, 1.0]])
        cut = warp(np.asarray(frame, np.float32), square, (SQUARE_PX, SQUARE_PX))
        vector = self.model.embed([np.asarray(np.clip(cut, 0, 255), np.uint8)])[0]
        return float(max(vector @ shape.embedding for shape in self.shapes))

    def _compare_at(
        self, fine: NDArray[np.float32], to_frame: FloatArray, places: Sequence[tuple[int, FloatArray]]
    ) -> Gathered:
        if not places:
            return Gathered([], [], [], np.empty((0, 4)), np.empty(0))
        drawings, versions, laid, rows, crops = [], [], [], [], []
        for index, proposed in places:
            shape = self.shapes[index]
            place = register(shape.drawing, fine, proposed)
            links, version = _compare(shape, fine, place)
            rows.append(links)
            crops.append(_cut_square(shape.drawing, fine, place))
            drawings.append(shape.drawing)
            versions.append(version)
            laid.append(to_frame @ place)
        own = np.stack([self.shapes[index].embedding for index, _ in places])
        cosines = (self.model.embed(crops) * own).sum(1).astype(float)
        return Gathered(drawings, versions, laid, np.array(rows), cosines)


def embed_drawings(
    drawings: Sequence[tuple[Drawing, Sequence[FloatArray]]], model: ClipModel
) -> NDArray[np.float32]:
    """Embed drawings, each in some colours: the mean over these on white, black and grey, framed as regions are."""
    pictures: list[NDArray[np.uint8]] = []
    owners: list[int] = []
    for owner, (drawing, colors) in enumerate(drawings):
        for paint in colors:
            for behind in (255.0, 0.0, 128.0):
                if np.abs(paint - behind).max() > 50:
                    flat = (behind + drawing.regions @ (paint - behind)).astype(np.float32)
                    pictures.append(_cut_square(drawing, flat, np.eye(3), behind))
                    owners.append(owner)
    sums = np.zeros((len(drawings), model.embed([]).shape[1]), np.float32)
    np.add.at(sums, owners, model.embed(pictures))
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)


def _group(logos: Sequence[NDArray[np.uint8]], model: ClipModel) -> list[Shape]:
    """Put versions of the same shape together: they are looked for once."""
    groups: list[tuple[Drawing, list[int], list[FloatArray]]] = []
    for version, logo in enumerate(logos):
        drawing = trace_logo(logo)
        for known, versions, colors in groups:
            same_size = known.regions.shape == drawing.regions.shape
            if same_size and np.abs(known.regions - drawing.regions).mean() < 0.02:
                versions.append(version)
                colors.append(drawing.colors)
                break
        else:
            groups.append((drawing, [version], [drawing.colors]))
    embeddings = embed_drawings([(drawing, colors) for drawing, _, colors in groups], model)
    return [
        Shape(drawing, tuple(versions), tuple(colors), embedding)
        for (drawing, versions, colors), embedding in zip(groups, embeddings, strict=True)
    ]


def _shrink(frame: NDArray[Any], long_side_px: int) -> NDArray[np.float32]:
    """Return a frame in single precision, no larger than a limit."""
    cv2 = load_library("cv2")
    scale = long_side_px / max(frame.shape[:2])
    if scale < 1:
        size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(frame, np.float32)


def _enlarge(small: NDArray[Any], large: NDArray[Any]) -> FloatArray:
    """Return the affine map from a shrunk frame's pixels to the frame's."""
    return np.diag([large.shape[1] / small.shape[1], large.shape[0] / small.shape[0], 1.0])


def _cut_square(
    drawing: Drawing, frame: NDArray[np.float32], to_frame: FloatArray, behind: float | None = None
) -> NDArray[np.uint8]:
    """Cut a square around the drawing as laid onto a frame, upright, for embedding."""
    height, width = drawing.regions.shape[:2]
    side = max(drawing.size_px) / FILLED
    step = side / SQUARE_PX
    around = np.array([[step, 0, (width - side) / 2], [0, step, (height - side) / 2], [0, 0, 1.0]])
    cut = warp(frame, to_frame @ around, (SQUARE_PX, SQUARE_PX), behind)
    return np.asarray(np.clip(cut, 0, 255), np.uint8)


def _compare(
    shape: Shape, frame: NDArray[np.float32], to_frame: FloatArray
) -> tuple[tuple[float, float, float, float], int]:
    """Gather shape, ink, mirror and color where a drawing was laid, and the version whose colours are nearest."""
    sharpest = choose_view(to_frame)
    best = -1.0
    for tried in (shape.drawing, shape.drawing.tight):
        cut = shape.drawing.margin_px - tried.margin_px
        inner = to_frame @ np.array([[1, 0, cut], [0, 1, cut], [0, 0, 1.0]])
        height, width = tried.regions.shape[:2]
        seen = warp(frame, inner, (width, height)).reshape(-1, 3)
        for softness in range(sharpest, min(sharpest + 2, len(tried.views))):
            fit = tried.views[softness].fit(seen)
            if fit[0] > best:
                best, drawing, patch, chosen, (share, colors, rest) = fit[0], tried, seen, softness, fit
    mirror = 1.0
    for mirrored in drawing.mirrors:
        view, common = mirrored[chosen]
        other, _, _ = view.fit(patch)
        apart = (share - other) / max(share + other, 1e-6)
        mirror = min(mirror, apart * (1 + common) / max(1 - common, 1e-3))
    palest = drawing.views[chosen].palest
    differences = [_color_difference(colors, own, palest) for own in shape.colors]
    nearest = int(np.argmin(differences))
    ink = _worst_part(drawing, colors, rest.reshape(*drawing.ink.shape, 3))
    return (float(np.sqrt(share)), ink, mirror, -differences[nearest] / 10), shape.versions[nearest]


def _worst_part(drawing: Drawing, colors: NDArray[np.float32], rest: NDArray[np.float32]) -> float:
    """Return how well the drawing is there in the worst of its parts: 1 minus what is wrong, over the contrast."""
    contrast = float(((colors[1:] - colors[0]) ** 2).sum(1).max()) + NOISE_VARIANCE
    wrong = (rest**2).sum(2) * drawing.ink
    worst = max((float(wrong[part].sum()) / amount for part, amount in drawing.parts), default=0.0)
    return 1 - worst / contrast


def _color_difference(seen: NDArray[np.float32], own: FloatArray, palest: FloatArray) -> float:
    """Return the colour difference, in CIELAB units, of the region that is most off.

    The background is the first colour seen. A region may be mixed with it as far as `View.palest` lets it pale.
    """
    cv2 = load_library("cv2")
    shares = 1 - np.linspace(0, 1, N_MIXTURES)[:, None, None] * (1 - palest)[None, :, None]
    mixed = seen[0] + shares * (own - seen[0])
    both = np.concatenate([seen[None, 1:], mixed]).clip(0, 255).astype(np.float32) / 255
    lab = cv2.cvtColor(both, cv2.COLOR_RGB2LAB)
    gap = (lab[1:] - lab[:1]) * np.array([LIGHTNESS_COUNTS, 1, 1], np.float32)
    return float(np.sqrt((gap**2).sum(2)).min(0).max())
