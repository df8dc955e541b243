"""Reads what is written in a picture, by networks that the wheel of ``rapidocr`` brings, run by OpenVINO.

PP-OCR (Y. Du et al., PP-OCR: A Practical Ultra Lightweight OCR System, 2020): one network says which pixels belong to lines of text
(differentiable binarisation, M. Liao et al., AAAI 2020), another reads a line (connectionist temporal classification). The package is
not imported, for it asks for an OpenCV of its own, which would overwrite the one that is here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.tracks.base import load_library
from evalkit.tracks.cache import content_hash
from evalkit.tracks.network import load_openvino
from evalkit.types import FloatArray

Picture = NDArray[np.uint8]

PACKAGE = "rapidocr"
DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
HOW_TO_INSTALL = f"pip install --no-deps {PACKAGE}"
"""Without what it asks for: a second OpenCV, which overwrites the first."""
HOW_TO_REPAIR = f"pip install --no-deps --force-reinstall {PACKAGE}"
LONGEST_SIDE_PX = 512
"""Of the picture in which lines are looked for."""
MOST_LINES = 12
LEAST_CONFIDENCE = 0.4
_IS_TEXT = 0.3
_IS_LINE = 0.5
_UNCLIP = 1.6
"""Area over perimeter by which a line grows: the network is taught shrunken ones."""
_LEAST_PX = 3.0
_STEP_PX = 32
_LINE_PX = 48
_LONGEST_LINE_PX = 480
_SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
}


@dataclass(frozen=True)
class Line:
    """One line of text.

    Parameters
    ----------
    text
        As read.
    confidence
        Mean probability of its letters, 0–1.
    corners : FloatArray, shape (4, 2)
        x and y in pixels of the picture, clockwise from the upper left.
    """

    text: str
    confidence: float
    corners: FloatArray


def models_folder() -> Path | None:
    """Return where the networks are, or None where there are none. Imports nothing of the package."""
    found = find_spec(PACKAGE)
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        folder = Path(place) / "models"
        if all((folder / name).is_file() for name in (DETECTOR, RECOGNISER)):
            return folder
    return None


def hash_of_models(folder: Path) -> str:
    """Return a hash of both networks."""
    both = [content_hash(str(folder / name)) for name in (DETECTOR, RECOGNISER)]
    return hashlib.sha256(" ".join(both).encode()).hexdigest()


def unknown_letters(folder: Path, text: str) -> str:
    """Return the letters and digits of a text that the networks of a folder cannot read, each once."""
    known = frozenset(_read_networks(folder)[2])
    return "".join(dict.fromkeys(letter for letter in text if letter.isalnum() and letter not in known))


class Reader:
    """Reads lines of text in pictures.

    Parameters
    ----------
    folder
        With both networks.

    Raises
    ------
    UsageError
        If a file there is no such network.
    """

    def __init__(self, folder: Path) -> None:
        detect, recognise, self._letters = _load(folder)
        self._detect, self._recognise = (network.create_infer_request() for network in (detect, recognise))

    def read(self, picture: Picture) -> list[Line]:
        """Read a picture, RGB, (height, width, 3): its lines, at most `MOST_LINES`, the largest first."""
        cv2 = load_library("cv2")
        boxes = self._find_lines(picture)
        lines = []
        for box in boxes[:MOST_LINES]:
            width, height = (float(np.linalg.norm(box[end] - box[0])) for end in (1, 3))
            wide = round(_LINE_PX * width / max(height, 1.0) / 16) * 16
            wide = min(max(wide, 32), _LONGEST_LINE_PX)
            square = np.array([[0, 0], [wide, 0], [wide, _LINE_PX], [0, _LINE_PX]], np.float32)
            lay = cv2.getPerspectiveTransform(box.astype(np.float32), square)
            strip = cv2.warpPerspective(
                picture, lay, (wide, _LINE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            text, confidence = self._read_line(strip)
            if text and confidence >= LEAST_CONFIDENCE:
                lines.append(Line(text, confidence, box))
        return lines

    def _find_lines(self, picture: Picture) -> list[FloatArray]:
        cv2 = load_library("cv2")
        height, width = picture.shape[:2]
        scale = min(2.0, LONGEST_SIDE_PX / max(height, width))
        size = _whole_steps(width * scale), _whole_steps(height * scale)
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        likely = self._detect.infer([_standardise(small)])[0][0, 0]
        mask = cv2.dilate((likely > _IS_TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for outline in outlines:
            middle, sides, turn = cv2.minAreaRect(outline)
            if min(sides) < _LEAST_PX:
                continue
            inside = np.zeros_like(mask)
            cv2.drawContours(inside, [outline], -1, 1, -1)
            if float(likely[inside > 0].mean()) < _IS_LINE:
                continue
            more = _UNCLIP * sides[0] * sides[1] / (sides[0] + sides[1])
            box = cv2.boxPoints((middle, (sides[0] + more, sides[1] + more), turn))
            found.append(_upright(box.astype(np.float64)) * (width / size[0], height / size[1]))
        return sorted(found, key=_area, reverse=True)

    def _read_line(self, strip: Picture) -> tuple[str, float]:
        likely = self._recognise.infer([_standardise(strip)])[0][0]
        best = likely.argmax(1)
        is_letter = (best != 0) & (best != np.concatenate([[0], best[:-1]]))
        if not is_letter.any():
            return "", 0.0
        text = "".join(self._letters[index] for index in best[is_letter])
        return text.strip(), float(likely.max(1)[is_letter].mean())


def _upright(box: FloatArray) -> FloatArray:
    """Order the corners of a box clockwise from the upper left, as a line of text that runs to the right lies."""
    middle = box.mean(0)
    angles = np.arctan2(box[:, 1] - middle[1], box[:, 0] - middle[0])
    box = box[np.argsort(angles)]  # clockwise, for y runs down
    start = int((box.sum(1)).argmin())
    box = np.roll(box, -start, 0)
    width, height = np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[3] - box[0])
    if height > 1.5 * width:  # steep: the long side is the line
        box = np.roll(box, 1, 0)
    return np.asarray(box)


def _area(box: FloatArray) -> float:
    width, height = np.ptp(box, axis=0)
    return float(width * height)


def _whole_steps(side_px: float) -> int:
    return max(_STEP_PX, round(side_px / _STEP_PX) * _STEP_PX)


def _standardise(picture: Picture) -> NDArray[np.float32]:
    """Return one picture as the networks take it: blue first, -1 to 1."""
    return np.ascontiguousarray((picture[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None])


@cache
def _load(folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    detector, recogniser, letters = _read_networks(folder)
    core = load_openvino().Core()
    detect, recognise = (core.compile_model(one, "CPU", _SETTINGS) for one in (detector, recogniser))
    return detect, recognise, letters


@cache
def _read_networks(folder: Path) -> tuple[Any, Any, tuple[str, ...]]:
    core = load_openvino().Core()
    networks = []
    for name in (DETECTOR, RECOGNISER):
        try:
            networks.append(core.read_model(folder / name))
        except RuntimeError as error:
            raise UsageError(f"{folder / name} is no network that reads text: {HOW_TO_REPAIR}") from error
    detector, recogniser = networks
    letters = _letters_of(recogniser)
    n_classes = recogniser.outputs[0].partial_shape
    is_ours = len(detector.outputs[0].partial_shape) == 4 and len(n_classes) == 3 and n_classes[2].is_static
    if not is_ours or n_classes[2].get_length() != len(letters):
        raise UsageError(
            f"{folder} holds networks of another kind than those that are read here: {HOW_TO_REPAIR}"
        )
    return detector, recogniser, letters


def _letters_of(recogniser: Any) -> tuple[str, ...]:
    """Return the letters that a recogniser knows, in the order of its classes: none, those in its file, a space."""
    if not recogniser.has_rt_info(["framework", "character"]):
        return ()
    listed = recogniser.get_rt_info(["framework", "character"]).astype(str)
    return ("", *listed.split("\n"), " ")
