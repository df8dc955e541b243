"""Programs with known loads, on the clock that all processes share; and a stand-in for NVIDIA's library."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

def wait():
    """Stay as it is until `go_on` is called."""
    sys.stdin.readline()
'''

Start = Callable[..., subprocess.Popen[str]]
Tell = Callable[..., None]
FAKE_NVML = Path(__file__).parent / "fake_nvml"


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a program go on that waits."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


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
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.kill()
        process.communicate()


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Give a function that says what the GPUs are from now on, in this process and in those it starts."""
    state = tmp_path / "gpus.json"
    monkeypatch.setenv("FAKE_NVML", str(state))
    monkeypatch.setenv("PYTHONPATH", str(FAKE_NVML))
    spec = importlib.util.spec_from_file_location("pynvml", FAKE_NVML / "pynvml.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "pynvml", module)

    def say(*gpus: dict[str, Any], **facts: Any) -> None:
        draft = state.with_suffix(".draft")
        draft.write_text(json.dumps({"gpus": [{"total_mib": 1000, **gpu} for gpu in gpus], **facts}))
        draft.replace(state)

    return say
