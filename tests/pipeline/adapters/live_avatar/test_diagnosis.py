"""What would stop Live Avatar here: every finding held against the machine, by other means."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from evalkit.cli import main
from pipeline import gpu_checks
from pipeline.adapters.live_avatar import diagnosis
from pipeline.gpu_checks import _SHARED_MEMORY

from .conftest import free_port

if TYPE_CHECKING:
    from pipeline.diagnosis import Diagnosis
    from tests.pipeline.adapters.live_avatar.conftest import Driver


def by_subject(findings: Any) -> dict[str, Diagnosis]:
    found = {finding.about: finding for finding in findings}
    assert len(found) == len(findings)
    return found


def count_gpus() -> int:
    """Ask the driver's own program, not its library."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "-L"], capture_output=True, check=False).stdout
    return sum(line.startswith(b"GPU") for line in listed.splitlines())


def test_a_machine_with_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME"):
        monkeypatch.delenv(name, raising=False)
    port = free_port()
    gone = tmp_path / "LiveAvatar"
    words = [
        "doctor",
        "--generator",
        "live_avatar",
        "--set",
        f"repository={gone}",
        "--set",
        "gpus=[0, 1, 2, 3, 4]",
    ]
    words += [
        "--set",
        "python=no-such-python",
        "--set",
        f"master_port={port}",
        "--json",
        str(tmp_path / "x.json"),
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    report = json.loads((tmp_path / "x.json").read_text("utf-8"))
    levels = {finding["about"]: finding["level"] for finding in report["findings"]}
    told = {finding["about"]: finding["found"] for finding in report["findings"]}

    assert not gone.exists()
    assert levels["repository"] == levels["checkpoint"] == "stop"
    assert str(gone) in told["repository"]
    assert levels["distilled weights"] == "warning"  # fetched at the start: nobody knows yet
    assert shutil.which("no-such-python") is None
    assert levels["Python"] == "stop"
    assert levels["GPUs"] == ("fine" if count_gpus() >= 5 else "stop")
    with socket.socket() as listener:
        listener.bind(("", port))
    assert levels[f"port {port}"] == "fine"
    assert levels["ffmpeg"] == ("stop" if shutil.which("ffmpeg") is None else "fine")
    assert levels["disk"] == ("fine" if shutil.disk_usage(tmp_path).free > 2**30 else "stop")
    known = {
        "repository",
        "checkpoint",
        "distilled weights",
        "Python",
        "GPUs",
        f"port {port}",
        "ffmpeg",
        "disk",
    }
    known |= {"plug-in", "settings", "GPUs here", "this folder", "NCCL variables", str(_SHARED_MEMORY)}
    known |= {f"memory of GPU {index}" for index in range(count_gpus())}
    assert set(levels) <= known
    assert report["stops"] == list(levels.values()).count("stop")


def test_a_repository_with_all_in_place(driver: Driver, repository: Path) -> None:
    found = by_subject(driver().diagnose())
    assert found["repository"].level == "fine"
    assert "minimal_inference/s2v_streaming_interact.py" in found["repository"].found
    assert found["checkpoint"].level == found["distilled weights"].level == "fine"
    assert str(repository / "ckpt" / "liveavatar.safetensors") in found["distilled weights"].found
    assert "NCCL variables" not in found  # one GPU talks to nobody
    modules = [
        "torch",
        "torchvision",
        "diffusers",
        "transformers",
        "peft",
        "safetensors",
        "decord",
        "imageio",
        "tqdm",
    ]
    absent = [name for name in modules if not can_import(name)]
    assert found["Python"].level == ("stop" if absent else "fine")
    assert all(name in found["Python"].found for name in absent or modules)


def can_import(name: str) -> bool:
    """Ask pip's record of what is installed, not the import system."""
    from importlib.metadata import packages_distributions

    return name in packages_distributions()


def test_pointers_in_place_of_weights(driver: Driver, repository: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9970000000\n"
    (repository / "ckpt" / "Wan2.2-S2V-14B" / "models_t5.pth").write_text(pointer)
    (repository / "ckpt" / "liveavatar.safetensors").write_text(pointer)
    found = by_subject(driver().diagnose())
    for about in ("checkpoint", "distilled weights"):
        assert found[about].level == "stop"
        assert "git-lfs pointer" in found[about].found
        assert "git lfs pull" in found[about].cure


def test_weights_that_were_fetched_before(driver: Driver, repository: Path) -> None:
    place = repository / "ckpt/LiveAvatar/models--Quark-Vision--Live-Avatar/snapshots/abc"
    place.mkdir(parents=True)
    (place / "liveavatar.safetensors").write_bytes(bytes(5000))
    found = by_subject(driver(lora_path_dmd="Quark-Vision/Live-Avatar").diagnose())
    assert found["distilled weights"].level == "fine"


def test_a_local_path_that_is_not_there_is_not_fetched(driver: Driver) -> None:
    found = by_subject(driver(lora_path_dmd="/weights/liveavatar.safetensors").diagnose())
    assert found["distilled weights"].level == "stop"


def test_a_script_that_is_not_there(driver: Driver, repository: Path) -> None:
    live = driver(n_gpus=4, script=["bash", "run_4gpu_tpp.sh", "{image}"])
    assert "has no run_4gpu_tpp.sh" in by_subject(live.diagnose())["repository"].found
    (repository / "run_4gpu_tpp.sh").touch()
    assert by_subject(live.diagnose())["repository"].level == "fine"


@pytest.mark.parametrize(
    ("fp8", "need"),
    [(True, "44.7 GiB needed (its README: 48 GB"), (False, "74.5 GiB needed (its README: 80 GB")],
)
def test_the_memory_that_it_needs(
    fp8: bool, need: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = gpu_checks.Gpu(0, "NVIDIA L40S", total_mib=46068.0, used_mib=68.0)
    monkeypatch.setattr(gpu_checks, "read_gpus", lambda: ((card,), ""))
    finding = by_subject(driver(fp8=fp8).diagnose())["memory of GPU 0"]
    assert finding.level == ("fine" if fp8 else "stop")
    assert need in finding.found


@pytest.mark.parametrize(
    ("total_mib", "offload", "warned"), [(46068, False, True), (46068, True, False), (81559, False, False)]
)
def test_caches_that_take_much_of_a_gpu(
    total_mib: float, offload: bool, warned: bool, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = gpu_checks.Gpu(0, "Card", total_mib, 0.0)
    for module in (gpu_checks, diagnosis):
        monkeypatch.setattr(module, "read_gpus", lambda: ((card,), ""))
    found = by_subject(driver(offload_kv_cache=offload).diagnose())
    assert ("caches of the steps" in found) == warned
    # 40 layers x keys and values x 12 latents of 44 x 24 tokens x 40 heads of 128 x 2 bytes
    assert round(40 * 2 * (12 * 44 * 24) * (40 * 128) * 2 / 2**30, 1) == diagnosis._CACHE_GIB
