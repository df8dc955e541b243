"""What a command has found reaches its files and its exit code, whatever becomes of the terminal it prints to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalkit.testing.media import moving_pattern, write_clip

EVALKIT = [sys.executable, "-m", "evalkit"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_pattern(0.6))


def _run_unread(*arguments: str | Path) -> tuple[int, str]:
    """Run a command whose output nobody reads: the pipe is closed before it prints anything."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*EVALKIT, *map(str, arguments)], stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=300
        )  # fmt: skip
    finally:
        os.close(write)
    return done.returncode, done.stderr


def test_a_pipe_that_nobody_reads_loses_no_file(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert _run_unread("evaluate", clip, "--only", "technical", "--json", out) == (0, "")
    assert json.loads(out.read_text("utf-8"))[0]["metrics"]["technical.width"]["value"] > 0
    code, said = _run_unread("evaluate", clip, tmp_path / "gone.mp4", "--only", "technical", "--json", out)
    assert (code, said) == (1, "")
    assert len(json.loads(out.read_text("utf-8"))) == 2


def test_a_verdict_that_nobody_reads_is_written(clip: Path, tmp_path: Path) -> None:
    out = ("--junit", tmp_path / "j.xml", "--ledger", tmp_path / "ledger.jsonl")
    code, said = _run_unread("signoff", clip, "--policy", "customer_service", "--only", "technical", *out)
    assert (code, said) == (1, "")
    assert (tmp_path / "j.xml").read_text("utf-8").startswith("<?xml")
    assert (tmp_path / "ledger.jsonl").read_text("utf-8").count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [["list"], ["--help"], ["prompts", "list"], ["policy", "show", "customer_service"], ["plan"],
     ["sweep", "--dry-run"], ["profile", "--", "true"], ["doctor", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_no_command_fails_because_nobody_reads_it(command: list[str]) -> None:
    code, said = _run_unread(*command)
    assert code == 0, said
    assert "Traceback" not in said
    assert "Broken" not in said


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_of_few_letters_loses_nothing(encoding: str, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = subprocess.run(
        [*EVALKIT, "evaluate", clip, "--only", "technical", "--json", out],
        capture_output=True, check=False, timeout=300, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode(encoding)
    assert "technical.width" in printed
    assert "\\u2193" in printed  # the arrow for "less is better"
    assert out.is_file()


def test_a_full_disk_is_said_and_is_no_success(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*EVALKIT, "evaluate", clip, "--only", "technical", "--json", out],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Error: stdout cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert out.is_file()


def test_one_file_that_cannot_be_written_keeps_no_other_back(clip: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*EVALKIT, "evaluate", clip, "--only", "technical", "--json", "/dev/full", "--csv", tmp_path / "r.csv"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert "/dev/full cannot be written: No space left on device" in done.stderr
    assert "technical.width" in done.stdout
    assert (tmp_path / "r.csv").is_file()


@pytest.mark.parametrize("n_presses", [1, 3])
def test_ctrl_c_however_often_is_130_and_no_traceback(n_presses: int, tmp_path: Path) -> None:
    """Pressed while workers are at work, as a terminal gives it: to the whole group of processes."""
    clip = write_clip(tmp_path / "long.mp4", moving_pattern(200))
    process = subprocess.Popen(
        [*EVALKIT, "evaluate", clip], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    try:
        while not _children(process.pid):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        for _ in range(n_presses):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("module", ["numpy", "evalkit.api.verdicts"])
def test_ctrl_c_waits_for_an_import(module: str, tmp_path: Path) -> None:
    """A library in C that is interrupted while it is imported prints a traceback and calls itself broken."""
    (tmp_path / "slow_library.py").write_text(
        f"import os, signal, {module}\nos.kill(os.getpid(), signal.SIGINT)\n"
        "for _ in range(200_000):\n    pass\nprint('whole', flush=True)\n"
    )
    program = (
        "import time\nfrom evalkit.cli.streams import one_interruption\n"
        "with one_interruption():\n    try:\n        import slow_library\n        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n        print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
    )  # fmt: skip
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["whole", "interrupted"], "")


def test_a_sweep_that_is_interrupted_while_it_plans_has_no_traceback(tmp_path: Path) -> None:
    """An executor, an evaluator or a file may take long to look at."""
    (tmp_path / "pressed.py").write_text(
        "import os, signal, sys\nfrom evalkit import cli\nfrom evalkit.api import runs as api\n"
        "api.plan = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['sweep']\ncli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "pressed.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith("interrupted")
    assert "Traceback" not in done.stderr


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
