"""A generator that writes a finished video of half a kilobyte, and an evaluator that measures nothing."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evalkit import Evaluator, Measured, Measurement, Metric
from pipeline.events import SAVED, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.result import GenerationResult
from pipeline.video import new_video

if TYPE_CHECKING:
    from pipeline.request import GenerationRequest

ENTRY_POINTS = """[evalkit.generators]
empty = tests.empty_grid.plug_in:Empty
[evalkit.evaluators]
nothing = tests.empty_grid.plug_in:Nothing
"""


class Empty(Generator):
    """Writes a clip that it is given, whatever the request says."""

    name = "empty"
    version = "1"

    def __init__(self, /, clip: str) -> None:
        self._clip = Path(clip)

    def describe(self) -> Description:
        """Describe it."""
        return Description(
            name=self.name,
            version=self.version,
            summary="writes the same video every time",
            parameters={"sample_steps": "is noted", "sample_guide_scale": "is noted"},
            options={},
            settings={},
        )

    def check(self, request: GenerationRequest) -> None:
        """Refuse nothing."""
        del request

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Say what is done."""
        del request, out_path
        return Plan(steps=("writes a video",))

    def load(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    @cached_property
    def _content(self) -> bytes:
        return self._clip.read_bytes()

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Write the video, which is a frame of 16 by 16 pixels."""
        timeline = Timeline(on_event)
        with new_video(out_path) as part:
            part.write_bytes(self._content)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            width=16,
            height=16,
            fps=25.0,
            n_frames=1,
            duration_s=0.04,
            audio_duration_s=None,
            events=timeline.events,
        )


class Nothing(Evaluator):
    """Measures a constant, without a look at the video."""

    name = "nothing"
    version = 1
    metrics: ClassVar = (Metric("nothing.one", "", "band", "the number one", (0, None)),)
    tracks = ()

    def measure(self, facts: Any, tracks: Any) -> Measured:
        """Give the constant."""
        del facts, tracks
        return Measured((Measurement(self.metrics[0], 1.0, n=1, coverage=1.0),))
