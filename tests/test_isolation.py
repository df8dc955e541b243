"""One bad task must never cost the batch."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from evalkit.errors import UsageError
from evalkit.isolation import Failure, Worker, run_isolated, worker_ahead
from evalkit.testing.tasks import obey

if TYPE_CHECKING:
    from collections.abc import Iterator


def _run(*tasks: dict[str, object], stall_limit_s: float = 60.0, n_workers: int = 1) -> list[object]:
    results = dict(run_isolated(obey, tasks, n_workers=n_workers, stall_limit_s=stall_limit_s))
    return [results[index] for index in range(len(tasks))]


def test_results_come_back_by_index() -> None:
    assert _run(*({"do": "return", "value": k * k} for k in range(5)), n_workers=2) == [0, 1, 4, 9, 16]


def test_a_task_is_taken_when_a_worker_is_free_for_it() -> None:
    taken = []

    def tasks() -> Iterator[dict[str, Any]]:
        for number in range(6):
            taken.append(number)
            yield {"do": "return", "value": number}

    for n_over, _ in enumerate(run_isolated(obey, tasks(), n_workers=2, stall_limit_s=60), 1):
        assert len(taken) <= n_over + 2
    assert taken == list(range(6))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_workers_have_cores_of_their_own_and_their_libraries_no_more_threads() -> None:
    here = sorted(os.sched_getaffinity(0))
    tasks = [{"do": "kill"}, *[{"do": "count_cores"}] * 6]
    outcomes = dict(run_isolated(obey, tasks, cores=[[core] for core in here[:2]], stall_limit_s=60))
    assert {str(outcomes[index]) for index in range(1, 7)} <= {f"([{core}], 1)" for core in here[:2]}
    ((_, alone),) = run_isolated(obey, [{"do": "count_cores"}], cores=[here[:2], here[2:]], stall_limit_s=60)
    assert alone == (here[:2], 2)
    assert sorted(os.sched_getaffinity(0)) == here


def _started_ahead() -> int:
    (process,) = multiprocessing.active_children()
    return process.pid or 0


def test_a_worker_that_was_started_ahead_is_the_one_that_works() -> None:
    with worker_ahead("os:getpid"):
        pid = _started_ahead()
        worker = Worker(obey, cores=os.sched_getaffinity(0))
        assert worker.pid == pid
        another = Worker(obey)
        assert another.pid != pid
        for one in (worker, another):
            one.give({"do": "return", "value": 7})
            while (result := one.listen(stall_limit_s=60)) is None:
                time.sleep(0.01)
            assert result == 7
            one.end()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("special", [{"environment": {"A_NAME": "1"}}, {"cores": ()}])
def test_a_worker_with_something_of_its_own_starts_anew(special: dict[str, Any]) -> None:
    if "cores" in special:
        special = {"cores": sorted(os.sched_getaffinity(0))[:1]}
        if special["cores"] == sorted(os.sched_getaffinity(0)):
            pytest.skip("needs two cores")
    with worker_ahead("os:getpid"):
        pid = _started_ahead()
        worker = Worker(obey, **special)
        assert worker.pid != pid
        worker.end()
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_a_worker_that_cannot_get_ready_has_crashed_with_the_reason() -> None:
    with worker_ahead("evalkit.no_such_module:get_ready"):
        (failed,) = _run({"do": "return", "value": 7})
    assert isinstance(failed, Failure)
    assert (failed.code, "no_such_module" in failed.log) == ("crashed", True)


def test_an_exception_is_a_failure_with_its_words_and_traceback() -> None:
    failed, fine = _run({"do": "raise", "value": "no luck"}, {"do": "return", "value": 7})
    assert isinstance(failed, Failure)
    assert (failed.code, failed.text) == ("raised", "ValueError: no luck")
    assert "obey" in failed.log
    assert fine == 7


@pytest.mark.parametrize(
    ("task", "cause"), [({"do": "exit", "value": 3}, "exit code 3"), ({"do": "kill"}, "SIGSEGV")]
)
def test_a_crash_costs_one_task(task: dict[str, object], cause: str) -> None:
    failed, fine = _run(task, {"do": "return", "value": 7})
    assert isinstance(failed, Failure)
    assert failed.code == "crashed"
    assert cause in failed.text
    assert fine == 7


def test_the_process_that_all_workers_share_outlives_a_crash() -> None:
    code = (
        "from evalkit.isolation import run_isolated\n"
        "from evalkit.testing.tasks import obey\n"
        "from multiprocessing import resource_tracker\n"
        "import psutil\n"
        "tasks = [{'do': 'kill'}, {'do': 'return', 'value': 7}]\n"
        "list(run_isolated(obey, tasks, n_workers=1, stall_limit_s=60))\n"
        "tracker = psutil.Process(resource_tracker._resource_tracker._pid)\n"
        "print(tracker.status() != 'zombie', 'EVALKIT_WORKER_TOKEN' in tracker.environ())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_hang_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on only while it hangs, however long a worker takes to start."""
    now_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: now_s, sleep=time.sleep)
    monkeypatch.setattr("evalkit.isolation.time", clock)
    children = []

    def hear(_index: int, said: Any) -> None:
        nonlocal now_s
        if said != "begun":
            children.append(said)
            now_s += 2.0

    outcomes = run_isolated(
        obey,
        [{"do": "hang"}, {"do": "return", "value": 7}],
        n_workers=1,
        stall_limit_s=1.5,
        on_progress=hear,
    )
    failed, fine = (result for _, result in outcomes)
    assert isinstance(failed, Failure)
    assert failed.code == "stalled"
    assert fine == 7
    assert len(children) == 1
    assert not psutil.pid_exists(children[0]) or psutil.Process(children[0]).status() == "zombie"


def test_nothing_is_left_of_a_program_that_starts_others_while_everything_is_killed(tmp_path: Path) -> None:
    mark = f"{tmp_path.name}-{os.getpid()}"
    bred = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)", mark]
    tasks = [{"do": "breed", "value": bred}]
    code = (
        "from evalkit.isolation import run_isolated\n"
        "from evalkit.testing.tasks import obey\n"
        f"list(run_isolated(obey, {tasks!r}, n_workers=1, stall_limit_s=600))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])

    def left() -> list[psutil.Process]:
        return [other for other in psutil.process_iter(["cmdline"]) if mark in (other.info["cmdline"] or ())]

    try:
        while len(left()) < 20:
            assert process.poll() is None
        worker = next(child for child in psutil.Process(process.pid).children() if child.children())
        process.kill()
        process.wait()
        psutil.wait_procs([worker], timeout=60)
        assert not worker.is_running()
        assert left() == []
    finally:
        for other in left():
            other.kill()


def test_no_tasks_no_workers() -> None:
    assert _run() == []


SCRIPT = """
import sys
from evalkit.isolation import run_isolated
from evalkit.testing.tasks import obey
print("the script runs")
print(dict(run_isolated(obey, [{"do": "return", "value": 7}], n_workers=1, stall_limit_s=60.0)))
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(SCRIPT, "utf-8")
    command = [sys.executable, "plain.py"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the script runs", "{0: 7}"]


def test_a_function_of_the_script_itself_is_refused_in_one_sentence(tmp_path: Path) -> None:
    own = SCRIPT.replace("from evalkit.testing.tasks import obey", "def obey(task, report): return 7")
    (tmp_path / "plain.py").write_text(own, "utf-8")
    done = subprocess.run(
        [sys.executable, "plain.py"], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 1
    assert re.search(r"UsageError: the function cannot be sent .*; define it in a module", done.stderr)
    assert done.stdout.splitlines() == ["the script runs"]


def test_a_worker_finds_the_modules_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def double(task, report): return 2 * task\n", "utf-8")
    (tmp_path / "plain.py").write_text(
        "from evalkit.isolation import run_isolated\nfrom beside import double\n"
        "print(dict(run_isolated(double, [3, 4], n_workers=2, stall_limit_s=60.0)))\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "plain.py")], capture_output=True, text=True, check=False, timeout=60
    )
    assert ast.literal_eval(done.stdout) == {0: 6, 1: 8}, done.stderr


def test_the_main_module_is_back_after_a_worker_was_started() -> None:
    main = sys.modules["__main__"]
    _run({"do": "return", "value": 7})
    assert sys.modules["__main__"] is main


def test_what_a_worker_cannot_import_is_refused() -> None:
    with pytest.raises(UsageError, match="the function cannot be sent to a worker process"):
        dict(run_isolated(lambda task, _: task, [1], n_workers=1, stall_limit_s=1.0))


def test_a_worker_hears_no_ctrl_c_while_it_imports(tmp_path: Path) -> None:
    """The key reaches every process of the terminal; one that is still importing would print a traceback."""
    (tmp_path / "imported.py").write_text(
        "import signal\n"
        "deaf = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "def ask(task, report):\n"
        "    return deaf, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
    )
    code = (
        "import imported\n"
        "from evalkit.isolation import run_isolated\n"
        "print(list(run_isolated(imported.ask, [0], n_workers=1, stall_limit_s=60)), imported.deaf, imported.ask(0, 0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert done.stdout.split("\n")[0] == "[(0, (True, False))] False (False, False)"
