"""Any program as a generator: an argument template, and patterns that turn its output into events."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.command.listener import Listener
from pipeline.adapters.command.settings import IN_WORK, CommandSettings
from pipeline.adapters.template import OUT, WORK, check_used, fill, fill_all
from pipeline.errors import GenerationError, RequestError
from pipeline.events import CLIP, FIRST_FRAME, SAVED, SPEECH, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.process import Finished, quote, refuse_secrets, run_program
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import MeasuredVideo, measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue


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
        If a setting cannot be used.
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
            measured = self._run(
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
            **asdict(measured),
        )

    def _own_options(self) -> set[str]:
        return self._used - set(GenerationRequest.model_fields) - {"width", "height", OUT, WORK}

    def _speaks(self, request: GenerationRequest) -> bool:
        """Return whether there is a sound file: one given, or one made of text for a program that takes it."""
        return request.audio is not None or (request.text is not None and "audio" in self._used)

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        check_used(request, self._used)
        for name in sorted((self._own_options() & self._settings.needed()) - request.options.keys()):
            raise RequestError(f"the command needs {{{name}}}, which is not a parameter: give it in options")
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

    def _run(
        self, program: _Program, part: Path, timeline: Timeline, *, sound_expected: bool
    ) -> MeasuredVideo:
        listener = Listener(self._settings, timeline)
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
            listener.fetch(program.folder, program.output, part)
            return measure_video(part, sound_expected=sound_expected)
        except GenerationError as error:
            raise GenerationError(
                f"{name!r} ended without an error, but {error}; {quote(finished.tail)}",
                listener.failure or error.kind,
            ) from None


def _values(
    request: GenerationRequest, sound: SpokenSound | None, out_path: Path, work: Path
) -> dict[str, JsonValue]:
    values: dict[str, JsonValue] = {**request.options, **request.to_dict()}
    values["offload_model"] = bool(request.offload_model)
    for name in ("image", "brand_mark"):
        path = getattr(request, name)
        values[name] = None if path is None else str(Path(path).absolute())
    if sound is not None:
        values["audio"] = str(sound.path)
        values["num_clip"] = request.n_clips(sound.duration_s)
    places: dict[str, JsonValue] = {OUT: str(out_path), WORK: str(work)}
    return {**values, "width": request.width, "height": request.height, **places}


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
