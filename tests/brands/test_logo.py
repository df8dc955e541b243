"""Drawings that people send: transparent, blank, tiny, huge, and no pictures at all."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from evalkit.brands.logo import LONGEST_SIDE_PX, LogoError, load_logo

if TYPE_CHECKING:
    from pathlib import Path


def save(path: Path, pixels: object) -> Path:
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def ring(side: int, channels: int = 4) -> np.ndarray:
    ys, xs = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.abs(np.hypot(xs, ys) - side / 3) < side / 12
    pixels = np.full((side, side, 4), (255, 255, 255, 0 if channels == 4 else 255), np.uint8)
    pixels[inside] = (200, 30, 60, 255)
    return pixels[..., :channels]


def test_transparency_is_kept_and_margins_are_cut(tmp_path: Path) -> None:
    logo = load_logo(save(tmp_path / "ring.png", ring(120))).pixels
    assert logo.shape == (100, 100, 4)  # a ring of radius 40 and half its stroke of 10 on each side
    assert logo[50, 50, 3] == 0
    assert logo[50, 5].tolist() == [200, 30, 60, 255]


def test_an_opaque_ground_loses_its_margin_and_stays_opaque(tmp_path: Path) -> None:
    logo = load_logo(save(tmp_path / "ring.png", ring(120, channels=3))).pixels
    assert logo.shape == (100, 100, 4)
    assert (logo[..., 3] == 255).all()


def test_a_large_drawing_is_reduced_without_dark_seams(tmp_path: Path) -> None:
    pixels = np.zeros((2000, 3000, 4), np.uint8)
    pixels[:, 500:2500] = (250, 250, 250, 255)
    pixels[800:1200, 800:2200, :3] = 200
    logo = load_logo(save(tmp_path / "large.png", pixels)).pixels
    assert max(logo.shape) <= LONGEST_SIDE_PX
    assert logo[logo[..., 3] > 0][:, :3].min() >= 199  # black behind full transparency gives no colour


def test_a_palette_with_transparency_is_read(tmp_path: Path) -> None:
    Image.fromarray(ring(120)).quantize(8).save(tmp_path / "ring.gif")
    assert load_logo(tmp_path / "ring.gif").pixels.shape[2] == 4


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8000, 8000, 8, 6, 0, 0, 0))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"nothing to decode"))
    with pytest.raises(LogoError, match=r"huge\.png has 8000×8000 pixels; at most 25 million are read"):
        load_logo(tmp_path / "huge.png")


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((100, 100, 4)), "shows nothing: it is transparent everywhere"),
        (np.full((100, 100, 3), 255), "shows one plain colour and no mark"),
        (np.full((100, 100, 4), 255), "shows one plain colour and no mark"),
        (
            np.full((8, 8, 4), (0, 0, 0, 255)) * np.eye(8)[..., None],
            "is too small: its mark has 8×8 pixels, and needs 48",
        ),
        (ring(40), "is too small: its mark has 3[0-9]×3[0-9] pixels"),
    ],
    ids=["transparent", "white", "white_alpha", "8px", "40px"],
)
def test_what_shows_no_mark_is_refused(tmp_path: Path, pixels: np.ndarray, said: str) -> None:
    with pytest.raises(LogoError, match=said):
        load_logo(save(tmp_path / "logo.png", pixels))


def test_a_plain_rectangle_on_transparency_is_no_mark(tmp_path: Path) -> None:
    pixels = np.zeros((200, 200, 4), np.uint8)
    pixels[50:150, 50:150] = (10, 20, 30, 255)
    with pytest.raises(LogoError, match="one plain colour"):
        load_logo(save(tmp_path / "logo.png", pixels))


def test_a_white_mark_on_transparency_is_one(tmp_path: Path) -> None:
    pixels = ring(120)
    pixels[..., :3] = 255
    assert load_logo(save(tmp_path / "light.png", pixels)).pixels.shape == (100, 100, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is not a picture"),
        (b"just words", r"is not a picture \(SVG, PNG, JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "is not a picture|cannot be decoded"),
    ],
    ids=["empty", "postscript", "words", "damaged"],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(LogoError, match=said):
        load_logo(tmp_path / "logo.png")


def test_a_film_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(ring(side)).convert("P") for side in (120, 120)]
    frames[1].putpixel((60, 60), 3)
    frames[0].save(tmp_path / "logo.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(LogoError, match="has 2 pictures in it; a logo is one"):
        load_logo(tmp_path / "logo.gif")


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.arange(10_000, dtype=np.uint16).reshape(100, 100)).save(tmp_path / "deep.png")
    with pytest.raises(LogoError, match="more than 8 bits a channel"):
        load_logo(tmp_path / "deep.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogoError, match="cannot be read: Is a directory"):
        load_logo(tmp_path)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogoError, match="cannot be read: embedded null byte"):
        load_logo(tmp_path / "lo\0go.png")
