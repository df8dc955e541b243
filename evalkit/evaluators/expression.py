"""Is the face alive? See `evalkit.metrics.expression` for what the numbers are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from evalkit.evaluators.base import Evaluator, Measured
from evalkit.metrics.expression import (
    eyes_open,
    find_blinks,
    find_nods,
    gaze_angles_deg,
    is_on_camera,
    look_away_moments,
    observed_time_s,
    rotation_spread_deg,
    smile_levels,
    unblinking_moments,
)
from evalkit.metrics.motion import GRID_HZ, frame_rate_hz
from evalkit.stats.intervals import rate_interval, ratio_interval
from evalkit.types import ClipFacts, FloatArray, Measurement, Metric, Reason, Track

BLINK_PER_MIN = Metric(
    "expression.blink_per_min", "1/min", "band", "blinks a minute; people blink 5 to 30 times", (0.0, None)
)
SMILE_MEAN = Metric(
    "expression.smile_mean",
    "1",
    "band",
    "corners of the mouth raised and widened, in distances between the eyes",
)
SMILE_RANGE = Metric(
    "expression.smile_range",
    "1",
    "higher",
    "how far the smile goes up and down: 5th to 95th percentile",
    (0.0, None),
)
NOD_PER_MIN = Metric(
    "expression.nod_per_min", "1/min", "band", "lowerings of the head by 3 degrees or more", (0.0, None)
)
HEAD_MOTION = Metric(
    "expression.head_motion_deg",
    "deg",
    "band",
    "how far the head turns about its mean direction",
    (0.0, None),
)
GAZE_ON_CAMERA = Metric(
    "expression.gaze_on_camera",
    "1",
    "higher",
    "share of time in which the open eyes look into the camera",
    (0.0, 1.0),
)

SHORTEST_S = 2.0
"""Least time with a face; also the length of the windows that intervals are made from."""
LOWEST_RATE_HZ = 12.0
"""Frames a second below which a blink can fall between two of them."""


class Expression(Evaluator):
    """Measures the liveliness of the face from the ``face`` track.

    ``n`` counts events for the rates and frames with a face for the rest; ``coverage`` is the share of frames with a
    face.
    """

    name = "expression"
    version = 5
    metrics = (BLINK_PER_MIN, SMILE_MEAN, SMILE_RANGE, NOD_PER_MIN, HEAD_MOTION, GAZE_ON_CAMERA)
    tracks = ("face",)

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip."""
        del facts
        if "face" not in tracks:
            return self.absent(Reason.NO_VIDEO)
        face = tracks["face"]
        reason = _reason_to_refuse(face)
        if reason is not None:
            return self.absent(reason, coverage=face.coverage)
        return Measured((*_rates(face), *_smile(face), _head_motion(face), _gaze(face)))


def _reason_to_refuse(face: Track) -> Reason | None:
    times_s = face.times_s
    if len(face) < 2:
        return Reason.TOO_FEW_FRAMES
    rate_hz = frame_rate_hz(times_s)
    if times_s[-1] - times_s[0] + 1.0 / rate_hz < SHORTEST_S:
        return Reason.TOO_SHORT
    if rate_hz < LOWEST_RATE_HZ:
        return Reason.LOW_FRAME_RATE
    if _observed_s(face) < SHORTEST_S:
        return Reason.NO_FACE
    return None


def _observed_s(face: Track) -> float:
    return observed_time_s(face.times_s[face.valid], 1.0 / frame_rate_hz(face.times_s))


def _openness(face: Track) -> FloatArray:
    return np.asarray(face.select("eye_left", "eye_right").mean(axis=1)[face.valid])


def _rates(face: Track) -> Iterable[Measurement]:
    times_s, minutes = face.times_s[face.valid], _observed_s(face) / 60.0
    blinks_s = find_blinks(times_s, _openness(face))
    nods_s = find_nods(times_s, face["pitch_deg"][face.valid])
    for metric, events_s, moments in (
        (BLINK_PER_MIN, blinks_s, unblinking_moments(times_s, blinks_s)),
        (NOD_PER_MIN, nods_s, ()),
    ):
        yield Measurement(
            metric,
            events_s.size / minutes,
            n=events_s.size,
            coverage=face.coverage,
            interval=rate_interval(events_s.size, minutes),
            samples=(("moments_s", events_s),),
            moments=moments,
        )


def _smile(face: Track) -> Iterable[Measurement]:
    levels = smile_levels(face.times_s[face.valid], face["smile"][face.valid])
    if levels.size == 0:
        return [
            Measurement.absent(metric, Reason.NO_FACE, coverage=face.coverage)
            for metric in (SMILE_MEAN, SMILE_RANGE)
        ]
    n = int(face.valid.sum())
    parts = np.array_split(levels, max(1, round(levels.size / (SHORTEST_S * GRID_HZ))))
    interval = ratio_interval(
        np.array([part.sum() for part in parts]),
        np.array([part.size for part in parts], dtype=float),
        bounds=SMILE_MEAN.bounds,
    )
    low, high = np.percentile(levels, [5, 95])
    return [
        Measurement(SMILE_MEAN, float(levels.mean()), n=n, coverage=face.coverage, interval=interval),
        Measurement(SMILE_RANGE, float(high - low), n=n, coverage=face.coverage),
    ]


def _head_motion(face: Track) -> Measurement:
    rotations_deg = face.select("yaw_deg", "pitch_deg", "roll_deg")[face.valid]
    return Measurement(
        HEAD_MOTION, rotation_spread_deg(rotations_deg), n=len(rotations_deg), coverage=face.coverage
    )


def _gaze(face: Track) -> Measurement:
    times_s = face.times_s[face.valid]
    is_open = eyes_open(times_s, _openness(face))
    directions = face.select("yaw_deg", "pitch_deg", "gaze_x", "gaze_y")[face.valid]
    angles_deg = gaze_angles_deg(*directions[is_open].T)
    on_camera = is_on_camera(angles_deg).astype(np.float64)
    window = ((times_s[is_open] - times_s[0]) / SHORTEST_S).astype(int)
    looked = np.bincount(window, weights=on_camera).astype(np.float64)
    seen = np.bincount(window).astype(np.float64)
    return Measurement(
        GAZE_ON_CAMERA,
        float(on_camera.mean()),
        n=on_camera.size,
        coverage=face.coverage,
        interval=ratio_interval(looked, seen, bounds=GAZE_ON_CAMERA.bounds),
        moments=look_away_moments(times_s[is_open], angles_deg, 1.0 / frame_rate_hz(face.times_s)),
    )
