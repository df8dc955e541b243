"""What a frame of pose costs, in processor time, and how much of it is the network. Run with ``make bench``.

Processor time, because another program on the machine does not move it. MediaPipe's own graph stands beside it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evalkit.tracks.pose import RUNTIMES, PoseTracker
from evalkit.types import FrameChunk

N_FRAMES = 50


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Return a person down to the waist, 688x368, walking by 4 pixels a frame."""
    import cv2
    from skimage.data import astronaut

    small = cv2.resize(astronaut(), (688, 368), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(np.roll(small, 4 * shift, axis=1)) for shift in range(N_FRAMES)]


def follow(tracker: PoseTracker, frames: list[np.ndarray]) -> None:
    tracker.update(FrameChunk(0, np.arange(len(frames)) / 25.0, frames))


def best_ms(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the least processor time of this process, in milliseconds a frame."""
    times_s = []
    for _ in range(rounds):
        start_s = time.process_time()
        work()
        times_s.append(time.process_time() - start_s)
    return 1000 * min(times_s) / N_FRAMES


@pytest.mark.filterwarnings("ignore:.*GetPrototype:UserWarning")
def test_a_frame_against_mediapipe(benchmark, frames: list[np.ndarray]) -> None:
    """Half of MediaPipe's, and at least four fifths of it inside the network."""
    trackers = {runtime: PoseTracker(runtime) for runtime in RUNTIMES}
    for tracker in trackers.values():
        follow(tracker, frames[:2])
    landmarker = trackers["openvino"]._model._landmarker
    picture = np.zeros((256, 256, 3), np.uint8)
    benchmark.pedantic(lambda: follow(trackers["openvino"], frames), rounds=3, iterations=1)
    benchmark.extra_info |= {
        f"{runtime}, ms a frame": round(best_ms(lambda tracker=tracker: follow(tracker, frames)), 2)
        for runtime, tracker in trackers.items()
    }
    benchmark.extra_info["network alone, ms"] = round(
        best_ms(lambda: [landmarker(picture) for _ in frames]), 2
    )
    sys.stderr.write(f"\n{benchmark.extra_info}\n")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads(benchmark, frames: list[np.ndarray], n_threads: int) -> None:
    """By the clock: two threads take little more than half the time on two idle cores."""
    from evalkit.tracks.blazepose import BlazePose

    pose = BlazePose(n_threads)
    pose.find(frames[0])
    benchmark.pedantic(lambda: [pose.find(frame) for frame in frames], rounds=5, iterations=1)


@pytest.mark.parametrize("compiled", [False, True], ids=["first ever", "from the cache"])
def test_loading_in_a_new_process(benchmark, tmp_path: Path, compiled: bool) -> None:
    """Processor time from nothing to the first landmarks, less what numpy and OpenCV need."""
    code = """
import time, cv2, numpy as np
start_s = time.process_time()
from evalkit.tracks.blazepose import BlazePose
BlazePose(1).find(np.zeros((256, 256, 3), np.uint8))
print(time.process_time() - start_s)
"""
    environment = {"EVALKIT_CACHE_DIR": str(tmp_path), "PATH": ""}
    run = [sys.executable, "-c", code]

    def once() -> float:
        if not compiled:
            for entry in (tmp_path / "networks").glob("*"):
                entry.unlink()
        return float(subprocess.run(run, env=environment, capture_output=True, check=True).stdout)

    once()
    times_s: list[float] = []
    benchmark.pedantic(lambda: times_s.append(once()), rounds=3, iterations=1)
    benchmark.extra_info["processor time, s"] = round(min(times_s), 3)
    sys.stderr.write(f"\n{benchmark.extra_info}\n")
