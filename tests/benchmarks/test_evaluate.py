"""How long clips take, and how much of that is networks and decoder. Run with ``make bench``.

Every figure reaches the terminal as a warning. Clocks lie on a machine that does something else meanwhile: compare ratios
of one run.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
import warnings
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from evalkit.evaluators.load import load_evaluators
from evalkit.measuring import pool, runner
from evalkit.media import Reader, probe
from evalkit.testing.media import write_clip
from evalkit.testing.talking_face import SENTENCES, write_talking_face
from evalkit.tracks.cache import TrackCache
from evalkit.types import AudioChunk, FrameChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("default")
two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of about ten seconds, 688x368 at 25 fps."""
    path = tmp_path_factory.mktemp("bench") / "clip.mp4"
    return write_talking_face(path, text=" ".join(SENTENCES[:2]), width=688, height=368).path


@pytest.fixture(scope="module")
def small_face(ten_seconds: Path) -> Path:
    """Return the same clip with the picture at a third of its size in a corner: the face is found by looking closer."""
    frames, sound = [], []
    for chunk in Reader(probe(str(ten_seconds)), sound_rates_hz=[16_000]):
        if isinstance(chunk, FrameChunk):
            frames += chunk.frames
        elif isinstance(chunk, AudioChunk):
            sound.append(chunk.samples)
    pictures = []
    for frame in frames:
        picture = np.full_like(frame, 90)
        picture[200:323, 400:629] = cv2.resize(frame, (229, 123), interpolation=cv2.INTER_AREA)
        pictures.append(picture)
    return write_clip(
        ten_seconds.with_name("small.mp4"), pictures, fps=25, sound=np.concatenate(sound), rate_hz=16_000
    )


def _measure(clip: Path, folder: Path, evaluators: list) -> None:
    runner.measure(str(clip), evaluators, cache=TrackCache(folder))


def _time(benchmark, clip: Path, folder: Path, names: list[str] | None) -> None:
    evaluators = load_evaluators(names)
    _measure(clip, folder / "warm", evaluators)  # start-up apart
    folders = itertools.count()
    spent_s = []

    def measure() -> None:
        start_s = time.process_time()
        _measure(clip, folder / str(next(folders)), evaluators)
        spent_s.append(time.process_time() - start_s)

    benchmark.pedantic(measure, rounds=3, iterations=1)
    benchmark.extra_info["processor_s"] = round(min(spent_s), 2)
    best_s = f"{benchmark.stats.stats.min:.2f}"
    warnings.warn(f"{clip.name}: {best_s} s by the clock, {min(spent_s):.2f} s of processors", stacklevel=2)


def test_everything_on_ten_seconds(benchmark, ten_seconds: Path, tmp_path: Path) -> None:
    """At most 2.5 s on two quiet cores."""
    _time(benchmark, ten_seconds, tmp_path, None)


def test_lip_sync_alone_on_ten_seconds(benchmark, ten_seconds: Path, tmp_path: Path) -> None:
    """At most 1.2 s on two quiet cores."""
    _time(benchmark, ten_seconds, tmp_path, ["lip_sync"])


def test_lip_sync_of_a_small_face(benchmark, small_face: Path, tmp_path: Path) -> None:
    """At most 1.2 s on two quiet cores."""
    _time(benchmark, small_face, tmp_path, ["lip_sync"])


class _Watch:
    """Adds up the processor time of this process that goes by inside of calls."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def around(self, call):
        def timed(*arguments, **options):
            start_s = time.process_time()
            try:
                return call(*arguments, **options)
            finally:
                self.spent_s += time.process_time() - start_s

        return timed

    def around_iterator(self, make):
        """Time what happens inside an iterator, not between its items."""

        def timed(*arguments, **options):
            step = self.around(make(*arguments, **options).__next__)
            while True:
                try:
                    item = step()
                except StopIteration:
                    return
                yield item

        return timed


class _InTurn:
    """An executor that works at once, in the caller's thread."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def submit(self, call, *arguments) -> Future:
        done: Future = Future()
        done.set_result(call(*arguments))
        return done

    def shutdown(self, **_: bool) -> None:
        """Have nothing to end."""


@pytest.fixture
def one_core() -> Iterator[None]:
    """Bind this thread to a core: libraries that count cores start no threads then, which would work on between calls."""
    cores, n_threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(cores)})
    cv2.setNumThreads(1)
    yield
    os.sched_setaffinity(0, cores)
    cv2.setNumThreads(n_threads)


@pytest.mark.usefixtures("one_core")
def test_share_inside_networks_and_decoder(
    benchmark, ten_seconds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 75 % of the processor time of a clip.

    The trackers work in turn here, on one core, so that processor time which goes by in a call is that of the call. Inside are the graph of the face mesh, the inference of the pose networks, that of the lip
    predictor, and demultiplexing and decoding, without the conversion to RGB.
    """
    from evalkit.models.lip_sync import predictor
    from evalkit.tracks import face
    from evalkit.tracks.network import Network

    evaluators = load_evaluators()
    _measure(ten_seconds, tmp_path / "warm", evaluators)
    monkeypatch.setattr(runner, "ThreadPoolExecutor", _InTurn)
    watches = {name: _Watch() for name in ("face mesh", "pose", "lip predictor", "decoder")}
    monkeypatch.setattr(face, "find_face", watches["face mesh"].around(face.find_face))
    monkeypatch.setattr(Network, "__call__", watches["pose"].around(Network.__call__))
    monkeypatch.setattr(predictor, "_run", watches["lip predictor"].around(predictor._run))
    monkeypatch.setattr(Reader, "_decode", watches["decoder"].around_iterator(Reader._decode))
    whole = _Watch()
    timed = whole.around(lambda: _measure(ten_seconds, tmp_path / "timed", evaluators))
    benchmark.pedantic(timed, rounds=1, iterations=1)
    shares = {name: round(watch.spent_s / whole.spent_s, 3) for name, watch in watches.items()}
    benchmark.extra_info |= shares
    warnings.warn(f"share of {whole.spent_s:.2f} s: {sum(shares.values()):.3f} = {shares}", stacklevel=1)


def _with_contents_of_their_own(clip: Path, folder: Path, n: int) -> list[pool.ClipTask]:
    """Copy a clip with a few bytes more that belong to nothing: no track of one is that of another."""
    tasks = []
    for number in range(n):
        path = folder / f"{number}.mp4"
        path.write_bytes(clip.read_bytes() + struct.pack(">I4sI", 12, b"free", number))
        tasks.append(pool.ClipTask(str(path)))
    return tasks


@two_cores
@pytest.mark.timeout(600)
def test_twenty_clips_with_two_workers(
    benchmark, ten_seconds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 1.9 times the throughput of one, start-up included."""
    tasks = _with_contents_of_their_own(ten_seconds, tmp_path, 20)
    evaluators = load_evaluators()

    def measure(jobs: int) -> float:
        monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / str(jobs)))
        start_s = time.perf_counter()
        results = pool.measure_clips(tasks, evaluators, jobs=jobs, isolate=True)
        assert all(result.error is None for result in results)
        return time.perf_counter() - start_s

    one_s = measure(1)
    two_s = benchmark.pedantic(lambda: measure(2), rounds=1, iterations=1)
    benchmark.extra_info |= {"one worker": round(one_s, 1), "ratio": round(one_s / two_s, 2)}
    warnings.warn(
        f"20 clips: {one_s:.1f} s with one worker, {two_s:.1f} s with two: {one_s / two_s:.2f}", stacklevel=1
    )
