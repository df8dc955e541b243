"""MuseTalk 1.5 as a generator: ``scripts/inference.py`` of https://github.com/TMElyralab/MuseTalk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pathlib import Path

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


class MuseTalk(Preset):
    """MuseTalk 1.5's code with its model v15 or v1: the mouth of a portrait or of a video follows the sound."""

    name = "musetalk"
    kind = MuseTalkSettings
    options = MuseTalkOptions
    summary = "runs scripts/inference.py of MuseTalk 1.5"
    home = "https://github.com/TMElyralab/MuseTalk"
    script = "scripts/inference.py"
    modules = ("torch", "cv2", "diffusers", "mmpose", "numpy", "omegaconf", "tqdm", "transformers")
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

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        if not request.fps.is_integer():
            raise RequestError(f"fps is {request.fps:g}, and MuseTalk takes whole numbers")
        for name, model in _ONLY_IN.items():
            if request.options.get(name) is not None and model != self._own.model:
                raise RequestError(
                    f"option {name} has no effect with model {self._own.model}, only with {model}"
                )
