"""Does it hold over minutes? See `evalkit.metrics.stability` for what the numbers are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.metrics import stability
from evalkit.metrics.moments import worst_moments
from evalkit.metrics.stability import VISIBLE_FLICKER_PERCENT, Drift, Period
from evalkit.stats.intervals import rate_interval, ratio_interval
from evalkit.tracks.face import SHAPE_COLUMNS
from evalkit.tracks.stability import COLORS, MOTION, STEPS, STILL_CHANGE, StabilityTracker
from evalkit.types import (
    BoolArray,
    ClipFacts,
    FloatArray,
    Interval,
    Measurement,
    Metric,
    Moment,
    Reason,
    Track,
)

SEAMS_PER_MIN = Metric(
    "stability.seams_per_min",
    "1/min",
    "lower",
    "jumps of head, person, background or colour from one picture to the next, as where generated pieces are joined; cuts too",
    (0.0, None),
    is_headline=True,
)
SEAM_PERIOD = Metric(
    "stability.seam_period_s",
    "s",
    "band",
    "interval at which seams come, where they come at one: the length of a generator's pieces",
    (0.0, None),
)
COLOR_DRIFT = Metric(
    "stability.color_drift_per_min",
    "ΔE00/min",
    "lower",
    "how fast the mean colour of the person moves in one direction",
    (0.0, None),
)
BACKGROUND_COLOR_DRIFT = Metric(
    "stability.background_color_drift_per_min",
    "ΔE00/min",
    "lower",
    "how fast the mean colour of the background moves in one direction",
    (0.0, None),
)
SHARPNESS_DRIFT = Metric(
    "stability.sharpness_drift_per_min",
    "1/min",
    "zero",
    "rise of the logarithm of the picture's sharpness; -0.1 loses a tenth each minute",
)
BACKGROUND_FLICKER = Metric(
    "stability.background_flicker",
    "%",
    "lower",
    "how far the background's lightness goes and comes back within two pictures, of full scale, without the camera's movement; mean",
    (0.0, 100.0),
)
FACE_DRIFT = Metric(
    "stability.face_drift_per_min",
    "1/min",
    "lower",
    "relative change of the face's proportions in one direction, without expression and turn: 0.02 is two percent each minute",
    (0.0, None),
)

NO_PERIOD = Reason("no_period", "the seams, if there are any, come at no regular interval")
STILL_PICTURE = Reason("still_picture", "the picture stands still nearly all the time")
NO_PERSON = Reason("no_person", "no person was found in enough pictures")
NO_BACKGROUND = Reason("no_background", "the person fills the picture nearly all the time")
UNIFORM_PICTURE = Reason("uniform_picture", "the picture shows nothing whose sharpness could be told")

LEAST_S = 3.0
"""Of moving pictures, for seams and flicker."""
LEAST_DRIFT_S = stability.BLOCK_S * stability.MIN_BLOCKS
LONGEST_DRIFT_FRAME_S = stability.BLOCK_S / stability.LEAST_IN_BLOCK
"""Frames that are further apart leave too few in a block for a drift."""
LEAST_SEEN = 0.5
"""Share of the clip's blocks in which something must be seen for its drift to be told."""
HELD_S = 0.5
"""A picture that is held for longer counts as still time."""
_FLICKER_WINDOW_S = 0.5

FLOORS = {
    "head": 0.3,
    "person": 0.1,
    "background": 0.15,
    "person color": 0.12,
    "background color": 0.12,
    "picture": 0.3,
}
"""What jumps, and the variation below which it counts as at rest: for movements in percent of the distance between the eyes or
of half the region's size, for colours and for what no movement explains in units of CIELAB."""
MOVEMENTS = ("head", "person", "background")
"""Those of `FLOORS` that have a course: a movement goes over into the next."""


class Drifts(NamedTuple):
    """What drifts and how, for pictures; None where it cannot be told."""

    person: Drift | None
    background: Drift | None
    sharpness: Drift | None
    face: Drift | None


class Course(NamedTuple):
    """What is seen along a clip, for pictures.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Of the pictures that do not repeat the one before.
    scores : dict of str to FloatArray, each of shape (n,)
        How far each picture jumps, by what jumps: the names of `FLOORS`.
    seams : array of int
        Which pictures begin with a seam.
    period : Period or None
    frame_s : float
        Time from one frame to the next.
    flicker : tuple of FloatArray
        Begins of windows, and the flicker in each.
    drifts : Drifts
    piece_s : float or None
        Length of the pieces that the generator was asked for; None where that is not known.
    """

    times_s: FloatArray
    scores: dict[str, FloatArray]
    seams: NDArray[np.intp]
    period: Period | None
    frame_s: float
    flicker: tuple[FloatArray, FloatArray]
    drifts: Drifts
    piece_s: float | None = None


class Stability(Evaluator):
    """Measures seams and slow drifts.

    ``n`` counts pictures for seams and flicker, blocks of two seconds for drifts, regular intervals for the period.
    ``coverage`` is the share of the clip in which the picture moves, or in which what drifts is seen.

    A drift is what the picture does, whatever the cause: light that changes, clouds, a person who walks out of the sun or turns
    the other cheek move colours too. Its interval says how sure the direction is; clips that are meant to be lit evenly can be
    compared.
    """

    name = "stability"
    version = 1
    metrics = (
        SEAMS_PER_MIN,
        SEAM_PERIOD,
        COLOR_DRIFT,
        BACKGROUND_COLOR_DRIFT,
        SHARPNESS_DRIFT,
        BACKGROUND_FLICKER,
        FACE_DRIFT,
    )
    reasons = (NO_PERIOD, STILL_PICTURE, NO_PERSON, NO_BACKGROUND, UNIFORM_PICTURE)
    tracks = ("face", "picture")

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what makes the track of its name."""
        del facts
        return {"stability": StabilityTracker}

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `Course`, where anything was measured."""
        if facts.video is None or any(name not in tracks for name in (*self.tracks, "stability")):
            return self.absent(Reason.NO_VIDEO)
        changes, face, picture = tracks["stability"], tracks["face"], tracks["picture"]
        if len(changes) < 2:
            return self.absent(Reason.TOO_FEW_FRAMES)
        times_s = changes.times_s
        frame_s = float(np.median(np.diff(times_s)))
        length_s = float(times_s[-1] - times_s[0]) + frame_s
        moves = ~(changes["change"] < STILL_CHANGE)
        drifts = Drifts(
            _color_drift(changes, "person"),
            _color_drift(changes, "background"),
            _sharpness_drift(picture),
            _face_drift(face),
        )
        seams = _Seams(facts.video.width * facts.video.height, changes, face, moves, frame_s)
        moving_s = _moving_s(times_s, moves, frame_s)
        too_little = _too_little(moving_s, length_s, frame_s)
        flicker = _flicker_course(changes, moves)
        too_rare = Reason.LOW_FRAME_RATE if frame_s > LONGEST_DRIFT_FRAME_S + 1e-6 else None
        is_still = frame_s <= HELD_S and moving_s < LEAST_SEEN * length_s
        no_color = too_rare or (STILL_PICTURE if is_still else None)
        measurements = (
            *seams.measurements(moving_s, length_s, too_little, facts.intent.piece_s),
            _color(COLOR_DRIFT, drifts.person, length_s, no_color or NO_PERSON),
            _color(BACKGROUND_COLOR_DRIFT, drifts.background, length_s, no_color or NO_BACKGROUND),
            _sharpness(drifts.sharpness, length_s, too_rare or UNIFORM_PICTURE),
            _flicker(changes, moves, flicker, min(1.0, moving_s / length_s), too_little),
            _face(drifts.face, length_s, too_rare or Reason.NO_FACE),
        )
        if all(measurement.value is None for measurement in measurements):
            return Measured(measurements)
        course = Course(
            times_s[moves],
            seams.scores,
            seams.found,
            seams.period,
            frame_s,
            flicker,
            drifts,
            facts.intent.piece_s,
        )
        return Measured(measurements, course)

    def evidence(self, details: Course) -> Iterator[Exhibit]:
        """Draw what is seen along the clip."""
        from evalkit.evaluators.pictures.stability import draw_stability
        from evalkit.plot_style import png_of

        caption = "seams, colours, sharpness and flicker along the clip"
        yield Exhibit("stability.png", caption, png_of(draw_stability(details)), SEAMS_PER_MIN)


def _moving_s(times_s: FloatArray, moves: BoolArray, frame_s: float) -> float:
    """Return for how long the picture moves: pictures that are held for long count as one frame."""
    gaps_s = np.diff(times_s[moves])
    return float(gaps_s[gaps_s <= HELD_S + 1e-6].sum()) + frame_s


def _too_little(moving_s: float, length_s: float, frame_s: float) -> Reason | None:
    """Say why there are no seams and no flicker to be told, if there are none."""
    if length_s >= LEAST_S - 1e-6 and frame_s > HELD_S + 1e-6:
        return Reason.LOW_FRAME_RATE
    if moving_s >= LEAST_S - 1e-6:
        return None
    return Reason.TOO_SHORT if length_s < LEAST_S - 1e-6 else STILL_PICTURE


class _Seams:
    """The seams of a clip: how far each picture jumps, and which ones stand out."""

    def __init__(self, n_pixels: int, changes: Track, face: Track, moves: BoolArray, frame_s: float) -> None:
        self._times_s = changes.times_s[moves]
        self.scores = {
            name: stability.jump_scores(self._times_s, values, FLOORS[name], is_smooth=name in MOVEMENTS)
            for name, values in _changes_of(n_pixels, changes, face, moves).items()
        }
        self._highest = np.max(list(self.scores.values()), axis=0)
        self.found, self.period = stability.find_seams(self._times_s, self._highest, frame_s)

    def measurements(
        self, moving_s: float, length_s: float, reason: Reason | None, piece_s: float | None
    ) -> tuple[Measurement, Measurement]:
        coverage = min(1.0, moving_s / length_s)
        if reason is not None:
            return (
                Measurement.absent(SEAMS_PER_MIN, reason, coverage=coverage),
                Measurement.absent(SEAM_PERIOD, reason, coverage=coverage),
            )
        minutes = moving_s / 60
        seams_s, strengths = self._times_s[self.found], self._highest[self.found]
        samples = (("seam_s", seams_s), ("strength", strengths))
        rate = Measurement(
            SEAMS_PER_MIN,
            self.found.size / minutes,
            n=self._times_s.size,
            coverage=coverage,
            interval=rate_interval(self.found.size, minutes),
            samples=samples,
            moments=self._moments(self.found.size / minutes),
        )
        if self.period is None:
            return rate, Measurement.absent(SEAM_PERIOD, NO_PERIOD, coverage=coverage)
        asked = () if piece_s is None else (("asked_s", np.array([piece_s])),)
        return rate, Measurement(
            SEAM_PERIOD, self.period.period_s, n=self.period.n_regular, coverage=coverage, samples=asked
        )

    def _moments(self, rate_per_min: float) -> tuple[Moment, ...]:
        """Each seam from the picture before it to the one after it, the strongest first.

        Its value is how many a minute there were if all followed each other as soon as it and the seam next to it do.
        """
        before_s = self._times_s[self.found - 1]
        after_s = self._times_s[np.minimum(self.found + 1, self._times_s.size - 1)]
        strengths = self._highest[self.found]
        rates = np.full(strengths.size, rate_per_min)
        if strengths.size > 1:
            apart_s = np.diff(self._times_s[self.found])
            rates = 60 / np.fmin(np.append(np.inf, apart_s), np.append(apart_s, np.inf))
        return worst_moments(before_s, after_s, rates, np.ones(strengths.size, dtype=bool), strengths)


def _changes_of(n_pixels: int, changes: Track, face: Track, moves: BoolArray) -> dict[str, FloatArray]:
    """Return how each picture that moves differs from the one before, by the names of `FLOORS`."""
    found: dict[str, FloatArray] = {}
    for region in ("person", "background"):
        half_px = np.sqrt(np.maximum(changes[f"{region}_share"][moves], 1e-6) * n_pixels) / 2
        movement = changes.select(*(f"{region}_{name}" for name in MOTION))[moves]
        movement[:, :2] /= half_px[:, None]
        found[region] = 100 * movement
        found[f"{region} color"] = changes.select(*(f"{region}_{name}" for name in STEPS))[moves]
    found["picture"] = changes.select("residual")[moves]
    head = face.select("centre_x_px", "centre_y_px", "scale_px", "yaw_deg", "pitch_deg", "roll_deg")[moves]
    head[~face.valid[moves]] = np.nan
    scale_px = head[:, 2].copy()
    head[:, 2] = np.log(scale_px)
    steps: FloatArray = np.diff(head, axis=0, prepend=np.full((1, head.shape[1]), np.nan))
    steps[:, :2] /= scale_px[:, None]
    steps[:, 3:] = np.deg2rad(steps[:, 3:]) / 2  # half the distance between the eyes is the lever of a turn
    found["head"] = 100 * steps
    return found


def _seen_in(drift: Drift, length_s: float) -> float:
    return min(1.0, drift.n_blocks * stability.BLOCK_S / length_s)


def _drift_absence(
    metric: Metric, drift: Drift | None, length_s: float, otherwise: Reason
) -> Measurement | None:
    """Say why a drift cannot be told, if it cannot."""
    if length_s < LEAST_DRIFT_S - 1e-6:
        return Measurement.absent(metric, Reason.TOO_SHORT)
    if drift is None:
        return Measurement.absent(metric, otherwise)
    coverage = _seen_in(drift, length_s)
    return Measurement.absent(metric, otherwise, coverage=coverage) if coverage < LEAST_SEEN else None


def _color_drift(changes: Track, region: str) -> Drift | None:
    lab = changes.select(*(f"{region}_{name}" for name in COLORS))
    seen = np.isfinite(lab).all(axis=1)
    return stability.drift_per_min(changes.times_s[seen], lab[seen])


def _color(metric: Metric, drift: Drift | None, length_s: float, otherwise: Reason) -> Measurement:
    absent = _drift_absence(metric, drift, length_s, otherwise)
    if absent is not None or drift is None:
        return absent or Measurement.absent(metric, otherwise)
    names = ("l_per_min", "a_per_min", "b_per_min")
    return _drift_measurement(metric, stability.color_drift_size(drift), drift, length_s, *names)


def _drift_measurement(
    metric: Metric, found: tuple[float, Interval], drift: Drift, length_s: float, *names: str
) -> Measurement:
    value, interval = found
    return Measurement(
        metric,
        value,
        n=drift.n_blocks,
        coverage=_seen_in(drift, length_s),
        interval=interval if interval.low < interval.high else None,
        samples=tuple((name, np.array([slope])) for name, slope in zip(names, drift.slopes, strict=True)),
    )


def _sharpness_drift(picture: Track) -> Drift | None:
    sharpness = picture["sharpness"]
    seen = np.isfinite(sharpness) & (sharpness > 0)
    return stability.drift_per_min(picture.times_s[seen], np.log(sharpness[seen])[:, None])


def _sharpness(drift: Drift | None, length_s: float, otherwise: Reason) -> Measurement:
    absent = _drift_absence(SHARPNESS_DRIFT, drift, length_s, otherwise)
    if absent is not None or drift is None:
        return absent or Measurement.absent(SHARPNESS_DRIFT, otherwise)
    low, slope, high = (float(ends[0]) for ends in (drift.lows, drift.slopes, drift.highs))
    return _drift_measurement(SHARPNESS_DRIFT, (slope, Interval(low, high)), drift, length_s, "per_min")


def _face_drift(face: Track) -> Drift | None:
    if not face.valid.any():
        return None
    shape = face.select(*SHAPE_COLUMNS)[face.valid]
    pose_deg = face.select("yaw_deg", "pitch_deg", "roll_deg")[face.valid]
    return stability.drift_per_min(face.times_s[face.valid], stability.without_pose(shape, pose_deg))


def _face(drift: Drift | None, length_s: float, otherwise: Reason) -> Measurement:
    absent = _drift_absence(FACE_DRIFT, drift, length_s, otherwise)
    if absent is not None or drift is None:
        return absent or Measurement.absent(FACE_DRIFT, otherwise)
    names = (f"{name}_per_min" for name in SHAPE_COLUMNS)
    return _drift_measurement(FACE_DRIFT, stability.drift_size(drift), drift, length_s, *names)


def _flicker_course(changes: Track, moves: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return begins of windows and the mean flicker in each."""
    flicker = changes["flicker_percent"]
    seen = np.isfinite(flicker) & moves
    windows, window_of = np.unique(
        np.floor((changes.times_s[seen] - changes.times_s[0]) / _FLICKER_WINDOW_S), return_inverse=True
    )
    counts = np.bincount(window_of, minlength=windows.size)
    sums = np.bincount(window_of, weights=flicker[seen], minlength=windows.size)
    return changes.times_s[0] + windows * _FLICKER_WINDOW_S, sums / np.maximum(counts, 1)


def _flicker(
    changes: Track,
    moves: BoolArray,
    course: tuple[FloatArray, FloatArray],
    moving_share: float,
    too_little: Reason | None,
) -> Measurement:
    flicker = changes["flicker_percent"]
    seen = np.isfinite(flicker) & moves
    starts_s, windows = course
    share = float(seen.sum()) / max(1, int(moves.sum()))
    coverage = share * moving_share
    reason = too_little or (NO_BACKGROUND if share < LEAST_SEEN else None)
    if reason is not None:
        return Measurement.absent(BACKGROUND_FLICKER, reason, coverage=coverage)
    return Measurement(
        BACKGROUND_FLICKER,
        float(flicker[seen].mean()),
        n=int(seen.sum()),
        coverage=coverage,
        interval=ratio_interval(windows, np.ones(windows.size), bounds=BACKGROUND_FLICKER.bounds),
        samples=(("window_start_s", starts_s), ("flicker", windows)),
        moments=worst_moments(
            starts_s,
            starts_s + _FLICKER_WINDOW_S,
            windows,
            windows >= VISIBLE_FLICKER_PERCENT,
            np.maximum(windows - VISIBLE_FLICKER_PERCENT, 0.0),
        ),
    )
