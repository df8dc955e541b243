"""Drawings of a mark, from files that people send: read safely, in bounded memory, or refused with the reason."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError

Rgba = NDArray[np.uint8]

LONGEST_SIDE_PX = 512
"""Larger drawings are reduced to this along their longer side."""
LEAST_SIDE_PX = 48
"""A drawing needs as much along its longer side, empty margins cut off, to show what the mark looks like."""
LEAST_OTHER_SIDE_PX = 8
MOST_PIXELS = 25_000_000
"""A picture that announces more is refused before it is decoded: 100 MB once it is."""
MOST_BYTES = 20_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
_VISIBLE = 16  # of 255: less opaque is a shadow at most
_PLAIN = 12  # levels of 255 between the darkest and brightest pixel of what is one plain colour


class LogoError(UsageError):
    """A drawing that cannot be used."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A drawing of a mark.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width, 4)
        RGBA, not premultiplied, cut to what is visible.
    content : str
        SHA-256 of the file.
    """

    pixels: Rgba
    content: str


def load_logo(path: Path) -> Logo:
    """Read a drawing: SVG, or one of `FORMATS`.

    A transparent ground is best: of an opaque one, only the plain margin is known not to be the mark.

    Raises
    ------
    LogoError
        If it cannot be read, could do harm, shows nothing, or is too small or too large.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LogoError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB; at most {MOST_BYTES // 10**6} MB are read"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise LogoError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:  # a name with a zero byte in it is a ValueError
        raise LogoError(
            f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    content = hashlib.sha256(data).hexdigest()
    if path.suffix.lower() in {".svg", ".svgz"}:
        from evalkit.brands.svg import rasterise_svg

        data = rasterise_svg(data, str(path), LONGEST_SIDE_PX)
    return Logo(_checked(decode_picture(data, str(path)), str(path)), content)


def decode_picture(data: bytes, name: str) -> Rgba:
    """Decode a picture into RGBA of at most `LONGEST_SIDE_PX`, shape (height, width, 4).

    Raises
    ------
    LogoError
        If it is none, announces more than `MOST_PIXELS`, is a film, or has more than 8 bits a channel.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(data), formats=FORMATS) as picture,
        ):
            _refuse_size(picture.size, name)
            n_frames = getattr(picture, "n_frames", 1)
            if n_frames > 1:
                raise LogoError(f"{name} has {n_frames} pictures in it; a logo is one")
            if picture.mode.startswith(("I", "F")):
                raise LogoError(f"{name} has more than 8 bits a channel; save it with 8")
            return _reduced(picture.convert("RGBA"))
    except UnidentifiedImageError:
        raise LogoError(f"{name} is not a picture (SVG, {', '.join(FORMATS)})") from None
    except Image.DecompressionBombError as error:
        raise LogoError(f"{name} is too large: {error}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise LogoError(f"{name} cannot be decoded: {error}") from None


def _refuse_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise LogoError(
            f"{name} has {width}×{height} pixels; at most {MOST_PIXELS // 10**6} million are read: save it smaller "
            f"({LONGEST_SIDE_PX} pixels are enough)"
        )


def _reduced(picture: Any) -> Rgba:
    """Scale down in premultiplied colours, so that what is transparent has no colour to give."""
    from PIL import Image

    scale = LONGEST_SIDE_PX / max(picture.size)
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")
    return np.array(picture, dtype=np.uint8)


def _checked(pixels: Rgba, name: str) -> Rgba:
    """Cut to what is visible; refuse what shows no mark."""
    seen = pixels[..., 3] >= _VISIBLE
    if not seen.any():
        raise LogoError(f"{name} shows nothing: it is transparent everywhere")
    cut = _cut(pixels, seen)
    if (cut[..., 3] >= _VISIBLE).all():  # an opaque ground: its plain margin goes
        seen = np.abs(cut[..., :3].astype(np.int16) - cut[0, 0, :3]).max(axis=2) > _PLAIN
        if not seen.any():
            raise LogoError(f"{name} shows one plain colour and no mark")
        cut = _cut(cut, seen)
    height, width = cut.shape[:2]
    if max(height, width) < LEAST_SIDE_PX or min(height, width) < LEAST_OTHER_SIDE_PX:
        raise LogoError(
            f"{name} is too small: its mark has {width}×{height} pixels, and needs {LEAST_SIDE_PX} along its longer "
            f"side and {LEAST_OTHER_SIDE_PX} along the other"
        )
    return cut


def _cut(pixels: Rgba, seen: NDArray[np.bool_]) -> Rgba:
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
