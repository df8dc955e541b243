"""What all trackers share."""

from __future__ import annotations

import subprocess
import sys

BOTH_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from evalkit.tracks import make_frame_tracker
from evalkit.types import FrameChunk

chunk = FrameChunk(0, np.array([0.0]), [np.zeros((64, 64, 3), np.uint8)])
trackers = [make_frame_tracker(name) for name in ("face", "pose", "picture")]
with ThreadPoolExecutor(3) as threads:
    for future in [threads.submit(tracker.update, chunk) for tracker in trackers]:
        future.result()
"""


def test_models_load_in_threads_beside_each_other() -> None:
    for _ in range(3):  # a race is not lost every time
        done = subprocess.run(
            [sys.executable, "-c", BOTH_AT_ONCE], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
