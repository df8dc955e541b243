"""Finds a brand's mark in a frame and says how much it is the right one, whole and in its colours.

Three steps. *Propose* and *register* (`evalkit.tracks.mark_place`): the drawing is correlated with the frame at many sizes
and laid onto the best places exactly; where that does not show the mark, its words are looked for (`evalkit.tracks.mark_words`) and it is
laid onto them. *Compare* (`evalkit.tracks.mark_evidence`): shape, worst part, mirror image, colours
and CLIP embedding. The evidence is joined and calibrated by `evalkit.metrics.brand`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics import brand
from evalkit.metrics.brand import Calibration
from evalkit.tracks.clip import ClipModel
from evalkit.tracks.lettering import Reader
from evalkit.tracks.mark_calibration import VERSION, calibrate
from evalkit.tracks.mark_evidence import Gathered, MarkSeeker
from evalkit.tracks.mark_place import bound, corners_of, overlap
from evalkit.tracks.mark_words import WordSeeker, Written

MOST_WRITTEN = 4
"""Places in a frame that say the brand's words and are looked at."""

__all__ = ["VERSION", "Candidate", "MarkFinder", "calibrate", "overlap"]


@dataclass(frozen=True)
class Candidate:
    """Where the mark may be, and what speaks for it.

    Parameters
    ----------
    box
        x0, y0, x1, y1 in pixels of the frame, around the drawing without margin.
    fidelity
        0–1, higher is better: 0.85 is the right mark shown cleanly, 0.5 and less another, a damaged or none.
    cosine
        Of the embeddings, raw, -1 to 1.
    score
        Log odds before calibration.
    shape, ink, mirror, color
        The links of `evalkit.metrics.brand.EVIDENCE`; 0 where the brand's words are read and nothing was laid.
    corners
        Of the drawing as laid onto the frame, x and y, clockwise from the upper left.
    version
        Which of the logos is nearest in colour.
    """

    box: tuple[float, float, float, float]
    fidelity: float
    cosine: float
    score: float
    shape: float
    ink: float
    mirror: float
    color: float
    corners: tuple[tuple[float, float], ...]
    version: int


class MarkFinder:
    """Finds one brand's mark in frames.

    Parameters
    ----------
    logos
        The versions of the mark, RGBA, (height, width, 4).
    model
        Embeds what was found.
    calibration
        Made by `calibrate` from the same logos and model.
    load_reader
        Loads what reads text, when it is first needed: places are proposed where the mark's words are written, too.
    words
        What is written in the mark, beside what can be read in the logos; and the brand's name.
    """

    def __init__(
        self,
        logos: Sequence[NDArray[np.uint8]],
        model: ClipModel,
        calibration: Calibration,
        *,
        load_reader: Callable[[], Reader] | None = None,
        words: Sequence[str] = (),
    ) -> None:
        self.calibration = calibration
        self._seeker = MarkSeeker(logos, model)
        self._logos, self._given_words = logos, words
        self._load_reader = load_reader
        self._written: list[Written] | None = None

    def find(self, frame: NDArray[np.uint8], n_best: int = 5, *, read: bool = True) -> list[Candidate]:
        """Find places in a frame that may show the mark.

        Parameters
        ----------
        frame
            RGB, (height, width, 3).
        n_best
            At most that many.
        read
            False takes what was read last for what is written in this frame, too.

        Returns
        -------
        list of Candidate
            Best first; no two overlap much. Empty where nothing resembles the drawing at all.
        """
        candidates = self._judge(self._seeker.gather(frame))
        best = max((one.fidelity for one in candidates), default=0.0)
        if best < brand.PASS and self._words is not None:  # a mark that is seen needs no reading
            if read or self._written is None:
                self._written = self._words.find(frame)[:MOST_WRITTEN]
            candidates += self._judge_written(frame, self._written)
        return _apart(candidates, n_best)

    @cached_property
    def _words(self) -> WordSeeker | None:
        """What looks for the brand's words: made when first needed, and only where the brand has some."""
        if self._load_reader is None:
            return None
        shapes = self._seeker.shapes
        own = [self._logos[shape.versions[0]] for shape in shapes]
        made = WordSeeker(self._load_reader(), self._given_words, own, [shape.drawing for shape in shapes])
        return made if made.words else None

    def _judge_written(self, frame: NDArray[np.uint8], written: list[Written]) -> list[Candidate]:
        """Judge the places where the brand's words are written."""
        laid = [place for one in written for place in one.laid]
        candidates = self._judge(self._seeker.gather_at(frame, laid))
        for one in written:
            x0, y0, x1, y1 = one.box
            fidelity = brand.NAMED * one.likeness
            candidates.append(
                Candidate(
                    box=one.box,
                    fidelity=fidelity,
                    cosine=self._seeker.cosine_of(frame, one.box),
                    score=self.calibration.score(fidelity),
                    shape=0.0,
                    ink=0.0,
                    mirror=0.0,
                    color=0.0,
                    corners=((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
                    version=self._seeker.shapes[0].versions[0],
                )
            )
        return candidates

    def _judge(self, gathered: Gathered) -> list[Candidate]:
        if not len(gathered.cosines):
            return []
        cosine = brand.standardise(
            gathered.cosines, self.calibration.cosine_absent, self.calibration.cosine_present
        )
        scores = brand.chain_score(np.column_stack([gathered.links, cosine]), brand.CHAIN)
        fidelities = self.calibration.fidelity(scores)
        candidates = []
        for index in range(len(scores)):
            corners = corners_of(gathered.drawings[index], gathered.to_frame[index])
            shape, ink, mirror, color = (float(link) for link in gathered.links[index])
            candidates.append(
                Candidate(
                    box=bound(corners),
                    fidelity=float(fidelities[index]),
                    cosine=float(gathered.cosines[index]),
                    score=float(scores[index]),
                    shape=shape,
                    ink=ink,
                    mirror=mirror,
                    color=color,
                    corners=tuple((float(x), float(y)) for x, y in corners),
                    version=gathered.versions[index],
                )
            )
        return candidates


def _apart(candidates: list[Candidate], n_best: int) -> list[Candidate]:
    """Return the best candidates, of those that overlap the better one."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: -one.score):
        if all(overlap(candidate.box, other.box) <= 0.3 for other in kept):
            kept.append(candidate)
        if len(kept) == n_best:
            break
    return kept
