"""How long a command takes that finds everything done: from the shell's line to its end. Run with ``make bench``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.testing.runs import write_grid
from evalkit.testing.talking_face import SENTENCES, write_talking_face

EVALKIT = Path(sys.executable).with_name("evalkit")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment with a cache of its own."""
    return {**os.environ, "EVALKIT_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


def _time(benchmark, environment: dict[str, str], *arguments: str, rounds: int = 5) -> None:
    def call() -> None:
        done = subprocess.run(
            [EVALKIT, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode in {0, 1}, done.stderr

    call()
    benchmark.pedantic(call, rounds=rounds, iterations=1)


def test_help(benchmark, cache: dict[str, str]) -> None:
    """At most 0.2 s."""
    _time(benchmark, cache, "--help")


def test_list(benchmark, cache: dict[str, str]) -> None:
    """Every plug-in, and whether it can be used."""
    _time(benchmark, cache, "list")


def test_a_cached_clip(benchmark, cache: dict[str, str], tmp_path: Path) -> None:
    """At most 1.0 s on two quiet cores."""
    clip = tmp_path / "clip.mp4"
    write_talking_face(clip, text=" ".join(SENTENCES[:2]), width=688, height=368)
    _time(benchmark, cache, "evaluate", str(clip))


@pytest.mark.parametrize("command", ["runs", "report", "compare"])
def test_a_small_run(benchmark, cache: dict[str, str], command: str, tmp_path: Path) -> None:
    """What is not the run's size is start-up."""
    folder = write_grid(tmp_path / "runs" / "grid")
    given = {"runs": [folder.parent], "report": [folder], "compare": [folder, folder]}[command]
    _time(benchmark, cache, command, *map(str, given), rounds=3)
