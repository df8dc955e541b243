"""Memory is a few chunks and small tracks, however long the clip. Run with ``make bench`` (ten minutes)."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evalkit.testing.media import write_clip
from evalkit.testing.speech import speak
from evalkit.testing.talking_face import SENTENCES, opening_of, talking_frames

_PROGRAM = """
import resource, sys
from evalkit.evaluators.load import load_evaluators
from evalkit.measuring import runner
result = runner.measure(sys.argv[1], load_evaluators())
assert result["lip_sync.error"].value is not None, result["lip_sync.error"].reason
assert result["technical.face_coverage"].value == 1.0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _clip(path: Path, minutes: float) -> Path:
    """Write a portrait that says the same again and again."""
    fps = 25
    samples, rate_hz = speak(SENTENCES[0])
    times_s = np.arange(int(len(samples) / rate_hz * fps)) / fps
    once = list(talking_frames(opening_of(samples, rate_hz, times_s), width=192, height=192))
    n_frames = int(minutes * 60 * fps)
    samples = samples[: int(len(once) / fps * rate_hz)]
    sound = np.resize(samples, int(n_frames / fps * rate_hz))
    return write_clip(
        path, itertools.islice(itertools.cycle(once), n_frames), fps=fps, sound=sound, rate_hz=rate_hz
    )


def _peak_mib(clip: Path) -> float:
    command = [sys.executable, "-c", _PROGRAM, str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@pytest.mark.timeout(3600)
def test_thirty_minutes_in_the_memory_of_one(
    benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peaks within 100 MB of each other."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))
    short_mib = _peak_mib(_clip(tmp_path / "1.mp4", 1))
    clip = _clip(tmp_path / "30.mp4", 30)
    long_mib = benchmark.pedantic(lambda: _peak_mib(clip), rounds=1, iterations=1)
    benchmark.extra_info |= {"1 min": round(short_mib), "30 min": round(long_mib)}
    assert (long_mib - short_mib) * 2**20 < 100e6
