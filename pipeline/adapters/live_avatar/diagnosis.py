"""What would stop Live Avatar on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.beliefs import SOURCE
from pipeline.adapters.live_avatar.command import build_environment
from pipeline.adapters.live_avatar.warm_beliefs import SOURCE_WARM
from pipeline.beliefs import Source, check_beliefs
from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.diagnosis_checks import check_disk, check_folder, check_port, check_program
from pipeline.gpu_checks import check_capability, check_gpus, check_nccl
from pipeline.gpus import read_gpus
from pipeline.python_checks import IMAGEIO_FFMPEG, LIBROSA, TORCH, Module, Text, check_python
from pipeline.weights_checks import check_fetched_weights, check_model_folder, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings

PYTHON_VERSIONS = ">=3.9"
"""Those that can read its code."""
_ASKED_FOR = "its requirements.txt asks for another"
MODULES = (
    *TORCH,
    Module(
        "torch",
        ">=2.5",
        "torch.nn.attention.flex_attention, which it imports, is there since 2.5",
        Text("liveavatar/models/wan/causal_model_s2v.py", "from torch.nn.attention.flex_attention import"),
    ),
    Module("torchvision"),
    Module(
        "torchvision",
        ">=0.19.0",
        _ASKED_FOR,
        Text("requirements.txt", "torchvision>=0.19.0"),
        is_certain=False,
    ),
    Module(
        "flash_attn",
        why="its cross attention asserts that there is one, whatever the settings",
        instead=("flash_attn_interface",),
        where=Text("liveavatar/models/wan/wan_2_2/modules/attention.py", "assert FLASH_ATTN_2_AVAILABLE"),
        installed_as=("flash-attn",),
    ),
    Module("diffusers"),
    Module(
        "diffusers", ">=0.31.0", _ASKED_FOR, Text("requirements.txt", "diffusers>=0.31.0"), is_certain=False
    ),
    Module("transformers"),
    Module(
        "transformers",
        ">=4.49.0,<=4.51.3",
        _ASKED_FOR,
        Text("requirements.txt", "transformers>=4.49.0,<=4.51.3"),
        is_certain=False,
    ),
    Module("peft"),
    Module("peft", "==0.17.1", _ASKED_FOR, Text("requirements.txt", "peft==0.17.1"), is_certain=False),
    Module("numpy"),
    Module("numpy", "<2", _ASKED_FOR, Text("requirements.txt", "numpy>=1.23.5,<2"), is_certain=False),
    Module("safetensors"),
    Module("huggingface_hub", installed_as=("huggingface-hub",)),
    Module("decord"),
    Module("imageio"),
    IMAGEIO_FFMPEG,
    *LIBROSA,
    Module("tqdm"),
    Module("easydict"),
    Module("einops"),
    Module("ftfy"),
    Module("regex"),
    Module("dashscope"),
    Module("yaml", installed_as=("PyYAML",)),
    Module("PIL", installed_as=("Pillow",)),
)
"""What its code imports on the way to a video."""
PAGE_MODULES = (
    Module("gradio", why="its page, which is kept warm, is made with it"),
    Module("gradio", ">=5", "keep_warm speaks to its page as gradio does since version 5"),
)
"""What its page imports beside."""

_NEED = {
    False: (80e9 / 2**20, "its README: 80 GB a GPU"),
    True: (48e9 / 2**20, "its README: 48 GB a GPU with fp8"),
}
_CACHE = "ckpt/LiveAvatar"
"""Where its code keeps the weights that it fetches."""
_LORA = "liveavatar.safetensors"
_LORA_LEAST_MIB = 10.0
_VIDEO_MIB = 1024.0
_CACHE_GIB = 9.7
_GIB = 1024.0
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_DIFFUSION_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


def diagnose(settings: LiveAvatarSettings) -> list[Diagnosis]:
    """Look at all it needs; changes nothing, loads nothing."""
    repository = Path(settings.repository)
    environment = build_environment(settings)
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
        *_check_code(settings, repository),
        *check_python(
            settings.python,
            (*MODULES, *PAGE_MODULES) if settings.keep_warm else MODULES,
            repository,
            "make its environment as its README says (Python 3.10, torch 2.8 with CUDA) and name its Python in python",
            environment=environment,
            versions=PYTHON_VERSIONS,
            gpus=[gpu for gpu in read_gpus()[0] if gpu.index in settings.gpus],
            needs_gpu=True,
        ),
        *_check_checkpoint(repository / settings.ckpt_dir),
        _check_lora(repository, settings.lora_path_dmd, environment),
        *check_gpus(settings.gpus, need_mib, reason),
        *check_capability(
            settings.gpus, (8, 0), "its attention runs in kernels that need", "take a newer GPU"
        ),
        *_check_fp8(settings),
        *_check_caches(settings),
        *_check_compiler(settings, environment),
        check_port(settings.port),
        check_program(
            "ffmpeg",
            "its code joins picture and sound with it",
            "install ffmpeg",
            encoders=("aac",),
            environment=environment,
        ),
        *(_check_ffprobe(environment) if settings.keep_warm else []),
        check_disk(repository, _VIDEO_MIB, "a long video"),
    ]
    return found if settings.is_single else [*found, *check_nccl(environment)]


def _check_ffprobe(environment: Mapping[str, str]) -> list[Diagnosis]:
    purpose = "gradio, which its page is made with, looks at sounds and videos with it"
    cure = "install ffmpeg whole, with ffprobe"
    return [check_program("ffprobe", purpose, cure, environment=environment)]


def _check_code(settings: LiveAvatarSettings, repository: Path) -> list[Diagnosis]:
    """Say whether its code still says what is taken for granted; of a script of the user's own nothing is."""
    if settings.script is not None or not (repository / settings.entry).is_file():
        return []
    beliefs = SOURCE.beliefs + (SOURCE_WARM.beliefs if settings.keep_warm else ())
    return [check_beliefs(repository, Source(SOURCE.home, SOURCE.commit, beliefs))]


def _check_checkpoint(folder: Path) -> Iterable[Diagnosis]:
    """Look at each part of Wan2.2-S2V-14B that its code opens (configs/wan_s2v_14B_modified.py)."""
    cure = "fetch Wan-AI/Wan2.2-S2V-14B and name the folder in ckpt_dir"
    if not folder.is_dir():
        yield check_weights("checkpoint", folder, cure)
        return
    yield check_model_folder(
        "checkpoint", folder, ("config.json",), _DIFFUSION_WEIGHTS, cure, least_mib=8 * _GIB
    )
    text = folder / "models_t5_umt5-xxl-enc-bf16.pth"
    yield check_weights("text encoder", text, cure, least_mib=4 * _GIB)
    yield check_model_folder(
        "tokenizer",
        folder / "google/umt5-xxl",
        ("tokenizer_config.json",),
        ("tokenizer.json", "spiece.model"),
        cure,
        least_mib=1.0,
    )
    yield check_weights("VAE", folder / "Wan2.1_VAE.pth", cure, least_mib=200.0)
    yield check_model_folder(
        "speech encoder",
        folder / "wav2vec2-large-xlsr-53-english",
        ("config.json", "preprocessor_config.json", "vocab.json"),
        _WEIGHTS,
        cure,
        least_mib=500.0,
    )


def _check_fp8(settings: LiveAvatarSettings) -> list[Diagnosis]:
    if not settings.fp8:
        return []
    return check_capability(
        settings.gpus,
        (8, 9),
        "fp8 is on, and eight-bit floats need",
        "set fp8 to false: it needs more memory then",
    )


def _check_compiler(settings: LiveAvatarSettings, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Look for the C compiler with which what torch compiles is built (triton: runtime/build.py)."""
    if not (settings.enable_compile or settings.fp8):
        return []
    about = "C compiler"
    variables = {**os.environ, **environment}
    named = variables.get("CC")
    path = variables.get("PATH")
    place = next(
        filter(None, (shutil.which(name, path=path) for name in ([named] if named else ("gcc", "clang")))),
        None,
    )
    if place is not None:
        return [fine(about, place)]
    found = f"CC is {named!r}, which is not there" if named else "neither gcc nor clang is on the path"
    return [
        warning(
            about,
            f"{found}, and what it compiles (enable_compile, fp8) is built with it",
            "install gcc, or set enable_compile and fp8 to false",
        )
    ]


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


def _check_lora(repository: Path, named: str, environment: Mapping[str, str]) -> Diagnosis:
    """Check a local file, or whether a name of the hub has been fetched before, or can be."""
    about = "distilled weights"
    place = repository / named
    if place.exists() or named.endswith((".safetensors", ".pt")) or named.startswith(("/", ".")):
        cure = f"fetch {_LORA} of Quark-Vision/Live-Avatar and name it in lora_path_dmd"
        return check_weights(about, place, cure, least_mib=_LORA_LEAST_MIB)
    folder = repository / _CACHE / f"models--{named.replace('/', '--')}"
    fetched = sorted(folder.glob("snapshots/*/*.safetensors"))
    if fetched:
        cure = f"remove {folder}, and it is fetched again"
        return check_weights(about, fetched[-1], cure, least_mib=_LORA_LEAST_MIB)
    variables = {**os.environ, **environment}
    url = f"{variables.get('HF_ENDPOINT') or 'https://huggingface.co'}/{named}/resolve/main/{_LORA}"
    if variables.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        found = (
            f"{named} is neither a file nor in {repository / _CACHE}, and HF_HUB_OFFLINE forbids to fetch it"
        )
        return stop(about, found, f"fetch {url} and name the file in lora_path_dmd")
    return check_fetched_weights(
        about,
        [repository / _CACHE / _LORA],
        url,
        least_mib=_LORA_LEAST_MIB,
        environment=environment,
    )
