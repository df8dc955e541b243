"""The motion evaluator, on figures whose joints move as told, and on real clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import UsageError
from evalkit.evaluators.load import make_evaluator, version_of
from evalkit.evaluators.motion import JOINT_ANGLES, NO_BODY, NO_MOTION, Motion, joint_angles
from evalkit.testing.stick_figure import face_track, pose_track
from evalkit.tracks.pose import PoseTracker
from evalkit.types import ClipFacts, Reason
from tests.pose_agreement import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evalkit.types import Measurement, Track

NOBODY = ClipFacts("clip.mp4", None, None, None)
ARMS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow")


def measure(pose: Track, face: Track | None = None) -> dict[str, Measurement]:
    if face is None:
        face = face_track(pose.times_s, seen=np.zeros(len(pose), dtype=bool))
    found = Motion().measure(NOBODY, {"pose": pose, "face": face}).measurements
    return {measurement.metric.name.removeprefix("motion."): measurement for measurement in found}


def seconds(duration_s: float, fps: float = 25.0) -> np.ndarray:
    return np.arange(round(duration_s * fps)) / fps


def waving(times_s: np.ndarray, tremor_deg: float = 0.0) -> np.ndarray:
    tremor = np.random.default_rng(0).normal(size=times_s.size)
    return 20.0 * np.sin(2 * np.pi * 0.6 * times_s) + tremor_deg * tremor


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 60.0])
def test_known_wave_has_known_spread_and_amount(fps: float):
    times_s = seconds(20.0, fps)
    found = measure(pose_track(times_s, upper_arm_deg=waving(times_s), visible=ARMS))
    spread = dict(found["joint_angle_std_deg"].samples)
    # a sine of amplitude 20 has a standard deviation of 20 / sqrt(2) and a mean speed of 4 * 20 * 0.6
    assert spread["left_shoulder"] == pytest.approx(np.full(2, 14.14), rel=0.02)
    assert spread["shoulders"] == pytest.approx(np.zeros(2), abs=0.01)
    # the line of the shoulders does not move; two shoulders do
    assert found["joint_angle_std_deg"].value == pytest.approx(14.14 * 2 / 3, rel=0.02)
    assert found["amount_deg_s"].value == pytest.approx(48.0 * 2 / 3, rel=0.03)
    assert found["amount_deg_s"].interval is None  # ten windows promise nothing


def test_the_interval_of_a_longer_clip_holds_the_truth() -> None:
    times_s = seconds(40.0, 25.0)
    amount = measure(pose_track(times_s, upper_arm_deg=waving(times_s), visible=ARMS))["amount_deg_s"]
    assert amount.interval is not None
    assert amount.interval.low < 48.0 * 2 / 3 < amount.interval.high


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0, 60.0])
def test_tremor_of_known_power_is_the_same_at_every_frame_rate(fps: float):
    times_s = seconds(20.0, fps)
    wave = waving(times_s) + 1.5 * np.sin(2 * np.pi * 8.0 * times_s)
    found = measure(pose_track(times_s, upper_arm_deg=wave, visible=ARMS))["jitter_ratio"]
    # powers of speed: (2 pi 8 1.5)^2 / 2 less the unresolved (2 pi 8 0.2)^2, against (2 pi 0.6 20)^2 / 2
    tremor = (2 * np.pi * 8) ** 2 * (1.5**2 / 2 - 0.2**2)
    movement = (2 * np.pi * 0.6 * 20) ** 2 / 2
    assert found.value == pytest.approx(tremor / (tremor + movement), rel=0.02)


def test_movement_alone_is_no_tremor():
    times_s = seconds(20.0)
    found = measure(pose_track(times_s, upper_arm_deg=waving(times_s, 0.05)))
    assert found["jitter_ratio"].value == 0.0


def test_more_tremor_is_never_better():
    times_s = seconds(20.0)
    worse = [
        measure(pose_track(times_s, upper_arm_deg=waving(times_s, tremor), visible=ARMS))
        for tremor in (0.0, 0.5, 1.0, 2.0, 4.0)
    ]
    jitter = [found["jitter_ratio"].value for found in worse]
    jerk = [found["ldlj"].value for found in worse]
    assert jitter == sorted(jitter)
    assert jitter[-1] > 0.5
    assert jerk == sorted(jerk, reverse=True)


def test_slowing_down_lowers_the_amount_in_proportion():
    times_s = seconds(10.0)
    wave = waving(times_s)
    amounts = [
        measure(pose_track(times_s * slower, upper_arm_deg=wave))["amount_deg_s"].value for slower in (1, 2)
    ]
    assert amounts[0] == pytest.approx(2.0 * amounts[1], rel=0.02)


@settings(max_examples=10)
@given(size_px=st.floats(20.0, 2000.0), x=st.floats(-500.0, 3000.0), y=st.floats(-500.0, 3000.0))
def test_size_and_place_do_not_matter(size_px: float, x: float, y: float):
    times_s = seconds(10.0)
    wave = waving(times_s, 0.5)
    here = measure(pose_track(times_s, upper_arm_deg=wave))
    there = measure(pose_track(times_s, upper_arm_deg=wave, size_px=size_px, place_px=(x, y)))
    for name, measurement in here.items():
        assert there[name].value == pytest.approx(measurement.value, rel=0.01, abs=1e-3), name


def test_missing_frames_never_compress_time():
    times_s = seconds(20.0)
    wave = waving(times_s)
    gone = np.random.default_rng(1).random(500) < 0.3
    gone[100:150] = True
    whole = measure(pose_track(times_s, upper_arm_deg=wave))
    holed = measure(pose_track(times_s, upper_arm_deg=wave, seen=~gone))
    assert holed["amount_deg_s"].value == pytest.approx(whole["amount_deg_s"].value, rel=0.05)
    assert holed["amount_deg_s"].coverage == pytest.approx(0.9, abs=0.05)
    assert holed["ldlj"].n < whole["ldlj"].n


def test_variable_frame_rate_changes_nothing_but_the_freeze():
    times_s = seconds(20.0, 30.0)
    kept = np.random.default_rng(2).random(600) < 0.75
    kept[[0, -1]] = True
    regular = measure(pose_track(times_s, upper_arm_deg=waving(times_s)))
    irregular = measure(pose_track(times_s[kept], upper_arm_deg=waving(times_s[kept])))
    for name in ("joint_angle_std_deg", "amount_deg_s", "ldlj"):
        assert irregular[name].value == pytest.approx(regular[name].value, rel=0.03), name
    assert irregular["freeze_ratio"].value == pytest.approx(0.25, abs=0.03)


def test_a_talking_head_has_scores():
    times_s = seconds(10.0)
    bust = ("nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
    head = face_track(times_s, yaw_deg=10.0 * np.sin(2 * np.pi * 0.4 * times_s))
    found = measure(pose_track(times_s, visible=bust), head)
    assert dict(found["joint_angle_std_deg"].samples)["head_yaw"] == pytest.approx([7.07], rel=0.02)
    assert found["visible_joints"].value == pytest.approx(5 / 15)
    assert all(measurement.value is not None for measurement in found.values())


def test_a_face_from_the_side_gives_no_rotation():
    times_s = seconds(10.0)
    yaw = np.where(times_s < 5.0, 0.0, 70.0)
    _, usable = joint_angles(pose_track(times_s), face_track(times_s, yaw_deg=yaw))["head_roll"]
    assert np.array_equal(usable, times_s < 5.0)


def test_a_face_alone_has_scores():
    times_s = seconds(10.0)
    nobody = pose_track(times_s, seen=np.zeros(250, dtype=bool))
    found = measure(nobody, face_track(times_s, pitch_deg=5.0 * np.sin(2 * np.pi * 0.4 * times_s)))
    assert found["amount_deg_s"].value == pytest.approx(4 * 5 * 0.4 / 3, rel=0.03)
    assert found["visible_joints"].value == 0.0
    assert found["freeze_ratio"].reason == NO_BODY


def test_a_frozen_head_does_not_tremble():
    """The picture stands still; what its landmarks go on doing is noise."""
    times_s = seconds(20.0)
    frozen = times_s >= 10.0
    change = np.where(frozen, 0.0, 20.0)
    noise = np.random.default_rng(0).normal(0.0, 2.0, 500)
    yaw = np.where(frozen, noise, 10.0 * np.sin(2 * np.pi * 0.4 * times_s))
    found = measure(pose_track(times_s, change=change), face_track(times_s, yaw_deg=yaw))
    assert found["freeze_ratio"].value == pytest.approx(0.5, abs=0.01)
    assert found["jitter_ratio"].value < 0.01
    speed = 4 * 10 * 0.4 / len(joint_angles(pose_track(times_s), face_track(times_s)))
    assert found["amount_deg_s"].value == pytest.approx(speed / 2, rel=0.05)


def test_a_still_body_has_no_smoothness():
    found = measure(pose_track(seconds(10.0)))
    assert found["amount_deg_s"].value == pytest.approx(0.0, abs=0.01)
    assert found["joint_angle_std_deg"].value == pytest.approx(0.0, abs=0.01)
    assert found["sparc"].reason == found["ldlj"].reason == NO_MOTION


def test_joints_are_named_and_complete():
    angles = joint_angles(pose_track(seconds(1.0)), face_track(seconds(1.0)))
    assert set(angles) == {*JOINT_ANGLES, "head_yaw", "head_pitch", "head_roll"}


ABSENT = {
    "one frame": (lambda: pose_track(seconds(0.04)), Reason.TOO_FEW_FRAMES, "all"),
    "a fifth of a second": (lambda: pose_track(seconds(0.2)), Reason.TOO_SHORT, "angles"),
    "nobody": (lambda: pose_track(seconds(5.0), seen=np.zeros(125, dtype=bool)), NO_BODY, "all"),
    "a glimpse": (lambda: pose_track(seconds(5.0), seen=np.arange(125) < 3), NO_BODY, "angles"),
    "ten frames a second": (lambda: pose_track(seconds(5.0, 10.0)), Reason.LOW_FRAME_RATE, "angles"),
    "sixteen frames a second": (
        lambda: pose_track(seconds(5.0, 16.0)),
        Reason.LOW_FRAME_RATE,
        "jitter_ratio",
    ),
    "no window without a gap": (
        lambda: pose_track(seconds(5.0), seen=np.arange(125) % 45 < 30),
        Reason.TOO_FEW_FRAMES,
        "ldlj",
    ),
}


@pytest.mark.parametrize(("make", "reason", "which"), ABSENT.values(), ids=ABSENT)
def test_absent_with_a_reason(make: Callable[[], Track], reason: Reason, which: str):
    found = measure(make())
    angles = {"joint_angle_std_deg", "sparc", "ldlj", "jitter_ratio", "amount_deg_s"}
    names = {"all": set(found), "angles": angles}.get(which, {which})
    assert {found[name].reason for name in names} == {reason}


def test_no_picture():
    found = list(Motion().measure(NOBODY, {}).measurements)
    assert [measurement.metric for measurement in found] == list(Motion.metrics)
    assert {measurement.reason for measurement in found} == {Reason.NO_VIDEO}


def real_frames(path: Path, n_frames: int) -> list[np.ndarray]:
    import av

    with av.open(path) as container:
        return [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(container.decode(video=0), range(n_frames), strict=False)
        ]


def measure_frames(frames: list[np.ndarray], fps: float) -> dict[str, Measurement]:
    from evalkit.tracks.face import FaceTracker
    from evalkit.types import FrameChunk

    pose, face = PoseTracker(), FaceTracker()
    for tracker in (pose, face):
        tracker.update(FrameChunk(0, np.arange(len(frames)) / fps, frames))
    return measure(pose.finish(), face.finish())


def resized(frames: list[np.ndarray], side_px: int) -> list[np.ndarray]:
    import cv2

    scale = side_px / min(frames[0].shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=way) for frame in frames]


def shaken(frames: list[np.ndarray], spread_px: float) -> list[np.ndarray]:
    """Return the frames, each moved and turned a little at random."""
    import cv2

    luck, result = np.random.default_rng(0), []
    height, width = frames[0].shape[:2]
    for frame in frames:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), luck.normal(0.0, spread_px / 4), 1.0)
        turn[:, 2] += luck.normal(0.0, spread_px, 2)
        result.append(cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return result


def test_the_runtimes_share_neither_an_identity_nor_a_track():
    usual, other = Motion(), make_evaluator(Motion, {"runtime": "mediapipe"})
    assert version_of(usual) == "5"
    assert version_of(other) == "5 mediapipe"
    assert usual.tracks == ("pose", "face")
    assert other.tracks == ("pose_mediapipe", "face")
    for evaluator in (usual, other):
        (name, make), *more = evaluator.trackers(NOBODY).items()
        assert not more
        assert make().name == name == evaluator.tracks[0]


def test_the_other_runtime_measures_its_own_track():
    times_s = seconds(10.0)
    pose = pose_track(times_s, upper_arm_deg=waving(times_s), visible=ARMS)
    face = face_track(times_s, seen=np.zeros(len(pose), dtype=bool))
    found = Motion("mediapipe").measure(NOBODY, {"pose_mediapipe": pose, "face": face}).measurements
    assert {m.metric.name.removeprefix("motion."): m for m in found} == measure(pose, face)
    assert Motion("mediapipe").measure(NOBODY, {"pose": pose, "face": face}) == Motion().absent(
        Reason.NO_VIDEO
    )


def test_an_unknown_runtime_is_refused_at_once_and_a_missing_one_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
):
    with pytest.raises(UsageError, match=r"runtime, .* is 'onnx'; give openvino or mediapipe"):
        Motion("onnx")
    monkeypatch.setattr("evalkit.tracks.pose.find_spec", lambda _: None)
    evaluator = Motion()  # so that what was measured elsewhere can be shown
    with pytest.raises(UsageError, match="the setting runtime: mediapipe"):
        evaluator.prepare(lambda _: None)


@pytest.mark.media
@pytest.mark.parametrize(
    "clip",
    [
        "body/mimicmotion_ours_3.mp4",
        "body/mimicmotion_moore_2.mp4",
        "talking_real/video-retalking_face_1.mp4",
    ],
)
def test_openvino_gives_what_mediapipe_gives(media_folder: Path, tmp_path: Path, clip: str):
    (found,) = compare(media_folder / clip, tmp_path, PoseTracker())
    assert found.n_one_sided == 0
    assert np.median(found.distances) < 0.002
    assert abs(found.changes["joint_angle_std_deg"]) < 0.02
    assert max(abs(found.changes[name]) for name in ("sparc", "ldlj", "amount_deg_s")) < 0.01


@pytest.mark.media
@pytest.mark.parametrize(
    ("clip", "fps"),
    [("body/mimicmotion_raw_2.mp4", 15.0), ("talking_real/edtalk_expression_source_NO_audio.mp4", 30.0)],
)
def test_resolution_of_a_real_clip_does_not_matter(media_folder: Path, clip: str, fps: float):
    frames = real_frames(media_folder / clip, 240)
    small, middle, large = (measure_frames(resized(frames, side_px), fps) for side_px in (256, 512, 1024))
    for name in ("joint_angle_std_deg", "sparc", "ldlj", "amount_deg_s", "visible_joints"):
        for other in (small, large):
            assert other[name].value == pytest.approx(middle[name].value, rel=0.05), name
    for other in (small, large):
        assert other["freeze_ratio"].value == pytest.approx(middle["freeze_ratio"].value, abs=0.01)


@pytest.mark.media
def test_damage_to_a_real_clip_shows(media_folder: Path):
    fps, frames = 25.0, real_frames(media_folder / "talking_real/video-retalking_face_2.mp4", 125)
    frames = resized(frames, 512)
    plain = measure_frames(frames, fps)

    tremor = [plain, *(measure_frames(shaken(frames, spread_px), fps) for spread_px in (1.0, 2.0, 4.0))]
    assert np.all(np.diff([found["jitter_ratio"].value for found in tremor]) > 0)
    # a jerk that is nothing but tremor does not get worse with more of it: 4 pixels are left out
    assert np.all(np.diff([found["ldlj"].value for found in tremor[:3]]) < 0)
    assert np.all(np.diff([found["amount_deg_s"].value for found in tremor]) > 0)

    slowed = measure_frames(frames, fps / 1.7)
    assert slowed["amount_deg_s"].value < 0.8 * plain["amount_deg_s"].value

    frozen = [frames[:n] + [frames[n - 1]] * (125 - n) for n in (95, 65)]
    still = [plain, *(measure_frames(some, fps) for some in frozen)]
    assert [found["freeze_ratio"].value for found in still] == pytest.approx([0.0, 0.242, 0.484], abs=0.02)
    assert np.all(np.diff([found["amount_deg_s"].value for found in still]) < 0)

    luck = np.random.default_rng(0).random(125)
    dropped = [measure_frames(drop(frames, luck < share), fps) for share in (0.0, 0.1, 0.3)]
    lost = [found["freeze_ratio"].value for found in dropped]
    assert lost[0] < 0.01
    assert np.all(np.diff(lost) > 0.05)


def drop(frames: list[np.ndarray], gone: np.ndarray) -> list[np.ndarray]:
    """Return the frames with some replaced by the last one that is left."""
    last = np.maximum.accumulate(np.where(gone, 0, np.arange(len(frames))))
    return [frames[index] for index in last]
