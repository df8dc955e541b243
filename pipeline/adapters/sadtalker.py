"""SadTalker as a generator: ``inference.py`` of https://github.com/OpenTalker/SadTalker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.request import GenerationRequest


class SadTalkerSettings(PresetSettings):
    """As `PresetSettings`, with ``checkpoints``: the folder of weights, relative to the checkout unless absolute."""

    checkpoints: str = Field(
        default="checkpoints", description="path of the folder of weights, from the checkout"
    )


class SadTalkerOptions(PlainData):
    """Flags of SadTalker."""

    size_of_image: Literal[256, 512] | None = Field(default=None, description="256 or 512")
    preprocess: Literal["crop", "extcrop", "resize", "full", "extfull"] | None = Field(
        default=None, description="crop, extcrop, resize, full or extfull"
    )
    still: bool | None = Field(default=None, description="true or false")
    enhancer: Literal["gfpgan", "RestoreFormer"] | None = Field(
        default=None, description="gfpgan or RestoreFormer"
    )
    background_enhancer: Literal["realesrgan"] | None = Field(default=None, description="realesrgan")
    expression_scale: float | None = Field(default=None, ge=0, description="a number from 0")
    pose_style: int | None = Field(default=None, ge=0, le=45, description="a whole number from 0 to 45")
    batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")


class SadTalker(Preset):
    """SadTalker: head motion and expression from sound, drawn at 25 frames a second whatever is asked."""

    name = "sadtalker"
    kind = SadTalkerSettings
    options = SadTalkerOptions
    flags: ClassVar[dict[str, str]] = {"size_of_image": "--size"}
    summary = "runs inference.py of SadTalker"
    home = "https://github.com/OpenTalker/SadTalker"
    modules = ("torch", "torchvision", "cv2", "imageio", "librosa", "pydub", "safetensors", "skimage", "yaml")
    estimates = ResourceEstimate(
        memory=(
            estimate_memory(
                "run", ("all of it", 4 * MIB_PER_GIB, 6 * MIB_PER_GIB, "FAQ 2.3 of Linly-Talker")
            ),
        )
    )
    _own: SadTalkerSettings

    def _command(self) -> dict[str, Any]:
        return {
            "argv": self._argv(
                literal(str(self._in_repository("inference.py"))),
                *("--driven_audio", "{audio}", "--source_image", "{image}", "--result_dir", "{work}/results"),
                *("--checkpoint_dir", literal(str(self._in_repository(self._own.checkpoints)))),
            ),
            "folder": str(self._in_repository("")),
            "copies": {"image": "face", "audio": "speech"},
            "saved_path": r"^The generated video is named: (?P<path>.+)$",
            "events": {"loaded": r"^3DMM Extraction for source image"},
        }

    def _weights(self) -> dict[str, Path]:
        return {"checkpoints": self._in_repository(self._own.checkpoints)}

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        folder = self._in_repository(self._own.checkpoints)
        size = request.options.get("size_of_image") or 256
        manner = str(request.options.get("preprocess") or "crop")
        needed = ["mapping_00109-model.pth.tar" if "full" in manner else "mapping_00229-model.pth.tar"]
        if any(folder.glob("*.safetensors")):
            needed.append(f"SadTalker_V0.0.2_{size}.safetensors")
        missing = [name for name in needed if not (folder / name).is_file()]
        if missing:
            raise RequestError(
                f"size_of_image {size} with preprocess {manner} needs {missing[0]}, which is not in {folder}"
            )
