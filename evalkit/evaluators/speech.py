"""Can it be understood? A recogniser writes the sound down, and that is held against the script."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.metrics.lip_sync import detect_speech
from evalkit.metrics.speech import (
    align_characters,
    align_words,
    is_written_with_spaces,
    normalise,
    sum_blocks,
)
from evalkit.stats.intervals import rate_interval, ratio_interval
from evalkit.tracks.speech import FRAME_RATE_HZ
from evalkit.tracks.transcript import PREFIX, TranscriptTracker, track_name
from evalkit.types import Measurement, Metric, Reason
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evalkit.metrics.speech import Alignment
    from evalkit.types import ClipFacts, ClipIntent, Track
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

LEAST_SPEECH_S = 0.2
SILENCE_DB = -90.0
BLOCK_WORDS = 5
BLOCK_CHARACTERS = 20
"""What an interval redraws: errors of neighbours go together, those of neighbouring blocks hardly do."""


class Speech:
    """Error rates of what a recogniser hears against what the clip was asked to say (`evalkit.types.ClipIntent`).

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
    """

    name = "speech"
    version = 1
    metrics = (WORD_ERROR_RATE, CHAR_ERROR_RATE)
    tracks = ("speech",)

    def __init__(
        self, *, recogniser: str = "pocketsphinx", settings: Mapping[str, Any] | None = None
    ) -> None:
        self._settings = dict(settings or {})
        try:
            self._recogniser: Recogniser = registry.load(registry.RECOGNISERS, recogniser)(**self._settings)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the recogniser {recogniser!r} refuses its settings: {error}") from None
        made_with = f" {hash_of(self._settings)[:8]}" if self._settings else ""
        self.weights: Mapping[str, str] = {}
        self.identity = f"{self._recogniser.name} {self._recogniser.version}{made_with}"

    def trackers(self, facts: ClipFacts) -> Mapping[str, Callable[[], TranscriptTracker]]:
        """Return what writes the sound down; nothing where the transcript could not be compared anyway."""
        language = facts.asked.language
        if language is None or self._why_not(facts) is not None:
            return {}
        name = track_name(self._recogniser, self._settings, language)
        return {name: partial(TranscriptTracker, self._recogniser, self._settings, language)}

    def evaluate(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Iterable[Measurement]:
        """Measure one clip."""
        reason = self._why_not(facts) or _why_silent(tracks.get("speech"))
        self.weights = {} if reason else getattr(self._recogniser, "weights", {})
        if reason is not None:
            for metric in self.metrics:
                yield Measurement.absent(metric, reason)
            return
        words, characters = compare(
            facts.asked, next(tracks[name] for name in tracks if name.startswith(PREFIX))
        )
        if words is None:
            yield Measurement.absent(WORD_ERROR_RATE, Reason.NO_WORD_SPACES)
        else:
            yield _measurement(WORD_ERROR_RATE, words, BLOCK_WORDS)
        yield _measurement(CHAR_ERROR_RATE, characters, BLOCK_CHARACTERS)

    def _why_not(self, facts: ClipFacts) -> Reason | None:
        """Return why there is nothing to compare, as far as it is known before anything is heard."""
        text, language = facts.asked.text, facts.asked.language
        if facts.audio is None:
            return Reason.NO_AUDIO
        if not text or not normalise(text, language or ""):
            return Reason.NO_SCRIPT
        if not language:
            return Reason.NO_LANGUAGE
        return None if self._recogniser.serves(language) else Reason.NO_RECOGNISER


def compare(asked: ClipIntent, transcript: Track) -> tuple[Alignment | None, Alignment]:
    """Align script and transcript by word, where the language has spaces between words, and by character.

    Raises
    ------
    ValueError
        Without a script or its language.
    """
    if asked.text is None or asked.language is None:
        raise ValueError(f"nothing is known of what should be said: {asked}")
    script = normalise(asked.text, asked.language)
    heard = normalise(" ".join(transcript.facts["texts"]), asked.language)
    words = align_words(script, heard) if is_written_with_spaces(asked.language) else None
    return words, align_characters(script, heard)


def _why_silent(speech: Track | None) -> Reason | None:
    if speech is None or not len(speech):
        return Reason.NO_AUDIO
    level_db = speech["level_db"]
    if level_db.max() < SILENCE_DB:
        return Reason.SILENT_AUDIO
    return Reason.NO_SPEECH if detect_speech(level_db).sum() < LEAST_SPEECH_S * FRAME_RATE_HZ else None


def _measurement(metric: Metric, alignment: Alignment, block: int) -> Measurement:
    n = alignment.errors.size
    errors, sizes = sum_blocks(alignment.errors, block)
    interval = ratio_interval(errors, sizes) if errors.any() else rate_interval(0, n)
    samples = (("errors", alignment.errors),)
    return Measurement(metric, alignment.error_rate, n=n, coverage=1.0, interval=interval, samples=samples)
