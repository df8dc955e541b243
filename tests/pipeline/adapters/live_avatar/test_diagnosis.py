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
from pipeline.adapters.live_avatar import diagnosis, generator
from pipeline.adapters.live_avatar.beliefs import SOURCE
from pipeline.adapters.live_avatar.warm_beliefs import SOURCE_WARM
from pipeline.gpu_checks import _SHARED_MEMORY
from pipeline.reach import find_no_way
from tests.pipeline.adapters.set_ups import FakePython, write_ffmpeg, write_weights

from .conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.adapters.live_avatar.generator import LiveAvatar
    from pipeline.beliefs import Source
    from pipeline.diagnosis import Diagnosis
    from tests.pipeline.adapters.live_avatar.conftest import Driver


# As its README has it: libraries with versions, and weights with their sizes in MiB.
LIBRARIES = {
    "torch": "2.8.0+cu128",
    "torchvision": "0.23.0+cu128",
    "flash_attn": "2.8.3",
    "diffusers": "0.35.1",
    "transformers": "4.51.3",
    "peft": "0.17.1",
    "numpy": "1.26.4",
    "safetensors": "0.5.3",
    "huggingface_hub": "0.36.0",
    "decord": "0.6.0",
    "imageio": "2.37.0",
    "imageio_ffmpeg": "0.6.0",
    "librosa": "0.11.0",
    "tqdm": "4.67.1",
    "easydict": "1.13",
    "einops": "0.8.1",
    "ftfy": "6.3.1",
    "regex": "2024.11.6",
    "dashscope": "1.24.0",
    "yaml": "6.0.2",
    "PIL": "11.3.0",
}
SHARDS = [f"diffusion_pytorch_model-0000{number}-of-00004.safetensors" for number in range(1, 5)]
WEIGHTS = {
    **dict.fromkeys(SHARDS, 7800),
    "models_t5_umt5-xxl-enc-bf16.pth": 10835,
    "Wan2.1_VAE.pth": 484,
    "wav2vec2-large-xlsr-53-english/model.safetensors": 1203,
    "google/umt5-xxl/tokenizer.json": 16,
}
CONFIGURATIONS = (
    "config.json",
    "google/umt5-xxl/tokenizer_config.json",
    "wav2vec2-large-xlsr-53-english/config.json",
    "wav2vec2-large-xlsr-53-english/preprocessor_config.json",
    "wav2vec2-large-xlsr-53-english/vocab.json",
)
H200 = gpu_checks.Gpu(0, "NVIDIA H200", total_mib=143771.0, used_mib=0.0, compute_capability=(9, 0))
SetUp = tuple["FakePython", Path, "Callable[..., LiveAvatar]"]


@pytest.fixture
def good(tmp_path: Path, repository: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> SetUp:
    """Give a machine set up as its README says: its Python, the folder of weights, and how to make a driver for it."""

    def refuse(*_: object, **__: object) -> socket.socket:
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "HF_ENDPOINT", "CC"):
        monkeypatch.delenv(name, raising=False)
    show_gpus(monkeypatch, H200)
    folder = repository / "ckpt" / "Wan2.2-S2V-14B"
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    for name, size_mib in WEIGHTS.items():
        write_weights(folder / name, size_mib)
    for name in CONFIGURATIONS:
        (folder / name).write_text("{}")
    index = {"weight_map": {f"layer.{number}": shard for number, shard in enumerate(SHARDS)}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    write_weights(repository / "ckpt" / "liveavatar.safetensors", 1200)
    said = [(it.file, it.text) for it in SOURCE.beliefs + SOURCE_WARM.beliefs]
    said += [(it.where.file, it.where.text) for it in diagnosis.MODULES if it.where and not it.where.module]
    for file, text in said:
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        with (repository / file).open("a", encoding="utf-8") as stream:
            stream.write(f"# {text}\n")
    python = FakePython(tmp_path / "python")
    python.install(**LIBRARIES)
    programs = write_ffmpeg(tmp_path / "bin", "aac", "libx264")
    (programs / "gcc").symlink_to("/bin/true")
    write_believed(repository, SOURCE)

    def make(**settings: Any) -> LiveAvatar:
        environment = {"PATH": f"{programs}:/usr/bin:/bin"}
        return driver(**{"python": str(python.program), "environment": environment, **settings})

    return python, folder, make


def show_gpus(monkeypatch: pytest.MonkeyPatch, *gpus: gpu_checks.Gpu) -> None:
    for module in (gpu_checks, diagnosis, generator):
        monkeypatch.setattr(module, "read_gpus", lambda: (gpus, ""))


def test_nothing_is_invented_on_a_good_one(good: SetUp) -> None:
    _, _, make = good
    assert [finding for finding in make().diagnose() if finding.level != "fine"] == []


def write_believed(repository: Path, *sources: Source) -> None:
    """Write a checkout that says what is believed of it, and nothing else."""
    beliefs = [belief for source in sources for belief in source.beliefs]
    for file in {belief.file for belief in beliefs}:
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        texts = [belief.text for belief in beliefs if belief.file == file]
        (repository / file).write_text("\n".join(texts))


def test_code_that_says_something_else_is_a_warning(good: SetUp, repository: Path) -> None:
    _, _, make = good
    pipeline = repository / "liveavatar" / "models" / "wan" / "causal_s2v_pipeline.py"
    pipeline.write_text(pipeline.read_text().replace("for gpu_id in range(4):", "for gpu_id in range(8):"))
    (found,) = [finding for finding in make().diagnose() if finding.level != "fine"]
    assert found.about == "its code"
    assert "it was read to make four caches on one GPU whatever the steps" in found.found


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (None, ""),
        ("Python", "no gradio"),
        ("gradio", "4.44.1"),
        ("ffprobe", "not on the path"),
        ("its code", "it was read to make a video with generate_wrapper"),
    ],
)
def test_what_a_page_kept_warm_needs_beside(
    about: str | None, words: str, good: SetUp, repository: Path, tmp_path: Path
) -> None:
    python, _, make = good
    write_believed(repository, SOURCE, SOURCE_WARM)
    python.install(gradio="6.31.0")
    probe = tmp_path / "bin" / "ffprobe"
    probe.symlink_to("/bin/true")
    if about == "Python":
        python.remove("gradio")
    elif about == "gradio":
        python.install(gradio="4.44.1")
    elif about == "ffprobe":
        probe.unlink()
    elif about == "its code":
        page = repository / "minimal_inference" / "gradio_app.py"
        page.write_text(page.read_text().replace("fn=generate_wrapper", "fn=make"))
    found = {one.about: one.found for one in make(keep_warm=True).diagnose() if one.level != "fine"}
    assert list(found) == ([] if about is None else [about])
    assert all(words in text for text in found.values())
    if about in {"Python", "ffprobe"}:  # asked for by its page alone
        assert [one for one in make().diagnose() if one.level == "stop"] == []


BROKEN: list[tuple[str, str, str, Callable[[FakePython, Path], Any]]] = [
    *(
        (f"no {name}", "Python", f"no {name}", lambda python, _, name=name: python.remove(name))
        for name in ("flash_attn", "easydict", "einops", "librosa", "ftfy", "dashscope", "imageio_ffmpeg", "regex")
    ),
    ("an old torch", "torch", "flex_attention", lambda python, _: python.install(torch="2.4.1+cu121")),
    ("a torch for the processor", "CUDA", "without CUDA", lambda python, _: python.install(torch="2.8.0+cpu")),
    ("no text encoder", "text encoder", "not there", lambda _, folder: (folder / "models_t5_umt5-xxl-enc-bf16.pth").unlink()),
    ("a tiny VAE", "VAE", "at the least", lambda _, folder: (folder / "Wan2.1_VAE.pth").write_bytes(b"26 bytes")),
    ("a missing shard", "checkpoint", "named in the index", lambda _, folder: (folder / SHARDS[2]).unlink()),
    ("a tokenizer that is none", "tokenizer", "no tokenizer_config", lambda _, folder: (folder / CONFIGURATIONS[1]).unlink()),
    ("no weights of wav2vec", "speech encoder", "neither", lambda _, folder: (folder / "wav2vec2-large-xlsr-53-english/model.safetensors").unlink()),
    ("tiny distilled weights", "distilled weights", "at the least", lambda _, folder: (folder.parent / "liveavatar.safetensors").write_bytes(b"26")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("about", "words", "ruin"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_what_is_broken_is_named_and_nothing_else(
    about: str, words: str, ruin: Callable[[FakePython, Path], Any], good: SetUp
) -> None:
    python, folder, make = good
    ruin(python, folder)
    stops = {finding.about: finding.found for finding in make().diagnose() if finding.level == "stop"}
    assert set(stops) == {about}
    assert words in stops[about]


@pytest.mark.parametrize(
    ("library", "version"),
    [
        ("transformers", "4.57.1"),
        ("transformers", "4.40"),
        ("peft", "0.18.0"),
        ("diffusers", "0.30.3"),
        ("numpy", "2.1.0"),
    ],
)
def test_what_its_list_of_requirements_asks_for_is_a_warning(library: str, version: str, good: SetUp) -> None:
    python, _, make = good
    python.install(**{library: version})
    (found,) = [finding for finding in make().diagnose() if finding.level != "fine"]
    assert (found.level, found.about) == ("warning", library)
    assert "its requirements.txt asks for another" in found.found


@pytest.mark.parametrize(
    ("name", "capability", "fp8", "stops"),
    [
        ("NVIDIA H100", (9, 0), True, set()),
        ("NVIDIA L40S", (8, 9), True, set()),
        ("NVIDIA A100", (8, 0), True, {"capability 8.9"}),
        ("NVIDIA A100", (8, 0), False, set()),
        ("NVIDIA A100", (8, 0), None, set()),
        ("Tesla V100", (7, 0), False, {"capability 8.0"}),
        ("Tesla V100", (7, 0), True, {"capability 8.0", "capability 8.9"}),
        ("a new one", None, True, set()),
    ],
)
def test_a_gpu_that_is_too_old(
    name: str,
    capability: tuple[int, int] | None,
    fp8: bool | None,
    stops: set[str],
    good: SetUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show_gpus(monkeypatch, gpu_checks.Gpu(0, name, 143771.0, 0.0, capability))
    found = [finding for finding in good[2](fp8=fp8).diagnose() if finding.level == "stop"]
    assert {finding.about for finding in found} == stops
    assert all(f"GPU 0 ({name})" in finding.found for finding in found)


def test_weights_that_are_neither_there_nor_to_be_had(good: SetUp) -> None:
    make = good[2]
    found = by_subject(make(lora_path_dmd="Quark-Vision/Live-Avatar").diagnose())["distilled weights"]
    assert found.level == "stop"
    assert "huggingface.co does not answer" in found.found
    mirror = {"HF_ENDPOINT": "https://hf-mirror.com"}
    found = by_subject(make(lora_path_dmd="Quark-Vision/Live-Avatar", environment=mirror).diagnose())[
        "distilled weights"
    ]
    assert "hf-mirror.com does not answer" in found.found
    offline = {"HF_HUB_OFFLINE": "1"}
    found = by_subject(make(lora_path_dmd="Quark-Vision/Live-Avatar", environment=offline).diagnose())[
        "distilled weights"
    ]
    assert (found.level, "HF_HUB_OFFLINE forbids" in found.found) == ("stop", True)


def test_no_compiler_for_what_is_compiled(good: SetUp, tmp_path: Path) -> None:
    bare = {"PATH": str(write_ffmpeg(tmp_path / "bare", "aac"))}
    found = by_subject(good[2](environment=bare).diagnose())["C compiler"]
    assert (found.level, "neither gcc nor clang" in found.found) == ("warning", True)
    calm = good[2](environment=bare, fp8=False, enable_compile=False).diagnose()
    assert "C compiler" not in by_subject(calm)
    named = by_subject(good[2](environment={**bare, "CC": "/nowhere/cc"}).diagnose())["C compiler"]
    assert "CC is '/nowhere/cc'" in named.found


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
    answers = not find_no_way("https://huggingface.co")
    assert levels["distilled weights"] == ("warning" if answers else "stop")  # fetched at the start
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
        "C compiler",
    }
    known |= {"plug-in", "settings", "GPUs here", "this folder", "NCCL variables", str(_SHARED_MEMORY)}
    known |= {f"memory of GPU {index}" for index in range(count_gpus())}
    assert set(levels) <= known
    assert report["stops"] == list(levels.values()).count("stop")


def test_a_repository_with_all_in_place(good: SetUp, repository: Path) -> None:
    found = by_subject(good[2]().diagnose())
    assert found["repository"].level == "fine"
    assert "minimal_inference/s2v_streaming_interact.py" in found["repository"].found
    assert found["checkpoint"].level == found["distilled weights"].level == "fine"
    assert str(repository / "ckpt" / "liveavatar.safetensors") in found["distilled weights"].found
    assert "NCCL variables" not in found  # one GPU talks to nobody
    assert all(f"{name} {version}" in found["Python"].found for name, version in LIBRARIES.items())


def test_pointers_in_place_of_weights(driver: Driver, repository: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9970000000\n"
    (repository / "ckpt/Wan2.2-S2V-14B/config.json").write_text("{}")
    (repository / "ckpt/Wan2.2-S2V-14B/diffusion_pytorch_model.safetensors").write_text(pointer)
    (repository / "ckpt" / "liveavatar.safetensors").write_text(pointer)
    found = by_subject(driver().diagnose())
    for about in ("checkpoint", "distilled weights"):
        assert found[about].level == "stop"
        assert "git-lfs pointer" in found[about].found
        assert "git lfs pull" in found[about].cure


def test_weights_that_were_fetched_before(driver: Driver, repository: Path) -> None:
    place = repository / "ckpt/LiveAvatar/models--Quark-Vision--Live-Avatar/snapshots/abc"
    place.mkdir(parents=True)
    write_weights(place / "liveavatar.safetensors", 1200)
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
    show_gpus(monkeypatch, card)
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
    show_gpus(monkeypatch, card)
    found = by_subject(driver(offload_kv_cache=offload).diagnose())
    assert ("caches of the steps" in found) == warned
    # 40 layers x keys and values x 12 latents of 44 x 24 tokens x 40 heads of 128 x 2 bytes
    assert round(40 * 2 * (12 * 44 * 24) * (40 * 128) * 2 / 2**30, 1) == diagnosis._CACHE_GIB


def test_another_commit_is_told_where_it_says_something_else(good: SetUp, repository: Path) -> None:
    page = repository / SOURCE_WARM.beliefs[0].file
    page.write_text("# written anew\n")
    assert "its code" in by_subject(good[2]().diagnose())
    assert by_subject(good[2]().diagnose())["its code"].level == "fine"  # the page is not what runs
    found = by_subject(good[2](keep_warm=True).diagnose())["its code"]
    assert (found.level, SOURCE_WARM.beliefs[0].text in found.found) == ("warning", True)
    (repository / SOURCE.beliefs[0].file).write_text("# written anew\n")
    assert by_subject(good[2]().diagnose())["its code"].level == "warning"
