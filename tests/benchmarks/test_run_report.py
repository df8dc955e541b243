"""How long commands on runs of a thousand and of ten thousand trials take, from their start, and how large a page gets.

Run with ``make bench``; every figure reaches the terminal as a warning. ``processor_s`` and ``memory_mib`` are the command's own, so that they say something on a busy
machine too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from evalkit.testing.runs import write_grid

pytestmark = pytest.mark.filterwarnings("default")

SIZES = ("256*256", "384*256", "512*384", "688*368", "704*384")
STEPS = (1, 2, 3, 4, 6)
CONFIGURATION = ("--where", "sample_steps=4", "--where", "size=384*256")
MEASURED = """
import resource, sys
try:
    from evalkit.cli import main
    main()
except SystemExit:
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def make(folder: Path, portraits: str, speech: str, seeds: tuple[int, ...]) -> Path:
    """Write a run of 25 configurations of which each hundredth trial or so failed."""
    n = 25 * len(portraits) * len(speech) * len(seeds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # thousands of files that nobody needs to survive
        return write_grid(
            folder,
            sizes=SIZES,
            steps=STEPS,
            portraits=tuple(portraits),
            speech=tuple(speech),
            seeds=seeds,
            failing=range(0, n, 97),
        )


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("thousand") / "run", "abcde", "wxyz", (1, 2))


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("ten") / "run", "abcdefghij", "0123456789", (1, 2, 3, 4))


def measure(benchmark: Any, *arguments: str | Path, rounds: int = 3) -> None:
    """Time a command from its start in a process of its own."""
    used: list[list[float]] = []

    def call() -> None:
        line = [sys.executable, "-c", MEASURED, *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        used.append([float(word) for word in done.stdout.splitlines()[-1].split()])

    benchmark.pedantic(call, rounds=rounds, iterations=1)
    benchmark.extra_info["processor_s"] = min(processor_s for processor_s, _ in used)
    benchmark.extra_info["memory_mib"] = max(memory_mib for _, memory_mib in used)
    warnings.warn(
        f"{arguments[0]}: {benchmark.stats.stats.min:.2f} s by the clock, {benchmark.extra_info}",
        stacklevel=2,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "RUN"),
        ("compare", "RUN", "--split", "sample_steps=2,4"),
        ("signoff", "RUN", "--policy", "customer_service", *CONFIGURATION),
        ("runs", "RUN"),
    ],
    ids=["report", "compare", "signoff", "runs"],
)
def test_a_thousand_trials(benchmark: Any, thousand: Path, arguments: tuple[str, ...]) -> None:
    """The report at most 4 s on two quiet cores."""
    measure(benchmark, *(thousand if word == "RUN" else word for word in arguments))


def test_the_report_of_ten_thousand_trials(benchmark: Any, ten_thousand: Path) -> None:
    """At most 45 s, and a page that loads and scrolls: few megabytes, few elements."""
    measure(benchmark, "report", ten_thousand, rounds=1)
    page = (ten_thousand / "report.html").read_text("utf-8")
    benchmark.extra_info["html_mb"] = len(page.encode()) / 1e6
    benchmark.extra_info["elements"] = page.count("<") - page.count("</")
    warnings.warn(f"the page of ten thousand trials: {benchmark.extra_info}", stacklevel=2)
    assert benchmark.extra_info["html_mb"] < 10
    assert benchmark.extra_info["elements"] < 50_000
