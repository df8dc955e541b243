"""Where a brand's words are written in a frame, and where its drawing would lie if they are part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.brand import fold_word, letters_likeness, word_likeness
from evalkit.tracks.base import load_library
from evalkit.tracks.drawing import Drawing, trim_logo
from evalkit.tracks.lettering import Line, Reader
from evalkit.tracks.mark_place import Box, bound
from evalkit.types import FloatArray

DRAWN_PX = 320
"""Long side of a drawing when it is read itself."""
_BESIDE = 0.15
_APART = 12.0
"""How far single letters of one badge may be from each other, in heights of a letter."""


@dataclass(frozen=True)
class Written:
    """A place where a brand's words are written.

    Parameters
    ----------
    box
        x0, y0, x1, y1 in pixels of the frame, around the text.
    likeness
        0–1, how surely they are these words.
    laid : tuple of (int, affine map (3, 3))
        Drawings of which they are a part, and where these would lie.
    """

    box: Box
    likeness: float
    laid: tuple[tuple[int, FloatArray], ...]


class WordSeeker:
    """Looks for one brand's words.

    Parameters
    ----------
    reader
    words
        Given ones; those in the drawings come to them.
    logos
        A logo for each drawing, RGBA.
    drawings
        As the finder lays them.
    """

    def __init__(
        self,
        reader: Reader,
        words: Sequence[str],
        logos: Sequence[NDArray[np.uint8]],
        drawings: Sequence[Drawing],
    ) -> None:
        self._reader = reader
        self._drawn = [
            read_drawing(reader, logo, drawing) for logo, drawing in zip(logos, drawings, strict=True)
        ]
        known = [*words, *(line.text for lines in self._drawn for line in lines)]
        self.words = tuple({fold_word(word): word for word in known if fold_word(word)}.values())

    def find(self, frame: NDArray[np.uint8]) -> list[Written]:
        """Find the brand's words in a frame, RGB: the likeliest first."""
        lines = self._reader.read(frame)
        found = []
        for line in lines:
            likeness = line.confidence * max(
                (word_likeness(line.text, word) for word in self.words), default=0.0
            )
            if likeness > 0:
                found.append(Written(bound(line.corners), likeness, self._lay(line)))
        found += self._find_letters([line for line in lines if len(fold_word(line.text)) == 1])
        return sorted(found, key=lambda written: -written.likeness)

    def _lay(self, line: Line) -> tuple[tuple[int, FloatArray], ...]:
        """Lay each drawing that says the same so that its words come onto a line."""
        return tuple(
            (index, _affine(own.corners, line.corners))
            for index, drawn in enumerate(self._drawn)
            for own in drawn
            if word_likeness(line.text, own.text) > 0
        )

    def _find_letters(self, letters: list[Line]) -> list[Written]:
        """Find words whose letters stand one by one, near each other."""
        found = []
        for first in letters:
            middle, size = first.corners.mean(0), float(np.ptp(first.corners, 0).max())
            near = [one for one in letters if np.abs(one.corners.mean(0) - middle).max() < _APART / 2 * size]
            texts = [one.text for one in near]
            likeness = max((letters_likeness(texts, word) for word in self.words), default=0.0)
            if likeness > 0:
                surely = float(np.mean([one.confidence for one in near]))
                found.append(
                    Written(bound(np.concatenate([one.corners for one in near])), likeness * surely, ())
                )
        return found


def read_drawing(reader: Reader, logo: NDArray[np.uint8], drawing: Drawing) -> list[Line]:
    """Read a logo itself, RGBA: its lines, with corners in the pixels of its drawing, margin included."""
    cv2 = load_library("cv2")
    trimmed = trim_logo(logo)
    cover = trimmed[..., 3:].astype(np.float32) / 255
    ink = trimmed[..., :3].astype(np.float32)
    behind = 255.0 if float((ink * cover).sum() / max(float(cover.sum()), 1.0) / 3) < 140 else 0.0
    flat = ink * cover + behind * (1 - cover)
    scale = DRAWN_PX / max(flat.shape[:2])
    small = cv2.resize(
        flat, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    edge = round(_BESIDE * DRAWN_PX)
    page = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(behind,) * 3)
    lines = reader.read(np.clip(page, 0, 255).astype(np.uint8))
    onto = np.array(drawing.size_px) / (small.shape[1], small.shape[0])
    return [
        Line(line.text, line.confidence, (line.corners - edge) * onto + drawing.margin_px)
        for line in lines
        if len(fold_word(line.text)) > 1
    ]


def _affine(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return the affine map, (3, 3), that brings three corners of one box onto another's."""
    cv2 = load_library("cv2")
    made = cv2.getAffineTransform(source[[0, 1, 3]].astype(np.float32), target[[0, 1, 3]].astype(np.float32))
    return np.vstack([made, [0, 0, 1]])
