"""``evalkit evaluate`` and ``evalkit measure`` with an executor, as a person runs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.execution.executors import ExecutorError, InProcess
from evalkit.runs import Run
from evalkit.testing.media import moving_pattern, write_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVALKIT = (sys.executable, "-m", "evalkit")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*EVALKIT, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_clips_have_the_results_that_they_have_without(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_pattern(0.6))
    (tmp_path / "b.mp4").write_text("these are words", "utf-8")
    for name, options in (("here", ()), ("there", ("--executor", "processes"))):
        words = ("evaluate", clip, tmp_path / "b.mp4", "--only", "technical", *options)
        done = run(*words, "--json", tmp_path / name)
        assert done.returncode == 1, done.stderr
        assert "technical.fps" in done.stdout
    assert json.loads((tmp_path / "there").read_text()) == json.loads((tmp_path / "here").read_text())


@pytest.mark.parametrize("command", ["evaluate", "measure"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--executor", "prozesses"), "did you mean 'processes'"),
        (("--executor", "processes", "--ray-address", "auto"), "--ray-address belongs to --executor ray"),
    ],
)
def test_a_wrong_executor_is_wrong_use(
    write_videos: Callable[[int], Run], tmp_path: Path, command: str, options: tuple[str, ...], message: str
) -> None:
    write_videos(1)
    place = tmp_path / ("clip.mp4" if command == "evaluate" else "run")
    done = run(command, place, "--only", "technical", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize("command", ["evaluate", "measure"])
def test_ctrl_c_leaves_no_process_and_a_run_goes_on_without_the_executor(
    write_videos: Callable[[int], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Pressed after the first result, as a terminal gives it: to the whole group of processes."""
    folder = write_videos(6).folder
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(6):
        shutil.copy(tmp_path / "clip.mp4", clips / f"{number}.mp4")
    monkeypatch.setenv("PROBE_HANGS_AFTER", "1")
    words = {
        "evaluate": ("evaluate", clips, "--evidence", tmp_path / "evidence"),
        "measure": ("measure", folder),
    }[command]
    line = [*EVALKIT, *map(str, words), "--only", "probe", "--executor", "processes", "--jobs", "1"]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    results = {"evaluate": "evidence/[!.]*/result.json", "measure": "run/measurements/*/probe@*.json"}[command]
    try:
        deadline_s = time.monotonic() + 120
        while not list(tmp_path.glob(results)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in out + err
    assert not psutil.wait_procs(children, timeout=60)[1]
    n_done = len(list(tmp_path.glob(results)))
    assert n_done == 1
    assert not [path for path in (*tmp_path.glob("evidence/.*"), *folder.rglob(".*")) if path.name != ".lock"]
    if command == "measure":
        monkeypatch.delenv("PROBE_HANGS_AFTER")
        done = run("measure", folder, "--only", "probe")
        assert done.returncode == 0, done.stderr
        assert f"{6 - n_done} measurements of {6 - n_done} videos; {n_done} lacked nothing" in done.stdout


@pytest.mark.parametrize(
    ("command", "kept"),
    [("evaluate", ""), ("measure", "; what is measured is kept, and the same command goes on")],
)
def test_an_executor_that_cannot_go_on_is_one_sentence_and_no_wrong_use(
    write_videos: Callable[[int], Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    kept: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ExecutorError("the cluster has no place")

    write_videos(1)
    monkeypatch.setattr(InProcess, "wait", refuse)
    place = tmp_path / ("clip.mp4" if command == "evaluate" else "run")
    words = [command, str(place), "--only", "technical", "--executor", "in_process"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1, done.output
    assert done.stderr.splitlines()[-1] == f"Error: the cluster has no place{kept}"
