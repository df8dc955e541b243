"""The evaluator ``lip_sync``: whether the mouth says what is heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.metrics import closures, lip_moments, lip_sync
from evalkit.metrics.articulation import (
    FEWEST_S,
    MUMBLES,
    SHOUTS,
    UNEXPLAINED,
    Articulation,
    measure_articulation,
)
from evalkit.metrics.moments import with_moments, worst_moments
from evalkit.metrics.speech_likeness import ROWS_HZ, measure_likeness
from evalkit.models.lip_sync.predictor import LipSyncModel
from evalkit.models.speech_likeness.model import SpeechLikeness
from evalkit.stats.intervals import share_interval
from evalkit.tracks.face import LIP_COLUMNS
from evalkit.tracks.phonemes import PREFIX, PhonemesTracker, phonemes_of, track_name
from evalkit.tracks.speech import MFCC_COLUMNS
from evalkit.types import BoolArray, ClipFacts, FloatArray, Interval, Measurement, Metric, Reason, Track
from pipeline.extras import find_obstacle
from pipeline.options import hash_of
from pipeline.phonemes import Phoneme
from pipeline.recogniser import Recogniser

ERROR = Metric(
    "lip_sync.error",
    "1",
    "lower",
    "chance that other words fit the lips better, as delivered",
    (0.0, 1.0),
    is_headline=True,
)
RESIDUAL_ERROR = Metric(
    "lip_sync.residual_error", "1", "lower", "the same with the constant offset taken out", (0.0, 1.0)
)
OFFSET = Metric(
    "lip_sync.offset_ms",
    "ms",
    "zero",
    f"positive: the audio leads; speakers in sync differ by ±{lip_sync.SPEAKER_SPREAD_MS:.0f} ms, beside the interval",
    is_headline=True,
)
DRIFT = Metric("lip_sync.drift_ms_per_min", "ms/min", "zero", "slope of the offset over the clip")
DTW_DISTANCE = Metric(
    "lip_sync.dtw_distance", "1", "lower", "warped distance of the lips to their own sound", (0.0, None)
)
CONFIDENCE = Metric(
    "lip_sync.confidence", "1", "higher", "peak minus median of the correlation by offset", (0.0, 2.0)
)
SILENT_MOTION = Metric(
    "lip_sync.silent_motion", "1", "lower", "lip speed where nobody speaks, relative to speech", (0.0, None)
)

ARTICULATION = Metric(
    "lip_sync.articulation",
    "1",
    "band",
    "opening of the mouth over the expected one: 1 as real speakers, 0.5 mumbles, 1.5 shouts",
    (0.0, None),
)
EXPLAINED_VARIANCE = Metric(
    "lip_sync.explained_variance",
    "1",
    "higher",
    "share of the lips' movement that the sound explains, the offset taken out",
    (0.0, 1.0),
)
CLOSURE_MISSED = Metric(
    "lip_sync.closure_missed", "1", "lower", "share of p, b and m at which the lips do not meet", (0.0, 1.0)
)
CLOSURE_OFFSET = Metric(
    "lip_sync.closure_offset_ms", "ms", "zero", "when the lips meet for p, b, m; positive: the audio leads"
)

NO_MOUTH_MOTION = Reason("no_mouth_motion", "the mouth does not move")
NO_SILENCE = Reason("no_silence", "no pause in the speech is long enough")
NO_ALIGNER = Reason(
    "no_aligner", 'what times the sounds of a script is not installed: pip install "evalkit[speech]"'
)
UNALIGNED_LANGUAGE = Reason("unaligned_language", "the sounds of a script in that language cannot be timed")
SCRIPT_MISMATCH = Reason("script_mismatch", "the script is not what is spoken in this clip")
REFUSED_SCRIPT = Reason(
    "refused_script",
    "the sounds of the script cannot be timed: it has letters that its language is not written in, or the sound is too long",
)
TOO_FEW_CLOSURES = Reason(
    "too_few_closures", f"fewer than {closures.FEWEST_CLOSURES} p, b or m are spoken while the mouth is seen"
)
UNCLEAR_CLOSURES = Reason("unclear_closures", "the lips meet at no constant offset from p, b and m")

LOWEST_FRAME_RATE_HZ = 12.0
LOWEST_CLOSURE_FRAME_RATE_HZ = 20.0
"""A closure lasts 40 to 100 ms: with fewer frames the lips can have met between two of them."""
LOWEST_FACE_COVERAGE = 0.3
LEAST_SPEECH_S = 0.8
SILENCE_DB = -90.0
LONGEST_PIECE_S = 10.0
"""A longer sound is looked through for speech in pieces of at most this."""


class Trajectories(NamedTuple):
    """Lips that are seen, and those that the sound lets expect, on one grid.

    Parameters
    ----------
    seen : FloatArray, shape (n, 6)
        In eye distances, not filtered.
    observed, predicted : FloatArray, shape (n, 6)
        In the speech band.
    usable, speech : BoolArray, shape (n,)
    """

    seen: FloatArray
    observed: FloatArray
    predicted: FloatArray
    usable: BoolArray
    speech: BoolArray


class SeenClosures(NamedTuple):
    """The mouth where p, b and m are spoken.

    Parameters
    ----------
    times_s, openness : FloatArray, shape (n,)
        Of the frames, from 0 (closed) to 1.
    valid : BoolArray, shape (n,)
        Where the mouth was seen.
    closures : Closures
        On the clip's clock, as heard.
    offset : ClosureOffset
    judgement : Judgement
        At the offset, where that is clear; otherwise as delivered.
    """

    times_s: FloatArray
    openness: FloatArray
    valid: BoolArray
    closures: closures.Closures
    offset: closures.ClosureOffset
    judgement: closures.Judgement

    @property
    def judged_at_s(self) -> float:
        """The offset at which the closures were judged."""
        return self.offset.offset_s if self.offset.is_clear else 0.0


class Curves(NamedTuple):
    """Everything behind the numbers of one clip, for statistics and pictures.

    Parameters
    ----------
    observed, predicted : FloatArray, shape (n, 6)
        Lips on the grid, in the speech band; predicted not shifted.
    usable, speech : BoolArray, shape (n,)
    offset : OffsetEstimate or None
        Its zero is that of the laboratory recordings.
    delivered, aligned : WindowScores
        Windows as delivered, and with the constant offset taken out.
    mouth_moves : bool
        Whether the lips move more than the landmarks' noise.
    articulation : Articulation or None
        None without an offset.
    closures : SeenClosures or None
        None where nothing tells when p, b and m are spoken.
    """

    observed: FloatArray
    predicted: FloatArray
    usable: BoolArray
    speech: BoolArray
    offset: lip_sync.OffsetEstimate | None
    delivered: lip_sync.WindowScores
    aligned: lip_sync.WindowScores
    mouth_moves: bool
    articulation: Articulation | None = None
    closures: SeenClosures | None = None

    @property
    def aligned_lips(self) -> lip_moments.ComparedLips:
        """What worst moments are found in."""
        offset_s = 0.0 if self.offset is None else self.offset.offset_s
        moved = lip_sync.shift(self.predicted, offset_s)
        return lip_moments.ComparedLips(moved, self.observed, self.usable, self.speech)


class LipSync(Evaluator):
    """Compares the lips that the sound predicts with those seen (see `evalkit.metrics.lip_sync`).

    Lips can only be late or early for speech: a sound in which nobody speaks (`evalkit.metrics.speech_likeness`) is absent
    with ``no_speech``, however loud. A clip in which somebody speaks now and then is measured as a whole.

    ``n`` counts windows for the errors, and blocks of half a second for the offset and for how the mouth articulates.

    Errors and distance of one clip have no interval: its few overlapping windows do not show how far it is off. With a
    planted delay of 60 to 120 ms a bootstrap of them held the long-run error in 50 % of clips of 6 s, 70 % at 8 s, and
    was [0, 0] where the error was 0.03. The interval of many clips is the one to judge by.

    The interval of the offset speaks of this recording: in 95 to 97 of 100 pieces of one, what the rest of it shows lies
    within (``python -m tests.offset_intervals``). Apart from it, natural mouths lead or lag the sound, and recordings differ, by
    `SPEAKER_SPREAD_MS`, root mean square: an offset of less than twice that may be the speaker's own. Where two clips show the same
    speaker, the interval alone is what counts.

    ``articulation`` is 1 for the average of real speakers, who lie between 0.7 and 1.4; ``explained_variance`` of real speakers lies
    between 0.1 and 0.55, a stranger's sound gives up to 0.15 (`evalkit/models/lip_sync/card.md`).

    Closures need the times of the speech sounds: the voice's own, where the clip's record has them, else those of the script
    laid over the sound. They do not use the predictor, and ``n`` counts closures.

    Parameters
    ----------
    aligner : str
        A plug-in of ``evalkit.recognisers`` that aligns scripts. Where it is not installed, all else is measured.
    aligner_settings : mapping, optional
        Its settings.

    Raises
    ------
    UsageError
        If there is no such recogniser, or it refuses its settings, or aligns nothing.
    PluginError
        If what is installed under its name is not a `pipeline.recogniser.Recogniser`.
    """

    name = "lip_sync"
    version = 6
    metrics = (
        ERROR,
        RESIDUAL_ERROR,
        OFFSET,
        DRIFT,
        DTW_DISTANCE,
        CONFIDENCE,
        SILENT_MOTION,
        ARTICULATION,
        EXPLAINED_VARIANCE,
        CLOSURE_MISSED,
        CLOSURE_OFFSET,
    )
    reasons = (
        NO_MOUTH_MOTION,
        NO_SILENCE,
        NO_ALIGNER,
        UNALIGNED_LANGUAGE,
        SCRIPT_MISMATCH,
        REFUSED_SCRIPT,
        TOO_FEW_CLOSURES,
        UNCLEAR_CLOSURES,
    )
    tracks = ("face", "speech")

    def __init__(
        self, *, aligner: str = "pocketsphinx", aligner_settings: Mapping[str, Any] | None = None
    ) -> None:
        self._aligner_settings = dict(aligner_settings or {})
        self._aligner = _make_aligner(aligner, self._aligner_settings)

    @property
    def identity(self) -> str:
        """The aligner, its version, and its settings where there are any; empty without one."""
        if self._aligner is None:
            return ""
        made_with = f" {hash_of(self._aligner_settings)[:8]}" if self._aligner_settings else ""
        return f"{self._aligner.name} {self._aligner.version}{made_with}"

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what times the sounds of the script; nothing where the voice told them, or they cannot be timed."""
        text, language = facts.intent.text, facts.intent.language
        if text is None or language is None or self._aligner is None or self._why_untimed(facts) is not None:
            return {}
        if facts.intent.phonemes:
            return {}
        name = track_name(self._aligner, self._aligner_settings, text, language)
        return {name: partial(PhonemesTracker, self._aligner, self._aligner_settings, text, language)}

    @cached_property
    def _model(self) -> LipSyncModel:
        return LipSyncModel.load()

    @cached_property
    def _likeness(self) -> SpeechLikeness:
        return SpeechLikeness.load()

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `Curves`."""
        reason = reason_against(tracks)
        if reason is not None:
            return self.absent(reason)
        face, speech = tracks["face"], tracks["speech"]
        if not self.somebody_speaks(speech):
            return self.absent(Reason.NO_SPEECH)
        curves = self.compare(face, speech)
        if not curves.mouth_moves:
            return self.absent(NO_MOUTH_MOTION)
        delivered = curves.delivered
        measurements = (
            with_moments(
                _over_windows(ERROR, curves, delivered, delivered.ranks, "rank"),
                lip_moments.error_moments(curves.aligned_lips, delivered, self._model.bank),
            ),
            *_offsets(curves, face.coverage, self._model.bank),
            _silence(curves),
            *_articulation(curves),
        )
        weights = {
            "lip_sync/predictor.npz": self._model.sha256,
            "speech_likeness/weights.json": self._likeness.sha256,
        }
        timed = self._time_phonemes(facts, tracks)
        seen = timed if isinstance(timed, Reason) else see_closures(face, timed)
        if isinstance(seen, Reason):
            closed = tuple(Measurement.absent(metric, seen) for metric in (CLOSURE_MISSED, CLOSURE_OFFSET))
        else:
            closed = (_missed(seen, face.coverage), _closure_offset(seen, face.coverage))
            curves = curves._replace(closures=seen)
            if self._aligner is not None and not facts.intent.phonemes:
                weights |= self._aligner.weights
        return Measured((*measurements, *closed), curves, weights)

    def _why_untimed(self, facts: ClipFacts) -> Reason | None:
        """Return why nothing tells when the sounds of the speech are heard, as far as that is known beforehand."""
        intent = facts.intent
        if intent.phonemes:
            return None
        if not intent.text or not any(sign.isalnum() for sign in intent.text):
            return Reason.NO_SCRIPT
        if not intent.language:
            return Reason.NO_LANGUAGE
        if self._aligner is None:
            return NO_ALIGNER
        return None if self._aligner.aligns(intent.language) else UNALIGNED_LANGUAGE

    def _time_phonemes(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> tuple[Phoneme, ...] | Reason:
        """Return the speech sounds on the clip's clock, or why they are not known."""
        reason = self._why_untimed(facts)
        if reason is not None:
            return reason
        if facts.intent.phonemes:
            speech = tracks["speech"]
            place = closures.place_phonemes(facts.intent.phonemes, speech.times_s, speech["level_db"])
            if place is None or place.likeness < closures.LEAST_LIKENESS:
                return SCRIPT_MISMATCH
            return closures.move_phonemes(facts.intent.phonemes, place.shift_s)
        aligned = next(track for name, track in tracks.items() if name.startswith(PREFIX))
        if aligned.facts["obstacle"]:
            return REFUSED_SCRIPT
        return phonemes_of(aligned) or SCRIPT_MISMATCH

    def somebody_speaks(self, speech: Track) -> bool:
        """Say whether a piece of the sound moves like speech; what is too short to tell is given the benefit."""
        n_pieces = -(-len(speech) // round(LONGEST_PIECE_S * ROWS_HZ))
        cepstra = np.array_split(speech.select(*MFCC_COLUMNS), n_pieces)
        levels_db = np.array_split(speech["level_db"], n_pieces)
        measured = [measure_likeness(*piece) for piece in zip(cepstra, levels_db, strict=True)]
        told = [self._likeness.log_odds(measures) for measures in measured if measures is not None]
        return not told or max(told) >= self._likeness.threshold

    def evidence(self, details: Curves) -> Iterator[Exhibit]:
        """Draw the curves that the numbers come from."""
        from evalkit.evaluators.pictures.lip_sync import draw_lip_sync
        from evalkit.plot_style import png_of

        yield Exhibit(
            "lip_sync.png",
            "lips seen and expected, the offset, and the error over time",
            png_of(draw_lip_sync(details)),
            ERROR,
        )
        if details.closures is not None:
            from evalkit.evaluators.pictures.closures import draw_closures

            yield Exhibit(
                "closures.png",
                "the mouth where p, b and m are spoken",
                png_of(draw_closures(details.closures)),
                CLOSURE_MISSED,
            )

    def compare(self, face: Track, speech: Track) -> Curves:
        """Compare lips and sound of a clip that has both.

        Parameters
        ----------
        face, speech : Track
            The face must be seen, and somebody must speak, at least once.
        """
        lips = self.trajectories(face, speech)
        predicted, observed, usable, is_speech = lips.predicted, lips.observed, lips.usable, lips.speech
        offset = lip_sync.estimate_offset(predicted, observed, usable)
        delivered = lip_sync.score_windows(predicted, observed, usable, is_speech, self._model.bank)
        aligned, opened = delivered, None
        if offset is not None:
            moved = lip_sync.shift(predicted, offset.offset_s)
            aligned = lip_sync.score_windows(moved, observed, usable, is_speech, self._model.bank)
            opened = measure_articulation(lips.seen, moved, observed, usable & is_speech)
        mouth_moves = bool(usable.any()) and float(observed[usable, 0].std()) > lip_sync.STILL_LIPS
        return Curves(observed, predicted, usable, is_speech, offset, delivered, aligned, mouth_moves, opened)

    def trajectories(self, face: Track, speech: Track) -> Trajectories:
        """Bring lips and sound of a clip that has both onto one grid.

        Parameters
        ----------
        face, speech : Track
            As for `compare`.
        """
        end_s = float(min(_end_s(face), _end_s(speech)))
        sound_times_s, sound_lips = lip_sync.predict_lips(
            self._model.predictor, speech.times_s, speech.select(*MFCC_COLUMNS), speech["level_db"]
        )
        # The calibrated zero: with it, laboratory recordings have no offset on average.
        predicted = lip_sync.on_grid(sound_times_s + self._model.zero_s, sound_lips, end_s)
        del sound_times_s, sound_lips  # of a long clip, every array counts
        seen = face.valid
        lips = lip_sync.on_grid(face.times_s[seen], face.select(*LIP_COLUMNS)[seen], end_s)
        usable = _near(face.times_s[seen], lips.shape[0])
        spoken = lip_sync.detect_speech(speech["level_db"])
        is_speech = lip_sync.on_grid(speech.times_s, spoken[:, None].astype(float), end_s)[:, 0] > 0.5
        predicted, observed = lip_sync.keep_speech_band(predicted), lip_sync.keep_speech_band(lips)
        return Trajectories(lips, observed, predicted, usable, is_speech)


def reason_against(tracks: Mapping[str, Track]) -> Reason | None:
    """Say why a clip cannot be measured at all, if it cannot."""
    if "face" not in tracks:
        return Reason.NO_VIDEO
    if "speech" not in tracks or not len(tracks["speech"]):
        return Reason.NO_AUDIO
    face, speech = tracks["face"], tracks["speech"]
    level_db = speech["level_db"]
    checks = (
        (level_db.max() < SILENCE_DB, Reason.SILENT_AUDIO),
        (len(face) < 2, Reason.TOO_FEW_FRAMES),
        (face.coverage < LOWEST_FACE_COVERAGE, Reason.NO_FACE),
        (min(_end_s(face), _end_s(speech)) < lip_sync.SHORTEST_WINDOW_S, Reason.TOO_SHORT),
        (lip_sync.detect_speech(level_db).sum() < LEAST_SPEECH_S * 100, Reason.NO_SPEECH),
    )
    for wrong, reason in checks:
        if wrong:
            return reason
    frame_rate_hz = 1 / float(np.median(np.diff(face.times_s)))
    return Reason.LOW_FRAME_RATE if frame_rate_hz < LOWEST_FRAME_RATE_HZ else None


def _end_s(track: Track) -> float:
    return float(track.times_s[-1]) if len(track) else 0.0


def _near(times_s: FloatArray, n_rows: int, within_s: float = 0.12) -> BoolArray:
    """Say which rows of the grid have an observation near enough to interpolate from."""
    grid = np.arange(n_rows) / lip_sync.GRID_HZ
    after = np.searchsorted(times_s, grid).clip(0, times_s.size - 1)
    before = (after - 1).clip(0)
    nearest_s = np.minimum(np.abs(times_s[after] - grid), np.abs(times_s[before] - grid))
    return np.asarray(nearest_s <= within_s)


def _over_windows(
    metric: Metric, curves: Curves, scores: lip_sync.WindowScores, values: FloatArray, name: str
) -> Measurement:
    """Average a number over the windows of a clip."""
    if values.size == 0:
        usable = bool((curves.usable & curves.speech).sum() >= lip_sync.GRID_HZ * LEAST_SPEECH_S)
        return Measurement.absent(metric, Reason.TOO_SHORT if usable else Reason.NO_SPEECH)
    return Measurement(
        metric,
        float(values.mean()),
        n=values.size,
        coverage=_coverage(scores, curves.observed.shape[0]),
        samples=(("window_start_s", scores.starts_s), (name, values)),
    )


def _coverage(scores: lip_sync.WindowScores, n_rows: int) -> float:
    """Share of the grid that lies in a scored window."""
    covered = np.zeros(n_rows, dtype=bool)
    for start_s in scores.starts_s:
        first = round(start_s * lip_sync.GRID_HZ)
        covered[first : first + int(lip_sync.WINDOW_S * lip_sync.GRID_HZ)] = True
    return float(covered.mean())


def _offsets(curves: Curves, coverage: float, bank: FloatArray) -> Iterator[Measurement]:
    found = curves.offset
    if found is None:
        for metric in (RESIDUAL_ERROR, OFFSET, DRIFT, DTW_DISTANCE, CONFIDENCE):
            yield Measurement.absent(metric, Reason.TOO_SHORT)
        return
    aligned = curves.aligned
    yield with_moments(
        _over_windows(RESIDUAL_ERROR, curves, aligned, aligned.ranks, "rank"),
        lip_moments.error_moments(curves.aligned_lips, aligned, bank),
    )
    local = lip_sync.local_offsets(curves.predicted, curves.observed, curves.usable)
    yield Measurement(
        OFFSET,
        found.offset_ms,
        n=found.n_blocks,
        coverage=coverage,
        interval=_scaled(found.interval_s, 1e3),
        moments=lip_moments.offset_moments(*local, lip_sync.DRIFT_WINDOW_S),
    )
    if found.drift_s_per_s is None:
        yield Measurement.absent(DRIFT, Reason.TOO_SHORT)
    else:
        yield Measurement(
            DRIFT,
            6e4 * found.drift_s_per_s,
            n=found.n_blocks,
            coverage=coverage,
            interval=None if found.drift_interval is None else _scaled(found.drift_interval, 6e4),
        )
    yield _over_windows(DTW_DISTANCE, curves, aligned, aligned.distances, "distance")
    yield Measurement(CONFIDENCE, found.confidence, n=found.n_blocks, coverage=coverage)


def _silence(curves: Curves) -> Measurement:
    ratio = lip_sync.silent_motion(curves.observed, curves.usable, curves.speech)
    if ratio is None:
        return Measurement.absent(SILENT_MOTION, NO_SILENCE)
    return Measurement(
        SILENT_MOTION,
        ratio,
        n=int((~curves.speech).sum()),
        coverage=float(curves.usable.mean()),
        moments=lip_moments.silent_motion_moments(curves.observed, curves.usable, curves.speech),
    )


# --- how the mouth articulates ---------------------------------------------------------------------------------------


def _articulation(curves: Curves) -> Iterator[Measurement]:
    found = curves.articulation
    if found is None:
        yield from (
            Measurement.absent(metric, Reason.TOO_SHORT) for metric in (ARTICULATION, EXPLAINED_VARIANCE)
        )
        return
    ratios, shares = found.articulations, found.explained_variances
    yield _opened(
        ARTICULATION,
        curves,
        found.articulation,
        ratios,
        is_bad=(ratios < MUMBLES) | (ratios > SHOUTS),
        badness=np.abs(np.log(np.maximum(ratios, 0.01))),
    )
    yield _opened(
        EXPLAINED_VARIANCE,
        curves,
        found.explained_variance,
        shares,
        is_bad=shares < UNEXPLAINED,
        badness=1 - shares,
    )


def _opened(
    metric: Metric,
    curves: Curves,
    value: float | None,
    course: FloatArray,
    *,
    is_bad: BoolArray,
    badness: FloatArray,
) -> Measurement:
    """Return a clip's value with its course over the windows; absent where there is too little speech with lips."""
    found, spoken = curves.articulation, curves.usable & curves.speech
    if value is None or found is None:
        few = curves.speech.sum() < FEWEST_S * lip_sync.GRID_HZ
        return Measurement.absent(metric, Reason.NO_SPEECH if few else Reason.NO_FACE)
    return Measurement(
        metric,
        value,
        n=max(1, round(float(spoken.sum()) / lip_sync.GRID_HZ / lip_sync.BLOCK_S)),
        coverage=float(curves.usable.mean()),
        samples=(("window_start_s", found.starts_s), (metric.name.partition(".")[2], course)),
        moments=worst_moments(found.starts_s, found.starts_s + found.window_s, course, is_bad, badness),
    )


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(interval.low * factor, interval.high * factor)


# --- closures --------------------------------------------------------------------------------------------------------


def _make_aligner(name: str, settings: Mapping[str, Any]) -> Recogniser | None:
    """Make the aligner; None where its libraries are not installed."""
    factory = registry.load(registry.RECOGNISERS, name)
    if find_obstacle(factory):
        return None
    try:
        made = factory(**settings)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the aligner {name!r} refuses its settings: {error}") from None
    if not isinstance(made, Recogniser):
        raise registry.PluginError(
            f"the aligner {name!r} is a {type(made).__name__}, which does not derive from pipeline.recogniser.Recogniser"
        )
    if type(made).align is Recogniser.align:
        raise UsageError(
            f"the recogniser {name!r} aligns no script; give another as aligner, as pocketsphinx"
        )
    return made


def see_closures(face: Track, phonemes: tuple[Phoneme, ...]) -> SeenClosures | Reason:
    """Look at the mouth where p, b and m are spoken; return why that cannot be judged, if it cannot.

    Parameters
    ----------
    face : Track
    phonemes : tuple of Phoneme
        On the clip's clock.
    """
    if 1 / float(np.median(np.diff(face.times_s))) < LOWEST_CLOSURE_FRAME_RATE_HZ:
        return Reason.LOW_FRAME_RATE
    openness = closures.scale_openness(face["lip_gap"], face.valid)
    if openness is None:
        return NO_MOUTH_MOTION
    spoken = closures.find_closures(phonemes)
    offset = closures.estimate_offset(face.times_s, openness, face.valid, spoken)
    if offset is None:
        return TOO_FEW_CLOSURES
    at_s = offset.offset_s if offset.is_clear else 0.0
    judgement = closures.judge_closures(face.times_s, openness, face.valid, spoken, at_s)
    if judgement.is_judged.sum() < closures.FEWEST_CLOSURES:
        return TOO_FEW_CLOSURES
    return SeenClosures(face.times_s, openness, face.valid, spoken, offset, judgement)


def _missed(seen: SeenClosures, coverage: float) -> Measurement:
    judgement = seen.judgement
    judged = judgement.is_judged
    share = judgement.missed_share
    if share is None:
        return Measurement.absent(CLOSURE_MISSED, TOO_FEW_CLOSURES)
    starts_s = seen.closures.starts_s[judged] + seen.judged_at_s
    ends_s = seen.closures.ends_s[judged] + seen.judged_at_s
    openness, is_missed = judgement.openness[judged], judgement.is_missed[judged]
    return Measurement(
        CLOSURE_MISSED,
        share,
        n=int(judged.sum()),
        coverage=coverage,
        interval=share_interval(int(is_missed.sum()), int(judged.sum())),
        samples=(("closure_start_s", starts_s), ("openness", openness)),
        moments=worst_moments(starts_s, ends_s, openness, is_missed, openness),
    )


def _closure_offset(seen: SeenClosures, coverage: float) -> Measurement:
    if not seen.offset.is_clear:
        return Measurement.absent(CLOSURE_OFFSET, UNCLEAR_CLOSURES)
    return Measurement(
        CLOSURE_OFFSET,
        1e3 * seen.offset.offset_s,
        n=int(seen.judgement.is_judged.sum()),
        coverage=coverage,
        interval=_scaled(seen.offset.interval_s, 1e3),
    )
