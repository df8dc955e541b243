"""MuseTalk 1.5 as a generator: ``scripts/inference.py`` of https://github.com/TMElyralab/MuseTalk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData
from pipeline.python_checks import CV2, LIBROSA, Module, Text
from pipeline.weights_checks import check_model_folder, check_s3fd, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.diagnosis import Diagnosis
    from pipeline.request import GenerationRequest


class MuseTalkSettings(PresetSettings):
    """As `PresetSettings`, with the model and its files, relative to the checkout unless absolute."""

    model: Literal["v15", "v1"] = Field(default="v15", description="v15 or v1")
    unet_model_path: str = Field(
        default="models/musetalkV15/unet.pth", description="path of the weights, from the checkout"
    )
    unet_config: str = Field(
        default="models/musetalkV15/musetalk.json",
        description="path of their configuration, from the checkout",
    )
    whisper_dir: str = Field(default="models/whisper", description="path of a folder, from the checkout")


class MuseTalkOptions(PlainData):
    """Flags of MuseTalk."""

    batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    use_float16: bool | None = Field(default=None, description="true or false")
    bbox_shift: int | None = Field(default=None, description="a whole number of pixels, model v1 only")
    extra_margin: int | None = Field(
        default=None, ge=0, description="a whole number of pixels, model v15 only"
    )
    parsing_mode: Literal["jaw", "raw"] | None = Field(default=None, description="jaw or raw, model v15 only")


_ONLY_IN = {"bbox_shift": "v1", "extra_margin": "v15", "parsing_mode": "v15"}


_MODULES = (
    Module("torch"),
    Module(
        "torch",
        "<2.6",
        "torch.load of 2.6 refuses resnet18-5c106cde.pth, which is in an old format: `Cannot use weights_only=True`",
        Text("musetalk/utils/face_parsing/resnet.py", "state_dict = torch.load(model_path) #"),
    ),
    Module("torchvision"),
    CV2,
    Module("diffusers"),
    Module("einops"),
    *LIBROSA,
    Module("mmpose"),
    Module("mmengine", why="mmpose imports it"),
    Module("mmcv", why="mmpose imports it"),
    Module("mmcv", ">=2.0.0rc4,<=2.1.0", "mmpose 1.1 takes no other", beside="mmpose<1.2"),
    Module("mmdet", why="the network that finds the landmarks is one of its"),
    Module("numpy"),
    Module("omegaconf"),
    Module("scipy"),
    Module("PIL", installed_as=("Pillow",)),
    Module("tqdm"),
    Module("transformers"),
    Module(
        "transformers",
        "<4.52",
        "since 4.52 it refuses to read a pytorch_model.bin, as Whisper's is, with a torch before 2.6",
        Text("utils/import_utils.py", "def check_torch_load_is_safe", "transformers"),
        beside="torch<2.6",
    ),
)
_S3FD = "musetalk/utils/face_detection/detection/sfd/s3fd.pth"
_BESIDE = {
    "models/dwpose/dw-ll_ucoco_384.pth": 100,
    "models/face-parse-bisent/79999_iter.pth": 20,
    "models/face-parse-bisent/resnet18-5c106cde.pth": 20,
}
"""Weights at places that are fixed in its code, with the least size in MiB."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_VAE_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_UNET_LEAST_MIB = 800.0
_VAE_LEAST_MIB = 100.0
_WHISPER_LEAST_MIB = 50.0


class MuseTalk(Preset):
    """MuseTalk 1.5's code with its model v15 or v1: the mouth of a portrait or of a video follows the sound."""

    name = "musetalk"
    kind = MuseTalkSettings
    options = MuseTalkOptions
    summary = "runs scripts/inference.py of MuseTalk 1.5"
    home = "https://github.com/TMElyralab/MuseTalk"
    script = "scripts/inference.py"
    modules = _MODULES
    python_versions = ">=3.6"
    encoders = ("aac", "libx264")
    own_ffmpeg = "ffmpeg-4.4-amd64-static"
    estimates = ResourceEstimate(
        memory=(
            estimate_memory(
                "run", ("all of it", 11 * MIB_PER_GIB, 12 * MIB_PER_GIB, "TMElyralab/MuseTalk #349")
            ),
            estimate_memory(
                "run", ("all of it", 11 * MIB_PER_GIB, 11 * MIB_PER_GIB, "FAQ 2.3 of Linly-Talker")
            ),
        )
    )
    takes_videos = True
    _own: MuseTalkSettings

    def _command(self) -> dict[str, Any]:
        own = self._own
        return {
            "argv": self._argv(
                *("-m", "scripts.inference", "--inference_config", "{work}/inference.yaml"),
                *("--result_dir", "{work}/results", "--fps", "{fps}", "--version", own.model),
                *("--unet_model_path", literal(own.unet_model_path)),
                *("--unet_config", literal(own.unet_config), "--whisper_dir", literal(own.whisper_dir)),
            ),
            "folder": str(self._in_repository("")),
            "copies": {"image": "face", "audio": "speech"},
            "files": {
                "inference.yaml": {
                    "task_0": {
                        "video_path": "{image}",
                        "audio_path": "{audio}",
                        "result_name": "result.mp4",
                    }
                }
            },
            "output": f"{{work}}/results/{own.model}/result.mp4",
            "events": {"loaded": r"^Loaded inference config", "rendering": r"^Starting inference"},
        }

    def _weights(self) -> dict[str, Path]:
        return {
            "unet_model_path": self._in_repository(self._own.unet_model_path),
            "unet_config": self._in_repository(self._own.unet_config),
            "whisper_dir": self._in_repository(self._own.whisper_dir),
        }

    def _look_at_weights(self) -> Iterable[Diagnosis]:
        paths = self._weights()
        unet, config, whisper = (paths[name] for name in ("unet_model_path", "unet_config", "whisper_dir"))
        yield check_weights(
            "unet_model_path", unet, self._fetch("unet_model_path"), least_mib=_UNET_LEAST_MIB
        )
        yield check_weights("unet_config", config, self._fetch("unet_config"))
        cure = f"run download_weights.sh in {self._in_repository('')}"
        yield check_model_folder(
            "whisper_dir",
            whisper,
            ("config.json", "preprocessor_config.json"),
            _WEIGHTS,
            cure,
            least_mib=_WHISPER_LEAST_MIB,
        )
        yield check_model_folder(
            "sd-vae",
            self._in_repository("models/sd-vae"),
            ("config.json",),
            _VAE_WEIGHTS,
            cure,
            least_mib=_VAE_LEAST_MIB,
        )
        for path, least_mib in _BESIDE.items():
            place = self._in_repository(path)
            yield check_weights(place.name, place, cure, least_mib=least_mib)
        yield check_s3fd(self._in_repository(_S3FD), self._own.environment)

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        if not request.fps.is_integer():
            raise RequestError(f"fps is {request.fps:g}, and MuseTalk takes whole numbers")
        for name, model in _ONLY_IN.items():
            if request.options.get(name) is not None and model != self._own.model:
                raise RequestError(
                    f"option {name} has no effect with model {self._own.model}, only with {model}"
                )
