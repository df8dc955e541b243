"""Which machines are of one kind: those that take the same time for the same work."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.runs.machines import kind_of, machine_kind

H200 = {"name": "NVIDIA H200", "memory_mib": 143771}
T4 = {"name": "Tesla T4", "memory_mib": 15360}
SLOW = {"processor": "slow", "n_cores": 4, "host": "a"}
FAST = {"processor": "fast", "n_cores": 4, "host": "b"}
ALSO_FAST = {**FAST, "host": "c"}
MACHINE: dict[str, Any] = {
    "system": "Linux-6.8.0-45-generic-x86_64-with-glibc2.39",
    "python": "3.12.3",
    "evalkit": "0.1.0",
    "host": "node-1",
    "processor": "EPYC 9654",
    "n_cores": 96,
    "n_cores_available": 16,
    "memory_mib": 773_000,
    "gpus": [H200],
    "driver": "570.124.06",
    "cuda": "12.8",
}


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "node-2"},
        {"system": "Linux-6.8.0-48-generic-x86_64-with-glibc2.39"},
        {"memory_mib": 772_998},
        {"python": "3.12.4", "evalkit": "0.2.0"},
        {"n_cores": 192},
        {"gpus": [{**H200, "memory_mib": 143768}]},
    ],
)
def test_what_does_not_bear_on_times_makes_no_other_kind(changed: dict[str, Any]) -> None:
    assert machine_kind({**MACHINE, **changed}) == machine_kind(MACHINE)


@pytest.mark.parametrize(
    "changed",
    [
        {"processor": "Xeon 8480C"},
        {"n_cores_available": 8},
        {"gpus": [T4]},
        {"gpus": [H200, H200]},
        {"gpus": [{**H200, "memory_mib": 71000}]},
        {"gpus": []},
        {"driver": "550.54.15"},
    ],
)
def test_what_bears_on_times_makes_another_kind(changed: dict[str, Any]) -> None:
    assert machine_kind({**MACHINE, **changed}) != machine_kind(MACHINE)


def test_order_of_the_gpus_makes_no_other_kind() -> None:
    assert machine_kind({**MACHINE, "gpus": [T4, H200]}) == machine_kind({**MACHINE, "gpus": [H200, T4]})


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        ({"processor": "EPYC", "n_cores": 2}, "EPYC, 2 cores"),
        ({"processor": "EPYC", "n_cores": 1, "memory_mib": 100}, "EPYC, 1 core"),
        ({"system": "Linux-6.1"}, "Linux-6.1"),
        ({}, "an unknown machine"),
    ],
)
def test_older_records_have_a_kind_too(recorded: dict[str, Any], kind: str) -> None:
    assert machine_kind(recorded) == kind


def test_a_machine_without_gpus_is_of_the_kind_it_was_before_they_were_recorded() -> None:
    now = {
        "processor": "EPYC",
        "n_cores": 2,
        "n_cores_available": 2,
        "gpus": [],
        "driver": None,
        "cuda": None,
    }
    assert machine_kind(now) == machine_kind({"processor": "EPYC", "n_cores": 2})


@pytest.mark.parametrize(
    ("key", "machines", "kind"),
    [
        ("a", {"a": SLOW, "b": FAST}, "slow, 4 cores"),
        ("", {"a": SLOW, "b": FAST}, None),
        ("", {"b": FAST, "c": ALSO_FAST}, "fast, 4 cores"),
        ("gone", {"a": SLOW}, "unknown machine gone"),
        ("", {}, None),
    ],
)
def test_the_kind_that_a_record_refers_to(key: str, machines: dict[str, Any], kind: str | None) -> None:
    assert kind_of(key, machines) == kind
