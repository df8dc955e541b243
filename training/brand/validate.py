"""Print every figure of brand fidelity: `python training/brand/validate.py FOLDER MEDIA`.

FOLDER holds simple-icons (as for train.py), MEDIA the real clips, portraits, logos and photographs. Only marks that
neither training nor the fit of the chain saw are shown. The person is not kept out here, so the figures of absence are those of the hardest case.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from compose import LEAST_TALL_PX, WRONG, Scene, as_logo, choose_place, compose, is_visible, show
from data import draw_scene, is_for_figures, load_marks
from wordmarks import FIGURES, draw_wordmark, fetch_fonts

from evalkit.metrics.brand import CHAIN, EVIDENCE, PASS, area_under_curve
from evalkit.tracks.clip import BUNDLED, load_clip
from evalkit.tracks.drawing import trace_logo
from evalkit.tracks.lettering import Reader, models_folder
from evalkit.tracks.mark import MarkFinder, calibrate, overlap
from evalkit.tracks.mark_evidence import embed_drawings
from evalkit.tracks.mark_scenes import film, has_hue, turn_hue

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclass(frozen=True)
class Brand:
    """A brand to be found: its kind (icon, or how its wordmark is drawn), its versions, and what stands in its file."""

    name: str
    kind: str
    logos: list[NDArray[np.uint8]]
    least_tall_px: float


class Material(NamedTuple):
    """What scenes are made of: marks, typefaces for wordmarks, and frames to put them into."""

    marks: list[Mark]
    fonts: list[Path]
    frames: list[NDArray[np.uint8]]


class Row(NamedTuple):
    """What was measured in a scene."""

    brand: str
    kind: str
    scene: Scene
    fidelity: float
    overlapped: float
    evidence: NDArray[np.float64]


def find_reader() -> Callable[[], Reader] | None:
    """Return what loads a reader of text, if one is installed."""
    folder = models_folder()
    return None if folder is None else partial(Reader, folder)


def make_finder(brand: Brand, model: ClipModel) -> MarkFinder:
    """Calibrate a brand; its name is known."""
    calibration = calibrate(brand.logos, model)
    return MarkFinder(brand.logos, model, calibration, load_reader=find_reader(), words=[brand.name])


def draw_brands(marks: list[Mark], fonts: list[Path], n_brands: int, rng: np.random.Generator) -> list[Brand]:
    """Draw brands: three of five have a wordmark; some of all come in white too."""
    brands = []
    for at, mark in enumerate(marks[index] for index in rng.permutation(len(marks))[:n_brands]):
        is_icon = at % 5 < 2
        kind, logo, letters = ("icon", as_logo(mark), 1.0) if is_icon else draw_wordmark(rng, mark, fonts)
        logos = [logo]
        if rng.random() < 1 / 3 and logo[logo[..., 3] > 128][:, :3].mean(0).min() < 200:
            white = logo.copy()
            white[..., :3] = 255
            logos.append(white)
        brands.append(Brand(mark.title, kind, logos, LEAST_TALL_PX / letters))
    return brands


def measure_composed(material: Material, model: ClipModel, n_brands: int, seed: int) -> list[Row]:
    """Compose and measure: the best candidate of each scene."""
    marks, fonts, frames = material
    rng = np.random.default_rng(seed)
    brands = draw_brands(marks, fonts, n_brands, rng)
    pool = [brand.logos[0] for brand in brands] + [as_logo(mark) for mark in marks]
    drawings = [trace_logo(logo) for logo in pool]
    vectors = embed_drawings([(drawing, [drawing.colors]) for drawing in drawings], model)
    rows = []
    for at, brand in enumerate(brands):
        finder = make_finder(brand, model)
        order = [index for index in np.argsort(-(vectors @ vectors[at])) if index != at]
        others = [("other", pool[index]) for index in rng.integers(len(pool), size=3) if index != at]
        own = [other.alpha for other in marks if other.title == brand.name]
        order = [index for index in order if not any(is_same(pool[index], alpha) for alpha in own)]
        for index in order[:2]:
            alike = pool[index].copy()
            alike[..., :3] = np.median(brand.logos[0][brand.logos[0][..., 3] > 128][:, :3], 0)
            others.append(("alike", alike))
        shown = brand.logos[int(rng.integers(len(brand.logos)))]

        def draw() -> NDArray[np.uint8]:
            return frames[int(rng.integers(len(frames)))].copy()

        tall = brand.least_tall_px
        scenes = compose(rng, draw, shown, others, n_right=3, n_none=2, sides=True, least_tall_px=tall)
        scenes.append(clean(rng, draw(), shown, least_tall_px=tall))
        scenes.append(clean(rng, draw(), shown, least_tall_px=tall, margin=0.12))
        for scene in scenes:
            best = finder.find(scene.picture, 1)
            if not best:
                rows.append(Row(brand.name, brand.kind, scene, 0.0, 0.0, np.zeros(len(EVIDENCE) + 1)))
                continue
            one = best[0]
            evidence = np.array([one.shape, one.ink, one.mirror, one.color, one.cosine, one.score])
            overlapped = overlap(one.box, scene.box) if scene.box else 0.0
            rows.append(Row(brand.name, brand.kind, scene, one.fidelity, overlapped, evidence))
    return rows


def is_same(logo: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> bool:
    """Say whether a logo is a drawing in any colour."""
    return np.array_equal(logo[..., 3], alpha)


def clean(
    rng: np.random.Generator,
    scene: NDArray[np.uint8],
    logo: NDArray[np.uint8],
    *,
    least_tall_px: float = LEAST_TALL_PX,
    margin: float | None = None,
) -> Scene:
    """Put a mark into a frame as a designer would: 8 to 15 % of the width, on a plain wall or a plate.

    With a margin it always stands on a plate, a small sign that has only so much room around it, as a share of its height.
    """
    box = choose_place(rng, scene, logo, (0.08, 0.15), sides=True, least_tall_px=least_tall_px)
    x0, y0, x1, y1 = (round(value) for value in box)
    if margin is not None or not is_visible(scene, box, logo, 90, 25):
        pad = round(0.2 * (y1 - y0)) + 3 if margin is None else max(2, round(margin * (y1 - y0)))
        drawn = np.median(logo[logo[..., 3] > 128][:, :3].astype(float), 0)
        scene[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad] = 245 if drawn.mean() < 150 else 15
    kind = "clean" if margin is None else "sign"
    return Scene(kind, show(scene, logo, box), box)


def print_composed(rows: list[Row]) -> None:
    """Print the figures of the composed frames: of all, of the wordmarks, of the others."""
    for name, some in (
        ("all", rows),
        ("wordmarks", [row for row in rows if row.kind != "icon"]),
        ("icons", [row for row in rows if row.kind == "icon"]),
    ):
        by_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in some:
            by_kind[row.scene.kind].append((row.fidelity, row.overlapped))
        if by_kind:
            print(f"{name}: {len({row.brand for row in some})} brands")
            print_kinds({kind: np.array(values) for kind, values in by_kind.items()})


def print_kinds(by_kind: dict[str, NDArray[np.float64]]) -> None:
    """Print the figures of scenes of each kind: fidelities and overlaps, (n, 2)."""
    right = np.concatenate([by_kind[kind] for kind in ("right", "clean", "sign")])
    absent = np.concatenate([by_kind[kind][:, 0] for kind in ("none", "other", "alike") if kind in by_kind])
    print(
        f"  area: against none {area_under_curve(right[:, 0], by_kind['none'][:, 0]):.3f}, none, other and alike "
        f"{area_under_curve(right[:, 0], absent):.3f}; IoU >= 0.3 in {(right[:, 1] >= 0.3).mean():.3f}"
    )
    for kind in ("right", "clean", "sign"):
        print(f"  {kind:9s} >= {PASS}: {(by_kind[kind][:, 0] >= PASS).mean():.3f} of {len(by_kind[kind])}")
    print(
        f"  all three >= {PASS}: {(right[:, 0] >= PASS).mean():.3f}; absent <= 0.5: {(absent <= 0.5).mean():.3f}"
    )
    for kind in WRONG:
        if kind in by_kind:
            values = by_kind[kind][:, 0]
            print(
                f"  {kind:9s} <= 0.5: {(values <= 0.5).mean():.3f}, < {PASS}: {(values < PASS).mean():.3f} of {len(values)}"
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


def print_monotone(material: Material, model: ClipModel, n_brands: int, seed: int) -> None:
    """Print how often fidelity rises when damage grows, and by how much at most."""
    marks, fonts, frames = material
    rng = np.random.default_rng(seed)
    curves: dict[str, list[list[float]]] = defaultdict(list)
    for brand in draw_brands(marks, fonts, n_brands, rng):
        logo = brand.logos[0]
        finder = make_finder(replace(brand, logos=[logo]), model)
        for _ in range(40):
            frame = frames[int(rng.integers(len(frames)))].copy()
            box = choose_place(rng, frame, logo, (0.08, 0.15), sides=True, least_tall_px=brand.least_tall_px)
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
    scores: dict[str, dict[str, tuple[list[float], list[float]]]] = defaultdict(dict)
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
        calibration = calibrate(logos, model)
        finders = {
            "as drawn": MarkFinder(logos, model, calibration),
            "with words": MarkFinder(logos, model, calibration, load_reader=find_reader(), words=[brand]),
        }
        for how, finder in finders.items():
            present, absent = scores[how].setdefault(brand, ([], []))
            for name in photographs:
                picture = cv2.cvtColor(cv2.imread(str(media / name)), cv2.COLOR_BGR2RGB)
                best = finder.find(picture, 1)
                score = calibration.slope * best[0].score + calibration.offset if best else -99.0
                is_own = Path(name).name.lower().startswith(brand)
                (present if is_own else absent).append(score)
                if verbose and best and (is_own or best[0].fidelity > 0.3):
                    one = best[0]
                    print(
                        f"{brand:8s} {how:10s} {Path(name).name:26s} fidelity {one.fidelity:.2f} score {score:.1f} shape "
                        f"{one.shape:.2f} ink {one.ink:.2f} mirror {one.mirror:.2f} color {one.color:.2f} "
                        f"cosine {one.cosine:.2f} box {[round(value) for value in one.box]}"
                    )
    for how, by_brand in scores.items():
        areas = {brand: area_under_curve(*both) for brand, both in by_brand.items()}
        present = [score for own, _ in by_brand.values() for score in own]
        absent = [score for _, others in by_brand.values() for score in others]
        print(
            f"photographs {how}: {len(present)} present, {len(absent)} absent: area {area_under_curve(present, absent):.3f}; "
            f"{', '.join(f'{brand} {area:.2f}' for brand, area in areas.items())}"
        )


def print_ablation(rows: list[Row]) -> None:
    """Print the area under the curve of right against all wrong for each link alone."""
    kinds = np.array([row.scene.kind for row in rows])
    evidence = np.stack([row.evidence for row in rows])
    is_right = np.isin(kinds, ("right", "clean", "sign"))
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
    finder = MarkFinder([logo], model, calibration, load_reader=find_reader(), words=[marks[0].title])
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
    fonts = fetch_fonts(options.folder, FIGURES)
    material = Material(marks, fonts, frames)
    if "speed" in options.only:
        print_speed(marks, frames, model)
    if "photographs" in options.only:
        print_photographs(options.media, model, verbose=options.verbose)
    if "composed" in options.only:
        rows = measure_composed(material, model, options.brands, options.seed)
        print_composed(rows)
        print_ablation(rows)
        if options.verbose:
            for row in rows:
                is_right = row.scene.kind in ("right", "clean", "sign")
                if row.fidelity < PASS if is_right else row.fidelity > 0.5:
                    box = [round(value) for value in row.scene.box or ()]
                    print(
                        f"{row.brand:16s} {row.kind:6s} {row.scene.kind:8s} {row.fidelity:.2f} IoU {row.overlapped:.2f} "
                        f"{np.round(row.evidence, 2)} {box}"
                    )
    if "monotone" in options.only:
        print_monotone(material, model, max(4, options.brands // 4), options.seed)


if __name__ == "__main__":
    main()
