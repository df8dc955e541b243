"""Finds a brand's mark in a frame and gathers the evidence that it is the right one, whole and in its colours.

Three steps. *Propose*: the drawing is correlated with the frame at many sizes, whatever the two colours of mark and
background (`_propose`). *Register*: the drawing is laid onto each proposal exactly (`_register`). *Compare*: shape, worst
part, mirror image, colours and CLIP embedding (`_compare`), joined and calibrated by `evalkit.metrics.brand`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.metrics import brand
from evalkit.tracks import mark_scenes as scenes
from evalkit.tracks.base import load_library
from evalkit.tracks.drawing import SOFTNESS, WORK_PX, Drawing, trace_logo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evalkit.metrics.brand import Calibration, Chain
    from evalkit.tracks.clip import ClipModel
    from evalkit.types import FloatArray

VERSION = 1
"""Of the finder: raised whenever a fidelity can change."""
LONG_SIDE_PX = 640
PROPOSAL_PX = 18
"""Square root of a drawing's area where it is proposed."""
SMALLEST, LARGEST = 0.03, 0.7
"""Square root of the mark's area as a share of the frame's."""
STEP = 1.14
N_PROPOSED = 10
NOISE_VARIANCE = 3 * 4.0**2
"""Summed over the channels, of a plain wall in a compressed frame."""
CHAIN = brand.Chain((0.6, 0.4, 0.2, -3.0, 0.4), (0.08, 0.15, 0.2, 0.6, 0.12))


@dataclass(frozen=True)
class Candidate:
    """Where the mark may be, and what speaks for it.

    Parameters
    ----------
    box
        x0, y0, x1, y1 in pixels of the frame, around the drawing without margin.
    fidelity
        0–1, higher is better: 0.85 is the right mark shown cleanly, 0.5 and less another, a damaged or none.
    cosine
        Of the embeddings, raw, -1 to 1.
    score
        Log odds before calibration.
    shape, ink, mirror, color
        The links of `evalkit.metrics.brand.EVIDENCE`.
    corners : FloatArray, shape (4, 2)
        Of the drawing as laid onto the frame, x and y, clockwise from the upper left.
    version
        Which of the logos.
    """

    box: tuple[float, float, float, float]
    fidelity: float
    cosine: float
    score: float
    shape: float
    ink: float
    mirror: float
    color: float
    corners: tuple[tuple[float, float], ...]
    version: int


@dataclass(frozen=True)
class _Shape:
    """One shape of a mark, with every version that has it in other colours."""

    drawing: Drawing
    versions: tuple[int, ...]
    colors: tuple[FloatArray, ...]
    embedding: NDArray[np.float32]
    mirrors: tuple[tuple[FloatArray, float], ...]


@dataclass(frozen=True)
class _Found:
    """A proposal with the drawing laid onto it: homography from the drawing's pixels to the frame's."""

    shape: int
    to_frame: FloatArray


class MarkFinder:
    """Finds one brand's mark in frames.

    Parameters
    ----------
    logos
        The versions of the mark, RGBA, (height, width, 4).
    model
        Embeds what was found.
    calibration
        Made by `calibrate` from the same logos and model.
    chain
        How evidence is joined; what was fitted in training, unless told.
    """

    def __init__(
        self,
        logos: Sequence[NDArray[np.uint8]],
        model: ClipModel,
        calibration: Calibration,
        chain: Chain = CHAIN,
    ) -> None:
        self.model = model
        self.calibration = calibration
        self.chain = chain
        self.shapes = _group(logos, model)

    def find(self, frame: NDArray[np.uint8], n_best: int = 5) -> list[Candidate]:
        """Find places in a frame that may show the mark.

        Parameters
        ----------
        frame
            RGB, (height, width, 3), at least 16 pixels a side.
        n_best
            At most that many.

        Returns
        -------
        list of Candidate
            Best first; no two overlap much. Empty only where the frame is too small for any proposal.
        """
        found, evidence, cosines, versions = self.gather(frame)
        if not found:
            return []
        scores = brand.chain_score(self.complete(evidence, cosines), self.chain)
        fidelities = self.calibration.fidelity(scores)
        candidates: list[Candidate] = []
        for index in np.argsort(-scores):
            corners = _corners(self.shapes[found[index].shape].drawing, found[index].to_frame)
            box = _bound(corners)
            if any(overlap(box, other.box) > 0.3 for other in candidates):
                continue
            shape, ink, mirror, color = (float(value) for value in evidence[index])
            candidates.append(
                Candidate(
                    box,
                    float(fidelities[index]),
                    float(cosines[index]),
                    float(scores[index]),
                    shape,
                    ink,
                    mirror,
                    color,
                    tuple((float(x), float(y)) for x, y in corners),
                    versions[index],
                )
            )
            if len(candidates) == n_best:
                break
        return candidates

    def complete(self, evidence: FloatArray, cosines: FloatArray) -> FloatArray:
        """Put the standardised cosine beside the other links."""
        standard = brand.standardise(cosines, self.calibration.cosine_absent, self.calibration.cosine_present)
        return np.column_stack([evidence, standard])

    def gather(self, frame: NDArray[np.uint8]) -> tuple[list[_Found], FloatArray, FloatArray, list[int]]:
        """Propose, register and compare, before any calibration.

        Returns
        -------
        found, evidence, cosines, versions
            n places; shape, ink, mirror and colour of each, (n, 4); raw cosines, (n,); which logo.
        """
        cv2 = load_library("cv2")
        scale = min(1.0, LONG_SIDE_PX / max(frame.shape[:2]))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        found: list[_Found] = []
        rows: list[tuple[float, float, float, float]] = []
        crops: list[NDArray[np.uint8]] = []
        versions: list[int] = []
        for index, shape in enumerate(self.shapes):
            for place in _propose(shape.drawing, small):
                to_small = _register(shape.drawing, small, place)
                links, version = _compare(shape, small, to_small)
                found.append(_Found(index, np.diag([1 / scale, 1 / scale, 1.0]) @ to_small))
                rows.append(links)
                versions.append(version)
                crops.append(_cut_square(shape.drawing, small, to_small))
        if not found:
            return [], np.empty((0, 4)), np.empty(0), []
        embedded = self.model.embed(crops)
        own = np.stack([self.shapes[item.shape].embedding for item in found])
        return found, np.array(rows), (embedded * own).sum(1).astype(float), versions


def overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> float:
    """Return the intersection of two boxes over their union, 0–1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / max(sum(areas) - shared, 1e-9)


def _group(logos: Sequence[NDArray[np.uint8]], model: ClipModel) -> list[_Shape]:
    """Put versions of the same shape together: they are looked for once."""
    groups: list[tuple[Drawing, list[int], list[FloatArray]]] = []
    for version, logo in enumerate(logos):
        drawing = trace_logo(logo)
        for known, versions, colors in groups:
            if known.regions.shape == drawing.regions.shape and (
                np.abs(known.regions - drawing.regions).mean() < 0.02
            ):
                versions.append(version)
                colors.append(drawing.colors)
                break
        else:
            groups.append((drawing, [version], [drawing.colors]))
    shapes = []
    for drawing, versions, colors in groups:
        embedded = model.embed(reference_pictures(drawing, colors)).mean(0)
        embedded /= np.linalg.norm(embedded)
        shapes.append(_Shape(drawing, tuple(versions), tuple(colors), embedded, _mirror(drawing)))
    return shapes


def reference_pictures(drawing: Drawing, colors: Sequence[FloatArray]) -> list[NDArray[np.uint8]]:
    """Draw a mark in its colours on several plain backgrounds, framed as found regions are."""
    pictures = []
    for paint in colors:
        for behind in (255.0, 0.0, 128.0):
            if np.abs(paint[0] - behind).max() < 50:
                continue
            flat = behind + drawing.regions @ (paint - behind)
            pictures.append(_cut_square(drawing, flat.astype(np.float32), np.eye(3), behind))
    return pictures


def _mirror(drawing: Drawing) -> tuple[tuple[FloatArray, float], ...]:
    """Return the drawing's mirror images that differ from it, each with the share of variance they have in common."""
    mirrors = []
    for axes in ((1,), (0,)):
        mirrored = np.flip(drawing.softened(SOFTNESS[0]), axes)
        soft = drawing.softened(SOFTNESS[0])
        left, right = (regions.reshape(-1, regions.shape[2]) for regions in (soft, mirrored))
        common = float(
            np.corrcoef(left @ np.arange(1, left.shape[1] + 1), right @ np.arange(1, left.shape[1] + 1))[0, 1]
        )
        if common < 0.97:
            mirrors.append((np.ascontiguousarray(np.flip(drawing.regions, axes)), max(common, 0.0) ** 2))
    return tuple(mirrors)


def _propose(drawing: Drawing, frame: FloatArray) -> list[tuple[float, FloatArray]]:
    """Find where the frame correlates with a drawing, in any two (or more) colours.

    For each size the frame is shrunk so that the drawing is `PROPOSAL_PX`; the drawing's regions, made independent of
    each other and of plain background, are correlated with each channel. The sum of squares over the local variance
    is the share of it that the drawing explains.

    Returns
    -------
    list of (share, homography)
        Best first; the homography maps the drawing's pixels (with margin) to the frame's.
    """
    cv2 = load_library("cv2")
    shrink = PROPOSAL_PX / WORK_PX
    height, width = (max(4, round(side * shrink)) for side in drawing.regions.shape[:2])
    small = cv2.resize(drawing.regions, (width, height), interpolation=cv2.INTER_AREA)
    flat = small.reshape(height * width, -1)
    directions, strengths, _ = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    patterns = [
        np.ascontiguousarray(directions[:, index].reshape(height, width), np.float32)
        for index in range(len(strengths))
        if strengths[index] > 0.1 * strengths[0]
    ]
    largest = np.sqrt(frame.shape[0] * frame.shape[1])
    area_px = np.sqrt(drawing.size_px[0] * drawing.size_px[1])
    proposals: list[tuple[float, FloatArray]] = []
    size = SMALLEST * largest
    while size < LARGEST * largest:
        scale = area_px * shrink / size
        shape = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        size *= STEP
        if shape[0] < width or shape[1] < height or scale > 1.5:
            continue
        view = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)
        shares = _explained_map(view, patterns)
        peaks = (shares == cv2.dilate(shares, np.ones((5, 5), np.uint8))) & (shares > 0.1)
        rows, columns = np.nonzero(peaks)
        for at in np.argsort(-shares[rows, columns])[:N_PROPOSED]:
            across = frame.shape[1] / shape[0] * width / drawing.regions.shape[1]
            down = frame.shape[0] / shape[1] * height / drawing.regions.shape[0]
            left = columns[at] * frame.shape[1] / shape[0]
            top = rows[at] * frame.shape[0] / shape[1]
            place = np.array([[across, 0, left], [0, down, top], [0, 0, 1.0]])
            proposals.append((float(shares[rows[at], columns[at]]), place))
    proposals.sort(key=lambda item: -item[0])
    kept: list[tuple[float, FloatArray]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for share, place in proposals:
        box = _bound(_corners(drawing, place))
        if all(overlap(box, other) < 0.45 for other in boxes):
            kept.append((share, place))
            boxes.append(box)
        if len(kept) == N_PROPOSED:
            break
    return kept


def _explained_map(view: NDArray[np.float32], patterns: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    cv2 = load_library("cv2")
    height, width = patterns[0].shape
    explained: Any = 0.0
    total: Any = 0.0
    for channel in cv2.split(view):
        centred = channel - channel.mean()
        for pattern in patterns:
            explained = explained + cv2.matchTemplate(centred, pattern, cv2.TM_CCORR) ** 2
        sums, squares = cv2.integral2(centred)
        total = (
            total + _box_sum(squares, height, width) - _box_sum(sums, height, width) ** 2 / (height * width)
        )
    return np.asarray(explained / (total + NOISE_VARIANCE * height * width), np.float32)


def _box_sum(integral: FloatArray, height: int, width: int) -> FloatArray:
    lower = integral[height:, width:] - integral[height:, :-width]
    return np.asarray(lower - integral[:-height, width:] + integral[:-height, :-width])


def _register(drawing: Drawing, frame: FloatArray, proposal: tuple[float, FloatArray]) -> FloatArray:
    """Lay a drawing exactly onto where it was proposed: an affine map that raises the correlation, if it converges."""
    cv2 = load_library("cv2")
    place = proposal[1]
    height, width = drawing.regions.shape[:2]
    wide, tall = round(width * 1.6), round(height * 1.6)
    to_crop = np.diag([wide / (1.6 * width), tall / (1.6 * height), 1.0]) @ np.array(
        [[1, 0, 0.3 * width], [0, 1, 0.3 * height], [0, 0, 1.0]]
    )
    crop = _warp(frame, place @ np.linalg.inv(to_crop), (wide, tall))
    soft = drawing.softened(_softness(place))
    for _ in range(2):
        patch = _warp(crop, to_crop, (width, height))
        _, colors, _ = brand.explained_variance(
            patch.reshape(-1, 3), soft.reshape(height * width, -1), NOISE_VARIANCE
        )
        gains = colors[1:] - colors[0]
        strength, direction = np.linalg.svd(gains, full_matrices=False)[1:]
        if strength[0] < 1:
            break
        template = (soft @ (gains @ direction[0])).astype(np.float32)
        seen = (crop @ direction[0].astype(np.float32)).astype(np.float32)
        start = to_crop[:2].astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
        try:
            _, warp = cv2.findTransformECC(template, seen, start, cv2.MOTION_AFFINE, stop, None, 3)
        except cv2.error:  # does not converge: it is not there, or not better than proposed
            break
        if not _is_plausible(warp, to_crop):
            break
        to_crop = np.vstack([warp, [0, 0, 1]]).astype(float)
    return np.asarray(place @ np.linalg.inv(_initial(width, height)) @ to_crop)


def _initial(width: int, height: int) -> FloatArray:
    return np.array([[1, 0, 0.3 * width], [0, 1, 0.3 * height], [0, 0, 1.0]])


def _is_plausible(warp: FloatArray, before: FloatArray) -> bool:
    """Say whether a registration stays near its proposal: no flip, turn below 30°, little squeeze or change of size."""
    change = warp[:, :2] @ np.linalg.inv(before[:2, :2])
    stretches = np.linalg.svd(change, compute_uv=False)
    turn = np.degrees(np.arctan2(change[1, 0] - change[0, 1], change[0, 0] + change[1, 1]))
    return bool(
        np.linalg.det(change) > 0
        and stretches[0] < 1.5
        and stretches[1] > 0.66
        and stretches[0] / stretches[1] < 1.4
        and abs(turn) < 30
    )


def _softness(place: FloatArray) -> float:
    """Choose the blur of the drawing that a picture of so few pixels has anyway."""
    wanted = 0.6 / max(float(np.sqrt(abs(np.linalg.det(place[:2, :2])))), 1e-6)
    return min(SOFTNESS, key=lambda sigma: abs(np.log(sigma / max(wanted, 0.6))))


def _warp(
    picture: FloatArray, to_picture: FloatArray, size: tuple[int, int], behind: float | None = None
) -> FloatArray:
    """Cut the place out of a picture onto which a homography lays (width, height) pixels, without aliasing."""
    cv2 = load_library("cv2")
    zoom = float(np.sqrt(abs(np.linalg.det(to_picture[:2, :2]))))
    matrix = to_picture[:2].astype(float).copy()
    if zoom > 1.6:  # shrink first
        corners = _apply(
            to_picture, np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float)
        )
        low = np.maximum(np.floor(corners.min(0)) - 8, 0).astype(int)
        high = np.minimum(np.ceil(corners.max(0)) + 8, [picture.shape[1], picture.shape[0]]).astype(int)
        if (high - low).min() >= 4:
            part = picture[low[1] : high[1], low[0] : high[0]]
            shape = (max(2, round(part.shape[1] / zoom)), max(2, round(part.shape[0] / zoom)))
            ratio = np.array([shape[0] / part.shape[1], shape[1] / part.shape[0]])
            picture = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
            matrix = np.diag(ratio) @ (matrix - np.array([[0, 0, low[0]], [0, 0, low[1]]]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if behind is None:
        return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
    return np.asarray(
        cv2.warpAffine(
            picture, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(behind,) * 3
        )
    )


def _apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def _corners(drawing: Drawing, to_frame: FloatArray) -> FloatArray:
    """Return the corners of the drawing without margin, in the frame."""
    margin, (width, height) = drawing.margin_px, drawing.size_px
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) + margin
    return _apply(to_frame, square)


def _bound(corners: FloatArray) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def _cut_square(
    drawing: Drawing, frame: FloatArray, to_frame: FloatArray, behind: float | None = None
) -> NDArray[np.uint8]:
    """Cut a square around the drawing as laid onto a frame, upright, for embedding."""
    height, width = drawing.regions.shape[:2]
    side = max(drawing.size_px) / 0.86
    size = 96
    around = np.array(
        [[side / size, 0, (width - side) / 2], [0, side / size, (height - side) / 2], [0, 0, 1.0]]
    )
    return np.clip(_warp(frame, to_frame @ around, (size, size), behind), 0, 255).astype(np.uint8)


def _compare(
    shape: _Shape, frame: FloatArray, to_frame: FloatArray
) -> tuple[tuple[float, float, float, float], int]:
    """Gather shape, ink, mirror and colour where a drawing was laid, and which version's colours are nearest."""
    drawing = shape.drawing
    height, width = drawing.regions.shape[:2]
    patch = _warp(frame, to_frame, (width, height)).reshape(-1, 3).astype(float)
    softness = _softness(to_frame)
    soft = drawing.softened(softness).reshape(height * width, -1)
    share, colors, rest = brand.explained_variance(patch, soft, NOISE_VARIANCE)
    ink = _worst_part(drawing, colors, rest.reshape(height, width, 3))
    mirror = 1.0
    cv2 = load_library("cv2")
    for regions, common in shape.mirrors:
        turned = cv2.GaussianBlur(regions, (0, 0), softness).reshape(height * width, -1)
        other, _, _ = brand.explained_variance(patch, turned, NOISE_VARIANCE)
        mirror = min(mirror, (share - other) / max(share + other, 1e-6) / ((1 - common) / (1 + common)))
    differences = [_color_difference(colors[1:], own) for own in shape.colors]
    best = int(np.argmin(differences))
    return (float(np.sqrt(share)), ink, mirror, -differences[best] / 10), shape.versions[best]


def _worst_part(drawing: Drawing, colors: FloatArray, rest: FloatArray) -> float:
    """Return how well the drawing is there in the worst of its parts: 1 minus what is wrong, relative to its contrast."""
    contrast = float(((colors[1:] - colors[0]) ** 2).sum(1).max()) + NOISE_VARIANCE
    ink = np.clip(drawing.ink, 0, 1)
    wrong = (rest**2).sum(2) * ink
    rows = np.array_split(np.arange(ink.shape[0]), 3 if ink.shape[0] > 24 else 1)
    columns = np.array_split(np.arange(ink.shape[1]), min(8, max(1, ink.shape[1] // 20)))
    worst = 0.0
    for row in rows:
        for column in columns:
            cell = np.ix_(row, column)
            amount = float(ink[cell].sum())
            if amount > 0.04 * float(ink.sum()):
                worst = max(worst, float(wrong[cell].sum()) / amount)
    return 1 - worst / contrast


def _color_difference(seen: FloatArray, own: FloatArray) -> float:
    """Return the colour difference, in CIELAB units, of the worst region; lightness counts half."""
    cv2 = load_library("cv2")
    count = min(len(seen), len(own))
    both = np.stack([seen[:count], own[:count]]).clip(0, 255).astype(np.float32) / 255
    lab = cv2.cvtColor(both, cv2.COLOR_RGB2LAB).astype(float)
    gap = (lab[0] - lab[1]) * np.array([0.5, 1, 1])
    return float(np.sqrt((gap**2).sum(1)).max())


SCENE_PX = (320, 180)
N_WITH, N_WITHOUT, N_LOOK_ALIKES, N_MARKS = 24, 16, 6, 96


def calibrate(
    logos: Sequence[NDArray[np.uint8]], model: ClipModel, seed: int = 0, chain: Chain = CHAIN
) -> Calibration:
    """Learn what scores mean for a brand: from drawn scenes with its mark, without, with others and with it harmed.

    Parameters
    ----------
    logos
        The versions of the mark, RGBA.
    model
        As the finder will use.
    seed
        Of the scenes. The same logos, model, seed and `VERSION` give the same calibration.
    """
    rng = np.random.default_rng(seed)
    plain = brand.Calibration(1.0, 0.0, 0.0, 1.0, (), (), (), (), (), (), VERSION)
    finder = MarkFinder(logos, model, plain, chain)
    marks = [scenes.draw_mark(rng) for _ in range(N_MARKS)]
    nearest = _nearest(finder, marks, model)[:N_LOOK_ALIKES]
    right = [_show(rng, logos[index % len(logos)]) for index in range(N_WITH)]
    empty = [scenes.film(scenes.draw_room(rng, *SCENE_PX), rng) for _ in range(N_WITHOUT)]
    other = [_show(rng, marks[index])[0] for index in nearest]
    harmed = [_show(rng, mark)[0] for logo in logos for mark in harm(logo, finder)]
    gathered = [finder.gather(scene) for scene in [scene for scene, _ in right] + empty + other + harmed]
    boxes = [box for _, box in right]
    own = [_at(finder, found, box) for found, box in zip(gathered[:N_WITH], boxes, strict=True)]
    cosines_with = np.array([cosine for _, cosine in own])
    cosines_without = np.array(
        [
            cosines.max()
            for _, _, cosines, _ in gathered[N_WITH : N_WITH + N_WITHOUT + len(other)]
            if len(cosines)
        ]
    )
    absent, present = float(np.median(cosines_without)), float(np.median(cosines_with))
    scores_with = brand.chain_score(
        np.column_stack(
            [np.stack([links for links, _ in own]), brand.standardise(cosines_with, absent, present)]
        ),
        chain,
    )
    scores_without = []
    for _, evidence, cosines, _ in gathered[N_WITH:]:
        if len(cosines):
            links = np.column_stack([evidence, brand.standardise(cosines, absent, present)])
            scores_without.append(float(brand.chain_score(links, chain).max()))
    slope, offset = brand.fit_mapping(scores_with, np.array(scores_without))
    fitted = brand.Calibration(slope, offset, absent, present, (), (), (), (), (), (), VERSION)
    with_mark, without = fitted.fidelity(scores_with), fitted.fidelity(np.array(scores_without))
    look_alikes = without[N_WITHOUT : N_WITHOUT + len(other)]
    return replace(
        fitted,
        with_mark=tuple(np.sort(with_mark).tolist()),
        without_mark=tuple(np.sort(without).tolist()),
        cosines_with=tuple(np.sort(cosines_with).tolist()),
        cosines_without=tuple(np.sort(cosines_without).tolist()),
        look_alikes=tuple(f"drawn mark {index}" for index in nearest),
        look_alike_fidelities=tuple(look_alikes.tolist()),
    )


def harm(logo: NDArray[np.uint8], finder: MarkFinder) -> list[NDArray[np.uint8]]:
    """Return what is not the mark although it is made of it: mirrored (where that differs), in other hues, cut."""
    harmed = [logo[:, ::-1]] if any(shape.mirrors for shape in finder.shapes) else []
    if scenes.has_hue(logo):
        harmed += [scenes.turn_hue(logo, degrees) for degrees in (60, 120, 180, 240)]
    half = logo.shape[1] // 2, logo.shape[0] // 2
    for part in (np.s_[:, : half[0]], np.s_[:, half[0] :], np.s_[: half[1]], np.s_[half[1] :]):
        cut = logo.copy()
        cut[part][..., 3] = 0
        if cut[..., 3].max() > 128:
            harmed.append(cut)
    return [np.ascontiguousarray(item) for item in harmed]


def _show(
    rng: np.random.Generator, logo: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """Put a mark somewhere into a drawn room where it can be told from its background, and film it."""
    width, height = SCENE_PX
    aspect = logo.shape[1] / logo.shape[0]
    wide = min(width * rng.uniform(0.1, 0.25) * max(1.0, aspect**0.5), height * 0.7 * aspect)
    tall = wide / aspect
    left, top = rng.uniform(2, width - wide - 2), rng.uniform(2, height - tall - 2)
    room = scenes.draw_room(rng, width, height)
    drawn = logo[logo[..., 3] > 128][:, :3].astype(float).mean(0)
    for _ in range(6):
        behind = room[int(top) : int(top + tall), int(left) : int(left + wide)].mean((0, 1))
        if np.abs(behind - drawn).max() > 60:
            break
        room = scenes.draw_room(rng, width, height)
    else:
        room[:] = 255 - drawn.astype(np.uint8)
    scene = scenes.place_mark(room, logo, left_px=left, top_px=top, width_px=wide)
    return scenes.film(scene, rng), (left, top, left + wide, top + tall)


def _at(
    finder: MarkFinder, gathered: Any, box: tuple[float, float, float, float]
) -> tuple[FloatArray, float]:
    """Return evidence and cosine of the place that is where the mark was put, or of none: of the best there."""
    found, evidence, cosines, _ = gathered
    places = [_bound(_corners(finder.shapes[item.shape].drawing, item.to_frame)) for item in found]
    best = int(np.argmax([overlap(place, box) for place in places]))
    return evidence[best], float(cosines[best])


def _nearest(finder: MarkFinder, marks: list[NDArray[np.uint8]], model: ClipModel) -> list[int]:
    """Order other marks by how near they are to the finder's in the embedding."""
    pictures = []
    for mark in marks:
        drawing = trace_logo(mark)
        pictures.append(reference_pictures(drawing, [np.zeros_like(drawing.colors)])[0])
    own = np.stack([shape.embedding for shape in finder.shapes])
    return [int(index) for index in np.argsort(-(model.embed(pictures) @ own.T).max(1))]
