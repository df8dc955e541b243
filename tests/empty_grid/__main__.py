"""Do an empty grid and say what the engine costs: ``python -m tests.empty_grid --trials 10000 --slots 2``.

Each line is one part of the sweep: its trials a second, what a trial takes of the clock in each slot, the processor time
of the sweep's own process, and the memory of that process. What the stand-in of the work itself takes is not taken out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import Progress, run_sweep
from evalkit.testing.media import write_clip
from tests.empty_grid.plug_in import ENTRY_POINTS
from tests.fixtures import ray_nodes

_MIB = 2**20
GRID = {"sample_steps": [4, 8, 16, 32], "sample_guide_scale": [1.0, 2.0, 3.0, 4.0, 5.0]}
N_CONFIGURATIONS = 20
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    """What a number of trials, one after the other, took.

    Parameters
    ----------
    n_over : int
        Trials that are over at its end.
    per_s : float
        Trials a second.
    trial_ms : float
        Of the clock, for each trial in its slot.
    driver_ms : float
        Processor time of the sweep's own process for each trial.
    rss_mib : float
        Memory of that process at the end.
    """

    n_over: int
    per_s: float
    trial_ms: float
    driver_ms: float
    rss_mib: float


def install(folder: Path) -> None:
    """Make the plug-ins known to this process and those that it starts."""
    info = folder / "empty_grid-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: empty-grid\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    sys.path.insert(0, str(folder))
    there = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, there))


def do_grid(
    folder: Path,
    n_trials: int,
    n_slots: int,
    *,
    executor: str = "processes",
    settings: dict[str, object] | None = None,
    measures: bool = False,
    n_parts: int = 5,
) -> tuple[list[Part], Run]:
    """Do a grid of so many trials; the plug-ins are known."""
    clip = write_clip(folder / "clip.mp4", [np.zeros((16, 16, 3), np.uint8)], fps=25)
    slots = [{"cores": 1}] * n_slots if executor == "processes" else None
    data = {
        "generator": {"name": "empty", "settings": {"clip": str(clip)}},
        "grid": GRID,
        "seeds": list(range(math.ceil(n_trials / N_CONFIGURATIONS))),
        "evaluators": ["nothing"] if measures else [],
        "execution": {
            "executor": {"name": executor, "settings": settings or {}},
            "slots": slots,
            "evidence": False,
        },
    }
    plan = plan_sweep(build_sweep(data, "empty grid"))
    n_planned = len(plan.trials)
    parts: list[Part] = []
    n_before, at_s, cpu_s = 0, time.perf_counter(), time.process_time()

    def note(progress: Progress) -> None:
        nonlocal n_before, at_s, cpu_s
        if progress.trial is None or progress.n_over < math.ceil(n_planned * (len(parts) + 1) / n_parts):
            return
        now_s, now_cpu_s, n = time.perf_counter(), time.process_time(), progress.n_over - n_before
        spent_s = now_s - at_s
        part = Part(
            progress.n_over,
            n / spent_s,
            1000 * spent_s * len(plan.slots) / n,
            1000 * (now_cpu_s - cpu_s) / n,
            _rss_mib(),
        )
        parts.append(part)
        n_before, at_s, cpu_s = progress.n_over, now_s, now_cpu_s

    run = run_sweep(plan, folder / "run", on_progress=note)
    return parts, run


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def main() -> None:
    """Read the command line, do the grid, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.empty_grid", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument(
        "--executor", default="processes", help="ray without an address: two nodes started here"
    )
    parser.add_argument("--settings", type=json.loads, default={}, help="of the executor, as JSON")
    parser.add_argument("--measure", action="store_true", help="measure each video with an empty evaluator")
    parser.add_argument("--json", action="store_true", help="print the parts as JSON alone")
    parser.add_argument("--parts", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="empty-grid-") as name:
        folder = Path(name)
        install(folder / "plug-in")
        with ExitStack() as cluster:
            settings = given.settings
            if given.executor == "ray" and "address" not in settings:
                (folder / "hidden").mkdir()
                nodes = cluster.enter_context(
                    ray_nodes.two_nodes(folder / "hidden", [str(folder / "plug-in"), str(ROOT)])
                )
                settings = {**settings, "address": nodes.address}
            start_s = time.perf_counter()
            parts, run = do_grid(
                folder,
                given.trials,
                given.slots,
                executor=given.executor,
                settings=settings,
                measures=given.measure,
                n_parts=given.parts,
            )
            whole_s = time.perf_counter() - start_s
        statuses = [trial.status for trial in run.trials()]
        assert statuses == ["ok"] * len(run.manifest.planned), "not every trial was done"
        if given.json:
            print(json.dumps({"whole_s": whole_s, "parts": [asdict(part) for part in parts]}))  # noqa: T201
            return
        for part in parts:
            print(  # noqa: T201 - figures
                f"{part.n_over:6} trials: {part.per_s:6.1f} a second, {part.trial_ms:6.1f} ms a trial and slot, "
                f"{part.driver_ms:5.1f} ms of the driver's processor time, {part.rss_mib:6.1f} MiB",
                flush=True,
            )
        start_s = time.perf_counter()
        write_report(run.folder)
        report_s = time.perf_counter() - start_s
        print(  # noqa: T201 - figures
            f"the whole sweep {whole_s:.1f} s; the report {report_s:.1f} s; load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
