"""What is tied to a process ends with it, whatever it dies of, and only then."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pipeline.tether import Tether
from tests.fixtures.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEEPER = """
import os, subprocess, sys, time
from pathlib import Path
from pipeline.tether import Tether
tether = Tether(Path(sys.argv[1]))
sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
program = subprocess.Popen(sleeper, env={**os.environ, **tether.environment}, start_new_session=True)
print(program.pid, flush=True)
time.sleep(600)
"""


def kill_it(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_it_with_its_children(pid: int) -> None:
    keeper = psutil.Process(pid)
    for process in [*keeper.children(recursive=True), keeper]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def kill_all_that_hold_its_token(pid: int) -> None:
    kill_it(pid)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("KEEPERS_TOKEN") == str(os.getpid()):
                process.kill()


@pytest.mark.parametrize("end", [kill_it, kill_it_with_its_children, kill_all_that_hold_its_token])
def test_it_ends_with_its_keeper(end: Callable[[int], None], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "video.mp4").write_bytes(b"x")
    words = [sys.executable, "-c", KEEPER, str(folder)]
    environment = {**os.environ, "KEEPERS_TOKEN": str(os.getpid())}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as keeper:
        assert keeper.stdout is not None
        program = int(keeper.stdout.readline())
        assert is_alive(program)
        assert folder.is_dir()
        end(keeper.pid)
    while is_alive(program) or folder.exists():
        time.sleep(0.02)


def test_letting_go_ends_nothing_and_leaves_no_watch(tmp_path: Path) -> None:
    tether = Tether(tmp_path)
    program = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)"],
        env={**os.environ, **tether.environment},
    )
    tether.release()
    tether.release()
    time.sleep(0.2)
    assert program.poll() is None
    assert tmp_path.is_dir()
    program.kill()
    program.wait()
    watches = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in (process.info["cmdline"] or [])
    ]
    assert watches == []
