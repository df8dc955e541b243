"""A generator that is quick and misbehaves on demand: a program driven by the number of steps."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import os, shutil, signal, subprocess, sys, time
out, steps, video = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print("clip", flush=True)
match steps:
    case 11: sys.exit(3)
    case 12: time.sleep(600)
    case 13: print("torch.OutOfMemoryError: CUDA out of memory", flush=True); sys.exit(1)
    case 14: open(out, "wb").write(b"no video"); sys.exit(0)
    case 15: sys.exit(0)
    case 16: os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)
    case 17:
        flag = video + ".tried"
        if not os.path.exists(flag):
            open(flag, "w").close()
            sys.exit(3)
with open(video + ".log", "a") as log:
    log.write(f"{steps}\\n")
shutil.copyfile(video, out)
"""


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a video of one second with sound."""
    import numpy as np

    from evalkit.testing.media import write_clip

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    frames = (np.full((64, 64, 3), index * 8, np.uint8) for index in range(25))
    sound = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)
    write_clip(path, frames, fps=25, sound=sound.astype(np.float32), rate_hz=16000)
    return path


@pytest.fixture
def stand_in(tmp_path: Path, clip: Path) -> dict[str, Any]:
    """Give plain data of a sweep of that generator, in this process, without evaluators."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    video = tmp_path / "made.mp4"
    video.write_bytes(clip.read_bytes())
    argv = [sys.executable, "-S", "-E", str(program), "{out}", "{sample_steps}", str(video)]
    return {
        "generator": {"name": "command", "settings": {"argv": argv, "events": {"clip": "^clip"}}},
        "grid": {"sample_steps": [2, 3, 4]},
        "evaluators": [],
        "execution": {"executor": "in_process"},
    }


@pytest.fixture
def made(tmp_path: Path) -> Callable[[], list[int]]:
    """Give a function that lists the steps of the videos that the program finished, in order."""

    def read() -> list[int]:
        log = tmp_path / "made.mp4.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    return read
