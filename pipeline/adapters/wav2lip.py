"""Wav2Lip as a generator: ``inference.py`` of https://github.com/Rudrabha/Wav2Lip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.options import PlainData
from pipeline.python_checks import CV2, LIBROSA, Module, Text
from pipeline.weights_checks import check_s3fd, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.diagnosis import Diagnosis


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
    modules = (
        Module("torch"),
        CV2,
        *LIBROSA,
        Module(
            "librosa",
            "<0.10",
            "its audio.py gives librosa.filters.mel its arguments without names, and that takes none since 0.10: "
            "`mel() takes 0 positional arguments`",
            Text("audio.py", "librosa.filters.mel(hp.sample_rate, hp.n_fft"),
        ),
        Module("numpy"),
        Module("scipy"),
        Module("tqdm"),
    )
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

    def _look_at_weights(self) -> Iterable[Diagnosis]:
        for setting, path in self._weights().items():
            yield check_weights(setting, path, self._fetch(setting), least_mib=60)
        yield check_s3fd(self._in_repository("face_detection/detection/sfd/s3fd.pth"), self._own.environment)
