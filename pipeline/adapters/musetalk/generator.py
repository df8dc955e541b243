"""MuseTalk 1.5 as a generator: ``scripts/inference.py`` of https://github.com/TMElyralab/MuseTalk."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from pipeline.adapters.musetalk.beliefs import SOURCE
from pipeline.adapters.musetalk.tasks import Batch, Task, can_share_run
from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.adapters.series import Announced
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData
from pipeline.python_checks import CV2, LIBROSA, TORCH, Module, Text
from pipeline.speech.stage import prepare_sound
from pipeline.video import new_video
from pipeline.weights_checks import check_json, check_model_folder, check_s3fd, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from pipeline.diagnosis import Diagnosis
    from pipeline.events import OnEvent
    from pipeline.request import GenerationRequest
    from pipeline.result import GenerationResult


_FFMPEG = "ffmpeg-4.4-amd64-static"
_MAX_FPS = 49
"""From 50 on, its feature of the sound for the last frame is too short."""

_DEFAULTS = {"v15": "models/musetalkV15/unet.pth", "v1": "models/musetalk/pytorch_model.bin"}


class MuseTalkSettings(PresetSettings):
    """As `PresetSettings`, with the model and its files, relative to the checkout unless absolute.

    Weights and their configuration are those of the model where none are given.
    """

    model: Literal["v15", "v1"] = Field(default="v15", description="v15 or v1")
    unet_model_path: str | None = Field(default=None, description="path of the weights, from the checkout")
    unet_config: str | None = Field(
        default=None, description="path of their configuration, from the checkout"
    )
    whisper_dir: str = Field(default="models/whisper", description="path of a folder, from the checkout")
    batch: bool = Field(
        default=False, description="true or false: load the models once for several videos in a row"
    )

    @property
    def weights(self) -> str:
        """Where the weights are, from the checkout."""
        return self.unet_model_path or _DEFAULTS[self.model]

    @property
    def config(self) -> str:
        """Where their configuration is, from the checkout."""
        return self.unet_config or str(PurePosixPath(_DEFAULTS[self.model]).with_name("musetalk.json"))

    @model_validator(mode="after")
    def _weights_are_of_the_model(self) -> Self:
        other = PurePosixPath(_DEFAULTS["v1" if self.model == "v15" else "v15"])
        for name in ("unet_model_path", "unet_config"):
            given = getattr(self, name)
            if given is not None and (
                PurePosixPath(given).parent.name == other.parent.name
                or PurePosixPath(given).name == other.name
            ):
                raise ValueError(
                    f"{name} is {given!r}, which is of the other model: model {self.model} needs {_DEFAULTS[self.model]}"
                )
        return self


_CHEEK = "a whole number from 0 to 256, of 512 across the face, from its middle; model v15 with parsing_mode jaw only"


class MuseTalkOptions(PlainData):
    """Flags of MuseTalk."""

    batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    use_float16: bool | None = Field(default=None, description="true or false")
    bbox_shift: int | None = Field(default=None, description="a whole number of pixels, model v1 only")
    extra_margin: int | None = Field(
        default=None, ge=0, description="a whole number of pixels, model v15 only"
    )
    parsing_mode: Literal["jaw", "neck", "raw"] | None = Field(
        default=None, description="jaw, neck or raw, model v15 only"
    )
    left_cheek_width: int | None = Field(default=None, ge=0, le=256, description=_CHEEK)
    right_cheek_width: int | None = Field(default=None, ge=0, le=256, description=_CHEEK)


_CHEEKS = ("left_cheek_width", "right_cheek_width")
_ONLY_IN = {
    "bbox_shift": "v1",
    **dict.fromkeys(("extra_margin", "parsing_mode", *_CHEEKS), "v15"),
}


_MODULES = (
    *TORCH,
    Module(
        "torch",
        "<2.6",
        "torch.load of 2.6 refuses resnet18-5c106cde.pth, which is in an old format: `Cannot use weights_only=True`",
        Text("musetalk/utils/face_parsing/resnet.py", "state_dict = torch.load(model_path) #"),
    ),
    Module("torchvision"),
    *CV2,
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
    """MuseTalk 1.5's code with its model v15 or v1: the mouth of a portrait or of a video follows the sound.

    The encoder takes even sides only: a picture loses an odd last row or column, a video is refused.
    """

    name = "musetalk"
    Settings = MuseTalkSettings
    options = MuseTalkOptions
    source = SOURCE
    no_face = r"^Error occurred during processing: (?:division by zero|integer modulo by zero)$"
    summary = "runs scripts/inference.py of MuseTalk 1.5"
    home = "https://github.com/TMElyralab/MuseTalk"
    script = "scripts/inference.py"
    modules = _MODULES
    gives_paths_to_shell = True
    python_versions = ">=3.6"
    encoders = ("aac", "libx264")
    own_ffmpeg = _FFMPEG
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

    def __init__(self, /, **settings: Any) -> None:
        super().__init__(**settings)
        self._batch: Batch | None = None
        self._announced = Announced()

    @property
    def makes_batches(self) -> bool:
        """Whether the setting ``batch`` is on."""
        return self._own.batch

    def announce_upcoming(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Make these in one run when the first of them comes, as far as they differ in person and sound alone."""
        self._announced.learn(requests, folder)

    def close(self) -> None:
        """End a run that is under way."""
        if self._batch is not None:
            self._batch.close()
            self._batch = None

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Make the video, alone or as a task of a run of several; see `Generator.generate`."""
        if not self._own.batch:
            return super().generate(request, out_path, on_event)
        self.check(request)  # so that what is refused ends no run that is under way
        with new_video(out_path) as part:
            if self._batch is None or self._batch.expected[:1] != [request]:
                self.close()
                self._batch = self._begin(request, part.parent.parent)
            batch = self._batch
            try:
                task, timeline = batch.take(on_event)
                self._note(task.program, timeline)
                listener = batch.follow(task, timeline)
                measured = self._take(task.program, listener, part, batch.tail)
                batch.finish(timeline)
            finally:
                if not batch.expected:
                    self.close()
        return self._result(task.program, out_path, timeline, measured)

    def _begin(self, request: GenerationRequest, beside: Path) -> Batch:
        folder, tasks = self._announced.gather(request, beside, shares=can_share_run, prepare=self._prepare)
        return Batch(tasks, self._settings, folder, self._own.time_limit_s * len(tasks))

    def _prepare(self, request: GenerationRequest, own: Path) -> Task:
        """Put what a task needs into its folder; names differ from task to task, since its code keeps frames by them."""
        self._check(request)
        sound = prepare_sound(request, own)
        self._look(request, sound.duration_s)
        work = own / "given"
        work.mkdir()
        program = self._program(request, sound, work / "unused", work, own.name.removeprefix("input"))
        program.prepare()
        return Task(program)

    def _command(self) -> dict[str, Any]:
        own = self._own
        return {
            "argv": self._argv(
                *("-m", "scripts.inference", "--inference_config", "{work}/inference.yaml"),
                *("--result_dir", "{work}/results", "--fps", "{fps}", "--version", own.model),
                *("--unet_model_path", literal(own.weights)),
                *("--unet_config", literal(own.config), "--whisper_dir", literal(own.whisper_dir)),
            ),
            "folder": str(self._in_repository("")),
            "copies": {"image": "face", "audio": "speech"},
            "even_sides": True,
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
            "unet_model_path": self._in_repository(self._own.weights),
            "unet_config": self._in_repository(self._own.config),
            "whisper_dir": self._in_repository(self._own.whisper_dir),
        }

    def _look_at_weights(self) -> Iterable[Diagnosis]:
        paths = self._weights()
        unet, config, whisper = (paths[name] for name in ("unet_model_path", "unet_config", "whisper_dir"))
        yield check_weights(
            "unet_model_path", unet, self._fetch("unet_model_path"), least_mib=_UNET_LEAST_MIB
        )
        yield check_json("unet_config", config, self._fetch("unet_config"))
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

    def _has_ffmpeg(self) -> bool:
        return super()._has_ffmpeg() or (self._in_repository(_FFMPEG) / "ffmpeg").is_file()

    def _notes(self, request: GenerationRequest) -> tuple[str, ...]:
        fps = self._fps(request)
        if fps.is_integer():
            return ()
        drift_ms = 1000 * (fps - int(fps)) / fps
        note = (
            f"its code hears {int(fps)} frames a second and shows {fps:g}: the mouth gains {drift_ms:.0f} ms on the sound "
            "every second; give a video with a whole number of frames a second"
        )
        return (note,)

    def _count_frames(self, request: GenerationRequest, sound_s: float) -> int:
        return int(sound_s * int(self._fps(request)))

    def _look(self, request: GenerationRequest, sound_s: float | None) -> None:
        if sound_s is not None and not self._count_frames(request, sound_s):
            raise RequestError(
                f"the sound lasts {sound_s:.3f} s, less than one frame at {self._fps(request):g} fps"
            )
        super()._look(request, sound_s)

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        fps = self._fps(request)
        if not request.fps.is_integer():
            raise RequestError(f"fps is {request.fps:g}, and MuseTalk takes whole numbers")
        if not 1 <= fps < _MAX_FPS + 1:
            raise RequestError(f"the video would have {fps:g} fps, and MuseTalk makes 1 to {_MAX_FPS}")
        if request.audio is not None and _holds_picture(request.audio):
            raise RequestError(
                f"audio {request.audio!r} holds a picture too, which MuseTalk may take for the one it made: "
                "give the sound alone"
            )
        for name, model in _ONLY_IN.items():
            if request.options.get(name) is not None and model != self._own.model:
                raise RequestError(
                    f"option {name} has no effect with model {self._own.model}, only with {model}"
                )
        for name in _CHEEKS:
            if request.options.get(name) is not None and request.options.get("parsing_mode") not in {
                None,
                "jaw",
            }:
                raise RequestError(
                    f"option {name} has no effect with parsing_mode {request.options['parsing_mode']}"
                )


def _holds_picture(path: str) -> bool:
    """Return whether a sound file holds a moving picture too; a cover is none."""
    import av

    try:
        with av.open(path) as container:
            return any(
                not stream.disposition & av.stream.Disposition.attached_pic
                for stream in container.streams.video
            )
    except (av.error.FFmpegError, OSError):
        return False  # what it is instead is said where it is read as sound
