"""Wav2Lip as a generator: ``inference.py`` of https://github.com/Rudrabha/Wav2Lip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pathlib import Path


class Wav2LipSettings(PresetSettings):
    """As `PresetSettings`, with ``checkpoint``: the weights, relative to the checkout unless absolute."""

    checkpoint: str = Field(
        default="checkpoints/wav2lip_gan.pth", description="path of the weights, from the checkout"
    )


class Wav2LipOptions(PlainData):
    """Flags of Wav2Lip."""

    pads: list[int] | None = Field(
        default=None, min_length=4, max_length=4, description="four whole numbers: top, bottom, left, right"
    )
    wav2lip_batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    face_det_batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    nosmooth: bool | None = Field(default=None, description="true or false")


class Wav2Lip(Preset):
    """Wav2Lip: the mouth of a portrait or of a video follows the sound; the picture keeps its size."""

    name = "wav2lip"
    kind = Wav2LipSettings
    options = Wav2LipOptions
    summary = "runs inference.py of Wav2Lip"
    home = "https://github.com/Rudrabha/Wav2Lip"
    modules = ("torch", "cv2", "librosa", "numpy", "scipy", "tqdm")
    takes_videos = True
    _own: Wav2LipSettings

    def _command(self) -> dict[str, Any]:
        return {
            "argv": self._argv(
                literal(str(self._in_repository("inference.py"))),
                *("--checkpoint_path", literal(str(self._in_repository(self._own.checkpoint)))),
                *("--face", "{image}", "--audio", "{audio}", "--outfile", "result.mp4", "--fps", "{fps}"),
            ),
            "folder": "{work}",
            "copies": {"image": "face", "audio": "speech"},
            "files": {"temp/README": "the program keeps its frames here"},
            "output": "result.mp4",
            "events": {"model_loaded": r"^Model loaded"},
        }

    def _weights(self) -> dict[str, Path]:
        return {"checkpoint": self._in_repository(self._own.checkpoint)}
