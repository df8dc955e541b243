"""What all trackers share."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from evalkit.tracks.base import TrackBuilder

BOTH_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from evalkit.tracks import make_tracker
from evalkit.types import FrameChunk

chunk = FrameChunk(0, np.array([0.0]), [np.zeros((64, 64, 3), np.uint8)])
trackers = [make_tracker(name) for name in ("face", "pose", "picture")]
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


@pytest.mark.parametrize("n_rows", [0, 1, 1023, 1024, 1025, 5000])
def test_rows_come_back_as_they_were_added(n_rows: int) -> None:
    rows = TrackBuilder("counts", ("index", "opposite"))
    for index in range(n_rows):
        rows.append(index / 25, None if index % 3 == 1 else np.array([index, -index], np.float32))
    track = rows.track({"kind": "test"})
    index = np.arange(n_rows)
    np.testing.assert_array_equal(track.times_s, index / 25)
    np.testing.assert_array_equal(track.valid, index % 3 != 1)
    np.testing.assert_array_equal(track["opposite"][track.valid], -index[index % 3 != 1])
    assert np.isnan(track.values[~track.valid]).all()
    assert track.facts == {"kind": "test"}
    assert len(rows.track()) == 0


def test_rows_take_little_more_memory_than_their_numbers() -> None:
    rows = TrackBuilder("many", tuple("abcdefghij"))
    row = np.zeros(10, np.float32)
    tracemalloc.start()
    for index in range(20_000):
        rows.append(float(index), row.copy())
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 1.5 * 20_000 * (10 * 4 + 8)
