"""The training marks (simple-icons, CC0 drawings), who of them is held out, and scenery to put them into."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG_SIDE_PX = 112
HELD_OUT_SHARE = 0.1
HELD_OUT_FAMILIES = ("adidas", "apple", "bmw", "dhl", "fedex", "ferrari", "google")
"""Brands of the real photographs: nothing of their families is trained on."""


@dataclass(frozen=True)
class Mark:
    """One drawing: where it is opaque (uint8, trimmed, long side `LONG_SIDE_PX`) and its brand's colour (RGB)."""

    slug: str
    title: str
    color: tuple[int, int, int]
    alpha: NDArray[np.uint8]


def fetch_icons(folder: Path) -> Path:
    """Fetch simple-icons with npm into a folder, unless it is there, and return where it lies."""
    package = folder / "package"
    if not (package / "data" / "simple-icons.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "simple-icons"], cwd=folder, check=True)  # noqa: S607 - npm is on the path
        with tarfile.open(next(folder.glob("simple-icons-*.tgz"))) as archive:
            archive.extractall(folder, filter="data")
    return package


def is_held_out(slug: str) -> bool:
    """Say whether a mark is kept from training: a tenth by hash of the name, and the families of the photographs."""
    share = int.from_bytes(hashlib.sha256(slug.encode()).digest()[:4], "big") / 2**32
    return share < HELD_OUT_SHARE or slug.startswith(HELD_OUT_FAMILIES)


def is_for_figures(slug: str) -> bool:
    """Say whether a held-out mark is kept for the figures alone: half of them; the chain is fitted on the others."""
    even = hashlib.sha256(slug.encode()).digest()[4] % 2 == 0
    return is_held_out(slug) and (even or slug.startswith(HELD_OUT_FAMILIES))


def rasterise(svg: Path, long_side_px: int) -> NDArray[np.uint8]:
    """Return the opacity of a one-colour drawing, trimmed to where it is, shape (height, width)."""
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_path=str(svg), width=384, height=384, skip_system_fonts=True)
    alpha = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
    rows, columns = np.flatnonzero(alpha.max(1)), np.flatnonzero(alpha.max(0))
    alpha = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = alpha.shape
    scale = long_side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)


def load_marks(folder: Path) -> list[Mark]:
    """Rasterise every drawing of simple-icons; kept beside the icons for the next time."""
    package = fetch_icons(folder)
    kept = folder / f"marks_{LONG_SIDE_PX}.npz"
    entries = json.loads((package / "data" / "simple-icons.json").read_text("utf-8"))
    if not kept.is_file():
        drawings = {
            entry["slug"]: rasterise(package / "icons" / f"{entry['slug']}.svg", LONG_SIDE_PX)
            for entry in entries
        }
        np.savez_compressed(kept, **drawings)
    with np.load(kept) as drawings:
        return [
            Mark(entry["slug"], entry["title"], rgb(entry["hex"]), drawings[entry["slug"]])
            for entry in entries
        ]


def rgb(color: str) -> tuple[int, int, int]:
    """Return a hexadecimal colour as red, green, blue."""
    red, green, blue = bytes.fromhex(color)
    return red, green, blue


@cache
def photographs() -> list[NDArray[np.uint8]]:
    """Return the photographs that come with scikit-image and matplotlib, RGB, long side 480."""
    import matplotlib as mpl
    import skimage

    names = "astronaut brick chelsea clock_motion coffee coins grass gravel motorcycle_left motorcycle_right"
    folder = Path(skimage.__file__).parent / "data"
    files = [folder / f"{name}.png" for name in names.split()]
    files += [folder / "rocket.jpg", Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"]
    pictures = []
    for file in files:
        picture = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        scale = 480 / max(picture.shape[:2])
        pictures.append(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return pictures


def draw_scene(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """Draw scenery: a wall or a photograph, with furniture, shelves, lines, words and light on it, RGB."""
    kind = rng.random()
    if kind < 0.4:
        pictures = photographs()
        picture = pictures[rng.integers(len(pictures))]
        part = rng.uniform(0.3, 1.0)
        crop_height, crop_width = int(picture.shape[0] * part), int(picture.shape[1] * part)
        top = rng.integers(picture.shape[0] - crop_height + 1)
        left = rng.integers(picture.shape[1] - crop_width + 1)
        scene = cv2.resize(
            picture[top : top + crop_height, left : left + crop_width], (width, height)
        ).astype(np.float32)
        if rng.random() < 0.5:
            scene = scene[:, ::-1]
        scene = scene * rng.uniform(0.7, 1.2, 3) + rng.uniform(-20, 20)
    else:
        corners = rng.uniform(0, 255, (2, 2, 3)) * 0.5 + rng.uniform(0, 255, 3) * 0.5
        scene = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        noise = rng.normal(0, 1, (rng.integers(3, 40), rng.integers(3, 40), 1)).astype(np.float32)
        scene = scene + rng.uniform(0, 25) * cv2.resize(noise, (width, height))[..., None]
    scene = np.ascontiguousarray(scene, np.float32)
    for _ in range(rng.poisson(2 if kind < 0.4 else 7)):
        draw_thing(rng, scene)
    if rng.random() < 0.4:
        scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.5, 6))
    return np.clip(scene, 0, 255).astype(np.uint8)


def draw_thing(rng: np.random.Generator, scene: NDArray[np.float32]) -> None:
    """Draw one rectangle, disc, polygon, line, grid or word into a scene, in place."""
    height, width = scene.shape[:2]
    color = tuple(float(value) for value in rng.uniform(0, 255, 3))
    x, y = (int(value) for value in rng.uniform((0, 0), (width, height)))
    size = int(rng.uniform(0.03, 0.5) * width)
    thickness = -1 if rng.random() < 0.6 else int(rng.integers(1, max(2, width // 60)))
    kind = rng.integers(7)
    if kind == 0:
        cv2.rectangle(scene, (x, y), (x + size, y + int(size * rng.uniform(0.2, 3))), color, thickness)
    elif kind == 1:
        cv2.circle(scene, (x, y), size // 3, color, thickness, cv2.LINE_AA)
    elif kind == 2:
        points = np.array([x, y]) + rng.uniform(-size, size, (int(rng.integers(3, 8)), 2))
        cv2.fillPoly(scene, [points.astype(np.int32)], color, cv2.LINE_AA)
    elif kind == 3:
        far = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.line(scene, (x, y), far, color, abs(thickness), cv2.LINE_AA)
    elif kind == 4:
        step = max(3, size // 4)
        for left in range(x, x + size, step):
            cv2.rectangle(scene, (left, y), (left + step * 2 // 3, y + size // 2), color, thickness)
    elif kind == 5:
        word = "".join(chr(letter) for letter in rng.integers(65, 123, int(rng.integers(2, 9))))
        face, scale = int(rng.integers(8)), rng.uniform(0.3, 2.0) * width / 640
        cv2.putText(scene, word, (x, y), face, max(scale, 0.2), color, int(rng.integers(1, 4)), cv2.LINE_AA)
    else:
        cv2.ellipse(scene, (x, y), (size // 2, size // 4), rng.uniform(0, 360), 0, 360, color, thickness)


def encode_roughly(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return a picture as JPEG of a quality gives it back."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(np.frombuffer(BytesIO(data.tobytes()).getvalue(), np.uint8), cv2.IMREAD_COLOR)
