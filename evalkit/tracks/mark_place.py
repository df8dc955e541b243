"""Where a drawing may lie in a frame: proposed by correlation at many sizes, then laid on exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import load_library
from evalkit.tracks.drawing import NOISE_VARIANCE, SOFTNESS, WORK_PX, Drawing
from evalkit.types import FloatArray

PROPOSAL_PX = 18
"""Square root of a drawing's area where it is proposed."""
SMALLEST, LARGEST = 0.03, 1.0
"""Square root of the mark's area as a share of the frame's."""
STEP = 1.13
N_PROPOSED = 8
LARGEST_ZOOM = 1.3
"""A frame is enlarged no more than that to look for small marks."""
AROUND = 0.3
"""How far beyond the drawing, as a share of it, a registration may look."""

Box = tuple[float, float, float, float]


def overlap(first: Box, second: Box) -> float:
    """Return the intersection of two boxes (x0, y0, x1, y1) over their union, 0–1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / max(sum(areas) - shared, 1e-9)


def corners_of(drawing: Drawing, to_frame: FloatArray) -> FloatArray:
    """Return the corners, (4, 2), of a drawing without its margin, where an affine map (3, 3) lays it."""
    margin, (width, height) = drawing.margin_px, drawing.size_px
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) + margin
    return np.asarray(square @ to_frame[:2, :2].T + to_frame[:2, 2])


def bound(corners: FloatArray) -> Box:
    """Return the box around points."""
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def choose_view(to_frame: FloatArray) -> int:
    """Choose the blur of the drawing that a picture of so few pixels has anyway: an index into `SOFTNESS`."""
    zoom = float(np.sqrt(abs(np.linalg.det(to_frame[:2, :2]))))
    wanted = max(0.6 / max(zoom, 1e-6), 0.6)
    return int(np.argmin([abs(np.log(sigma / wanted)) for sigma in SOFTNESS]))


def propose(drawing: Drawing, frame: NDArray[np.float32]) -> list[FloatArray]:
    """Find where a frame correlates with a drawing, whatever its colours and the background's.

    For each size the frame is shrunk so that the drawing is `PROPOSAL_PX`; the drawing's regions, made independent of
    each other and of plain background, are correlated with each channel. The sum of squares over the local variance
    is the share of it that the drawing explains.

    Returns
    -------
    list of affine maps, (3, 3)
        From the drawing's pixels (with margin) to the frame's, best first, at most `N_PROPOSED`.
    """
    cv2 = load_library("cv2")
    shrink = PROPOSAL_PX / WORK_PX
    height, width = (max(4, round(side * shrink)) for side in drawing.regions.shape[:2])
    patterns = _patterns(drawing, width, height)
    beyond = round(drawing.margin_px * shrink)
    largest = float(np.sqrt(frame.shape[0] * frame.shape[1]))
    area_px = float(np.sqrt(drawing.size_px[0] * drawing.size_px[1]))
    peaks: list[tuple[float, FloatArray]] = []
    view = frame
    for size in largest * SMALLEST * STEP ** np.arange(np.log(LARGEST / SMALLEST) / np.log(STEP)):
        scale = area_px * shrink / size
        shape = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        room = min(shape[0] - width, shape[1] - height) + 2 * beyond
        if room < 0 or min(shape) < 4 or scale > LARGEST_ZOOM:
            continue
        view = cv2.resize(view, shape, interpolation=cv2.INTER_AREA)
        edges = (beyond,) * 4  # a mark may stand right at the frame's border
        shares = _explained_map(cv2.copyMakeBorder(view, *edges, cv2.BORDER_REPLICATE), patterns)
        is_peak = (shares == cv2.dilate(shares, np.ones((5, 5), np.uint8))) & (shares > 0.1)
        rows, columns = np.divmod(np.flatnonzero(is_peak), shares.shape[1])
        to_frame = np.array([frame.shape[1] / shape[0], frame.shape[0] / shape[1]])
        across = to_frame * [width / drawing.regions.shape[1], height / drawing.regions.shape[0]]
        for at in np.argsort(-shares[rows, columns])[:N_PROPOSED]:
            left, top = to_frame * [columns[at] - beyond, rows[at] - beyond]
            place = np.array([[across[0], 0, left], [0, across[1], top], [0, 0, 1.0]])
            peaks.append((float(shares[rows[at], columns[at]]), place))
    peaks.sort(key=lambda item: -item[0])
    kept: list[FloatArray] = []
    boxes: list[Box] = []
    for _, place in peaks:
        box = bound(corners_of(drawing, place))
        if all(overlap(box, other) < 0.5 for other in boxes):
            kept.append(place)
            boxes.append(box)
        if len(kept) == N_PROPOSED:
            break
    return kept


def _patterns(drawing: Drawing, width: int, height: int) -> list[NDArray[np.float32]]:
    """Return orthonormal pictures that sum to zero and span the drawing's regions."""
    cv2 = load_library("cv2")
    small = cv2.resize(drawing.regions, (width, height), interpolation=cv2.INTER_AREA).reshape(
        height * width, -1
    )
    directions, strengths, _ = np.linalg.svd(small - small.mean(0), full_matrices=False)
    strong = strengths > 0.1 * strengths[0]
    return [np.ascontiguousarray(row.reshape(height, width), np.float32) for row in directions.T[strong]]


def _explained_map(view: NDArray[np.float32], patterns: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return, for each place of the patterns' window in a view, the share of its variance that they explain."""
    cv2 = load_library("cv2")
    height, width = patterns[0].shape
    rows, columns = view.shape[0] - height + 1, view.shape[1] - width + 1
    explained, of_means = np.zeros((2, rows, columns), np.float32)
    squares = np.zeros(view.shape[:2], np.float32)
    for channel in cv2.split(view):
        centred = channel - channel.mean()
        for pattern in patterns:
            cv2.accumulateSquare(cv2.matchTemplate(centred, pattern, cv2.TM_CCORR), explained)
        cv2.accumulateSquare(_window_mean(centred, width, height), of_means)
        cv2.accumulateSquare(centred, squares)
    variance = _window_mean(squares, width, height) - of_means + np.float32(NOISE_VARIANCE)
    return np.asarray(explained / (np.maximum(variance, NOISE_VARIANCE) * (height * width)))


def _window_mean(picture: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return the mean of each (height, width) window that lies inside a picture."""
    cv2 = load_library("cv2")
    means = cv2.boxFilter(picture, -1, (width, height), anchor=(0, 0))
    return np.asarray(means[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1])


def register(drawing: Drawing, frame: NDArray[np.float32], place: FloatArray) -> FloatArray:
    """Lay a drawing exactly onto where it was proposed.

    The frame is seen in the colour direction in which mark and background differ most, and an affine map raises its
    correlation with the drawing (ECC, Evangelidis and Psarakis 2008), first blurred, then sharp.

    Returns
    -------
    affine map, (3, 3)
        From the drawing's pixels to the frame's; `place` where nothing better is near.
    """
    cv2 = load_library("cv2")
    height, width = drawing.regions.shape[:2]
    beyond = np.array([AROUND * width, AROUND * height])
    to_frame = place @ _shift(-beyond)
    crop = warp(frame, to_frame, (round(width * (1 + 2 * AROUND)), round(height * (1 + 2 * AROUND))))
    view, to_crop = drawing.views[choose_view(place)], _shift(beyond)
    for smoothing, steps in ((9, 12), (3, 12)):
        patch = warp(crop, to_crop, (width, height))
        _, colors, _ = view.fit(patch.reshape(-1, 3))
        gains = colors[1:] - colors[0]
        strength, direction = np.linalg.svd(gains, full_matrices=False)[1:]
        if strength[0] < 4:
            break
        template = view.regions @ (gains @ direction[0])
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-3)
        start = to_crop[:2].astype(np.float32)
        try:
            _, better = cv2.findTransformECC(
                template, crop @ direction[0], start, cv2.MOTION_AFFINE, stop, None, smoothing
            )
        except cv2.error:  # it does not converge: nothing better is near
            break
        if not _is_plausible(better[:, :2].astype(float)):
            break
        to_crop = np.vstack([better, [0, 0, 1]]).astype(float)
    return np.asarray(to_frame @ to_crop)


def _shift(by: FloatArray) -> FloatArray:
    """Return the affine map that moves by some pixels."""
    return np.array([[1, 0, by[0]], [0, 1, by[1]], [0, 0, 1.0]])


def _is_plausible(change: FloatArray) -> bool:
    """Say whether a registration stays near its proposal: no flip, turn below 30°, little squeeze or change of size."""
    stretches = np.linalg.svd(change, compute_uv=False)
    turn = np.degrees(np.arctan2(change[1, 0] - change[0, 1], change[0, 0] + change[1, 1]))
    return bool(
        np.linalg.det(change) > 0
        and stretches[0] < 1.5
        and stretches[1] > 0.66
        and stretches[0] / stretches[1] < 1.4
        and abs(turn) < 30
    )


def warp(
    picture: NDArray[np.float32], to_picture: FloatArray, size: tuple[int, int], behind: float | None = None
) -> NDArray[np.float32]:
    """Cut out of a picture what an affine map lays (width, height) pixels onto, without aliasing.

    Beyond the picture it is continued by its rim, or by a grey level where one is given.
    """
    cv2 = load_library("cv2")
    matrix = to_picture[:2].astype(float).copy()
    zoom = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if zoom > 1.6:  # shrink the part first
        square = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float64)
        reached = square @ matrix[:, :2].T + matrix[:, 2]
        low = np.maximum(np.floor(reached.min(0)) - 4, 0).astype(int)
        high = np.minimum(np.ceil(reached.max(0)) + 4, [picture.shape[1], picture.shape[0]]).astype(int)
        if (high - low).min() >= 4 * zoom:
            part = picture[low[1] : high[1], low[0] : high[0]]
            shape = (round(part.shape[1] / zoom), round(part.shape[0] / zoom))
            picture = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
            ratio = np.array(shape) / (high - low)
            matrix[:, 2] -= low
            matrix *= ratio[:, None]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE if behind is None else cv2.BORDER_CONSTANT
    value = (behind or 0.0,) * 3
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=edge, borderValue=value))
