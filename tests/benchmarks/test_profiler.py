"""What watching costs: the sampler's share of a core, and the time a trial pays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import psutil
import pytest

from evalkit.profiling.profiler import Profiler


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("n_processes", [1, 10])
def test_share_of_a_core(benchmark: Any, n_processes: int) -> None:
    """At 10 ms between looks; the figures stand under ``extra_info``."""
    code = f"import subprocess; [p.wait() for p in [subprocess.Popen(['sleep', '30']) for _ in range({n_processes - 1})]]"
    idle = [sys.executable, "-c", code] if n_processes > 1 else ["sleep", "30"]
    with Profiler() as profiler, subprocess.Popen(idle) as program:
        profiler.watch(program.pid)
        time.sleep(1.0)
        assert profiler._process is not None
        sampler = psutil.Process(profiler._process.pid)
        before_s, start_s = cpu_s(sampler), time.monotonic()
        benchmark.pedantic(time.sleep, args=(10.0,), rounds=1)
        spent_s, passed_s = cpu_s(sampler) - before_s, time.monotonic() - start_s
        profile = profiler.slice(start_s)
        for process in [*psutil.Process(program.pid).children(), program]:
            process.kill()
    gaps_ms = 1000 * np.diff(profile.rss_mib.times_s)
    benchmark.extra_info.update(
        share_percent=round(100 * spent_s / passed_s, 2),
        looks_per_s=round(len(profile.rss_mib) / passed_s, 1),
        median_gap_ms=round(float(np.median(gaps_ms)), 1),
        longest_gap_ms=round(float(gaps_ms.max()), 1),
    )
    print(f"\n{n_processes} processes: {benchmark.extra_info}")  # noqa: T201 - a benchmark shows its figures
    assert 100 * spent_s / passed_s < 2


def test_cutting_a_profile_of_one_second(benchmark: Any) -> None:
    with Profiler(os.getpid()) as profiler:
        time.sleep(1.0)
        start_s = time.monotonic() - 1.0
        profile = benchmark(lambda: profiler.slice(start_s, start_s + 1.0))
    assert len(profile.rss_mib) > 10


def test_starting_and_stopping(benchmark: Any) -> None:
    def once() -> Profiler:
        with Profiler(os.getpid()) as profiler:
            pass
        return profiler

    assert benchmark.pedantic(once, rounds=5).profile.sampler_error == ""
