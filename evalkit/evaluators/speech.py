"""Can it be understood? A recogniser writes the sound down, and that is held against the script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.metrics.lip_sync import detect_speech
from evalkit.metrics.speech import (
    Alignment,
    align_characters,
    align_words,
    error_rate_interval,
    is_written_with_spaces,
    normalise,
)
from evalkit.tracks.speech import FRAME_RATE_HZ
from evalkit.tracks.transcript import PREFIX, TranscriptTracker, track_name
from evalkit.types import ClipFacts, ClipIntent, Measurement, Metric, Reason, Track
from pipeline.extras import find_obstacle
from pipeline.options import hash_of
from pipeline.recogniser import Recogniser

WORD_ERROR_RATE = Metric(
    "speech.word_error_rate",
    "1",
    "lower",
    "words heard wrongly, left out or added, for each word of the script",
    (0, None),
)
CHAR_ERROR_RATE = Metric(
    "speech.char_error_rate",
    "1",
    "lower",
    "characters heard wrongly, left out or added, for each character of the script",
    (0, None),
)

NO_RECOGNISER = Reason("no_recogniser", "the speech recogniser does not understand the language")
NO_WORD_SPACES = Reason("no_word_spaces", "the language is written without spaces between words")

LEAST_SPEECH_S = 0.2
SILENCE_DB = -90.0


class Comparison(NamedTuple):
    """A script beside what was heard.

    Parameters
    ----------
    words : Alignment or None
        By word; None in a language without spaces between words.
    characters : Alignment
    transcript : Track
        From `evalkit.tracks.transcript`.
    """

    words: Alignment | None
    characters: Alignment
    transcript: Track


class Speech(Evaluator):
    """Error rates of what a recogniser hears against what the clip was meant to say (`evalkit.types.ClipIntent`).

    The recogniser makes errors of its own, so that a perfect voice does not reach 0: compare clips heard by one
    recogniser with each other. ``n`` counts words or characters of the script. The intervals come from redrawing
    blocks of neighbouring words; with fewer than five blocks there is none. Without any error, its upper end is that
    of a Poisson rate of which no event was seen.

    Parameters
    ----------
    recogniser : str
        A plug-in of ``evalkit.recognisers``.
    settings : mapping, optional
        Its settings.

    Raises
    ------
    UsageError
        If there is no such recogniser, or it refuses its settings.
    PluginError
        If what is installed under its name is not a `pipeline.recogniser.Recogniser`.
    """

    name = "speech"
    version = 3
    metrics = (WORD_ERROR_RATE, CHAR_ERROR_RATE)
    reasons = (NO_RECOGNISER, NO_WORD_SPACES)
    extra = "speech"
    tracks = ("speech",)

    def __init__(
        self, *, recogniser: str = "pocketsphinx", settings: Mapping[str, Any] | None = None
    ) -> None:
        self._settings = dict(settings or {})
        factory = registry.load(registry.RECOGNISERS, recogniser)
        if obstacle := find_obstacle(factory):
            raise UsageError(f"the recogniser {recogniser!r} cannot be used: {obstacle}")
        try:
            made = factory(**self._settings)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the recogniser {recogniser!r} refuses its settings: {error}") from None
        if not isinstance(made, Recogniser):
            raise registry.PluginError(
                f"the recogniser {recogniser!r} is a {type(made).__name__}, which does not derive from "
                "pipeline.recogniser.Recogniser"
            )
        self._recogniser = made

    @property
    def identity(self) -> str:
        """The recogniser, its version, and its settings where there are any."""
        made_with = f" {hash_of(self._settings)[:8]}" if self._settings else ""
        return f"{self._recogniser.name} {self._recogniser.version}{made_with}"

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what writes the sound down; nothing where the transcript could not be compared anyway."""
        language = facts.intent.language
        if language is None or self._why_not(facts) is not None:
            return {}
        name = track_name(self._recogniser, self._settings, language)
        return {name: partial(TranscriptTracker, self._recogniser, self._settings, language)}

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `Comparison`."""
        reason = self._why_not(facts) or _why_silent(tracks.get("speech"))
        if reason is not None:
            return self.absent(reason)
        found = compare(facts.intent, next(tracks[name] for name in tracks if name.startswith(PREFIX)))
        if found.words is None:
            by_word = Measurement.absent(WORD_ERROR_RATE, NO_WORD_SPACES)
        else:
            by_word = _measurement(WORD_ERROR_RATE, found.words)
        by_character = _measurement(CHAR_ERROR_RATE, found.characters)
        return Measured((by_word, by_character), found, self._recogniser.weights)

    def evidence(self, details: Comparison) -> Iterator[Exhibit]:
        """Write the script with its differences to what was heard."""
        from evalkit.evaluators.pictures.transcript import transcript_page

        metric = CHAR_ERROR_RATE if details.words is None else WORD_ERROR_RATE
        page = transcript_page(details)
        yield Exhibit("transcript.html", "the script, with what was heard instead", page, metric)

    def _why_not(self, facts: ClipFacts) -> Reason | None:
        """Return why there is nothing to compare, as far as it is known before anything is heard."""
        text, language = facts.intent.text, facts.intent.language
        if facts.audio is None:
            return Reason.NO_AUDIO
        if not text or not normalise(text, language or ""):
            return Reason.NO_SCRIPT
        if not language:
            return Reason.NO_LANGUAGE
        return None if self._recogniser.serves(language) else NO_RECOGNISER


def compare(intent: ClipIntent, transcript: Track) -> Comparison:
    """Align script and transcript by word, where the language has spaces between words, and by character.

    Raises
    ------
    ValueError
        Without a script or its language.
    """
    if intent.text is None or intent.language is None:
        raise ValueError(f"{intent} has no script with a language to compare the transcript with")
    script = normalise(intent.text, intent.language)
    heard = normalise(" ".join(transcript.facts["texts"]), intent.language)
    words = align_words(script, heard) if is_written_with_spaces(intent.language) else None
    return Comparison(words, align_characters(script, heard), transcript)


def _why_silent(speech: Track | None) -> Reason | None:
    if speech is None or not len(speech):
        return Reason.NO_AUDIO
    level_db = speech["level_db"]
    if level_db.max() < SILENCE_DB:
        return Reason.SILENT_AUDIO
    return Reason.NO_SPEECH if detect_speech(level_db).sum() < LEAST_SPEECH_S * FRAME_RATE_HZ else None


def _measurement(metric: Metric, alignment: Alignment) -> Measurement:
    errors = alignment.errors
    interval = error_rate_interval(errors)
    samples = (("errors", errors),)
    return Measurement(
        metric, alignment.error_rate, n=errors.size, coverage=1.0, interval=interval, samples=samples
    )
