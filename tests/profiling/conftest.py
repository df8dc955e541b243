"""Programs with known loads, which write down what they do on the clock that all processes share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

LOADS = '''
import mmap, os, signal, subprocess, sys, time

def hold(mib):
    """Take memory and touch every page."""
    block = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, mib << 20, mmap.PAGESIZE):
        block[start] = 1
    return block

def in_child(code):
    """Run code in a process of its own and wait for it."""
    subprocess.run([sys.executable, "-c", "from loads import *\\n" + code], check=True)

def say(*words):
    print(*words, flush=True)
'''

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts Python code with `LOADS` in front; all are ended afterwards."""
    (tmp_path / "loads.py").write_text(LOADS)
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from loads import *\n{code}", *arguments],
            cwd=tmp_path,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()
