"""Would a broadcaster accept the file? Thin: tracks in, one call a metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from evalkit.evaluators.base import Evaluator, Measured
from evalkit.metrics import technical
from evalkit.metrics.moments import worst_moments
from evalkit.tracks.loudness import STEPS_HZ
from evalkit.types import ClipFacts, Measurement, Metric, Reason, Track

AV_DURATION_GAP_MS = Metric(
    "technical.av_duration_gap_ms",
    "ms",
    "zero",
    "duration of the picture minus duration of the sound, as decoded; positive = the picture is longer",
)
BLACK_RATIO = Metric(
    "technical.black_ratio", "1", "lower", "share of time in which the picture is black", (0, 1)
)
FREEZE_RATIO = Metric(
    "technical.freeze_ratio",
    "1",
    "lower",
    "share of time in which the whole picture stands still for half a second or longer",
    (0, 1),
)
FLICKER = Metric(
    "technical.flicker",
    "%",
    "lower",
    "how far the brightness goes and comes back within a quarter second, of full scale",
    (0, 100),
)
SHARPNESS = Metric(
    "technical.sharpness",
    "1",
    "higher",
    "one minus perceptual blur, seen at a size of 512 pixels; median",
    (0, 1),
)
FPS = Metric(
    "technical.fps",
    "1/s",
    "band",
    "frames a second, from their timestamps; the mean where it varies",
    (0, None),
)
WIDTH = Metric(
    "technical.width", "px", "band", "width of the decoded picture, upright, in square pixels", (1, None)
)
HEIGHT = Metric(
    "technical.height", "px", "band", "height of the decoded picture, upright, in square pixels", (1, None)
)
LOUDNESS_LUFS = Metric(
    "technical.loudness_lufs",
    "LUFS",
    "band",
    "integrated gated loudness, EBU R 128; broadcasters ask for -23",
)
TRUE_PEAK_DBTP = Metric(
    "technical.true_peak_dbtp",
    "dBTP",
    "lower",
    "highest level of the sound, between its samples too (ITU-R BS.1770-4); broadcasters allow -1",
)
LOUDNESS_RANGE_LU = Metric(
    "technical.loudness_range_lu",
    "LU",
    "band",
    "how much the loudness of 3 s varies (EBU Tech 3342, which means programmes of a minute or more)",
    (0, None),
)
CLIPPING_RATIO = Metric(
    "technical.clipping_ratio",
    "1",
    "lower",
    "share of sound samples within 0.5 dB of full scale or beyond",
    (0, 1),
)
FACE_COVERAGE = Metric(
    "technical.face_coverage", "1", "higher", "share of frames in which a face is found", (0, 1)
)

BLANK_PICTURE = Reason("blank_picture", "the picture shows nothing")
ALLOWED_DBTP = -1.0
"""The highest true peak of EBU R 128."""
SLOW_SOUND = Reason("slow_sound", "the sound has too few samples a second for a loudness")

_OVER_TIME = (BLACK_RATIO, FREEZE_RATIO, FLICKER, SHARPNESS, FPS)


class Technical(Evaluator):
    """Measures the file itself, from what is decoded and never from what is announced.

    ``n`` counts frames, for the loudness its gating blocks, for its range blocks of 3 s, for clipping and peak samples.
    A picture of one frame has no rate and no durations: what depends on them is absent with ``too_few_frames``. The moments of the loudness are those
    in which the sound is gone; those of the sharpness are held against the clip's own.
    """

    name = "technical"
    version = 4
    metrics = (
        AV_DURATION_GAP_MS,
        BLACK_RATIO,
        FREEZE_RATIO,
        FLICKER,
        SHARPNESS,
        FPS,
        WIDTH,
        HEIGHT,
        LOUDNESS_LUFS,
        TRUE_PEAK_DBTP,
        LOUDNESS_RANGE_LU,
        CLIPPING_RATIO,
        FACE_COVERAGE,
    )
    reasons = (BLANK_PICTURE, SLOW_SOUND)
    tracks = ("picture", "loudness", "face")

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip."""
        picture, sound, face = (tracks.get(name) for name in self.tracks)
        if face is None or not len(face):
            coverage = Measurement.absent(FACE_COVERAGE, Reason.NO_VIDEO)
        else:
            lost = technical.lost_face_moments(face.valid, face.times_s) if len(face) > 1 else ()
            coverage = Measurement(FACE_COVERAGE, face.coverage, n=len(face), coverage=1.0, moments=lost)
        return Measured((_gap(picture, sound), *_picture(facts, picture), *_sound(sound), coverage))


def _gap(picture: Track | None, sound: Track | None) -> Measurement:
    if picture is None:
        return Measurement.absent(AV_DURATION_GAP_MS, Reason.NO_VIDEO)
    if sound is None or not len(sound):
        return Measurement.absent(AV_DURATION_GAP_MS, Reason.NO_AUDIO)
    if len(picture) < 2:
        return Measurement.absent(AV_DURATION_GAP_MS, Reason.TOO_FEW_FRAMES)
    picture_s = technical.frame_durations_s(picture.times_s, picture.facts.get("end_s")).sum()
    gap_ms = 1000 * float(picture_s - sound.facts["duration_s"])
    return Measurement(AV_DURATION_GAP_MS, gap_ms, n=len(picture), coverage=1.0)


def _picture(facts: ClipFacts, picture: Track | None) -> Iterator[Measurement]:
    if facts.video is None or picture is None or not len(picture):
        for metric in (*_OVER_TIME, WIDTH, HEIGHT):
            yield Measurement.absent(metric, Reason.NO_VIDEO)
        return
    n = len(picture)
    yield Measurement(WIDTH, float(facts.video.width), n=n, coverage=1.0)
    yield Measurement(HEIGHT, float(facts.video.height), n=n, coverage=1.0)
    if n < 2:
        for metric in _OVER_TIME:
            yield Measurement.absent(metric, Reason.TOO_FEW_FRAMES)
        return
    times_s = picture.times_s
    end_s = picture.facts.get("end_s")
    durations_s = technical.frame_durations_s(times_s, end_s)
    black, change = picture["black_share"], picture["change"]
    for metric, value, moments in (
        (FPS, technical.mean_frame_rate_hz(times_s), ()),
        (
            BLACK_RATIO,
            technical.black_ratio(black, durations_s),
            technical.black_moments(black, times_s, end_s),
        ),
        (
            FREEZE_RATIO,
            technical.freeze_ratio(change, times_s, end_s),
            technical.frozen_moments(change, times_s, end_s),
        ),
    ):
        yield Measurement(metric, value, n=n, coverage=1.0, moments=moments)
    yield _flicker(picture)
    yield _sharpness(picture)


def _flicker(picture: Track) -> Measurement:
    times_s = picture.times_s
    if times_s[-1] - times_s[0] < technical.FLICKER_WINDOW_S:
        return Measurement.absent(FLICKER, Reason.TOO_SHORT)
    try:
        value = technical.flicker_percent(picture["luma_mean"], times_s)
    except ValueError:
        return Measurement.absent(FLICKER, Reason.LOW_FRAME_RATE)
    moments = technical.flicker_moments(picture["luma_mean"], times_s)
    return Measurement(FLICKER, value, n=len(picture), coverage=1.0, moments=moments)


def _sharpness(picture: Track) -> Measurement:
    sharpness = picture["sharpness"]
    is_seen = np.isfinite(sharpness) & (picture["black_share"] < technical.BLACK_SHARE)
    seen = sharpness[is_seen]
    if not seen.size:
        return Measurement.absent(SHARPNESS, BLANK_PICTURE, coverage=0.0)
    return Measurement(
        SHARPNESS,
        float(np.median(seen)),
        n=seen.size,
        coverage=seen.size / len(picture),
        moments=technical.blur_moments(sharpness, is_seen, picture.times_s, picture.facts.get("end_s")),
    )


def _sound(sound: Track | None) -> Iterator[Measurement]:
    if sound is None or not len(sound):
        for metric in (LOUDNESS_LUFS, TRUE_PEAK_DBTP, LOUDNESS_RANGE_LU, CLIPPING_RATIO):
            yield Measurement.absent(metric, Reason.NO_AUDIO)
        return
    yield _loudness(sound)
    yield _true_peak(sound)
    yield _loudness_range(sound)
    n_samples = sound["n_samples"].sum()
    yield Measurement(
        CLIPPING_RATIO,
        float(sound["n_clipped"].sum() / n_samples),
        n=int(n_samples),
        coverage=1.0,
        moments=technical.clipped_moments(sound["n_clipped"], sound["n_samples"], sound.times_s),
    )


def _true_peak(sound: Track) -> Measurement:
    peak = sound["true_peak"].astype(np.float64)
    if not peak.max() > 0:
        return Measurement.absent(TRUE_PEAK_DBTP, Reason.SILENT_AUDIO)
    level_dbtp = 20 * np.log10(np.maximum(peak, 1e-6))
    moments = worst_moments(
        sound.times_s,
        sound.times_s + 1 / STEPS_HZ,
        level_dbtp,
        level_dbtp > ALLOWED_DBTP,
        np.maximum(level_dbtp - ALLOWED_DBTP, 0.0),
    )
    n_samples = int(sound["n_samples"].sum())
    return Measurement(TRUE_PEAK_DBTP, float(level_dbtp.max()), n=n_samples, coverage=1.0, moments=moments)


def _loudness_range(sound: Track) -> Measurement:
    n_steps = sound.facts["n_whole_steps"]
    power = sound["power"][:n_steps]
    if np.isnan(sound["power"]).any():
        return Measurement.absent(LOUDNESS_RANGE_LU, SLOW_SOUND)
    range_lu = technical.loudness_range_lu(power)
    if range_lu is None:
        is_short = n_steps < technical.LEAST_RANGE_S * STEPS_HZ
        return Measurement.absent(LOUDNESS_RANGE_LU, Reason.TOO_SHORT if is_short else Reason.SILENT_AUDIO)
    n_blocks = n_steps - technical.STEPS_PER_SHORT_TERM + 1
    return Measurement(LOUDNESS_RANGE_LU, range_lu, n=n_blocks, coverage=1.0)


def _loudness(sound: Track) -> Measurement:
    n_steps = sound.facts["n_whole_steps"]
    power = sound["power"][:n_steps]
    if np.isnan(sound["power"]).any():
        return Measurement.absent(LOUDNESS_LUFS, SLOW_SOUND)
    n_blocks = n_steps - technical.STEPS_PER_BLOCK + 1
    loudness_lufs = technical.integrated_loudness_lufs(power)
    if loudness_lufs is None:
        return Measurement.absent(LOUDNESS_LUFS, Reason.TOO_SHORT if n_blocks < 1 else Reason.SILENT_AUDIO)
    moments = technical.silent_moments(power, sound.times_s[:n_steps])
    return Measurement(LOUDNESS_LUFS, loudness_lufs, n=n_blocks, coverage=1.0, moments=moments)
