"""Is there a face in a picture? Asked before any model that needs one is loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import RequestError
from pipeline.partial_import import load_solution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

NO_FACE = "no_face"
"""Kind of the error for a portrait that shows no face."""

_WORKING_SIDE_PX = 2048  # larger portraits are reduced to this before anything else


def refuse_without_face(path: str | Path) -> None:
    """Refuse a portrait in which no face is found; a picture that was looked at before is remembered.

    Parameters
    ----------
    path : path
        Any picture that Pillow reads.

    Raises
    ------
    RequestError
        Of kind ``no_face``; of kind ``refused`` if it cannot be read as a picture.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise RequestError(f"image {str(path)!r} cannot be read: {error.strerror}") from None
    if not _shows_face(path.absolute(), stat.st_mtime_ns, stat.st_size):
        raise RequestError(
            f"image {str(path)!r}: no face found; use a picture of one face seen from the front", NO_FACE
        )


@lru_cache(maxsize=256)
def _shows_face(path: Path, _mtime_ns: int, _n_bytes: int) -> bool:
    return bool(locate_faces(read_picture(path, "image")))


def read_picture(path: Path, parameter: str) -> Picture:
    """Read a picture upright, as RGB on a plain ground where it is transparent.

    Parameters
    ----------
    path : Path
        Any picture that Pillow reads; larger than 2048 pixels a side, it is reduced.
    parameter : str
        What to call it in errors.

    Raises
    ------
    RequestError
        If it is not a picture that can be read.
    """
    import cv2
    from PIL import Image, ImageOps

    if path.suffix.lower() in {".svg", ".svgz"}:
        raise RequestError(
            f"{parameter} {str(path)!r} is a drawing in SVG; give a PNG of it, with transparency"
        )
    try:
        with Image.open(path) as file:
            file.draft("RGB", (2 * _WORKING_SIDE_PX, 2 * _WORKING_SIDE_PX))
            upright = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError(f"{parameter} {str(path)!r} cannot be read as a picture: {error}") from error
    ground = Image.new("RGBA", upright.size, (206, 208, 212, 255))
    picture: Picture = np.asarray(Image.alpha_composite(ground, upright).convert("RGB"))
    factor = _WORKING_SIDE_PX / max(picture.shape[:2])
    if factor < 1:
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return picture


def locate_faces(picture: Picture) -> list[tuple[float, float, float]]:
    """Return the faces of a picture as centre x, centre y and side in pixels, the largest first.

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    """
    import cv2

    face_detection = load_solution("face_detection")
    border = max(picture.shape[:2]) // 4  # faces that fill the picture are found with some room around them
    roomy = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
    boxes: list[tuple[float, float, float]] = []
    for image, offset in ((picture, 0), (roomy, border)):
        height, width = image.shape[:2]
        for model in (0, 1):
            with face_detection.FaceDetection(
                model_selection=model, min_detection_confidence=0.5
            ) as detection:
                found = detection.process(image).detections or []
            for face in found:
                box = face.location_data.relative_bounding_box
                boxes.append(
                    (
                        (box.xmin + box.width / 2) * width - offset,
                        (box.ymin + box.height / 2) * height - offset,
                        max(box.width * width, box.height * height),
                    )
                )
    boxes.sort(key=lambda box: -box[2])
    apart: list[tuple[float, float, float]] = []
    for x, y, side in boxes:
        if all(np.hypot(x - u, y - v) > 0.6 * max(side, other) for u, v, other in apart):
            apart.append((x, y, side))
    return apart
