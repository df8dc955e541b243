"""What would stop Live Avatar on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.command import build_environment
from pipeline.diagnosis import Diagnosis, warning
from pipeline.diagnosis_checks import (
    check_disk,
    check_folder,
    check_port,
    check_program,
    check_python,
    check_weights,
)
from pipeline.gpu_checks import check_gpus, check_nccl
from pipeline.gpus import read_gpus

if TYPE_CHECKING:
    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings

_MODULES = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "peft",
    "safetensors",
    "decord",
    "imageio",
    "tqdm",
)
"""What its code imports on the way to a video."""

_NEED = {
    False: (80e9 / 2**20, "its README: 80 GB a GPU"),
    True: (48e9 / 2**20, "its README: 48 GB a GPU with fp8"),
}
_CACHE = "ckpt/LiveAvatar"
"""Where its code keeps the weights that it fetches."""
_VIDEO_MIB = 1024.0
_CACHE_GIB = 9.7


def diagnose(settings: LiveAvatarSettings) -> list[Diagnosis]:
    """Look at all it needs; changes nothing, loads nothing."""
    repository = Path(settings.repository)
    need_mib, reason = _NEED[bool(settings.fp8)]
    needed = [
        settings.training_config,
        *([settings.entry] if settings.script is None else _scripts(settings)),
    ]
    found = [
        check_folder(
            "repository",
            repository,
            needed,
            "clone https://github.com/Alibaba-Quark/LiveAvatar and name its folder in repository",
        ),
        check_python(
            settings.python,
            _MODULES,
            repository,
            "make its environment as its README says (Python 3.10, torch 2.8 with CUDA) and name its Python in python",
            on_gpu=True,
        ),
        check_weights(
            "checkpoint",
            repository / settings.ckpt_dir,
            "fetch Wan-AI/Wan2.2-S2V-14B and name the folder in ckpt_dir",
        ),
        _check_lora(repository, settings.lora_path_dmd),
        *check_gpus(settings.gpus, need_mib, reason),
        *_check_caches(settings),
        check_port(settings.port),
        check_program("ffmpeg", "its code joins picture and sound with it", "install ffmpeg"),
        check_disk(repository, _VIDEO_MIB, "a long video"),
    ]
    return found if settings.is_single else [*found, *check_nccl(build_environment(settings))]


def _check_caches(settings: LiveAvatarSettings) -> list[Diagnosis]:
    """Warn where the caches of one GPU take much of its memory: by arithmetic, not by measurement."""
    gpus, _ = read_gpus()
    if not settings.is_single or settings.offload_kv_cache or settings.gpus[0] >= len(gpus):
        return []
    total_mib = gpus[settings.gpus[0]].total_mib
    if total_mib >= _NEED[False][0]:
        return []
    return [
        warning(
            "caches of the steps",
            f"four of {_CACHE_GIB} GiB each at 704*384 (by its code: 40 layers, 12672 tokens), on {total_mib / 1024:.1f} GiB",
            "set offload_kv_cache, or take a smaller size",
        )
    ]


def _scripts(settings: LiveAvatarSettings) -> list[str]:
    words = [word for word in settings.script or () if isinstance(word, str)]
    return [word for word in words if word.endswith((".sh", ".py")) and "{" not in word]


def _check_lora(repository: Path, named: str) -> Diagnosis:
    """Check a local file, or whether a name of the hub has been fetched before."""
    about = "distilled weights"
    place = repository / named
    if place.exists() or named.endswith((".safetensors", ".pt")) or named.startswith(("/", ".")):
        return check_weights(
            about,
            place,
            "fetch liveavatar.safetensors of Quark-Vision/Live-Avatar and name it in lora_path_dmd",
        )
    folder = repository / _CACHE / f"models--{named.replace('/', '--')}"
    fetched = sorted(folder.glob("snapshots/*/*.safetensors"))
    if fetched:
        return check_weights(about, fetched[-1], f"remove {folder}, and it is fetched again")
    return warning(
        about,
        f"{named} is neither a file nor in {repository / _CACHE}: it is fetched from the network at the start",
        "fetch liveavatar.safetensors and name it in lora_path_dmd, where there is no network",
    )
