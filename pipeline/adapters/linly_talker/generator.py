"""Linly-Talker as a generator, through the HTTP services that come with it, as they are.

``api/talker_api.py`` (port 8003) makes the picture; ``api/tts_api.py`` (8001) may speak the text, else espeak-ng does;
``api/llm_api.py`` (8002) may answer a question first. Read from https://github.com/Kedreamix/Linly-Talker at 6342071.

What is done about their traps: one request at a time for all work on this machine, as they write to fixed names; the
model is changed before anything is timed, and is always the one asked for; sound that is not WAV is converted, since the
service names it so whatever it is; an answer is a video only if it can be played, with sound.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.http_service import HttpService
from pipeline.adapters.linly_talker.settings import ESTIMATES, METHODS, SADTALKER_FPS, LinlySettings, Options
from pipeline.adapters.linly_talker.speech import as_wav, build_speech_form, read_answer
from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.diagnosis_checks import check_program
from pipeline.errors import GenerationError, RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.events import ANSWERED, FIRST_FRAME, LOADED, SAVED, SPEECH, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult, Spoken
from pipeline.sound import measure_sound
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.adapters.http_service import Note

SENT = "sent"
"""Picture and sound go to the talker."""
RECEIVED = "received"
"""The talker begins to hand out the video."""

_HERE = ("http://127.", "https://127.", "http://[::1]", "https://[::1]")
_NO_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fe"
    "dccc59e70000000049454e44ae426082"
)
"""One white pixel, for the model that must be sent a picture and looks at none."""


class LinlyTalker(Generator):
    """Makes talking videos by a Linly-Talker that runs already.

    Parameters
    ----------
    **settings
        See `LinlySettings`.

    Raises
    ------
    RequestError
        If a setting cannot be used.
    """

    name = "linly_talker"

    def __init__(self, /, **settings: Any) -> None:
        self._settings = LinlySettings.read(settings, "setting")
        self.version = self._settings.version
        self._method = METHODS[self._settings.talker_method]
        self._talker = self._service(self._settings.talker)
        self._tts = self._service(self._settings.tts) if self._settings.tts else None
        self._llm = self._service(self._settings.llm) if self._settings.llm else None
        self._load_s: float | None = None

    def describe(self) -> Description:
        """Describe it and the parameters that it uses."""
        speaker = self._settings.tts_method if self._tts is not None else "espeak-ng"
        parameters = {
            "audio": "what is spoken",
            "text": f"what is spoken, by {speaker}",
            "language": "of the text",
            "voice": f"for the text, of {speaker}",
        }
        if self._method.takes_image:
            parameters["image"] = "the portrait"
        if self._method.fps is None:
            parameters["fps"] = "frames a second, a whole number"
        return Description(
            name=self.name,
            version=self.version,
            summary=f"{self._settings.talker_method} of the Linly-Talker at {self._settings.talker}",
            parameters=parameters,
            options=self._method.options.model_json_schema(),
            settings=LinlySettings.model_json_schema(),
        )

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request; the frame rate is the model's own where none is given."""
        return super().request(**{"fps": self._method.fps or SADTALKER_FPS, **parameters})

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what is known of its memory; nothing where it works on another machine."""
        del request
        known = ESTIMATES if self._talker.key.startswith(_HERE) else {}
        return known.get(self._settings.talker_method, ResourceEstimate())

    def check(self, request: GenerationRequest) -> None:
        """Check files, sound, text, voice and options; nothing is asked of the services."""
        self._check(request)
        if request.audio is not None or (request.text is not None and self._tts is None):
            check_sound(request)

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Say what would be asked of which service; the talker's request as a command line."""
        self.check(request)
        steps = [f"has {self._talker.address} load {self._settings.talker_method}, before the clock starts"]
        question = request.options.get("question")
        if self._llm is not None and question is not None:
            steps.append(f"asks {self._llm.address}: {question}")
        sound = request.audio
        if sound is None:
            speaker = self._tts.address if self._tts is not None else "espeak-ng"
            sound = str(out_path.with_suffix(".wav").absolute())
            steps.append(f"has {speaker} speak {request.text or 'the answer'!r} into {sound}")
        fields = [f"{name}={value}" for name, value in self._fields(request).items()]
        image = request.image or "one pixel"
        fields += [f"source_image=@{image};type=image/jpeg", f"driven_audio=@{sound};type=audio/wav"]
        argv = ["curl", "--fail-with-body", "--output", str(out_path.absolute())]
        argv += [word for field in fields for word in ("--form", field)]
        return Plan(steps=tuple(steps), argv=(*argv, f"{self._talker.address}/talker_response/"))

    def diagnose(self) -> list[Diagnosis]:
        """Look at the services: which answer, which models they have as far as is known, and ffmpeg beside them."""
        found = []
        for service, program in self._programs():
            found.append(_look_at(service, program))
            service.close()
        found += [_tell_model(service, model, path) for service, model, path in self._models()]
        if self._tts is None:
            found.append(fine("speech", "text is spoken by espeak-ng"))
        if self._talker.key.startswith(_HERE):
            found.append(
                check_program("ffmpeg", "the talker joins picture and sound with it", "install ffmpeg")
            )
        return found

    def load(self) -> None:
        """Have the services load their models, each while it is locked for others. A second call does nothing.

        Raises
        ------
        GenerationError
            ``unreachable``, ``wrong_service``, ``busy``, or what the service said.
        """
        if self._load_s is not None:
            return
        start_s = time.monotonic()
        try:
            for service, model, path in self._models():
                with service.alone(self._settings.time_limit_s) as note:
                    service.require_endpoint(path.replace("change_model", "response"))
                    service.ask(path, params={"model_name": model})
                    note.write(path, model)
        except GenerationError:
            self.close()
            raise
        self._load_s = time.monotonic() - start_s

    def close(self) -> None:
        """Let the connections go; what the services have loaded stays there."""
        for service in self._services():
            service.close()
        self._load_s = None

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Have the video made; see `Generator.generate`.

        The clock starts when the services are free and have the right models. The first frame is there with the last.
        """
        self._check(request)
        self.load()
        with ExitStack() as stack:
            notes: dict[str, Note] = {}
            for service in self._services():
                if service.key not in notes:
                    notes[service.key] = stack.enter_context(service.alone(self._settings.time_limit_s))
                self._make_ready(service, notes[service.key])
            timeline = Timeline(on_event)
            timeline.mark(LOADED, load_s=self._load_s)
            with new_video(out_path) as part:
                spoken = self._answer(request, timeline)
                sound = self._sound(request, spoken, part.parent)
                timeline.mark(SPEECH, duration_s=sound.duration_s)
                self._talk(request, sound.path, part, timeline)
                measured = _measure(part, self._talker.address)
        timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            spoken=spoken,
            events=timeline.events,
            versions=sound.versions,
            **asdict(measured),
        )

    def _service(self, address: str) -> HttpService:
        limits = self._settings
        return HttpService(address, time_limit_s=limits.time_limit_s, stall_limit_s=limits.stall_limit_s)

    def _services(self) -> list[HttpService]:
        """List those in use, in an order that is the same everywhere, so that no two wait for each other."""
        return sorted((service for service, _ in self._programs()), key=lambda one: one.key)

    def _models(self) -> Iterator[tuple[HttpService, str, str]]:
        """Give each service, the model that it must load, and the endpoint for that."""
        yield self._talker, self._settings.talker_method, "/talker_change_model/"
        if self._tts is not None:
            yield self._tts, self._settings.tts_method, "/tts_change_model/"
        if self._llm is not None and self._settings.llm_model is not None:
            yield self._llm, self._settings.llm_model, "/llm_change_model/"

    def _programs(self) -> Iterator[tuple[HttpService, str]]:
        """Give each service in use and the program that it is."""
        for service, program in ((self._talker, "talker"), (self._tts, "tts"), (self._llm, "llm")):
            if service is not None:
                yield service, program

    def _make_ready(self, service: HttpService, note: Note) -> None:
        """Make sure that a service is free and has the right model, which others on this machine may have changed."""
        program = next(program for one, program in self._programs() if one is service)
        service.require_endpoint(f"/{program}_response/")
        for one, model, path in self._models():
            if one is service and model != note.read().get(path):
                service.ask(path, params={"model_name": model})
                note.write(path, model)

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        options = self._method.options.read(request.options, "option")
        self._check_used(request)
        self._check_picture(request)
        self._check_words(request, options)
        if not request.fps.is_integer():
            raise RequestError(f"fps is {request.fps:g}, and the service takes whole numbers")

    def _check_used(self, request: GenerationRequest) -> None:
        """Refuse what would make no difference: two different requests must not give the same video."""
        method = self._settings.talker_method
        if self._method.fps is not None and request.fps != self._method.fps:
            raise RequestError(
                f"fps is {request.fps:g}, and {method} writes {self._method.fps:g} whatever is asked"
            )
        used = {*self.describe().parameters, "options", "fps"}
        for name, field in GenerationRequest.model_fields.items():
            value = getattr(request, name)
            if name not in used and value != field.default:
                raise RequestError(
                    f"{name} is {value!r}, but {method} of Linly-Talker has no use for it: every value would give the same video"
                )

    def _check_picture(self, request: GenerationRequest) -> None:
        if not self._method.takes_image:
            return
        if request.image is None:
            raise RequestError("linly_talker needs an image: the portrait that is to speak")
        import av

        try:
            with av.open(request.image) as container:
                container_name = container.format.name
                next(container.decode(video=0))
        except (av.error.FFmpegError, StopIteration, IndexError, OSError) as error:
            raise RequestError(f"image {request.image!r} cannot be read as a picture: {error}") from None
        if not container_name.endswith("_pipe") and container_name != "image2":
            raise RequestError(
                f"image {request.image!r} is a video ({container_name}), and the service takes pictures"
            )

    def _check_words(self, request: GenerationRequest, options: Options) -> None:
        """Check that there is something to say, and a voice for it."""
        given = [request.audio, request.text, options.question]
        if sum(one is not None for one in given) != 1:
            raise RequestError(
                "give audio (a sound file), text (words to speak) or the option question (words to answer), one of them"
            )
        if options.question is not None and self._llm is None:
            raise RequestError("the option question needs a language model: give the setting llm")
        if request.audio is None and self._tts is not None:
            build_speech_form(request, request.text or "an answer", self._settings.tts_method)

    def _fields(self, request: GenerationRequest) -> dict[str, Any]:
        """Return the talker's form."""
        options = self._method.options.read(request.options, "option").to_dict()
        del options["question"]
        return {**options, "talker_method": self._settings.talker_method, "fps": int(request.fps)}

    def _answer(self, request: GenerationRequest, timeline: Timeline) -> Spoken | None:
        """Ask the language model; ``None`` where there is no question."""
        question = request.options.get("question")
        if self._llm is None or question is None:
            return None
        text = read_answer(self._llm.ask("/llm_response/", json={"question": question}), self._llm.address)
        timeline.mark(ANSWERED, question=question, text=text)
        return Spoken(text=text, language=request.language, prompt=request.prompt)

    def _sound(self, request: GenerationRequest, spoken: Spoken | None, folder: Path) -> SpokenSound:
        """Return the sound to speak, as a WAV file."""
        if spoken is None:
            return as_wav(self._speak(request, folder), folder)
        try:
            return as_wav(self._speak(request.model_copy(update={"text": spoken.text}), folder), folder)
        except RequestError as error:
            raise GenerationError(
                f"the answer {spoken.text!r} cannot be spoken: {error}", "bad_answer"
            ) from None

    def _speak(self, request: GenerationRequest, folder: Path) -> SpokenSound:
        """Return the sound given, or that of the text, in whatever form it comes."""
        if request.text is None or self._tts is None:
            return prepare_sound(request, folder)
        path = folder / "speech.bin"
        form = build_speech_form(request, request.text, self._settings.tts_method)
        self._tts.fetch("/tts_response/", path, on_answer=lambda: None, data=_form(form))
        try:
            return SpokenSound(path, measure_sound(path).duration_s, (), {})
        except RequestError as error:
            raise GenerationError(
                f"{self._tts.address} answered with no sound ({error}): {path.read_bytes()[:200]!r}",
                "bad_sound",
            ) from None

    def _talk(self, request: GenerationRequest, sound: Path, part: Path, timeline: Timeline) -> None:
        picture = Path(request.image).read_bytes() if request.image is not None else _NO_PICTURE
        timeline.mark(SENT)
        with sound.open("rb") as file:
            self._talker.fetch(
                "/talker_response/",
                part,
                on_answer=lambda: timeline.mark(RECEIVED),
                data=_form(self._fields(request)),
                files={
                    "source_image": ("face.jpg", picture, "image/jpeg"),
                    "driven_audio": ("speech.wav", file, "audio/wav"),
                },
            )


def _look_at(service: HttpService, program: str) -> Diagnosis:
    """Say whether a service answers."""
    try:
        service.require_endpoint(f"/{program}_response/")
    except GenerationError as error:
        if error.kind == "busy":
            return warning(program, str(error), "wait for it, or start it again")
        return stop(
            program,
            str(error),
            f"start it in its repository with `python api/{program}_api.py`, or set {program} to where it is",
        )
    return fine(program, f"{service.address} answers and offers /{program}_response/")


def _tell_model(service: HttpService, model: str, path: str) -> Diagnosis:
    """Report which model a service has: the last one loaded from here, as the service itself does not report it."""
    last = service.read_note().get(path)
    about = path.strip("/").partition("_")[0] + " model"
    if last is None:
        return fine(about, f"no model was loaded from this machine; {model} is loaded before the first video")
    changed = "" if last == model else f"; {model} is loaded before the first video"
    return fine(about, f"{last} was the last that was loaded from this machine{changed}")


def _measure(part: Path, address: str) -> Any:
    """Measure what the talker answered, whatever it called it."""
    try:
        return measure_video(part, sound_expected=True)
    except GenerationError as error:
        start = part.read_bytes()[:80] if part.is_file() else b""
        said = f"; it begins with {start!r}" if start.lstrip()[:1] in {b"<", b"{"} else ""
        raise GenerationError(f"{address} answered without an error, but {error}{said}", error.kind) from None


def _form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
