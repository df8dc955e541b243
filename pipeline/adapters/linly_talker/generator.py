"""Linly-Talker as a generator, through the HTTP services that come with it, as they are.

``api/talker_api.py`` (port 8003) makes the picture; ``api/tts_api.py`` (8001) may speak the text, else espeak-ng does;
``api/llm_api.py`` (8002) may answer a question first. Read from https://github.com/Kedreamix/Linly-Talker at 6342071.

What is done about their traps: one request at a time for all work on this machine, as they write to fixed names; the
model is changed before anything is timed, is always the one asked for, and is loaded again where a service was started
anew; no text goes onto their command lines but ordinary writing; sound that is not WAV is converted, since the service
names it so whatever it is; an answer is a video only if it can be played, was made after it was asked for and lasts as
long as its sound. What is taken for granted stands in `pipeline.adapters.linly_talker.beliefs`.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.adapters.http_service import HttpService
from pipeline.adapters.linly_talker.beliefs import FAILURES, SOURCE, WANTS_RECORDING
from pipeline.adapters.linly_talker.belonging import refuse_other_length, refuse_stale
from pipeline.adapters.linly_talker.settings import (
    DIRECT_REPLY,
    ESTIMATES,
    METHODS,
    WEIGHTS,
    WITH_MEMORY,
    LinlySettings,
    Options,
    refuse_length,
)
from pipeline.adapters.linly_talker.speech import (
    as_wav,
    build_speech_form,
    check_recording,
    read_answer,
    write_recording,
)
from pipeline.beliefs import check_beliefs, read_commit
from pipeline.diagnosis import Diagnosis, fine, stop, warning
from pipeline.diagnosis_checks import check_folder, check_program
from pipeline.errors import GenerationError, RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.events import ANSWERED, FIRST_FRAME, LOADED, SAVED, SPEECH, WARNING, OnEvent, Timeline
from pipeline.faces import refuse_without_face
from pipeline.generator import Description, Generator, Plan
from pipeline.options import hash_of
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult, Spoken
from pipeline.sound import measure_sound
from pipeline.speech.stage import SpokenSound, check_sound, prepare_sound
from pipeline.video import measure_video, new_video
from pipeline.weights_checks import check_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.adapters.http_service import Note
    from pipeline.video import MeasuredVideo

Value = TypeVar("Value")

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
_PICTURES = frozenset({"BMP", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP"})
"""What both Pillow and OpenCV read, by Pillow's names."""
_COSYVOICE = "first CosyVoice"
_MEMORY_NOTE = (
    "the language model remembers every question since it was loaded: its answer depends on those before"
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One request while the services are kept for it: their notes and clocks by `HttpService.key`."""

    notes: dict[str, Note]
    asked_s: dict[str, float | None]
    timeline: Timeline


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
    extra = "generate"
    Settings = LinlySettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        check_recording(self._settings)
        if self._settings.llm is not None and self._settings.llm_model is None:
            raise RequestError(
                "llm is given without llm_model, and a service that was just started repeats the question: give llm_model, "
                f"as in Qwen2, or {DIRECT_REPLY} where the question is to be spoken"
            )
        self.version = self._settings.version
        if self._settings.repository is not None and self.version == "unknown":
            self.version = read_commit(Path(self._settings.repository)) or "unknown"
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
        return Description(
            name=self.name,
            version=self.version,
            summary=f"{self._settings.talker_method} of the Linly-Talker at {self._settings.talker}",
            parameters=parameters,
            options=self._method.options.model_json_schema(),
            settings=self.Settings.model_json_schema(),
        )

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request; the frame rate is the model's own where none is given."""
        return super().request(**{"fps": self._method.fps, **parameters})

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what is known of its memory; nothing where it works on another machine."""
        del request
        known = ESTIMATES if self._talker.key.startswith(_HERE) else {}
        return known.get(self._settings.talker_method, ResourceEstimate())

    def check(self, request: GenerationRequest) -> None:
        """Check files, face, sound, text, voice and options; nothing is asked of the services."""
        check_files(request)
        options = self._method.options.read(request.options, "option")
        self._check_used(request)
        self._check_picture(request)
        self._check_words(request, options)
        if request.audio is not None or (request.text is not None and self._tts is None):
            length_s = check_sound(request)
            if length_s is not None:
                refuse_length(self._settings.talker_method, length_s)

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
        if self._settings.llm_model in WITH_MEMORY:
            found.append(warning("llm answers", _MEMORY_NOTE, "take Qwen2 or Linly"))
        if self._talker.key.startswith(_HERE):
            found.append(
                check_program("ffmpeg", "the talker joins picture and sound with it", "install ffmpeg")
            )
        if self._settings.repository is not None:
            found += _look_at_checkout(Path(self._settings.repository), self._settings.talker_method)
        return found

    @property
    def follows_gpus(self) -> bool:
        """Say no: its service runs already, on the GPUs that it has."""
        return False

    def load(self) -> None:
        """Have the services load their models, each while it is locked for others. A second call does nothing.

        Raises
        ------
        GenerationError
            ``unreachable``, ``wrong_service``, ``busy``, ``wrong_model``, or what the service said.
        """
        if self._load_s is not None:
            return
        start_s = time.monotonic()
        try:
            for service, program in self._programs():
                with service.alone(self._settings.time_limit_s) as note:
                    service.require_endpoint(f"/{program}_response/")
                    self._load_models(service, note)
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
        self.check(request)
        self.load()
        with ExitStack() as stack:
            notes: dict[str, Note] = {}
            asked_s: dict[str, float | None] = {}
            for service in self._services():
                if service.key not in notes:
                    notes[service.key] = stack.enter_context(service.alone(self._settings.time_limit_s))
                asked_s[service.key] = self._make_ready(service, notes[service.key])
            timeline = Timeline(on_event)
            turn = _Turn(notes, asked_s, timeline)
            timeline.mark(LOADED, load_s=self._load_s)
            with new_video(out_path) as part:
                spoken = self._answer(request, turn)
                sound = self._sound(request, spoken, part.parent, turn)
                timeline.mark(SPEECH, duration_s=sound.duration_s)
                measured = self._talk(request, sound, part, turn)
        timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            spoken=spoken,
            phonemes=sound.phonemes,
            events=timeline.events,
            versions=sound.versions,
            weights=self._weights(),
            **asdict(measured),
        )

    def _service(self, address: str) -> HttpService:
        limits = self._settings
        return HttpService(
            address,
            time_limit_s=limits.time_limit_s,
            stall_limit_s=limits.stall_limit_s,
            failures=FAILURES,
        )

    def _weights(self) -> dict[str, str]:
        """Return what the sound was made from beside the models: the recording of a voice."""
        if self._settings.ref_audio is None:
            return {}
        return {"ref_audio": hashlib.sha256(Path(self._settings.ref_audio).read_bytes()).hexdigest()}

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

    def _make_ready(self, service: HttpService, note: Note) -> float | None:
        """Make sure that a service is free and has the right models, which others on this machine may have changed.

        Returns
        -------
        float or None
            The time by its clock.
        """
        program = next(program for one, program in self._programs() if one is service)
        now_s = service.require_endpoint(f"/{program}_response/")
        known = note.read()
        if any(model != known.get(path) for one, model, path in self._models() if one is service):
            self._load_models(service, note)
        return now_s

    def _load_models(self, service: HttpService, note: Note) -> None:
        """Have a service load what it must have, and note that."""
        for one, model, path in self._models():
            if one is service:
                if model.startswith("CosyVoice"):
                    self._refuse_other_cosyvoice(service, note, model)
                service.ask(path, params={"model_name": model})
                note.write(path, model)
                if model.startswith("CosyVoice"):
                    note.write(_COSYVOICE, model)

    def _refuse_other_cosyvoice(self, service: HttpService, note: Note, model: str) -> None:
        """Refuse a service that keeps another CosyVoice: it loads the first that it is asked for, and no second one.

        It is asked to clone without a recording, which makes nothing and tells whether it has one.
        """
        kept = note.read().get(_COSYVOICE)
        if kept == model or (kept is None and self._settings.ref_audio is None):
            return  # the right one, or one that refuses by itself if it is the wrong one
        form = {"text": "one", "tts_method": model, "cosyvoice_mode": "3s极速复刻"}
        try:
            service.ask("/tts_response/", data=form)
        except GenerationError as error:
            if error.kind == "not_loaded":
                return
            if WANTS_RECORDING not in str(error):
                raise
        raise GenerationError(
            f"{service.address} has loaded {kept or 'a CosyVoice that nobody here knows'} and keeps it until it ends: start it "
            f"again to have {model}",
            "wrong_model",
        )

    def _with_models(self, service: HttpService, turn: _Turn, act: Callable[[], Value]) -> Value:
        """Do something that needs a service's models; where it lost them, load them and do it once more."""
        try:
            return act()
        except GenerationError as error:
            if error.kind != "not_loaded":
                raise
        start_s = time.monotonic()
        self._load_models(service, turn.notes[service.key])
        turn.timeline.mark(
            WARNING,
            text=f"{service.address} had lost its model, as when it is started anew: {time.monotonic() - start_s:.1f} s of this "
            "request went to loading it again",
        )
        return act()

    def _check_used(self, request: GenerationRequest) -> None:
        """Refuse what would make no difference: two different requests must not give the same video."""
        method = self._settings.talker_method
        if request.fps != self._method.fps:
            raise RequestError(
                f"fps is {request.fps:g}, and {method} of Linly-Talker writes {self._method.fps:g} whatever is asked"
            )
        if request.options.get("is_still_mode") and request.options.get("pose_style"):
            raise RequestError(
                f"pose_style is {request.options['pose_style']}, and with is_still_mode the pose is the portrait's: leave one out"
            )
        if request.audio is not None and request.voice is not None:
            raise RequestError(f"voice is {request.voice!r}, and the sound is given: leave one out")
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
        from PIL import Image

        refuse_without_face(request.image)
        with Image.open(request.image) as picture:
            if picture.format not in _PICTURES:
                raise RequestError(
                    f"image {request.image!r} is {picture.format}, which its service cannot read: save it as PNG or JPEG"
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
            build_speech_form(request, request.text or "an answer", self._settings)

    def _fields(self, request: GenerationRequest) -> dict[str, Any]:
        """Return the talker's form."""
        options = self._method.options.read(request.options, "option").to_dict()
        del options["question"]
        return {**options, "talker_method": self._settings.talker_method, "fps": int(request.fps)}

    def _answer(self, request: GenerationRequest, turn: _Turn) -> Spoken | None:
        """Ask the language model; ``None`` where there is no question."""
        question = request.options.get("question")
        service = self._llm
        if service is None or not isinstance(question, str):
            return None

        def ask() -> str:
            text = read_answer(service.ask("/llm_response/", json={"question": question}), service.address)
            if text.strip() == question.strip() and self._settings.llm_model != DIRECT_REPLY:
                raise GenerationError(
                    f"{service.address} repeats the question, as it does without a language model",
                    "not_loaded",
                )
            return text

        text = self._with_models(service, turn, ask)
        turn.timeline.mark(ANSWERED, question=question, text=text)
        if self._settings.llm_model in WITH_MEMORY:
            turn.timeline.mark(WARNING, text=_MEMORY_NOTE)
        return Spoken(text=text, language=request.language, prompt=request.prompt)

    def _sound(
        self, request: GenerationRequest, spoken: Spoken | None, folder: Path, turn: _Turn
    ) -> SpokenSound:
        """Return the sound to speak, as a WAV file."""
        if spoken is not None:
            request = request.model_copy(update={"text": spoken.text})
        try:
            sound = as_wav(self._speak(request, folder, turn), folder)
            refuse_length(self._settings.talker_method, sound.duration_s)
        except RequestError as error:
            whose = "text" if spoken is None else "answer"
            raise GenerationError(
                f"the {whose} {request.text!r} cannot be spoken: {error}",
                "bad_sound" if spoken is None else "bad_answer",
            ) from None
        return sound

    def _speak(self, request: GenerationRequest, folder: Path, turn: _Turn) -> SpokenSound:
        """Return the sound given, or that of the text, in whatever form it comes."""
        service = self._tts
        if request.text is None or service is None:
            return prepare_sound(request, folder)
        path = folder / "speech.bin"
        form = build_speech_form(request, request.text, self._settings)
        if form["text"] != request.text:
            turn.timeline.mark(
                WARNING, text=f"spoken as {form['text']!r}: the service puts its text on a command line"
            )
        content: dict[str, Any] = {"data": _form(form)}
        if self._settings.ref_audio is not None:
            recording = folder / "ref_audio.wav"
            write_recording(self._settings.ref_audio, recording)
            content["files"] = {"ref_audio": ("ref_audio.wav", recording.read_bytes(), "audio/wav")}
        self._with_models(
            service,
            turn,
            lambda: service.fetch("/tts_response/", path, on_answer=lambda: None, **content),
        )
        try:
            return SpokenSound(path, measure_sound(path).duration_s, (), {})
        except RequestError as error:
            raise GenerationError(
                f"{service.address} answered with no sound ({error}): {path.read_bytes()[:200]!r}",
                "bad_sound",
            ) from None

    def _talk(self, request: GenerationRequest, sound: SpokenSound, part: Path, turn: _Turn) -> MeasuredVideo:
        """Have the video made, and make sure that it is the one asked for."""
        service, note = self._talker, turn.notes[self._talker.key]
        picture = Path(request.image).read_bytes() if request.image is not None else _NO_PICTURE
        spoken = sound.path.read_bytes()
        form = _form(self._fields(request))
        content = {
            "data": form,
            "files": {
                "source_image": ("face.jpg", picture, "image/jpeg"),
                "driven_audio": ("speech.wav", spoken, "audio/wav"),
            },
        }
        turn.timeline.mark(SENT)
        answer = self._with_models(
            service,
            turn,
            lambda: service.fetch(
                "/talker_response/", part, on_answer=lambda: turn.timeline.mark(RECEIVED), **content
            ),
        )
        asked = {
            name: value for name, value in form.items() if name != "batch_size"
        }  # which is for speed alone
        key = hash_of([asked, *(hashlib.sha256(one).hexdigest() for one in (picture, spoken))])
        try:
            measured = measure_video(part, sound_expected=True)
            refuse_stale(part, answer, turn.asked_s[service.key], note, key)
            refuse_other_length(measured, sound.duration_s)
        except GenerationError as error:
            start = part.read_bytes()[:80] if part.is_file() else b""
            said = f"; it begins with {start!r}" if start.lstrip()[:1] in {b"<", b"{"} else ""
            raise GenerationError(
                f"{service.address} answered without an error, but {error}{said}", error.kind
            ) from None
        return measured


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


def _look_at_checkout(repository: Path, method: str) -> list[Diagnosis]:
    """Look at the folder that the services run from: its code, and the weights of the talker's model."""
    there = check_folder(
        "repository", repository, ["api/talker_api.py"], f"name the folder of a clone of {SOURCE.home}"
    )
    if there.level != "fine":
        return [there]
    cure = f"run scripts/download_models.sh in {repository}"
    return [
        check_beliefs(repository, SOURCE),
        *(
            check_weights(Path(name).name, repository / name, cure, least_mib=least_mib)
            for name, least_mib in WEIGHTS[method].items()
        ),
    ]


def _tell_model(service: HttpService, model: str, path: str) -> Diagnosis:
    """Report which model a service has: the last one loaded from here, as the service itself does not report it."""
    last = service.read_note().get(path)
    about = path.strip("/").partition("_")[0] + " model"
    if last is None:
        return fine(about, f"no model was loaded from this machine; {model} is loaded before the first video")
    changed = "" if last == model else f"; {model} is loaded before the first video"
    return fine(about, f"{last} was the last that was loaded from this machine{changed}")


def _form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
