"""Where videos are made, and who has a device to itself."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from evalkit.errors import UsageError
from evalkit.execution.jobs import Slot
from evalkit.execution.slots import (
    choose_environment,
    count_gpus,
    find_cores,
    find_device,
    find_gpu,
    is_alone,
    make_slots,
    split_cores,
)


@pytest.mark.parametrize(
    ("kinds", "alone"),
    [
        ([("cpu", None)], [True]),
        ([("cpu", None), ("cpu", None)], [False, False]),
        ([("cpu", 1), ("cpu", 1)], [True, True]),
        ([("cpu", 1), ("cpu", None)], [False, False]),
        ([("cuda", None)], [True]),
        ([("cuda", None), ("cuda", None)], [False, False]),
        ([("cuda:0", None), ("cuda:1", None)], [True, True]),
        ([("cuda:0", None), ("cuda:1", None), ("cuda:1", None)], [True, False, False]),
        ([("cuda:0", 1), ("cuda:0", 1)], [False, False]),
        ([("cuda:0", None), ("cuda", None)], [False, False]),
    ],
)
def test_a_slot_is_alone_where_nobody_uses_its_device(
    kinds: list[tuple[str, int | None]], alone: list[bool]
) -> None:
    slots = make_slots(("", device, cores) for device, cores in kinds)
    assert [is_alone(slot, slots) for slot in slots] == alone


def test_slots_have_names_and_cores_of_their_own() -> None:
    slots = make_slots([("", "cuda:0", 2), ("", "cuda:1", None), ("big", "cpu", 3), ("", "cpu", 1)])
    assert [slot.name for slot in slots] == ["cuda:0", "cuda:1", "big", "cpu"]
    assert [(slot.cores, slot.first_core) for slot in slots] == [(2, 0), (None, 0), (3, 2), (1, 5)]
    with pytest.raises(UsageError, match="two slots are called 'a'"):
        make_slots([("a", "cpu", None), ("a", "cpu", None)])


def test_slots_that_are_placed_elsewhere_are_alone_and_count_their_cores_from_the_first() -> None:
    slots = make_slots([("", "cpu", 2), ("", "cpu", 2), ("big", "cpu", None)], own_device=True)
    assert [(slot.name, slot.cores, slot.first_core) for slot in slots] == [
        ("cpu-0", 2, 0),
        ("cpu-1", 2, 0),
        ("big", None, 0),
    ]
    assert all(is_alone(slot, slots) for slot in slots)
    (slot,) = make_slots([("", "cuda", None)], own_device=True)
    assert slot == Slot("cuda-0", "cuda", own_device=True)


def test_a_slot_sees_its_own_gpu_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = Slot("b", "cuda:1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose_environment(slot) == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert (find_device(slot), find_gpu(slot)) == ("cuda:1", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6, 7")
    assert choose_environment(slot) == {"CUDA_VISIBLE_DEVICES": "7"}
    assert find_gpu(slot) == 7
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # as in the worker
    assert (find_device(slot), find_gpu(slot)) == ("cuda:0", 7)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-3a")
    assert find_gpu(slot) is None
    assert choose_environment(Slot("c", "cuda")) == {}
    assert find_gpu(Slot("c", "cuda")) is None


@pytest.mark.parametrize(
    ("visible", "n"), [("", 0), ("-1", 0), ("NoDevFiles", 0), ("6, 7", 2), ("0,-1,1", 1), ("GPU-3a,MIG-1", 2)]
)
def test_gpus_after_a_name_of_none_are_hidden(monkeypatch: pytest.MonkeyPatch, visible: str, n: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_gpus() == n
    with pytest.raises(UsageError, match=f"shows {n} GPU"):
        choose_environment(Slot("last", f"cuda:{n}"))


@pytest.mark.parametrize(
    ("slot", "there", "parts"),
    [
        (Slot("cpu"), 1, [[0]]),
        (Slot("cpu"), 2, [[0], [1]]),
        (Slot("cpu"), 11, [[0], [1], [2, 3], [4], [5], [6, 7], [8], [9, 10]]),
        (Slot("b", "cpu", 3, 2), 8, [[2], [3], [4]]),
    ],
)
def test_parts_of_a_slot_have_its_cores_between_them(
    slot: Slot, there: int, parts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(there)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * 10**9))
    made = split_cores(slot)
    assert [find_cores(part) for part in made] == parts
    assert len({slot.name, *(part.name for part in made)}) == len(made) + 1


def test_there_are_no_more_parts_than_memory_is_free_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 10**9))
    assert [find_cores(part) for part in split_cores(Slot("cpu"))] == [[0, 1, 2], [3, 4, 5]]
