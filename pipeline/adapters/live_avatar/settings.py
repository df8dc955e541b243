"""How Live Avatar is set up on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from pipeline.adapters.template import OptionalArguments, placeholders
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pydantic import JsonValue

BATCH_ENTRY = "minimal_inference/batch_eval.py"
"""The script that makes several and loads the model once."""
ENTRY = "minimal_inference/s2v_streaming_interact.py"
"""The script that makes one video, of one GPU and of several."""

PAGE_ENTRY = "minimal_inference/gradio_app.py"
"""Its page, which holds the model and makes what it is asked for."""
HUB_WEIGHTS = "Quark-Vision/Live-Avatar"
"""The distilled weights by their name on the hub, as its own scripts give them."""
LOCAL_WEIGHTS = "ckpt/LiveAvatar/liveavatar.safetensors"
"""Where its README has them downloaded to."""

SINGLE_PORT, MULTI_PORT = 29101, 29102
"""Those of its own scripts."""

_N_DIT_GPUS, _N_MULTI_GPUS = 4, 5
"""What its code asserts on several GPUs: one for each of four steps, and one that decodes."""


class LiveAvatarSettings(PlainData):
    """Where it is and what it runs on. Relative paths of weights and configuration are relative to ``repository``.

    Attributes
    ----------
    repository : str
        Folder of its repository.
    python : str
        Python that has what it needs.
    gpus : tuple of int
        As nvidia-smi counts; they become ``CUDA_VISIBLE_DEVICES``. One is its single-GPU mode. Unless they are given, a
        sweep on ``cuda`` has a slot on each GPU of the machine.
    num_gpus_dit : int or None
        GPUs of the diffusion model; ``None`` for 1 of one, and all but the last, which decodes, of several.
    enable_vae_parallel : bool or None
        Whether the last GPU only decodes; ``None`` for yes on several.
    fp8 : bool or None
        Default of the option of that name; ``None`` for yes, unless a GPU asked for is known to have no eight-bit floats,
        or the batch script runs, which has none.
    offload_kv_cache, enable_compile : bool
        Defaults of the options of the same names.
    master_port : int or None
        Port at which its processes find each other; ``None`` for that of its own scripts. Where a sweep has a slot on
        each GPU, the slot of GPU N adds N.
    ckpt_dir : str
        Folder of Wan2.2-S2V-14B.
    lora_path_dmd : str
        Its ``.safetensors`` file; a name ``owner/repository`` is fetched from the network at the start. The name of its
        own scripts means the file that its README has downloaded, where that is there.
    training_config : str
        YAML file of its repository.
    kv_cache_tokens : int or None
        Where the constant of the condition cache was raised in its code: to how much.
    script : tuple or None
        A script of one's own instead of its entry point: program and arguments, templates as in the ``command`` driver;
        ``{gpus}``, ``{n_gpus}``, ``{num_gpus_dit}``, ``{master_port}``, ``{ckpt_dir}``, ``{lora_path_dmd}``,
        ``{training_config}``, ``{fp8}``, ``{offload_kv_cache}`` and ``{out}`` are there too. Without ``{out}`` the
        video is sought where its code puts it.
    batch : bool
        Make what is expected next and differs in the inputs alone in one run of its batch script, which loads the model
        once and has neither fp8 nor online decoding. A sweep announces what comes next where videos are made alone: with
        ``device: cuda``, one slot and no separate profiling pass.
    keep_warm : bool
        Start its page (gradio) once and have it make all videos that are asked for one after the other and differ in inputs,
        ``num_clip`` and ``base_seed`` alone: the model is loaded and compiled once. Another configuration starts it anew;
        a sweep keeps those of one together where `batch` would be of use.
    require_face : bool
        Refuse a portrait in which no face is found. Its own code looks for none, and one of its examples, a cyclops, has none.
    environment : dict
        Variables beside those that are always set; keys and tokens are refused, and inherited from where evalkit is
        started.
    time_limit_s : float
        Seconds after which a video is given up; in a batch, times its videos.
    stall_limit_s : float
        Seconds without a word after which it is given up. Loading, compiling and the decoding at the end on one GPU
        are silent.
    """

    repository: str = Field(min_length=1, description="the folder of the Live Avatar repository")
    python: str = Field(default="python", min_length=1, description="path or name of its Python")
    gpus: tuple[int, ...] = Field(
        default=(0,), min_length=1, description="a list of different GPU numbers from 0, as nvidia-smi counts"
    )
    num_gpus_dit: int | None = Field(default=None, ge=1, description="a whole number from 1")
    enable_vae_parallel: bool | None = Field(default=None, description="true or false")
    fp8: bool | None = Field(default=None, description="true or false")
    offload_kv_cache: bool = Field(default=False, description="true or false")
    enable_compile: bool = Field(default=True, description="true or false")
    master_port: int | None = Field(default=None, ge=1, le=65535, description="a port from 1 to 65535")
    ckpt_dir: str = Field(default="ckpt/Wan2.2-S2V-14B/", min_length=1, description="path of a folder")
    lora_path_dmd: str = Field(default=HUB_WEIGHTS, min_length=1, description="path of a .safetensors file")
    training_config: str = Field(
        default="liveavatar/configs/s2v_causal_sft.yaml", min_length=1, description="path of a YAML file"
    )
    kv_cache_tokens: int | None = Field(default=None, ge=1, description="a whole number of tokens")
    script: tuple[str | OptionalArguments, ...] | None = Field(
        default=None, min_length=1, description='a list: program, arguments, {"when": name, "args": [...]}'
    )
    batch: bool = Field(default=False, description="true or false")
    keep_warm: bool = Field(default=False, description="true or false")
    require_face: bool = Field(default=True, description="true or false")
    environment: dict[str, str] = Field(default_factory=dict, description="variables to texts")
    time_limit_s: float = Field(default=14400.0, gt=0, description="seconds, above 0")
    stall_limit_s: float = Field(default=1800.0, gt=0, description="seconds, above 0")

    @field_validator("gpus")
    @classmethod
    def _gpus_are_different(cls, gpus: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(gpus)) < len(gpus) or min(gpus) < 0:
            raise ValueError("a GPU is listed twice")
        return gpus

    @model_validator(mode="after")
    def _its_code_would_start(self) -> Self:
        self.placeholders()
        if self.batch and (self.fp8 or self.script is not None):
            raise ValueError(
                "batch: its batch script has no fp8 and cannot be a script of yours; leave fp8 and script out"
            )
        if self.keep_warm and (self.batch or self.script is not None):
            raise ValueError(
                "keep_warm: its page is neither its batch script nor a script of yours; set batch to false and script to nothing"
            )
        if self.script is not None:
            return self
        if len(self.gpus) == 1:
            if self.num_gpus_dit not in {None, 1} or self.enable_vae_parallel:
                raise ValueError(
                    "num_gpus_dit and enable_vae_parallel have no effect on one GPU: leave them out, or give more gpus"
                )
        elif len(self.gpus) != _N_MULTI_GPUS or self.n_gpus_dit != _N_DIT_GPUS or not self.decodes_apart:
            raise ValueError(
                f"{len(self.gpus)} gpus with num_gpus_dit {self.n_gpus_dit}: its code runs on 1, or on {_N_MULTI_GPUS} "
                f"with num_gpus_dit {_N_DIT_GPUS} and enable_vae_parallel; a variant of your own goes into script"
            )
        return self

    @property
    def entry(self) -> str:
        """Its script that is run, relative to the repository."""
        if self.keep_warm:
            return PAGE_ENTRY
        return BATCH_ENTRY if self.batch else ENTRY

    @property
    def is_single(self) -> bool:
        """Whether it runs on one GPU."""
        return len(self.gpus) == 1

    @property
    def decodes_apart(self) -> bool:
        """Whether the last GPU only decodes."""
        return not self.is_single if self.enable_vae_parallel is None else self.enable_vae_parallel

    @property
    def n_gpus_dit(self) -> int:
        """GPUs of the diffusion model."""
        if self.num_gpus_dit is not None:
            return self.num_gpus_dit
        return len(self.gpus) - (self.decodes_apart and not self.is_single)

    @property
    def compiles(self) -> bool:
        """Whether each process compiles something before its first frame: the model, or what makes numbers of eight bits."""
        return self.enable_compile or bool(self.fp8)

    @property
    def port(self) -> int:
        """Port at which its processes find each other."""
        return self.master_port or (SINGLE_PORT if self.is_single else MULTI_PORT)

    def offloads(self, asked: bool | None) -> bool:
        """Return whether the parts that do not work are moved aside: as asked; unasked as its own scripts do, on one GPU."""
        return self.is_single if asked is None else asked

    def settle(self, *, gpus_have_fp8: bool) -> Self:
        """Return the settings with what they leave open filled in.

        Parameters
        ----------
        gpus_have_fp8 : bool
            Whether the GPUs have eight-bit floats, for all that is known.
        """
        changes: dict[str, bool | str] = {}
        if self.fp8 is None:
            changes["fp8"] = gpus_have_fp8 and not self.batch
        if self.lora_path_dmd == HUB_WEIGHTS and (Path(self.repository) / LOCAL_WEIGHTS).is_file():
            changes["lora_path_dmd"] = LOCAL_WEIGHTS
        return self.model_copy(update=changes)

    def placeholders(self) -> set[str]:
        """Return every name used in ``script``."""
        names = set()
        for item in self.script or ():
            if isinstance(item, OptionalArguments):
                names.add(item.when)
                names.update(*map(placeholders, item.args))
            else:
                names.update(placeholders(item))
        return names

    def values(self) -> dict[str, JsonValue]:
        """Return what ``script`` can use of them."""
        return {
            "gpus": ",".join(map(str, self.gpus)),
            "n_gpus": len(self.gpus),
            "num_gpus_dit": self.n_gpus_dit,
            "master_port": self.port,
            "ckpt_dir": self.ckpt_dir,
            "lora_path_dmd": self.lora_path_dmd,
            "training_config": self.training_config,
            "python": self.python,
        }


class LiveAvatarOptions(PlainData):
    """What a request may set apart from the settings, so that a sweep can vary it.

    Attributes
    ----------
    fp8 : bool or None
        Eight-bit linear layers: less memory, perhaps a lesser picture.
    offload_kv_cache : bool or None
        Keep the caches of the steps in the host's memory; one GPU only.
    enable_compile : bool or None
        Compile the model; the first video takes longer.
    """

    fp8: bool | None = Field(default=None, description="true or false")
    offload_kv_cache: bool | None = Field(default=None, description="true or false")
    enable_compile: bool | None = Field(default=None, description="true or false")

    def over(self, settings: LiveAvatarSettings) -> LiveAvatarSettings:
        """Return the settings with these in their place."""
        given = {name: value for name, value in self.to_dict().items() if value is not None}
        return settings.model_copy(update=given)
