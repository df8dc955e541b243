"""GPUs, by a stand-in for NVIDIA's library that can do what real machines do: containers, several GPUs, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from evalkit.profiling import reasons
from evalkit.profiling.costs import measure_resources
from evalkit.profiling.nvml import GpuReading, Gpus
from evalkit.profiling.profile import Profile
from evalkit.profiling.profiler import Profiler
from evalkit.types import Measurement

from .conftest import Start, Tell

NOT_HERE = 2**22 + 5  # larger than any process id of Linux


def only_reading(pids: set[int]) -> GpuReading:
    (reading,) = Gpus().read(pids)
    return reading


def test_memory_of_the_tree_is_summed_over_its_processes(tell: Tell) -> None:
    tell({"used_mib": 700, "compute": [[11, 100], [12, 150], [99, 400]]})
    assert only_reading({11, 12, 13}).tree_mib == 250
    assert only_reading({11, 12, 13}).used_mib == 700


def test_a_process_in_both_lists_counts_once(tell: Tell) -> None:
    tell({"used_mib": 300, "compute": [[11, 100]], "graphics": [[11, 100], [12, 20]]})
    assert only_reading({11, 12}).tree_mib == 120


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        pytest.param([], None, id="nobody listed, as in many containers"),
        pytest.param([[NOT_HERE, 300]], None, id="ids of the host"),
        pytest.param([[11, None]], None, id="our process without its memory"),
        pytest.param([[os.getpid(), 300]], 0.0, id="somebody else, whom we can see"),
    ],
)
def test_what_the_list_says_of_us(tell: Tell, compute: list[list[Any]], expected: float | None) -> None:
    tell({"used_mib": 300, "compute": compute})
    assert only_reading({11}).tree_mib == expected


def test_units(tell: Tell) -> None:
    tell({"used_mib": 300, "util": 37, "energy_mj": 2500})
    assert only_reading(set()) == GpuReading(300, None, 0.37, 2.5, None)


def test_power_is_read_where_energy_is_not_counted(tell: Tell) -> None:
    tell({"used_mib": 300, "power_mw": 71_000, "fails": {"energy": "NVMLError_NotSupported"}})
    gpus = Gpus()
    (reading,) = gpus.read(set())
    assert (reading.energy_j, reading.power_w) == (None, 71)
    assert gpus.text == ""


def test_with_n_gpus_dear_questions_are_asked_every_nth_time_of_all_at_once(tell: Tell) -> None:
    tell(*({"used_mib": 10 * k, "compute": [[11, k]]} for k in (1, 2, 3)))
    gpus = Gpus()
    looks = [gpus.read({11}) for _ in range(6)]
    assert all([reading.used_mib for reading in look] == [10, 20, 30] for look in looks)
    told = [[reading.tree_mib for reading in look] for look in looks]
    silent = [None, None, None]
    assert told == [silent, silent, [1, 2, 3], silent, silent, [1, 2, 3]]
    assert [reading.tree_mib for reading in gpus.read({11}, closely=True)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("NVMLError_LibraryNotFound", "no_gpu"),
        ("NVMLError_DriverNotLoaded", "no_gpu"),
        ("NVMLError_Unknown", "gpu_unreadable"),
    ],
)
def test_why_there_is_nothing_to_read(tell: Tell, failure: str, reason: str) -> None:
    tell(init=failure)
    gpus = Gpus()
    assert (gpus.reason, gpus.text, gpus.described) == (reason, "as told", [])
    assert gpus.read({11}) == []
    assert reasons.reason_of(reason) in reasons.REASONS


def test_a_driver_without_devices(tell: Tell) -> None:
    tell()
    assert Gpus().reason == "no_gpu"


def test_no_bindings_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus().reason == "no_gpu"


def by_name(profile: Profile) -> dict[str, Measurement]:
    return {measurement.metric.name: measurement for measurement in measure_resources(profile)}


def watch(process: subprocess.Popen[str], *states: Callable[[], None]) -> Profile:
    """Watch a process while one state of the GPUs follows the other; the first is there from the start."""
    first, *others = states
    first()
    with Profiler() as profiler:
        start_s = time.monotonic()
        profiler.watch(process.pid)
        for change in [*others, lambda: None]:
            profile = profiler.slice(start_s)  # which is a close look
            change()
    return profile


def test_two_gpus_their_sum_and_each(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")

    def say(first_mib: int, second_mib: int, energy_mj: int) -> None:
        tell(
            *(
                {
                    "used_mib": 50 + mib,
                    "compute": [[process.pid, mib]],
                    "util": util,
                    "energy_mj": energy_mj,
                }
                for mib, util in ((first_mib, 80), (second_mib, 40))
            ),
            {"used_mib": 50, "util": 99, "energy_mj": 10 * energy_mj, "compute": [[os.getpid(), 5]]},
        )

    profile = watch(
        process, lambda: say(0, 0, 1000), lambda: say(300, 200, 4000), lambda: say(100, 260, 6000)
    )
    found = by_name(profile)
    assert found["profile.peak_vram_mib"].value == 500
    assert {name: values.tolist() for name, values in found["profile.peak_vram_mib"].samples} == {
        "gpu0_mib": [300],
        "gpu1_mib": [260],
    }
    assert found["profile.gpu_util"].value == pytest.approx(0.6)
    assert found["profile.energy_j"].value == pytest.approx(2 * 5.0)
    assert not any("growth" in note for note in profile.notes())


def test_invisible_processes_the_growth_of_the_device_stands_for_them(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")
    profile = watch(
        process,
        lambda: tell({"used_mib": 120, "compute": [[NOT_HERE, 100]]}),
        lambda: tell({"used_mib": 520, "compute": [[NOT_HERE, 100], [NOT_HERE + 1, 400]]}),
    )
    assert by_name(profile)["profile.peak_vram_mib"].value == 400
    assert any("growth of the whole device since 120 MiB" in note for note in profile.notes())


def test_a_gpu_that_nobody_of_ours_uses_is_no_zero(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")
    seen = {"used_mib": 600, "compute": [[os.getpid(), 500]]}
    found = by_name(watch(process, lambda: tell(seen), lambda: tell({**seen, "used_mib": 900})))
    for name in ("peak_vram_mib", "gpu_util", "energy_j"):
        assert found[f"profile.{name}"].reason is reasons.GPU_NOT_USED


def test_an_error_in_the_middle_keeps_what_was_seen(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")
    seen = {"used_mib": 600, "compute": [[process.pid, 500]]}
    broken = dict.fromkeys(("memory", "compute_list", "util", "energy"), "NVMLError_Unknown")
    profile = watch(process, lambda: tell(seen), lambda: tell(seen), lambda: tell({**seen, "fails": broken}))
    assert by_name(profile)["profile.peak_vram_mib"].value == 500
    assert any("could not tell everything: as told" in note for note in profile.notes())
    assert profile.rss_mib.times_s[-1] > profile.gpus[0].used_mib.times_s[-1]


def test_nearly_full_is_a_warning(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")
    full = {"used_mib": 951, "compute": [[process.pid, 900]]}
    profile = watch(process, lambda: tell({"used_mib": 10}), lambda: tell(full))
    assert profile.notes()[0] == ("warning: GPU 0 (Fake GPU) was at 95 % of its 1000 MiB; the limit is 95 %")
    just = watch(process, lambda: tell({"used_mib": 10}), lambda: tell({**full, "used_mib": 950}))
    assert not any("warning" in note for note in just.notes())


def test_power_is_added_up(start: Start, tell: Tell) -> None:
    process = start("time.sleep(60)")
    gpu = {
        "used_mib": 600,
        "compute": [[process.pid, 500]],
        "power_mw": 200_000,
        "fails": {"energy": "NVMLError_NotSupported"},
    }
    profile = watch(process, lambda: tell(gpu), lambda: tell(gpu), lambda: tell(gpu))
    times_s = profile.gpus[0].energy_j.times_s
    energy = by_name(profile)["profile.energy_j"]
    assert energy.value == pytest.approx(200 * (times_s[-1] - times_s[0]))
    assert energy.coverage is not None
    assert 0 < energy.coverage <= 1


@pytest.mark.gpu
def test_a_real_gpu_is_read_and_a_known_tensor_is_seen(start: Start) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU on this machine")
    with Profiler() as profiler:
        process = start(
            "import torch\ntorch.zeros(1, device='cuda'); torch.cuda.synchronize()\ntime.sleep(0.5)\n"
            "say(time.monotonic())\nblock = torch.zeros(2 << 30, dtype=torch.uint8, device='cuda')\n"
            "torch.cuda.synchronize()\nsay(time.monotonic())\ntime.sleep(0.5)"
        )
        profiler.watch(process.pid)
        assert process.stdout is not None
        before_s, held_s = (float(process.stdout.readline()) for _ in range(2))
        process.wait()
        profile = profiler.slice(before_s - 0.2, held_s + 0.4)
    vram = profile.vram_mib
    assert vram.peak is not None
    assert vram.peak - vram.values[vram.times_s < 0.2].max() == pytest.approx(2048, rel=0.01)
