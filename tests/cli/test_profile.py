"""``evalkit profile`` from outside: the program runs as without it, and what it cost is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from matplotlib.image import imread

EVALKIT = [sys.executable, "-c", "from evalkit.cli import main; main()", "profile"]
TAKES_100_MIB = "import time; block = bytearray(b'x') * (100 << 20); time.sleep(0.3)"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give a function that calls the command in a folder of its own."""

    def call(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*EVALKIT, *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return call


def test_the_program_keeps_its_input_output_arguments_and_exit_code(run: Run) -> None:
    code = "import sys; print(sys.stdin.read(), *sys.argv[1:]); sys.exit(7)"
    done = run("--", sys.executable, "-c", code, "$HOME; *", "--json", "-h", input="heard")
    assert done.returncode == 7
    assert done.stdout == "heard $HOME; * --json -h\n"
    assert "note: the program ended with exit code 7" in done.stderr


def test_the_table_tells_figures_and_why_others_are_absent(run: Run) -> None:
    done = run(sys.executable, "-c", TAKES_100_MIB)
    assert done.returncode == 0
    assert "profile.total_s" in done.stderr
    assert "profile.peak_rss_mib" in done.stderr
    assert all(len(line) <= 80 for line in done.stderr.splitlines())


def test_figures_and_timeline_as_json_and_as_a_picture(run: Run, tmp_path: Path) -> None:
    done = run("--json", "cost.json", "--plot", "cost.png", "--", sys.executable, "-c", TAKES_100_MIB)
    assert done.stderr.splitlines()[-2:] == ["wrote cost.json", "wrote cost.png"]
    cost = json.loads((tmp_path / "cost.json").read_text("utf-8"))
    assert cost["command"] == [sys.executable, "-c", TAKES_100_MIB]
    assert (cost["exit_code"], cost["signal"]) == (0, None)
    peak = cost["metrics"]["profile.peak_rss_mib"]
    assert peak["value"] == pytest.approx(111, abs=6)
    assert peak["value"] == max(cost["timeline"]["rss_mib"]["values"])
    assert peak["n"] == len(cost["timeline"]["rss_mib"]["values"])
    picture = imread(tmp_path / "cost.png")
    assert picture.std() > 0.05


def test_a_program_that_is_killed_is_a_result_with_its_peak(run: Run, tmp_path: Path) -> None:
    code = f"{TAKES_100_MIB}; import os; os.kill(os.getpid(), 9)"
    done = run("--json", "cost.json", "--", sys.executable, "-c", code)
    assert done.returncode == 128 + signal.SIGKILL
    assert "the program ended with signal SIGKILL" in done.stderr
    cost = json.loads((tmp_path / "cost.json").read_text("utf-8"))
    assert (cost["exit_code"], cost["signal"]) == (None, "SIGKILL")
    assert cost["metrics"]["profile.peak_rss_mib"]["value"] > 100


@pytest.fixture
def small_room() -> Iterator[Path]:
    """Give a control group with room for 100 MiB; a program joins by writing its id into the file."""
    for folder, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        room = Path("/sys/fs/cgroup") / folder / f"evalkit-test-{os.getpid()}"
        try:
            room.mkdir()
        except OSError:
            continue
        try:
            (room / limit).write_text(str(100 << 20))
        except OSError:
            room.rmdir()
            continue
        yield room / "cgroup.procs"
        room.rmdir()
        return
    pytest.skip("no control group with a limit on memory may be made here")


def test_a_program_ended_for_want_of_memory_is_told_with_the_peak_it_reached(
    run: Run, tmp_path: Path, small_room: Path
) -> None:
    code = (
        "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); blocks = []\n"
        "while True: blocks.append(bytearray(b'x') * (5 << 20)); time.sleep(0.02)"
    )
    done = run("--json", "cost.json", "--", sys.executable, "-c", code, small_room)
    assert done.returncode == 128 + signal.SIGKILL
    assert "the system ended it for want of memory" in done.stderr
    cost = json.loads((tmp_path / "cost.json").read_text("utf-8"))
    assert cost["timeline"]["n_oom_kills"] >= 1
    assert cost["metrics"]["profile.peak_rss_mib"]["value"] == pytest.approx(105, abs=12)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("pythom3", 127, "there is no program 'pythom3' on the search path; did you mean 'python3"),
        ("./missing", 127, "there is no program './missing'; check the path"),
        ("./plain", 126, "./plain may not be executed; allow it with chmod +x"),
        ("./folder", 126, "./folder is a folder, not a program"),
        ("./garbage", 126, "./garbage cannot be run: Exec format error"),
    ],
)
def test_a_program_that_cannot_run_is_a_clear_error(
    name: str, code: int, words: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("echo\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "garbage").write_bytes(b"\x00\x01")
    (tmp_path / "garbage").chmod(0o755)
    done = run("--", name)
    assert done.returncode == code
    assert done.stderr.startswith(f"Error: {words}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--plot", "cost.gif"], "a picture ends in .png, .svg, .pdf"),
        (["--json", "no/cost.json"], "there is no folder"),
        (["--interval", "0"], "0.0 is not in the range"),
        (["--jsom", "cost.json"], "No such option"),
    ],
)
def test_wrong_use_is_refused_before_the_program_runs(
    words: list[str], told: str, run: Run, tmp_path: Path
) -> None:
    done = run(*words, "--", "touch", "ran")
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "ran").exists()


def test_no_program_is_wrong_use(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_what_the_program_leaves_running_goes_on_and_is_told(run: Run) -> None:
    code = (
        "import subprocess, time; "
        "child = subprocess.Popen(['sleep', '60'], stdout=-3, stderr=-3); print(child.pid); time.sleep(0.2)"
    )
    done = run("--", sys.executable, "-c", code)
    left = psutil.Process(int(done.stdout))
    try:
        assert left.status() != psutil.STATUS_ZOMBIE
        assert "note: 1 process of it goes on" in done.stderr
    finally:
        left.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_handed_on_and_the_figures_still_come(number: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [*EVALKIT, "--", sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "profile.peak_rss_mib" in told


def test_ctrl_c_reaches_the_program_and_the_figures_still_come(tmp_path: Path) -> None:
    code = "import time\ntry: print('ready', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(9)"
    process = subprocess.Popen(
        [*EVALKIT, "--", sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=60)
    assert process.returncode == 9
    assert "profile.peak_rss_mib" in told
