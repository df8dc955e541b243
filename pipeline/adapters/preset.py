"""What the well-known programs have in common as generators, each of which is a `Command` with its command line known.

Each runs in its own Python, on copies of its inputs under plain names in a folder of the run's own: Wav2Lip distinguishes
a picture from a video by what follows the first dot of the whole path and keeps its frames under one fixed name,
MuseTalk hands paths to a shell. What a driver takes for granted about its program stands in its ``SOURCE``.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pipeline.adapters.command.generator import Command, refuse_other_length
from pipeline.adapters.command.portrait import is_video, read_fps
from pipeline.beliefs import check_beliefs, read_commit
from pipeline.diagnosis import stop
from pipeline.diagnosis_checks import check_disk, check_folder, check_program
from pipeline.errors import RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.gpu_checks import check_visible, list_visible
from pipeline.options import PlainData
from pipeline.python_checks import Module, check_python
from pipeline.request import GenerationRequest
from pipeline.weights_checks import check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.adapters.command.generator import Program
    from pipeline.beliefs import Source
    from pipeline.diagnosis import Diagnosis
    from pipeline.generator import Description
    from pipeline.speech.stage import SpokenSound
    from pipeline.video import MeasuredVideo

_PICTURES = (".jpg", ".jpeg", ".png")
_VIDEOS = (".mp4", ".mov", ".avi", ".mkv")
_FAILURES = {
    "out_of_memory": r"(?i)(?<!warning: )out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED",
    "no_ffmpeg": r"ffmpeg: (?:command )?not found",
    "bad_weights": r"invalid load key|PytorchStreamReader failed|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer",
}
"""What torch and safetensors say, whatever the program."""

_WORK_MIB = 1024.0

_TOLERANCE_S = 0.2
"""Decoders differ by as much in what they make of the ends of a compressed sound."""


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
    version : str or None
        Of the checkout, for the results; the commit it is at where none is given.
    """

    repository: str = Field(description="path of the program's checkout")
    python: str = Field(default="python3", description="path of the Python that has its libraries")
    time_limit_s: float = Field(default=3600.0, gt=0, description="seconds, above 0")
    environment: dict[str, str] = Field(default_factory=dict, description="variables to texts")
    version: str | None = Field(default=None, description="text")


class Preset(Command):
    """A program whose command line is known; subclasses say what is special to it.

    Parameters
    ----------
    **settings
        See the `Settings` of the subclass.

    Raises
    ------
    RequestError
        If a setting cannot be used.
    """

    Settings: ClassVar[type[PresetSettings]]
    """Its settings."""
    options: ClassVar[type[PlainData]]
    """Options of a request; each is left out where it is not given, so that the program's own default holds."""
    words: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Option to its words, where those are not ``--option``, for a truth, or ``--option VALUE``."""
    summary: ClassVar[str]
    home: ClassVar[str]
    script: ClassVar[str] = "inference.py"
    modules: ClassVar[tuple[Module, ...]]
    """What its code imports on the way to a video, in the versions with which it works."""
    python_versions: ClassVar[str] = ""
    """Those that can read its code."""
    encoders: ClassVar[tuple[str, ...]] = ("aac",)
    """What it asks of ffmpeg."""
    gives_paths_to_shell: ClassVar[bool] = False
    """Whether it hands paths of the folder for temporary files to a shell, as they are."""
    own_ffmpeg: ClassVar[str | None] = None
    """Folder in its checkout where it looks for ffmpeg when the path has none."""
    source: ClassVar[Source]
    """The program as it was read."""
    no_face: ClassVar[str]
    """What it says where it finds no face: a regular expression, for where `needs_face` saw one."""
    estimates: ClassVar[ResourceEstimate] = ResourceEstimate()
    takes_videos: ClassVar[bool] = False

    def __init__(self, /, **settings: Any) -> None:
        self._own = self.Settings.read(settings, "setting")
        super().__init__(
            time_limit_s=self._own.time_limit_s,
            environment={name: literal(text) for name, text in self._own.environment.items()},
            version=self._own.version or read_commit(self._in_repository("")) or "unknown",
            failures={"no_face": self.no_face, **_FAILURES},
            needs_face=True,
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
                    "settings": self.Settings.model_json_schema(),
                }
            )
        )

    def diagnose(self) -> list[Diagnosis]:
        """Look at its checkout and what is taken for granted about it, Python, libraries, weights and ffmpeg."""
        repository = self._in_repository("")
        return [
            check_folder(
                "repository",
                repository,
                [self.script],
                f"clone {self.home} and name its folder in repository",
            ),
            *([check_beliefs(repository, self.source)] if (repository / self.script).is_file() else []),
            *check_python(
                self._own.python,
                self.modules,
                repository,
                "make its environment as its README says and name its Python in python",
                environment=self._own.environment,
                versions=self.python_versions,
                gpus=list_visible(self._own.environment),
            ),
            *check_visible(self._own.environment),
            *self._look_at_weights(),
            check_program(
                "ffmpeg",
                "it joins picture and sound with it",
                "install ffmpeg",
                encoders=self.encoders,
                environment=self._own.environment,
                also_in=repository / self.own_ffmpeg if self.own_ffmpeg is not None else None,
            ),
            *self._look_at_work_folder(),
            check_disk(tempfile.gettempdir(), _WORK_MIB, "a long video with its frames"),
        ]

    def _look_at_work_folder(self) -> list[Diagnosis]:
        try:
            self._check_work_folder()
        except RequestError as error:
            return [stop("temporary files", str(error), "set TMPDIR to another folder")]
        return []

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what others measured of its memory, for any request."""
        del request
        return self.estimates

    @abstractmethod
    def _command(self) -> dict[str, Any]:
        """Return the settings of `Command`."""

    @abstractmethod
    def _weights(self) -> dict[str, Path]:
        """Return the weights that must be there, files or folders, by the setting that names them."""

    @abstractmethod
    def _look_at_weights(self) -> Iterable[Diagnosis]:
        """Look at every file of weights that its code opens with the defaults of a request."""

    def _fetch(self, setting: str) -> str:
        return f"fetch it as {self.home} says, and name it in {setting}"

    def _check(self, request: GenerationRequest) -> None:
        if request.image is None:
            raise RequestError(f"{self.name} needs an image: the portrait that is to speak")
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
        if is_video(request.image) and request.fps != GenerationRequest().fps:
            raise RequestError(f"fps is {request.fps:g}, but {self.name} gives a video the frame rate it has")
        if not self._in_repository(self.script).is_file():
            raise RequestError(f"setting repository: there is no file {self._in_repository(self.script)}")
        if not self._has_ffmpeg():
            raise RequestError(
                f"there is no ffmpeg, with which {self.name} joins picture and sound after all its work: install it, or "
                "give a PATH with its folder in the setting environment"
            )
        self._check_work_folder()
        for setting, path in self._weights().items():
            _refuse_bad_weights(setting, path)

    def _check_work_folder(self) -> None:
        folder = tempfile.gettempdir()
        if self.gives_paths_to_shell and not re.fullmatch(r"[\w@%+=:,./-]+", folder):
            raise RequestError(
                f"the folder for temporary files, {folder!r}, holds characters that mean something to a shell, to which "
                f"{self.name} hands paths as they are: set TMPDIR to another one"
            )

    @abstractmethod
    def _count_frames(self, request: GenerationRequest, sound_s: float) -> int:
        """Return the frames that it makes for a sound of so many seconds, as its code counts them."""

    def _fps(self, request: GenerationRequest) -> float:
        """Return the frames a second of what it makes."""
        assert request.image is not None  # noqa: S101 - `_check` has seen to it
        return read_fps(request.image) if is_video(request.image) else request.fps

    def _check_length(
        self, measured: MeasuredVideo, request: GenerationRequest, sound: SpokenSound | None
    ) -> None:
        if sound is not None:
            fps = self._fps(request)
            expected_s = self._count_frames(request, sound.duration_s) / fps
            refuse_other_length(measured, expected_s, _TOLERANCE_S + 2 / fps)

    def _called(self, program: Program) -> str:
        del program
        return self.name

    def _has_ffmpeg(self) -> bool:
        """Return whether the program will find it."""
        return shutil.which("ffmpeg", path=self._own.environment.get("PATH")) is not None

    def _argv(self, *start: str) -> list[Any]:
        """Return the command line: Python, a start, and what the options add."""
        python = self._own.python
        program = str(Path(python).absolute()) if Path(python).name != python else python
        optional = [
            {"when": name, "args": list(self.words.get(name, _words(name, field.annotation)))}
            for name, field in self.options.model_fields.items()
        ]
        return [literal(program), *start, *optional]

    def _in_repository(self, path: str) -> Path:
        return Path(self._own.repository).absolute() / path


def literal(text: str) -> str:
    """Return a text as a template that gives it back."""
    return text.replace("{", "{{").replace("}", "}}")


def _words(option: str, kind: object) -> tuple[str, ...]:
    return (f"--{option}",) if kind == bool | None else (f"--{option}", f"{{{option}}}")


def _refuse_bad_weights(setting: str, path: Path) -> None:
    found = check_weights(setting, path, f"name it in {setting}")
    if found.level == "stop":
        raise RequestError(f"setting {setting}: {found.found}: {found.cure}")
