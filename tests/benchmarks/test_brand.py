"""How long a brand takes on ten seconds of video, models and calibration apart. Run with ``make bench``."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from evalkit.evaluators.brand import Brand
from evalkit.media import Reader, probe
from evalkit.testing.media import write_clip
from evalkit.testing.talking_face import SENTENCES, write_talking_face
from evalkit.types import FrameChunk

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "norrvik"


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> list[FrameChunk]:
    """Return ten seconds of a talking face with the example's mark beside it, decoded."""
    folder = tmp_path_factory.mktemp("bench")
    face = write_talking_face(folder / "face.mp4", text=" ".join(SENTENCES[:2]), width=688, height=368).path
    mark = cv2.cvtColor(cv2.imread(str(EXAMPLE / "norrvik.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    mark = cv2.resize(mark, (72, 48), interpolation=cv2.INTER_AREA).astype(float)
    frames = []
    for chunk in Reader(probe(str(face))):
        assert isinstance(chunk, FrameChunk)
        for frame in chunk.frames:
            part = frame[20:68, 20:92]
            part[:] = np.round(part + (mark[..., :3] - part) * mark[..., 3:] / 255)
        frames += chunk.frames
    clip = write_clip(folder / "clip.mp4", frames[:250])
    return [chunk for chunk in Reader(probe(str(clip))) if isinstance(chunk, FrameChunk)]


def test_a_brand_on_ten_seconds(benchmark, chunks: list[FrameChunk]) -> None:
    """At most 1.5 s on two quiet cores."""
    brand = Brand(str(EXAMPLE / "brand.yaml"))
    finder = brand._make_finder()  # the model is loaded and the calibration made here

    def follow() -> None:
        tracker = brand._make_tracker()
        tracker._make_finder = lambda: finder
        for chunk in chunks:
            tracker.update(chunk)
        track = tracker.finish()
        assert track["place0_fidelity"].min() > 0.85

    begun_s = time.process_time()
    follow()
    benchmark.extra_info["processor_s"] = time.process_time() - begun_s
    benchmark.pedantic(follow, rounds=5, iterations=1)
