"""Any program as a generator: an argument template, and patterns that turn its output into events."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from pipeline.adapters.template import OUT, WORK, check_heeded, fill, fill_words, placeholders
from pipeline.errors import GenerationError, RequestError
from pipeline.events import CLIP, FIRST_FRAME, SAVED, SPEECH, EventName, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.options import PlainData
from pipeline.process import Finished, quote, refuse_secrets, run_program
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import VideoFacts, measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self


IN_WORK = f"{{{WORK}}}"


class OptionalArguments(PlainData):
    """Arguments that are there only when a value is: not missing, not false, not empty; 0 is a value.

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
        has text, which is then spoken by espeak-ng; ``{num_clip}`` is counted from the sound. Paths are absolute. A
        list that stands alone in an argument becomes an argument an element.
    events : dict
        Name of an event to a regular expression searched in each line of output. Named groups become its detail;
        ``index`` counts its matches from 0.
    saved_path : str or None
        For a program that chooses its own file name: a regular expression with a group ``path``, searched in each
        line. Instead of ``{out}`` in ``argv``; the file is copied.
    output : str or None
        For a program that builds its file name from others: where the file will be, a template. Instead of
        ``{out}`` and ``saved_path``; the file is copied.
    copies : dict
        ``image``, ``audio`` or ``brand_mark`` to a name: the file is copied into ``{work}`` under that name, with its
        own suffix, and the placeholder is the copy. For programs that take names apart or hand them to a shell.
    files : dict
        Name to plain data, its texts templates: written into ``{work}`` as JSON, which is YAML too.
    failures : dict
        Kind of failure to a regular expression; the first that is found in the output tells why no video came.
    time_limit_s : float
        Seconds after which it is ended.
    folder : str or None
        Working folder. ``{work}``, which may stand in any template, is a new one in the system's folder for
        temporary files, taken away at the end; as the working folder, copies are named relative to it.
    environment : dict
        Variables set for it; templates too. Keys and tokens are refused: what is set where evalkit is started is
        inherited.
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
    output: str | None = Field(default=None, description="a path, a template")
    copies: dict[Literal["image", "audio", "brand_mark"], str] = Field(
        default_factory=dict, description="image, audio or brand_mark to a name without a suffix"
    )
    files: dict[str, JsonValue] = Field(default_factory=dict, description="names to plain data")
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
        ways = (OUT in self.placeholders(), self.saved_path is not None, self.output is not None)
        if sum(ways) != 1:
            raise ValueError(
                "argv must say where to write with {out}, or saved_path or output where the file is; one of them"
            )
        if self.saved_path is not None and "path" not in _compile(self.saved_path).groupindex:
            raise ValueError(f"saved_path is {self.saved_path!r}; it needs a group (?P<path>...)")
        return self

    def placeholders(self) -> set[str]:
        """Return every name used anywhere."""
        optional = [item for item in self.argv if isinstance(item, OptionalArguments)]
        names = {item.when for item in optional}
        return names.union(self.needed(), *(placeholders(text) for item in optional for text in item.args))

    def needed(self) -> set[str]:
        """Return every name without which nothing can be run."""
        templates = [item for item in self.argv if isinstance(item, str)]
        templates += [*self.environment.values(), *_texts_of(self.files)]
        templates += [self.output] if self.output is not None else []
        return set[str]().union(*map(placeholders, templates))


@dataclass(frozen=True, slots=True)
class _Program:
    """What is run, and what has to be in its `work` folder before."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    folder: str | None
    work: Path
    copies: dict[str, Path]
    files: dict[str, JsonValue]
    output: str | None

    def steps(self) -> Iterator[str]:
        """Say how the folder is prepared."""
        if self.copies or self.files:
            yield f"makes the folder {self.work}, to be taken away at the end"
        yield from (f"copies {path} to {self.work / name}" for name, path in self.copies.items())
        yield from (
            f"writes {json.dumps(data, ensure_ascii=False)} to {self.work / name}"
            for name, data in self.files.items()
        )

    def prepare(self) -> None:
        """Fill the folder."""
        for name, path in self.copies.items():
            shutil.copyfile(path, self.work / name)
        for name, data in self.files.items():
            place = self.work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(data, ensure_ascii=False), "utf-8")


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

    def __init__(self, /, **settings: Any) -> None:
        self._settings = CommandSettings.read(settings, "setting")
        refuse_secrets(self._settings.environment)
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
        self._program(request, sound, Path("video.mp4"), Path("work"))

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
        work = Path(tempfile.gettempdir()) / f"{out_path.stem}-work"
        program = self._program(request, sound, out_path.absolute(), work)
        return Plan(
            steps=(*steps, *program.steps()),
            argv=program.argv,
            folder=program.folder,
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
        with new_video(out_path) as part, tempfile.TemporaryDirectory() as work:
            sound = None
            if self._speaks(request):
                sound = prepare_sound(request, part.parent)
                counted = {"n_clips": request.n_clips(sound.duration_s)} if "num_clip" in self._used else {}
                timeline.mark(SPEECH, duration_s=sound.duration_s, **counted)
            program = self._program(request, sound, part.absolute(), Path(work))
            program.prepare()
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
        return self._used - set(GenerationRequest.model_fields) - {"width", "height", OUT, WORK}

    def _speaks(self, request: GenerationRequest) -> bool:
        """Return whether there is a sound file: one given, or one made of text for a program that takes it."""
        return request.audio is not None or (request.text is not None and "audio" in self._used)

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        check_heeded(request, self._used)
        for name in sorted((self._own_options() & self._settings.needed()) - request.options.keys()):
            raise RequestError(f"the command needs {{{name}}}, which is no parameter: give it in options")
        folder = self._settings.folder
        if folder not in {None, IN_WORK} and not Path(str(folder)).is_dir():
            raise RequestError(
                f"folder {self._settings.folder!r}: there is no such folder to run the command in"
            )

    def _program(
        self, request: GenerationRequest, sound: SpokenSound | None, out_path: Path, work: Path
    ) -> _Program:
        settings = self._settings
        in_work = settings.folder == IN_WORK
        folder = str(work) if in_work else settings.folder
        values = _values(request, sound, out_path, work)
        copies = {}
        for parameter, name in settings.copies.items():
            given = values.get(parameter)
            if given is not None:
                copy = name + Path(str(given)).suffix.lower()
                copies[copy] = Path(str(given))
                values[parameter] = copy if in_work else str(work / copy)
        environment = {name: fill(text, values) for name, text in settings.environment.items()}
        argv = tuple(fill_all(settings.argv, values))
        bare = Path(argv[0]).name == argv[0]
        start = Path(folder or ".")
        if shutil.which(argv[0] if bare else start / argv[0], path=environment.get("PATH")) is None:
            raise RequestError(f"program {argv[0]!r}: there is no such program, or it may not be run")
        return _Program(
            argv,
            {"PYTHONUNBUFFERED": "1", **environment},
            folder,
            work,
            copies,
            {name: _fill_data(data, values) for name, data in settings.files.items()},
            None if settings.output is None else fill(settings.output, values),
        )

    def _run(self, program: _Program, part: Path, timeline: Timeline, *, sound_expected: bool) -> VideoFacts:
        listener = _Listener(self._settings, timeline)
        finished = run_program(
            program.argv,
            on_line=listener.hear,
            time_limit_s=self._settings.time_limit_s,
            folder=program.folder,
            environment=program.environment,
        )
        name = program.argv[0]
        if finished.returncode:
            raise GenerationError(
                f"{name!r} {_explain_status(finished)}; {quote(finished.tail)}", listener.failure or "crashed"
            )
        try:
            listener.fetch(program, part)
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

    def fetch(self, program: _Program, part: Path) -> None:
        """Copy the file that the program said it saved, or should have saved, unless it wrote the part itself."""
        if self._settings.saved_path is not None and self._saved is None:
            raise GenerationError(
                "it never said where it saved the video (saved_path matched no line)", "no_output"
            )
        place = self._saved if self._settings.saved_path is not None else program.output
        if place is None:
            return
        saved = Path(program.folder or ".") / place
        if not saved.is_file():
            said = "said it saved" if program.output is None else "should have written"
            raise GenerationError(f"the file it {said}, {saved}, is not there", "no_output")
        shutil.copyfile(saved, part)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _values(
    request: GenerationRequest, sound: SpokenSound | None, out_path: Path, work: Path
) -> dict[str, JsonValue]:
    values: dict[str, JsonValue] = {**request.options, **request.to_dict()}
    for name in ("image", "brand_mark"):
        path = getattr(request, name)
        values[name] = None if path is None else str(Path(path).absolute())
    if sound is not None:
        values["audio"] = str(sound.path)
        values["num_clip"] = request.n_clips(sound.duration_s)
    places: dict[str, JsonValue] = {OUT: str(out_path), WORK: str(work)}
    return {**values, "width": request.width, "height": request.height, **places}


def fill_all(items: Sequence[str | OptionalArguments], values: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield the words of a command line, templates filled; optional ones only where their value is there."""
    for item in items:
        if isinstance(item, str):
            yield from fill_words(item, values)
        elif _is_there(values.get(item.when)):
            for template in item.args:
                yield from fill_words(template, values)


def _is_there(value: JsonValue) -> bool:
    """Say whether there is something to give: 0 is."""
    return bool(value) or (value == 0 and value is not False)


def _texts_of(data: JsonValue) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts_of(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts_of(value)


def _fill_data(data: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    if isinstance(data, str):
        return fill(data, values)
    if isinstance(data, dict):
        return {name: _fill_data(value, values) for name, value in data.items()}
    return [_fill_data(value, values) for value in data] if isinstance(data, list) else data


def _explain_status(finished: Finished) -> str:
    if finished.returncode < 0:
        return f"was ended by signal {-finished.returncode}"
    return f"failed with exit status {finished.returncode}"
