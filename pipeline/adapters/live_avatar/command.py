"""The command lines that start Live Avatar."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.settings import ENTRY
from pipeline.adapters.template import OUT, check_used, fill_all
from pipeline.errors import RequestError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings
    from pipeline.request import GenerationRequest

ALL_CLIPS = 10000
"""``--num_clip`` of its own scripts: as many as the sound has."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is started: arguments, and variables beside the inherited ones."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def build_program(
    settings: LiveAvatarSettings, request: GenerationRequest, audio: Path, out_path: Path
) -> Program:
    """Build the command line of one video, as its own scripts have it, or of the user's script.

    Each rank's words are tagged by torchrun (``--tee``), so that it is known which one said them.

    Parameters
    ----------
    settings : LiveAvatarSettings
        With the request's options over them.
    request : GenerationRequest
        What to make.
    audio : Path
        The sound, absolute.
    out_path : Path
        The file to write, absolute; its folder takes torchrun's logs too.

    Raises
    ------
    RequestError
        If a program or script is not there.
    """
    environment = build_environment(settings)
    if settings.script is not None:
        values: dict[str, JsonValue] = {
            **settings.values(),
            **request.to_dict(),
            "num_clip": request.num_clip or ALL_CLIPS,
            "width": request.width,
            "height": request.height,
            "image": None if request.image is None else str(Path(request.image).absolute()),
            "audio": str(audio),
            "fp8": settings.fp8,
            "offload_model": settings.offloads(request.offload_model),
            "offload_kv_cache": settings.offload_kv_cache,
            OUT: str(out_path),
        }
        argv = tuple(fill_all(settings.script, values))
        _check_script(argv, Path(settings.repository))
        return Program(argv, environment)
    python = find_python(settings)
    launcher = launch(settings, python, out_path.parent / "torchrun", ENTRY)
    return Program((*launcher, *_arguments(settings, request, audio, out_path)), environment)


def launch(settings: LiveAvatarSettings, python: str, log_folder: Path, entry: str) -> tuple[str, ...]:
    """Return the words that start an entry point on all GPUs; ``python -m torch.distributed.run`` is torchrun."""
    return (
        python,
        "-m",
        "torch.distributed.run",
        f"--nproc_per_node={len(settings.gpus)}",
        f"--master_port={settings.port}",
        "--tee=3",
        f"--log_dir={log_folder}",
        entry,
    )


def model_arguments(settings: LiveAvatarSettings, request: GenerationRequest) -> list[str]:
    """Return the arguments that every entry point takes and that are the same for all inputs."""
    words = [
        "--task=s2v-14B",
        f"--size={request.size}",
        "--ulysses_size=1",
        f"--offload_model={settings.offloads(request.offload_model)}",
        "--convert_model_dtype",
        f"--ckpt_dir={settings.ckpt_dir}",
        f"--training_config={settings.training_config}",
        "--load_lora",
        f"--lora_path_dmd={settings.lora_path_dmd}",
        f"--infer_frames={request.infer_frames}",
        f"--sample_steps={request.sample_steps}",
        "--sample_guide_scale=0",
        "--sample_solver=euler",
        f"--base_seed={request.base_seed}",
        f"--num_gpus_dit={settings.n_gpus_dit}",
    ]
    words += ["--single_gpu"] if settings.is_single else ["--enable_vae_parallel"]
    words += ["--offload_kv_cache"] if settings.offload_kv_cache else []
    return words


def build_environment(settings: LiveAvatarSettings) -> dict[str, str]:
    """Return the variables of its own scripts; GPUs are numbered as nvidia-smi does."""
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, settings.gpus)),
        "ENABLE_COMPILE": str(settings.enable_compile).lower(),
        "NCCL_DEBUG": "WARN",
        "NCCL_DEBUG_SUBSYS": "OFF",
        "PYTHONUNBUFFERED": "1",
        **settings.environment,
    }


def find_python(settings: LiveAvatarSettings) -> str:
    """Return its Python by name, or absolute where a path is given.

    Raises
    ------
    RequestError
        If there is none.
    """
    python = (
        settings.python
        if Path(settings.python).name == settings.python
        else str(Path(settings.python).absolute())
    )
    if shutil.which(python, path=settings.environment.get("PATH")) is None:
        raise RequestError(f"python {settings.python!r}: there is no such program, or it may not be run")
    return python


def check_script(request: GenerationRequest, settings: LiveAvatarSettings) -> None:
    """Refuse a request that asks for what the user's script would never see.

    Raises
    ------
    RequestError
        Naming the parameter or the option.
    """
    used = settings.placeholders()
    check_used(request.model_copy(update={"options": {}}), used)
    unseen = sorted({"fp8", "offload_kv_cache"} & request.options.keys() - used)
    if unseen:
        raise RequestError(f"the script has no {{{unseen[0]}}} and would never see the option {unseen[0]!r}")


def _arguments(
    settings: LiveAvatarSettings, request: GenerationRequest, audio: Path, out_path: Path
) -> list[str]:
    words = model_arguments(settings, request)
    words += ["--fp8"] if settings.fp8 else []
    words += ["--enable_online_decode"] if request.enable_online_decode else []
    image = "" if request.image is None else str(Path(request.image).absolute())
    return [
        *words,
        f"--num_clip={request.num_clip or ALL_CLIPS}",
        f"--prompt={request.prompt}",
        f"--image={image}",
        f"--audio={audio}",
        f"--save_file={out_path}",
    ]


def _check_script(argv: tuple[str, ...], repository: Path) -> None:
    """Refuse a script that is not there: the program, and words that name a shell or Python script."""
    bare = Path(argv[0]).name == argv[0]
    if shutil.which(argv[0] if bare else repository / argv[0]) is None:
        raise RequestError(f"script: there is no program {argv[0]!r} in {repository}, or it may not be run")
    for word in argv[1:]:
        if word.endswith((".sh", ".py")) and not (repository / word).is_file():
            raise RequestError(f"script: {word!r} is not in {repository}")
