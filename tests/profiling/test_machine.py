"""What is known of a machine, by a stand-in for NVIDIA's library and by the system's own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.profiling import machine as machine_module
from evalkit.profiling.machine import describe_machine
from evalkit.runs.machines import machine_kind

from .conftest import Tell

GPUS = (
    {"name": "Fast", "total_mib": 80_000, "used_mib": 0, "uuid": "GPU-aaaa-1", "parts": ["MIG-7"]},
    {"name": "Slow", "total_mib": 16_000, "used_mib": 0, "uuid": "GPU-bbbb-2"},
)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Look anew in each test."""
    machine_module._describe.cache_clear()
    machine_module._core_quota.cache_clear()
    yield
    machine_module._describe.cache_clear()
    machine_module._core_quota.cache_clear()


def names(visible: str | None) -> list[str]:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    return [gpu["name"] for gpu in describe_machine(environment)["gpus"]]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["Fast", "Slow"]),
        ("0,1", ["Fast", "Slow"]),
        ("1", ["Slow"]),
        ("1, 0", ["Slow", "Fast"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["Fast"]),
        ("GPU-bbbb", ["Slow"]),
        ("GPU-", []),
        ("MIG-7", ["Fast"]),
        ("MIG-8", []),
    ],
)
def test_only_the_gpus_that_the_process_may_use_are_named(
    tell: Tell, visible: str | None, expected: list[str]
) -> None:
    tell(*GPUS)
    assert names(visible) == expected


def test_gpus_have_memory_driver_and_cuda(tell: Tell) -> None:
    tell(*GPUS, driver="570.1", cuda=12080)
    found = describe_machine({"CUDA_VISIBLE_DEVICES": "1"})
    assert found["gpus"] == [{"name": "Slow", "memory_mib": 16_000}]
    assert (found["driver"], found["cuda"]) == ("570.1", "12.8")


@pytest.mark.parametrize(
    "facts", [{"init": "NVMLError_LibraryNotFound"}, {"init": "NVMLError_Unknown"}, {}], ids=str
)
def test_without_gpus_there_are_none_and_no_driver(tell: Tell, facts: dict[str, Any]) -> None:
    tell(**facts)
    found = describe_machine({})
    assert (found["gpus"], found["driver"], found["cuda"]) == ([], None, None)


def test_an_older_driver_does_not_tell_cuda(tell: Tell) -> None:
    tell(*GPUS)
    assert describe_machine({})["cuda"] is None


def test_slots_on_different_gpus_of_one_machine_are_of_different_kinds(tell: Tell) -> None:
    tell(*GPUS)
    fast, slow = (machine_kind(describe_machine({"CUDA_VISIBLE_DEVICES": index})) for index in "01")
    assert fast.startswith("Fast (78 GiB), driver")
    assert slow.startswith("Slow (16 GiB), driver")


def test_cores_are_those_that_the_work_may_use() -> None:
    assert describe_machine(cores=[0])["n_cores_available"] == 1
    assert describe_machine()["n_cores_available"] <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("said", "n"), [("max 100000", None), ("150000 100000", 2), ("400000 100000", 4), ("1000 100000", 1)]
)
def test_a_container_may_have_less_time_than_cores(tmp_path: Path, said: str, n: int | None) -> None:
    (tmp_path / "cpu.max").write_text(f"{said}\n", "ascii")
    assert machine_module._core_quota(tmp_path) == n


def test_where_the_system_says_nothing_nothing_is_limited(tmp_path: Path) -> None:
    assert machine_module._core_quota(tmp_path) is None
