"""Any program as a generator: an argument template, and patterns that turn its output into events."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, field_validator, model_validator

from pipeline.adapters.template import OUT, check_heeded, fill, placeholders
from pipeline.errors import GenerationError, RequestError
from pipeline.generator import Description, Generator, OnEvent, Plan, Timeline
from pipeline.process import Finished, quote, run_program
from pipeline.request import (
    CLIP,
    FIRST_FRAME,
    SAVED,
    SPEECH,
    EventName,
    GenerationRequest,
    GenerationResult,
    PlainData,
    check_files,
)
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import VideoFacts, measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self


class OptionalArguments(PlainData):
    """Arguments that are there only when a value is: not missing, not false, not empty.

    Attributes
    ----------
    when : str
        Name of the placeholder that decides.
    args : tuple of str
        Templates.
    """

    when: str
    args: tuple[str, ...]


class CommandSettings(PlainData):
    r"""What to run and how to read its output.

    Attributes
    ----------
    argv : tuple
        Program and arguments. ``{name}`` stands for a parameter of the request, an option of its ``options``,
        ``{width}``, ``{height}``, or ``{out}``, the file to write. ``{audio}`` is a sound file also when the request
        has text, which is then spoken by espeak-ng; ``{num_clip}`` is counted from the sound. Paths are absolute.
    events : dict
        Name of an event to a regular expression searched in each line of output. Named groups become its detail;
        ``index`` counts its matches from 0.
    saved_path : str or None
        For a program that chooses its own file name: a regular expression with a group ``path``, searched in each
        line. Instead of ``{out}`` in ``argv``; the file is copied.
    failures : dict
        Kind of failure to a regular expression; the first that is found in the output tells why no video came.
    time_limit_s : float
        Seconds after which it is ended.
    folder : str or None
        Working folder.
    environment : dict
        Variables set for it; templates too.
    version : str
        Of the program, for the results.
    """

    argv: tuple[str | OptionalArguments, ...] = Field(
        min_length=1, description='a list: program, arguments, {"when": name, "args": [...]}'
    )
    events: dict[EventName, str] = Field(
        default_factory=dict, description="event names (small letters, digits, _) to regular expressions"
    )
    saved_path: str | None = Field(
        default=None, description="a regular expression with a group (?P<path>...)"
    )
    failures: dict[str, str] = Field(
        default_factory=lambda: {"out_of_memory": r"(?i)out of memory|OutOfMemoryError"},
        description="kinds of failure to regular expressions",
    )
    time_limit_s: float = Field(default=3600.0, gt=0, description="seconds, above 0")
    folder: str | None = Field(default=None, description="path of a folder")
    environment: dict[str, str] = Field(default_factory=dict, description="variables to texts")
    version: str = Field(default="unknown", description="text")

    @field_validator("events", "failures")
    @classmethod
    def _patterns_compile(cls, patterns: dict[str, str]) -> dict[str, str]:
        for pattern in patterns.values():
            _compile(pattern)
        return patterns

    @model_validator(mode="after")
    def _tells_where_the_video_is(self) -> Self:
        if (OUT in self.placeholders()) == (self.saved_path is not None):
            raise ValueError(
                "argv must say where to write with {out}, or saved_path how to find the file; one of them"
            )
        if self.saved_path is not None and "path" not in _compile(self.saved_path).groupindex:
            raise ValueError(f"saved_path is {self.saved_path!r}; it needs a group (?P<path>...)")
        return self

    def placeholders(self) -> set[str]:
        """Return every name used anywhere."""
        templates = [*self.environment.values()]
        names = set()
        for item in self.argv:
            if isinstance(item, OptionalArguments):
                names.add(item.when)
                templates += item.args
            else:
                templates.append(item)
        return names.union(*map(placeholders, templates))


@dataclass(frozen=True, slots=True)
class _Program:
    argv: tuple[str, ...]
    environment: dict[str, str]


class Command(Generator):
    """Runs any program once for each request.

    Parameters
    ----------
    **settings
        See `CommandSettings`.

    Raises
    ------
    RequestError
        If the settings make no sense.
    """

    name = "command"

    def __init__(self, **settings: Any) -> None:
        self._settings = CommandSettings.read(settings, "setting")
        self._used = self._settings.placeholders()
        self.version = self._settings.version

    def describe(self) -> Description:
        """Say which program it runs and what reaches it."""
        parameters = self._used & set(GenerationRequest.model_fields)
        options: dict[str, JsonValue] = {name: {} for name in sorted(self._own_options())}
        return Description(
            name=self.name,
            version=self.version,
            summary=f"runs {self._settings.argv[0]}",
            parameters=dict.fromkeys(sorted(parameters), "given to the program"),
            options={"type": "object", "properties": options} if options else {},
            settings=CommandSettings.model_json_schema(),
        )

    def check(self, request: GenerationRequest) -> None:
        """Check files, sound, text, that the program is there and sees all that is asked."""
        self._check(request)
        sound = None
        if self._speaks(request):
            sound = SpokenSound(Path("speech.wav"), check_sound(request) or 1.0, (), {})
        self._program(request, sound, Path("video.mp4"))

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return the command line. Text is spoken into a temporary file, to count the clips, and forgotten."""
        self.check(request)
        steps = [f"writes to a hidden folder beside {out_path} and renames when the video is whole"]
        with tempfile.TemporaryDirectory() as folder:
            sound = prepare_sound(request, Path(folder)) if self._speaks(request) else None
        if sound is not None and request.text is not None:
            sound = SpokenSound(out_path.with_suffix(".wav").absolute(), sound.duration_s, (), sound.versions)
            steps.insert(
                0, f"speaks the text, {sound.duration_s:.2f} s, into {sound.path.name} beside the video"
            )
        program = self._program(request, sound, out_path.absolute())
        return Plan(
            steps=tuple(steps),
            argv=program.argv,
            folder=self._settings.folder,
            environment=program.environment,
        )

    def load(self) -> None:
        """Do nothing: the program loads its models for each request."""

    def close(self) -> None:
        """Do nothing: no process outlives `generate`."""

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Run the program and verify what it wrote; see `Generator.generate`."""
        timeline = Timeline(on_event)
        self._check(request)
        with new_video(out_path) as part:
            sound = None
            if self._speaks(request):
                sound = prepare_sound(request, part.parent)
                counted = {"n_clips": request.n_clips(sound.duration_s)} if "num_clip" in self._used else {}
                timeline.mark(SPEECH, duration_s=sound.duration_s, **counted)
            program = self._program(request, sound, part.absolute())
            facts = self._run(
                program, part, timeline, sound_expected=sound is not None or request.text is not None
            )
        if not any(event.name == FIRST_FRAME for event in timeline.events):
            timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        n_clips = sum(event.name == CLIP for event in timeline.events)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            n_clips=n_clips if CLIP in self._settings.events else None,
            events=timeline.events,
            versions={} if sound is None else sound.versions,
            **asdict(facts),
        )

    def _own_options(self) -> set[str]:
        return self._used - set(GenerationRequest.model_fields) - {"width", "height", OUT}

    def _speaks(self, request: GenerationRequest) -> bool:
        """Return whether there is a sound file: one given, or one made of text for a program that takes it."""
        return request.audio is not None or (request.text is not None and "audio" in self._used)

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        check_heeded(request, self._used)
        for name in sorted(self._own_options() - request.options.keys()):
            raise RequestError(f"the command needs {{{name}}}, which is no parameter: give it in options")
        folder = Path(self._settings.folder or ".")
        if not folder.is_dir():
            raise RequestError(
                f"folder {self._settings.folder!r}: there is no such folder to run the command in"
            )

    def _program(self, request: GenerationRequest, sound: SpokenSound | None, out_path: Path) -> _Program:
        values = _values(request, sound, out_path)
        environment = {name: fill(text, values) for name, text in self._settings.environment.items()}
        argv = tuple(fill_all(self._settings.argv, values))
        folder = Path(self._settings.folder or ".")
        bare = Path(argv[0]).name == argv[0]
        if shutil.which(argv[0] if bare else folder / argv[0], path=environment.get("PATH")) is None:
            raise RequestError(f"program {argv[0]!r}: there is no such program, or it may not be run")
        return _Program(argv, {"PYTHONUNBUFFERED": "1", **environment})

    def _run(self, program: _Program, part: Path, timeline: Timeline, *, sound_expected: bool) -> VideoFacts:
        listener = _Listener(self._settings, timeline)
        finished = run_program(
            program.argv,
            on_line=listener.hear,
            time_limit_s=self._settings.time_limit_s,
            folder=self._settings.folder,
            environment=program.environment,
        )
        name = program.argv[0]
        if finished.returncode:
            raise GenerationError(
                f"{name!r} {_explain_status(finished)}; {quote(finished.tail)}", listener.failure or "crashed"
            )
        try:
            if self._settings.saved_path is not None:
                listener.fetch(Path(self._settings.folder or "."), part)
            return measure_video(part, sound_expected=sound_expected)
        except GenerationError as error:
            raise GenerationError(
                f"{name!r} ended as if all were well, but {error}; {quote(finished.tail)}",
                listener.failure or error.kind,
            ) from None


class _Listener:
    """Turns lines of output into events."""

    def __init__(self, settings: CommandSettings, timeline: Timeline) -> None:
        self._settings = settings
        self._timeline = timeline
        self._n_matches = dict.fromkeys(settings.events, 0)
        self._saved: str | None = None
        self.failure: str | None = None

    def hear(self, line: str) -> None:
        for name, pattern in self._settings.events.items():
            match = re.search(pattern, line)
            if match is not None:
                detail: dict[str, JsonValue] = {"index": self._n_matches[name], **match.groupdict()}
                self._timeline.mark(name, **detail)
                self._n_matches[name] += 1
        if self._settings.saved_path is not None:
            match = re.search(self._settings.saved_path, line)
            self._saved = match["path"] if match is not None else self._saved
        if self.failure is None:
            kinds = self._settings.failures.items()
            self.failure = next((kind for kind, pattern in kinds if re.search(pattern, line)), None)

    def fetch(self, folder: Path, part: Path) -> None:
        """Copy the file that the program said it saved."""
        if self._saved is None:
            raise GenerationError(
                "it never said where it saved the video (saved_path matched no line)", "no_output"
            )
        saved = folder / self._saved
        if not saved.is_file():
            raise GenerationError(f"the file it said it saved, {saved}, is not there", "no_output")
        shutil.copyfile(saved, part)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _values(request: GenerationRequest, sound: SpokenSound | None, out_path: Path) -> dict[str, JsonValue]:
    values: dict[str, JsonValue] = {**request.options, **request.to_dict()}
    for name in ("image", "brand_mark"):
        path = getattr(request, name)
        values[name] = None if path is None else str(Path(path).absolute())
    if sound is not None:
        values["audio"] = str(sound.path)
        values["num_clip"] = request.n_clips(sound.duration_s)
    return {**values, "width": request.width, "height": request.height, OUT: str(out_path)}


def fill_all(items: Sequence[str | OptionalArguments], values: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield the words of a command line, templates filled; optional ones only where their value is there."""
    for item in items:
        if isinstance(item, str):
            yield fill(item, values)
        elif values.get(item.when):
            yield from (fill(template, values) for template in item.args)


def _explain_status(finished: Finished) -> str:
    if finished.returncode < 0:
        return f"was ended by signal {-finished.returncode}"
    return f"failed with exit status {finished.returncode}"
