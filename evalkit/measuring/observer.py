"""Who looks on while a clip is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.evaluators.base import Evaluator, Measured
from evalkit.types import FrameChunk


class Observer:
    """Sees a clip being measured. Subclass it and fill what is of interest; each method does nothing by itself."""

    needs_frames = False
    """Whether `on_frames` has to be called: the picture is then decoded even if all tracks are known."""

    def on_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
        """See the next frames.

        Parameters
        ----------
        chunk : FrameChunk
        points : mapping of str to sequence
            By track, what its tracker found in each frame: points in pixels, shape (n_points, 2), or None.
        """

    def on_measured(self, evaluator: Evaluator, measured: Measured) -> None:
        """See what an evaluator found, with the details that are not kept."""
