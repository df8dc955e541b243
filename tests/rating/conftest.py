"""A small run, blind copies that nobody looks at, and a clock that is set."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from evalkit.rating import clips
from evalkit.rating.desk import Desk
from evalkit.testing.runs import write_grid

CLIP_S = 2.0


class MadeUpClip(NamedTuple):
    """What a blind copy would say of itself."""

    duration_s: float = CLIP_S
    fps: float = 25.0
    width: int = 384
    height: int = 256
    has_sound: bool = True


@dataclass
class Clock:
    """Seconds since 1970, as the test says."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def copies(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Have copies made of bytes alone, and return the list of the videos that were copied."""
    made: list[Path] = []

    def make_copy(video: Path, folder: Path, *, is_broken: bool, seed: int) -> tuple[str, MadeUpClip]:
        del seed
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{secrets.token_hex(12)}.mp4"
        (folder / name).write_bytes(b"broken" if is_broken else video.read_bytes())
        made.append(video)
        return name, MadeUpClip()

    monkeypatch.setattr(clips, "make_copy", make_copy)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run of three configurations, each on four inputs."""
    video = tmp_path / "video.mp4"
    video.write_bytes(bytes(64))
    return write_grid(tmp_path / "run", sizes=("384*256",), video=video)


@pytest.fixture
def desk(folder: Path, clock: Clock) -> Desk:
    return Desk.open(folder, clock=clock)
