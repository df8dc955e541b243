"""What grows with clips and trials, for the figures of ``docs/scale.md``. Run with ``make bench``.

Every figure reaches the terminal as a warning. Processor time is that of the process that drives; clocks lie on a busy
machine.
"""

from __future__ import annotations

import gc
import json
import os
import time
import warnings
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from evalkit.evaluators.load import load_evaluators
from evalkit.execution.executors import Executor, ExecutorChoice, NoSettings
from evalkit.execution.jobs import (
    EvaluatorResult,
    Finished,
    Job,
    MeasureJob,
    MeasureResult,
    Message,
    Slot,
    Started,
    read_plain,
)
from evalkit.execution.measurer import Elsewhere
from evalkit.execution.transfer import Piece, Unpacker, pack
from evalkit.measuring import runner
from evalkit.measuring.elsewhere import measure_clips_elsewhere
from evalkit.measuring.pool import BatchProgress, ClipTask
from evalkit.measuring.results import Report
from evalkit.measuring.run import measure_run
from evalkit.profiling.machine import describe_machine
from evalkit.runs.measured import store_measurements
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.talking_face import write_talking_face
from evalkit.tracks.cache import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.execution.executors import Limits
    from pipeline.options import PlainData

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(3600)]
N = int(os.environ.get("EVALKIT_BENCHMARK_CLIPS", "10000"))
STEP = N // 5


class Instant(Executor):
    """Answers at once with what was measured on one clip, through JSON as a cluster would: the driver alone is left."""

    answer: str = ""

    def __init__(self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = "") -> None:
        del slots, limits, settings, work
        self._jobs: deque[Job] = deque()

    def measuring_pool(self) -> tuple[Slot, ...]:
        """Play a cluster of sixteen places."""
        return tuple(Slot(f"cpu-{number}") for number in range(16))

    def submit(self, job: Job) -> None:
        """Carry the job as far as JSON."""
        read_plain(json.loads(json.dumps(job.to_dict())))
        self._jobs.append(job)

    def wait(self, timeout_s: float) -> list[Message]:
        """Answer one job."""
        del timeout_s
        job = self._jobs.popleft()
        assert isinstance(job, MeasureJob)
        return [Started(job.id), Finished(job.id, MeasureResult.from_dict(json.loads(self.answer)))]

    def cancel(self, job_id: str) -> None:
        """Have nothing to give up."""

    def close(self) -> None:
        """Have nothing to end."""


class _Watch:
    """Notes memory and processor time of this process after every so many clips."""

    def __init__(self) -> None:
        self.rss_mib: list[float] = []
        self.processor_ms: list[float] = []
        self._start_s = time.process_time()

    def __call__(self, progress: BatchProgress) -> None:
        gc.enable()  # ``make bench`` turns it off, and what refers to itself must go as it does in a command
        if progress.n_over % STEP == 0 and progress.n_over // STEP == len(self.rss_mib) + 1:
            self.rss_mib.append(psutil.Process().memory_info().rss / 2**20)
            now_s = time.process_time()
            self.processor_ms.append(1000 * (now_s - self._start_s) / STEP)
            self._start_s = now_s

    def tell(self, what: str) -> None:
        memory = " ".join(f"{mib:.0f}" for mib in self.rss_mib)
        spent = " ".join(f"{ms:.1f}" for ms in self.processor_ms)
        warnings.warn(f"{what}, each {STEP}: memory {memory} MiB; processor {spent} ms a clip", stacklevel=2)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what all evaluators measure on a talking face, as a result in JSON."""
    clip = write_talking_face(tmp_path_factory.mktemp("face") / "clip.mp4").path
    evaluators = load_evaluators()
    result = runner.measure(str(clip), evaluators)
    found = []
    for evaluator in evaluators:
        own = [result[metric.name] for metric in evaluator.metrics]
        results, samples = store_measurements(own, versions=result.versions, weights=result.weights)
        found.append(EvaluatorResult(evaluator.name, results.to_dict(), samples))
    return json.dumps(MeasureResult(tuple(found), None, 1.0, describe_machine()).to_dict())


@pytest.fixture
def instant(measured: str) -> Elsewhere:
    kind = type("Answering", (Instant,), {"answer": measured})
    return Elsewhere(ExecutorChoice(kind, NoSettings()))


def test_the_driver_of_ten_thousand_clips(benchmark: Any, tmp_path: Path, instant: Elsewhere) -> None:
    """Print what `evaluate` keeps a clip: rows for the tables at the end, nothing else grows."""
    tasks = []
    for number in range(N):
        (tmp_path / f"{number}.mp4").write_bytes(number.to_bytes(4, "little"))
        tasks.append(ClipTask(str(tmp_path / f"{number}.mp4")))
    watch = _Watch()
    evaluators = load_evaluators()
    results = benchmark.pedantic(
        lambda: measure_clips_elsewhere(tasks, evaluators, {}, instant, watch), rounds=1, iterations=1
    )
    watch.tell("clips of evaluate")
    report = Report(tuple(results))
    start_s, before = time.process_time(), psutil.Process().memory_info().rss
    n_bytes = len(report.to_json())
    table = report.frame()
    grown_mib = (psutil.Process().memory_info().rss - before) / 2**20
    warnings.warn(
        f"JSON of {n_bytes / 1e6:.0f} MB and table of {len(table)} rows: {time.process_time() - start_s:.1f} s, "
        f"{grown_mib:.0f} MiB more",
        stacklevel=1,
    )
    grown_kib = 1024 * (watch.rss_mib[-1] - watch.rss_mib[0]) / (N - STEP)
    benchmark.extra_info["kib_a_clip"] = grown_kib
    assert grown_kib < 40


def test_the_driver_of_a_run_of_ten_thousand_videos(
    benchmark: Any, tmp_path: Path, instant: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Print that measuring a run keeps nothing of a video that is on record; tables and report come after."""
    video = write_clip(tmp_path / "clip.mp4", moving_pattern(0.2))
    trials = [
        replace(
            make_trial(params={"sample_steps": steps}, portrait="anna", speech="hello", seed=1, values={}),
            quality=None,
        )
        for steps in range(N)
    ]
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of files that nobody needs to survive
    run = write_run(tmp_path / "run", trials, [], video=video)
    watch = _Watch()
    benchmark.pedantic(lambda: measure_run(run, measurer=instant, on_progress=watch), rounds=1, iterations=1)
    watch.tell("videos of measure")
    assert watch.rss_mib[-1] - watch.rss_mib[0] < 40


def test_carrying_a_file(benchmark: Any, tmp_path: Path) -> None:
    """Print processor time of the driver for each MB that goes out or comes in, by its parts."""
    n_mb = 64
    (tmp_path / "video.mp4").write_bytes(os.urandom(n_mb * 10**6))
    (tmp_path / "there").mkdir()

    def spent_ms(call: Any) -> float:
        start_s = time.process_time()
        call()
        return 1000 * (time.process_time() - start_s) / n_mb

    pieces: list[Piece] = []
    lines: list[str] = []
    unpacker = Unpacker(tmp_path / "there")
    figures = {
        "content": spent_ms(lambda: content_hash(str(tmp_path / "video.mp4"))),
        "pack": spent_ms(lambda: pieces.extend(pack(tmp_path, ["video.mp4"]))),
        "to JSON": spent_ms(lambda: lines.extend(json.dumps(asdict(piece)) for piece in pieces)),
        "from JSON": spent_ms(lambda: [json.loads(line) for line in lines]),
        "unpack": spent_ms(lambda: [unpacker.write(piece) for piece in pieces]),
    }
    benchmark.pedantic(lambda: None, rounds=1, iterations=1)
    benchmark.extra_info |= figures
    said = ", ".join(f"{name} {ms:.1f}" for name, ms in figures.items())
    warnings.warn(f"processor time in ms a MB: {said}", stacklevel=1)


def test_what_a_trial_leaves_on_disk(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Print records, bytes beside the video, and fsyncs for each trial of a sweep that is measured with everything."""
    n_trials = 20
    clip = write_talking_face(tmp_path / "clip.mp4").path
    argv = ["sh", "-c", ': "$2"; cp "$0" "$1"', str(clip), "{out}", "{sample_steps}"]
    data = {
        "generator": {"name": "command", "settings": {"argv": argv}},
        "grid": {"sample_steps": list(range(1, n_trials + 1))},
        "execution": {"executor": "in_process"},
    }
    fsync, n_fsyncs = os.fsync, 0

    def count(file: int) -> None:
        nonlocal n_fsyncs
        n_fsyncs += 1
        fsync(file)

    monkeypatch.setattr(os, "fsync", count)
    plan = plan_sweep(build_sweep(data, "benchmark"))
    benchmark.pedantic(lambda: run_sweep(plan, tmp_path / "run"), rounds=1, iterations=1)
    files = [path for path in _files(tmp_path / "run") if path.parts[-2] != "run"]
    n_bytes = sum(path.stat().st_size for path in files if path.name != "video.mp4")
    kinds: dict[str, int] = {}
    for path in files:
        kind = "evidence" if ".evidence" in str(path) else path.suffix
        kinds[kind] = kinds.get(kind, 0) + path.stat().st_size
    warnings.warn(
        f"{len(files) / n_trials:.0f} files, {n_bytes / n_trials / 1024:.0f} KiB beside the video, "
        f"{n_fsyncs / n_trials:.0f} fsyncs a trial; KiB by kind: "
        f"{ {kind: round(size / n_trials / 1024) for kind, size in kinds.items()} }",
        stacklevel=1,
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_folder_of_many_folders(benchmark: Any, tmp_path: Path) -> None:
    """Print processor time to make, to list and to look up folders in one folder."""
    figures = {}
    for n in (10_000, 100_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        start_s = time.process_time()
        for number in range(n):
            (folder / f"{number:016x}").mkdir()
        made_s = time.process_time() - start_s
        start_s = time.process_time()
        assert len(os.listdir(folder)) == n  # noqa: PTH208 - names alone
        listed_s = time.process_time() - start_s
        start_s = time.process_time()
        for number in range(0, n, n // 1000):
            (folder / f"{number:016x}").stat()
        figures[n] = {
            "make_us": 1e6 * made_s / n,
            "list_ms": 1e3 * listed_s,
            "look_up_us": 1e3 * (time.process_time() - start_s),
        }
    benchmark.pedantic(lambda: None, rounds=1, iterations=1)
    warnings.warn(f"{figures}", stacklevel=1)
