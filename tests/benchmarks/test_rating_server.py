"""Two hundred raters at once against the real server, on the cores that there are. Run with ``make bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.opinions import Truth
from evalkit.testing.raters import Diary, rate_all
from evalkit.testing.rating_server import RatingServer
from evalkit.testing.runs import write_grid

N_RATERS = 200
CLIP_S = 4.0
THINK_S = 2.0
"""Mean; the product itself reckons with 3 s a question, and there are four."""


def test_two_hundred_at_once(benchmark: Any, tmp_path: Path) -> None:
    """Print what requests took apart from video bytes; wanted: 95 % within 200 ms, and no answer lost."""
    frames = moving_pattern(CLIP_S, width=192, height=144)
    clip = write_clip(tmp_path / "clip.mp4", frames, sound=tone(CLIP_S))
    run = write_grid(tmp_path / "run", sizes=("688*368",), video=clip)
    diaries: list[Diary] = []
    with RatingServer(run, ["--simulated", "--raters", str(N_RATERS)]) as server:
        links = server.links
        assert len(links) == N_RATERS
        benchmark.pedantic(
            lambda: diaries.extend(rate_all(links, Truth(3.5), OpenedKey(run), think_s=THINK_S)),
            rounds=1,
            iterations=1,
        )
    stored = OpenedKey(run).answers()
    assert stored == {nonce: given for diary in diaries for nonce, given in diary.acknowledged.items()}
    took_s = [request.took_s for diary in diaries for request in diary.requests if not request.is_video]
    shares = dict(zip(("p50", "p95", "p99", "max"), np.percentile(took_s, (50, 95, 99, 100)), strict=True))
    benchmark.extra_info.update({f"{name}_ms": 1000 * float(value) for name, value in shares.items()})
    said = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in shares.items())
    print(f"{len(stored)} answers, {len(took_s)} requests: {said}")  # noqa: T201 - a figure
