"""The profiler against loads that are known: sizes from the kernel's own count, times from the load's own clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from evalkit.profiling import reasons
from evalkit.profiling.process_tree import ProcfsTree, PsutilTree, open_process_tree
from evalkit.profiling.profile import GpuUse, Profile, ProfileError, Series
from evalkit.profiling.profiler import Profiler
from evalkit.profiling.record import read_last_piece, read_profile

from .conftest import Start, go_on

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")


def read_floats(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdout is not None
    return [float(word) for word in process.stdout.readline().split()]


def level(series: Series, start_s: float, end_s: float) -> float:
    """Return the median between two moments."""
    inside = (series.times_s >= start_s) & (series.times_s <= end_s)
    return float(np.median(series.values[inside]))


TAKES_500_MIB = """
say(0)
wait()
began_s = time.monotonic()
block = hold(500)
say(began_s, time.monotonic())
wait()
"""
NO_LONGER_YOUNG_S = 0.15
"""After so long a process that looks like its parent is not held for its parent any more."""
GRANDCHILD = f"in_child({f'in_child({TAKES_500_MIB!r})'!r})"


@pytest.mark.parametrize(
    "kind", [pytest.param(ProcfsTree, marks=linux), PsutilTree], ids=["procfs", "psutil"]
)
def test_500_mib_in_a_grandchild_are_seen_within_2_percent(
    kind: type[ProcfsTree | PsutilTree], start: Start
) -> None:
    process = start(GRANDCHILD)
    tree = kind(process.pid)
    seen = []
    for _ in range(2):
        read_floats(process)
        tree.find()
        time.sleep(NO_LONGER_YOUNG_S)
        seen.append(tree.rss_kib())
        go_on(process)
    tree.close()
    (before_kib, n_before), (held_kib, n_held) = seen
    assert (n_before, n_held) == (3, 3)
    assert (held_kib - before_kib) / 1024 == pytest.approx(500, rel=0.02)


def test_the_peak_of_a_tree_is_within_2_percent(start: Start) -> None:
    with Profiler() as profiler:
        start_s = time.monotonic()
        process = start(GRANDCHILD)
        profiler.watch(process.pid)
        read_floats(process)
        profiler.slice(start_s)  # looks
        time.sleep(NO_LONGER_YOUNG_S)
        before_s = time.monotonic() - start_s
        profiler.slice(start_s)
        go_on(process)
        began_s, held_s = (moment - start_s for moment in read_floats(process))
        profiler.slice(start_s)
        end_s = time.monotonic() - start_s
        go_on(process)
        process.wait()
        profile = profiler.slice(start_s)
    step_mib = level(profile.rss_mib, held_s, end_s) - level(profile.rss_mib, before_s, began_s)
    assert step_mib == pytest.approx(500, rel=0.02)
    assert profile.rss_mib.peak is not None
    assert profile.rss_mib.peak - level(profile.rss_mib, before_s, began_s) == pytest.approx(500, rel=0.02)
    look_s = float(np.diff(profile.rss_mib.times_s).max())  # how long a look at the tree may have taken
    assert began_s - look_s < (profile.rss_mib.peak_time_s or 0) < end_s + look_s
    assert profile.n_processes.peak == 3
    assert profile.n_processes.values[-1] == 0


def test_a_step_is_as_long_as_it_was(start: Start) -> None:
    """A 1 s step is 1 s within 10 ms, or within what the distance of the looks at its edges allows on a busy machine."""
    n_steps = 5
    with Profiler() as profiler:
        process = start(
            f"for _ in range({n_steps}):\n"
            "    time.sleep(0.2)\n"
            "    began_s = time.monotonic()\n"
            "    block = hold(16)\n"
            "    held_s = time.monotonic()\n"
            "    time.sleep(1.0)\n"
            "    ending_s = time.monotonic()\n"
            "    block.close()\n"
            "    say(began_s, held_s, ending_s, time.monotonic())\n"
            "time.sleep(0.1)\n"
        )
        profiler.watch(process.pid)
        told_s = np.array([read_floats(process) for _ in range(n_steps)]).reshape(-1, 2)  # a row an edge
        process.wait()
        start_s = told_s[0, 0] - 0.1
        profile = profiler.slice(start_s)
    times_s, values = profile.rss_mib.times_s + start_s, profile.rss_mib.values
    edges = np.flatnonzero(np.diff(values > values[0] + 8))[: 2 * n_steps]
    seen_s = np.stack([times_s[edges], times_s[edges + 1]], axis=1)
    assert (seen_s[:, 0] <= told_s[:, 1]).all()
    assert (seen_s[:, 1] >= told_s[:, 0]).all()
    lengths_s = [np.diff(rows.mean(axis=1).reshape(-1, 2)).ravel() for rows in (seen_s, told_s)]
    errors_s = np.abs(lengths_s[0] - lengths_s[1])
    unknown_s = (np.diff(seen_s) + np.diff(told_s)).reshape(-1, 2).sum(axis=1) / 2
    assert (errors_s <= np.maximum(0.010, unknown_s)).all(), (errors_s, unknown_s)
    assert errors_s.min() <= 0.010


def test_a_peak_of_100_ms_is_caught(start: Start) -> None:
    """Each of five is, unless the machine let nobody look while it lasted: then no look lies inside."""
    with Profiler() as profiler:
        process = start(
            "for _ in range(5):\n"
            "    time.sleep(0.3)\n"
            "    block = hold(64)\n"
            "    held_s = time.monotonic()\n"
            "    time.sleep(0.1)\n"
            "    freed_s = time.monotonic()\n"
            "    block.close()\n"
            "    say(held_s, freed_s)\n"
            "time.sleep(0.3)\n"
        )
        profiler.watch(process.pid)
        held_s = np.array([read_floats(process) for _ in range(5)])
        process.wait()
        start_s = held_s[0, 0] - 0.1
        profile = profiler.slice(start_s)
    rss = profile.rss_mib
    assert rss.peak is not None
    assert rss.peak_time_s is not None
    looks = [
        rss.values[(rss.times_s >= began_s) & (rss.times_s <= ended_s)]
        for began_s, ended_s in held_s - start_s
    ]
    low = level(rss, held_s[0, 1] - start_s + 0.1, held_s[1, 0] - start_s - 0.1)
    found = [values.max() - low for values in looks if len(values)]
    assert found == pytest.approx([64] * len(found), rel=0.03)
    assert rss.peak == pytest.approx(low + 64, rel=0.03)
    assert any(began_s <= rss.peak_time_s <= ended_s for began_s, ended_s in held_s - start_s)


@linux
def test_a_large_program_that_starts_small_ones_is_not_counted_twice(start: Start) -> None:
    """Between vfork and exec a child shows the memory of its parent."""
    with Profiler(interval_s=0.002) as profiler:
        process = start("block = hold(300)\nsay(0)\nfor _ in range(150): subprocess.run(['true'])\nsay(0)")
        read_floats(process)
        profiler.watch(process.pid)
        read_floats(process)
        process.wait()
    assert profiler.profile.rss_mib.peak == pytest.approx(310, abs=20)


@linux
def test_shared_memory_is_said_to_be_shared(start: Start) -> None:
    with Profiler() as profiler:
        start_s = time.monotonic()
        process = start(
            "block = hold(100)\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(600); os._exit(0)\nsay(0)\ntime.sleep(600)"
        )
        profiler.watch(process.pid)
        read_floats(process)
        profile = profiler.slice(start_s)
        while profile.pss_mib.peak is None or (profile.rss_mib.peak or 0) <= 400:
            assert time.monotonic() - start_s < 120, profile.to_dict()
            time.sleep(0.05)
            profile = profiler.slice(start_s)
    assert profile.rss_mib.peak is not None
    assert profile.pss_mib.peak is not None
    assert profile.rss_mib.peak > 400
    assert profile.pss_mib.peak == pytest.approx(110, abs=15)
    assert any("when each shared page counts once" in note for note in profile.notes())


def test_the_peak_survives_an_exception(start: Start) -> None:
    """In a process of its own: of this one, which is large, a kernel may take pages away at any time."""
    process = start(
        "from evalkit.profiling.profiler import Profiler\n"
        "try:\n"
        "    with Profiler(os.getpid()) as profiler:\n"
        "        block = hold(80)\n"
        "        time.sleep(0.5)\n"
        "        raise MemoryError('as if it were too much')\n"
        "except MemoryError:\n"
        "    values = profiler.profile.rss_mib.values\n"
        "    say(values[0], values.max())"
    )
    first_mib, peak_mib = read_floats(process)
    assert peak_mib - first_mib == pytest.approx(80, abs=4)


def test_the_peak_survives_a_kill_of_the_watched_program(start: Start) -> None:
    with Profiler() as profiler:
        process = start("block = hold(120)\ntime.sleep(1)\nsay(0)\ntime.sleep(60)")
        profiler.watch(process.pid)
        read_floats(process)
        process.kill()
        process.wait()
    assert profiler.profile.rss_mib.peak == pytest.approx(130, abs=10)
    assert profiler.profile.n_processes.values[-1] == 0
    assert profiler.profile.sampler_error == ""


def test_the_peak_survives_a_kill_of_whoever_watches(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    process = start(
        "from pathlib import Path\nfrom evalkit.profiling.profiler import Profiler\n"
        "profiler = Profiler(os.getpid(), path=Path(sys.argv[1]))\nprofiler.start()\n"
        "say(profiler._process.pid)\nblock = hold(120)\ntime.sleep(1)\nsay(0)\ntime.sleep(60)",
        str(path),
    )
    sampler = psutil.Process(int(read_floats(process)[0]))
    read_floats(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    sampler.wait(20)
    peak_mib = read_profile(path).rss_mib.peak
    assert peak_mib is not None
    assert peak_mib > 125


def test_the_piece_of_work_that_a_kill_ended_is_found_by_its_mark(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    process = start(
        "from pathlib import Path\nfrom evalkit.profiling.profiler import Profiler\n"
        "profiler = Profiler(os.getpid(), path=Path(sys.argv[1]))\nprofiler.start()\n"
        "def look(): profiler.slice(time.monotonic())\n"
        "block = hold(150)\nlook()\nsay(0)\nwait()\nblock.close()\n"
        "profiler.mark()\nblock = hold(50)\nlook()\nsay(0)\ntime.sleep(60)",
        str(path),
    )
    read_floats(process)
    assert read_last_piece(path) is None
    go_on(process)
    read_floats(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    piece, whole = read_last_piece(path, wait_s=20.0), read_profile(path)
    assert piece is not None
    assert piece.rss_mib.peak is not None
    assert whole.rss_mib.peak is not None
    assert 50 < whole.rss_mib.peak - piece.rss_mib.peak < 150
    assert piece.duration_s > 0.2
    assert piece.n_processes.values[-1] == 0  # the sampler looked once more
    assert b'"end"' in path.read_bytes().splitlines()[-1]


def test_a_kill_of_whoever_watches_leaves_no_private_record(start: Start) -> None:
    process = start(
        "from evalkit.profiling.profiler import Profiler\nprofiler = Profiler(os.getpid())\nprofiler.start()\n"
        "say(profiler._process.pid)\nsay(profiler.path)\ntime.sleep(60)"
    )
    sampler = psutil.Process(int(read_floats(process)[0]))
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    assert path.exists()
    process.kill()
    process.wait()
    sampler.wait(20)
    assert not path.exists()


def test_the_death_of_the_sampler_is_reported_and_what_it_saw_is_kept(start: Start) -> None:
    with Profiler() as profiler:
        process = start("block = hold(50)\ntime.sleep(1)\nsay(0)\ntime.sleep(60)")
        profiler.watch(process.pid)
        read_floats(process)
        time.sleep(0.3)
        assert profiler._process is not None
        profiler._process.kill()
        time.sleep(0.3)
    profile = profiler.profile
    assert profile.rss_mib.peak == pytest.approx(60, abs=8)
    assert profile.sampler_error == "the sampler died (signal SIGKILL)"
    assert profile.coverage < 1
    assert any("the sampler died" in note for note in profile.notes())


def test_a_sampler_that_cannot_write_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"did not start.*No such file"):
        Profiler(path=tmp_path / "no" / "folder.jsonl").start()


def test_a_full_disk_ends_the_sampler_with_its_reason() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(ProfileError, match="No space left"):
        Profiler(path=Path("/dev/full")).start()


def test_one_profiler_serves_many_pieces_of_work(start: Start) -> None:
    sizes_mib = [40, 80, 20]
    with Profiler() as profiler:
        for size_mib in sizes_mib:
            start_s = time.monotonic()
            process = start("block = hold(int(sys.argv[1]))\nsay(0)\nwait()", str(size_mib))
            profiler.watch(process.pid)
            read_floats(process)
            profiler.slice(start_s)  # looks
            go_on(process)
            process.wait()
            ended_s = time.monotonic()
            profile = profiler.slice(start_s)
            assert profile.rss_mib.peak == pytest.approx(size_mib + 10, abs=4)
            assert ended_s - start_s <= profile.duration_s <= time.monotonic() - start_s


def test_a_time_long_past_is_found_in_a_long_record(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    head = {"format": 1, "t": 99.0, "interval_s": 0.01, "gpus": [], "gpu_reason": "no_gpu", "gpu_text": ""}
    lines = [{**head, "oom_kills": 3}]
    lines += [
        {"t": 100 + k / 100, "rss_kib": 1024 * (k % 5000), "n": 1, "oom_kills": 3 + (k > 25_000)}
        for k in range(50_000)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"t":60')
    profile = read_profile(path, 340.0, 360.0)
    assert profile.rss_mib.times_s[[0, -1]] == pytest.approx([0, 20])
    assert len(profile.rss_mib) == 2001
    assert profile.rss_mib.peak == 4999
    assert profile.rss_mib.peak_time_s == pytest.approx(9.99)
    assert profile.n_oom_kills == 1
    assert read_profile(path, 400.0, 410.0).n_oom_kills == 0
    assert len(read_profile(path).rss_mib) == 50_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not a record of a profiler"),
        ("hello\n", "not a record of a profiler"),
        ('{"format":99}\n', "format 99"),
        ('{"format":1,"t":0,"interval_s":1,"gpus":[],"oom_kills":0}\nnoise\n', "is damaged"),
    ],
)
def test_what_is_no_record_is_refused(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "record").write_text(content)
    with pytest.raises(ProfileError, match=words):
        read_profile(tmp_path / "record")


def test_a_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="No such file"):
        read_profile(tmp_path / "record")


def test_a_profile_goes_through_json_and_comes_back(start: Start) -> None:
    with Profiler() as profiler:
        process = start("time.sleep(0.1)")
        profiler.watch(process.pid)
        process.wait()
    plain = json.loads(json.dumps(profiler.profile.to_dict(), allow_nan=False))
    assert Profile.from_dict(plain).to_dict() == plain
    with pytest.raises(ProfileError, match="format 2"):
        Profile.from_dict({**plain, "format": 2})


def test_a_program_that_is_over_before_the_first_look_has_no_memory(start: Start) -> None:
    process = start("")
    process.communicate()
    with Profiler(process.pid) as profiler:
        pass
    assert profiler.profile.rss_mib.peak in {None, 0}
    assert profiler.profile.gpu_reason in {reasons.NO_GPU, None}


def test_a_profiler_at_work_has_no_profile_yet() -> None:
    with pytest.raises(ProfileError, match="still at work"):
        _ = Profiler().profile


def test_what_others_do_on_other_gpus_can_be_left_out() -> None:
    used = Series(np.array([0.0, 1.0]), np.array([10.0, 900.0]))
    both = Profile(1.0, 0.01, gpus=tuple(GpuUse(name, 1000.0, 10.0, used) for name in "ab"), gpu_reason=None)
    assert [index for index, _ in both.used_gpus] == [0, 1]
    assert both.vram_mib.peak == 1780
    own = both.restricted_to([1])
    assert [index for index, _ in own.used_gpus] == [1]
    assert own.vram_mib.peak == 890


def test_looking_needs_time_in_between() -> None:
    with pytest.raises(ProfileError, match="interval_s is 0"):
        Profiler(interval_s=0)


@linux
def test_the_tree_forgets_the_dead_and_never_counts_itself(start: Start) -> None:
    process = start("time.sleep(60)")
    tree = open_process_tree(process.pid)
    assert tree.pids() == {process.pid}
    process.kill()
    process.wait()
    assert tree.rss_kib() == (0, 0)
    assert tree.pids() == set()
    tree.close()
    own = open_process_tree(os.getpid())
    assert os.getpid() not in own.pids()
    own.close()


def test_the_sampler_starts_with_little() -> None:
    code = "import sys, evalkit.profiling.sampler; print([m for m in ('numpy', 'scipy', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
