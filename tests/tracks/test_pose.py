"""The pose tracker, on a photograph of a person that is moved about."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.tracks import pose
from evalkit.tracks.pose import COLUMNS, JOINTS, RUNTIMES, STILL_CHANGE, PoseTracker, picture_change
from evalkit.types import FrameChunk, Track


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """Return a photograph, 512x512, of a woman down to the waist."""
    from skimage.data import astronaut

    return np.asarray(astronaut())


def track(frames: list[np.ndarray], chunk_frames: int = 100, runtime: str = "openvino") -> Track:
    tracker = PoseTracker(runtime)
    for first in range(0, len(frames), chunk_frames):
        part = frames[first : first + chunk_frames]
        tracker.update(FrameChunk(first, (first + np.arange(len(part))) / 25.0, part))
    return tracker.finish()


def walk(portrait: np.ndarray, n_frames: int = 7) -> list[np.ndarray]:
    """Return the portrait shifted by 4 pixels more in every frame."""
    return [np.roll(portrait, 4 * shift, axis=1) for shift in range(n_frames)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_finds_the_joints_where_they_are(portrait: np.ndarray, runtime: str):
    found = track([portrait], runtime=runtime)
    assert found.columns == COLUMNS
    assert found.valid.all()
    # places looked up in the picture, in pixels
    for joint, place in {
        "nose": (222, 126),
        "right_shoulder": (95, 245),
        "left_shoulder": (320, 250),
    }.items():
        assert found.select(f"{joint}_x_px", f"{joint}_y_px")[0] == pytest.approx(place, abs=25), joint
        assert found[f"{joint}_visibility"][0] > 0.5
    assert found["left_ankle_visibility"][0] == 0.0


def test_returns_the_visible_joints_for_drawing(portrait: np.ndarray):
    (points,) = PoseTracker().update(FrameChunk(0, np.zeros(1), [portrait]))
    assert points is not None
    assert points.shape[1] == 2
    assert 5 <= len(points) < len(JOINTS)
    assert ((points >= 0) & (points <= 512)).all()


def test_follows_a_shift(portrait: np.ndarray):
    nose_px = track(walk(portrait))["nose_x_px"]
    # the first picture is found by a detector, the others by following it: a few pixels of two hundred apart
    assert nose_px[1:] - nose_px[1] == pytest.approx(4.0 * np.arange(6), abs=6.0)


def test_places_grow_with_the_picture(portrait: np.ndarray):
    import cv2

    large = cv2.resize(portrait, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    places = [
        column
        for column in COLUMNS
        if column.endswith("_px") and column.startswith(("nose", "left_shoulder"))
    ]
    small_px, large_px = (track([picture]).select(*places)[0] for picture in (portrait, large))
    assert large_px == pytest.approx(2.0 * small_px, abs=10.0)


def test_chunks_do_not_matter(portrait: np.ndarray):
    whole, cut = (track(walk(portrait), chunk_frames) for chunk_frames in (7, 2))
    assert np.array_equal(whole.values, cut.values, equal_nan=True)
    assert np.array_equal(whole.times_s, cut.times_s)


def test_a_repeated_picture_has_the_same_joints(portrait: np.ndarray):
    frames = walk(portrait, 3)
    noisy = np.clip(
        frames[-1].astype(int) + np.random.default_rng(0).integers(-1, 2, frames[-1].shape), 0, 255
    )
    found = track([*frames, noisy.astype(np.uint8), frames[-1]])
    assert (found["change"][:3] > STILL_CHANGE).all()
    assert (found["change"][3:] < STILL_CHANGE).all()
    assert np.array_equal(found.values[3, 1:], found.values[2, 1:])
    assert np.array_equal(found.values[4, 1:], found.values[2, 1:])


def test_nobody_is_invalid(portrait: np.ndarray):
    black = np.zeros_like(portrait)
    tracker = PoseTracker()
    assert tracker.update(FrameChunk(0, np.arange(2) / 25.0, [black, black])) == [None, None]
    found = tracker.finish()
    assert not found.valid.any()
    assert len(found) == 2


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2), (37, 51)])
def test_any_size_is_accepted(shape: tuple[int, int], runtime: str):
    picture = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert not track([picture, 255 - picture], runtime=runtime).valid.any()


def test_the_runtimes_share_no_track(portrait: np.ndarray):
    made = [track(walk(portrait, 2), runtime=runtime) for runtime in RUNTIMES]
    assert len({one.name for one in made}) == len({one.facts["model"] for one in made}) == len(RUNTIMES)
    assert made[0].values == pytest.approx(made[1].values, abs=2.0)
    assert not np.array_equal(made[0].values, made[1].values)


def test_a_runtime_that_is_missing_says_what_to_do(portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pose, "find_spec", lambda name: None if name == "openvino" else name)
    with pytest.raises(UsageError, match=r"pip install openvino, or .* the setting runtime: mediapipe"):
        track([portrait])
    assert track([portrait], runtime="mediapipe").valid.all()


def test_no_frames_make_an_empty_track():
    assert len(PoseTracker().finish()) == 0


def test_picture_change_by_hand():
    before = np.zeros((16, 24), dtype=np.uint8)
    after = before.copy()
    after[8:16, 16:20] = 10  # half of one block of 8x8
    after[0, 0] = 64  # one pixel of another: 64 / 64
    assert picture_change(after, before) == pytest.approx(5.0)
    assert picture_change(before, after) == pytest.approx(5.0)
    assert picture_change(after, after) == 0.0


@pytest.mark.parametrize("shape", [(256, 455), (300, 256), (16, 16), (8, 17), (5, 300), (300, 3), (1, 1)])
@pytest.mark.parametrize("spread", [1, 20, 255])
def test_picture_change_is_the_largest_mean_of_a_block(shape: tuple[int, int], spread: int):
    random = np.random.default_rng(spread)
    before = random.integers(0, 256, shape, dtype=np.uint8)
    noise = random.integers(-spread, spread + 1, shape)
    after = np.clip(before.astype(int) + noise, 0, 255).astype(np.uint8)
    difference = np.abs(after.astype(int) - before)
    (height, width), (tall, wide) = (max(1, side // 8) for side in shape), (min(8, side) for side in shape)
    blocks = difference[: height * tall, : width * wide].reshape(height, tall, width, wide)
    expected = blocks.mean(axis=(1, 3)).max()
    tolerance = 0.0 if tall == wide == 8 else 1e-6
    assert picture_change(after, before) == pytest.approx(expected, rel=tolerance, abs=0.0)
