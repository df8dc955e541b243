"""How far a run is, by who looks on: from names and times of files alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from evalkit.sweeps.progress import read_progress, writing_since

PLANNED = [f"t{number}" for number in range(10)]


def put_results(folder: Path, *times_s: float) -> None:
    for number, time_s in enumerate(times_s):
        place = folder / "videos" / f"t{number}"
        place.mkdir(parents=True)
        os.utime(place, (time_s, time_s))


def hold(folder: Path, pid: int, since_s: float) -> None:
    (folder / ".lock").write_text(str(pid), "ascii")
    os.utime(folder / ".lock", (since_s, since_s))


def test_results_are_counted_and_nothing_else(tmp_path: Path) -> None:
    put_results(tmp_path, 1, 2, 3)
    (tmp_path / "videos" / ".t9.part").mkdir()
    (tmp_path / "videos" / "of_an_earlier_grid").mkdir()
    found = read_progress(tmp_path, PLANNED)
    assert (found.n_done, found.n_planned, found.is_running, found.left_s) == (3, 10, False, None)


def test_the_pace_of_the_process_says_what_is_left(tmp_path: Path) -> None:
    since = psutil.Process().create_time() + 1
    put_results(tmp_path, since - 500, since - 400, since + 20, since + 40)
    hold(tmp_path, os.getpid(), since)
    found = read_progress(tmp_path, PLANNED, skipped=["t9"], now=since + 60)
    assert found.is_running
    assert (found.n_lately, found.lately_s) == (2, pytest.approx(60, abs=0.01))
    assert found.left_s == pytest.approx(
        60 / 2 * 5, abs=0.1
    )  # 10 less 4 that are there and 1 that will not be made


def test_before_the_first_result_nothing_is_guessed(tmp_path: Path) -> None:
    since = psutil.Process().create_time() + 1
    put_results(tmp_path, since - 500)
    hold(tmp_path, os.getpid(), since)
    found = read_progress(tmp_path, PLANNED, now=since + 60)
    assert (found.is_running, found.left_s) == (True, None)


@pytest.mark.parametrize("text", ["", "unknown", "-1", "99999999999999999999", "5 6"])
def test_a_lock_of_nobody_runs_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".lock").write_text(text, "ascii")
    assert writing_since(tmp_path) is None


def test_a_process_that_is_gone_runs_nothing(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    hold(tmp_path, done.pid, 1e9)
    assert writing_since(tmp_path) is None


def test_a_number_that_was_given_anew_runs_nothing(tmp_path: Path) -> None:
    hold(tmp_path, os.getpid(), psutil.Process().create_time() - 3600)
    assert writing_since(tmp_path) is None


def test_looking_keeps_nobody_out(tmp_path: Path) -> None:
    hold(tmp_path, os.getpid(), psutil.Process().create_time() + 1)
    before = (tmp_path / ".lock").stat()
    read_progress(tmp_path, PLANNED)
    assert (tmp_path / ".lock").stat().st_mtime_ns == before.st_mtime_ns
