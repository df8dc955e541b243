"""Programs that behave and programs that do not: what is told of them, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pipeline.errors import GenerationError, RequestError
from pipeline.process import run_program
from pipeline.process_token import find_marked
from tests.fixtures.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pipeline.conftest import Program

SLEEPER = "[sys.executable, '-S', '-E', '-c', 'import time; time.sleep(600)']"


def read_pid(path: Path) -> int:
    return int(path.read_text())


def test_every_line_is_told_whatever_ends_it(program: Program) -> None:
    lines: list[str] = []
    argv = program(r"""
        sys.stdout.write("one\ntwo\r10%\r20%\r\n\n"); sys.stdout.flush()
        sys.stderr.write("three\n"); sys.stderr.flush()
        sys.stdout.write("no end")
    """)
    finished = run_program(argv, on_line=lines.append)
    assert lines == ["one", "two", "10%", "20%", "three", "no end"]
    assert finished.returncode == 0
    assert finished.tail == tuple(lines)


def test_bytes_that_are_no_text_do_not_stop_it(program: Program) -> None:
    argv = program(r"os.write(1, b'\xff\xfe\x00garbage\x80\n' + '函数 ok\n'.encode())")
    assert run_program(argv).tail == ("\ufffd\ufffd\0garbage\ufffd", "函数 ok")


def test_a_character_split_between_writes_is_whole(program: Program) -> None:
    argv = program("""
        for byte in "运行时间\\n".encode():
            os.write(1, bytes([byte])); time.sleep(0.002)
    """)
    assert run_program(argv).tail == ("运行时间",)


def test_an_endless_line_comes_in_pieces(program: Program) -> None:
    lengths: list[int] = []
    run_program(program("os.write(1, b'x' * 20000)"), on_line=lambda line: lengths.append(len(line)))
    assert sum(lengths) == 20000
    assert max(lengths) <= 8192


def test_only_the_last_lines_are_kept(program: Program) -> None:
    tail = run_program(program("print(*range(100000), sep='\\n')")).tail
    assert (len(tail), tail[-1]) == (40, "99999")


def test_its_exit_status_is_told(program: Program) -> None:
    assert run_program(program("sys.exit(3)")).returncode == 3


def test_the_signal_that_ended_it_is_told(program: Program) -> None:
    assert run_program(program("os.kill(os.getpid(), signal.SIGKILL)")).returncode == -signal.SIGKILL


def test_no_shell_sees_the_arguments(program: Program, tmp_path: Path) -> None:
    argv = [*program("print(sys.argv[1:])"), "$HOME; touch x", "`touch x`", "a  b"]
    assert run_program(argv, folder=tmp_path).tail == ("['$HOME; touch x', '`touch x`', 'a  b']",)
    assert not (tmp_path / "x").exists()


def test_it_gets_its_environment_and_folder_and_no_input(program: Program, tmp_path: Path) -> None:
    argv = program("print(os.environ['MODE'], os.getcwd(), repr(sys.stdin.read()))")
    assert run_program(argv, environment={"MODE": "x"}, folder=tmp_path).tail == (f"x {tmp_path} ''",)


@pytest.mark.parametrize("argv", [["no-such-program-anywhere"], [os.devnull], ["a\0b"]])
def test_what_cannot_be_started_is_refused(argv: list[str]) -> None:
    with pytest.raises(RequestError, match="cannot be started"):
        run_program(argv)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be started"):
        run_program([sys.executable, "-c", ""], folder=tmp_path / "gone")


HANGS = {
    "sleeps": "time.sleep(600)",
    "ignores being asked to end": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(600)",
    "closes its output": "os.close(1); os.close(2)\ntime.sleep(600)",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "has children": f"subprocess.Popen({SLEEPER})\ntime.sleep(600)",
    "never stops talking": "while True: print('working')",
}


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
def test_a_program_that_hangs_is_ended(body: str, program: Program, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"did not end within 1 s") as caught:
        run_program(program(body), time_limit_s=1.0, grace_s=0.2, environment={"BEGUN_BY": str(tmp_path)})
    assert caught.value.kind == "timed_out"
    assert [process.pid for process in psutil.process_iter() if was_begun_by(process, str(tmp_path))] == []


def was_begun_by(process: psutil.Process, test: str) -> bool:
    try:
        return is_alive(process.pid) and process.environ().get("BEGUN_BY") == test
    except psutil.Error:
        return False


CHILDREN = {
    "in the same session": f"child = subprocess.Popen({SLEEPER})",
    "without its environment": f"child = subprocess.Popen({SLEEPER}, env={{}})",
    "in a session of their own": f"child = subprocess.Popen({SLEEPER}, start_new_session=True)",
    "that ignore being asked to end": (
        "child = subprocess.Popen([sys.executable, '-S', '-E', '-c', "
        "'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'])"
    ),
}


@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("body", CHILDREN.values(), ids=CHILDREN)
def test_children_left_behind_are_ended_and_told(
    body: str, status: int, program: Program, tmp_path: Path
) -> None:
    argv = program(f"{body}\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\nos._exit({status})")
    with pytest.raises(
        GenerationError, match=rf"ended \(exit status {status}\) and left processes"
    ) as caught:
        run_program(argv, grace_s=0.2)
    assert caught.value.kind == "left_processes"
    assert not is_alive(read_pid(tmp_path / "pid"))


def test_a_daemon_is_found_after_both_its_parents_are_gone(program: Program, tmp_path: Path) -> None:
    argv = program(f"""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                open({str(tmp_path / "pid.part")!r}, 'w').write(str(os.getpid()))
                os.rename({str(tmp_path / "pid.part")!r}, {str(tmp_path / "pid")!r})
                time.sleep(600)
            os._exit(0)
        while not os.path.exists({str(tmp_path / "pid")!r}): time.sleep(0.01)
    """)
    with pytest.raises(GenerationError, match="left processes"):
        run_program(argv, grace_s=0.2)
    assert not is_alive(read_pid(tmp_path / "pid"))


def test_children_that_end_by_themselves_are_no_fault(program: Program) -> None:
    argv = program("subprocess.Popen([sys.executable, '-S', '-E', '-c', 'import time; time.sleep(0.2)'])")
    assert run_program(argv, grace_s=60).returncode == 0


class _EnoughError(Exception):
    pass


def test_it_is_ended_when_the_listener_fails(program: Program) -> None:
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise _EnoughError

    with pytest.raises(_EnoughError):
        run_program(program("print(os.getpid(), flush=True)\ntime.sleep(600)"), on_line=listen, grace_s=0.2)
    assert not is_alive(pids[0])


def test_no_file_stays_open(program: Program) -> None:
    argv = program("print(1)")
    run_program(argv)
    before = psutil.Process().num_fds()
    for _ in range(5):
        run_program(argv)
    with pytest.raises(RequestError):
        run_program(["no-such-program-anywhere"])
    assert (
        psutil.Process().num_fds() <= before
    )  # fewer where rubbish of earlier tests was collected meanwhile


def test_a_program_that_falls_silent_is_ended_with_its_children(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that stands still until it has spoken, however long it takes to start."""
    pids = tmp_path / "pids"
    argv = program(f"""
        child = subprocess.Popen({SLEEPER})
        with open({str(pids)!r}, "w") as file: file.write(str(child.pid))
        print("first words", flush=True)
        time.sleep(600)
    """)
    heard: list[str] = []
    start_s = time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() if heard else start_s)
    monkeypatch.setattr("pipeline.process.time", clock)
    with pytest.raises(
        GenerationError, match=r"printed nothing for 5 s and was ended.*\n  first words"
    ) as failure:
        run_program(argv, on_line=heard.append, stall_limit_s=5.0, grace_s=0.2)
    assert failure.value.kind == "stalled"
    assert not is_alive(read_pid(pids))


def test_a_program_that_keeps_talking_does_not_stall(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each word comes 1.5 s after the one before, by a clock that stands still while nobody speaks."""
    now_s = 0.0
    monkeypatch.setattr("pipeline.process.time", SimpleNamespace(monotonic=lambda: now_s))

    def hear(line: str) -> None:
        nonlocal now_s
        now_s += 1.5
        (tmp_path / line).touch()  # the next one may come

    argv = program(f"""
        for k in range(5):
            sys.stdout.write("%d\\r" % k); sys.stdout.flush()
            while not os.path.exists(os.path.join({str(tmp_path)!r}, str(k))): time.sleep(0.01)
    """)
    assert run_program(argv, on_line=hear, stall_limit_s=2.0).tail[-1] == "4"
    assert now_s == 7.5


class TestMarked:
    """What `find_marked` makes of processes that it meets in a moment in which they tell nothing."""

    @pytest.fixture
    def child(self) -> Iterator[psutil.Popen]:
        """Give a process with a mark, in a session of its own."""
        argv = [sys.executable, "-S", "-E", "-c", "import sys; sys.stdin.read()"]
        with psutil.Popen(
            argv, env={**os.environ, "MARK": "ours"}, stdin=subprocess.PIPE, start_new_session=True
        ) as started:
            yield started

    def test_one_whose_program_was_started_a_moment_ago_is_found(
        self, child: psutil.Popen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has neither arguments nor an environment yet."""
        looks = {"environ": 0, "cmdline": 0}

        def only_later(name: str, nothing: Any) -> None:
            tell = getattr(psutil.Process, name)

            def look(process: psutil.Process) -> Any:
                looks[name] += process.pid == child.pid
                return nothing if process.pid == child.pid and looks[name] == 1 else tell(process)

            monkeypatch.setattr(psutil.Process, name, look)

        only_later("environ", {})
        only_later("cmdline", [])
        assert [process.pid for process in find_marked("MARK", "ours")] == [child.pid]

    def test_one_whose_parent_ended_while_it_was_looked_for_is_found(
        self, child: psutil.Popen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was started after the list was made, and its parent was gone before its turn came."""
        parent = psutil.Popen([sys.executable, "-S", "-E", "-c", ""])
        gone = psutil.Process(parent.pid)
        parent.wait()
        lists = iter([[gone], [psutil.Process(child.pid)]])
        monkeypatch.setattr(psutil, "process_iter", lambda: next(lists))
        assert [process.pid for process in find_marked("MARK", "ours")] == [child.pid]
