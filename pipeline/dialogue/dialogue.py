"""From a request with a question or a text to one with a sound file: hear, answer, filter, speak."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.diagnosis import only_for
from pipeline.dialogue.base import Answer, Answerer, Question
from pipeline.dialogue.documents import read_documents
from pipeline.dialogue.emotion import add_emotion, read_emotion
from pipeline.dialogue.retrieval import Index
from pipeline.dialogue.word_filter import WordFilter
from pipeline.errors import GenerationError, RequestError, placed_at
from pipeline.events import ANSWERED, HEARD, SPOKEN, Event, Timeline
from pipeline.fallback import Attempt, BackendSettings, FallbackChain
from pipeline.formatting import count
from pipeline.plugins import ANSWERERS, RECOGNISERS, SPEECH_ENGINES
from pipeline.recogniser import Recogniser, Transcript, refuse_language
from pipeline.request import GenerationRequest, check_files
from pipeline.result import Spoken
from pipeline.sound import measure_sound, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from pipeline.diagnosis import Diagnosis
    from pipeline.dialogue.settings import ConversationSettings
    from pipeline.speech.base import SpeechEngine

_PLACEHOLDER = "The answer."  # Latin letters are spoken in every language


@dataclass(frozen=True, slots=True)
class Turn:
    """What a conversation made of a request.

    Parameters
    ----------
    request : GenerationRequest
        What the generator behind is asked: a sound file instead of question or text.
    spoken : Spoken or None
        The words in it; ``None`` where the request had a sound file from the start.
    events : tuple of Event
        What happened, in seconds since the conversation began.
    duration_s : float
        How long it took.
    versions : dict
        Backend that was used to its version.
    """

    request: GenerationRequest
    spoken: Spoken | None
    events: tuple[Event, ...]
    duration_s: float
    versions: dict[str, str]


class Dialogue:
    """Hears, answers, filters and speaks.

    Raises
    ------
    RequestError
        If a backend is unknown or refuses its settings, or a file cannot be read.
    """

    def __init__(self, settings: ConversationSettings) -> None:
        self._settings = settings
        self._filter = None
        with placed_at("recognisers"):
            self._recognisers: FallbackChain[Recogniser] = FallbackChain(RECOGNISERS, settings.recognisers)
        with placed_at("answerers"):
            self._answerers: FallbackChain[Answerer] = FallbackChain(ANSWERERS, settings.answerers)
        with placed_at("voices"):
            self._voices: FallbackChain[SpeechEngine] = FallbackChain(SPEECH_ENGINES, settings.voices)
        with placed_at("documents"):
            self._documents = None if settings.documents is None else read_documents(settings.documents)
        if settings.words is not None:
            with placed_at("words"):
                self._filter = WordFilter(settings.words)
        self._indices: dict[str, Index] = {}

    @property
    def content_versions(self) -> list[str]:
        """What identifies what decides an answer beside the settings: backends, documents, words."""
        names = [f"{recogniser.name} {recogniser.version}" for recogniser in self._recognisers.backends]
        names += [f"{answerer.name} {answerer.version}" for answerer in self._answerers.backends]
        versions = "\n".join(names)
        found = [f"backends {hashlib.sha256(versions.encode()).hexdigest()[:12]}"]
        if self._documents is not None:
            found.append(f"documents {self._documents.content[:12]}")
        if self._settings.words is not None:
            content = hashlib.sha256(Path(self._settings.words.path).read_bytes()).hexdigest()
            found.append(f"words {content[:12]}")
        return found

    def diagnose(self) -> list[Diagnosis]:
        """Look who can hear, answer and speak; nothing is loaded and nothing is asked of a service."""
        return [
            only_for("spoken questions", self._recognisers.diagnose("who hears")),
            self._answerers.diagnose("who answers"),
            self._voices.diagnose("who speaks"),
        ]

    def load(self) -> None:
        """Load every backend, the later ones too, so that a fallback is ready when it is needed."""
        for recogniser in self._recognisers.backends:
            recogniser.load()
        for answerer in self._answerers.backends:
            answerer.load()
        if self._documents is not None:
            self._index(GenerationRequest().language)

    def close(self) -> None:
        """Close every backend."""
        for recogniser in self._recognisers.backends:
            recogniser.close()
        for answerer in self._answerers.backends:
            answerer.close()

    def check(self, request: GenerationRequest) -> None:
        """Check files, and that a backend serves the language.

        Raises
        ------
        RequestError
            With the reason.
        """
        check_files(request)
        language = request.language
        if request.question_audio is not None:
            measure_sound(request.question_audio)
            self._recognisers.check(lambda recogniser: refuse_language(recogniser, language))
        if request.asks:
            self._answerers.check(lambda answerer: answerer.check(language))
        text = _PLACEHOLDER if request.asks else request.text
        if text is not None:
            said, n_found = self._clean(text)
            if said is None:
                raise RequestError(
                    f"text: {count(n_found, 'place')} in it on the list of words that must not be spoken; reword it, "
                    "or give words.instead"
                )
            self._voices.check(lambda voice: voice.check(said, language, request.voice))

    def steps(self, request: GenerationRequest) -> Iterable[str]:
        """Yield what would be done, a line a step."""
        settings = self._settings
        if request.question_audio is not None:
            yield f"hear {request.question_audio} ({request.language}) with {_order(settings.recognisers)}"
        if request.asks:
            asked = "it" if request.question is None else repr(request.question)
            pieces = len(self._documents.pieces) if self._documents is not None else 0
            yield f"answer {asked} with {_order(settings.answerers)}; passages of documents: {pieces}"
        if request.asks or request.text is not None:
            filtered = "" if settings.words is None else f"; words of {settings.words.path} are left out"
            yield f"speak with {_order(settings.voices)}{filtered}"
            yield f"below, {_PLACEHOLDER!r} stands for what is spoken"

    def converse(
        self, request: GenerationRequest, folder: Path, timeline: Timeline, *, uses_prompt: bool
    ) -> Turn:
        """Turn question or text into a sound file in a folder.

        Parameters
        ----------
        request : GenerationRequest
            Checked.
        folder : Path
            Where the sound is written; it must outlive the turn.
        timeline : Timeline
            Takes the events.
        uses_prompt : bool
            Whether the prompt makes a difference to the picture, so that the emotion may go into it.

        Raises
        ------
        GenerationError
            If no backend recognises, answers or speaks, or the answer must not be spoken.
        """
        if not request.asks and request.text is None:
            return Turn(request, None, (), 0.0, {})
        versions: dict[str, str] = {}
        text, prompt, question = request.text or "", request.prompt, request.question
        if request.question_audio is not None:
            question = self._hear(Path(request.question_audio), request.language, timeline, versions)
        if question is not None:
            answer, attempts = self._answer(question, request.language, versions)
            emotion = (answer.emotion or read_emotion(answer.text)) if self._settings.emotion else None
            prompt = add_emotion(request.prompt, emotion if uses_prompt else None)
            text = answer.text
        said, n_filtered = self._clean(text)
        if question is not None:
            timeline.mark(
                ANSWERED,
                question=question,
                text=said,
                knows=answer.knows,
                emotion=emotion,
                sources=list(answer.sources),
                cut=answer.cut,
                n_filtered=n_filtered,
                backends=_plain(attempts),
            )
        if said is None:
            raise GenerationError(
                f"{count(n_filtered, 'place')} in the answer on the list of words that must not be spoken; to have a "
                "sentence spoken instead, give words.instead",
                "filtered",
            )
        speech, attempts = self._voices.call(lambda voice: voice.speak(said, request.language, request.voice))
        path = folder / "speech.wav"
        write_wav(path, speech.samples, speech.rate_hz)
        versions[speech.engine] = speech.version
        last = timeline.mark(
            SPOKEN,
            text=said,
            duration_s=speech.duration_s,
            engine=speech.engine,
            voice=speech.voice,
            n_filtered=n_filtered,
            backends=_plain(attempts),
        )
        spoken = Spoken(text=said, language=request.language, prompt=prompt, phonemes=speech.phonemes)
        derived = _derive_request(request, audio=str(path), prompt=prompt)
        return Turn(derived, spoken, timeline.events, last.time_s, versions)

    def _hear(self, sound: Path, language: str, timeline: Timeline, versions: dict[str, str]) -> str:
        heard, attempts = self._recognisers.call(
            lambda recogniser: recogniser.recognise(sound, language), _has_words
        )
        versions[heard.recogniser] = heard.version
        timeline.mark(HEARD, text=heard.text, duration_s=heard.duration_s, backends=_plain(attempts))
        if not _has_words(heard):
            raise GenerationError(
                f"question_audio {str(sound)!r}: no word was understood; record it closer to the microphone, or give "
                "question, the words",
                "nothing_heard",
            )
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
        (answer, answerer), attempts = self._answerers.call(
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


def _order(backends: Iterable[BackendSettings]) -> str:
    return ", else ".join(backend.called for backend in backends)


def _plain(attempts: Iterable[Attempt]) -> list[JsonValue]:
    return [attempt.to_dict() for attempt in attempts]


def _has_words(heard: Transcript) -> bool:
    return any(character.isalnum() for character in heard.text)


def placeholder_request(request: GenerationRequest) -> GenerationRequest:
    """Return a request whose words every voice can speak, for checking everything but the words."""
    if not request.asks and request.text is None:
        return request
    return _derive_request(request, text=_PLACEHOLDER)


def _derive_request(request: GenerationRequest, **said: str) -> GenerationRequest:
    """Return a request that says something else, without what the conversation alone understands."""
    nothing = dict.fromkeys(("text", "question", "question_audio", "voice"))
    defaults = GenerationRequest()
    return request.model_copy(update={**nothing, "language": defaults.language, **said})
