"""The conversation in front of any generator: a question becomes an answer, the answer speech, and that a video.

It is a generator itself, so that each one gets it without knowing of it: what reaches the generator behind is a request
with a sound file.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from pipeline.dialogue.base import Answer, Answerer, Question
from pipeline.dialogue.documents import read_documents
from pipeline.dialogue.mood import add_mood, read_mood
from pipeline.dialogue.retrieval import Index
from pipeline.dialogue.words import FilterSettings, WordFilter
from pipeline.errors import GenerationError, RequestError
from pipeline.fallback import Attempt, BackendSettings, Fallback
from pipeline.generator import Description, Generator, OnEvent, Plan, Timeline
from pipeline.plugins import ANSWERERS, GENERATORS, RECOGNISERS, SPEECH_ENGINES, load_plugin
from pipeline.request import (
    Event,
    GenerationRequest,
    GenerationResult,
    PlainData,
    build_request,
    check_files,
)
from pipeline.sound import measure_sound, write_wav
from pipeline.speech.recognition import Recogniser, Transcript, refuse_language

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.speech.base import SpeechEngine

HEARD = "heard"
"""A spoken question is there in words. ``detail``: ``text``, ``duration_s``, ``backends``."""
ANSWERED = "answered"
"""The answer is there. ``detail``: ``question``, ``text`` as it will be spoken, ``knows``, ``mood``, ``sources``,
``cut``, ``n_filtered`` (places in it that were on the list of words), ``backends``."""
SPOKEN = "spoken"
"""The answer, or the text, is there as sound. ``detail``: ``text`` as it was spoken, ``prompt`` with the mood in it,
``duration_s``, ``engine``, ``voice``, ``n_filtered``, ``backends``. The text and the prompt are what the video is
asked to be."""

_STAND_IN = "The answer."  # Latin letters are spoken in every language


class ConversationSettings(PlainData):
    """Who hears, answers and speaks, and who makes the video.

    Attributes
    ----------
    generator : str
        Name of the generator behind.
    generator_settings : dict
        Its own settings.
    recognisers, answerers, voices : list of dict
        Backends in the order in which they are asked, each as in `pipeline.fallback.BackendSettings`.
    documents : str or None
        Folder of the user's documents.
    n_passages : int
        Passages that an answerer is shown.
    words : dict or None
        Words that are never spoken, see `pipeline.dialogue.words.FilterSettings`.
    mood : bool
        Whether the mood of the answer becomes style words of the prompt.
    """

    generator: str = Field(min_length=1, description="name of a generator")
    generator_settings: dict[str, JsonValue] = Field(
        default_factory=dict, description="setting names to plain values"
    )
    recognisers: tuple[dict[str, JsonValue], ...] = Field(
        default=({"name": "pocketsphinx"},), min_length=1, description="a list of backends"
    )
    answerers: tuple[dict[str, JsonValue], ...] = Field(
        default=({"name": "documents"},), min_length=1, description="a list of backends"
    )
    voices: tuple[dict[str, JsonValue], ...] = Field(
        default=({"name": "espeak-ng"},), min_length=1, description="a list of backends"
    )
    documents: str | None = Field(default=None, min_length=1, description="path of a folder")
    n_passages: int = Field(default=3, ge=1, le=20, description="a whole number from 1 to 20")
    words: dict[str, JsonValue] | None = Field(default=None, description="path, action, replacement, instead")
    mood: bool = Field(default=True, description="true or false")


class Conversation(Generator):
    """Hears, answers, filters and speaks; then another generator makes the video.

    A request with a text is filtered and spoken by the same voices; one with a sound file goes on as it is.

    Parameters
    ----------
    **settings
        See `ConversationSettings`. Documents and word list are read here.

    Raises
    ------
    RequestError
        If the settings make no sense, or a file of them cannot be read.
    """

    name = "conversation"

    def __init__(self, /, **settings: Any) -> None:
        self._settings = given = ConversationSettings.read(settings, "setting")
        if given.generator == self.name:
            raise RequestError(
                "a conversation before a conversation makes no sense: name the generator behind"
            )
        self._generator: Generator = load_plugin(GENERATORS, given.generator)(**given.generator_settings)
        self._documents = None if given.documents is None else read_documents(given.documents)
        self._filter = None
        if given.words is not None:
            self._filter = WordFilter(FilterSettings.read(given.words, "setting of words"))
        self._recognisers: Fallback[Recogniser] = Fallback(RECOGNISERS, _read(given.recognisers))
        self._answerers: Fallback[Answerer] = Fallback(ANSWERERS, _read(given.answerers))
        self._voices: Fallback[SpeechEngine] = Fallback(SPEECH_ENGINES, _read(given.voices))
        self._indices: dict[str, Index] = {}
        parts = ["1", f"{self._generator.name} {self._generator.version}"]
        if self._documents is not None:
            parts.append(f"documents {self._documents.content[:12]}")
        if given.words is not None:
            content = hashlib.sha256(Path(str(given.words["path"])).read_bytes()).hexdigest()
            parts.append(f"words {content[:12]}")
        self.version = ", ".join(parts)

    def describe(self) -> Description:
        """Say what the generator behind is and heeds, and what comes before it."""
        behind = self._generator.describe()
        return Description(
            name=self.name,
            version=self.version,
            summary=f"answers a question and has the answer spoken by: {behind.summary}",
            parameters={
                **behind.parameters,
                "text": "what is spoken",
                "question": "answered; the answer is spoken",
                "question_audio": "heard and answered; the answer is spoken",
                "language": "of text, question and answer",
                "voice": "for text and answer",
            },
            options=behind.options,
            settings=ConversationSettings.model_json_schema(),
        )

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request, which may have a question."""
        return build_request(parameters)

    def check(self, request: GenerationRequest) -> None:
        """Check the question, that somebody serves its language, and the rest with the generator behind."""
        self._check(request)
        self._generator.check(_stand_in(request))

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Say who would be asked, in order, and what the generator behind would do."""
        self._check(request)
        plan = self._generator.dry_run(_stand_in(request), out_path)
        return plan.model_copy(update={"steps": (*self._steps(request), *plan.steps)})

    def load(self) -> None:
        """Load the generator behind and every backend, the later ones too: they shall be there when they are needed."""
        self._generator.load()
        for recogniser in self._recognisers.backends:
            recogniser.load()
        for answerer in self._answerers.backends:
            answerer.load()
        if self._documents is not None:
            self._index(GenerationRequest().language)

    def close(self) -> None:
        """Close all of them."""
        for recogniser in self._recognisers.backends:
            recogniser.close()
        for answerer in self._answerers.backends:
            answerer.close()
        self._generator.close()

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Hear, answer, speak, and make the video; see `Generator.generate`.

        The events are those of the conversation and then those of the generator behind, all in seconds since this
        request.
        """
        timeline = Timeline(on_event)
        self.check(request)
        self.load()

        def relay(event: Event) -> None:
            timeline.mark(event.name, **event.detail)

        with tempfile.TemporaryDirectory() as folder:
            told, versions = self._converse(request, Path(folder), timeline)
            try:
                result = self._generator.generate(told, out_path, relay)
            except RequestError as error:
                if told is request:
                    raise
                raise GenerationError(
                    f"the generator {self._generator.name!r} refuses what was to be spoken: {error}",
                    error.kind,
                ) from error
        return result.model_copy(
            update={
                "generator": self.name,
                "version": self.version,
                "request": request,
                "events": timeline.events,
                "versions": {
                    **result.versions,
                    self._generator.name: self._generator.version,
                    **versions,
                },
            }
        )

    def _check(self, request: GenerationRequest) -> None:
        check_files(request)
        language = request.language
        if request.question_audio is not None:
            measure_sound(request.question_audio)
            self._recognisers.check(lambda recogniser: refuse_language(recogniser, language))
        if request.asks:
            self._answerers.check(lambda answerer: answerer.check(language))
        text = _STAND_IN if request.asks else request.text
        if text is not None:
            said, n_found = self._clean(text)
            if said is None:
                raise RequestError(
                    f"text: {n_found} places of it are on the list of words that are not spoken"
                )
            self._voices.check(lambda voice: voice.check(said, language, request.voice))

    def _steps(self, request: GenerationRequest) -> Iterable[str]:
        settings = self._settings
        if request.question_audio is not None:
            yield f"hear {request.question_audio} ({request.language}) with {_order(settings.recognisers)}"
        if request.asks:
            asked = "it" if request.question is None else repr(request.question)
            pieces = len(self._documents.pieces) if self._documents is not None else 0
            yield f"answer {asked} with {_order(settings.answerers)}; passages of documents: {pieces}"
        if request.asks or request.text is not None:
            filtered = "" if settings.words is None else f"; words of {settings.words['path']} are left out"
            yield f"speak with {_order(settings.voices)}{filtered}"
            yield f"below, {_STAND_IN!r} stands for what is spoken"

    def _converse(
        self, request: GenerationRequest, folder: Path, timeline: Timeline
    ) -> tuple[GenerationRequest, dict[str, str]]:
        """Return what is asked of the generator behind, and the versions of who worked on it."""
        if not request.asks and request.text is None:
            return request, {}
        versions: dict[str, str] = {}
        text, prompt, n_filtered = request.text or "", request.prompt, 0
        question = request.question
        if request.question_audio is not None:
            question = self._hear(Path(request.question_audio), request.language, timeline, versions)
        if question is not None:
            answer, attempts = self._answer(question, request.language, versions)
            mood = (answer.mood or read_mood(answer.text)) if self._settings.mood else None
            heeded = mood if "prompt" in self._generator.describe().parameters else None
            prompt = add_mood(request.prompt, heeded)
            text = answer.text
        said, n_filtered = self._clean(text)
        if question is not None:
            timeline.mark(
                ANSWERED,
                question=question,
                text=said,
                knows=answer.knows,
                mood=mood,
                sources=list(answer.sources),
                cut=answer.cut,
                n_filtered=n_filtered,
                backends=_plain(attempts),
            )
        if said is None:
            raise GenerationError(
                f"{n_filtered} places of the answer are on the list of words that are not spoken; to have a sentence "
                "spoken instead, give words.instead",
                "filtered",
            )
        speech, attempts = self._voices.ask(lambda voice: voice.speak(said, request.language, request.voice))
        path = folder / "speech.wav"
        write_wav(path, speech.samples, speech.rate_hz)
        versions[speech.engine] = speech.version
        timeline.mark(
            SPOKEN,
            text=said,
            prompt=prompt,
            duration_s=speech.duration_s,
            engine=speech.engine,
            voice=speech.voice,
            n_filtered=n_filtered,
            backends=_plain(attempts),
        )
        return _tell(request, audio=str(path), prompt=prompt), versions

    def _hear(self, sound: Path, language: str, timeline: Timeline, versions: dict[str, str]) -> str:
        heard, attempts = self._recognisers.ask(
            lambda recogniser: recogniser.recognise(sound, language), _has_words
        )
        versions[heard.recogniser] = heard.version
        timeline.mark(HEARD, text=heard.text, duration_s=heard.duration_s, backends=_plain(attempts))
        if not _has_words(heard):
            raise GenerationError(f"question_audio {str(sound)!r}: no word was understood", "nothing_heard")
        return heard.text

    def _answer(
        self, question: str, language: str, versions: dict[str, str]
    ) -> tuple[Answer, tuple[Attempt, ...]]:
        passages = (
            ()
            if self._documents is None
            else self._index(language).search(question, self._settings.n_passages)
        )
        asked = Question(question, language, passages)
        (answer, answerer), attempts = self._answerers.ask(
            lambda answerer: (answerer.answer(asked), answerer), lambda given: given[0].knows
        )
        versions[answerer.name] = answerer.version
        return answer, attempts

    def _index(self, language: str) -> Index:
        if language not in self._indices:
            pieces = self._documents.pieces if self._documents is not None else ()
            self._indices[language] = Index(pieces, language)
        return self._indices[language]

    def _clean(self, text: str) -> tuple[str | None, int]:
        return (text, 0) if self._filter is None else self._filter.clean(text)


def _read(backends: Iterable[dict[str, JsonValue]]) -> list[BackendSettings]:
    return [BackendSettings.read(backend, "setting of a backend") for backend in backends]


def _order(backends: Iterable[dict[str, JsonValue]]) -> str:
    return ", else ".join(backend.called for backend in _read(backends))


def _plain(attempts: Iterable[Attempt]) -> list[JsonValue]:
    return [attempt.to_dict() for attempt in attempts]


def _has_words(heard: Transcript) -> bool:
    return any(character.isalnum() for character in heard.text)


def _stand_in(request: GenerationRequest) -> GenerationRequest:
    """Return a request that can be spoken by anybody, to check all else by."""
    if not request.asks and request.text is None:
        return request
    return _tell(request, text=_STAND_IN)


def _tell(request: GenerationRequest, **said: str) -> GenerationRequest:
    """Return a request that says something, without what the conversation has done with."""
    nothing = dict.fromkeys(("text", "question", "question_audio", "voice"))
    defaults = GenerationRequest()
    return request.model_copy(update={**nothing, "language": defaults.language, **said})
