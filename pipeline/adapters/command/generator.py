"""Any program as a generator: an argument template, and patterns that turn its output into events."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.adapters.command.listener import Listener, Output
from pipeline.adapters.command.portrait import (
    View,
    as_it_is,
    copy_even,
    is_video,
    measure_frame,
    refuse_faceless,
)
from pipeline.adapters.command.settings import IN_WORK, CommandSettings
from pipeline.adapters.template import OUT, WORK, check_used, fill, fill_all, placeholders
from pipeline.diagnosis import fine, stop
from pipeline.diagnosis_checks import check_folder
from pipeline.errors import GenerationError, RequestError
from pipeline.events import CLIP, FIRST_FRAME, SAVED, SPEECH, WARNING, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.process import Finished, quote, refuse_secrets, run_program
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import MeasuredVideo, measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from pipeline.diagnosis import Diagnosis
    from pipeline.options import PlainData


_CUT = "less its last row or column, so that both sides are even"


@dataclass(frozen=True, slots=True)
class Program:
    """What is run for a request, and what has to be in its `work` folder before; `cut` is the copy that is made even."""

    request: GenerationRequest
    sound: SpokenSound | None
    argv: tuple[str, ...]
    environment: dict[str, str]
    folder: str | None
    work: Path
    copies: dict[str, Path]
    cut: str | None
    files: dict[str, JsonValue]
    output: str | None

    def steps(self) -> Iterator[str]:
        """Say how the folder is prepared."""
        if self.copies or self.files:
            yield f"makes the folder {self.work}, to be taken away at the end"
        for name, path in self.copies.items():
            less = f", {_CUT}" if name == self.cut else ""
            yield f"copies {path} to {self.work / name}{less}"
        yield from (
            f"writes {json.dumps(data, ensure_ascii=False)} to {self.work / name}"
            for name, data in self.files.items()
        )

    def prepare(self) -> None:
        """Fill the folder."""
        for name, path in self.copies.items():
            (copy_even if name == self.cut else shutil.copyfile)(path, self.work / name)
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
    Settings: ClassVar[type[PlainData]] = CommandSettings

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
        sound, duration_s = None, None
        if self._speaks(request):
            duration_s = check_sound(request)
            sound = SpokenSound(Path("speech.wav"), duration_s or 1.0, (), {})
        self._program(request, sound, Path("video.mp4"), Path("work"))
        self._look(request, duration_s)

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

    @property
    def follows_gpus(self) -> bool:
        """Whether the program inherits which GPUs it sees."""
        return "CUDA_VISIBLE_DEVICES" not in self._settings.environment

    def diagnose(self) -> list[Diagnosis]:
        """Look for its folder, its program, and the script that an interpreter is given."""
        settings = self._settings
        fixed = [
            fill(word, {}) if isinstance(word, str) and not placeholders(word) else None
            for word in settings.argv
        ]
        program, script = (*fixed, None)[:2]
        found = []
        if settings.folder is not None and not placeholders(settings.folder):
            found.append(check_folder("folder", settings.folder, [], "name the folder to run it in"))
        if program is not None:
            place = _find_program(program, settings.folder, settings.environment.get("PATH"))
            cure = "install it, or name it in argv by a path that is there and may be run"
            missing = f"{program!r} is not there, or may not be run"
            found.append(fine("program", place) if place else stop("program", missing, cure))
        if script is not None and script.endswith((".py", ".sh")):
            there = Path(settings.folder or ".") / script
            cure = "name the script of the program in argv"
            missing = f"{there} is not there"
            found.append(fine("script", str(there)) if there.is_file() else stop("script", missing, cure))
        return found

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
            self._look(request, None if sound is None else sound.duration_s)
            program.prepare()
            self._note(program, timeline)
            measured = self._run(program, part, timeline)
        return self._result(program, out_path, timeline, measured)

    def _result(
        self, program: Program, out_path: Path, timeline: Timeline, measured: MeasuredVideo
    ) -> GenerationResult:
        if not any(event.name == FIRST_FRAME for event in timeline.events):
            timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        n_clips = sum(event.name == CLIP for event in timeline.events)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=program.request,
            video=str(out_path),
            n_clips=n_clips if CLIP in self._settings.events else None,
            phonemes=() if program.sound is None else program.sound.phonemes,
            events=timeline.events,
            versions={} if program.sound is None else program.sound.versions,
            **asdict(measured),
        )

    def _own_options(self) -> set[str]:
        return self._used - set(GenerationRequest.model_fields) - {"width", "height", OUT, WORK}

    def _speaks(self, request: GenerationRequest) -> bool:
        """Return whether there is a sound file: one given, or one made of text for a program that takes it."""
        return request.audio is not None or (request.text is not None and "audio" in self._used)

    def _view(self, request: GenerationRequest) -> View:
        """Return what the program does to each frame of a video that it is given."""
        del request
        return as_it_is

    def _note(self, program: Program, timeline: Timeline) -> None:
        """Say what a reader of the result must know."""
        for note in self._notes(program.request):
            timeline.mark(WARNING, text=note)
        if program.cut is not None:
            timeline.mark(WARNING, text=f"the program was given the image {_CUT}")

    def _notes(self, request: GenerationRequest) -> tuple[str, ...]:
        """Return what is special to the request, for `_note`."""
        del request
        return ()

    def _look(self, request: GenerationRequest, sound_s: float | None) -> None:
        """Refuse a sound of a length that cannot be, where it is known, and an image without a face."""
        del sound_s
        if self._settings.needs_face and request.image is not None:
            refuse_faceless(request.image, self._view(request))

    def _check_length(
        self, measured: MeasuredVideo, request: GenerationRequest, sound: SpokenSound | None
    ) -> None:
        """Refuse a video that is not as long as its sound."""
        del request
        tolerance_s = self._settings.length_tolerance_s
        if sound is not None and tolerance_s is not None:
            refuse_other_length(measured, sound.duration_s, tolerance_s)

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        check_used(request, self._used)
        for name in sorted((self._own_options() & self._settings.needed()) - request.options.keys()):
            raise RequestError(f"the command needs {{{name}}}, which is not a parameter: give it in options")
        for name in self._settings.copies.keys() & request.options.keys():
            if not Path(str(request.options[name])).is_file():
                raise RequestError(f"option {name} is {request.options[name]!r}: there is no such file")
        folder = self._settings.folder
        if folder not in {None, IN_WORK} and not Path(str(folder)).is_dir():
            raise RequestError(
                f"folder {self._settings.folder!r}: there is no such folder to run the command in"
            )

    def _program(
        self,
        request: GenerationRequest,
        sound: SpokenSound | None,
        out_path: Path,
        work: Path,
        mark: str = "",
    ) -> Program:
        """Return what is run; `mark` ends the names of its copies."""
        settings = self._settings
        in_work = settings.folder == IN_WORK
        folder = str(work) if in_work else settings.folder
        values = _values(request, sound, out_path, work)
        copies, cut = {}, None
        for parameter, name in settings.copies.items():
            given = values.get(parameter)
            if given is not None:
                copy = name + mark + Path(str(given)).suffix.lower()
                if parameter == "image" and self._is_to_be_cut(request):
                    copy = cut = f"{name}{mark}.png"
                copies[copy] = Path(str(given)).absolute()
                values[parameter] = copy if in_work else str(work / copy)
        environment = {name: fill(text, values) for name, text in settings.environment.items()}
        argv = tuple(fill_all(settings.argv, values))
        if _find_program(argv[0], folder, environment.get("PATH")) is None:
            raise RequestError(f"program {argv[0]!r}: there is no such program, or it may not be run")
        return Program(
            request,
            sound,
            argv,
            {"PYTHONUNBUFFERED": "1", **environment},
            folder,
            work,
            copies,
            cut,
            {name: _fill_data(data, values) for name, data in settings.files.items()},
            None if settings.output is None else fill(settings.output, values),
        )

    def _is_to_be_cut(self, request: GenerationRequest) -> bool:
        """Return whether the image has an odd side that matters; refuse a video that has."""
        if not self._settings.even_sides or request.image is None:
            return False
        width, height = measure_frame(request.image, self._view(request))
        if not width % 2 and not height % 2:
            return False
        if is_video(request.image):
            raise RequestError(
                f"image {request.image!r}: the frames would be {width}*{height}, and the program's encoder takes even "
                "sides only; cut the odd row or column away"
            )
        return True

    def _run(self, program: Program, part: Path, timeline: Timeline) -> MeasuredVideo:
        listener = Listener(self._settings, timeline, self._output(program))
        name = self._called(program)
        try:
            finished = run_program(
                program.argv,
                on_line=listener.hear,
                time_limit_s=self._settings.time_limit_s,
                stop=listener.stop,
                folder=program.folder,
                environment=program.environment,
            )
        except GenerationError as error:
            if listener.endless is None:
                raise
            raise GenerationError(
                f"{name} tries the same for ever, and was ended when it said a second time: {listener.last_words}",
                listener.endless,
            ) from error
        if finished.returncode:
            raise GenerationError(
                f"{name} {_explain_status(finished)}; {quote(finished.tail)}", listener.failure or "crashed"
            )
        return self._take(program, listener, part, finished.tail)

    def _called(self, program: Program) -> str:
        """Return what the program is called in errors."""
        return repr(program.argv[0])

    def _output(self, program: Program) -> Output | None:
        return None if program.output is None else Output(Path(program.folder or ".") / program.output)

    def _take(self, program: Program, listener: Listener, part: Path, tail: Sequence[str]) -> MeasuredVideo:
        """Bring the video of a program that ended well to its place, and verify it."""
        sound_expected = program.sound is not None or program.request.text is not None
        try:
            listener.fetch(program.folder, part)
            measured = measure_video(part, sound_expected=sound_expected)
            self._check_length(measured, program.request, program.sound)
        except GenerationError as error:
            raise GenerationError(
                f"{self._called(program)} ended without an error, but {error}; {quote(tail)}",
                listener.failure or error.kind,
            ) from None
        return measured


def _find_program(program: str, folder: str | None, path: str | None) -> str | None:
    """Return where a program is: by its name on the path, else from the folder in which it runs."""
    is_name = Path(program).name == program
    return shutil.which(program if is_name else str(Path(folder or ".") / program), path=path)


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


def refuse_other_length(measured: MeasuredVideo, expected_s: float, tolerance_s: float) -> None:
    """Refuse a video whose picture is not as long as it must be.

    Raises
    ------
    GenerationError
        ``bad_output``.
    """
    if abs(measured.duration_s - expected_s) > tolerance_s:
        raise GenerationError(
            f"its picture lasts {measured.duration_s:.2f} s where {expected_s:.2f} s belong to this sound: it is cut off, "
            "or another one",
            "bad_output",
        )


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
