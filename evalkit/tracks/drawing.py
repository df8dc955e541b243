"""A logo as the finder needs it: trimmed, its colours apart, at a few sharpnesses, and as pictures to embed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.metrics.brand import RegionFit
from evalkit.tracks.base import load_library
from evalkit.types import FloatArray

WORK_PX = 56
"""Square root of a drawing's area where it is compared with a picture."""
MARGIN = 0.12
"""Background seen around a solid drawing, as a share of `WORK_PX`: a disc is known by its rim."""
SPARSE_MARGIN = 0.04
"""Around letters and lines, which have background between them: a sign often ends where they do."""
SOLID = 0.6
"""Share of its box that a solid drawing fills."""
TIGHT = 0.25
"""Share of the margin that a small sign has."""
MOST_COLORS = 4
WIDEST = 14.0
SOFTNESS = (0.6, 1.2, 2.4)
UNSEEN_BLUR = 1.6
"""A picture may be as many times softer than the view that it is compared with: focus, coding, colour at half resolution."""
SAME = 0.97
"""Correlation from which on a mirror image is the drawing itself."""
NOISE_VARIANCE = 3 * 4.0**2
"""Summed over the channels, of a plain wall in a compressed frame."""

Part = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Drawing:
    """One version of a mark.

    Parameters
    ----------
    regions : FloatArray, shape (height, width, k)
        How much of a pixel each of its k colours covers, 0–1, with a margin around, about `WORK_PX` in size.
    colors : FloatArray, shape (k, 3)
        The colours, RGB 0–255, the largest region first.
    margin_px
        Width of the margin.
    """

    regions: FloatArray
    colors: FloatArray
    margin_px: int

    @cached_property
    def ink(self) -> FloatArray:
        """How much of each pixel the drawing covers, (height, width)."""
        return np.asarray(self.regions.sum(2))

    @cached_property
    def parts(self) -> tuple[tuple[Part, float], ...]:
        """Its parts, at most 3 × 8, with the ink in each; none with less than a twenty-fifth of all ink."""
        height, width = self.ink.shape
        rows = np.array_split(np.arange(height), min(3, max(1, height // 12)))
        columns = np.array_split(np.arange(width), min(8, max(1, width // 20)))
        enough = 0.04 * float(self.ink.sum())
        parts = [
            np.s_[row[0] : row[-1] + 1, column[0] : column[-1] + 1] for row in rows for column in columns
        ]
        amounts = [float(self.ink[part].sum()) for part in parts]
        return tuple((part, amount) for part, amount in zip(parts, amounts, strict=True) if amount > enough)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the drawing without its margin."""
        height, width = self.regions.shape[:2]
        return width - 2 * self.margin_px, height - 2 * self.margin_px

    @cached_property
    def tight(self) -> Drawing:
        """The same with hardly a margin: on a small sign there is no more background than that."""
        cut = self.margin_px - max(1, round(TIGHT * self.margin_px))
        inner = np.s_[cut : self.regions.shape[0] - cut, cut : self.regions.shape[1] - cut]
        return Drawing(self.regions[inner], self.colors, self.margin_px - cut)

    @cached_property
    def views(self) -> tuple[View, ...]:
        """The drawing at each of `SOFTNESS`: what few pixels do to it."""
        return tuple(_see(self.regions, sigma) for sigma in SOFTNESS)

    @cached_property
    def mirrors(self) -> tuple[tuple[tuple[View, float], ...], ...]:
        """Its mirror images that differ from it; at each of `SOFTNESS`, with the share of variance in common with it."""
        mirrors = []
        for axis in (1, 0):
            turned = np.ascontiguousarray(np.flip(self.regions, axis))
            views = tuple(_see(turned, sigma) for sigma in SOFTNESS)
            common = [_correlate(own, view) for own, view in zip(self.views, views, strict=True)]
            if common[0] < SAME:
                shares = (max(correlation, 0.0) ** 2 for correlation in common)
                mirrors.append(tuple(zip(views, shares, strict=True)))
        return tuple(mirrors)


@dataclass(frozen=True)
class View:
    """A drawing seen through a blur.

    Parameters
    ----------
    regions : float32 array, shape (height, width, k)
    fit : RegionFit
        Of the regions to a picture.
    palest : FloatArray, shape (k,)
        How much of its contrast with the background each region shows at least, 0–1, where the picture is softer by
        `UNSEEN_BLUR` than this view: thin strokes pale, large areas do not.
    """

    regions: NDArray[np.float32]
    fit: RegionFit
    palest: FloatArray


def _see(regions: FloatArray, sigma_px: float) -> View:
    cv2 = load_library("cv2")
    soft, softer = (
        cv2.GaussianBlur(regions.astype(np.float32), (0, 0), sigma).reshape(-1, regions.shape[2])
        for sigma in (sigma_px, sigma_px * UNSEEN_BLUR)
    )
    fit = RegionFit(soft, NOISE_VARIANCE)
    palest = [fit(np.repeat(softer[:, [k]], 3, axis=1))[1][k + 1, 0] for k in range(regions.shape[2])]
    return View(soft.reshape(regions.shape), fit, np.clip(palest, 0.0, 1.0))


def _correlate(first: View, second: View) -> float:
    """Return the correlation of two views of as many regions."""
    codes = np.arange(1, first.regions.shape[2] + 1)
    return float(np.corrcoef(first.fit.design[:, 1:] @ codes, second.fit.design[:, 1:] @ codes)[0, 1])


def trim_logo(logo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut a logo down to where something is drawn.

    Parameters
    ----------
    logo
        RGBA, (height, width, 4). Without any transparency, a plain border colour becomes transparent.

    Raises
    ------
    UsageError
        If nothing is drawn: all transparent, or one colour from edge to edge without transparency.
    """
    alpha = logo[..., 3]
    if alpha.min() > 252:
        alpha = (_cut_out(logo[..., :3].astype(np.float32)) * 255).astype(np.uint8)
    rows, columns = np.flatnonzero((alpha > 25).any(1)), np.flatnonzero((alpha > 25).any(0))
    if len(rows) < 4 or len(columns) < 4:
        raise UsageError(
            "the logo shows nothing: it is transparent, of one colour from edge to edge, or too small"
        )
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.dstack([logo[part][..., :3], alpha[part]])


def trace_logo(logo: NDArray[np.uint8]) -> Drawing:
    """Make a drawing of a logo, RGBA; see `trim_logo` for what counts as drawn and what is refused."""
    cv2 = load_library("cv2")
    trimmed = trim_logo(logo).astype(np.float32)
    color, alpha = np.ascontiguousarray(trimmed[..., :3]), trimmed[..., 3] / 255
    height, width = alpha.shape
    aspect = float(np.clip(width / height, 1 / WIDEST, WIDEST))
    size = (max(6, round(WORK_PX * np.sqrt(aspect))), max(6, round(WORK_PX / np.sqrt(aspect))))
    colors, labels = _part_colors(color, alpha)
    share = MARGIN if float(alpha.mean()) > SOLID else SPARSE_MARGIN
    margin = max(2, round(share * min(WORK_PX, 2 * min(size))))
    regions = []
    for index in range(len(colors)):
        region = cv2.resize(alpha * (labels == index), size, interpolation=cv2.INTER_AREA)
        regions.append(np.pad(region, margin))
    return Drawing(np.stack(regions, 2).astype(float), colors, margin)


def _cut_out(color: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the opacity of an opaque picture: how far each pixel is from the colour of the border, if it has one."""
    border = np.concatenate([color[0], color[-1], color[:, 0], color[:, -1]])
    behind = np.median(border, 0)
    if (np.abs(border - behind).max(1) > 24).mean() > 0.1:
        return np.ones(color.shape[:2], np.float32)
    return np.asarray(np.clip(np.abs(color - behind).max(2) / 48, 0, 1), np.float32)


def _part_colors(
    color: NDArray[np.float32], alpha: NDArray[np.float32]
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Find a logo's few flat colours, largest first, and the nearest of them for each pixel."""
    cv2 = load_library("cv2")
    scale = min(1.0, 128 / max(alpha.shape))
    small = cv2.resize(color, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels = small[cover > 0.9 * cover.max()]
    centres = pixels.mean(0, keepdims=True)
    for n_colors in range(1, MOST_COLORS + 1):
        centres, nearest = _cluster(pixels, n_colors)
        off = np.linalg.norm(pixels - centres[nearest], axis=1)
        if (off > 40).mean() < 0.04:
            break
    shares = np.bincount(nearest, minlength=len(centres))
    order = np.argsort(-shares)
    centres = centres[order][: max(1, int((shares > 0.02 * shares.sum()).sum()))]
    distances = np.linalg.norm(color[..., None, :] - centres, axis=3)
    return centres.astype(float), distances.argmin(2).astype(np.int32)


def _cluster(pixels: NDArray[np.float32], n_colors: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Cluster colours: farthest first, then Lloyd's steps. Deterministic."""
    centres = [np.median(pixels, 0)]
    while len(centres) < n_colors:
        gaps = np.min([np.linalg.norm(pixels - centre, axis=1) for centre in centres], 0)
        centres.append(pixels[gaps.argmax()])
    means = np.array(centres)
    for _ in range(8):
        nearest = np.linalg.norm(pixels[:, None] - means, axis=2).argmin(1)
        means = np.array(
            [pixels[nearest == k].mean(0) if (nearest == k).any() else means[k] for k in range(n_colors)]
        )
    return means, np.linalg.norm(pixels[:, None] - means, axis=2).argmin(1)
