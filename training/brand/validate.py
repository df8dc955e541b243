"""Print every figure of brand fidelity: `python training/brand/validate.py FOLDER MEDIA`.

FOLDER holds simple-icons (as for train.py), MEDIA the real clips, portraits, logos and photographs. Only marks that
neither training nor the fit of the chain saw are shown. The person is not kept out here, so the figures of absence are those of the hardest case.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from compose import WRONG, Scene, as_logo, choose_place, compose, is_visible, show
from data import draw_scene, is_for_figures, load_marks

from evalkit.metrics.brand import CHAIN, EVIDENCE, PASS, area_under_curve
from evalkit.tracks.clip import BUNDLED, load_clip
from evalkit.tracks.drawing import trace_logo
from evalkit.tracks.mark import MarkFinder, calibrate, overlap
from evalkit.tracks.mark_evidence import embed_drawings
from evalkit.tracks.mark_scenes import film, has_hue, turn_hue

if TYPE_CHECKING:
    from data import Mark
    from numpy.typing import NDArray

    from evalkit.tracks.clip import ClipModel

FRAME = (688, 368)
AMOUNTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def load_frames(media: Path) -> list[NDArray[np.uint8]]:
    """Return frames of real people: the portraits and one frame of each real clip, widened to `FRAME`."""
    pictures = [cv2.imread(str(file)) for file in sorted((media / "portrait").iterdir())]
    for file in sorted((media / "talking_real").iterdir()):
        video = cv2.VideoCapture(str(file))
        video.set(cv2.CAP_PROP_POS_FRAMES, 20)
        is_read, picture = video.read()
        if is_read:
            pictures.append(picture)
    return [widen(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)) for picture in pictures if picture is not None]


def widen(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a picture to `FRAME`: wide ones are cut, narrow ones stand before their own blurred continuation."""
    width, height = FRAME
    scale = height / picture.shape[0]
    if picture.shape[1] * scale >= width * 0.95:
        scale = width / picture.shape[1]
        large = cv2.resize(picture, (width, round(picture.shape[0] * scale)), interpolation=cv2.INTER_AREA)
        return cv2.resize(large[:height], FRAME)
    person = cv2.resize(picture, (round(picture.shape[1] * scale), height), interpolation=cv2.INTER_AREA)
    left = (width - person.shape[1]) // 2
    edges = (0, 0, left, width - person.shape[1] - left)
    wall = cv2.copyMakeBorder(person, *edges, cv2.BORDER_REPLICATE)
    wall = cv2.GaussianBlur(wall, (0, 0), 12)
    wall[:, left : left + person.shape[1]] = person
    return wall


def nearest(marks: list[Mark], model: ClipModel) -> dict[str, list[Mark]]:
    """Return, for each mark, the others ordered by how near their drawings are in the embedding."""
    drawings = [trace_logo(as_logo(mark)) for mark in marks]
    vectors = embed_drawings([(drawing, [drawing.colors]) for drawing in drawings], model)
    order = np.argsort(-(vectors @ vectors.T), axis=1)
    return {mark.slug: [marks[at] for at in order[row] if at != row] for row, mark in enumerate(marks)}


def pick_logos(mark: Mark, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Return a brand's versions: its colour; for a third of the brands white too."""
    logos = [as_logo(mark)]
    if rng.random() < 1 / 3 and min(mark.color) < 200:
        logos.append(as_logo(mark, (255, 255, 255)))
    return logos


def measure_composed(
    marks: list[Mark], frames: list[NDArray[np.uint8]], model: ClipModel, n_brands: int, seed: int
) -> list[tuple[str, Scene, float, float, NDArray[np.float64]]]:
    """Compose and measure; return (brand, scene, fidelity, IoU, evidence) of the best candidate of each scene."""
    rng = np.random.default_rng(seed)
    near = nearest(marks, model)
    rows = []
    for mark in [marks[at] for at in rng.permutation(len(marks))[:n_brands]]:
        logos = pick_logos(mark, rng)
        finder = MarkFinder(logos, model, calibrate(logos, model))
        others = [("other", as_logo(marks[rng.integers(len(marks))])) for _ in range(2)]
        others = [(kind, logo) for kind, logo in others if not np.array_equal(logo, logos[0])]
        others += [("alike", as_logo(other, mark.color)) for other in near[mark.slug][:2]]
        shown = logos[int(rng.integers(len(logos)))]

        def draw() -> NDArray[np.uint8]:
            return frames[int(rng.integers(len(frames)))].copy()

        scenes = compose(rng, draw, shown, others, n_right=3, n_none=2, sides=True)
        scenes.append(clean(rng, draw(), shown))
        for scene in scenes:
            best = finder.find(scene.picture, 1)
            if not best:
                rows.append((mark.slug, scene, 0.0, 0.0, np.zeros(len(EVIDENCE) + 1)))
                continue
            evidence = np.array(
                [best[0].shape, best[0].ink, best[0].mirror, best[0].color, best[0].cosine, best[0].score]
            )
            overlapped = overlap(best[0].box, scene.box) if scene.box else 0.0
            rows.append((mark.slug, scene, best[0].fidelity, overlapped, evidence))
    return rows


def clean(rng: np.random.Generator, scene: NDArray[np.uint8], logo: NDArray[np.uint8]) -> Scene:
    """Put a mark into a frame as a designer would: 8 to 15 % of the width, on a plain wall or a plate."""
    box = choose_place(rng, scene, logo, (0.08, 0.15), sides=True)
    x0, y0, x1, y1 = (round(value) for value in box)
    if not is_visible(scene, box, logo, 90, 25):
        pad = round(0.2 * (y1 - y0)) + 3
        drawn = np.median(logo[logo[..., 3] > 128][:, :3].astype(float), 0)
        scene[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad] = 245 if drawn.mean() < 150 else 15
    return Scene("clean", show(scene, logo, box), box)


def print_composed(rows: list[tuple[str, Scene, float, float, NDArray[np.float64]]]) -> None:
    """Print the figures of the composed frames."""
    by_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _, scene, fidelity, overlapped, _ in rows:
        by_kind[scene.kind].append((fidelity, overlapped))
    right, none = np.array(by_kind["right"]), np.array(by_kind["none"])
    print(f"present against absent: AUC {area_under_curve(right[:, 0], none[:, 0]):.3f}")
    absent = np.concatenate([np.array(by_kind[kind])[:, 0] for kind in ("none", "other", "alike")])
    print(f"present against absent, other and alike: AUC {area_under_curve(right[:, 0], absent):.3f}")
    found = right[right[:, 0] >= 0.5]
    print(
        f"IoU >= 0.3 in {(found[:, 1] >= 0.3).mean():.3f} of {len(found)} found; found {len(found) / len(right):.3f}"
    )
    whole = np.array(by_kind["clean"])[:, 0]
    print(
        f"clean: >= {PASS} in {(whole >= PASS).mean():.3f} of {len(whole)} brands; filmed: {(right[:, 0] >= PASS).mean():.3f}"
    )
    for kind in WRONG:
        values = np.array(by_kind[kind])[:, 0]
        print(
            f"{kind:9s} <= 0.5: {(values <= 0.5).mean():.3f}, < {PASS}: {(values < PASS).mean():.3f} of {len(values)}"
        )


def damage(
    kind: str,
    amount: float,
    frame: NDArray[np.uint8],
    logo: NDArray[np.uint8],
    box: tuple[float, float, float, float],
) -> NDArray[np.uint8]:
    """Show a mark more or less damaged: amount 0 is whole, 1 gone (or blurred beyond use, or of the opposite hue)."""
    if kind == "opacity":
        return show(frame, logo, box, 1 - amount)
    if kind == "hue":
        return show(frame, turn_hue(logo, 180 * amount), box)
    picture = show(frame, logo, box)
    x0, y0, x1, y1 = (round(value) for value in box)
    if kind == "blur":
        sigma = amount * 0.3 * min(x1 - x0, y1 - y0)
        return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0 else picture
    edge = round(x0 - 2 + amount * (x1 - x0 + 4))
    hidden = np.s_[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : max(edge, x0 - 1, 1)]
    if amount > 0:
        picture[hidden] = frame[hidden].mean((0, 1))
    return picture


def print_monotone(
    marks: list[Mark], frames: list[NDArray[np.uint8]], model: ClipModel, n_brands: int, seed: int
) -> None:
    """Print how often fidelity rises when damage grows, and by how much at most."""
    rng = np.random.default_rng(seed)
    curves: dict[str, list[list[float]]] = defaultdict(list)
    for mark in [marks[at] for at in rng.permutation(len(marks))[:n_brands]]:
        logo = as_logo(mark)
        finder = MarkFinder([logo], model, calibrate([logo], model))
        for _ in range(40):
            frame = frames[int(rng.integers(len(frames)))].copy()
            box = choose_place(rng, frame, logo, (0.08, 0.15), sides=True)
            if is_visible(frame, box, logo, 90, 25):
                break
        for kind in ("occlusion", "opacity", "blur", "hue"):
            if kind == "hue" and not has_hue(logo):
                continue
            curve = []
            for amount in AMOUNTS:
                best = finder.find(damage(kind, amount, frame, logo, box), 1)
                curve.append(best[0].fidelity if best else 0.0)
            curves[kind].append(curve)
    for kind, some in curves.items():
        table = np.array(some)
        rises = np.diff(table, axis=1)
        print(
            f"{kind:9s} mean {' '.join(f'{value:.2f}' for value in table.mean(0))}; steps that rise by > 0.02: "
            f"{(rises > 0.02).mean():.3f}, > 0.1: {(rises > 0.1).mean():.3f}, most {max(rises.max(), 0):.2f}"
        )


def print_photographs(media: Path, model: ClipModel, *, verbose: bool) -> None:
    """Print how well each logo of the media is told present or absent in each photograph of a brand."""
    import resvg_py

    with (media / "INDEX.csv").open(newline="") as file:
        photographs = [row["file"] for row in csv.DictReader(file) if row["kind"] == "scene"]
    present, absent = [], []
    cosine_present, cosine_absent = [], []
    for brand in ("adidas", "apple", "bmw", "dhl", "fedex", "ferrari", "google"):
        logos = []
        for svg in sorted((media / "logo").glob(f"{brand}*.svg")):
            data = resvg_py.svg_to_bytes(svg_path=str(svg), width=512, skip_system_fonts=True)
            logo = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            logo = cv2.cvtColor(logo, cv2.COLOR_BGRA2RGBA)
            logos.append(logo)
            for color in (0, 255):
                mono = logo.copy()
                mono[..., :3] = color
                logos.append(mono)
        finder = MarkFinder(logos, model, calibrate(logos, model))
        for name in photographs:
            picture = cv2.cvtColor(cv2.imread(str(media / name)), cv2.COLOR_BGR2RGB)
            best = finder.find(picture, 5)
            calibration = finder.calibration
            score = calibration.slope * best[0].score + calibration.offset if best else -99.0
            cosine = max((one.cosine for one in best), default=-1.0)
            is_own = Path(name).name.lower().startswith(brand)
            (present if is_own else absent).append(score)
            (cosine_present if is_own else cosine_absent).append(cosine)
            if verbose and best and is_own:
                one = best[0]
                print(
                    f"{name:36s} fidelity {one.fidelity:.2f} score {one.score:.1f} shape {one.shape:.2f} ink {one.ink:.2f} "
                    f"mirror {one.mirror:.2f} color {one.color:.2f} cosine {one.cosine:.2f} "
                    f"box {[round(value) for value in one.box]}"
                )
    print(
        f"photographs: {len(present)} present, {len(absent)} absent: AUC {area_under_curve(present, absent):.3f}"
    )
    print(f"by the cosine alone: AUC {area_under_curve(cosine_present, cosine_absent):.3f}")


def print_ablation(rows: list[tuple[str, Scene, float, float, NDArray[np.float64]]]) -> None:
    """Print the area under the curve of right against all wrong for each link alone."""
    kinds = np.array([scene.kind for _, scene, *_ in rows])
    evidence = np.stack([row[4] for row in rows])
    is_right = np.isin(kinds, ("right", "clean"))
    for index, name in enumerate((*EVIDENCE, "all")):
        areas = [
            f"{kind} {area_under_curve(evidence[is_right, index], evidence[kinds == kind, index]):.3f}"
            for kind in WRONG
        ]
        print(f"{name:7s} {'  '.join(areas)}")


def print_speed(marks: list[Mark], frames: list[NDArray[np.uint8]], model: ClipModel) -> None:
    """Print the time a key frame takes, and a calibration."""
    logo = as_logo(marks[0])
    started, used = time.perf_counter(), time.process_time()
    calibration = calibrate([logo], model)
    print(f"calibration {time.perf_counter() - started:.2f} s ({time.process_time() - used:.2f} s of CPU)")
    finder = MarkFinder([logo], model, calibration)
    finder.find(frames[0])
    started, used = time.perf_counter(), time.process_time()
    for frame in frames[:10]:
        finder.find(frame)
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    print(f"{len(frames[:10])} frames of {FRAME}: {wall * 100:.0f} ms each ({cpu * 100:.0f} ms of CPU)")


def main() -> None:
    """Print all or some of the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("media", type=Path)
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--weights", help="a tag or a file, for another model than the bundled one")
    parser.add_argument("--brands", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=["speed", "photographs", "composed", "monotone"])
    parser.add_argument("--drawn", action="store_true", help="drawn scenery instead of real people")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    model = load_clip(options.model, weights=options.weights)
    print(f"model {model.name} {model.weights_hash[:12]}, chain {CHAIN}")
    marks = [mark for mark in load_marks(options.folder) if is_for_figures(mark.slug)]
    rng = np.random.default_rng(options.seed)
    frames = (
        [film(draw_scene(rng, *FRAME), rng) for _ in range(40)]
        if options.drawn
        else load_frames(options.media)
    )
    if "speed" in options.only:
        print_speed(marks, frames, model)
    if "photographs" in options.only:
        print_photographs(options.media, model, verbose=options.verbose)
    if "composed" in options.only:
        rows = measure_composed(marks, frames, model, options.brands, options.seed)
        print_composed(rows)
        print_ablation(rows)
        if options.verbose:
            for slug, scene, fidelity, overlapped, evidence in rows:
                is_miss = fidelity < PASS if scene.kind in ("right", "clean") else fidelity > 0.5
                if is_miss:
                    print(
                        f"{slug:20s} {scene.kind:9s} {fidelity:.2f} IoU {overlapped:.2f} {np.round(evidence, 2)} {scene.box}"
                    )
    if "monotone" in options.only:
        print_monotone(marks, frames, model, max(4, options.brands // 4), options.seed)


if __name__ == "__main__":
    main()
