"""The brand track: on key frames, where the mark may be, how much it is the mark, and what colours it has.

Rows are key frames (`evalkit.tracks.key_frames`). Whether a place lies on the person is not asked here: that takes
other tracks, which are made at the same time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.brands.guidelines import BrandGuidelines
from evalkit.metrics.color import estimate_light, lab_of, nearest_color, take_out_light
from evalkit.metrics.color_difference import delta_e
from evalkit.tracks import mark
from evalkit.tracks.base import TrackBuilder
from evalkit.tracks.clip import ClipModel
from evalkit.tracks.key_frames import LONGEST_GAP_S, KeyFrames
from evalkit.tracks.mark import Candidate, MarkFinder
from evalkit.types import FloatArray, FrameChunk, Track

Picture = NDArray[np.uint8]

VERSION = 3
N_BEST = 8
"""Places kept a key frame: some of them will be on the person."""
PLACE_COLUMNS = ("x0_px", "y0_px", "x1_px", "y1_px", "fidelity", "cosine")
COLOR_COLUMNS = ("logo", "delta_e", "delta_e_balanced")
LIGHT_COLUMNS = ("light_red", "light_green", "light_blue")
WORTH_A_LOOK = 0.2
"""Places of less fidelity are not asked for their colours."""
READ_EVERY_S = 3.0
"""Text on a wall stays where it is while the picture hardly changes."""
PERCENTILE = 95.0
_CARRIES = 10.0  # ΔE00 up to which a drawing's own colour is one of the brand's
_LEAST_PIXELS = 12
_LEAST_DEPTH_PX = 2.0  # of the frame: nearer to an edge, colour at half the resolution is a mixture
_SCENE_PX = 64
_VIEW_PX = 128
_SLACK_S = 1e-6
_NEIGHBOURS = 5


def track_name(guidelines: BrandGuidelines, model: ClipModel, reading: str = "") -> str:
    """Return the name of the track of a brand, seen by a model, text read by networks of a hash: all that decides its values."""
    said = f"{guidelines.content} {model.weights_hash} {mark.VERSION} {reading}"
    return f"brand-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def columns_of(n_colors: int, n_dimensions: int) -> tuple[str, ...]:
    """Return the columns of a brand track.

    Columns
    -------
    light_*
        Linear light of the scene, mean 1; see `evalkit.metrics.color.estimate_light`.
    scene_K
        Share of the scene, 0 to 1, that passes for the brand's colour K.
    embedding_J
        The whole picture as a unit vector, where the model is one for pictures of anything.
    placeI_*
        Place I, the best first: box, fidelity, cosine, and which of the drawings it is; then the 95th percentile of
        ΔE00 over the mark's pixels, as they are and with the light taken out. NaN where there is no such place, or
        nothing to read a colour from.
    placeI_seenK_*
        The median of what is seen of colour K, sRGB 0 to 255.
    """
    columns = [*LIGHT_COLUMNS, *(f"scene_{k}" for k in range(n_colors))]
    columns += [f"embedding_{j}" for j in range(n_dimensions)]
    for index in range(N_BEST):
        columns += [f"place{index}_{what}" for what in (*PLACE_COLUMNS, *COLOR_COLUMNS)]
        columns += [f"place{index}_seen{k}_{c}" for k in range(n_colors) for c in ("red", "green", "blue")]
    return tuple(columns)


class BrandTracker:
    """Makes the track of one brand.

    Parameters
    ----------
    guidelines : BrandGuidelines
    model : ClipModel
    make_finder : callable
        Gives the finder of the brand's logos; called with the first frame.
    reading : str
        Hash of the networks by which the finder reads text; empty where it reads none.
    """

    version = VERSION

    def __init__(
        self,
        guidelines: BrandGuidelines,
        model: ClipModel,
        make_finder: Callable[[], MarkFinder],
        reading: str = "",
    ) -> None:
        self.name = track_name(guidelines, model, reading)
        self._logos = guidelines.logos
        self._colors = lab_of(
            np.array([color.rgb for color in guidelines.colors], dtype=np.float64).reshape(-1, 3)
        )
        self._tolerances = np.array([color.tolerance for color in guidelines.colors])
        self._model = model
        self._make_finder = make_finder
        self._finder: MarkFinder | None = None
        self._key_frames = KeyFrames()
        self._last_look_s = self._last_read_s = -math.inf
        n_dimensions = model.embed([]).shape[1] if model.general else 0
        self._rows = TrackBuilder(self.name, columns_of(len(self._colors), n_dimensions))
        self._times_s: list[float] = []
        self._size = (0, 0)

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Look at the next frames; return, for a key frame, the corners of the best place."""
        found: list[NDArray[np.float32] | None] = []
        for time_s, frame in zip(chunk.times_s, chunk.frames, strict=True):
            self._times_s = [*self._times_s[-1:], float(time_s)]
            self._size = frame.shape[1], frame.shape[0]
            found.append(self._look(float(time_s), frame) if self._key_frames.choose(time_s, frame) else None)
        return found

    def finish(self) -> Track:
        """Return the whole track. Its facts say when the picture ends, its size, and the model's name."""
        last_s = self._times_s[-1] if self._times_s else 0.0
        frame_s = self._times_s[-1] - self._times_s[0] if len(self._times_s) == 2 else 0.04
        return self._rows.track(
            {
                "end_s": last_s + frame_s,
                "width_px": self._size[0],
                "height_px": self._size[1],
                "model": self._model.name,
            }
        )

    def _look(self, time_s: float, frame: Picture) -> NDArray[np.float32] | None:
        self._finder = self._finder or self._make_finder()
        candidates = self._finder.find(frame, n_best=N_BEST, read=self._is_time_to_read(time_s))
        scene = _shrunk(frame)
        light = estimate_light(scene)
        row: list[float] = [*light, *self._scene_shares(scene)]
        row += self._model.embed([frame])[0].tolist() if self._model.general else []
        for index in range(N_BEST):
            candidate = candidates[index] if index < len(candidates) else None
            row += self._describe(frame, candidate, light)
        self._rows.append(time_s, np.array(row, dtype=np.float32))
        if not candidates:
            return None
        x0, y0, x1, y1 = candidates[0].box
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float32)

    def _is_time_to_read(self, time_s: float) -> bool:
        """Say whether text is read anew: after a change of the picture, and every `READ_EVERY_S`."""
        last_s, self._last_look_s = self._last_look_s, time_s
        is_change = time_s - last_s < LONGEST_GAP_S - _SLACK_S
        if not is_change and time_s - self._last_read_s < READ_EVERY_S - _SLACK_S:
            return False
        self._last_read_s = time_s
        return True

    def _scene_shares(self, scene: FloatArray) -> list[float]:
        if not len(self._colors):
            return []
        distances = delta_e(lab_of(scene)[:, None], self._colors[None])
        return [float(share) for share in (distances <= self._tolerances).mean(axis=0)]

    def _describe(self, frame: Picture, candidate: Candidate | None, light: FloatArray) -> list[float]:
        n_numbers = len(PLACE_COLUMNS) + len(COLOR_COLUMNS) + 3 * len(self._colors)
        if candidate is None:
            return [np.nan] * n_numbers
        numbers = [*candidate.box, candidate.fidelity, candidate.cosine, candidate.version]
        reading = None
        if len(self._colors) and candidate.fidelity >= WORTH_A_LOOK:
            logo = self._logos[candidate.version]
            reading = read_colors(frame, np.array(candidate.corners), logo, self._colors, light)
        if reading is not None:
            numbers += [reading.delta_e, reading.delta_e_balanced, *reading.seen.ravel()]
        return numbers + [np.nan] * (n_numbers - len(numbers))


class ColorReading(NamedTuple):
    """What colours a mark has.

    Parameters
    ----------
    delta_e, delta_e_balanced : float
        95th percentile of ΔE00 over the mark's own pixels, as seen and with the light taken out.
    seen : FloatArray, shape (n_colors, 3)
        Median sRGB of the pixels that should have each colour; NaN for a colour that the drawing does not have.
    """

    delta_e: float
    delta_e_balanced: float
    seen: FloatArray


def read_colors(
    frame: Picture, corners: FloatArray, logo: Picture, colors: FloatArray, light: FloatArray
) -> ColorReading | None:
    """Read the colours of a mark that was found.

    The pixels that have a brand colour in the drawing (ΔE00 up to 10) are compared with that colour, each with its
    own; the rest of the region is background, or has no colour to keep. Only inner pixels count, each averaged with
    those around it: edges are mixtures, and video has coding noise, and colour at half the resolution.

    Parameters
    ----------
    frame : uint8 array, shape (height, width, 3)
        RGB.
    corners : FloatArray, shape (4, 2)
        Where the drawing lies, x and y in pixels, clockwise from its upper left.
    logo : uint8 array, shape (height, width, 4)
        The drawing.
    colors : FloatArray, shape (k, 3)
        CIELAB of the brand's colours, k ≥ 1.
    light : FloatArray, shape (3,)
        Of the scene.

    Returns
    -------
    ColorReading or None
        None where fewer than 12 pixels of a brand colour lie 2 pixels inside of it.
    """
    import cv2

    width, height = (float(np.linalg.norm(corners[end] - corners[0])) for end in (1, 3))
    scale = min(1.0, _VIEW_PX / max(width, height))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    target = np.array([(0, 0), (size[0], 0), (0, size[1])], dtype=np.float32) - 0.5
    lay = cv2.getAffineTransform((corners[[0, 1, 3]] - 0.5).astype(np.float32), target)
    if scale < 0.7:
        frame = cv2.GaussianBlur(frame, (0, 0), 0.4 / scale)
    seen = cv2.warpAffine(frame, lay, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    labels = _labels(logo, size, colors)
    inner = _inner(labels, (_LEAST_DEPTH_PX * scale, 1.5 + 0.02 * max(size)))
    if inner.sum() < _LEAST_PIXELS:
        return None
    rgb, own = _smoothed(seen, labels, inner)[inner], labels[inner]
    raw = delta_e(lab_of(rgb), colors[own])
    balanced = delta_e(lab_of(take_out_light(rgb, light)), colors[own])
    medians = np.full((len(colors), 3), np.nan)
    for color in np.unique(own):
        medians[color] = np.median(rgb[own == color], axis=0)
    return ColorReading(
        float(np.percentile(raw, PERCENTILE)), float(np.percentile(balanced, PERCENTILE)), medians
    )


def _labels(logo: Picture, size: tuple[int, int], colors: FloatArray) -> NDArray[np.intp]:
    """Return, for each pixel of a drawing in a size, which of the brand's colours it has; -1 for none."""
    import cv2

    cover = logo[..., 3:].astype(np.float32) / 255
    whole = np.concatenate([logo[..., :3] * cover, cover], axis=2)
    drawn = cv2.resize(
        whole, size, interpolation=cv2.INTER_AREA if size[0] < logo.shape[1] else cv2.INTER_LINEAR
    )
    solid = drawn[..., 3] > 0.95
    labels = np.full(solid.shape, -1)
    if solid.any():
        nearest, distances = nearest_color(lab_of(drawn[solid, :3] / drawn[solid, 3:]), colors)
        labels[solid] = np.where(distances <= _CARRIES, nearest, -1)
    return labels


def _inner(labels: NDArray[np.intp], depths_px: tuple[float, float]) -> NDArray[np.bool_]:
    """Say which pixels lie inside their colour: as deep as is good, or the deepest third if that is deep enough."""
    import cv2

    inner = np.zeros(labels.shape, dtype=bool)
    for color in np.unique(labels[labels >= 0]):
        mask = np.pad((labels == color).astype(np.uint8), 1)
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)[1:-1, 1:-1]
        enough, good = depths_px
        inner |= depth >= max(enough, min(good, float(np.quantile(depth[depth > 0], 0.67))))
    return inner


def _smoothed(seen: Picture, labels: NDArray[np.intp], inner: NDArray[np.bool_]) -> FloatArray:
    """Average each inner pixel with its inner neighbours of the same colour: coding noise is no colour."""
    import cv2

    smooth = seen.astype(np.float64)
    for color in np.unique(labels[inner]):
        mask = (inner & (labels == color)).astype(np.float64)
        total = cv2.blur(seen * mask[..., None], (_NEIGHBOURS, _NEIGHBOURS))
        share = cv2.blur(mask, (_NEIGHBOURS, _NEIGHBOURS))
        smooth[mask > 0] = total[mask > 0] / share[mask > 0, None]
    return smooth


def _shrunk(frame: Picture) -> FloatArray:
    """Return the pixels of a small version of a frame, shape (n, 3)."""
    import cv2

    scale = min(1.0, _SCENE_PX / max(frame.shape[:2]))
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA).reshape(-1, 3), dtype=np.float64)
