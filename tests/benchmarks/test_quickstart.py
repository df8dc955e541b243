"""How long the quickstart takes, which ``make sweep`` runs after installing. Run with ``make bench``.

Where ``EVALKIT_BEFORE`` names the interpreter of another installation, both do it, one after the other, and the ratio is
printed. Clocks lie on a machine that does something else meanwhile: the processor time of the same work stands beside them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from evalkit.runs import Run

pytestmark = pytest.mark.filterwarnings("default")


def test_quickstart(benchmark: Any, tmp_path: Path) -> None:
    """The whole command, nothing measured before; wanted: at most 60 % of what it took before."""
    spent_s: dict[str, tuple[float, float]] = {}

    def run_both() -> None:
        for name, python in {"now": sys.executable, "before": os.environ.get("EVALKIT_BEFORE")}.items():
            if python is None:
                continue
            begun = time.perf_counter(), _children_s()
            subprocess.run(
                [python, "-m", "evalkit", "sweep", "--out", str(tmp_path / name)],
                check=True,
                capture_output=True,
                cwd=Path(python).parents[2],
                env={**os.environ, "EVALKIT_CACHE_DIR": str(tmp_path / f"cache {name}")},
            )
            spent_s[name] = time.perf_counter() - begun[0], _children_s() - begun[1]

    benchmark.pedantic(run_both, rounds=1, iterations=1)
    for name, (clock_s, processor_s) in spent_s.items():
        trials = Run.open(tmp_path / name).trials()
        made_s = sum(trial.generate_s or 0.0 for trial in trials)
        measured_s = sum(trial.measure_s or 0.0 for trial in trials)
        warnings.warn(
            f"{name}: {len(trials)} trials in {clock_s:.1f} s by the clock, {processor_s:.1f} s of processors; "
            f"made in {made_s:.1f} s, measured in {measured_s:.1f} s; "
            f"now takes {spent_s['now'][0] / clock_s:.2f} times as long",
            stacklevel=2,
        )
    benchmark.extra_info.update(spent_s, load=os.getloadavg()[0])


def _children_s() -> float:
    """Return the processor time of all processes that were started here and are over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
