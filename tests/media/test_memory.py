"""Memory is a few chunks plus small state, however long the clip."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evalkit.testing.media import moving_pattern, tone, write_clip

if TYPE_CHECKING:
    from pathlib import Path

PEAK = """
import resource, sys
from evalkit.media import probe
from evalkit.runner import make_tracks
from evalkit.tracks.cache import TrackCache
from pathlib import Path

tracks, _ = make_tracks(probe(sys.argv[1]), ["picture", "loudness", "speech"], TrackCache(Path(sys.argv[2])))
print(len(tracks["picture"]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mib(path: Path, cache: Path) -> tuple[int, float]:
    """Return the number of frames and the peak memory of making every track but those of models."""
    said = subprocess.run(
        [sys.executable, "-c", PEAK, path, cache], capture_output=True, text=True, check=True
    ).stdout.split()
    return int(said[0]), float(said[1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_half_an_hour_takes_hardly_more_memory_than_a_minute(tmp_path: Path) -> None:
    loop = list(moving_pattern(4, width=64, height=48))
    peaks = []
    for minutes in (1, 30):
        frames = itertools.islice(itertools.cycle(loop), minutes * 60 * 25)
        sound = np.tile(tone(60, rate_hz=16_000).astype(np.float32), minutes)
        path = write_clip(tmp_path / f"{minutes}.mp4", frames, sound=sound, rate_hz=16_000)
        n_frames, peak = peak_mib(path, tmp_path / "cache")
        assert n_frames == minutes * 60 * 25
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 150, peaks
    print(f"{peaks[0]:.0f} MiB for a minute, {peaks[1]:.0f} MiB for half an hour")  # noqa: T201 - with -rP
