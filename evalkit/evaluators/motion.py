"""Does the body move like a body? See `evalkit.metrics.motion` for what the numbers are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.metrics import motion
from evalkit.metrics.moments import ROUGH_SPARC
from evalkit.metrics.motion import GRID_HZ, MOVEMENT_HZ, SMOOTHNESS_WINDOW_S, TREMOR_HZ, WindowSums
from evalkit.stats.intervals import ratio_interval
from evalkit.tracks.pose import JOINTS, STILL_CHANGE, PoseTracker, refuse_missing, track_of
from evalkit.types import BoolArray, ClipFacts, FloatArray, Measurement, Metric, Moment, Reason, Track

JOINT_ANGLE_STD = Metric(
    "motion.joint_angle_std_deg",
    "deg",
    "band",
    "spread of the joint angles over ten seconds: low is stiff, very high is restless",
    (0.0, None),
)
SPARC = Metric(
    "motion.sparc", "1", "zero", "smoothness of movement: spectral arc length of speed", (None, 0.0)
)
LDLJ = Metric("motion.ldlj", "1", "zero", "smoothness of movement: log dimensionless jerk")
JITTER_RATIO = Metric(
    "motion.jitter_ratio",
    "1",
    "lower",
    "share of the power of angular speed that is tremor, 6-10 Hz; moves with the encoding, no gate",
    (0.0, 1.0),
)
AMOUNT = Metric(
    "motion.amount_deg_s",
    "deg/s",
    "band",
    "mean angular speed of the joints below 6 Hz",
    (0.0, None),
    is_headline=True,
)
FREEZE_RATIO = Metric(
    "motion.freeze_ratio",
    "1",
    "lower",
    "share of time in which the picture stands still, single repeated frames included",
    (0.0, 1.0),
)
VISIBLE_JOINTS = Metric(
    "motion.visible_joints", "1", "higher", "share of the joints of a body that are seen", (0.0, 1.0)
)

NO_BODY = Reason("no_body", "no body was found in enough frames")
NO_MOTION = Reason("no_motion", "the body does not move")

LOWEST_RATE_HZ = 2 * MOVEMENT_HZ
LOWEST_JITTER_RATE_HZ = 2.3 * TREMOR_HZ
"""23 frames a second: 10 Hz with a margin, so that 23.976 passes."""
VISIBLE = 0.5
"""Visibility of a joint from which it counts as seen."""

_MIDDLE = {
    "ears": ("left_ear", "right_ear"),
    "shoulders": ("left_shoulder", "right_shoulder"),
    "hips": ("left_hip", "right_hip"),
}
_SHOULDER_LINE = ("right_shoulder", "left_shoulder")
JOINT_ANGLES: dict[str, tuple[tuple[str, str] | None, tuple[str, str]]] = {
    "neck": (_SHOULDER_LINE, ("shoulders", "ears")),
    "shoulders": (None, _SHOULDER_LINE),
    "left_shoulder": (_SHOULDER_LINE, ("left_shoulder", "left_elbow")),
    "right_shoulder": (_SHOULDER_LINE, ("right_shoulder", "right_elbow")),
    "left_elbow": (("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")),
    "right_elbow": (("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist")),
    "trunk": (_SHOULDER_LINE, ("hips", "shoulders")),
    "left_hip": (("left_shoulder", "left_hip"), ("left_hip", "left_knee")),
    "right_hip": (("right_shoulder", "right_hip"), ("right_hip", "right_knee")),
    "left_knee": (("left_hip", "left_knee"), ("left_knee", "left_ankle")),
    "right_knee": (("right_hip", "right_knee"), ("right_knee", "right_ankle")),
}
"""Each joint angle, from one direction (None: the picture's horizontal) to another, between points of the body.
``ears``, ``shoulders`` and ``hips`` stand for the middle between left and right. Besides these there are the three
of `HEAD_ANGLES`; with them, ``neck`` and ``shoulders`` a talking head has scores too."""

HEAD_ANGLES = {"head_yaw": "yaw_deg", "head_pitch": "pitch_deg", "head_roll": "roll_deg"}
"""Rotations of the head, from the ``face`` track: hundreds of landmarks of a face give them several times more
precisely than nose and ears of a body."""


WIDEST_YAW_DEG = 50.0
"""How far a head may be turned away for its rotation to be used; of a face from the side it is a guess."""


def joint_angles(pose: Track, face: Track) -> dict[str, tuple[FloatArray, BoolArray]]:
    """Return the joint angles that are seen at least once.

    Parameters
    ----------
    pose, face : Track
        Of the same frames.

    Returns
    -------
    dict of str to (FloatArray, BoolArray), each of shape (n,)
        Name of the joint, its angle in degrees and whether it was seen.
    """
    shown = _picture_shown(pose)
    seen = (face.valid & (np.abs(np.nan_to_num(face["yaw_deg"])) <= WIDEST_YAW_DEG))[shown]
    angles = {name: (face[column][shown], seen) for name, column in HEAD_ANGLES.items() if seen.any()}
    points = {joint: _place(pose, joint) for joint in JOINTS}
    for name, (left, right) in _MIDDLE.items():
        points[name] = (points[left] + points[right]) / 2
    horizontal = np.broadcast_to([1.0, 0.0], (len(pose), 2))
    for name, (first, second) in JOINT_ANGLES.items():
        start = horizontal if first is None else points[first[1]] - points[first[0]]
        angle, usable = motion.angles_between_deg(start, points[second[1]] - points[second[0]])
        if usable.any():
            angles[name] = angle, usable
    return angles


def _picture_shown(pose: Track) -> NDArray[np.intp]:
    """Return, a frame, the index of the one whose picture it shows: its own, or the first of the same pictures."""
    is_same = pose.valid & (np.nan_to_num(pose["change"], nan=np.inf) < STILL_CHANGE)
    return np.maximum.accumulate(np.where(is_same, 0, np.arange(len(pose))))


def _place(track: Track, joint: str) -> FloatArray:
    place = track.select(f"{joint}_x_px", f"{joint}_y_px")
    place[~_seen(track, joint)] = np.nan
    return place


def _seen(track: Track, joint: str) -> BoolArray:
    return np.asarray(track.valid & (np.nan_to_num(track[f"{joint}_visibility"]) >= VISIBLE))


class JointAngles(NamedTuple):
    """The joint angles of a clip, for pictures.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
    angles : dict of str to (FloatArray, BoolArray), each of shape (n,)
        As `joint_angles` returns them.
    """

    times_s: FloatArray
    angles: dict[str, tuple[FloatArray, BoolArray]]


class Motion(Evaluator):
    """Measures the motion of the body from the tracks of its pose and of its face.

    ``n`` counts windows (10 s for the spread, 2 s for the rest), frames for `freeze_ratio` and `visible_joints`.
    ``coverage`` is the share of the clip in which at least one joint angle could be followed.

    The pose network sees a mirrored body differently: mirroring the pixels moved the deviation of the joint angles of one
    clip from 12.7° to 18.3°. The tremor is near the network's own noise: re-encoding moved `jitter_ratio` of one clip
    between 0.16 and 0.29, and mirroring took it from 0.20 to 0.007. It compares clips of one making; no policy that comes
    with the product has a gate on it.

    Parameters
    ----------
    runtime : str
        What runs the pose network: ``openvino``, or ``mediapipe`` where there is no OpenVINO, at half the speed. Their
        values differ a little, so that each has an identity and a track of its own.

    Raises
    ------
    UsageError
        For another runtime.
    """

    name = "motion"
    version = 5
    metrics = (JOINT_ANGLE_STD, SPARC, LDLJ, JITTER_RATIO, AMOUNT, FREEZE_RATIO, VISIBLE_JOINTS)
    reasons = (NO_BODY, NO_MOTION)

    def __init__(self, runtime: str = "openvino") -> None:
        self._pose = track_of(runtime)
        self._runtime = runtime

    @property
    def identity(self) -> str:
        """The runtime, where it is not the usual one."""
        return "" if self._runtime == "openvino" else self._runtime

    @property
    def tracks(self) -> tuple[str, ...]:
        """The pose, by the runtime, and the face."""
        return (self._pose, "face")

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what makes the track of the pose."""
        del facts
        return {self._pose: partial(PoseTracker, self._runtime)}

    def prepare(self, notify: Callable[[str], None]) -> None:
        """Refuse a runtime that is not installed."""
        del notify
        refuse_missing(self._runtime)

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `JointAngles`, where it is long enough to have any."""
        del facts
        if self._pose not in tracks or "face" not in tracks:
            return self.absent(Reason.NO_VIDEO)
        pose, face = tracks[self._pose], tracks["face"]
        if len(pose) < 2:
            return self.absent(Reason.TOO_FEW_FRAMES)
        if not (pose.valid | face.valid).any():
            return self.absent(NO_BODY, coverage=0.0)
        seen = joint_angles(pose, face)
        measurements = [*_angle_measurements(pose, seen), _freeze(pose), _visible(pose)]
        is_measured = next(m for m in measurements if m.metric is AMOUNT).value is not None
        return Measured(tuple(measurements), JointAngles(pose.times_s, seen) if is_measured else None)

    def evidence(self, details: JointAngles) -> Iterator[Exhibit]:
        """Draw the joint angles over time."""
        from evalkit.evaluators.pictures.joint_angles import draw_joint_angles
        from evalkit.plot_style import png_of

        figure = draw_joint_angles(details.times_s, details.angles)
        yield Exhibit("joint_angles.png", "joint angles over time", png_of(figure), AMOUNT)


def _angle_measurements(pose: Track, seen: Mapping[str, tuple[FloatArray, BoolArray]]) -> list[Measurement]:
    metrics = (JOINT_ANGLE_STD, SPARC, LDLJ, JITTER_RATIO, AMOUNT)
    times_s = pose.times_s
    rate_hz = motion.frame_rate_hz(times_s)
    if times_s[-1] - times_s[0] + 1 / rate_hz < SMOOTHNESS_WINDOW_S:
        return [Measurement.absent(metric, Reason.TOO_SHORT) for metric in metrics]
    if rate_hz < LOWEST_RATE_HZ:
        return [Measurement.absent(metric, Reason.LOW_FRAME_RATE) for metric in metrics]
    angles = _angles_on_grid(seen, times_s, GRID_HZ)
    followed = np.isfinite(list(angles.values())) if angles else np.zeros((1, 1), dtype=bool)
    coverage = float(followed.any(axis=0).mean())
    if coverage == 0.0:
        return [Measurement.absent(metric, NO_BODY, coverage=0.0) for metric in metrics]
    speeds = {
        name: motion.angular_speeds_deg_s(angle, GRID_HZ, cutoff_hz=MOVEMENT_HZ)
        for name, angle in angles.items()
    }
    # A window without any movement has no smoothness; a clip without any whole window could not be followed.
    parts = motion.windows(followed.shape[1], GRID_HZ, SMOOTHNESS_WINDOW_S)
    otherwise = (
        NO_MOTION if any(followed[:, part].all(axis=1).any() for part in parts) else Reason.TOO_FEW_FRAMES
    )
    if rate_hz < LOWEST_JITTER_RATE_HZ:
        jitter = Measurement.absent(JITTER_RATIO, Reason.LOW_FRAME_RATE, coverage=coverage)
    else:
        own_rate = _angles_on_grid(seen, times_s, rate_hz)
        tremor = motion.jitter_ratio(own_rate, rate_hz)
        trembling = motion.tremor_moments(own_rate, rate_hz, float(times_s[0]))
        jitter = _measurement(JITTER_RATIO, tremor, coverage, otherwise, trembling)
    smoothness = motion.sparc(speeds)
    starts_s = times_s[0] + np.array([part.start for part in parts]) / GRID_HZ
    rough = motion.rough_moments(smoothness, starts_s, SMOOTHNESS_WINDOW_S, ROUGH_SPARC)
    return [
        _spread(angles, coverage),
        _measurement(SPARC, smoothness, coverage, otherwise, rough),
        _measurement(LDLJ, motion.ldlj(speeds), coverage, otherwise),
        jitter,
        _measurement(AMOUNT, motion.amount_deg_s(speeds), coverage, Reason.TOO_FEW_FRAMES),
    ]


def _angles_on_grid(
    seen: Mapping[str, tuple[FloatArray, BoolArray]], times_s: FloatArray, rate_hz: float
) -> dict[str, FloatArray]:
    n_samples = int((times_s[-1] - times_s[0]) * rate_hz + 1e-6) + 1
    grid_s = times_s[0] + np.arange(n_samples) / rate_hz
    return {name: motion.on_grid(times_s, angle, usable, grid_s) for name, (angle, usable) in seen.items()}


def _spread(angles: Mapping[str, FloatArray], coverage: float) -> Measurement:
    """Take the mean over joints and windows; the samples are those of each joint."""
    joints = {name: motion.spread_deg({name: angle}) for name, angle in angles.items()}
    samples = tuple((name, sums.numerators[sums.denominators > 0]) for name, sums in joints.items() if sums.n)
    pooled = _measurement(JOINT_ANGLE_STD, motion.spread_deg(angles), coverage, Reason.TOO_FEW_FRAMES)
    return replace(pooled, samples=samples)


def _measurement(
    metric: Metric,
    sums: WindowSums,
    coverage: float,
    otherwise: Reason,
    moments: tuple[Moment, ...] = (),
) -> Measurement:
    if sums.value is None:
        return Measurement.absent(metric, otherwise, coverage=coverage)
    measured = sums.denominators > 0
    return Measurement(
        metric,
        sums.value,
        n=sums.n,
        coverage=coverage,
        interval=ratio_interval(sums.numerators, sums.denominators, bounds=metric.bounds),
        samples=(("windows", sums.numerators[measured] / sums.denominators[measured]),),
        moments=moments,
    )


def _freeze(track: Track) -> Measurement:
    """Over the frames with a body."""
    ratio = motion.freeze_ratio(track.times_s, track["change"], track.valid, still_change=STILL_CHANGE)
    if ratio is None:
        return Measurement.absent(FREEZE_RATIO, NO_BODY, coverage=0.0)
    moments = motion.freeze_moments(track.times_s, track["change"], track.valid, still_change=STILL_CHANGE)
    return Measurement(FREEZE_RATIO, ratio, n=len(track), coverage=track.coverage, moments=moments)


def _visible(track: Track) -> Measurement:
    seen = np.mean([_seen(track, joint) for joint in JOINTS], axis=0)
    return Measurement(VISIBLE_JOINTS, float(seen.mean()), n=len(track), coverage=1.0)
