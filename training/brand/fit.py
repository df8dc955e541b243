"""Fit how evidence is joined: `python training/brand/fit.py FOLDER` prints the chain for `evalkit.metrics.brand.CHAIN`.

Marks that the model was not trained on, and that no figure is measured on, are shown in drawn scenery as they should be,
harmed, and others or none in their place; the chain is the one that makes the evidence for the right ones most likely and against the wrong ones.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from compose import WRONG, as_logo, compose
from data import draw_scene, is_for_figures, is_held_out, load_marks
from wordmarks import FIT, draw_wordmark, fetch_fonts

from evalkit.metrics import brand
from evalkit.tracks.clip import load_clip
from evalkit.tracks.drawing import trace_logo
from evalkit.tracks.mark_evidence import MarkSeeker, embed_drawings
from evalkit.tracks.mark_place import bound, corners_of, overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evalkit.tracks.mark_evidence import Gathered
    from evalkit.tracks.mark_place import Box

N_OTHERS = 100
WORDMARKS = 0.6
"""Share of the marks that are words set in type."""


def place_of(gathered: Gathered, box: Box) -> int | None:
    """Return which place is where the mark was put, if one is."""
    shares = [
        overlap(bound(corners_of(drawing, to_frame)), box)
        for drawing, to_frame in zip(gathered.drawings, gathered.to_frame, strict=True)
    ]
    return int(np.argmax(shares)) if shares and max(shares) > 0.5 else None


def gather(folder: Path, n_brands: int, seed: int) -> list[tuple[str, str, int | None, Gathered]]:
    """Gather evidence: (brand, kind of scene, the right place, all places) of each scene."""
    model = load_clip()
    rng = np.random.default_rng(seed)
    marks = [mark for mark in load_marks(folder) if is_held_out(mark.slug) and not is_for_figures(mark.slug)]
    marks = [marks[index] for index in rng.permutation(len(marks))]
    chosen, pool = marks[:n_brands], marks[n_brands : n_brands + N_OTHERS]
    fonts = fetch_fonts(folder, FIT)
    drawings = [trace_logo(as_logo(mark)) for mark in pool]
    embedded = embed_drawings([(drawing, [drawing.colors]) for drawing in drawings], model)
    rows = []
    for mark in chosen:
        if rng.random() < WORDMARKS:
            logo = draw_wordmark(rng, mark, fonts)[1]
        else:
            logo = as_logo(mark, (255, 255, 255) if rng.random() < 0.15 else None)
        seeker = MarkSeeker([logo], model)
        near = np.argsort(-(embedded @ seeker.shapes[0].embedding))[:2]
        others = [("other", as_logo(pool[index])) for index in rng.integers(len(pool), size=2)]
        others += [("alike", as_logo(pool[index], mark.color)) for index in near]
        others.append(("other", draw_wordmark(rng, pool[rng.integers(len(pool))], fonts)[1]))
        scenes = compose(rng, lambda: draw_scene(rng, 576, 324), logo, others, n_right=5, n_none=2)
        for scene in scenes:
            gathered = seeker.gather(scene.picture)
            right = place_of(gathered, scene.box) if scene.kind == "right" and scene.box else None
            rows.append((mark.slug, scene.kind, right, gathered))
        print(f"{len(rows)} scenes", end="\r", flush=True)
    return rows


def standardised(
    rows: list[tuple[str, str, int | None, Gathered]],
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]], NDArray[np.str_], int]:
    """Return the links of right marks, of all places of each wrong scene, its kinds, and how many marks were missed."""
    right, wrong, kinds, missed = [], [], [], 0
    for slug in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == slug and len(row[3].cosines)]
        present = [found.cosines[place] for _, _, place, found in own if place is not None]
        absent = [found.cosines.max() for _, kind, _, found in own if kind in ("none", "other", "alike")]
        if len(present) < 2:
            missed += sum(kind == "right" for _, kind, _, _ in own)
            continue
        for _, kind, place, found in own:
            cosine = brand.standardise(found.cosines, float(np.median(absent)), float(np.median(present)))
            links = np.column_stack([found.links, cosine])
            if kind != "right":
                wrong.append(links)
                kinds.append(kind)
            elif place is None:
                missed += 1
            else:
                right.append(links[place])
    return np.array(right), wrong, np.array(kinds), missed


def main() -> None:
    """Gather, fit, and print what each link contributes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--brands", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file for the evidence; read from there if it exists")
    options = parser.parse_args()
    if options.keep and options.keep.is_file():
        rows = pickle.loads(options.keep.read_bytes())  # noqa: S301 - written by the lines below
    else:
        rows = gather(options.folder, options.brands, options.seed)
        if options.keep:
            options.keep.write_bytes(pickle.dumps(rows))
    right, wrong, kinds, missed = standardised(rows)
    print(f"{len(right)} right marks found, {missed} missed; {len(wrong)} wrong scenes")
    chain = brand.CHAIN
    for _ in range(4):  # a wrong scene counts by the place that looks best, which depends on the chain
        worst = np.array([links[brand.chain_score(links, chain).argmax()] for links in wrong])
        labels = np.repeat([1.0, 0.0], [len(right), len(worst)])
        chain = brand.fit_chain(np.vstack([right, worst]), labels)
    print(chain)
    for left_out in (None, *brand.EVIDENCE):
        open_links = tuple(
            -1e6 if name == left_out else threshold
            for name, threshold in zip(brand.EVIDENCE, chain.thresholds, strict=True)
        )
        without = brand.Chain(open_links, chain.widths)
        scores = brand.chain_score(right, without)
        wrong_scores = np.array([brand.chain_score(links, without).max() for links in wrong])
        areas = [
            f"{kind} {brand.area_under_curve(scores, wrong_scores[kinds == kind]):.3f}" for kind in WRONG
        ]
        print(f"{'without ' + left_out if left_out else 'all links':15s} {'  '.join(areas)}")


if __name__ == "__main__":
    main()
