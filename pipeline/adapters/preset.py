"""What the well-known programs have in common as generators, each of which is a `Command` with its command line known.

Each runs in its own Python, on copies of its inputs under plain names in a folder of the run's own: Wav2Lip distinguishes
a picture from a video by what follows the first dot of the whole path and keeps its frames under one fixed name,
MuseTalk hands paths to a shell. Flags, output names and messages are those of the public repositories.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, JsonValue

from pipeline.adapters.command.generator import Command
from pipeline.diagnosis_checks import check_folder, check_program
from pipeline.errors import RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.options import PlainData
from pipeline.python_checks import Module, check_python
from pipeline.request import GenerationRequest
from pipeline.weights_checks import check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        If a setting cannot be used.
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
    modules: ClassVar[tuple[Module, ...]]
    """What its code imports on the way to a video, in the versions with which it works."""
    python_versions: ClassVar[str] = ""
    """Those that can read its code."""
    encoders: ClassVar[tuple[str, ...]] = ("aac",)
    """What it asks of ffmpeg."""
    own_ffmpeg: ClassVar[str | None] = None
    """Folder in its checkout where it looks for ffmpeg when the path has none."""
    estimates: ClassVar[ResourceEstimate] = ResourceEstimate()
    takes_videos: ClassVar[bool] = False

    def __init__(self, /, **settings: Any) -> None:
        self._own = self.kind.read(settings, "setting")
        super().__init__(
            time_limit_s=self._own.time_limit_s,
            environment={name: literal(text) for name, text in self._own.environment.items()},
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
        """Look at its checkout, Python, libraries, weights and ffmpeg."""
        repository = self._in_repository("")
        return [
            check_folder(
                "repository",
                repository,
                [self.script],
                f"clone {self.home} and name its folder in repository",
            ),
            *check_python(
                self._own.python,
                self.modules,
                repository,
                "make its environment as its README says and name its Python in python",
                environment=self._own.environment,
                versions=self.python_versions,
            ),
            *self._look_at_weights(),
            check_program(
                "ffmpeg",
                "it joins picture and sound with it",
                "install ffmpeg",
                encoders=self.encoders,
                environment=self._own.environment,
                also_in=repository / self.own_ffmpeg if self.own_ffmpeg is not None else None,
            ),
        ]

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
        return [literal(program), *start, *optional]

    def _in_repository(self, path: str) -> Path:
        return Path(self._own.repository).absolute() / path


def literal(text: str) -> str:
    """Return a text as a template that gives it back."""
    return text.replace("{", "{{").replace("}", "}}")


def _refuse_bad_weights(setting: str, path: Path) -> None:
    found = check_weights(setting, path, f"name it in {setting}")
    if found.level == "stop":
        raise RequestError(f"setting {setting}: {found.found}: {found.cure}")
