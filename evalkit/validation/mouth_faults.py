"""Faults of the mouth, by the landmarks of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evalkit.validation.material import (
    CHIN,
    EYES,
    INNER_LIPS,
    POINTS,
    STEADY_POINTS,
    UNDER_NOSE,
    point,
)
from evalkit.validation.picture_faults import Transform, each_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evalkit.types import FloatArray
    from evalkit.validation.material import Material
    from evalkit.validation.picture_faults import Picture

BELOW_CHIN = 0.35
"""Down to here, in distances between the eyes, the skin is moved with the lower lip."""
LEAST_OPEN_PERCENT = 20.0
"""The opening that so many percent of the frames do not exceed is what the mouth is brought nearer to. It is one that the clip itself
shows: a mouth shut over teeth that were seen is none, and landmarks are lost on it."""
_HALF_WIDTH, _FEATHER = 0.62, 0.16
_SOFT_WIDTH, _SOFT_DEPTH = 0.12, 0.15
"""In distances between the eyes: the skin under the lip follows more widely the further it is below."""


def damped(clip: Material, dose_percent: float) -> Transform:
    """Let the mouth open less wide: nearer, by a share, to its least openings in the clip; the chin follows."""
    _, points, found = clip.face
    openings = _openings(points)
    least = float(np.percentile(openings[found], LEAST_OPEN_PERCENT))
    left_over = np.minimum(openings, least + (1.0 - dose_percent / 100.0) * (openings - least))
    shares = 1.0 - left_over / np.maximum(openings, 1e-6)

    def change(_time_s: float, index: int, frame: Picture) -> Picture:
        if index >= len(found) or not found[index] or shares[index] <= 0:
            return frame
        return _narrow(frame, points[index], float(shares[index]))

    return each_frame(change)


def frozen(clip: Material, dose_percent: float) -> Transform:
    """Let the lower face stand still in the middle of the clip, as it was when it froze; the head goes on moving."""
    times_s, points, found = clip.face
    start_s, end_s = clip.stretch_s(dose_percent / 100.0, float(times_s[-1]))
    held: list[tuple[Picture, FloatArray, NDArray[np.float32]]] = []

    def change(time_s: float, index: int, frame: Picture) -> Picture:
        if not (start_s <= time_s <= end_s and index < len(found) and found[index]):
            return frame
        if not held:
            held.append((frame, points[index].astype(np.float64), _lower_face(frame, points[index])))
            return frame
        return _paste(frame, points[index].astype(np.float64), *held[0])

    return each_frame(change)


def _openings(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far the mouth is open in every frame, in distances between the eyes; NaN where no face was found."""
    upper, lower = INNER_LIPS[len(INNER_LIPS) // 2]
    across = np.linalg.norm(point(points, EYES[1]) - point(points, EYES[0]), axis=-1)
    gap = np.linalg.norm(point(points, lower) - point(points, upper), axis=-1)
    return np.asarray(gap / np.maximum(across, 1e-6))


def _narrow(frame: Picture, points: NDArray[np.float32], share: float) -> Picture:
    """Bring the lower lip, and what is under it, nearer to the upper one."""
    import cv2

    left, right = (point(points, number) for number in EYES)
    across = right - left
    size_px = float(np.linalg.norm(across))
    across /= max(size_px, 1e-6)
    down = np.array([-across[1], across[0]])
    upper = np.stack([point(points, pair[0]) for pair in INNER_LIPS])
    lower = np.stack([point(points, pair[1]) for pair in INNER_LIPS])
    origin = (upper[0] + upper[-1]) / 2
    columns = (upper - origin) @ across
    if not (np.diff(columns) > 0).all():  # seen so far from the side that the mouth has no width
        return frame
    bottom = float((point(points, CHIN) - origin) @ down) + BELOW_CHIN * size_px
    over = float(((upper - origin) @ down).min()) - 1.0
    soft_px = _SOFT_WIDTH * size_px
    beside = 3.0 * soft_px
    ends = columns[0] - beside, columns[-1] + beside
    corners = origin + [u * across + v * down for u in ends for v in (over, bottom)]
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).clip(0).tolist()
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, frame.shape[1::-1]).tolist()
    if x1 - x0 < 2 or y1 - y0 < 2:
        return frame
    x, y = np.meshgrid(np.arange(x0, x1) - origin[0], np.arange(y0, y1) - origin[1])
    u, v = x * across[0] + y * across[1], x * down[0] + y * down[1]
    top = np.interp(u, columns, (upper - origin) @ down)
    gaps = ((lower - upper) @ down).clip(0)
    gap = np.interp(u, columns, gaps, left=0.0, right=0.0)
    left_over = (1.0 - share) * gap
    below = v - top - left_over
    inside = (v > top) & (below <= 0)
    under = (below > 0) & (v < bottom)
    # Right under the lip the skin moves as the lip does; further down as the lip around it does, or it would be torn at the corners.
    wide = _soften(columns, share * gaps, soft_px)
    near = np.exp(-below.clip(0) / (_SOFT_DEPTH * size_px))
    lift = near * (gap - left_over) + (1.0 - near) * np.interp(u, *wide, left=0.0, right=0.0)
    moved = np.where(inside, (v - top) * share / max(1.0 - share, 1e-6), 0.0)
    moved = np.where(under, lift * (bottom - v) / np.maximum(bottom - top - left_over, 1e-6), moved)
    map_x, map_y = (
        (start + part + moved * down[axis]).astype(np.float32)
        for axis, (start, part) in enumerate(((origin[0], x), (origin[1], y)))
    )
    out = frame.copy()
    out[y0:y1, x0:x1] = cv2.remap(frame, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return out


def _soften(
    columns: FloatArray, heights: FloatArray, width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth a curve that is 0 beyond its ends with a Gaussian; return where, and its values."""
    at = np.linspace(columns[0] - 3 * width, columns[-1] + 3 * width, 121)
    weights = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2)
    plain = np.interp(at, columns, heights, left=0.0, right=0.0)
    # Normalised by the whole Gaussian, so that the curve falls to 0 beyond its ends.
    return at, weights @ plain * ((at[1] - at[0]) / (width * np.sqrt(2 * np.pi)))


def _lower_face(frame: Picture, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of each pixel belongs to the lower face, 0 to 1: an ellipse from under the nose to below the chin."""
    left, right = (point(points, number) for number in EYES)
    across = right - left
    size_px = max(float(np.linalg.norm(across)), 1e-6)
    across /= size_px
    down = np.array([-across[1], across[0]])
    top, bottom = point(points, UNDER_NOSE), point(points, CHIN) + 0.12 * size_px * down
    centre, half = (top + bottom) / 2, max(float((bottom - top) @ down) / 2, 1e-6)
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width) - centre[0], np.arange(height) - centre[1])
    u, v = x * across[0] + y * across[1], x * down[0] + y * down[1]
    radius = np.hypot(u / (_HALF_WIDTH * size_px), v / half)
    return np.asarray(np.clip((1.0 - radius) / _FEATHER, 0.0, 1.0), np.float32)


def _paste(
    frame: Picture, points: FloatArray, held: Picture, held_points: FloatArray, mask: NDArray[np.float32]
) -> Picture:
    """Put the held lower face where the head is now."""
    import cv2

    move = _similarity(_steady(held_points), _steady(points))
    size = frame.shape[1], frame.shape[0]
    there = cv2.warpAffine(held, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, move, size, flags=cv2.INTER_LINEAR)[..., None]
    mixed = frame + share * (there.astype(np.float32) - frame)
    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def _steady(points: FloatArray) -> FloatArray:
    return points[[POINTS.index(number) for number in STEADY_POINTS]]


def _similarity(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return the turn, size and place that bring points nearest to others (least squares), shape (2, 3).

    >>> _similarity(np.array([[0.0, 0], [1, 0]]), np.array([[5.0, 5], [5, 7]])).round(6).tolist()
    [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    a0, b0 = a.mean(), b.mean()
    factor = ((b - b0) * np.conj(a - a0)).sum() / max(float((np.abs(a - a0) ** 2).sum()), 1e-12)
    offset = b0 - factor * a0
    return np.array(
        [[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]], np.float64
    )
