"""How long a clip takes, and how much of that is the landmark models. Run with ``make bench``."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest

from evalkit.evaluators.load import load_evaluators
from evalkit.measuring import runner
from evalkit.testing.talking_face import SENTENCES, write_talking_face
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of about ten seconds, 688x368 at 25 fps."""
    path = tmp_path_factory.mktemp("bench") / "clip.mp4"
    return write_talking_face(path, text=" ".join(SENTENCES[:2]), width=688, height=368).path


class _Clock:
    """Adds up the time spent inside a model's ``process``."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def around(self, process):
        def timed(*arguments, **options):
            start_s = time.perf_counter()
            try:
                return process(*arguments, **options)
            finally:
                self.spent_s += time.perf_counter() - start_s

        return timed


def _measure(clip: Path, folder: Path, evaluators: list) -> None:
    runner.measure(str(clip), evaluators, cache=TrackCache(folder))


def test_everything_on_ten_seconds(benchmark, ten_seconds: Path, tmp_path: Path) -> None:
    """At most 5 s on two quiet cores."""
    evaluators = load_evaluators()
    _measure(ten_seconds, tmp_path / "warm", evaluators)  # start-up apart
    folders = iter(range(1000))
    benchmark.extra_info["n_frames"] = len(face_track(ten_seconds, tmp_path))
    benchmark.pedantic(
        lambda: _measure(ten_seconds, tmp_path / str(next(folders)), evaluators), rounds=3, iterations=1
    )


def test_lip_sync_alone_on_ten_seconds(benchmark, ten_seconds: Path, tmp_path: Path) -> None:
    """At least four times faster than the clip plays."""
    evaluators = load_evaluators(["lip_sync"])
    _measure(ten_seconds, tmp_path / "warm", evaluators)
    folders = iter(range(1000))
    benchmark.pedantic(
        lambda: _measure(ten_seconds, tmp_path / str(next(folders)), evaluators), rounds=3, iterations=1
    )


@pytest.mark.filterwarnings("default")  # the warning is how the figure reaches the terminal
def test_share_inside_the_landmark_models(
    benchmark, ten_seconds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of the two landmarkers, which run beside each other, takes at least 70 % of the whole."""
    from mediapipe.python.solutions import face_mesh
    from mediapipe.python.solutions import pose as pose_solution

    evaluators = load_evaluators()
    _measure(ten_seconds, tmp_path / "warm", evaluators)
    clocks = {face_mesh.FaceMesh: _Clock(), pose_solution.Pose: _Clock()}
    for model, clock in clocks.items():
        monkeypatch.setattr(model, "process", clock.around(model.process))
    start_s = time.perf_counter()
    benchmark.pedantic(lambda: _measure(ten_seconds, tmp_path / "timed", evaluators), rounds=1, iterations=1)
    whole_s = time.perf_counter() - start_s
    shares = {model.__name__: round(clock.spent_s / whole_s, 3) for model, clock in clocks.items()}
    benchmark.extra_info |= shares
    warnings.warn(f"share of the time inside the landmark models: {shares}", stacklevel=1)


def face_track(clip: Path, folder: Path):
    from evalkit.media import probe

    return runner.make_tracks(probe(str(clip)), {"face": make_tracker("face")}, TrackCache(folder / "warm"))[
        0
    ]["face"]
