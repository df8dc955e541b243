"""A stand-in repository of Live Avatar, portraits of known sizes, and what it takes to run it without a GPU."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
import pytest

from pipeline.adapters.live_avatar.generator import LiveAvatar

STAND_IN = Path(__file__).parent / "stand_in"

Driver = Callable[..., LiveAvatar]


def write_portrait(path: Path, width: int, height: int) -> Path:
    """Write a picture of one face in its middle."""
    from PIL import Image
    from skimage import data

    side = min(width, height)
    face = Image.fromarray(data.astronaut()[:256, 96:352]).resize((side, side))
    picture = Image.new("RGB", (width, height), (200, 160, 140))
    picture.paste(face, ((width - side) // 2, (height - side) // 2))
    picture.save(path)
    return path


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """Give a portrait of the size of most of its examples."""
    return write_portrait(tmp_path / "portrait.png", 720, 400)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository of one's own, with small weights in place."""
    place = tmp_path / "LiveAvatar"
    shutil.copytree(STAND_IN, place, ignore=shutil.ignore_patterns("torch", "__pycache__"))
    (place / "ckpt" / "Wan2.2-S2V-14B").mkdir(parents=True)
    (place / "ckpt" / "Wan2.2-S2V-14B" / "diffusion_pytorch_model.safetensors").write_bytes(bytes(4096))
    (place / "ckpt" / "liveavatar.safetensors").write_bytes(bytes(4096))
    return place


def free_port() -> int:
    """Give a port that is free and stays so: below those that the system gives to whoever asks for any."""
    while True:
        port = SystemRandom().randrange(16000, 32000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port


@pytest.fixture
def driver(repository: Path, tmp_path: Path) -> Driver:
    """Give a function that sets the driver up on the stand-in; words say what goes wrong."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()

    def make(*faults: str, n_gpus: int = 1, **settings: Any) -> LiveAvatar:
        return LiveAvatar(
            **{
                "repository": str(repository),
                "python": sys.executable,
                "gpus": list(range(n_gpus)),
                "lora_path_dmd": "ckpt/liveavatar.safetensors",
                "master_port": free_port(),
                "stall_limit_s": 60.0,
                "environment": {
                    "PYTHONPATH": str(STAND_IN),
                    "STAND_IN": ",".join(faults),
                    "STAND_IN_MEETING": str(meeting),
                },
                **settings,
            }
        )

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Give the name of a video to be made, in a folder of its own."""
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder / "out.mp4"


def left_of(folder: Path) -> list[str]:
    """Name the processes that still run with a folder of this test in their arguments or variables."""
    found = []
    for process in psutil.process_iter():
        words: list[str] = []
        with contextlib.suppress(psutil.Error):
            words += process.cmdline()
        with contextlib.suppress(psutil.Error):
            words += process.environ().values()
        with contextlib.suppress(
            psutil.Error
        ):  # one that ends has nothing else any more, and still holds its ports
            words.append(process.cwd())
        with contextlib.suppress(psutil.Error):
            is_over = process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid()
            if not is_over and any(str(folder) in word for word in words):
                found.append(f"{process.pid} {process.name()}")
    return found
