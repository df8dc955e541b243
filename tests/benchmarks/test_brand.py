"""What a brand costs: once when it is new, and on ten seconds of video. Run with ``make bench``.

Every figure reaches the terminal as a warning. Clocks lie on a machine that does something else meanwhile: compare ratios
of one run.
"""

from __future__ import annotations

import itertools
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from evalkit.evaluators.brand import Brand
from evalkit.evaluators.load import load_evaluators
from evalkit.measuring import runner
from evalkit.media import Reader, probe
from evalkit.testing.media import write_clip
from evalkit.testing.talking_face import SENTENCES, write_talking_face
from evalkit.tracks.cache import TrackCache
from evalkit.types import FrameChunk

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "norrvik"
N_ROUNDS = 3

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return ten seconds of a talking face, 688x368 at 25 fps, with the example's mark beside it."""
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
    return write_clip(folder / "clip.mp4", frames[:250])


def _seconds(do: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that something takes, by the clock and of processors, in processes that it ends as well."""

    def processors_s() -> float:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(it.ru_utime + it.ru_stime for it in used)

    clock_s, work_s = time.perf_counter(), processors_s()
    do()
    return time.perf_counter() - clock_s, processors_s() - work_s


def _tell(what: str, best: tuple[float, float]) -> None:
    warnings.warn(f"{what}: {best[0]:.2f} s by the clock, {best[1]:.2f} s of processors", stacklevel=2)


def test_a_new_brand(benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 10 s on two quiet cores, with a process of its own and an empty cache."""
    taken = []

    def prepare() -> None:
        monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / str(len(taken))))
        brand = Brand(str(EXAMPLE / "brand.yaml"))
        taken.append(_seconds(lambda: brand.prepare(print)))
        assert brand.calibration_file.is_file()

    benchmark.pedantic(prepare, rounds=N_ROUNDS, iterations=1)
    _tell("a new brand", min(taken))


def test_a_brand_on_ten_seconds(
    benchmark, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 1 s more by the clock than the other evaluators take, beside them, on two quiet cores."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "calibration"))
    brand = str(EXAMPLE / "brand.yaml")
    both = [load_evaluators(None, {"brand": {"file": file}}) for file in (None, brand)]
    folders = itertools.count()
    taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}

    def measure() -> None:
        for evaluators in both:
            cache = TrackCache(tmp_path / str(next(folders)))
            found = _seconds(lambda e=evaluators, c=cache: runner.measure(str(clip), e, cache=c))
            taken[evaluators is both[1]].append(found)

    measure()  # models are loaded and the calibration is made
    taken = {False: [], True: []}
    benchmark.pedantic(measure, rounds=N_ROUNDS, iterations=1)
    without, with_brand = (np.min(taken[has_brand], axis=0) for has_brand in (False, True))
    _tell("a brand on ten seconds, beside everything else", tuple(with_brand - without))


def test_a_brand_from_a_cold_command(
    benchmark, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 1 s more by the clock than the same command without the brand, start-up included."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "calibration"))
    options = ["--brand", str(EXAMPLE / "brand.yaml")]
    load_evaluators(["brand"], {"brand": {"file": options[1]}})[0].prepare(print)
    taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}

    def command(extra: list[str]) -> None:
        shutil.rmtree(tmp_path / "calibration" / "tracks", ignore_errors=True)
        subprocess.run(
            [sys.executable, "-m", "evalkit", "evaluate", str(clip), *extra], check=True, capture_output=True
        )

    def both() -> None:
        for extra in ([], options):
            taken[bool(extra)].append(_seconds(lambda e=extra: command(e)))

    benchmark.pedantic(both, rounds=N_ROUNDS, iterations=1)
    without, with_brand = (np.min(taken[has_brand], axis=0) for has_brand in (False, True))
    _tell("a brand from a cold command", tuple(with_brand - without))
