"""An evaluator that reads from a video's file what a test wrote there: quality whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.evaluators.base import Evaluator, Measured
from evalkit.types import Measurement, Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.types import ClipFacts, Track

MARK = b"planted "
"""Stands at the end of a video's file, followed by the error that it has, as text."""


class Planted(Evaluator):
    """Measures the error that stands at the end of the file."""

    name = "planted"
    version = 1
    metrics = (Metric("planted.error", "1", "lower", "error that a test planted", (0.0, None)),)
    tracks = ()

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:  # noqa: ARG002
        """Read it."""
        error = float(Path(facts.path).read_bytes().rpartition(MARK)[2])
        return Measured((Measurement(self.metrics[0], error, n=1, coverage=1.0),))
