"""Three well-known programs as generators: what `Command` has to know of each to run it and to read what it says.

Flags, output names and messages are those of the public repositories:

- Wav2Lip: ``inference.py`` of https://github.com/Rudrabha/Wav2Lip
- SadTalker: ``inference.py`` of https://github.com/OpenTalker/SadTalker
- MuseTalk 1.5: ``scripts/inference.py`` of https://github.com/TMElyralab/MuseTalk

Each runs in its own Python, on copies of its inputs under plain names in a folder of the run's own: Wav2Lip tells a
picture from a video by what follows the first dot of the whole path and keeps its frames under one fixed name,
MuseTalk hands paths to a shell.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, JsonValue

from pipeline.adapters.command import Command
from pipeline.diagnosis_checks import check_folder, check_program, check_python, check_weights
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData
from pipeline.request import GenerationRequest

if TYPE_CHECKING:
    from pipeline.diagnosis import Diagnosis
    from pipeline.generator import Description

_PICTURES = (".jpg", ".jpeg", ".png")
_VIDEOS = (".mp4", ".mov", ".avi", ".mkv")
_FAILURES: dict[str, JsonValue] = {
    "no_face": r"Face not detected|Can't get the coeffs of the input|No face is detected",
    "out_of_memory": r"(?i)out of memory|OutOfMemoryError|Image too big to run face detection on GPU",
    "bad_weights": r"invalid load key|PytorchStreamReader failed",
}


class PresetSettings(PlainData):
    """Where the program is.

    Attributes
    ----------
    repository : str
        Folder of its checkout.
    python : str
        The Python that has its libraries.
    time_limit_s : float
        Seconds after which it is ended.
    environment : dict
        Variables set for it, as ``CUDA_VISIBLE_DEVICES``.
    version : str
        Of the checkout, for the results.
    """

    repository: str = Field(description="path of the program's checkout")
    python: str = Field(default="python3", description="path of the Python that has its libraries")
    time_limit_s: float = Field(default=3600.0, gt=0, description="seconds, above 0")
    environment: dict[str, str] = Field(default_factory=dict, description="variables to texts")
    version: str = Field(default="unknown", description="text")


class Preset(Command):
    """A program whose command line is known; subclasses say what is special to it.

    Parameters
    ----------
    **settings
        See the `kind` of the subclass.

    Raises
    ------
    RequestError
        If the settings make no sense.
    """

    kind: ClassVar[type[PresetSettings]]
    """Its settings."""
    options: ClassVar[type[PlainData]]
    """Options of a request; each is left out where it is not given, so that the program's own default holds."""
    flags: ClassVar[dict[str, str]] = {}
    """Option to flag, where that is not ``--option``."""
    summary: ClassVar[str]
    home: ClassVar[str]
    script: ClassVar[str] = "inference.py"
    modules: ClassVar[tuple[str, ...]]
    """What its code imports on the way to a video."""
    estimates: ClassVar[ResourceEstimate] = ResourceEstimate()
    takes_videos: ClassVar[bool] = False

    def __init__(self, /, **settings: Any) -> None:
        self._own = self.kind.read(settings, "setting")
        super().__init__(
            time_limit_s=self._own.time_limit_s,
            environment={name: _literal(text) for name, text in self._own.environment.items()},
            version=self._own.version,
            failures=_FAILURES,
            **self._command(),
        )

    def describe(self) -> Description:
        """Say what reaches the program."""
        return (
            super()
            .describe()
            .model_copy(
                update={
                    "summary": self.summary,
                    "options": self.options.model_json_schema(),
                    "settings": self.kind.model_json_schema(),
                }
            )
        )

    def diagnose(self) -> list[Diagnosis]:
        """Look at its checkout, Python, weights and ffmpeg."""
        repository = self._in_repository("")
        return [
            check_folder(
                "repository",
                repository,
                [self.script],
                f"clone {self.home} and name its folder in repository",
            ),
            check_python(
                self._own.python,
                self.modules,
                repository,
                "make its environment as its README says and name its Python in python",
            ),
            *(
                check_weights(setting, path, f"fetch it as {self.home} says, and name it in {setting}")
                for setting, path in self._weights().items()
            ),
            check_program("ffmpeg", "it joins picture and sound with it", "install ffmpeg"),
        ]

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what others say of its memory, whatever is asked."""
        del request
        return self.estimates

    @abstractmethod
    def _command(self) -> dict[str, Any]:
        """Return the settings of `Command`."""

    @abstractmethod
    def _weights(self) -> dict[str, Path]:
        """Return the weights that must be there, files or folders, by the setting that names them."""

    def _check(self, request: GenerationRequest) -> None:
        if request.image is None:
            raise RequestError(f"{self.name} needs an image: the portrait that shall speak")
        if request.audio is None and request.text is None:
            raise RequestError(f"{self.name} needs audio (a sound file) or text (words to speak)")
        self.options.read(request.options, "option")
        super()._check(request)
        suffix = Path(request.image).suffix.lower()
        allowed = _PICTURES + (_VIDEOS if self.takes_videos else ())
        if suffix not in allowed:
            raise RequestError(
                f"image {request.image!r}: {self.name} knows files by their names, and takes {', '.join(allowed)}"
            )
        if suffix in _VIDEOS and request.fps != GenerationRequest().fps:
            raise RequestError(f"fps is {request.fps:g}, but {self.name} gives a video the frame rate it has")
        if not self._in_repository(self.script).is_file():
            raise RequestError(f"setting repository: there is no file {self._in_repository(self.script)}")
        for setting, path in self._weights().items():
            _refuse_bad_weights(setting, path)

    def _argv(self, *start: str) -> list[Any]:
        """Return the command line: Python, a start, and what the options add."""
        python = self._own.python
        program = str(Path(python).absolute()) if Path(python).name != python else python
        optional = [
            {"when": name, "args": [flag] if field.annotation == bool | None else [flag, f"{{{name}}}"]}
            for name, field in self.options.model_fields.items()
            for flag in [self.flags.get(name, f"--{name}")]
        ]
        return [_literal(program), *start, *optional]

    def _in_repository(self, path: str) -> Path:
        return Path(self._own.repository).absolute() / path


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
                _literal(str(self._in_repository("inference.py"))),
                *("--checkpoint_path", _literal(str(self._in_repository(self._own.checkpoint)))),
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
                _literal(str(self._in_repository("inference.py"))),
                *("--driven_audio", "{audio}", "--source_image", "{image}", "--result_dir", "{work}/results"),
                *("--checkpoint_dir", _literal(str(self._in_repository(self._own.checkpoints)))),
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
                *("--unet_model_path", _literal(own.unet_model_path)),
                *("--unet_config", _literal(own.unet_config), "--whisper_dir", _literal(own.whisper_dir)),
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


def _literal(text: str) -> str:
    """Return a text as a template that gives it back."""
    return text.replace("{", "{{").replace("}", "}}")


def _refuse_bad_weights(setting: str, path: Path) -> None:
    found = check_weights(setting, path, f"name it in {setting}")
    if found.level == "stop":
        raise RequestError(f"setting {setting}: {found.found}: {found.cure}")
