"""GPUs and NCCL's variables, with a stand-in for the driver."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pipeline.gpu_checks import check_gpus, check_nccl, check_visible, list_visible
from pipeline.gpus import read_gpus

FAKE = Path(__file__).parents[1] / "profiling" / "fake_nvml"

Driver = Callable[..., None]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    """Give a function that says which GPUs the driver lists, as pairs of total and used MiB."""
    spec = importlib.util.spec_from_file_location("pynvml", FAKE / "pynvml.py")
    assert spec is not None
    assert spec.loader is not None
    bindings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bindings)
    monkeypatch.setitem(sys.modules, "pynvml", bindings)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    state = tmp_path / "nvml.json"
    monkeypatch.setenv("FAKE_NVML", str(state))

    def tell(*memory_mib: tuple[int, int], **more: Any) -> None:
        gpus = [{"name": "Card", "total_mib": total, "used_mib": used} for total, used in memory_mib]
        state.write_text(json.dumps({"gpus": gpus, **more}))

    return tell


def levels(findings: list[Any]) -> dict[str, str]:
    return {finding.about: finding.level for finding in findings}


def test_each_gpu_with_its_free_memory(driver: Driver) -> None:
    driver((81559, 0), (81559, 60000))
    gpus, why = read_gpus()
    assert [(gpu.index, gpu.name, gpu.free_mib) for gpu in gpus] == [(0, "Card", 81559), (1, "Card", 21559)]
    assert why == ""


def test_the_generation_of_each_gpu_where_the_driver_says(driver: Driver) -> None:
    old = {"total_mib": 24564, "used_mib": 0}
    cards = [{**old, "capability": [8, 6]}, {**old, "fails": {"capability": "NVMLError_NotSupported"}}]
    driver(gpus=cards)
    gpus, _ = read_gpus()
    assert [gpu.compute_capability for gpu in gpus] == [(8, 6), None]


def test_no_driver_is_a_reason_and_no_gpu(driver: Driver) -> None:
    driver(init="NVMLError_LibraryNotFound")
    gpus, why = read_gpus()
    assert gpus == ()
    assert "does not answer" in why
    findings = check_gpus([0], 1000, "somebody")
    assert levels(findings) == {"GPUs": "stop"}
    assert "none" in findings[0].found


def test_enough_of_everything_is_fine(driver: Driver) -> None:
    driver((81559, 500), (81559, 500))
    assert set(levels(check_gpus([0, 1], 76294, "the README")).values()) == {"fine"}


def test_more_gpus_asked_for_than_there_are(driver: Driver) -> None:
    driver((81559, 0))
    findings = check_gpus([0, 1, 2, 3, 4], 1000, "the README")
    assert levels(findings) == {"GPUs": "stop"}
    assert "asked for 0, 1, 2, 3, 4; 1 seen (Card)" in findings[0].found


@pytest.mark.parametrize(("used", "cure"), [(0, "more memory"), (9000, "more memory")])
def test_a_card_that_is_too_small(driver: Driver, used: int, cure: str) -> None:
    driver((24564, used))
    (_, memory) = check_gpus([0], 76294, "the README")
    assert memory.level == "stop"
    assert cure in memory.cure


def test_a_card_that_somebody_else_uses(driver: Driver) -> None:
    driver((81559, 60000))
    (_, memory) = check_gpus([0], 76294, "the README")
    assert memory.level == "stop"
    assert "21.1 of 79.6 GiB free, 74.5 GiB needed (the README)" in memory.found
    assert "end the program that uses it" in memory.cure


def test_gpus_that_were_given_to_somebody_else(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver((81559, 0), (81559, 0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    findings = check_gpus([0], 1000, "the README")
    assert levels(findings)["CUDA_VISIBLE_DEVICES"] == "warning"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert levels(check_gpus([0], 1000, "the README"))["CUDA_VISIBLE_DEVICES"] == "fine"


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "NCCL_" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("pipeline.gpu_checks._SHARED_MEMORY", Path("gone"))


@pytest.mark.usefixtures("no_variables")
def test_shared_memory_as_a_container_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipeline.gpu_checks._SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(psutil, "disk_usage", lambda _: SimpleNamespace(total=64 * 1024**2))
    (finding,) = check_nccl({})
    assert (finding.level, finding.about) == ("warning", str(tmp_path))
    assert "64 MiB" in finding.found
    monkeypatch.setattr(psutil, "disk_usage", lambda _: SimpleNamespace(total=8 * 1024**3))
    assert check_nccl({})[0].level == "fine"


@pytest.mark.usefixtures("no_variables")
def test_nccl_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    (none,) = check_nccl({})
    assert (none.level, none.found) == ("fine", "none set")
    (told,) = check_nccl({"NCCL_DEBUG": "WARN"})
    assert (told.level, told.found) == ("fine", "NCCL_DEBUG=WARN")
    monkeypatch.setenv("NCCL_P2P_DISABLE", "1")
    monkeypatch.setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
    assert levels(check_nccl({})) == {
        "NCCL_P2P_DISABLE": "warning",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "warning",
    }


@pytest.mark.usefixtures("no_variables")
@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("{real}", "fine"),
        ("={real}", "fine"),
        ("nosuch", "stop"),
        ("={real}x", "stop"),
        ("^nosuch", "fine"),
        ("nosuch,{real}", "fine"),
    ],
)
def test_the_network_interface_that_nccl_shall_use(value: str, level: str) -> None:
    real = min(psutil.net_if_addrs())
    (finding,) = check_nccl({"NCCL_SOCKET_IFNAME": value.format(real=real)})
    assert finding.level == level
    assert level == "fine" or real in finding.found


def test_the_gpus_that_a_program_is_given(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver((81559, 0), (81559, 0))
    assert [gpu.index for gpu in list_visible({})] == [0, 1]
    assert [gpu.index for gpu in list_visible({"CUDA_VISIBLE_DEVICES": "1"})] == [1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [gpu.index for gpu in list_visible({})] == [0]
    assert list_visible({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert check_visible({}) == []  # what is inherited, doctor looks at for every generator
    assert levels(check_visible({"CUDA_VISIBLE_DEVICES": "0,1"})) == {"CUDA_VISIBLE_DEVICES": "fine"}
    (found,) = check_visible({"CUDA_VISIBLE_DEVICES": "1, 7"})
    assert (found.level, "there is no GPU 7" in found.found) == ("warning", True)
