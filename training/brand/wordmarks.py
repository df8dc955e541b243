"""Wordmarks: names set in type, alone, beside a sign, in a frame, or cut out of a plate; what most companies have.

Names are those of simple-icons, so a name is held out where its icon is; typefaces (Open Font Licence, fetched with npm) are kept
apart by themselves: `FIT` may be looked at while fitting, `FIGURES` are for figures alone.
"""

from __future__ import annotations

import subprocess
import tarfile
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

    from data import Mark
    from numpy.typing import NDArray

FIT = (
    "roboto", "pacifico", "playfair-display", "oswald", "righteous", "raleway", "orbitron", "zilla-slab", "baloo-2",
    "comfortaa",
)  # fmt: skip
FIGURES = (
    "montserrat", "lobster", "merriweather", "bebas-neue", "ubuntu", "abril-fatface", "dancing-script", "space-grotesk",
    "exo-2", "syne",
)  # fmt: skip
KINDS = ("word", "word", "word", "lockup", "lockup", "oval", "frame", "plate")
TYPE_PX = 96
MOST_LETTERS = 12


def fetch_fonts(folder: Path, families: tuple[str, ...]) -> list[Path]:
    """Fetch typefaces with npm into a folder, unless they are there; return their files, regular and bold."""
    files = []
    for family in families:
        place = folder / "fonts" / family
        if not place.is_dir():
            place.mkdir(parents=True)
            packed = subprocess.run(
                ["npm", "pack", f"@fontsource/{family}"],  # noqa: S607 - npm is on the path
                cwd=place, check=True, capture_output=True, text=True,
            )  # fmt: skip
            with tarfile.open(place / packed.stdout.split()[-1]) as archive:
                archive.extractall(place, filter="data")
        latin = sorted(place.glob(f"package/files/{family}-latin-[47]00-normal.woff"))
        files.append(latin[-1] if len(family) % 2 else latin[0])
    return files


@cache
def load_font(file: Path) -> ImageFont.FreeTypeFont:
    """Load a typeface."""
    return ImageFont.truetype(str(file), TYPE_PX)


def set_word(word: str, file: Path, spacing: float) -> NDArray[np.uint8]:
    """Set a word in type: its opacity, trimmed. Letters stand apart by a share of their size beyond the usual."""
    font = load_font(file)
    canvas = Image.new("L", (round(len(word) * TYPE_PX * (1.2 + spacing)) + 2 * TYPE_PX, 3 * TYPE_PX), 0)
    pen, at = ImageDraw.Draw(canvas), float(TYPE_PX)
    if spacing == 0:
        pen.text((at, TYPE_PX / 2), word, font=font, fill=255)
    else:
        for letter in word:
            pen.text((at, TYPE_PX / 2), letter, font=font, fill=255)
            at += font.getlength(letter) + spacing * TYPE_PX
    return trim(np.asarray(canvas))


def trim(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut an opacity down to where it is."""
    rows, columns = np.flatnonzero(alpha.max(1)), np.flatnonzero(alpha.max(0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def draw_wordmark(
    rng: np.random.Generator, mark: Mark, fonts: list[Path], kind: str | None = None
) -> tuple[str, NDArray[np.uint8], float]:
    """Draw a wordmark of a brand; return its kind, the drawing (RGBA) and what share of its height the letters have."""
    kind = kind or KINDS[rng.integers(len(KINDS))]
    word = mark.title[:MOST_LETTERS].strip()
    style = rng.random()
    word = word.upper() if style < 0.3 else word.lower() if style < 0.5 else word
    spacing = float(rng.choice([0.0, 0.0, 0.0, 0.08, 0.2]))
    alpha = set_word(word, fonts[rng.integers(len(fonts))], spacing)
    height, width = alpha.shape
    color = np.array(mark.color, np.uint8)
    logo = paint(alpha, color)
    if kind == "lockup":
        side = round(height * rng.uniform(1.0, 1.5))
        scale = side / max(mark.alpha.shape)
        sign = cv2.resize(mark.alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        of_like_lightness = np.array((30, 30, 36) if color.mean() < 150 else (235, 235, 235))
        other = color if rng.random() < 0.5 else of_like_lightness
        tall, gap = max(height, sign.shape[0]), round(0.25 * height)
        whole = np.zeros((tall, sign.shape[1] + gap + width, 4), np.uint8)
        top = (tall - sign.shape[0]) // 2
        whole[top : top + sign.shape[0], : sign.shape[1]] = paint(sign, color)
        top = (tall - height) // 2
        whole[top : top + height, -width:] = paint(alpha, other)
        return kind, whole, height / tall
    if kind in ("oval", "frame", "plate"):
        more_x, more_y = (
            (round(width * 0.22), round(height * 0.6)) if kind == "oval" else (round(height * 0.5),) * 2
        )
        padded = cv2.copyMakeBorder(alpha, more_y, more_y, more_x, more_x, cv2.BORDER_CONSTANT, value=0)
        tall, wide = padded.shape
        line = max(3, round(height * 0.1))
        if kind == "oval":
            axes = (wide // 2 - line, tall // 2 - line)
            cv2.ellipse(padded, (wide // 2, tall // 2), axes, 0, 0, 360, 255, line, cv2.LINE_AA)
        elif kind == "frame":
            cv2.rectangle(padded, (line, line), (wide - line - 1, tall - line - 1), 255, line)
        else:
            padded = 255 - padded
        logo = paint(trim(padded), color)
    return kind, logo, height / logo.shape[0]


def paint(alpha: NDArray[np.uint8], color: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an opacity in a colour, RGBA."""
    return np.dstack([np.broadcast_to(np.asarray(color, np.uint8), (*alpha.shape, 3)), alpha])
