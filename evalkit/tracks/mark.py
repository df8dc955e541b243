"""Finds a brand's mark in a frame and says how much it is the right one, whole and in its colours.

Three steps. *Propose* and *register* (`evalkit.tracks.mark_place`): the drawing is correlated with the frame at many sizes
and laid onto the best places exactly. *Compare* (`evalkit.tracks.mark_evidence`): shape, worst part, mirror image, colours
and CLIP embedding. The evidence is joined and calibrated by `evalkit.metrics.brand`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics import brand
from evalkit.metrics.brand import Calibration
from evalkit.tracks.clip import ClipModel
from evalkit.tracks.mark_calibration import VERSION, calibrate
from evalkit.tracks.mark_evidence import MarkSeeker
from evalkit.tracks.mark_place import bound, corners_of, overlap

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
        The links of `evalkit.metrics.brand.EVIDENCE`.
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
    """

    def __init__(
        self, logos: Sequence[NDArray[np.uint8]], model: ClipModel, calibration: Calibration
    ) -> None:
        self.calibration = calibration
        self._seeker = MarkSeeker(logos, model)

    def find(self, frame: NDArray[np.uint8], n_best: int = 5) -> list[Candidate]:
        """Find places in a frame that may show the mark.

        Parameters
        ----------
        frame
            RGB, (height, width, 3).
        n_best
            At most that many.

        Returns
        -------
        list of Candidate
            Best first; no two overlap much. Empty where nothing resembles the drawing at all.
        """
        gathered = self._seeker.gather(frame)
        if not len(gathered.cosines):
            return []
        cosine = brand.standardise(
            gathered.cosines, self.calibration.cosine_absent, self.calibration.cosine_present
        )
        scores = brand.chain_score(np.column_stack([gathered.links, cosine]), brand.CHAIN)
        fidelities = self.calibration.fidelity(scores)
        candidates: list[Candidate] = []
        for index in np.argsort(-scores, kind="stable"):
            corners = corners_of(gathered.drawings[index], gathered.to_frame[index])
            box = bound(corners)
            if any(overlap(box, other.box) > 0.3 for other in candidates):
                continue
            shape, ink, mirror, color = (float(link) for link in gathered.links[index])
            candidates.append(
                Candidate(
                    box=box,
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
            if len(candidates) == n_best:
                break
        return candidates
