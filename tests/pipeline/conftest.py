"""Small real media files, made here."""

from __future__ import annotations

import sys
import textwrap
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_wav(path: Path, samples: NDArray[np.floating], rate_hz: int = 16000) -> Path:
    """Write samples in [-1, 1], shape (n,) or (n, channels), without the code under test."""
    pcm = np.round(np.asarray(samples) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.tobytes())
    return path


def tone(duration_s: float, rate_hz: int = 16000, frequency_hz: float = 440.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def write_video(
    path: Path,
    *,
    n_frames: int = 30,
    size: tuple[int, int] = (64, 64),
    fps: int = 25,
    sound: bool = True,
    codec: str = "mpeg4",
) -> Path:
    """Write a moving gradient with, if wanted, a tone of the same length."""
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=fps)
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index in range(n_frames):
            image = np.full((size[1], size[0], 3), (index * 8) % 256, np.uint8)
            image[:, : 1 + index % size[0]] = 200
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if track is not None:
            samples = tone(n_frames / fps).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 16000
            frame.pts = 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished video: 30 frames of 64*64 at 25 fps, with sound."""
    return write_video(tmp_path_factory.mktemp("media") / "finished.mp4")


@pytest.fixture(scope="session")
def silent_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished video without a sound stream."""
    return write_video(tmp_path_factory.mktemp("media") / "silent.mp4", sound=False)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a sound file of two seconds."""
    return write_wav(tmp_path_factory.mktemp("media") / "spoken.wav", tone(2.0))


Program = Callable[[str], list[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Give a function that makes a stand-in program of Python lines and returns how to call it."""

    def make(body: str) -> list[str]:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        path = folder / f"program_{len(list(folder.iterdir()))}.py"
        path.write_text("import os, signal, subprocess, sys, time\n" + textwrap.dedent(body), "utf-8")
        return [sys.executable, "-S", "-E", str(path)]

    return make
