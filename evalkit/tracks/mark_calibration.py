"""Learns what evidence means for one brand and one CLIP model, from drawn scenes with its mark and without."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics import brand
from evalkit.metrics.brand import Calibration
from evalkit.tracks import mark_scenes as scenes
from evalkit.tracks.clip import ClipModel
from evalkit.tracks.drawing import trace_logo, trim_logo
from evalkit.tracks.mark_evidence import Gathered, MarkSeeker, embed_drawings
from evalkit.tracks.mark_place import Box, bound, corners_of, overlap
from evalkit.types import FloatArray

VERSION = 4
"""Of the finder and its calibration: raised whenever a fidelity can change."""
SCENE_PX = (320, 180)
SHARES = (0.1, 0.3)
"""Of the scene's width that the mark takes: as many pixels as 5 to 15 % of a frame of 640."""
N_RIGHT, N_EMPTY, N_OTHER, N_LOOK_ALIKES, N_DRAWN = 16, 8, 4, 4, 40
USUAL_GAP = 0.3
"""Between the cosines with and without a mark that nothing else resembles."""
HUES_DEG = (60.0, 180.0, 300.0)


def calibrate(
    logos: Sequence[NDArray[np.uint8]],
    model: ClipModel,
    seed: int = 0,
    *,
    progress: Callable[[float], None] | None = None,
) -> Calibration:
    """Calibrate the finder for a brand.

    The scenes are drawn: rooms with the mark in each of its versions, as filmed (light, blur, noise, compression);
    the same kind of rooms with nothing, with other marks, among them those drawn ones that are nearest in the
    embedding, and with the own mark mirrored, in other hues and cut in half.

    Parameters
    ----------
    logos
        The versions of the mark, RGBA.
    model
        The one that the finder will use.
    seed
        Of the scenes. The same logos, weights, seed and `VERSION` give the same calibration, on any number of cores.
    progress : callable, optional
        Called with the share that is done, from 0 to 1.

    Raises
    ------
    UsageError
        If a logo shows nothing.
    """
    rng = np.random.default_rng(seed)
    logos = [trim_logo(logo) for logo in logos]
    seeker = MarkSeeker(logos, model)
    drawn = [scenes.draw_mark(rng) for _ in range(N_DRAWN)]
    order = _order_by_nearness(seeker, drawn, model)
    look_alikes = order[:N_LOOK_ALIKES]
    right = [show_somewhere(rng, logos[index % len(logos)]) for index in range(N_RIGHT)]
    others = [drawn[index] for index in (*look_alikes, *order[-N_OTHER:])]
    absent = [scenes.draw_room(rng, *SCENE_PX) for _ in range(N_EMPTY)]
    absent = [scenes.film(scene, rng) for scene in absent] + [show_somewhere(rng, mark)[0] for mark in others]
    harmed = [show_somewhere(rng, mark)[0] for mark in harm(logos, seeker)]
    gathered = _gather_all(seeker, [scene for scene, _ in right] + absent + harmed, progress)
    placed = [_at(found, box) for found, (_, box) in zip(gathered, right, strict=False)]
    at_place = [found for found in placed if found is not None] or [_nowhere()]
    wrong = gathered[len(right) :]
    links, cosines = np.stack([found[0] for found in at_place]), np.array([found[1] for found in at_place])
    without = np.array([found.cosines.max() for found in wrong[: len(absent)] if len(found.cosines)])
    present = float(np.median(cosines))
    middle = float(np.median(without)) if len(without) else present - USUAL_GAP, present
    scores = brand.chain_score(np.column_stack([links, brand.standardise(cosines, *middle)]), brand.CHAIN)
    wrong_scores = np.array([_best_score(found, middle) for found in wrong])
    slope, offset = brand.fit_mapping(scores, wrong_scores)
    fitted = brand.Calibration(slope, offset, *middle, (), (), (), (), (), (), VERSION)
    fidelities = fitted.fidelity(wrong_scores)
    alike = fidelities[N_EMPTY : N_EMPTY + len(look_alikes)]
    return replace(
        fitted,
        with_mark=tuple(np.sort(fitted.fidelity(scores)).tolist()),
        without_mark=tuple(np.sort(fidelities).tolist()),
        cosines_with=tuple(np.sort(cosines).tolist()),
        cosines_without=tuple(np.sort(without).tolist()),
        look_alikes=tuple(f"drawn mark {index}" for index in look_alikes),
        look_alike_fidelities=tuple(alike.tolist()),
    )


def _gather_all(
    seeker: MarkSeeker, pictures: Sequence[NDArray[np.uint8]], progress: Callable[[float], None] | None
) -> list[Gathered]:
    """Gather evidence in many scenes, one on each core; each by itself, so that their number changes nothing."""
    gathered = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        try:
            for found in threads.map(seeker.gather, pictures):
                gathered.append(found)
                if progress is not None:
                    progress(len(gathered) / len(pictures))
        finally:
            threads.shutdown(cancel_futures=True)
    return gathered


def harm(logos: Sequence[NDArray[np.uint8]], seeker: MarkSeeker) -> list[NDArray[np.uint8]]:
    """Return what is not the mark although made of it: mirrored (where that differs), in other hues, cut in half."""
    harmed = []
    for shape in seeker.shapes:
        logo = logos[shape.versions[0]]
        if shape.drawing.mirrors:
            harmed.append(logo[:, ::-1])
        tall, wide = logo.shape[0] // 2, logo.shape[1] // 2
        for part in (np.s_[:, :wide], np.s_[tall:]):
            cut = logo.copy()
            cut[part][..., 3] = 0
            if (cut[..., 3] > 128).any():
                harmed.append(cut)
    colored = [logo for logo in logos if scenes.has_hue(logo)]
    harmed += [scenes.turn_hue(colored[0], degrees) for degrees in HUES_DEG if colored]
    return [np.ascontiguousarray(logo) for logo in harmed]


def show_somewhere(rng: np.random.Generator, logo: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Box]:
    """Put a mark into a drawn room where it can be told from its background, and film it; say where."""
    width, height = SCENE_PX
    aspect = logo.shape[1] / logo.shape[0]
    wide = min(width * rng.uniform(*SHARES) * max(1.0, aspect**0.5), height * 0.7 * aspect, width * 0.8)
    tall = wide / aspect
    left, top = rng.uniform(2, width - wide - 2), rng.uniform(2, height - tall - 2)
    ink = np.median(logo[logo[..., 3] > 128][:, :3].astype(float), 0)
    for _ in range(8):
        room = scenes.draw_room(rng, width, height)
        behind = room[int(top) : int(top + tall) + 1, int(left) : int(left + wide) + 1].reshape(-1, 3)
        if np.abs(np.median(behind, 0) - ink).max() > 80 and behind.std(0).max() < 60:
            break
    else:
        room[:] = np.where(ink > 128, 10, 245)
    scene = scenes.place_mark(room, logo, left_px=left, top_px=top, width_px=wide)
    return scenes.film(scene, rng), (left, top, left + wide, top + tall)


def _at(gathered: Gathered, box: Box) -> tuple[FloatArray, float] | None:
    """Return links and cosine of the place that is where the mark was put, if it was found."""
    places = [
        overlap(bound(corners_of(drawing, to_frame)), box)
        for drawing, to_frame in zip(gathered.drawings, gathered.to_frame, strict=True)
    ]
    if not places or max(places) < 0.3:
        return None
    best = int(np.argmax(places))
    return gathered.links[best], float(gathered.cosines[best])


def _nowhere() -> tuple[FloatArray, float]:
    """Return what a perfect place has, for a mark that was found in no scene at all."""
    return np.array([1.0, 1.0, 1.0, 0.0]), 1.0


def _best_score(gathered: Gathered, middle: tuple[float, float]) -> float:
    if not len(gathered.cosines):
        return brand.NEVER
    links = np.column_stack([gathered.links, brand.standardise(gathered.cosines, *middle)])
    return float(brand.chain_score(links, brand.CHAIN).max())


def _order_by_nearness(seeker: MarkSeeker, marks: list[NDArray[np.uint8]], model: ClipModel) -> list[int]:
    """Order other marks by how near they are to the sought one in the embedding, nearest first."""
    drawings = [trace_logo(mark) for mark in marks]
    others = embed_drawings([(drawing, [drawing.colors]) for drawing in drawings], model)
    own = np.stack([shape.embedding for shape in seeker.shapes])
    return [int(index) for index in np.argsort(-(others @ own.T).max(1))]
